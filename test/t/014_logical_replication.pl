# Logical replication: apply workers have no context, so rows arrive only under
# an owner that row security does not hold; and what arrives is seen by scope.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } qw(publisher subscriber);
$publisher->init(allows_streaming => 'logical');
$subscriber->init(allows_streaming => 'logical');
for my $node ($publisher, $subscriber)
{
	$node->append_conf('postgresql.conf', 'wal_receiver_status_interval = 1');
	$node->start;
	install_extension($node, 'postgres');
	make_data($node, 'postgres');
}
$subscriber->safe_psql('postgres', 'DELETE FROM app.docs');
my $connection = $publisher->connstr . ' dbname=postgres';
my $count = 'SELECT count(*) FROM app.docs';

# The owner of the subscription bypasses row security, as a superuser does.
# From 16 on, rows are written as the owner of the table unless told otherwise,
# whom row security holds.
my $as_owner = $subscriber->pg_version < 16 ? '' : 'WITH (run_as_owner = true)';
$publisher->safe_psql('postgres', 'CREATE PUBLICATION docs FOR TABLE app.docs');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION docs CONNECTION '$connection' PUBLICATION docs $as_owner");
$subscriber->wait_for_subscription_sync($publisher, 'docs');
my $all = $publisher->safe_psql('postgres', $count);
is($subscriber->safe_psql('postgres', $count), $all, 'threat D11: the rows arrive');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM app.docs WHERE umbrella_id IS NULL AND tenant_id IS NOT NULL'), '0', 'with their umbrella');
for my $case ([ a0 => 30 ], [ a1 => 10 ], [ b1 => 10 ], [ c1 => 30 ])
{
	query_ok($subscriber, 'postgres', as_key($case->[0], $count), $case->[1], "$case->[0] sees its own on the subscriber");
}
query_ok($subscriber, 'postgres', $count, '0', 'nobody without a key');
query_ok($publisher, 'postgres', as_key('a1', "INSERT INTO app.docs (id, tenant_id) VALUES (1000, revdesk_tenant_id()) RETURNING id"), '1000', 'a key writes on the publisher');
query_ok($publisher, 'postgres', as_key('b1', "UPDATE app.docs SET body = 'changed' WHERE body = 'CANARY_B1_1' RETURNING body"), 'changed', 'another changes a row');
query_ok($publisher, 'postgres', as_key('a2', "DELETE FROM app.docs WHERE body = 'CANARY_A2_1' RETURNING 1"), '1', 'a third deletes one');
$publisher->wait_for_catchup('docs');
query_ok($subscriber, 'postgres', as_key('a1', $count), '11', 'its row arrives, for it alone');
query_ok($subscriber, 'postgres', as_key('a2', $count), '9', 'so does a deletion');
query_ok($subscriber, 'postgres', as_key('b1', "SELECT count(*) FROM app.docs WHERE body = 'changed'"), '1', 'and a change');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION docs');

# An owner that row security holds gets nothing in, rather than past it.
$subscriber->safe_psql('postgres', 'DELETE FROM app.docs; CREATE ROLE subscriber SUPERUSER LOGIN');
my $log = -s $subscriber->logfile;
$subscriber->safe_psql('postgres', "SET ROLE subscriber; CREATE SUBSCRIPTION docs CONNECTION '$connection' PUBLICATION docs WITH (enabled = false)");
$subscriber->safe_psql('postgres', 'ALTER ROLE subscriber NOSUPERUSER NOBYPASSRLS; GRANT ALL ON app.docs TO subscriber; GRANT USAGE ON SCHEMA app TO subscriber; ALTER SUBSCRIPTION docs ENABLE');
$subscriber->wait_for_log(qr/ERROR: .*(row-level security|row security|cannot replicate|password)/, $log);
is($subscriber->safe_psql('postgres', $count), '0', 'an owner without BYPASSRLS: refused, no row');

# A publication of all tables takes the hashes along; that of a schema does not.
$publisher->safe_psql('postgres', 'DROP PUBLICATION docs; CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION app FOR TABLES IN SCHEMA app');
is($publisher->safe_psql('postgres', "SELECT pubname FROM pg_publication_tables WHERE tablename = 'api_keys'"), 'everything', 'what FOR ALL TABLES means');

$publisher->stop('immediate');
$subscriber->stop('immediate');
done_testing();
