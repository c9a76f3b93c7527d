# Attacks R: nobody reads a row of another tenant.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth', 'max_parallel_workers = 8');
$node->safe_psql('template', 'CREATE SCHEMA mine AUTHORIZATION api');

attack 'R1', 'every form of query', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.docs
a> TABLE app.docs
a> SELECT * FROM ONLY app.docs WHERE true OR tenant_id = '${B}'
a> SELECT body FROM app.docs WHERE tenant_id = '${B}' OR id = 4 OR body ~ 'B_'
a> SELECT d.body, p.body FROM app.docs AS d FULL JOIN app.parts AS p ON p.amount = d.amount
a> SELECT d.body FROM app.docs AS d RIGHT JOIN generate_series(1, 70) AS i ON d.id = i
a> SELECT (SELECT string_agg(body, ',') FROM app.docs), EXISTS (SELECT FROM app.docs WHERE tenant_id = '${B}')
a> SELECT i, (SELECT body FROM app.docs WHERE id = i) FROM generate_series(1, 70) AS i
a> WITH d AS MATERIALIZED (SELECT * FROM app.docs) SELECT body FROM d
a> WITH RECURSIVE d AS (SELECT id, body FROM app.docs UNION SELECT app.docs.id, app.docs.body FROM d JOIN app.docs ON app.docs.id = d.id + 1) SELECT * FROM d
a> SELECT body FROM app.docs UNION SELECT body FROM app.parts
a> VALUES ('x') EXCEPT SELECT body FROM app.docs
a> SELECT body FROM app.parts INTERSECT ALL SELECT body FROM app.docs
a> SELECT count(*), min(body), max(body), array_agg(body), json_agg(docs) FROM app.docs
a> SELECT tenant_id, amount, max(body) FROM app.docs GROUP BY GROUPING SETS ((tenant_id), CUBE (amount), ())
a> SELECT body, lag(body) OVER w, first_value(body) OVER w, count(*) OVER () FROM app.docs WINDOW w AS (ORDER BY id)
a> SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY body), mode() WITHIN GROUP (ORDER BY body) FROM app.docs
a> SELECT l.body FROM (VALUES (4), (5)) AS v (i), LATERAL (SELECT body FROM app.docs WHERE id >= i) AS l
a> SELECT body FROM app.docs TABLESAMPLE SYSTEM (100)
a> SELECT body FROM app.docs TABLESAMPLE BERNOULLI (100) REPEATABLE (1)
a> SELECT DISTINCT ON (amount) docs FROM app.docs AS docs ORDER BY amount, body DESC
a> SELECT body FROM app.docs ORDER BY tenant_id DESC FETCH FIRST 5 ROWS WITH TIES
a> SELECT (docs).* FROM app.docs
a> SELECT body FROM app.docs FOR UPDATE
a> SELECT body FROM app.docs FOR KEY SHARE SKIP LOCKED
a> SELECT 'docs ' || count(*) || ', parts ' || (SELECT count(*) FROM app.parts) || ', B ' || count(*) FILTER (WHERE tenant_id = '${B}') FROM app.docs
must CANARY_A1_10
must docs 10, parts 10, B 0
mustnot CANARY_(A_|A2|B|ulla|victor)|ERROR
CASE

attack 'R2', 'generic plans of prepared statements under one key after another', <<'CASE';
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS SELECT count(*) || ' of ' || string_agg(DISTINCT split_part(body, '_', 2), '' ORDER BY split_part(body, '_', 2)) FROM app.docs
a> PREPARE up AS SELECT 'up ' || count(*) FROM app.registrations
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXECUTE q
a> EXECUTE up
a> COMMIT
a> EXECUTE q
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE q
a> EXECUTE up
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> EXECUTE q
a> SAVEPOINT s
a> SELECT revdesk_deauthenticate()
a> EXECUTE up
a> SELECT revdesk_authenticate('${KEY_A2}')
a> EXECUTE q
a> ROLLBACK TO s
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXECUTE q
a> COMMIT
must (?s)10 of A1\nup 20\n\n+10 of B1\n.*20 of BB1\nup 20\n.*30 of A1Bulla\n.*up 0\n.*10 of A2\n.*30 of A1Bulla\n.*10 of A1$
mustnot ERROR
CASE

