# What a caller learns of rows that are hidden (threats O01 to O14): nothing by
# the extension's own functions; of PostgreSQL's own channels, those that keys
# with the tenant's column and index conditions close are closed.
#
# The rest are named "left open": the cases show how far they go, and that no
# value of a row comes out.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = attack_begin("shared_preload_libraries = 'revdesk_auth'");
$node->safe_psql('template', <<'SQL');
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO api;
SQL

attack 'O01', 'left open: a unique key without the tenant tells that a row exists', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A}', 'x')
a> ROLLBACK TO q
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A}', 'x') ON CONFLICT (id) DO UPDATE SET body = docs.body || 'x' RETURNING body
a> ROLLBACK TO q
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A}', 'x') ON CONFLICT DO NOTHING RETURNING body
a> UPDATE app.docs SET id = 4 WHERE id = 1
a> ROLLBACK
must (?s)23505.*42501.*23505
mustnot Key \(|Failing row|CANARY
CASE

attack 'O02', 'a unique key with the tenant conflicts with no hidden row', <<'CASE';
su> CREATE TABLE app.addresses (tenant_id uuid, address text, UNIQUE (tenant_id, address))
su> INSERT INTO app.addresses VALUES ('${B}', 'x@x')
su> SELECT revdesk_protect('app.addresses')
su> GRANT ALL ON app.addresses TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> INSERT INTO app.addresses VALUES ('${A}', 'x@x') ON CONFLICT DO NOTHING RETURNING 'first'
a> INSERT INTO app.addresses VALUES ('${A}', 'x@x') ON CONFLICT (tenant_id, address) DO NOTHING RETURNING 'second'
a> SAVEPOINT q
a> INSERT INTO app.addresses VALUES ('${B}', 'x@x') ON CONFLICT DO NOTHING RETURNING 'third'
a> ROLLBACK TO q
a> INSERT INTO app.addresses VALUES ('${B}', 'y@y') ON CONFLICT DO NOTHING RETURNING 'fourth'
a> COMMIT
must (?s)first\n.*42501.*42501
mustnot second|third|fourth|23505
CASE

attack 'O03', 'messages of constraints', <<'CASE';
su> ALTER TABLE app.docs ADD CHECK (amount < 100000), ADD CHECK (body <> 'forbidden'), ALTER owner_id DROP NOT NULL, ADD EXCLUDE USING btree (amount WITH =) WHERE (amount > 5000)
su> INSERT INTO app.docs (tenant_id, amount, body) VALUES ('${B}', 6000, 'CANARY_B_EXCLUDED')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> UPDATE app.docs SET amount = 200000
a> ROLLBACK TO q
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (NULL, '${A}', 'mysecretvalue')
a> ROLLBACK TO q
a> INSERT INTO app.docs (tenant_id, amount, body) VALUES ('${A}', 6000, 'mysecretvalue')
a> ROLLBACK TO q
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'mysecretvalue')
a> ROLLBACK TO q
a> INSERT INTO app.parts_a (id, tenant_id, body) VALUES (1, '${B}', 'mysecretvalue')
a> ROLLBACK
must (?s)23514.*23502.*23P01.*42501.*(0A000|23514|42501)
mustnot Failing row|Key \(|CANARY|mysecretvalue
CASE

# Amounts 1001 to 1020 are B's alone, nobody has 1021 to 1040.
attack 'O04', 'left open: estimates are made of all tenants\' rows', sub {
	my ($node, $database) = @_;
	$node->safe_psql($database, "INSERT INTO app.docs (tenant_id, amount, body) SELECT 'bbbbbbbb-0000-0000-0000-000000000000', 1001 + i % 20, 'HIDDEN_' || i FROM generate_series(1, 4000) AS i; "
		  . "INSERT INTO app.docs (tenant_id, amount, body) SELECT 'aaaaaaaa-0000-0000-0000-000000000000', i % 20, 'OWN_' || i FROM generate_series(1, 4000) AS i; ANALYZE app.docs");
	my ($stdout, $stderr) = query($node, $database, as_key('a0', join ";\n",
		(map { "EXPLAIN VERBOSE SELECT * FROM app.docs WHERE amount = $_" } 1001 .. 1040),
		"EXPLAIN VERBOSE SELECT * FROM app.docs WHERE body > 'HIDDEN_1' OR body = 'HIDDEN_2'",
		"SELECT 'statistics', count(*) FROM pg_stats WHERE tablename = 'docs'"));
	my @estimates = $stdout =~ /Scan .*on app\.docs .*rows=(\d+)/g;
	pop @estimates;
	is(scalar @estimates, 40, 'forty plans');
	my %of_nobody = map { $_ => 1 } @estimates[20 .. 39];
	is(keys %of_nobody, 1, 'all absent values look alike');
	note('told apart from an absent value: ', scalar(grep { !$of_nobody{$_} } @estimates[0 .. 19]), ' of 20 that are hidden');
	unlike($stdout =~ s/^.*Filter: .*$//mgr, qr/HIDDEN|bbbbbbbb/, 'but no value is in a plan');
	like($stdout, qr/statistics\|0/, 'nor are the statistics to be read');
	is($stderr, '', 'no complaint');
};

attack 'O05', 'rows removed by a filter', <<'CASE';
su> CREATE INDEX ON app.docs (tenant_id)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SET LOCAL enable_seqscan = off
a> EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM app.docs WHERE amount > 7
a> SELECT 'left open: a sequential scan counts the hidden'
a> SET LOCAL enable_seqscan = on
a> SET LOCAL enable_indexscan = off
a> SET LOCAL enable_bitmapscan = off
a> EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM app.docs WHERE amount > 7
a> ROLLBACK
must (?s)Rows Removed by Filter: 7\n.*left open.*Rows Removed by Filter: 67\b
mustnot CANARY
CASE

# What nginx takes out of a request is in 023_nginx.pl.
attack 'O06', 'PostgREST\'s plans and planned counts are off in the example', sub {
	my $example = "$FindBin::RealBin/../../examples/postgrest";
	like(slurp_file("$example/postgrest.conf"), qr/^db-plan-enabled = false$/m, 'no plans');
	like(slurp_file("$example/nginx.conf"), qr/proxy_set_header Prefer \$revdesk_prefer;/, 'Prefer is what is left of it');
};

my $operators = <<'CASE';
a> CREATE FUNCTION scratch.look(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.00001 AS $$ BEGIN RAISE NOTICE 'SEEN %', $1; RETURN true; END $$
a> CREATE OPERATOR scratch.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.look, RESTRICT = scalarltsel)
a> CREATE OPERATOR scratch.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.look, RESTRICT = eqsel, JOIN = eqjoinsel)
CASE

attack 'O08', 'an operator of one\'s own with a built-in estimator', $operators . <<'CASE';
su> CREATE TABLE app.open AS SELECT * FROM app.docs
su> ANALYZE app.open
su> GRANT SELECT ON app.open TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXPLAIN SELECT * FROM app.docs WHERE body OPERATOR(scratch.<<<) 'z'
a> EXPLAIN SELECT * FROM app.docs WHERE body OPERATOR(scratch.===) 'CANARY_B_1'
a> EXPLAIN SELECT * FROM app.docs AS a JOIN app.docs AS b ON a.body OPERATOR(scratch.===) b.body
a> EXPLAIN SELECT * FROM app.registrations WHERE body OPERATOR(scratch.<<<) 'z'
a> SELECT 'and a table without row security'
a> EXPLAIN SELECT * FROM app.open WHERE body OPERATOR(scratch.<<<) 'z'
a> ROLLBACK
must (?s)^((?!SEEN CANARY).)*without row security.*SEEN CANARY
CASE

attack 'O09', 'the same through partitions and a view', $operators . <<'CASE';
su> INSERT INTO app.parts (id, tenant_id, body) SELECT i, '${B}', 'CANARY_B_' || i % 3 FROM generate_series(1, 3000) AS i
su> ANALYZE app.parts
su> ANALYZE app.parts_rest
su> ANALYZE app.parts_a
su> CREATE VIEW app.seen WITH (security_barrier = true) AS SELECT * FROM app.parts WHERE revdesk_scope_visible(tenant_id)
su> CREATE VIEW app.invoked WITH (security_invoker = true) AS SELECT * FROM app.parts
su> GRANT SELECT ON app.seen, app.invoked TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXPLAIN SELECT * FROM app.parts WHERE body OPERATOR(scratch.<<<) 'zz'
a> EXPLAIN SELECT * FROM app.parts_rest WHERE body OPERATOR(scratch.<<<) 'zz'
a> EXPLAIN SELECT * FROM app.seen WHERE body OPERATOR(scratch.<<<) 'zz'
a> EXPLAIN SELECT * FROM app.invoked AS a JOIN app.parts AS b ON a.body OPERATOR(scratch.===) b.body
a> SELECT 'end'
a> ROLLBACK
must end$
mustnot SEEN|ERROR
CASE

attack 'O10', 'left open: sizes and counters of tables', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'reltuples', reltuples FROM pg_class WHERE oid = 'app.docs'::regclass
a> SELECT 'size', pg_relation_size('app.docs') > 0
a> SELECT 'counters', count(*) FROM pg_stat_user_tables WHERE relname = 'docs'
a> SELECT 'values', count(*) FROM pg_stats WHERE schemaname IN ('app', 'revdesk')
a> SELECT 'values', count(*) FROM pg_stats_ext
a> SELECT most_common_vals FROM pg_stats WHERE tablename = 'docs'
a> SELECT starelid FROM pg_statistic
a> ROLLBACK
must (?s)reltuples\|70\nsize\|t\ncounters\|1\nvalues\|0\nvalues\|0\n.*42501
mustnot CANARY
CASE

attack 'O11', 'waits for a hidden row', <<'CASE';
su> CREATE TABLE app.named (tenant_id uuid, name text, PRIMARY KEY (tenant_id, name))
su> SELECT revdesk_protect('app.named')
su> GRANT ALL ON app.named TO api
b=api
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_B}')
b> INSERT INTO app.docs (id, tenant_id, body) VALUES (900, '${B}', 'x')
b> INSERT INTO app.named VALUES ('${B}', 'x')
b> UPDATE app.docs SET amount = 0
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SET LOCAL lock_timeout = '300ms'
a> INSERT INTO app.named VALUES ('${A}', 'x')
a> UPDATE app.docs SET amount = 0 WHERE id = 4
a> DELETE FROM app.docs WHERE id = 900
a> SELECT 'no wait', count(*) FROM (SELECT FROM app.docs FOR UPDATE) AS x
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (900, '${A}', 'left open: a key without the tenant')
a> ROLLBACK
b> ROLLBACK
must (?s)no wait\|30\n.*55P03
mustnot (?s)(ERROR.*){2}
CASE

