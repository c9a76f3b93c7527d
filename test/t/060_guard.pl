# The guard at real commits and restores, and where the library is not
# preloaded; what revdesk_lint() says of a server that is short of something.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('guard');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE guarded');
install_extension($node, 'guarded');
make_data($node, 'guarded');
$node->safe_psql('guarded', <<'SQL');
CREATE TABLE app.countries (code text);
CREATE TABLE app.legacy (id int);
SELECT revdesk_exempt('app.countries', 'the same for all');
GRANT CREATE ON SCHEMA app TO owner;
ALTER ROLE owner LOGIN;
ALTER DATABASE guarded SET revdesk.exposed_schemas = app;
ALTER DATABASE guarded SET revdesk.unprotected_tables = enforce;
SQL

sub refused_to
{
	my ($name, $sql, %options) = @_;
	my ($code, undef, $stderr) = $node->psql('guarded', $sql, on_error_stop => 1, %options);
	isnt($code, 0, "$name: refused");
	like($stderr, qr/table "app\.\w+" is not protected/, "$name: and said why");
	return;
}

my $leftover = "SELECT count(*) FROM pg_class WHERE relname = 'new'";
for my $role ('postgres', 'owner')
{
	my %as = (extra_params => [ '-U', $role ]);
	refused_to("$role: CREATE TABLE", 'CREATE TABLE app.new (id int)', %as);
	refused_to("$role: COMMIT", 'BEGIN; CREATE TABLE app.new (id int); COMMIT', %as);
	refused_to("$role: PREPARE TRANSACTION", "BEGIN; CREATE TABLE app.new (id int); PREPARE TRANSACTION 'x'", %as);
	is($node->safe_psql('guarded', $leftover), '0', "$role: and nothing is left");
}

# Not preloaded, a session can set anything under the name, until the library
# is loaded.
refused_to('a setting of their own', 'SET revdesk.unprotected_tables = off; SET revdesk.exposed_schemas = none; CREATE TABLE app.new (id int)',
	extra_params => [ '-U', 'owner' ]);

refused_to('settings as of a restore',
	'SET check_function_bodies = off; SET row_security = off; ALTER POLICY revdesk_isolation ON app.docs WITH CHECK (true)',
	extra_params => [ '-U', 'owner' ]);

$node->safe_psql('guarded', 'GRANT EXECUTE ON FUNCTION revdesk_protect TO owner');
my ($code, undef, $stderr) = $node->psql('guarded',
	"BEGIN; CREATE TABLE app.new (tenant_id uuid); SELECT revdesk_protect('app.new'); COMMIT",
	on_error_stop => 1, extra_params => [ '-U', 'owner' ]);
is($code, 0, 'protected in the same transaction') or diag $stderr;
is($node->safe_psql('guarded', 'SELECT count(*) FROM revdesk.noted_tables'), '0', 'no note is left');

($code, undef, $stderr) = $node->psql('guarded', 'SET revdesk.unprotected_tables = warn; CREATE TABLE app.warned (id int)');
is($code, 0, 'warn: not refused');
is(() = $stderr =~ /WARNING:  table "app\.warned" is not protected/g, 1, 'warn: said, once');

# The dump sets the guard for the new database before it makes the tables.
my $dump = $node->backup_dir . '/guarded.sql';
$node->command_ok([ 'pg_dump', '-C', '-f', $dump, 'guarded' ], 'dump');
$node->safe_psql('postgres', 'ALTER DATABASE guarded RENAME TO original');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'postgres' ], 'restored under the guard');
my $state = <<'SQL';
SELECT relation::text, reason, exempted_by, exempted_at FROM revdesk.exempt_tables ORDER BY 1;
SELECT code, object FROM revdesk_lint() WHERE severity IN ('critical', 'high') ORDER BY 1, 2;
SHOW revdesk.unprotected_tables
SQL
my $restored = $node->safe_psql('guarded', $state);
is($restored, $node->safe_psql('original', "SET revdesk.exposed_schemas = app; SET revdesk.unprotected_tables = enforce; $state"), 'with its exemptions');
like($restored, qr/UNPROTECTED_TABLE\|app\.legacy/, 'and with what the lint has to say');
like($restored, qr/^enforce$/m, 'and on guard');
refused_to('in the restored database', 'CREATE TABLE app.another (id int)');

# A server that is short of something.
sub lint_of
{
	my $code = shift;
	return $node->safe_psql('guarded', "SELECT severity, object FROM revdesk_lint() WHERE code = '$code'");
}

is(lint_of('NOT_PRELOADED'), 'medium|shared_preload_libraries', 'NOT_PRELOADED');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrevdesk.max_tracked_keys = 100\nmax_worker_processes = 0");
$node->restart;
is(lint_of('NOT_PRELOADED'), '', 'preloaded');
is(lint_of('WORKER_MISSING'), 'high|revdesk_auth usage launcher', 'WORKER_MISSING');

is(lint_of('SLOTS_FULL'), '', 'no slots missing');
$node->safe_psql('guarded', <<'SQL');
SELECT revdesk_import_key('key ' || i, 'organization', public.digest('revdesk_' || lpad(to_hex(i), 32, '0'), 'sha256'), id)
FROM (SELECT id FROM revdesk.tenants WHERE umbrella_id IS NULL LIMIT 1) AS tenant, generate_series(1, 400) AS i;
SQL
$node->safe_psql('guarded', join ';', map { sprintf "BEGIN; SELECT revdesk_authenticate('revdesk_%032x'); COMMIT", $_ } 1 .. 400);
is(lint_of('SLOTS_FULL'), 'medium|revdesk.max_tracked_keys', 'SLOTS_FULL');

$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
wait_until($node, 'guarded', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher')");
is(lint_of('WORKER_MISSING'), '', 'the worker runs');

done_testing();
