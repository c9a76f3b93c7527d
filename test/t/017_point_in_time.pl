# Recovery to a point in time: what was revoked later works again, until it is
# revoked anew with the audit log of the server that was lost.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $lost = PostgreSQL::Test::Cluster->new('lost');
$lost->init(has_archiving => 1, allows_streaming => 1);
$lost->start;
install_extension($lost, 'postgres');
make_data($lost, 'postgres');
$lost->backup('backup');

my $count = 'SELECT count(*) FROM app.docs';
my $target = $lost->safe_psql('postgres', 'SELECT clock_timestamp()');
$lost->safe_psql('postgres', "SELECT pg_create_restore_point('target')");
$lost->safe_psql('postgres', "SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1', 'stolen')");
refused($lost, 'postgres', 'a1', 'revoked');
my $revoked = $lost->safe_psql('postgres', "SELECT target FROM revdesk.audit_log WHERE action = 'key.revoked' AND logged_at > '$target'");
is($revoked, 'dddddddd-0000-0000-0000-0000000000a1', 'the audit log tells what was revoked after the target');
$lost->safe_psql('postgres', 'SELECT pg_switch_wal()');
$lost->stop;

my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($lost, 'backup', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "recovery_target_name = 'target'\nrecovery_target_action = 'promote'");
$recovered->start;
wait_until($recovered, 'postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no recovery';
query_ok($recovered, 'postgres', as_key('a1', $count), '10', 'threat D14: the revocation is lost');
query_ok($recovered, 'postgres', as_key('a2', $count), '10', 'threat D14: other keys work');
query_ok($recovered, 'postgres', $count, '0', 'threat D14: without a key, nothing');
$recovered->safe_psql('postgres', "SELECT revdesk_revoke_key('$_', 'revoked before the recovery')") for split /\n/, $revoked;
refused($recovered, 'postgres', 'a1', 'threat D14: revoked anew');

$recovered->stop;
done_testing();