attack 'R3', 'functions with cached plans under one key after another', <<'CASE';
a> CREATE FUNCTION mine.p() RETURNS text LANGUAGE plpgsql AS
  $$BEGIN RETURN (SELECT 'p' || count(*) || string_agg(DISTINCT tenant_id::text, ',') FROM app.docs); END$$
a> CREATE FUNCTION mine.s() RETURNS text LANGUAGE sql AS $$SELECT 's' || count(*) FROM app.docs$$
a> CREATE FUNCTION mine.i() RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'i' || count(*) FROM app.docs$$
a> SET plan_cache_mode = force_generic_plan
a> PREPARE all_of_them AS SELECT concat_ws(' ', mine.p(), mine.s())
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT mine.p(), mine.s() FROM generate_series(1, 7)
a> EXECUTE all_of_them
a> COMMIT
a> SELECT 'none', mine.p(), mine.s()
a> EXECUTE all_of_them
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A2}')
a> EXECUTE all_of_them
a> SELECT 'immutable ' || mine.i()
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE all_of_them
a> COMMIT
must (?s)p10${A1}\|s10.*p10${A1} s10\n+none\|\|s0\ns0\n+p10${A2} s10\nimmutable i10\n+p20${B},${B1} s20
mustnot ERROR
CASE

attack 'R4', 'a cursor of one key read under another', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> DECLARE c SCROLL CURSOR FOR SELECT body FROM app.docs
a> DECLARE r SCROLL CURSOR FOR SELECT body FROM app.parts ORDER BY body
a> FETCH 2 FROM c
a> SELECT revdesk_deauthenticate()
a> FETCH 100 FROM c
a> FETCH 100 FROM r
a> SELECT revdesk_authenticate('${KEY_B1}')
a> MOVE BACKWARD ALL IN c
a> FETCH ALL FROM c
a> FETCH ALL FROM r
a> COMMIT
a> FETCH ALL FROM c
must CANARY_A1_1
must 34000
mustnot CANARY_(A_|A2|B_|ulla|victor)
CASE

attack 'R5', 'parallel plans, JIT, and every join', <<'CASE';
a> CREATE FUNCTION mine.seen() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', count(*), count(DISTINCT d.body), sum(hashtext(d.body || p.body)), bool_and(d.body ~ '_A1_' AND p.body ~ '_A1_'))
  FROM app.docs AS d JOIN app.parts AS p ON p.amount = d.amount $$
a> CREATE FUNCTION mine.compare(settings text[]) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE setting text; plain text; seen text;
  BEGIN
    plain := mine.seen();
    FOREACH setting IN ARRAY settings LOOP EXECUTE 'SET LOCAL ' || setting; END LOOP;
    seen := mine.seen();
    FOREACH setting IN ARRAY settings LOOP EXECUTE 'SET LOCAL ' || split_part(setting, ' ', 1) || ' TO DEFAULT'; END LOOP;
    RETURN CASE WHEN seen = plain THEN 'same ' ELSE 'differs ' END || seen;
  END $$
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT mine.compare(ARRAY['enable_hashjoin = off', 'enable_mergejoin = off', 'enable_material = off', 'enable_seqscan = off'])
a> SELECT mine.compare(ARRAY['enable_hashjoin = off', 'enable_nestloop = off', 'enable_bitmapscan = off'])
a> SELECT mine.compare(ARRAY['enable_mergejoin = off', 'enable_nestloop = off', 'enable_partitionwise_join = on'])
a> SELECT mine.compare(ARRAY['jit_above_cost = 0', 'jit_inline_above_cost = 0', 'jit_optimize_above_cost = 0', 'jit = on'])
a> SELECT mine.compare(ARRAY['parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0', 'parallel_leader_participation = off', 'enable_indexscan = off'])
a> SET LOCAL parallel_setup_cost = 0
a> SET LOCAL parallel_tuple_cost = 0
a> SET LOCAL min_parallel_table_scan_size = 0
a> SET LOCAL enable_bitmapscan = off
a> SET LOCAL enable_indexscan = off
a> EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT body FROM app.docs
a> SELECT 'parallel ' || string_agg(DISTINCT split_part(body, '_', 2), '') || count(*) FROM app.docs
a> COMMIT
a> SET parallel_setup_cost = 0
a> SET parallel_tuple_cost = 0
a> SET min_parallel_table_scan_size = 0
a> SELECT 'nobody ' || count(*) FROM app.docs
must (?s)(same 10 10 -?\d+ t.*){5}
must Workers Launched: [1-9]
must parallel A110
must nobody 0
mustnot differs|ERROR
CASE

