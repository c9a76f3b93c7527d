# Threats of section C, crashes, concurrency and resources: a crash costs counts
# at most, never keys, rows or a limit; what runs out shuts and does not open.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Counting;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# fsync = on, since a crash is at issue.
my $crashing = preloading_node('crash', "fsync = on\nlog_statement = none\nmax_connections = 220\nmax_worker_processes = 8\n");
my $folder = PostgreSQL::Test::Utils::tempdir();
my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher'";
my $kept = 'SELECT string_agg(concat(id, key_hash, scope, tenant_id, user_id, revoked_at), $$ $$ ORDER BY id) FROM revdesk.api_keys';
my $keys = sql($kept);

append_to_file("$folder/a0.sql", "SELECT revdesk_authenticate('" . token('a0') . "');\n");

sub sql { return $crashing->safe_psql('postgres', shift) }

sub load
{
	my ($clients, @options) = @_;
	return ($crashing->installed_command('pgbench'), '-n', '-c', $clients, '-j', 2, @options,
		'-f', "$folder/a0.sql", '-h', $crashing->host, '-p', $crashing->port, '-U', 'api', 'postgres');
}

# Authenticate by four clients while something is done to the server; returns
# how many they were told of, and may not have been told of.
sub under_load
{
	my $do = shift;
	my $said = '';
	my $run = IPC::Run::start([ load(4, '-T', 60) ], '>', \$said, '2>&1');
	wait_until($crashing, 'postgres',
		"SELECT requests > 200 FROM revdesk.usage_in_memory('" . key_id('a0') . "')") or die 'no load';
	$do->();
	IPC::Run::finish($run);
	my ($processed) = $said =~ /transactions actually processed: (\d+)/ or die $said;
	return $processed + 4;
}

sub unharmed
{
	my ($flushed, $most) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql($kept), $keys, 'the keys are as they were');
	query_ok($crashing, 'postgres', as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'they show their rows');
	query_ok($crashing, 'postgres', 'SELECT count(*) FROM app.docs', '0', 'and no key none');
	my $after = counted($crashing, 'a0');
	ok($after >= $flushed && $after <= $most, "counted: $after, of $flushed flushed and at most $most");
	return flush_now($crashing);
}

subtest 'C01: kill -9 of a backend that authenticates' => sub {
	for my $round (1 .. 2)
	{
		authenticate($crashing, 'a0', 10);
		flush_now($crashing);
		my $flushed = counted($crashing, 'a0');
		my $more = under_load(sub {
			kill KILL => sql("SELECT pid FROM pg_stat_activity WHERE usename = 'api' LIMIT 1");
		});
		wait_until($crashing, 'postgres', 'SELECT true') or die 'no recovery';
		unharmed($flushed, $flushed + $more);
	}
	# A limit begins full, as README.md says, and holds from there.
	sql("SELECT revdesk_limit_key('" . key_id('b1') . "', 1, 'minute', 2)");
	is(() = authenticate($crashing, 'b1', 3) =~ /over its limit/g, 1, 'and limits hold');
};

subtest 'C02: immediate shutdown under load' => sub {
	$crashing->append_conf('postgresql.conf', 'revdesk.flush_interval = 1');
	$crashing->reload;
	for my $round (1 .. 2)
	{
		my $before = counted($crashing, 'a0');
		my $flushed;
		my $more = under_load(sub {
			my $written = "SELECT sum(requests) FROM revdesk.key_usage WHERE key_id = '" . key_id('a0') . "'";
			my $earlier = sql($written);
			wait_until($crashing, 'postgres', "SELECT ($written) > $earlier") or die 'no flush';
			$flushed = sql($written);
			$crashing->stop('immediate');
		});
		$crashing->start;
		unharmed($flushed, $before + $more);
	}
	$crashing->append_conf('postgresql.conf', 'revdesk.flush_interval = 3600');
	$crashing->reload;
	settle($crashing);
};