attack 'O12', 'left open: sequences are shared, and positions of rows', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> SELECT last_value FROM app.docs_id_seq
a> ROLLBACK TO q
a> SELECT 'next', nextval('app.docs_id_seq') > 70
a> SELECT setval('app.docs_id_seq', 1)
a> ROLLBACK TO q
a> SELECT 'position', currtid2('app.docs', '(0,4)') IS NOT NULL
a> ROLLBACK
must (?s)42501.*next\|t\n.*42501.*position\|t
mustnot CANARY
CASE

# Not by the clock: what the time depends on is the rows that are touched.
attack 'O13', 'others\' rows cost nothing', <<'CASE';
su> CREATE INDEX ON app.docs (tenant_id)
a> SET enable_seqscan = off
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT count(*) FROM app.docs WHERE amount >= 0
a> SELECT pg_stat_force_next_flush()
a> SELECT 'before', seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'app.docs'::regclass
a> COMMIT
su> INSERT INTO app.docs (tenant_id, amount, body) SELECT '${B}', i, 'x' FROM generate_series(1, 20000) AS i
su> ANALYZE app.docs
a> SET enable_seqscan = on
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT count(*) FROM app.docs WHERE amount >= 0
a> SELECT pg_stat_force_next_flush()
a> SELECT 'after', seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'app.docs'::regclass
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT count(*) FROM app.docs
a> SELECT 'organization', seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'app.docs'::regclass
a> COMMIT
must (?s)before\|0\|10\n.*after\|0\|10\n.*organization\|0\|30\n
CASE