attack 'R6', 'partitions and children by their own names, later and detached', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
su> GRANT EXECUTE ON FUNCTION revdesk_protect TO owner
su> INSERT INTO revdesk.tenants (id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'E')
owner> CREATE TABLE app.parts_e (LIKE app.parts)
owner> INSERT INTO app.parts_e (id, tenant_id, umbrella_id, body) SELECT 900, e, e, 'CANARY_E' FROM (VALUES ('eeeeeeee-0000-0000-0000-000000000000'::uuid)) AS v (e)
owner> ALTER TABLE app.parts ATTACH PARTITION app.parts_e FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000000')
owner> CREATE TABLE app.child () INHERITS (app.docs)
owner> GRANT SELECT, INSERT, UPDATE, DELETE ON app.child, app.parts_e TO api
su> INSERT INTO app.child (tenant_id, body) VALUES ('${B}', 'CANARY_B_child')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.parts_a
a> SELECT body FROM app.parts_rest
a> SELECT body FROM app.parts_e
a> SELECT body FROM app.child
a> SELECT 'in all ' || count(*) FROM (SELECT FROM app.parts UNION ALL SELECT FROM app.docs) AS u
a> COMMIT
owner> ALTER TABLE app.parts DETACH PARTITION app.parts_e
owner> ALTER TABLE app.child NO INHERIT app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'detached ' || (SELECT count(*) FROM app.parts_e) || (SELECT count(*) FROM app.child)
must CANARY_A1_1
must in all 20
must detached 00
mustnot CANARY_(A_|A2|B|E|ulla|victor)|ERROR
CASE

# What owners who bypass row security show is theirs to answer for.
attack 'R7', 'views and materialized views of the owner', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
owner> CREATE VIEW app.plain AS SELECT * FROM app.docs
owner> CREATE VIEW app.invoker WITH (security_invoker = true) AS SELECT * FROM app.docs
owner> CREATE MATERIALIZED VIEW app.kept AS SELECT * FROM app.docs
owner> GRANT SELECT ON app.plain, app.invoker, app.kept TO api
owner> REFRESH MATERIALIZED VIEW app.kept
a> SELECT 'nobody ' || (SELECT count(*) FROM app.plain) || (SELECT count(*) FROM app.invoker) || (SELECT count(*) FROM app.kept)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.plain
a> SELECT body FROM app.invoker
a> SELECT 'A1 ' || (SELECT count(*) FROM app.plain) || ' ' || (SELECT count(*) FROM app.invoker) || ' ' || (SELECT count(*) FROM app.kept)
must nobody 000
must A1 10 10 0
mustnot CANARY_(A_|A2|B|ulla|victor)|ERROR
CASE

