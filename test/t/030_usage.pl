# What becomes of each key's requests is counted, on every path and once, through
# restarts, crashes, kills, lost databases and a promotion.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Counting;
use Fixture;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = preloading_node('counting');
my $file = $node->data_dir . '/pg_stat/revdesk_auth.stat';

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

# Every outcome has its count.
sub denied
{
	my ($reason, $key, $before, $after, $setting) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sql($before) if $before;
	my (undef, $stderr) = query($node, 'postgres', ($setting // '') . "SELECT revdesk_authenticate('" . token($key) . "')", role => 'postgres');
	like($stderr, qr/API key (rejected|is over its limit)/, "$reason: refused");
	is(counted($node, $key eq '00' ? 'none' : $key, "denied_$reason"), 1, "$reason: counted");
	sql($after) if $after;
}
my $keys = 'UPDATE revdesk.api_keys SET';
is(authenticate($node, 'a0', 5), '', 'a key is accepted');
is(counted($node, 'a0'), 5, 'accepted: counted');
denied('unknown', '00');
for my $case (
	[ 'revoked', 'a1', 'revoked_at = now()', 'revoked_at = NULL' ],
	[ 'expired', 'a2', "expires_at = now() - interval '1 second'", 'expires_at = NULL' ],
	[ 'network', 'b1', "allowed_networks = '{192.0.2.0/24}'", 'allowed_networks = NULL' ],
	[ 'limit', 'b0', 'quota = 1', 'quota = NULL' ])
{
	my ($reason, $key, $set, $back) = @$case;
	my $id = key_id($key);
	sql("$keys $set WHERE id = '$id'");
	authenticate($node, $key) if $reason eq 'limit';
	denied($reason, $key, undef, "$keys $back WHERE id = '$id'");
}
denied('environment', 'af', undef, undef, "SET revdesk.accepted_environments = 'development';\n");
denied('user', 'c1', "UPDATE revdesk.users SET disabled_at = now() WHERE subject = 'ulla'", 'UPDATE revdesk.users SET disabled_at = NULL');
denied('tenant', 'a1', "SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000000')",
	"SELECT revdesk_resume_tenant('aaaaaaaa-0000-0000-0000-000000000000')");

# A count needs no transaction that commits, or that may write.
my $call = "SELECT revdesk_authenticate('" . token('c2') . "') \\g /dev/null\n";
query($node, 'postgres', "BEGIN;\n${call}ROLLBACK;\nBEGIN READ ONLY;\n${call}COMMIT;\nBEGIN;\n${call}SELECT 1/0;\nROLLBACK;\n");
is(counted($node, 'c2'), 3, 'rolled back, READ ONLY, failed: counted');
query($node, 'postgres', "BEGIN;\n$call$call${call}COMMIT;\n");
is(counted($node, 'c2'), 4, 'several times in one transaction: one request');

# When and from where.
like(sql("SELECT last_used_at > now() - interval '1 minute', last_address FROM revdesk.usage_in_memory('" . key_id('c2') . "')"), qr/^t\|$/, 'last use, in memory');
sql('ALTER ROLE api SET revdesk.trusted_proxies = 1');
as_request($node, '{"x-api-key": "' . token('c2') . '", "x-forwarded-for": "192.0.2.7"}');
is(sql("SELECT last_address FROM revdesk.usage_in_memory('" . key_id('c2') . "')"), '192.0.2.7', 'last address');
as_request($node, '{"x-api-key": "' . token('c2') . '", "x-forwarded-for": "unknown"}');
is(sql("SELECT last_address FROM revdesk.usage_in_memory('" . key_id('c2') . "')"), '', 'what is no address is none');
as_request($node, '{"x-api-key": "' . token('c2') . '", "x-forwarded-for": "2001:db8::7"}');
sql('ALTER ROLE api RESET revdesk.trusted_proxies');

# The worker writes rows by the hour, and what it wrote counts once.
is(sql('SELECT count(*) FROM revdesk.key_usage'), '0', 'nothing is written before the interval is over');
my %before = map { ($_ => counted($node, $_)) } qw(a0 c2 none);
ok(flush_now($node), 'flushed');
is(counted($node, $_), $before{$_}, "$_ after the flush") for sort keys %before;
is(sql("SELECT bool_and(bucket = date_trunc('hour', bucket) AND bucket > now() - interval '2 hours') FROM revdesk.key_usage"), 't', 'by the hour');
is(sql("SELECT last_address FROM revdesk.key_usage WHERE key_id = '" . key_id('c2') . "'"), '2001:db8::7', 'the address is written');
authenticate($node, 'a0', 2);
flush_now($node);
is(sql("SELECT sum(requests) FROM revdesk.key_usage WHERE key_id = '" . key_id('a0') . "'"), '7', 'a second flush adds');

# Reading it.
my $usage = 'SELECT requests, denied, denied_by_reason, last_address FROM revdesk_usage(%s, unit => %s)';
sub usage_of { return sprintf 'SELECT requests, denied, denied_by_reason FROM revdesk_usage(%s)', "'" . ($_[0] eq 'none' ? '00000000-0000-0000-0000-000000000000' : key_id($_[0])) . "'" }
authenticate($node, 'a0', 3);
is(sql(usage_of('a0')), '10|0|{}', 'revdesk_usage: written and in memory');
is(sql(usage_of('b0')), '1|1|{"limit": 1}', 'revdesk_usage: denials by reason');
is(sql(usage_of('none')), '0|1|{"unknown": 1}', 'revdesk_usage: requests with no known key');
is(sql("SELECT count(*), sum(requests) FROM revdesk_usage('" . key_id('a0') . "', now() - interval '2 hours', now() + interval '1 hour', 'hour')"), '1|10', 'by the hour');
is(sql("SELECT count(*) FROM revdesk_usage('" . key_id('a0') . "', until => now() - interval '2 days')"), '0', 'before: none');
sql('GRANT EXECUTE ON FUNCTION revdesk_usage, revdesk_account TO api; GRANT SELECT ON revdesk_keys TO api');
query_ok($node, 'postgres', as_key('ad', usage_of('a1')), "0|2|{\"tenant\": 1, \"revoked\": 1}", 'an admin key reads its scope');
query_ok($node, 'postgres', as_key('a1', usage_of('a1')), "1|2|{\"tenant\": 1, \"revoked\": 1}", 'a key reads its own, this request too');
for my $other ([ 'a1', 'a2' ], [ 'ad', 'b0' ], [ 'a1', 'none' ], [ 'c1', 'a1' ])
{
	my (undef, $stderr) = query($node, 'postgres', as_key($other->[0], usage_of($other->[1])));
	like($stderr, qr/does not exist, or is outside your scope/, "$other->[0] does not read the usage of $other->[1]");
}
like((query($node, 'postgres', usage_of('a1')))[1], qr/authentication required/, 'without a context by privilege only');
query_ok($node, 'postgres', as_key('ad', "SELECT name FROM revdesk_keys WHERE last_used_at > now() - interval '1 hour' AND name IN ('key a0', 'key a1', 'key a2', 'key b0') ORDER BY 1"),
	"key a0\nkey a1", 'revdesk_keys.last_used_at');
query_ok($node, 'postgres', as_key('a1', "SELECT revdesk.last_used('" . key_id('a0') . "') IS NULL, revdesk.last_used('" . key_id('a1') . "') IS NULL"), 't|f', 'and never of others');
like((query($node, 'postgres', as_key('a1', 'SELECT * FROM revdesk.usage_in_memory()')))[1], qr/permission denied/, 'the counters are not for callers');
query_ok($node, 'postgres', as_key('a0', "SELECT revdesk_account()->'usage'->>'requests_today', revdesk_account()->'usage' ? 'last_used_at'"), '11|t', 'revdesk_account');

# A clean restart loses nothing and doubles nothing.
my $expected = counted($node, 'a0');
$node->stop('fast');
ok(-f $file, 'the counters are in a file while the server is down');
$node->start;
ok(!-f $file, 'and only then');
is(counted($node, 'a0'), $expected, 'restart: nothing lost');
authenticate($node, 'a0');
$node->restart;
flush_now($node);
is(counted($node, 'a0'), ++$expected, 'restart and flush: nothing lost, nothing doubled');
append_to_file($file, 'x' x 10) if $node->stop;
$node->start;
is(counted($node, 'a0'), $expected, 'a file with a torn record');
$node->stop;
unlink $file;
append_to_file($file, 'not one of ours');
my $offset = -s $node->logfile;
$node->start;
like(slurp_file($node->logfile, $offset), qr/ignoring file .* of another version/, 'a file of another version');

# A crash loses what was not flushed, no more.
authenticate($node, 'a0', 4);
flush_now($node);
$expected += 4;
authenticate($node, 'a0', 3);
$node->stop('immediate');
$node->start;
my $after = counted($node, 'a0');
ok($after >= $expected && $after <= $expected + 3, "immediate shutdown: $after, of $expected flushed and 3 not");
authenticate($node, 'a0');
is(counted($node, 'a0'), $after + 1, 'and counting goes on');
$expected = $after + 1;
flush_now($node);

# What cannot be deleted now does not keep what is counted from being written.
sql("INSERT INTO revdesk.key_usage (key_id, bucket) VALUES ('" . key_id('a0') . "', '2000-01-01')");
my $expired = "FROM revdesk.key_usage WHERE bucket = '2000-01-01'";
my $reader = Fixture::Session->new($node, 'postgres', 'postgres');
is($reader->query("BEGIN; SELECT requests $expired FOR UPDATE"), '0', 'a row is held that is to be deleted');
sql('ALTER SYSTEM SET revdesk.usage_retention = 60');
authenticate($node, 'a0', 2);
ok(flush_now($node), 'flushed meanwhile');
$expected += 2;
is(counted($node, 'a0'), $expected, 'and counted once');
wait_until($node, 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage worker'");
is(sql("SELECT count(*) $expired"), '1', 'the row is still there');
$reader->query('COMMIT');
$reader->quit;
authenticate($node, 'a0');
flush_now($node);
$expected++;
ok(wait_until($node, 'postgres', "SELECT count(*) = 0 $expired"), 'and deleted by the next flush');
sql('ALTER SYSTEM RESET revdesk.usage_retention');

# kill -9 of backends and of the workers.
sub kill_backend
{
	my ($condition, $name) = @_;
	my $pid = sql("SELECT pid FROM pg_stat_activity WHERE $condition LIMIT 1");
	ok($pid, "$name: there is one");
	kill KILL => $pid;
	sleep 0.2;
	wait_for_worker($node, "count(*) = 1 AND min(pid) <> $pid");
	authenticate($node, 'a0', 2);
	$expected += 2;
	flush_now($node);
	is(counted($node, 'a0'), $expected, "$name: killed, and all counts go on");
}
{
	my $session = Fixture::Session->new($node, 'postgres');
	$session->query("BEGIN; SELECT revdesk_authenticate('" . token('a1') . "')");
	kill_backend("state = 'idle in transaction'", 'a backend with a context');
	eval { $session->quit };
}
kill_backend("backend_type = 'revdesk_auth usage launcher'", 'the launcher');

# The launcher ended while a worker waits: the next one must not flush beside it.
my $lock = Fixture::Session->new($node, 'postgres', 'postgres');
$lock->query('BEGIN; LOCK TABLE revdesk.key_usage');
authenticate($node, 'a0', 3);
$expected += 3;
$node->reload;
wait_until($node, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage worker'");
ok(1, 'a worker waits for the lock');
is(authenticate($node, 'a0', 2), '', 'authentication does not');
$expected += 2;
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher'");
wait_until($node, 'postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage worker'");
ok(1, 'and gives up');
$lock->query('COMMIT');
$lock->quit;
wait_for_worker($node, 'count(*) = 1');
flush_now($node);
is(counted($node, 'a0'), $expected, 'what could not be written was written later');

# The configuration of a database does not hold the worker back.
sql('ALTER DATABASE postgres SET default_transaction_read_only = on');
sql("SET default_transaction_read_only = off; ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
authenticate($node, 'a0');
ok(flush_now($node), 'default_transaction_read_only');
$expected++;
sql('SET default_transaction_read_only = off; ALTER DATABASE postgres RESET ALL');

# Retention.
my $old = "INSERT INTO revdesk.key_usage (key_id, bucket, requests) VALUES (gen_random_uuid(), now() - interval '3 days', 1)";
sql($old);
$node->append_conf('postgresql.conf', "revdesk.usage_retention = '2d'");
authenticate($node, 'a0');
flush_now($node);
$expected++;
is(sql("SELECT count(*) FROM revdesk.key_usage WHERE bucket < now() - interval '2 days'"), '0', 'old rows go');
is(counted($node, 'a0'), $expected, 'new ones stay');
$node->append_conf('postgresql.conf', 'revdesk.usage_retention = 0');
sql($old);
authenticate($node, 'a0');
flush_now($node);
is(sql("SELECT count(*) FROM revdesk.key_usage WHERE bucket < now() - interval '2 days'"), '1', '0: for ever');

# Databases and extensions that go away with counts in memory.
$offset = -s $node->logfile;
sql('CREATE DATABASE other');
install_extension($node, 'other');
make_data($node, 'other', 1);
authenticate($node, 'b1', 2, database => 'other');
is(sql("SELECT requests FROM revdesk.usage_in_memory('" . key_id('b1') . "')"), '', 'databases are apart');
sql('DROP DATABASE other');
authenticate($node, 'a0');
ok(flush_now($node), 'a database dropped with counts in memory');
sql('CREATE DATABASE other');
install_extension($node, 'other');
make_data($node, 'other', 1);
authenticate($node, 'b1', 2, database => 'other');
sql('ALTER DATABASE other ALLOW_CONNECTIONS false');
$node->reload;
sleep 1;
sql('ALTER DATABASE other ALLOW_CONNECTIONS true');
is($node->safe_psql('other', 'SELECT sum(requests) FROM revdesk.key_usage'), '2', 'a database that allows no connections is flushed');
authenticate($node, 'b1', 2, database => 'other');
$node->safe_psql('other', 'SELECT revdesk_unprotect(relation) FROM revdesk.protected_tables WHERE root = relation; DROP EXTENSION revdesk_auth CASCADE');
authenticate($node, 'a0');
ok(flush_now($node), 'an extension dropped with counts in memory');
$node->safe_psql('other', 'DROP SCHEMA IF EXISTS revdesk CASCADE; DROP SCHEMA app CASCADE');
install_extension($node, 'other');
make_data($node, 'other', 1);
authenticate($node, 'b1', 3, database => 'other');
$node->reload;
ok(settle($node, 'other'), 'and made again');
is($node->safe_psql('other', 'SELECT sum(requests) FROM revdesk.key_usage'), '3', 'counts from new');
unlike(slurp_file($node->logfile, $offset), qr/PANIC|TRAP|terminated by signal|exit code 1\b.*exit code 1\b/s, 'no crash, no loop of errors');

# More keys than one statement writes, and than a look at the counters takes at once.
sql(<<'SQL');
INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id, revoked_at)
SELECT i, sha256(('revdesk_' || md5('crowd' || i))::bytea), 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', CASE i % 10 WHEN 0 THEN now() END
FROM generate_series(1, 3500) AS i
SQL
my $use_crowd = <<'SQL';
DO $$
BEGIN
	FOR i IN 1 .. 3500 LOOP
		FOR j IN 0 .. i % 3 LOOP
			BEGIN
				PERFORM revdesk_authenticate('revdesk_' || md5('crowd' || i));
				PERFORM revdesk_deauthenticate();
			EXCEPTION WHEN invalid_authorization_specification THEN NULL;
			END;
		END LOOP;
	END LOOP;
END $$
SQL
my $wrong = <<'SQL';
SELECT count(*) FROM revdesk.api_keys AS keys LEFT JOIN revdesk.key_usage AS usage ON usage.key_id = keys.id
WHERE keys.name ~ '^[0-9]+$'
GROUP BY keys.id, keys.name, keys.revoked_at
HAVING (sum(requests), sum(denied_revoked))
	IS DISTINCT FROM (CASE WHEN revoked_at IS NULL THEN times ELSE 0 END, CASE WHEN revoked_at IS NULL THEN 0 ELSE times END)
SQL
for my $times (1, 2)
{
	sql($use_crowd);
	ok(flush_now($node), 'a crowd: flushed');
	is(sql($wrong =~ s/times/$times * (1 + name::int % 3)/gr), '', 'each key has its own counts');
}
is(sql("SELECT count(*), min(details::text) FROM revdesk.audit_log WHERE action = 'key.rejected' AND target IN (SELECT id::text FROM revdesk.api_keys WHERE name = '3490')"),
	'2|{"revoked": 2}', 'and its own rejections in the audit log');
$node->stop;

# The table full.
$node->append_conf('postgresql.conf', 'revdesk.max_tracked_keys = 100');
$node->start;
sql("INSERT INTO revdesk.api_keys (id, name, key_hash, scope, tenant_id)
  SELECT ('eeeeeeee-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid, 'many', sha256(('revdesk_' || md5(i::text))::bytea),
    'organization', 'aaaaaaaa-0000-0000-0000-000000000000' FROM generate_series(1, 200) AS i");
my $use = sub { join '', map { "SELECT revdesk_authenticate('revdesk_' || md5('$_')) \\g /dev/null\n" } @_ };
query($node, 'postgres', $use->(1 .. 120));
my $dropped = sql('SELECT revdesk.usage_dropped()');
cmp_ok($dropped, '>', 0, 'full: requests are dropped');
is(sql('SELECT sum(requests) FROM revdesk.usage_in_memory()') + $dropped, 120 + sql("SELECT COALESCE(sum(requests), 0) FROM revdesk.usage_in_memory() WHERE key_id::text NOT LIKE 'e%'"), 'and counted as such, all of them');
sql("UPDATE revdesk.api_keys SET rate_limit = 10 WHERE name = 'many'");
like((query($node, 'postgres', "SELECT revdesk_authenticate('revdesk_' || md5('150'))"))[1], qr/no room to hold a key to its limits/, 'full: a key with limits is refused');
sql("UPDATE revdesk.api_keys SET rate_limit = NULL WHERE name = 'many'");
is((query($node, 'postgres', $use->(150)))[1], '', 'one without is not');
flush_now($node);
$node->reload;
wait_until($node, 'postgres', 'SELECT count(*) < 50 FROM revdesk.usage_in_memory()');
$dropped = sql('SELECT revdesk.usage_dropped()');
is((query($node, 'postgres', $use->(151)))[1], '', 'room again after a flush');
is(sql('SELECT revdesk.usage_dropped()'), $dropped, 'and nothing dropped');

# A session that knows where a key is counted, until a flush has made room.
my $of_first = "FROM revdesk.usage_in_memory() WHERE key_id = 'eeeeeeee-0000-0000-0000-000000000001'";
my ($counted, $complaint) = query($node, 'postgres', <<"SQL", role => getpwuid($<));
@{[ $use->(1, 1, 2 .. 120) ]}
SELECT requests $of_first;
DO \$\$
BEGIN
  WHILE EXISTS (SELECT $of_first) LOOP
    PERFORM pg_reload_conf(), pg_sleep(0.1);
  END LOOP;
END
\$\$;
@{[ $use->(1, 1, 1) ]}
SELECT requests $of_first
SQL
is($counted . $complaint, "2\n3", 'a key is counted in a session that knew its entry before a flush removed it');

# No worker to be had.
$expected = counted($node, 'a0');
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
authenticate($node, 'a0', 2);
$node->reload;
sleep 1;
is(counted($node, 'a0'), $expected + 2, 'no free worker: counted in memory');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;
flush_now($node);
is(counted($node, 'a0'), $expected + 2, 'written when there is one');

# Not preloaded.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(authenticate($node, 'a0'), '', 'not preloaded: a key is accepted');
sql("UPDATE revdesk.api_keys SET rate_limit = 1000 WHERE name = 'key a1'");
my ($code, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT revdesk_authenticate('" . token('a1') . "')");
like($stderr, qr/55000: keys with limits need revdesk_auth in shared_preload_libraries/, 'one with limits is refused');
($code, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . usage_of('a0'));
like($stderr, qr/55000: usage is not counted/, 'revdesk_usage says so');
is(sql('SELECT revdesk.usage_dropped() IS NULL, (SELECT count(*) FROM revdesk.usage_in_memory())'), 't|0', 'and the counters');
query_ok($node, 'postgres', as_key('a0', "SELECT revdesk_account()->'usage'"), 'null', 'and the account');
$node->stop;

# A standby counts in memory, and writes after its promotion.
my $primary = preloading_node('primary', '', allows_streaming => 1);
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
$primary->safe_psql('postgres', "SELECT revdesk_limit_key('" . key_id('a2') . "', 1, 'minute')");
$primary->wait_for_catchup($standby);
is(authenticate($standby, 'a0', 6), '', 'standby: accepted');
like(authenticate($standby, 'a2', 2), qr/over its limit/, 'standby: limited');
$standby->reload;
is($standby->safe_psql('postgres', "SELECT sum(requests) FROM revdesk_usage('" . key_id('a0') . "')"), '6', 'standby: counted');
$standby->append_conf('postgresql.conf', 'revdesk.flush_interval = 1');
$standby->restart;
is($standby->safe_psql('postgres', "SELECT sum(requests) FROM revdesk_usage('" . key_id('a0') . "')"), '6', 'standby: after a restart');

# It has nothing to do there, not even when its configuration is read again.
sub launcher_cpu
{
	my $launcher = $standby->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher'");
	my @stat = split ' ', slurp_file("/proc/$launcher/stat") =~ s/^.*\)//sr;
	return ($stat[11] + $stat[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}
sleep 2;
for my $occasion ('after the interval', 'after a reload')
{
	my $before = launcher_cpu();
	sleep 3;
	my $used = launcher_cpu() - $before;
	cmp_ok($used, '<', 0.3, "standby: the launcher sleeps $occasion");
	$standby->reload;
}
$standby->promote;
ok(flush_now($standby), 'attack P4: promoted: flushed');
is($standby->safe_psql('postgres', "SELECT sum(requests) FROM revdesk.key_usage WHERE key_id = '" . key_id('a0') . "'"), '6', 'threat D10: promoted: written, once');
$standby->stop;
$primary->stop;

done_testing();
