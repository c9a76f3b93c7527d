# Attacks P: processes that die, servers that stop, memory, workers and clocks
# that fail.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = attack_begin('shared_preload_libraries = revdesk_auth', 'restart_after_crash = on', 'revdesk.flush_interval = 3600', 'autovacuum = off');

my $count = 'SELECT count(*) FROM app.docs';
my $requests = "SELECT COALESCE((SELECT sum(requests) FROM revdesk.key_usage), 0) + COALESCE((SELECT sum(requests) FROM revdesk.usage_in_memory()), 0)";

sub login { return "SELECT revdesk_authenticate('" . token(shift) . "') \\g /dev/null\n" }

# What holds after every fault: keys open what they opened, and nobody sees nothing.
sub in_order
{
	my ($attacked, $database, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	query_ok($attacked, $database, as_key('a1', $count) . as_key('b0', $count) . $count, "10\n20\n0", "$name: keys and policies are in order");
	refused($attacked, $database, 'ee', "$name: and no other key");
	return;
}

# Let the launcher write what is counted, and wait until it has.
sub flush
{
	my ($attacked, $database) = @_;
	$attacked->reload;
	return wait_until($attacked, $database, "SELECT NOT EXISTS (SELECT FROM revdesk.usage_in_memory() WHERE requests > 0)");
}

sub pid_of
{
	my ($attacked, $condition) = @_;
	my $query = "SELECT pid FROM pg_stat_activity WHERE $condition LIMIT 1";
	wait_until($attacked, 'postgres', "SELECT EXISTS ($query)") or die "no process: $condition\n";
	return $attacked->safe_psql('postgres', $query);
}

# kill -9, and wait until the server is up again.
sub kill_9
{
	my ($attacked, $pid) = @_;
	my $bystander = Fixture::Session->new($attacked, 'postgres');
	$bystander->start('SELECT pg_sleep(300)');
	kill KILL => $pid;
	$bystander->result;                      # the postmaster ends every backend
	eval { $bystander->quit };
	wait_until($attacked, 'postgres', 'SELECT true') or die "the server is not up again\n";
	return;
}

attack 'P1', 'kill -9 in an authentication, in the counter, in the worker', sub {
	my ($attacked, $database) = @_;
	query($attacked, $database, login('a1') x 5);
	flush($attacked, $database);

	my $lock = Fixture::Session->new($attacked, $database, 'postgres');
	$lock->query('BEGIN; LOCK TABLE revdesk.api_keys');
	my $victim = Fixture::Session->new($attacked, $database);
	$victim->start(login('a1'));
	kill_9($attacked, pid_of($attacked, "datname = '$database' AND wait_event_type = 'Lock'"));
	eval { $_->quit } for $lock, $victim;
	in_order($attacked, $database, 'in an authentication');
	flush($attacked, $database);
	my $before = $attacked->safe_psql($database, $requests);

	$victim = Fixture::Session->new($attacked, $database);
	$victim->start("DO \$\$ BEGIN LOOP PERFORM revdesk_authenticate('" . token('a1') . "'); PERFORM revdesk_deauthenticate(); END LOOP; END \$\$");
	wait_until($attacked, $database, "SELECT ($requests) > $before + 100");
	kill_9($attacked, pid_of($attacked, "datname = '$database' AND query LIKE 'DO %'"));
	eval { $victim->quit };
	cmp_ok($attacked->safe_psql($database, $requests), '>=', $before, 'in the counter: what was flushed is there');
	in_order($attacked, $database, 'in the counter');

	flush($attacked, $database);
	$before = $attacked->safe_psql($database, $requests);
	$lock = Fixture::Session->new($attacked, $database, 'postgres');
	$lock->query('BEGIN; LOCK TABLE revdesk.key_usage');
	query($attacked, $database, login('a1') x 3);
	$attacked->reload;
	kill_9($attacked, pid_of($attacked, "backend_type = 'revdesk_auth usage worker' AND wait_event_type = 'Lock'"));
	eval { $lock->quit };
	is($attacked->safe_psql($database, $requests), $before, 'in the worker: its counts are lost, those before are there');
	in_order($attacked, $database, 'in the worker');
	ok(flush($attacked, $database), 'and the next flush goes through');
	is($attacked->safe_psql($database, $requests), $before + 2, 'with the counts since, once');
};

attack 'P2', 'an immediate shutdown', sub {
	my ($attacked, $database) = @_;
	query($attacked, $database, login('a1') x 3);
	flush($attacked, $database);
	query($attacked, $database, login('a1') x 4);
	my $session = Fixture::Session->new($attacked, $database);
	$session->query("BEGIN;\n" . login('b0') . "DELETE FROM app.docs");
	$attacked->stop('immediate');
	eval { $session->quit };
	$attacked->start;
	like($attacked->safe_psql($database, $requests), qr/^[3-8]$/, 'of 3 counts that were flushed and 5 that were not, the 3 are there, and none twice');
	in_order($attacked, $database, 'restarted');
	is($attacked->safe_psql($database, 'SELECT count(*) FROM revdesk.api_keys'), '9', 'all keys');
};

attack 'P3', 'the shared table full, no memory, no worker', sub {
	my ($attacked, $database) = @_;
	$attacked->append_conf('postgresql.conf', "revdesk.max_tracked_keys = 100\nmax_worker_processes = 1");
	$attacked->restart;
	$attacked->safe_psql($database, <<"SQL");
INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id, rate_limit)
SELECT i, sha256(('revdesk_' || md5(i::text))::bytea), 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', CASE i WHEN 150 THEN 1000 END
FROM generate_series(1, 150) AS i
SQL
	my (undef, $stderr) = query($attacked, $database, join '', map { "SELECT revdesk_authenticate('revdesk_' || md5('$_')) \\g /dev/null\n" } 1 .. 149);
	is($stderr, '', 'full: 149 keys without limits are accepted');
	cmp_ok($attacked->safe_psql('postgres', "SELECT 1") && $attacked->safe_psql($database, 'SELECT revdesk.usage_dropped()'), '>=', 49, 'and what is not counted is told');
	(undef, $stderr) = query($attacked, $database, "\\set VERBOSITY verbose\nSELECT revdesk_authenticate('revdesk_' || md5('150'))");
	like($stderr, qr/53400: no room to hold a key to its limits.*HINT:.*max_tracked_keys/s, 'a key with limits is refused, with the reason');
	$attacked->reload;
	in_order($attacked, $database, 'no worker to be had');

	# A backend that gets no more memory from the system, at one point after another.
	my ($fine, $refused, $wrong, $felt) = (0, 0, 0, 0);
	for my $room (0, 16, 48, 96, 160, 256, 512, 1024, 2048)
	{
		my $session = Fixture::Session->new($attacked, $database);
		my $pid = $session->query('SELECT pg_backend_pid()');
		my ($size) = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m;
		system_or_bail('prlimit', "--pid=$pid", '--as=' . 1024 * ($size + $room) . ':');
		my $answer = $session->query("BEGIN;\nSELECT revdesk_authenticate('" . token('a1') . "');\nSELECT 'tenant ' || concat(revdesk_tenant_id());\nCOMMIT");
		$fine++ if $answer =~ /tenant aaaaaaaa-0000-0000-0000-000000000001/ && $answer !~ /ERROR/;
		$refused++ if $answer =~ /out of memory|could not load|failed to map/i;
		$wrong++ if $answer =~ /tenant [^a]/;
		$felt++ if $session->query("SELECT length(repeat('x', 100000000))") =~ /out of memory/;
		system('prlimit', "--pid=$pid", '--as=unlimited:');
		my $rows = $session->query("BEGIN;\n" . login('a1') . "$count;\nCOMMIT;\n$count");
		is($rows, "10\n0", "memory again after $room kB") if $session->{run}->pumpable;
		eval { $session->quit };
	}
	ok($fine + $refused == 9, "no memory: $fine times accepted, $refused times refused, nothing between");
	is($felt, 9, 'there was none to be had');
	is($wrong, 0, 'and never a context by half');
	in_order($attacked, $database, 'no memory');
	$attacked->append_conf('postgresql.conf', "revdesk.max_tracked_keys = 20000\nmax_worker_processes = 16");
	$attacked->restart;
};