attack 'R8', 'functions, operators and casts that tell what they are given', <<'CASE';
a> CREATE FUNCTION mine.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE NOTICE 'peeked %', $1; RETURN true; END$$
a> CREATE FUNCTION mine.peek(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE NOTICE 'peeked %', $1; RETURN true; END$$
a> CREATE OPERATOR mine.>>> (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.peek, RESTRICT = eqsel, JOIN = eqjoinsel)
a> CREATE FUNCTION mine.lie(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN true; END'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT count(*) FROM app.docs WHERE mine.peek(body)
a> SELECT count(*) FROM app.docs WHERE body OPERATOR(mine.>>>) 'x'
a> SELECT count(*) FROM app.docs AS a JOIN app.docs AS b ON a.body OPERATOR(mine.>>>) b.body AND a.id = b.id
a> SELECT count(*) FROM app.docs LEFT JOIN app.parts USING (id) WHERE mine.peek(parts.body) OR mine.peek(docs.body)
a> SELECT count(*) FROM app.docs WHERE 1 / (id - 4) IS NOT NULL
a> SELECT count(*) FROM app.docs WHERE CASE WHEN body ~ '_A1_' THEN true ELSE body::integer = 1 END
a> SELECT count(*) FROM app.parts WHERE CASE WHEN body ~ '_A1_' THEN true ELSE body::integer = 1 END
a> UPDATE app.docs SET amount = 0 WHERE mine.peek(body)
a> DELETE FROM app.docs WHERE mine.peek(body)
a> SELECT count(*) FROM app.parts HAVING mine.peek(string_agg(body, ' '))
a> SELECT body FROM app.parts ORDER BY mine.peek(body)
must 42501
must peeked CANARY_A1_7
mustnot CANARY_(A_|A2|B|ulla|victor)|22P02|22012
CASE

attack 'R9', 'statistics, and what estimators show to operators', <<'CASE';
su> CREATE STATISTICS app.both ON tenant_id, body FROM app.docs
su> ANALYZE app.docs
a> CREATE FUNCTION mine.peek(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE NOTICE 'peeked %', $1; RETURN true; END$$
a> CREATE OPERATOR mine.>>> (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.peek, RESTRICT = scalargtsel, JOIN = scalargtjoinsel)
a> CREATE OPERATOR mine.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.peek, RESTRICT = eqsel, JOIN = eqjoinsel)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT s
a> SELECT 'stats ' || count(*) FROM pg_stats WHERE schemaname = 'app'
a> SELECT 'extended ' || count(*) FROM pg_stats_ext WHERE schemaname = 'app' AND (most_common_vals IS NOT NULL OR dependencies IS NOT NULL)
a> EXPLAIN SELECT FROM app.docs WHERE body OPERATOR(mine.>>>) 'A'
a> EXPLAIN SELECT FROM app.docs WHERE body OPERATOR(mine.===) 'A'
a> EXPLAIN SELECT FROM app.docs AS a JOIN app.parts AS b ON a.body OPERATOR(mine.===) b.body
a> SELECT * FROM pg_statistic
a> ROLLBACK TO s
a> SELECT stxdmcv FROM pg_statistic_ext_data
a> ROLLBACK TO s
a> SELECT * FROM pg_mcv_list_items((SELECT stxdmcv FROM pg_statistic_ext_data LIMIT 1))
must stats 0
must extended 0
must (?s)(42501.*){3}
mustnot CANARY|peeked
CASE

attack 'R10', 'messages of constraints', <<'CASE';
su> CREATE EXTENSION btree_gist
su> ALTER TABLE app.docs ADD UNIQUE (body), ADD EXCLUDE USING gist (body WITH =, amount WITH =), ADD CHECK (body <> 'forbidden')
su> CREATE TABLE app.notes (id integer PRIMARY KEY, doc_id integer REFERENCES app.docs, tenant_id uuid, body text)
su> INSERT INTO app.notes VALUES (1, 4, '${B}', 'CANARY_B_note')
su> SELECT revdesk_protect('app.notes')
su> GRANT SELECT, INSERT, UPDATE, DELETE ON app.notes TO api
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'x')
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.docs (tenant_id, body) SELECT '${A1}', 'CANARY_' || 'B_1'
a> SELECT revdesk_authenticate('${KEY_A1}')\; UPDATE app.docs SET body = 'CANARY_' || 'B_' || amount
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.docs (tenant_id, body) VALUES ('${A1}', 'forbidden')
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'x')
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.notes VALUES (2, 999999, '${A1}', 'x')
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.notes VALUES (1, NULL, '${A1}', 'x')
a> SELECT revdesk_authenticate('${KEY_B}')\; DELETE FROM app.docs WHERE id = 4
a> SELECT revdesk_authenticate('${KEY_B}')\; UPDATE app.docs SET id = 100004 WHERE id = 4
must (?s)23505.*23505.*23505.*23514.*42501.*23503.*23505.*23503.*23503
mustnot DETAIL:.*(CANARY|${B}|=\(4\)|=\(999999\))
mustnot CANARY
CASE

attack 'R11', 'COPY TO', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> COPY app.docs TO STDOUT
a> COPY app.docs (body, tenant_id) TO STDOUT (FORMAT csv, HEADER)
a> COPY (SELECT body FROM app.docs WHERE true OR tenant_id = '${B}') TO STDOUT
a> COPY (SELECT * FROM app.parts) TO STDOUT
a> COPY (UPDATE app.docs SET amount = 0 RETURNING body) TO STDOUT
a> COPY app.parts TO STDOUT
a> ROLLBACK
a> COPY app.docs TO STDOUT
a> COPY app.docs TO PROGRAM 'cat >&2'
must CANARY_A1_7
must 42501
mustnot CANARY_(A_|A2|B|ulla|victor)
CASE

