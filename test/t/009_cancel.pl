# A cancelled authentication leaves a whole context or none, and thousands of
# failures in one transaction, or savepoints around them, cost no memory.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

my $count = 'SELECT count(*) FROM app.docs';
my $whole = "SELECT count(*) FILTER (WHERE v IS NULL OR v = '') IN (0, 5) FROM (VALUES (revdesk_scope()), (revdesk_tenant_id()::text), (revdesk_key_id()::text), "
  . "(revdesk_access()), (current_setting('revdesk.scope'))) AS t(v)";

# Timeouts of 1 ms against loops of authentications, in blocks and at top level.
my ($stdout, $stderr) = query($node, 'postgres', <<"SQL");
DO \$\$
DECLARE
  cancelled integer := 0;
  done bigint := 0;
  broken integer := 0;
BEGIN
  FOR i IN 1..300 LOOP
    BEGIN
      SET LOCAL statement_timeout = '1ms';
      -- A new deadline for each turn: the timer starts with a statement, so
      -- turns are cut short by hand as well.
      FOR j IN 1..50 LOOP
        PERFORM revdesk_authenticate('@{[token('a1')]}');
        done := done + 1;
        PERFORM revdesk_deauthenticate();
      END LOOP;
    EXCEPTION WHEN query_canceled THEN
      cancelled := cancelled + 1;
    END;
    IF NOT ($whole) OR revdesk_scope() IS NOT NULL THEN
      broken := broken + 1;
    END IF;
  END LOOP;
  SET LOCAL statement_timeout = 0;
  RAISE NOTICE 'broken %', broken;
END
\$\$;
$count;
$whole;
SQL
like($stderr, qr/NOTICE:  broken 0/, 'a timeout in a block: a whole context or none');
is($stdout, "0\nt", 'and nothing left');

my $script = "SET statement_timeout = '1ms';\n";
my $loop = "SELECT count(revdesk_authenticate('" . token('b0') . "')), count(revdesk_deauthenticate()) FROM generate_series(1, 20000000)";
$script .= "BEGIN;\n$loop;\n$count;\nCOMMIT;\n$count;\n$whole;\n" for 1 .. 100;
($stdout, $stderr) = query($node, 'postgres', $script);
my $timeouts = () = $stderr =~ /canceling statement due to statement timeout/g;
cmp_ok($timeouts, '>=', 90, 'timeouts at top level strike');
unlike($stdout, qr/[2-9]|f/, 'and leave nothing');

# Wait until a backend is in the middle of the loop.
sub wait_until_active
{
	my $pid = shift;
	wait_until($node, 'postgres',
		"SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid AND query LIKE 'SELECT count(revdesk_authenticate%'")
	  or die 'the backend does not run the loop';
	return;
}

# pg_cancel_backend from outside, in the middle of a transaction with savepoints.
{
	my $session = Fixture::Session->new($node, 'postgres');
	my $pid = $session->query('SELECT pg_backend_pid()');
	for my $turn (1 .. 20)
	{
		$session->query("BEGIN;\nSELECT revdesk_authenticate('" . token('b0') . "');\nSAVEPOINT s");
		$session->send($loop);
		wait_until_active($pid);
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		my $after = $session->query("ROLLBACK TO s;\n$count;\nCOMMIT;\n$count");
		last unless like($after, qr/20\n0$/, "cancelled from outside, $turn: the savepoint's context, then none");
	}
	$session->quit;
}

# Terminated in the middle: the server goes on.
for my $turn (1 .. 5)
{
	my $session = Fixture::Session->new($node, 'postgres');
	my $pid = $session->query('SELECT pg_backend_pid()');
	$session->send("BEGIN;\n$loop");
	wait_until_active($pid);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
	eval { $session->{run}->finish };
}
query_ok($node, 'postgres', as_key('a1', $count), '10', 'after backends were terminated');