# The clock of a server of its own, moved by libfaketime; that clock which
# nobody can set stays.
attack 'P5', 'a clock that is set forth and back', sub {
	my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1' or die "libfaketime is not installed\n";
	my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
	my $set = sub { open my $file, '>', $clock or die "$clock: $!\n"; print {$file} "$_[0]\n"; close $file };
	$set->('+0');
	my $server = PostgreSQL::Test::Cluster->new('clock');
	$server->init;
	$server->append_conf('postgresql.conf', "shared_preload_libraries = revdesk_auth\nautovacuum = off");
	{
		local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => $clock, FAKETIME_NO_CACHE => 1, FAKETIME_DONT_FAKE_MONOTONIC => 1, DONT_FAKE_MONOTONIC => 1);
		$server->start;
	}
	$server->safe_psql('postgres', 'CREATE DATABASE clock');
	install_extension($server, 'clock');
	make_data($server, 'clock');
	my $moved = sub { $set->(shift); return wait_until($server, 'clock', "SELECT clock_timestamp() " . shift) };
	my $start = $server->safe_psql('clock', 'SELECT clock_timestamp()');
	my $accepted = sub { my $key = shift; return (query($server, 'clock', login($key)))[1] eq '' };
	# Within seconds, however far the clock was moved.
	my $soon = sub { my $key = shift; for (1 .. 100) { return 1 if $accepted->($key); sleep 0.1 } return 0 };

	$server->safe_psql('clock', "SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000a0', 20, 'second', 2)");
	$server->safe_psql('clock', "SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000b0', NULL, quota => 2)");
	$server->safe_psql('clock', "UPDATE revdesk.api_keys SET expires_at = clock_timestamp() + interval '1 hour' WHERE name = 'key a1'");
	query($server, 'clock', login('a0') x 4);
	query($server, 'clock', login('b0') x 4);
	ok(!$accepted->('b0'), 'the quota of today is used up');
	for my $shift ([ '+3d', "> timestamptz '$start' + interval '2 days'" ], [ '-3d', "< timestamptz '$start' - interval '2 days'" ], [ '-4y', "< timestamptz '$start' - interval '3 years'" ], [ '+0', "> timestamptz '$start' - interval '1 minute'" ])
	{
		ok($moved->(@$shift), "clock set to $shift->[0]");
		ok($soon->('a0'), "$shift->[0]: a rate locks nobody out");
		ok($accepted->('b0'), "$shift->[0]: another day has a quota of its own");
		query($server, 'clock', login('b0') x 4);
		is($accepted->('a1'), $shift->[0] ne '+3d', "$shift->[0]: expiry is held against the clock as it is");
		query($server, 'clock', login('a0') x 4);
	}
	unlike(slurp_file($server->logfile), qr/PANIC|TRAP|terminated by signal/, 'the server does not mind');
	$server->stop;
};

