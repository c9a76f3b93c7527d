# Functions and operators that tell what they are given are given rows of one's
# own only: not others' rows, nor what the statistics hold of them.

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
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres', 500);
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE app.docs ALTER COLUMN body SET STATISTICS 1000;
CREATE INDEX ON app.docs (body);
CREATE INDEX ON app.docs (amount);
CREATE STATISTICS app.docs_ext (mcv, dependencies) ON tenant_id, body FROM app.docs;
ANALYZE app.docs;
ANALYZE app.parts;
ANALYZE app.parts_a;
ANALYZE app.parts_rest;
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO api;
CREATE VIEW app.view AS SELECT * FROM app.docs;
ALTER VIEW app.view OWNER TO owner;
CREATE VIEW app.barrier WITH (security_barrier = true, security_invoker = true) AS SELECT * FROM app.docs;
GRANT SELECT ON app.view, app.barrier TO api;
SQL
query($node, 'postgres', <<'SQL');
CREATE FUNCTION scratch.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$ BEGIN RAISE NOTICE 'SEEN %', $1; RETURN true; END $$;
CREATE FUNCTION scratch.leak(integer) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$ BEGIN RAISE NOTICE 'SEEN number %', $1; RETURN true; END $$;
CREATE FUNCTION scratch.leak(uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$ BEGIN RAISE NOTICE 'SEEN uuid %', $1; RETURN true; END $$;
CREATE FUNCTION scratch.leak2(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001
AS $$ BEGIN RAISE NOTICE 'SEEN % %', $1, $2; RETURN true; END $$;
CREATE OPERATOR scratch.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.leak2, RESTRICT = scalarltsel);
CREATE OPERATOR scratch.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.leak2, RESTRICT = eqsel, JOIN = eqjoinsel, MERGES, COMMUTATOR = OPERATOR(scratch.===));
CREATE OPERATOR scratch.~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.leak2, RESTRICT = contsel, JOIN = contjoinsel);
SQL

my @scans = ('', 'SET enable_seqscan = off;', 'SET enable_indexscan = off; SET enable_indexonlyscan = off;',
	'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;',
	'SET plan_cache_mode = force_generic_plan;');

# What keys see is their own: a pattern of what may be told.
my %own = (
	a1 => qr/A1/,
	a0 => qr/A|A1|A2/,
	c1 => qr/A1|B|ulla/);