# Each statement twice, with an id of B's and with one that nobody has.
my %hidden = (
	tenant => 'bbbbbbbb-0000-0000-0000-000000000001',
	umbrella => 'bbbbbbbb-0000-0000-0000-000000000000',
	user => 'cccccccc-0000-0000-0000-000000000002',
	key => 'dddddddd-0000-0000-0000-0000000000b1');
my $missing = '99999999-9999-9999-9999-999999999999';
my @statements = (
	[ key => q{SELECT revdesk_revoke_key('?')} ],
	[ key => q{SELECT revdesk_rotate_key('?')} ],
	[ key => q{SELECT revdesk_rotate_key('?', '1 day')} ],
	[ key => q{SELECT revdesk_limit_key('?', 1)} ],
	[ key => q{SELECT count(*) FROM revdesk_usage('?')} ],
	[ key => q{SELECT revdesk.last_used('?')} ],
	[ key => q{SELECT count(*) FROM revdesk_keys WHERE key_id = '?'} ],
	[ tenant => q{SELECT revdesk_create_key('x', 'sub_entity', '?')} ],
	[ tenant => q{SELECT revdesk_issue_token('x', '?')} ],
	[ tenant => q{SELECT revdesk_import_key('x', 'sub_entity', sha256('x'), '?')} ],
	[ tenant => q{SELECT revdesk_suspend_tenant('?')} ],
	[ tenant => q{SELECT revdesk_resume_tenant('?')} ],
	[ tenant => q{SELECT revdesk_add_member('?', 'cccccccc-0000-0000-0000-000000000002')} ],
	[ tenant => q{SELECT revdesk_remove_member('?', 'cccccccc-0000-0000-0000-000000000002', true)} ],
	[ tenant => q{SELECT count(*) FROM revdesk_members WHERE tenant_id = '?'} ],
	[ tenant => q{INSERT INTO app.docs (tenant_id, body) VALUES ('?', 'x')} ],
	[ tenant => q{INSERT INTO app.registrations (id, tenant_id, body) VALUES (1, '?', 'x')} ],
	[ tenant => q{UPDATE app.docs SET tenant_id = '?'} ],
	[ tenant => q{SELECT revdesk.is_umbrella_of(NULL, '?'), revdesk.is_umbrella_of('bbbbbbbb-0000-0000-0000-000000000000', '?')} ],
	[ tenant => q{CREATE TEMP TABLE asked (tenant uuid, umbrella uuid) ON COMMIT DROP; CREATE TRIGGER ask BEFORE INSERT ON asked FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella('tenant', 'umbrella'); INSERT INTO asked VALUES ('?') RETURNING umbrella} ],
	[ umbrella => q{SELECT revdesk_create_sub_entity('?', 'x')} ],
	[ umbrella => q{SELECT revdesk_create_key('x', 'organization', '?')} ],
	[ umbrella => q{SELECT revdesk_limit_organization('?', 1)} ],
	[ umbrella => q{SELECT count(*) FROM revdesk_sub_entities WHERE umbrella_id = '?'} ],
	[ user => q{SELECT revdesk_disable_user('?')} ],
	[ user => q{SELECT revdesk_enable_user('?')} ],
	[ user => q{SELECT revdesk_create_key('x', 'user', NULL, '?')} ],
	[ user => q{INSERT INTO app.docs (owner_id, body) VALUES ('?', 'x')} ]);