# Memory, of the backend as a whole, after a first round that fills the caches.
my $memory = 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts';
$node->safe_psql('postgres', 'GRANT pg_read_all_stats TO api; GRANT EXECUTE ON FUNCTION pg_get_backend_memory_contexts() TO api; GRANT SELECT ON pg_backend_memory_contexts TO api');

# In each: statements before, a statement that is run again and again in one
# transaction, and how often.
my %loads = (
	'failures' => [ '', "BEGIN PERFORM revdesk_authenticate('revdesk_' || lpad(to_hex(i), 32, '0')); EXCEPTION WHEN invalid_authorization_specification THEN NULL; END", 3000 ],
	'malformed keys' => [ '', "BEGIN PERFORM revdesk_authenticate('bad' || i); EXCEPTION WHEN invalid_authorization_specification THEN NULL; END", 3000 ],
	'large malformed keys' => [ '', "BEGIN PERFORM revdesk_authenticate(repeat('x', 100000)); EXCEPTION WHEN invalid_authorization_specification THEN NULL; END", 1000 ],
	'successes' => [ '', "PERFORM revdesk_authenticate('" . token('c1') . "'); PERFORM revdesk_deauthenticate()", 20000 ],
	'successes in savepoints' => [ '', "BEGIN PERFORM revdesk_authenticate('" . token('a0') . "'); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END", 5000 ],
	'the same key again' => [ "PERFORM revdesk_authenticate('" . token('a1') . "')", "PERFORM revdesk_authenticate('" . token('a1') . "')", 20000 ],
	'scope that alternates' => [ '', "PERFORM revdesk_authenticate('" . token('a1') . "'); PERFORM count(*) FROM app.docs; PERFORM revdesk_deauthenticate(); "
		  . "PERFORM revdesk_authenticate('" . token('c1') . "'); PERFORM count(*) FROM app.docs; PERFORM revdesk_deauthenticate()", 1000 ],
	'keys of networks' => [ '', "BEGIN PERFORM revdesk_authenticate('" . token('b1') . "'); EXCEPTION WHEN invalid_authorization_specification THEN NULL; END", 3000 ]);
$node->safe_psql('postgres',
	"UPDATE revdesk.api_keys SET allowed_networks = (SELECT array_agg(format('10.%s.%s.0/24', i / 200, i % 200)::cidr) FROM generate_series(1, 1000) AS i) WHERE name = 'key b1'");
for my $load (sort keys %loads)
{
	my ($before, $statement, $times) = @{ $loads{$load} };
	$before .= ';' if $before ne '';
	# The memory is looked at within the transaction, when it is at its most.
	my $round = sub {
		my $n = shift;
		return "DO \$\$ BEGIN $before FOR i IN 1..$n LOOP $statement; END LOOP; RAISE NOTICE 'memory %', ($memory); END \$\$;\n";
	};
	my (undef, $said) = query($node, 'postgres', "SET work_mem = '4MB';\n" . $round->(100) . $round->(100) . $round->($times));
	my @bytes = $said =~ /memory (\d+)/g;
	is(scalar(@bytes), 3, "$load: three rounds") or diag($said);
	cmp_ok(($bytes[2] // 1e12) - ($bytes[1] // 0), '<', 1_000_000, "$load: $times cost no memory");
}

# Many savepoints, each with a context of its own, open all at once.
my $deep = "BEGIN;\n";
for my $i (1 .. 1000)
{
	$deep .= "SAVEPOINT s$i;\nSELECT revdesk_deauthenticate() \\g /dev/null\nSELECT revdesk_authenticate('" . token($i % 2 ? 'a1' : 'b0') . "') \\g /dev/null\n";
}
$deep .= "$count;\nROLLBACK TO s1000;\n$count;\nROLLBACK TO s500;\n$count;\nROLLBACK TO s1;\n$count;\nCOMMIT;\n$count";
query_ok($node, 'postgres', $deep, "20\n10\n10\n0\n0", 'a thousand savepoints');

$node->stop;
done_testing();
