# Parallel workers, their absence, JIT and every way to join give the rows that
# a serial plan gives, for every scope.

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
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nmax_parallel_workers = 8\nrevdesk.http_errors = on");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres', 2000);

# By key: tables and how many rows each shows.
my %rows = (
	a0 => [ 6000, 6000, 6000 ],
	a1 => [ 2000, 2000, 4000 ],
	b0 => [ 4000, 4000, 4000 ],
	b1 => [ 2000, 2000, 4000 ],
	c1 => [ 6000, 4000, 4000 ],
	c2 => [ 4000, 2000, 2000 ],
	ad => [ 6000, 6000, 6000 ],
	af => [ 6000, 6000, 6000 ]);
my @tables = ('docs', 'parts', 'registrations');

my $serial = 'SET max_parallel_workers_per_gather = 0; SET jit = off;';
my $parallel = 'SET max_parallel_workers_per_gather = 3; SET parallel_setup_cost = 0; '
  . 'SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0; '
  . 'SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET jit = off;';
my $forced = 'SET max_parallel_workers_per_gather = 1; SET jit = off; SET ' . force_parallel($node) . ' = on;';
my $jit = 'SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;';

# What a table shows: number, and a digest of all the rows.
sub digest
{
	my $table = shift;
	return "SELECT count(*), sum(hashtext(body)), min(body), max(body) FROM app.$table";
}

my %ways = (
	'parallel' => $parallel,
	'parallel, leader idle' => "$parallel SET parallel_leader_participation = off;",
	'parallel, by index' => "$parallel SET enable_seqscan = off;",
	'parallel, no worker free' => "$parallel SET max_parallel_workers = 0;",
	'parallel, one worker free' => "$parallel SET max_parallel_workers = 1;",
	'forced parallel' => $forced,
	'serial, JIT' => "SET max_parallel_workers_per_gather = 0; $jit",
	'parallel, JIT' => "$parallel $jit");

for my $key (sort keys %rows)
{
	my %expected;
	for my $i (0 .. $#tables)
	{
		my ($stdout) = query($node, 'postgres', $serial . as_key($key, digest($tables[$i])));
		like($stdout, qr/^$rows{$key}[$i]\|/, "$key: $tables[$i], serial");
		$expected{ $tables[$i] } = $stdout;
	}
	for my $way (sort keys %ways)
	{
		# JIT compiles for long; a key of each scope will do.
		next if $way =~ /JIT/ && $key !~ /a0|a1|c1/;
		my $sql = join ';', map { digest($_) } @tables;
		query_ok($node, 'postgres', $ways{$way} . as_key($key, $sql),
			join("\n", map { $expected{$_} } @tables), "$key: $way");
	}
}

# The workers were there, and did the work.
my ($plan) = query($node, 'postgres',
	"$parallel SET parallel_leader_participation = off;"
	  . as_key('a1', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM app.registrations'));
like($plan, qr/Workers Launched: [1-3]/, 'workers are launched');
like($plan, qr/Parallel Seq Scan/, 'and scan');

# They know the context, in its functions and in its settings.
my $told = 'SELECT DISTINCT revdesk_scope(), revdesk_tenant_id(), revdesk_key_id(), revdesk_access(), '
  . "current_setting('revdesk.scope'), current_setting('revdesk.tenant_id'), current_setting('revdesk.key_id') FROM app.docs";
query_ok($node, 'postgres',
	"$parallel SET parallel_leader_participation = off;" . as_key('a1', $told),
	'sub_entity|aaaaaaaa-0000-0000-0000-000000000001|dddddddd-0000-0000-0000-0000000000a1|write'
	  . '|sub_entity|aaaaaaaa-0000-0000-0000-000000000001|dddddddd-0000-0000-0000-0000000000a1',
	'the context in workers');
# A call that is no condition runs in them too.
query_ok($node, 'postgres',
	"$parallel SET parallel_leader_participation = off;"
	  . as_key('c1', 'SELECT count(*) FILTER (WHERE revdesk_scope_visible(tenant_id, owner_id, umbrella_id)), count(*) FROM app.docs'),
	'6000|6000', 'the predicate itself in workers');

# No context, no rows: before, after, and after a rollback.
query_ok($node, 'postgres', "$parallel " . digest('docs') =~ s/, sum.*(?= FROM)//r, '0', 'no context, parallel');
query_ok($node, 'postgres',
	"$parallel " . as_key('a0', 'SELECT count(*) FROM app.docs') . 'SELECT count(*) FROM app.docs',
	"6000\n0", 'after the transaction, parallel');
query_ok($node, 'postgres',
	"$parallel BEGIN; SAVEPOINT s; SELECT revdesk_authenticate('"
	  . token('a0')
	  . "') \\g /dev/null\nSELECT count(*) FROM app.docs; ROLLBACK TO s; SELECT count(*) FROM app.docs; COMMIT",
	"6000\n0", 'after a rollback, parallel');

# What a worker refuses reaches the leader as it is, where it can be caught; what
# nobody catches is for HTTP.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION app.refuse(integer) RETURNS integer LANGUAGE plpgsql PARALLEL SAFE AS
  $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'refused'; END $$;
SQL
my $refuse = "app.refuse(amount) FROM app.docs";
for my $case ([ 'serial', $serial ], [ 'in a worker', $forced ], [ 'in workers', "$parallel SET parallel_leader_participation = off;" ])
{
	my ($where, $kind) = @$case;
	my (undef, $caught) = query($node, 'postgres',
		$kind . as_key('a1', "DO \$\$ BEGIN PERFORM $refuse; EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'caught %', SQLERRM; END \$\$"));
	like($caught, qr/NOTICE:  caught refused$/, "refused $where: caught");
	my (undef, $uncaught) = query($node, 'postgres', "\\set VERBOSITY verbose\n" . $kind . as_key('a1', "SELECT $refuse"));
	like($uncaught, qr/ERROR:  PGRST: .*"details":"refused"/, "refused $where: as HTTP");
	like($uncaught, qr/CONTEXT:.*parallel worker/s, "refused $where: there") if $kind ne $serial;
}

# One generic plan, parallel, for one key after another.
my $prepared = "$parallel SET plan_cache_mode = force_generic_plan; PREPARE q AS SELECT count(*) FROM app.docs;\n";
my (@keys, @counts);
for my $key (('a1', 'b1', 'a0', 'c1', 'a2', 'b0', 'c2') x 3)
{
	push @keys, as_key($key, 'EXECUTE q') . 'EXECUTE q;';
	push @counts, $rows{ $key eq 'a2' ? 'a1' : $key }[0], 0;
}
query_ok($node, 'postgres', $prepared . join('', @keys), join("\n", @counts), 'one generic plan for all keys');

# Joins, by every method, to a table of one's own.
for my $method ('hashjoin', 'mergejoin', 'nestloop')
{
	my $off = join '', map { "SET enable_$_ = off; " } grep { $_ ne $method } ('hashjoin', 'mergejoin', 'nestloop');
	for my $kind ($serial, $parallel)
	{
		query_ok(
			$node, 'postgres',
			$kind . $off . as_key('a1', 'SELECT count(*), count(b.id) FROM app.docs AS a JOIN app.registrations AS b ON a.id = b.id - 0 WHERE a.amount <= 50'),
			'50|50', "join by $method" . ($kind eq $parallel ? ', parallel' : ''));
	}
}

$node->stop;
done_testing();