subtest 'C03, C04: the worker terminated, and killed' => sub {
	for my $how ('terminated', 'killed')
	{
		my $before = counted($crashing, 'a0');
		authenticate($crashing, 'a0', 5);
		my $pid = sql($launcher);
		if ($how eq 'killed')
		{
			flush_now($crashing);
			kill KILL => $pid;
			# Not before the postmaster knows.
			wait_until($crashing, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
		}
		else
		{
			sql("SELECT pg_terminate_backend($pid, 10000)");
		}
		wait_for_worker($crashing, "count(*) = 1 AND min(pid) <> $pid") or die 'no new worker';
		is(counted($crashing, 'a0'), $before + 5, "$how: nothing is lost");
		authenticate($crashing, 'a0', 5);
		flush_now($crashing);
		is(counted($crashing, 'a0'), $before + 10, "$how: the next one writes on");
	}
	is(sql($kept), $keys, 'the keys are as they were');
};

subtest 'C05: cancelled and terminated at any moment' => sub {
	my $loop = "DO \$\$ BEGIN PERFORM revdesk_authenticate('" . token('a0') . "'), revdesk_deauthenticate() FROM generate_series(1, 2000); "
	  . "EXCEPTION WHEN query_canceled THEN NULL; END \$\$;\n";
	my $endless = "DO \$\$ BEGIN LOOP PERFORM revdesk_authenticate('" . token('a0') . "'), revdesk_deauthenticate(); END LOOP; END \$\$;\n";
	my $storm = join '', map { 'SET statement_timeout = ' . (1 + $_ % 5) . ";\n$loop" } 1 .. 200;
	my @sessions = map { Fixture::Session->new($crashing, 'postgres') } 1 .. 4;
	$_->start($storm) for @sessions;
	for my $turn (1 .. 30)
	{
		my $victim = Fixture::Session->new($crashing, 'postgres');
		my $pid = $victim->query('SELECT pg_backend_pid()');
		$victim->send("SET statement_timeout = 0;\n$endless");
		wait_until($crashing, 'postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid");
		sql("SELECT pg_terminate_backend($pid, 10000)");
		eval { IPC::Run::finish($victim->{run}) };
	}
	$_->result, $_->quit for @sessions;
	# This takes every lock, and must not wait.
	like(sql("SET statement_timeout = '10s'; SELECT count(*) FROM revdesk.usage_in_memory()"), qr/^\d+$/, 'no lock is left');
	query_ok($crashing, 'postgres', as_key('a0', 'SELECT count(*) FROM app.docs'), '30', 'keys are accepted');
	ok(flush_now($crashing), 'counts are written');
	is(sql("SELECT count(*) FROM revdesk.usage_in_memory() WHERE requests < 0"), '0', 'none is negative');
};

subtest 'C11: 200 connections at once' => sub {
	flush_now($crashing);
	my $before = counted($crashing, 'a0');
	$crashing->command_ok([ load(200, '-t', 5) ], 'all are served');
	is(counted($crashing, 'a0'), $before + 1000, 'and counted');
};

# The counters themselves, as the file holds them over a restart: the count of
# requests stands 4 bytes behind a key's id.
subtest 'C10: counters at their limits' => sub {
	my $file = $crashing->data_dir . '/pg_stat/revdesk_auth.stat';
	authenticate($crashing, $_) for qw(a0 a1 b0);
	$crashing->stop;
	my $bytes = slurp_file($file);
	for ([ 'a0', 'feffffffffffff7f' ], [ 'a1', 'feffffffffffffff' ])
	{
		my ($key, $count) = @$_;
		my $id = pack 'H*', key_id($key) =~ tr/-//dr;
		$bytes =~ s/(\Q$id\E.{4}).{8}/$1 . pack 'H*', $count/es or die "no counts of $key";
	}
	unlink $file;
	append_to_file($file, $bytes);
	# Without a worker, which would write them at once.
	$crashing->append_conf('postgresql.conf', 'max_worker_processes = 0');
	$crashing->start;
	my $memory = sub { return sql("SELECT requests FROM revdesk.usage_in_memory('" . key_id(shift) . "')") };
	my $written = sub { return sql("SELECT max(requests) FROM revdesk.key_usage WHERE key_id = '" . key_id(shift) . "'") };
	my $top = '9223372036854775807';
	is($memory->('a0'), $top - 1, 'at 2^63 - 2');
	is($memory->('a1'), $top, 'at 2^64 - 2: the largest that there is');
	for my $key ('a0', 'a1')
	{
		is(authenticate($crashing, $key, 4), '', 'the key is accepted');
		is($memory->($key), $top, 'and counted no further');
	}
	$crashing->append_conf('postgresql.conf', 'max_worker_processes = 8');
	$crashing->restart;
	flush_now($crashing);
	is($written->($_), $top, "written: $_") for qw(a0 a1);
	my $b0 = counted($crashing, 'b0');
	authenticate($crashing, $_, 3) for qw(a0 b0);
	ok(flush_now($crashing), 'and again: one at its limit holds no other back');
	is($written->('a0'), $top, 'it stays where it is');
	is(counted($crashing, 'b0'), $b0 + 3, 'the others are counted');
	sql("SELECT revdesk_limit_key('" . key_id('b0') . "', NULL, quota => 1000000000000)");
	is(authenticate($crashing, 'b0'), '', 'the largest quota');
};

# Unknown keys take no room, and no flood of others makes that of a limit.
subtest 'C07, U06: shared memory full' => sub {
	$crashing->append_conf('postgresql.conf', 'revdesk.max_tracked_keys = 100');
	$crashing->restart;
	sql('DELETE FROM revdesk.key_usage');
	sql("SELECT revdesk_limit_key('" . key_id('a2') . "', 1, 'minute', 3)");
	is(() = authenticate($crashing, 'a2', 5) =~ /over its limit/g, 2, 'a key over its limit');
	my $entries = sql('SELECT count(*) FROM revdesk.usage_in_memory()');
	my $times = $ENV{REVDESK_GUESSES} // 20_000;
	query($crashing, 'postgres', <<"SQL");
DO \$\$
BEGIN
  FOR i IN 1..$times LOOP
    BEGIN PERFORM revdesk_authenticate('revdesk_' || md5(i::text)); EXCEPTION WHEN invalid_authorization_specification THEN NULL; END;
    BEGIN PERFORM revdesk_authenticate('@{[ token('a2') ]}'); EXCEPTION WHEN configuration_limit_exceeded THEN NULL; END;
    IF revdesk_scope() IS NOT NULL THEN
      RAISE WARNING 'let through';
    END IF;
  END LOOP;
END
\$\$
SQL
	my $after = sql('SELECT count(*) FROM revdesk.usage_in_memory()');
	cmp_ok($after, '<=', $entries + 1, "$times unknown keys take one entry");
	like(authenticate($crashing, 'a2'), qr/over its limit/, 'the key is still over its limit');

	# Known ones, until nothing is free.
	sql("INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id)
	  SELECT 'many', sha256(('revdesk_' || md5('k' || i))::bytea), 'organization', 'aaaaaaaa-0000-0000-0000-000000000000' FROM generate_series(1, 300) AS i");
	my (undef, $said) = query($crashing, 'postgres', join '', map { "SELECT revdesk_authenticate('revdesk_' || md5('k$_')) \\g /dev/null\n" } 1 .. 300);
	is($said, '', 'keys without limits are accepted past that');
	cmp_ok(sql('SELECT revdesk.usage_dropped()'), '>', 0, 'the table is full');
	sql("UPDATE revdesk.api_keys SET rate_limit = 5 WHERE name = 'many'");
	(undef, $said) = query($crashing, 'postgres', "SELECT revdesk_authenticate('revdesk_' || md5('k300'))");
	like($said, qr/no room to hold a key to its limits/, 'one with limits is refused');
	flush_now($crashing);
	like(authenticate($crashing, 'a2'), qr/over its limit/, 'making room does not make that of a limit');
};

subtest 'C08: no worker to be had' => sub {
	$crashing->append_conf('postgresql.conf', "revdesk.max_tracked_keys = 20000\n");
	# Another worker, of logical replication, comes first.
	for my $workers (1, 2)
	{
		flush_now($crashing);
		my $before = counted($crashing, 'c1');
		$crashing->append_conf('postgresql.conf', "max_worker_processes = $workers");
		$crashing->restart;
		is(authenticate($crashing, 'c1', 5), '', "max_worker_processes = $workers: keys are accepted");
		$crashing->reload;
		wait_for_worker($crashing, 'count(*) = ' . ($workers - 1));
		is(counted($crashing, 'c1'), $before + 5, "max_worker_processes = $workers: and counted");
		is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'revdesk'"), $workers - 1, "max_worker_processes = $workers: and so many are left");
		$crashing->append_conf('postgresql.conf', 'max_worker_processes = 8');
		$crashing->restart;
		ok(flush_now($crashing), 'written when there is one');
		is(counted($crashing, 'c1'), $before + 5, 'once');
	}
};

unlike(slurp_file($crashing->logfile), qr/PANIC|TRAP|was terminated by signal (?!9)/, 'no other crash');
$crashing->stop;

attack_begin('shared_preload_libraries = revdesk_auth');

attack 'C09', '3,000 failures in one transaction', <<'CASE';
su> GRANT pg_read_all_stats TO api
a> DO $$ BEGIN FOR i IN 1..100 LOOP BEGIN PERFORM revdesk_authenticate('revdesk_' || md5(i::text)); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
a> SELECT 'rows ' || count(*) FROM app.docs
a> SELECT sum(used_bytes) AS before FROM pg_backend_memory_contexts \gset
a> DO $$ BEGIN FOR i IN 1..3000 LOOP BEGIN PERFORM revdesk_authenticate('revdesk_' || md5(i::text)); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$
a> SELECT 'rows ' || count(*) FROM app.docs
a> SELECT 'no more: ' || (sum(used_bytes) - :before < 300000) FROM pg_backend_memory_contexts
su> REVOKE pg_read_all_stats FROM api
must rows 0
must no more: true
CASE

attack 'C09', '10,000 savepoints', sub {
	my ($node, $database) = @_;
	my $login = "SELECT revdesk_authenticate('" . token('a1') . "') \\g /dev/null\n";
	my $count = 'SELECT count(*) FROM app.docs;';
	query_ok($node, $database,
		"BEGIN;\nSAVEPOINT first;\n" . $login . "SAVEPOINT s;\n${login}" x 10_000 . "$count\nROLLBACK TO s;\n$count\nROLLBACK TO first;\n$count\nCOMMIT;\n$count",
		"10\n10\n0\n0", 'each shows what it should');
};

attack 'C12', 'parallel workers planned and not to be had', <<'CASE';
a> SET parallel_setup_cost = 0
a> SET parallel_tuple_cost = 0
a> SET min_parallel_table_scan_size = 0
su> ALTER TABLE app.registrations SET (parallel_workers = 2)
su> DO $$ DECLARE name text; BEGIN FOR name IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'app.registrations'::regclass LOOP EXECUTE 'DROP INDEX ' || name; END LOOP; END $$
a> SET max_parallel_workers = 0
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT body FROM app.registrations WHERE body ~ 'CANARY'
a> SELECT 'none: ' || count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.registrations WHERE body ~ 'CANARY'
a> SET LOCAL max_parallel_workers = 1
a> SELECT 'one: ' || count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.registrations WHERE body ~ 'CANARY'
a> COMMIT
must (?s)Workers Planned: 2\s+Workers Launched: 0
must none: 20\|B,B1
must one: 20\|B,B1
CASE

attack 'C14', 'cancelled in the middle', <<'CASE';
a> DO $$ DECLARE n int := 0; BEGIN FOR i IN 1..300 LOOP BEGIN SET LOCAL statement_timeout = '1ms'; PERFORM revdesk_authenticate('${KEY_A1}'), revdesk_deauthenticate() FROM generate_series(1, 100); EXCEPTION WHEN query_canceled THEN n := n + 1; END; END LOOP; END $$
a> SET statement_timeout = '1ms'
a> SELECT count(revdesk_authenticate('${KEY_A1}')), count(revdesk_deauthenticate()) FROM generate_series(1, 100000000)
a> SET statement_timeout = '20s'
a> SELECT 'rows ' || count(*) FROM app.docs
a> SELECT 'whole ' || ((current_setting('revdesk.tenant_id') = '') AND (current_setting('revdesk.scope') = '') AND NOT EXISTS (SELECT FROM revdesk_context()))
must 57014
must rows 0
must whole true
CASE

attack 'C15', 'recursion', <<'CASE';
su> SELECT 'policy', polrelid::regclass FROM pg_policy JOIN pg_depend ON classid = 'pg_policy'::regclass AND objid = pg_policy.oid AND refclassid = 'pg_proc'::regclass JOIN pg_proc ON pg_proc.oid = refobjid WHERE polrelid::regclass::text ~ '^revdesk\.' AND proname ~ '^revdesk'
su> SELECT revdesk_protect('revdesk.tenants', 'id')
su> CREATE FUNCTION app.again(uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM app.registrations WHERE tenant_id = $1); END $$
su> CREATE POLICY again ON app.registrations AS RESTRICTIVE USING (app.again(tenant_id))
su> CREATE POLICY again ON app.parts AS RESTRICTIVE USING (EXISTS (SELECT FROM app.parts AS p WHERE p.tenant_id = parts.tenant_id))
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT s
a> SELECT count(*) FROM app.registrations
a> ROLLBACK TO s
a> SELECT count(*) FROM app.parts
a> ROLLBACK TO s
a> SELECT 'still ' || count(*) FROM app.docs
a> ROLLBACK
must (?s)cannot protect "revdesk.tenants".*54001.*42P17.*still 10
mustnot (?m)^policy
CASE

attack_end;