attack 'O14', 'what is hidden and what does not exist are refused in the same words', sub {
	my ($node, $database) = @_;
	$node->safe_psql($database, 'GRANT SELECT ON revdesk_keys, revdesk_sub_entities, revdesk_members TO api; '
		  . 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api; REVOKE EXECUTE ON FUNCTION revdesk_protect FROM api; UPDATE revdesk.memberships SET tenant_id = $$bbbbbbbb-0000-0000-0000-000000000001$$ WHERE user_id = $$cccccccc-0000-0000-0000-000000000002$$');
	my %seen;
	for my $who ('ad', 'a0', 'a1', 'c1', undef)
	{
		my $session = Fixture::Session->connect($node, $node->connstr($database) . ' user=api', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=always');
		for (@statements)
		{
			my ($what, $statement) = @$_;
			my @answers = map
			{
				my $id = $_;
				$session->query('BEGIN');
				$session->query("SELECT revdesk_authenticate('" . token($who) . "')") if defined $who;
				my $answer = $session->query($statement =~ s/\?/$id/gr);
				$session->query('ROLLBACK');
				$answer =~ s/$id/ID/gr =~ s/^psql:<stdin>:\d+: |^(?:LOCATION|LINE \d+):.*|^ +\^//mgr;
			} $hidden{$what}, $missing;
			is($answers[0], $answers[1], ($who // 'nobody') . ": $statement");
			$seen{$1} = 1 while $answers[0] =~ /ERROR:  (\w{5})/g;
		}
		$session->quit;
	}
	is(join(',', sort keys %seen), '23503,42501', 'whatever is refused is refused with 42501, or 23503 on a table of one\'s own');
};

# Row triggers need a tenant's umbrella, and anybody can make one fire.
attack 'O14', 'whose umbrella is told to whom', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
su> GRANT EXECUTE ON FUNCTION revdesk_protect TO owner
owner> CREATE TABLE app.filled (tenant_id uuid, umbrella_id uuid)
owner> INSERT INTO app.filled VALUES ('${A1}'), ('${B1}')
owner> SELECT revdesk_protect('app.filled', umbrella_column => 'umbrella_id')
su> SELECT 'to who protects tables', umbrella_id FROM app.filled WHERE tenant_id = '${B1}'
su> REVOKE EXECUTE ON FUNCTION revdesk_protect FROM owner
owner> SELECT 'not to who does not', revdesk.is_umbrella_of('${B}', '${B1}')
su> ALTER TABLE app.docs ADD UNIQUE (tenant_id, id)
su> CREATE TABLE app.notes (tenant_id uuid, umbrella_id uuid, doc_id int, FOREIGN KEY (tenant_id, doc_id) REFERENCES app.docs (tenant_id, id) ON UPDATE CASCADE)
su> SELECT revdesk_protect('app.notes', umbrella_column => 'umbrella_id')
su> ALTER TABLE app.notes OWNER TO owner
su> INSERT INTO app.notes VALUES ('${A1}', NULL, 2)
su> UPDATE app.docs SET tenant_id = '${B1}' WHERE id = 2
su> SELECT 'to a superuser behind a foreign key', umbrella_id FROM app.notes
a> CREATE FUNCTION scratch.ask(uuid) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN format('told %s', revdesk.is_umbrella_of('${B}', $1)); END $$
a> CREATE TABLE scratch.asked (tenant uuid)
a> INSERT INTO scratch.asked SELECT '${B1}' FROM generate_series(1, 10)
a> CREATE INDEX ON scratch.asked (scratch.ask(tenant))
su> REINDEX TABLE scratch.asked
su> ANALYZE scratch.asked
a> SELECT 'not by a superuser''s maintenance', most_common_vals FROM pg_stats WHERE schemaname = 'scratch' AND attname = 'ask'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'to the tenant', revdesk.is_umbrella_of('${A}', '${A1}'), 'not of its sibling', revdesk.is_umbrella_of('${A}', '${A2}')
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> SELECT 'to the member', revdesk.is_umbrella_of('${A}', '${A1}'), revdesk.is_umbrella_of('${A}', '${A2}')
a> ROLLBACK
must (?s)who protects tables\|${B}\n.*who does not\|f\n.*behind a foreign key\|${B}\n
must (?s)maintenance\|\{"told f"\}\n.*tenant\|t\|not of its sibling\|f\n.*member\|t\|f
CASE

attack 'O14', 'left open: an id that the caller chooses, or adds, tells that it is taken', <<'CASE';
su> GRANT EXECUTE ON FUNCTION revdesk_create_sub_entity, revdesk_add_member TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
a> SAVEPOINT q
a> SELECT revdesk_create_sub_entity('${A}', 'x', '${B1}')
a> ROLLBACK TO q
a> SELECT 'free', revdesk_create_sub_entity('${A}', 'x', '99999999-9999-9999-9999-999999999999') IS NOT NULL
a> SELECT revdesk_add_member('${A1}', '99999999-9999-9999-9999-999999999999')
a> ROLLBACK TO q
a> SELECT revdesk_add_member('${A1}', '${VICTOR}')
a> SELECT 'known', 1
a> ROLLBACK
must (?s)23505.*free\|t\n.*23503.*known\|1
mustnot CANARY|victor|"B1"
CASE

attack_end();
