# A storm of timeouts, cancellations, terminations and kills, at any moment: a
# transaction has the whole context or none, the next has none, nothing is stuck.
#
# REVDESK_SOAK_STORM: how many cancellations (default: 400).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $storm = $ENV{REVDESK_SOAK_STORM} // 400;
my ($terminations, $kills) = (int($storm / 10), 2 + int($storm / 500));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrestart_after_crash = on\nlog_statement = none");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

# Clients: transactions under a key, statement timeouts among them.  The context
# is looked at in the transaction and after it.
my $look = "SELECT concat_ws(' ', revdesk_scope(), revdesk_access(), revdesk_tenant_id(), (SELECT count(*) FROM app.docs));\n";
my $script = '';
for my $i (1 .. 200)
{
	$script .= 'SET statement_timeout = ' . ($i % 4 == 0 ? $i % 5 + 1 : 0) . ";\nBEGIN;\nSELECT revdesk_authenticate('" . token('b0') . "') \\g /dev/null\n$look";
	$script .= "SELECT count(revdesk_authenticate('" . token('b0') . "')), count(revdesk_deauthenticate()) FROM generate_series(1, 2000) \\g /dev/null\n$look" if $i % 4 == 0;
	$script .= "COMMIT;\n$look";
}
my %allowed = map { $_ => 1 } 'organization write bbbbbbbb-0000-0000-0000-000000000000 20', '0';
my $expected_error = qr/ERROR:  (?:57014|25P02): |FATAL:  (?:57P0[123]: |terminating connection )|WARNING:  (?:57P02|25P01): /;

# A client runs until the file "stop" is there, or nobody to make it, and writes
# down what is wrong.
my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/script", $script);
my $parent = $$;
sub run_client
{
	my $looks = 0;
	until (-e "$folder/stop" || getppid != $parent)
	{
		my ($stdout, $stderr) = ('', '');
		IPC::Run::run([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres') . ' user=api', '-v', 'VERBOSITY=verbose', '-f', "$folder/script" ],
			'<', \undef, '>', \$stdout, '2>', \$stderr);
		my @wrong = grep { !$allowed{$_} } split /\n/, $stdout;
		push @wrong, grep { /(?:ERROR|FATAL|PANIC|WARNING): / && !/$expected_error/ } split /\n/, $stderr;
		$looks += () = $stdout =~ /^organization/mg;
		# While the server recovers, it lets nobody in.
		@wrong = grep { !/connection to server.* failed: FATAL:  the database system is/ } @wrong;
		append_to_file("$folder/wrong", "$_\n") for @wrong;
	}
	append_to_file("$folder/looks", "$looks\n");
	return 1;
}

my @clients;
for (1 .. 4)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		# Not exit(): what ends this file is the parent's.
		eval { run_client() } or POSIX::_exit(1);
		POSIX::_exit(0);
	}
	push @clients, $pid;
}

# Shots at one of the clients' backends each, at moments a few milliseconds apart.
sub shoot
{
	my ($function, $times, $pause) = @_;
	return $node->safe_psql('postgres', <<"SQL");
CREATE TEMP TABLE hits AS SELECT FROM pg_class LIMIT 0;
DO \$\$
BEGIN
  FOR i IN 1..$times LOOP
    INSERT INTO hits SELECT FROM (SELECT pid FROM pg_stat_activity WHERE usename = 'api' ORDER BY random() LIMIT 1) AS a WHERE $function(a.pid);
    PERFORM pg_stat_clear_snapshot(), pg_sleep(random() * $pause);
  END LOOP;
END
\$\$;
SELECT count(*) FROM hits;
SQL
}

my $cancelled = shoot('pg_cancel_backend', $storm, 0.004);
cmp_ok($cancelled, '>=', $storm / 2, 'cancellations');
my $terminated = shoot('pg_terminate_backend', $terminations, 0.04);
cmp_ok($terminated, '>=', $terminations / 2, 'terminations');
my $killed = 0;
for my $round (1 .. $kills)
{
	wait_until($node, 'postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'api' AND state = 'active'") or die 'no client is active';
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE usename = 'api' ORDER BY random() LIMIT 1");
	$killed += kill 'KILL', $pid;
	# Everybody is sent away, and let in again.
	wait_until($node, 'postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)") or die 'the server does not come back';
}
ok(wait_until($node, 'postgres', 'SELECT true'), 'kills');
my $ended = () = slurp_file($node->logfile) =~ /terminated by signal 9/g;
is($ended, $killed, 'each was one');

append_to_file("$folder/stop", '');
is(waitpid($_, 0) == $_ && $?, 0, 'a client ran to the end') for @clients;
is(-e "$folder/wrong" ? substr(slurp_file("$folder/wrong"), 0, 2000) : '', '', 'a whole context or none, and none after the transaction');
my $looks = 0;
$looks += $_ for split /\n/, slurp_file("$folder/looks");
cmp_ok($looks, '>', 100, "of $looks transactions that went on");
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_locks WHERE NOT granted'), '0', 'nobody waits for a lock');
query_ok($node, 'postgres', as_key('b0', 'SELECT count(*) FROM app.docs'), '20', 'the next one works');
my @crashes = slurp_file($node->logfile) =~ /terminated by signal (\d+)/g;
is_deeply([ grep { $_ != 9 } @crashes ], [], 'no backend was lost but those that were killed');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|stuck spinlock/, 'no panic');
note("counted $cancelled cancellations");
note("counted $terminated terminations");
note("counted $killed kills (SIGKILL)");
note("counted $looks transactions that went on");
$node->stop;
done_testing();