# A query tells of no other rows; of its own it does, so that there is
# something to see.
sub leaks_own_only
{
	my ($key, $sql, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $i (0 .. ($options{planned} ? 0 : $#scans))
	{
		my ($stdout, $stderr) = query($node, 'postgres', $scans[$i] . as_key($key, $sql));
		my %seen = map { $_ => 1 } "$stdout\n$stderr" =~ /CANARY_([A-Za-z0-9]+)_/g;
		my @foreign = grep { !/^(?:$own{$key})$/ } sort keys %seen;
		is("@foreign", '', "$key, $name, $i: nothing of others");
		ok(scalar(keys %seen) > 0, "$key, $name, $i: something of one's own") unless $options{silent};
		unlike($stderr, qr/ERROR/, "$key, $name, $i: no error that tells") unless $options{errors};
	}
	return;
}

for my $key (sort keys %own)
{
	for my $table ('docs', 'view', 'barrier')
	{
		leaks_own_only($key, "SELECT count(*) FROM app.$table WHERE scratch.leak(body) AND id BETWEEN 1 AND 500", "function in WHERE of $table");
	}
	leaks_own_only($key, 'SELECT count(*) FROM app.parts WHERE scratch.leak(body) AND id < 500', 'function in WHERE of partitions')
	  if $key ne 'c1';
	leaks_own_only($key, "SELECT count(*) FROM app.docs WHERE tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001' AND scratch.leak(body)", 'for rows of another', silent => 1);
	leaks_own_only($key, 'SELECT count(*) FROM app.docs AS d JOIN (VALUES (1), (2), (3), (4), (5), (6), (7)) AS v(i) ON d.id = v.i AND scratch.leak(d.body)', 'in a join');
	leaks_own_only($key, 'SELECT count(*) FROM app.docs AS a JOIN app.docs AS b ON a.id = b.id AND scratch.leak2(a.body, b.body) WHERE a.id < 100', 'in a join of two');
	leaks_own_only($key, 'SELECT max(scratch.leak(body)::integer) FROM app.docs WHERE id < 100 GROUP BY amount', 'in an aggregate');
	leaks_own_only($key, 'SELECT scratch.leak(body), row_number() OVER (ORDER BY scratch.leak(body)) FROM app.docs WHERE id < 50', 'in a window');
	leaks_own_only($key, "SELECT count(*) FROM app.docs WHERE body OPERATOR(scratch.<<<) 'z' AND id < 100", 'operator');
	leaks_own_only($key, "UPDATE app.docs SET amount = amount WHERE scratch.leak(body) AND id < 100 RETURNING body", 'UPDATE');
	leaks_own_only($key, "DELETE FROM app.docs WHERE scratch.leak(body) AND id < 20 RETURNING body" . '; ROLLBACK', 'DELETE');
	leaks_own_only($key, 'INSERT INTO app.docs AS d (id, tenant_id, body) SELECT i, NULL, $$mine$$ FROM generate_series(1, 7) AS i ON CONFLICT (id) DO UPDATE SET body = d.body WHERE scratch.leak(d.body)',
		'ON CONFLICT', silent => 1, errors => 1);

	# Errors that would tell.
	leaks_own_only($key, "SELECT count(*) FROM app.docs WHERE tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001' AND body::integer > 0", 'a cast of others that fails', silent => 1);
	leaks_own_only($key, 'SELECT count(*) FROM app.docs WHERE tenant_id IS NULL AND owner_id = $$cccccccc-0000-0000-0000-000000000002$$ AND 1 / (amount - amount) > 0',
		'a division', silent => 1);
	leaks_own_only($key, "SELECT CASE WHEN tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001' THEN 1 / (amount - amount) ELSE 1 END FROM app.docs LIMIT 1", 'a CASE', silent => 1);
	leaks_own_only($key, 'SELECT body::integer FROM app.docs LIMIT 1', 'a cast of one\'s own', errors => 1);

	# By position, sample, whole row and system column.
	leaks_own_only($key, 'SELECT string_agg(DISTINCT d::text, $$ $$) FROM app.docs AS d TABLESAMPLE system (100)', 'TABLESAMPLE system');
	leaks_own_only($key, 'SELECT string_agg(DISTINCT body, $$ $$) FROM app.docs TABLESAMPLE bernoulli (100) REPEATABLE (1)', 'TABLESAMPLE bernoulli');
	leaks_own_only($key, 'SELECT body FROM app.docs WHERE ctid IN ($$(0,1)$$, $$(0,2)$$, $$(0,3)$$, $$(0,4)$$, $$(0,5)$$, $$(0,6)$$, $$(0,7)$$, $$(1,1)$$, $$(1,2)$$)', 'ctid', silent => 1);
	leaks_own_only($key, 'SELECT body FROM app.docs WHERE ctid >= $$(0,0)$$ AND ctid < $$(10000,0)$$', 'ctid range');
	leaks_own_only($key, 'SELECT row_to_json(d)->>$$body$$ FROM app.docs AS d WHERE xmin IS NOT NULL AND tableoid = $$app.docs$$::regclass AND id < 100', 'system columns');
	leaks_own_only($key, 'COPY app.docs TO STDOUT', 'COPY TO');
	leaks_own_only($key, 'COPY (SELECT body FROM app.docs) TO STDOUT', 'COPY of a query');
	leaks_own_only($key, 'SELECT query_to_xml($$SELECT body FROM app.docs$$, true, true, $$$$)', 'query_to_xml', errors => 1);
	leaks_own_only($key, 'SELECT body FROM app.docs FOR UPDATE', 'FOR UPDATE');

	# Estimates: the planner does not hand values of the statistics to an
	# operator that could tell them.
	for my $condition ("body OPERATOR(scratch.<<<) 'z'", "body OPERATOR(scratch.===) 'CANARY'", "body OPERATOR(scratch.~~~) 'CANARY'", 'scratch.leak(body)')
	{
		for my $table ('docs', 'parts', 'parts_rest', 'view', 'barrier')
		{
			leaks_own_only($key, "EXPLAIN SELECT * FROM app.$table WHERE $condition", "estimate of $condition on $table", silent => 1, planned => 1);
		}
	}
	leaks_own_only($key, 'EXPLAIN SELECT * FROM app.docs AS a JOIN app.docs AS b ON a.body OPERATOR(scratch.===) b.body', 'estimate of a join', silent => 1, planned => 1);

	# The statistics themselves.
	leaks_own_only($key, 'SELECT * FROM pg_stats WHERE schemaname = $$app$$', 'pg_stats', silent => 1, planned => 1);
	leaks_own_only($key, 'SELECT * FROM pg_stats_ext', 'pg_stats_ext', silent => 1, planned => 1, errors => 1);
	leaks_own_only($key, 'SELECT * FROM pg_statistic', 'pg_statistic', silent => 1, planned => 1, errors => 1);
	leaks_own_only($key, 'SELECT * FROM pg_statistic_ext_data', 'pg_statistic_ext_data', silent => 1, planned => 1, errors => 1);
	leaks_own_only($key, 'EXPLAIN (ANALYZE, VERBOSE, TIMING OFF) SELECT * FROM app.docs WHERE body > $$CANARY$$', 'EXPLAIN ANALYZE', silent => 1);
}

# A unique index tells that a hidden row is there, but not what is in it.
my (undef, $stderr) = query($node, 'postgres', as_key('a1', "INSERT INTO app.docs (id, tenant_id) SELECT i, revdesk_tenant_id() FROM generate_series(1, 7) AS i"));
like($stderr, qr/duplicate key/, 'a conflict with a hidden row is an error');
unlike($stderr, qr/DETAIL|CANARY/, 'without detail');

# LEAKPROOF functions say nothing but their result, whatever they are given.
($stderr) = (query($node, 'postgres', "SET client_min_messages = debug1;\n" . as_key('a1', <<'SQL')))[1];
SELECT count(*) FROM generate_series(1, 10000) AS i
CROSS JOIN LATERAL (SELECT md5(i::text)::uuid AS a, CASE i % 3 WHEN 0 THEN md5((i + 1)::text)::uuid END AS b, CASE i % 2 WHEN 0 THEN md5((i + 2)::text)::uuid END AS c) AS ids
WHERE revdesk_scope_visible(a, b, c) OR revdesk_scope_visible(b, a, c) OR revdesk_scope_visible(c) OR revdesk_scope_readable_up(b, c) OR revdesk_scope_readable_up(a)
SQL
is($stderr, '', 'the predicates are silent');

$node->stop;
done_testing();