attack 'R12', 'RETURNING', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT s
a> UPDATE app.docs SET amount = amount RETURNING *
a> UPDATE app.docs SET amount = d.amount FROM app.docs AS d WHERE d.id <> docs.id RETURNING d.*, docs.*
a> DELETE FROM app.docs USING app.parts RETURNING parts.*, docs.*
a> ROLLBACK TO s
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'mine') ON CONFLICT DO NOTHING RETURNING *
a> INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'mine') ON CONFLICT (id) DO UPDATE SET amount = 9 RETURNING *
a> ROLLBACK TO s
a> WITH gone AS (DELETE FROM app.docs RETURNING *) SELECT max(body), count(*) FROM gone
a> MERGE INTO app.docs USING (SELECT generate_series(1, 70) AS i) AS s ON id = i WHEN MATCHED THEN UPDATE SET amount = 0
must (?s)CANARY_A1_7.*42501
mustnot CANARY_(A_|A2|B|ulla|victor)
CASE

attack 'R13', 'row_security = off', <<'CASE';
a> SET row_security = off
a> SELECT body FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.parts
a> ROLLBACK
a> COPY app.docs TO STDOUT
a> UPDATE app.docs SET body = 'x'
owner> SET row_security = off
owner> SELECT body FROM app.docs
must (?s)(42501.*){5}
mustnot CANARY
CASE

attack 'R14', 'EXPLAIN ANALYZE and auto_explain', <<'CASE';
su> LOAD 'auto_explain'
su> SET auto_explain.log_min_duration = 0
su> SET auto_explain.log_analyze = on
su> SET auto_explain.log_verbose = on
su> SET auto_explain.log_buffers = on
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A1}')
su> SET LOCAL ROLE api
su> SET LOCAL client_min_messages = log
su> SELECT count(*) FROM app.docs WHERE body ~ 'A1'
su> SELECT count(*) FROM app.parts
su> SELECT count(*) FROM app.registrations
su> EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT * FROM app.docs
su> EXPLAIN (ANALYZE, VERBOSE, FORMAT json) SELECT * FROM app.registrations ORDER BY body
must LOG: .*duration
must revdesk_scope_sub_entity
mustnot CANARY|(?i)bbbbbbbb
CASE

attack 'R15', 'walk-up', <<'CASE';
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'A1: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.registrations
a> SELECT revdesk_authenticate('${KEY_B1}')\; SELECT 'B1: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.registrations
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'A: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.registrations
a> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'ulla: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.registrations
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'docs: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'parts: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.parts
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'by id: ' || count(*) FROM app.registrations WHERE tenant_id IN ('${A2}', '${B}', '${B1}') OR tenant_id IS NULL
must (?m)^A1: A A1$
must (?m)^B1: B B1$
must (?m)^A: A A1 A2$
must (?m)^ulla: A1 B$
must (?m)^docs: A1$
must (?m)^parts: A1$
must (?m)^by id: 0$
CASE

attack 'R16', 'scope user: others\' rows, a tenant left, the umbrella of one\'s team', <<'CASE';
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_ULLA}')
b> SELECT 'before: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
a> SELECT revdesk_authenticate('${KEY_VICTOR}')\; SELECT 'victor: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
su> SELECT revdesk_remove_member('${A1}', '${ULLA}')
b> SELECT 'the next statement: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
b> COMMIT
b> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'the next request: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
b> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'owned by victor: ' || count(*) FROM app.docs WHERE owner_id = '${VICTOR}'
su> UPDATE app.docs SET owner_id = '${ULLA}' WHERE tenant_id = '${A2}'
b> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'owner of rows of a tenant: ' || count(*) FROM app.docs WHERE tenant_id = '${A2}'
must (?m)^before: A1 B ulla$
must (?m)^victor: A2 victor$
must (?m)^the next statement: B ulla$
must (?m)^the next request: B ulla$
must (?m)^owned by victor: 0$
must (?m)^owner of rows of a tenant: 0$
CASE

