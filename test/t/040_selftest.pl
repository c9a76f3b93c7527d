# What a rollback does not take back stays as it was through a self-test and an
# explanation: counts in shared memory, sequences, the settings of the session.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrevdesk.flush_interval = 1h");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres', 100);

my $traces = q{
	SELECT (SELECT count(*) FROM revdesk.usage_in_memory()), (SELECT count(*) FROM revdesk.key_usage),
	       (SELECT count(*) FROM revdesk.api_keys), (SELECT count(*) FROM revdesk.tenants), (SELECT count(*) FROM revdesk.users),
	       (SELECT count(*) FROM revdesk.audit_log), (SELECT last_value FROM revdesk.audit_log_id_seq),
	       (SELECT count(*) FROM app.docs), (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_prepared_statements),
	       current_setting('row_security'), current_setting('jit'), current_setting('session_replication_role'),
	       current_setting('transaction_read_only'), current_setting('lock_timeout')
};
my $before = $node->safe_psql('postgres', $traces);
my ($tested) = $node->safe_psql('postgres', "SELECT revdesk_selftest();\n$traces");
my @lines = split /\n/, $tested;
is(pop @lines, $before, 'the self-test leaves nothing behind');
cmp_ok(scalar(grep { /^(?:not )?ok \d+ - app\.docs as / } @lines), '>', 15, 'it has attacked');
like($lines[-1], qr/^1\.\.\d+$/, 'to the end');

my $explained = $node->safe_psql('postgres', qq{
	SELECT string_agg(verdict, ' ' ORDER BY step) FROM revdesk.api_keys,
	       revdesk_explain_visibility('app.docs', '{"id": 1}', api_keys.id) WHERE subject = 'SELECT';
	$traces});
@lines = split /\n/, $explained;
is(pop @lines, $before, 'nor do explanations');
like($lines[0], qr/yes.*no|no.*yes/, 'they have explained');

$node->stop;
done_testing();
