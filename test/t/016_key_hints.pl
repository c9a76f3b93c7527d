# A key that was found lately is found without its index, by whichever backend,
# and whatever became of its row meanwhile, the key is the one that is there now.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# So few hints, 256, that keys meet in them.
my $keys = 2000;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrevdesk.max_tracked_keys = 100\nrevdesk.flush_interval = '1h'\nautovacuum = off\nrestart_after_crash = on\n");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');
$node->safe_psql('postgres', <<"SQL");
INSERT INTO revdesk.api_keys (id, name, key_hash, scope, tenant_id)
SELECT md5('id' || i)::uuid, 'key ' || i, sha256(convert_to('revdesk_' || md5('key' || i), 'UTF8')), 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000001'
FROM generate_series(1, $keys) AS i
SQL

# Statistics that the server has by the time the next session asks.
my $report = "SELECT pg_stat_force_next_flush() \\g /dev/null\nSELECT 1 \\g /dev/null\n";

sub probes
{
	my $database = shift // 'postgres';
	return $node->safe_psql($database, "SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelid = 'revdesk.api_keys_key_hash_idx'::regclass");
}

# A login in a session of its own: the scope that it has, and the probes it took.
sub login
{
	my ($key, $database) = @_;
	$database //= 'postgres';
	my $before = probes($database);
	my ($stdout, $stderr) = query($node, $database, as_key($key, 'SELECT revdesk_scope(), revdesk_key_id()') . $report);
	$stdout = 'rejected' if $stderr =~ /API key rejected/;
	return sprintf '%s, %d probes', $stdout, probes($database) - $before;
}

sub accepted
{
	my ($key, $scope, $probes) = @_;
	return "$scope|dddddddd-0000-0000-0000-0000000000$key, $probes probes";
}

is(login('a1'), accepted('a1', 'sub_entity', 1), 'a first login asks the index');
is(login('a1'), accepted('a1', 'sub_entity', 0), 'another backend needs it no more');
$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET name = 'renamed' WHERE name = 'key a1'");
is(login('a1'), accepted('a1', 'sub_entity', 1), 'but once after its row was updated');

# Rejected keys do not differ from unknown ones.
$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET expires_at = now() - interval '1 day' WHERE name = 'renamed'");
like(login('a1'), qr/^rejected/, 'a key that has expired since is rejected');
is(login('a1'), 'rejected, 1 probes', '... and looked for in the index');
is(login('ee'), 'rejected, 1 probes', '... as an unknown one');
$node->safe_psql('postgres', "UPDATE revdesk.api_keys SET expires_at = NULL WHERE name = 'renamed'");
is(login('a1'), accepted('a1', 'sub_entity', 1), 'the key is accepted again');

# Rows that move, and pages that are gone.
is(login('b0'), accepted('b0', 'organization', 1), 'a key before its table is rewritten');
$node->safe_psql('postgres', 'VACUUM FULL revdesk.api_keys');
is(login('b0'), accepted('b0', 'organization', 1), '... and after');
is(login('b0'), accepted('b0', 'organization', 0), '... and then');

# Another key in the place of one that was deleted.
is(login('b1'), accepted('b1', 'sub_entity', 1), 'a key before it is deleted');
my $place = $node->safe_psql('postgres', "SELECT ctid FROM revdesk.api_keys WHERE name = 'key b1'");
$node->safe_psql('postgres', "DELETE FROM revdesk.api_keys WHERE name = 'key b1'");
$node->safe_psql('postgres', 'VACUUM revdesk.api_keys');
$node->safe_psql('postgres', <<'SQL');
INSERT INTO revdesk.api_keys (id, name, key_hash, scope, tenant_id)
SELECT 'dddddddd-0000-0000-0000-0000000000e1', 'key e1', sha256(convert_to('revdesk_' || repeat('e1', 16), 'UTF8')), 'organization', 'aaaaaaaa-0000-0000-0000-000000000000'
SQL
is($node->safe_psql('postgres', "SELECT ctid FROM revdesk.api_keys WHERE name = 'key e1'"), $place, 'another key takes its place');
like(login('b1'), qr/^rejected/, 'the deleted key is rejected');
is(login('e1'), accepted('e1', 'organization', 1), 'the new one is found');

# A copy of a database has the same keys.
$node->safe_psql('template1', 'CREATE DATABASE copied TEMPLATE postgres');
is(login('e1', 'copied'), accepted('e1', 'organization', 1), 'a copy of the database finds its own key');
is(login('e1'), accepted('e1', 'organization', 0), 'the first one still has its own');
is(login('e1', 'copied'), accepted('e1', 'organization', 0), 'and each is remembered');
$node->safe_psql('copied', "UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key e1'");
like(login('e1', 'copied'), qr/^rejected/, 'a key that is revoked in the copy is rejected there');
is(login('e1'), accepted('e1', 'organization', 0), '... and accepted where it is not');

# More keys than hints, many backends, and rows that move all the time.
my $script = "$PostgreSQL::Test::Utils::tmp_check/key_hints.sql";
append_to_file($script, <<"SQL");
\\set i random(1, $keys)
SELECT 'revdesk_' || md5('key' || :i) AS token \\gset
BEGIN;
SELECT revdesk_authenticate(:token);
SELECT 1 / (revdesk_key_id() = md5('id' || :i)::uuid)::integer;
COMMIT;
SQL
my ($stdout, $stderr) = ('', '');
my $logins = IPC::Run::start(
	[ $node->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', 16, '-j', 2, '-t', 1000, '-f', $script, $node->connstr('postgres') . ' user=api' ],
	'>', \$stdout, '2>', \$stderr);
my $moves = 0;
while ($logins->pumpable)
{
	$node->safe_psql('postgres', $_)
	  for "UPDATE revdesk.api_keys SET name = name || '.' WHERE random() < 0.3 AND length(name) < 40", 'VACUUM revdesk.api_keys', 'VACUUM FULL revdesk.api_keys';
	$moves++;
	$logins->pump_nb;
}
$logins->finish;
is($stderr, '', 'sixteen backends with random keys complain of nothing');
like($stdout, qr{transactions actually processed: 16000/16000}, '... and each finds the key that it asked for');
cmp_ok($moves, '>', 1, '... while the rows move');

# What a crash leaves is not looked at.
is(login('a2'), accepted('a2', 'sub_entity', 1), 'a key before a crash');
my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
kill 'KILL', $pid;
ok(wait_until($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter' AND pid <> $pid"), 'the server is up again');
like(login('a2'), qr/^sub_entity\|dddddddd-0000-0000-0000-0000000000a2, /, '... and after');

# Without preloading each backend has hints of its own.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is(login('a2'), accepted('a2', 'sub_entity', 1), 'without preloading a login asks the index');
is(login('a2'), accepted('a2', 'sub_entity', 1), '... in another backend, too');
my $before = probes();
query($node, 'postgres', as_key('a2', 'SELECT revdesk_scope()') x 3 . $report);
is(probes() - $before, 1, '... once in each');

done_testing();