attack 'R17', 'scope organization: personal rows, another umbrella', <<'CASE';
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'A: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
a> SELECT revdesk_authenticate('${KEY_B}')\; SELECT 'B: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'parts: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.parts
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'without an umbrella column: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.registrations
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'personal: ' || count(*) FROM app.docs WHERE tenant_id IS NULL OR owner_id IS NOT NULL
must (?m)^A: A A1 A2$
must (?m)^B: B B1$
must (?m)^parts: A A1 A2$
must (?m)^without an umbrella column: A A1 A2$
must (?m)^personal: 0$
CASE

attack 'R18', 'rows without a tenant, without an owner, without both', <<'CASE';
su> INSERT INTO app.docs (tenant_id, owner_id, body) VALUES (NULL, NULL, 'CANARY_nobody'), (NULL, '${ULLA}', 'CANARY_ulla_personal')
su> INSERT INTO app.parts (id, body) VALUES (901, 'CANARY_nobody')
su> INSERT INTO app.registrations (id, body) VALUES (901, 'CANARY_nobody')
a> CREATE FUNCTION mine.orphans() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(body, ' ') FROM (SELECT body, tenant_id FROM app.docs UNION ALL SELECT body, tenant_id FROM app.parts UNION ALL SELECT body, tenant_id FROM app.registrations) AS u
  WHERE tenant_id IS NULL AND body !~ '\d' $$
a> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'A', mine.orphans()
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'A1', mine.orphans()
a> SELECT revdesk_authenticate('${KEY_VICTOR}')\; SELECT 'victor', mine.orphans()
a> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'ulla', mine.orphans()
a> SELECT 'none', mine.orphans()
must (?s)A\|\n.*A1\|\n.*victor\|\n.*ulla\|CANARY_ulla_personal\n.*none\|$
mustnot nobody
CASE

# The channels that README.md lists; here, what of them is closed.
attack 'R19', 'large objects, publications, replication, files, backends of others', <<'CASE';
su> SELECT 'object ' || lo_from_bytea(4711, 'CANARY_B')
a> SELECT lo_get(4711)
a> SELECT * FROM pg_largeobject
a> CREATE PUBLICATION mine FOR TABLE app.docs
a> SELECT pg_create_logical_replication_slot('mine', 'test_decoding')
a> SELECT pg_logical_emit_message(true, 'x', 'y')
$ psql -XAt "user=api replication=database" -c 'IDENTIFY_SYSTEM'
a> SELECT pg_read_file('PG_VERSION')
a> SELECT pg_ls_dir('.')
a> COPY app.docs FROM PROGRAM 'true'
a> ALTER SYSTEM SET log_statement = 'all'
a> SELECT pg_get_wal_resource_managers()
su> BEGIN
su> SELECT pg_advisory_xact_lock(hashtext('CANARY_B'))
a> SELECT * FROM pg_locks
a> SELECT query FROM pg_stat_activity WHERE usename <> 'api'
must (?s)(42501.*){5}
must insufficient privilege
mustnot CANARY
CASE

attack 'R21', 'functions that run the text of a query', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT query_to_xml('SELECT * FROM app.docs', true, false, '')
a> SELECT table_to_xml('app.parts', true, false, '')
a> SELECT schema_to_xml('app', true, false, '') IS NOT NULL
a> SELECT regexp_matches(schema_to_xml('app', true, false, '')::text, 'CANARY_B_\d')
a> SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', body) FROM app.docs')
a> SELECT ts_rewrite('x'::tsquery, 'SELECT ''x''::tsquery, plainto_tsquery(''simple'', body) FROM app.docs')
a> DECLARE c CURSOR FOR SELECT body FROM app.docs
a> SELECT cursor_to_xml('c', 100, true, false, '')
a> DO $$ DECLARE found text; BEGIN FOR found IN EXECUTE 'SELECT body FROM app.docs' LOOP RAISE NOTICE '%', found; END LOOP; END $$
must CANARY_A1_7
must 'canary' & 'a1'
mustnot CANARY_(A_|A2|B|ulla|victor)|ERROR|(?m)^(a|a2|b|b1|ulla|victor)$
CASE

