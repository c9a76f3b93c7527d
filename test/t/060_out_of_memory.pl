# Memory that is exhausted at any moment of an authentication, or of the first
# look at rows after it, costs the statement at most; no context is left, and
# what the caches lost by it is read again.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Libraries that make the n-th palloc() or malloc() fail.
my $faults = "$FindBin::RealBin/../fault";
system_or_bail('make', '-s', '-C', $faults, 'PG_CONFIG=' . ($ENV{PG_CONFIG} // 'pg_config'));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nautovacuum = off\njit = off");
{
	local $ENV{LD_PRELOAD} = "$faults/malloc.so";
	$node->start;
}
install_extension($node, 'postgres');
make_data($node, 'postgres');
$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION fault_arm(kind text, n integer) RETURNS void LANGUAGE c STRICT AS '$faults/fault';
CREATE FUNCTION fault_disarm() RETURNS boolean LANGUAGE c AS '$faults/fault';
CREATE FUNCTION fault_forget_caches() RETURNS void LANGUAGE c AS '$faults/fault';
SELECT revdesk_limit_key(id, rate_limit => 1000000) FROM revdesk.api_keys WHERE name = 'key a1';

-- What an action sees when the n-th allocation fails, if it goes on.
CREATE FUNCTION exhaust(kind text, n integer, cold boolean, action text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
  seen text;
BEGIN
  IF cold THEN
    PERFORM fault_forget_caches();
  END IF;
  PERFORM fault_arm(kind, n);
  EXECUTE action INTO seen;
  PERFORM fault_arm(kind, 0);
  RETURN 'seen ' || seen;
END
\$\$;
SQL

my %expected = (a1 => 10, a0 => 30, c1 => 30, af => 30);
my $count = 'SELECT count(*) FROM app.docs';
my $total = 0;

my $verbose = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n";

# The errors among what psql complains of, other than of memory.  OpenSSL does
# not say what it lacks.
sub other_errors
{
	my @errors = grep { /(?:ERROR|FATAL|PANIC|WARNING):  |server|connection/ } split /\n/, shift;
	return join "\n", grep { !/ERROR:  (?:53200: out of memory|XX000: could not compute SHA-256: )/ } @errors;
}

# exhaust_all NAME, KIND, KEY, COLD, STEP, ACTION [, BEFORE]: let the n-th
# allocation of an action fail, for n = 1, 1 + STEP... until none does.
#
# Each is a transaction of its own: PostgreSQL's lock manager does not survive
# being out of memory in one subtransaction and used again in the next.
sub exhaust_all
{
	my ($name, $kind, $key, $cold, $step, $action, $before) = @_;
	$before //= '';
	my $authenticate = "SELECT revdesk_authenticate('" . token($key) . "')";
	my ($points, $n, $wrong, $fired) = (0, 1, '', 1);
	while ($fired && $wrong eq '' && $n < 100_000)
	{
		my $script = $verbose;
		for (1 .. 100)
		{
			$script .= "BEGIN;\n$before" . "SELECT exhaust('$kind', $n, $cold, \$\$$action\$\$);\nROLLBACK;\n"
			  . "SELECT fault_disarm(), count(*) FROM revdesk_context();\n"
			  . "BEGIN;\n$authenticate \\g /dev/null\n$count;\nCOMMIT;\n";
			$n += $step;
		}
		my ($stdout, $stderr) = query($node, 'postgres', $script);
		# Without an error the action saw what there is; then no context is
		# left; then a new transaction sees all.
		while ($stdout =~ s/\A(?:seen (?:\Q$expected{$key}\E)?\n)?([tf])\|0\n\Q$expected{$key}\E(?:\n|\z)//)
		{
			$fired = $1 eq 't';
			last unless $fired;
			$points++;
		}
		$wrong = "not so: $stdout" if $fired && $stdout ne '';
		$wrong .= other_errors($stderr);
	}
	is(substr($wrong, 0, 1000) . ($points > 0 ? 'some' : 'no') . ' points', 'some points', "threat C06: $kind, $name: $points points");
	$total += $points;
	return;
}

my $all = $ENV{REVDESK_SOAK};
for my $kind (qw(palloc malloc))
{
	my $step = $kind eq 'malloc' || $all ? 1 : 31;
	for my $key (qw(a1 a0 c1 af))
	{
		my $authenticate = "SELECT revdesk_authenticate('" . token($key) . "')";
		exhaust_all("key $key, caches filled", $kind, $key, 'false', 1, $authenticate);
		exhaust_all("key $key, caches empty", $kind, $key, 'true', $step, $authenticate);
		next if $key eq 'af';

		exhaust_all("rows of key $key, caches filled", $kind, $key, 'false', $kind eq 'palloc' && !$all ? 5 : 1, $count, "$authenticate \\g /dev/null\n");
		exhaust_all("rows of key $key, caches empty", $kind, $key, 'true', 7 * $step, $count, "$authenticate \\g /dev/null\n");
		# The predicate itself, which the planner has not replaced.
		exhaust_all("predicate of key $key", $kind, $key, 'true', $step,
			"SELECT $expected{$key} WHERE revdesk_scope_visible(revdesk_tenant_id(), revdesk_user_id(), NULL)",
			"$authenticate \\g /dev/null\n");
	}
}

# In savepoints, the context is the one before.
my ($stdout, $stderr) = query($node, 'postgres', <<"SQL");
BEGIN;
SELECT revdesk_authenticate('@{[token('af')]}') \\g /dev/null
SELECT revdesk_deauthenticate() \\g /dev/null
DO \$\$
DECLARE
  points integer := 0;
  fired boolean := true;
BEGIN
  WHILE fired LOOP
    BEGIN
      PERFORM fault_arm('palloc', points + 1);
      PERFORM revdesk_authenticate('@{[token('af')]}');
      fired := fault_disarm();
      PERFORM revdesk_deauthenticate();
    EXCEPTION WHEN out_of_memory THEN
      fired := fault_disarm();
    END;
    IF revdesk_scope() IS NOT NULL THEN
      RAISE EXCEPTION 'a context after point %', points + 1;
    END IF;
    points := points + 1;
  END LOOP;
  RAISE NOTICE 'points %', points - 1;
END
\$\$;
COMMIT;
SQL
like($stderr, qr/\Apsql:<stdin>:\d+: NOTICE:  points [1-9]\d*\Z/, 'in savepoints') or diag($stderr);
$total += ($stderr =~ /points (\d+)/)[0] // 0;

# The first authentication of a connection, which also makes the hashing context.
my ($fresh, $fired, $wrong) = (-1, 't', '');
while ($fired eq 't' && $wrong eq '' && $fresh < 10_000)
{
	$fresh++;
	my $again = "BEGIN;\nSELECT revdesk_authenticate('" . token('a0') . "') \\g /dev/null\n$count;\nCOMMIT;\n";
	my ($stdout, $stderr) = query($node, 'postgres', $verbose
		. "SELECT fault_arm('malloc', $fresh + 1), revdesk_authenticate('" . token('a0') . "'), fault_arm('malloc', 0) \\g /dev/null\nSELECT fault_disarm();\n$again$again");
	($fired, my @counts) = split /\n/, $stdout;
	my $others = other_errors($stderr);
	$wrong = "$fresh: @counts $others" unless "@counts$others" eq '30 30';
}
is($wrong, '', 'malloc, first of a connection');
cmp_ok($fresh, '>', 10, "malloc, first of a connection: $fresh points");
$total += $fresh;

is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND locktype IN ('relation', 'transactionid', 'advisory')"), '0', 'threat C06: no lock is left');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP:|FATAL/, 'threat C06: no backend was lost');
note("counted $total allocations failed");
$node->stop;
# PostgreSQL describes all of its memory there each time.
unlink $node->logfile if Test::More->builder->is_passing;
done_testing();
