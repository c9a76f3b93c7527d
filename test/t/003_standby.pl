# A hot standby authenticates every scope, and what the primary changes reaches
# the backends there, whatever they have cached.  After a promotion all works on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
install_extension($primary, 'postgres');
make_data($primary, 'postgres');
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

my $count = 'SELECT count(*) FROM app.docs';
my %rows = (a0 => 30, a1 => 10, a2 => 10, b0 => 20, b1 => 10, c1 => 30, c2 => 20, ad => 30, af => 30);

sub on_primary
{
	my $sql = shift;
	$primary->safe_psql('postgres', $sql);
	$primary->wait_for_catchup($standby);
	return;
}

$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the standby is one');
for my $key (sort keys %rows)
{
	query_ok($standby, 'postgres', as_key($key, $count), $rows{$key}, "attack P4: $key on the standby");
}
query_ok($standby, 'postgres', as_key('a1', 'SELECT count(*) FROM app.registrations'), '20', 'walk-up on the standby');
query_ok($standby, 'postgres', as_key('a1', 'SELECT count(*) FROM app.parts'), '10', 'partitions on the standby');
query_ok($standby, 'postgres', $count, '0', 'no context on the standby');
refused($standby, 'postgres', '00', 'an unknown key on the standby');
my (undef, $stderr) = query($standby, 'postgres', as_key('a1', "UPDATE app.docs SET body = 'x'"));
like($stderr, qr/read-only transaction/, 'threat D08: nothing is written there');

# One backend on the standby, with everything cached.
my $session = Fixture::Session->new($standby, 'postgres');
sub session_is
{
	my ($key, $sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($session->query(as_key($key, $sql)), qr/^\n?$expected$/, $name);
}
my $rejected = "(?s).*API key rejected.*";
session_is($_, $count, $rows{$_}, "$_ in one session") for ('a0', 'a1', 'c1', 'c2');

on_primary("SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000001')");
session_is('a1', $count, $rejected, 'a suspension reaches the standby');
session_is('c1', $count, 20, 'and its members there');
on_primary("SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000001')");
session_is('a1', $count, 10, 'so does its end');
session_is('c1', $count, 30, 'and its members are told');
on_primary("SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000000')");
session_is('a1', $count, $rejected, "so does an umbrella's");
session_is('a0', $count, $rejected, 'for the umbrella itself');
on_primary("SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000000')");
session_is('a1', $count, 10, 'and its end');

on_primary("SELECT revdesk_remove_member('bbbbbbbb-0000-0000-0000-000000000000', 'cccccccc-0000-0000-0000-000000000001')");
session_is('c1', $count, 20, 'a membership that ends');
on_primary("SELECT revdesk_add_member('bbbbbbbb-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-000000000001')");
session_is('c1', $count, 30, 'one that begins');
on_primary("SELECT revdesk_disable_user('cccccccc-0000-0000-0000-000000000002')");
session_is('c2', $count, $rejected, 'a user who is disabled');
on_primary("SELECT revdesk_enable_user('cccccccc-0000-0000-0000-000000000002')");
session_is('c2', $count, 20, 'and enabled');
on_primary("SELECT revdesk_create_sub_entity('aaaaaaaa-0000-0000-0000-000000000000', 'A3', 'aaaaaaaa-0000-0000-0000-000000000003');"
	  . "INSERT INTO app.docs (tenant_id) VALUES ('aaaaaaaa-0000-0000-0000-000000000003');"
	  . "INSERT INTO app.registrations (id, tenant_id) VALUES (-1, 'aaaaaaaa-0000-0000-0000-000000000003')");
session_is('a0', $count, 31, 'a new sub-entity, by the umbrella column');
session_is('a0', 'SELECT count(*) FROM app.registrations', 31, 'a new sub-entity, by the set');

# While a transaction on the standby is open, and after its snapshot was taken.
is($session->query("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM app.docs"), '0', 'a snapshot on the standby');
on_primary("SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000b1')");
like($session->query("SELECT revdesk_authenticate('" . token('b1') . "')"), qr/API key rejected/,
	'a revocation after the snapshot counts');
$session->query('ROLLBACK');
session_is('b1', $count, $rejected, 'and for the next transaction');
is( $session->query("BEGIN;\nSELECT revdesk_authenticate('" . token('c1') . "') \\g /dev/null\n$count"),
	'30', 'a user at work on the standby');
on_primary("SELECT revdesk_remove_member('bbbbbbbb-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-000000000001')");
is($session->query($count), '20', 'loses the tenant that they leave');
$session->query('COMMIT');

# Promotion, under the same session.
$standby->promote;
$primary->stop('immediate');
wait_until($standby, 'postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
session_is('a1', "INSERT INTO app.docs (tenant_id, body) VALUES (revdesk_tenant_id(), 'new'); $count", 11, 'after the promotion it writes');
session_is('b1', $count, $rejected, 'what was revoked stays so');
$standby->safe_psql('postgres',
	"SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1');"
	  . "SELECT revdesk_suspend_tenant('bbbbbbbb-0000-0000-0000-000000000000')");
session_is('a1', $count, $rejected, 'threat D10: a revocation after the promotion');
session_is('b0', $count, $rejected, 'a suspension after the promotion');
$session->quit;

$standby->stop;
done_testing();