attack 'R22', 'system columns and rows by their place', <<'CASE';
su> CLUSTER app.docs USING docs_pkey
su> SELECT 'there is ' || body FROM app.docs WHERE ctid = '(0,4)' AND id = 4
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.docs WHERE ctid = '(0,4)'
a> SELECT body FROM app.docs WHERE ctid = ANY (ARRAY['(0,1)', '(0,2)', '(0,3)', '(0,4)', '(0,5)']::tid[])
a> SELECT body FROM app.docs WHERE ctid < '(9,0)'
a> SELECT body FROM app.parts WHERE tableoid = 'app.parts_rest'::regclass
a> SELECT d.body FROM (VALUES ('(0,4)'::tid)) AS v (place) JOIN app.docs AS d ON d.ctid = place
a> UPDATE app.docs SET amount = 0 WHERE ctid = '(0,4)' RETURNING body
a> SELECT xmin, ctid, tableoid::regclass, body FROM app.docs WHERE xmin IS NOT NULL
must CANARY_A1_7
mustnot CANARY_(A_|A2|B_[2-9]|B1|ulla|victor)|UPDATE|ERROR
must (?s)there is CANARY_B_1(?!.*CANARY_B_1)
CASE

attack 'R23', 'waiting for a row that moves to another tenant meanwhile', <<'CASE';
su> BEGIN
su> UPDATE app.docs SET tenant_id = '${B}', body = 'CANARY_B_moved' WHERE id IN (2, 7, 12)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a& SELECT 'locked ' || body FROM app.docs WHERE id = 2 FOR UPDATE
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A1}')
b& UPDATE app.docs SET amount = 0 WHERE id = 7 RETURNING 'updated ' || body
c> BEGIN
c> SELECT revdesk_authenticate('${KEY_A1}')
c& DELETE FROM app.docs WHERE id = 12 RETURNING 'deleted ' || body
su> DO $$ BEGIN WHILE (SELECT count(*) FROM pg_locks WHERE NOT granted) < 3 LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> COMMIT
a?
b?
c?
b> COMMIT
c> COMMIT
su> SELECT 'moved ' || count(*) FROM app.docs WHERE body = 'CANARY_B_moved' AND amount > 0
must moved 3
mustnot (locked|updated|deleted) |CANARY|ERROR
CASE

attack 'R24', 'SECURITY DEFINER functions, rules and views of the owner, inlined or not', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
owner> CREATE FUNCTION app.all_docs() RETURNS SETOF app.docs LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM app.docs'
owner> CREATE FUNCTION app.inlined() RETURNS SETOF app.docs LANGUAGE sql STABLE AS 'SELECT * FROM app.docs'
owner> CREATE VIEW app.digest AS SELECT tenant_id, max(body) AS body FROM app.all_docs() GROUP BY 1
owner> GRANT SELECT ON app.digest TO api
a> CREATE VIEW mine.v AS SELECT * FROM app.docs
a> GRANT USAGE ON SCHEMA mine TO owner
a> GRANT SELECT ON mine.v TO owner
a> SELECT 'nobody ' || count(*) FROM app.all_docs()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT body FROM app.all_docs()
a> SELECT body FROM app.inlined()
a> SELECT body FROM app.digest
a> SELECT body FROM mine.v
a> SELECT 'A1 ' || (SELECT count(*) FROM app.all_docs()) || ' ' || (SELECT count(*) FROM app.inlined()) || ' ' || (SELECT count(*) FROM mine.v)
a> COMMIT
owner> SELECT 'the owner ' || count(*) FROM mine.v
must nobody 0
must A1 10 10 10
must the owner 0
mustnot CANARY_(A_|A2|B|ulla|victor)|ERROR
CASE

# A snapshot that was taken before a change shows the rows of then, but by the
# rights of now.
attack 'R25', 'an old snapshot, of REPEATABLE READ', <<'CASE';
b> BEGIN ISOLATION LEVEL REPEATABLE READ
b> SELECT 'old ' || count(*) FROM app.docs
su> SELECT revdesk_remove_member('${B}', '${ULLA}')
su> UPDATE app.docs SET tenant_id = '${B}', body = 'CANARY_B_moved' WHERE id = 2
b> SELECT revdesk_authenticate('${KEY_ULLA}')
b> SELECT 'left: ' || count(*) FROM app.docs WHERE tenant_id IN ('${B}', '${B1}')
b> SELECT 'rest: ' || string_agg(DISTINCT split_part(body, '_', 2), ' ') FROM app.docs
b> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'now ' || count(*) FROM app.docs
must old 0
must left: 0
must rest: A1 ulla
must now 9
mustnot ERROR|moved
CASE

attack_end();