attack 'P6', 'a pooler in transaction mode, and a client that dies in a transaction', sub {
	my ($attacked, $database) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	append_to_file("$folder/pgbouncer.ini", join "\n", '[databases]', "pooled = host=@{[ $attacked->host ]} port=@{[ $attacked->port ]} dbname=$database user=api",
		'[pgbouncer]', 'listen_addr =', "listen_port = 6432", "unix_socket_dir = $folder", 'auth_type = any', 'pool_mode = transaction', 'default_pool_size = 1',
		'ignore_startup_parameters = extra_float_digits', "logfile = $folder/log", "pidfile = $folder/pid", '');
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	system_or_bail('pgbouncer', '-q', '-d', "$folder/pgbouncer.ini");
	my $connection = "host=$folder port=6432 dbname=pooled user=api";
	my $first = Fixture::Session->connect($attacked, $connection);
	my $second = Fixture::Session->connect($attacked, $connection);
	my $pid = $first->query('SELECT pg_backend_pid()');
	is($second->query('SELECT pg_backend_pid()'), $pid, 'two clients, one connection');
	is($first->query("BEGIN;\n" . login('b0') . "$count;\nCOMMIT"), '20', 'the first acts for B');
	is($second->query("$count;\nSELECT revdesk_scope() IS NULL"), "0\nt", 'the second for nobody');
	is($first->query("SET revdesk.tenant_id = 'x'") =~ /ERROR/ && $second->query("BEGIN;\n" . login('a1') . "$count;\nROLLBACK"), '10', 'and then for A1');
	is($first->query($count), '0', 'the first for nobody again');

	$first->query("BEGIN;\n" . login('b0') . "DECLARE c CURSOR FOR SELECT body FROM app.docs;\nDELETE FROM app.docs");
	$first->{run}->signal('KILL');
	is($second->query("$count;\nSELECT revdesk_scope() IS NULL"), "0\nt", 'the first dies in its transaction: the second acts for nobody');
	like($second->query('FETCH c'), qr/ERROR/, 'has no cursor of it');
	is($second->query("BEGIN;\n" . login('b0') . "$count;\nCOMMIT"), '20', 'and what it did is undone');
	eval { $first->quit };
	$second->quit;
	kill TERM => slurp_file("$folder/pid") + 0;
	wait_until($attacked, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$database')");
};

attack 'P7', 'databases and extensions that go while the worker is at work', sub {
	my ($attacked, $database) = @_;
	my $offset = -s $attacked->logfile;
	$attacked->safe_psql('postgres', 'CREATE DATABASE doomed TEMPLATE template');
	my $worker_waits = sub {
		my $lock = Fixture::Session->new($attacked, 'doomed', 'postgres');
		$lock->query('BEGIN; LOCK TABLE revdesk.key_usage');
		query($attacked, 'doomed', login('a1') x 3);
		$attacked->reload;
		pid_of($attacked, "backend_type = 'revdesk_auth usage worker' AND wait_event_type = 'Lock'");
		return $lock;
	};
	my $lock = $worker_waits->();
	my $dropper = Fixture::Session->new($attacked, 'doomed', 'postgres');
	$dropper->start('SET client_min_messages = error; DROP EXTENSION revdesk_auth CASCADE');
	wait_until($attacked, 'postgres', "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted");
	$lock->query('COMMIT');
	is($dropper->result, '', 'DROP EXTENSION waits for the worker');
	is($attacked->safe_psql('doomed', "SELECT count(*) FROM pg_extension WHERE extname = 'revdesk_auth'"), '0', 'and it is gone');
	eval { $_->quit } for $lock, $dropper;
	$attacked->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');

	$attacked->safe_psql('postgres', 'CREATE DATABASE doomed TEMPLATE template');
	$lock = $worker_waits->();
	$attacked->safe_psql('postgres', 'DROP DATABASE doomed WITH (FORCE)');
	eval { $lock->quit };
	for (1 .. 3)
	{
		query($attacked, $database, login('a1'));
		ok(flush($attacked, $database), 'flushes go on elsewhere');
	}
	wait_until($attacked, 'postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher'");
	my @errors = grep { /(?:ERROR|FATAL|exited with)/ && !/administrator command/ } split /\n/, slurp_file($attacked->logfile, $offset);
	cmp_ok(scalar(grep { /usage/ } @errors), '<=', 2, 'no loop of errors') or diag(join "\n", @errors);
};

attack 'P21', 'a crash between PREPARE TRANSACTION and COMMIT PREPARED', sub {
	my ($attacked, $database) = @_;
	query($attacked, $database, "BEGIN;\n" . login('b0') . "INSERT INTO app.docs (tenant_id) VALUES (revdesk_tenant_id());\nPREPARE TRANSACTION 'crash'");
	$attacked->stop('immediate');
	$attacked->start;
	my ($stdout, $stderr) = query($attacked, $database, "$count;\nCOMMIT PREPARED 'crash';\n$count;\nSELECT revdesk_scope() IS NULL");
	is("$stdout$stderr", "0\n0\nt", 'recovered and committed: by nobody, for nobody');
	query_ok($attacked, $database, as_key('b0', $count) . as_key('a1', $count), "21\n10", 'and B has its row');
};

attack 'P22', 'a crash after a revocation was committed, and before', sub {
	my ($attacked, $database) = @_;
	my $open = Fixture::Session->new($attacked, $database, 'postgres');
	$open->query("BEGIN; SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000b0')");
	$attacked->safe_psql($database, "SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2'); SELECT revdesk_suspend_tenant('bbbbbbbb-0000-0000-0000-000000000001')");
	my $pid = $open->query('SELECT pg_backend_pid()');
	kill_9($attacked, $pid);
	eval { $open->quit };
	refused($attacked, $database, 'a2', 'a key whose revocation was committed');
	refused($attacked, $database, 'b1', 'a key of a tenant whose suspension was committed');
	query_ok($attacked, $database, as_key('b0', $count), '20', 'a revocation that was not never happened');
};

attack 'P23', 'the file of the counters: garbage, cut short, a folder', sub {
	my ($attacked, $database) = @_;
	my $path = $attacked->data_dir . '/pg_stat/revdesk_auth.stat';
	query($attacked, $database, login('a1') x 3);
	$attacked->stop;
	ok(-s $path, 'a clean shutdown leaves the file');
	my $true = slurp_file($path);
	for my $case ([ 'garbage', 'x' x 5000 ], [ 'empty', '' ], [ 'cut short', substr($true, 0, length($true) - 7) ], [ 'all ones after its head', substr($true, 0, 8) . "\xff" x 4096 ])
	{
		open my $file, '>:raw', $path or die "$path: $!\n";
		print {$file} $case->[1];
		close $file;
		$attacked->start;
		in_order($attacked, $database, $case->[0]);
		$attacked->stop;
	}
	unlink $path;
	mkdir $path or die "$path: $!\n";
	$attacked->start;
	in_order($attacked, $database, 'a folder');
	$attacked->stop;
	rmdir $path;
	$attacked->start;
};

attack 'P24', 'a client that vanishes in a transaction', sub {
	my ($attacked, $database) = @_;
	my $client = Fixture::Session->new($attacked, $database);
	$client->query("BEGIN;\n" . login('b0') . "UPDATE app.docs SET amount = 0");
	$client->{run}->signal('KILL');
	eval { $client->quit };
	ok(wait_until($attacked, $database, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '$database' AND usename = 'api')"), 'its backend ends');
	query_ok($attacked, $database, as_key('b0', 'UPDATE app.docs SET amount = amount; SELECT min(amount) FROM app.docs') . $count, "1\n0", 'nothing is locked, nothing done');
};

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal (?!9\b)\d/, 'no crash but those that were made');
$node->stop;
done_testing();
