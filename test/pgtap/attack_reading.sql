-- Proves that no form of query reads a row of another tenant (attacks R1, R5, R8 to R14, R18, R21, R22).

BEGIN;
\ir setup/desk.psql
SELECT plan(181);
GRANT CREATE ON SCHEMA desk, test TO test_app;
DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO test_app', current_database()); END $$;

-- R1: every form of query, under sub-entity A1.
SELECT is(
  test.rows('test_app', 'A1', query), expected, 'attack R1: ' || name)
FROM (VALUES
  ('SELECT', 'SELECT label FROM desk.calls', 'A1'),
  ('TABLE', 'TABLE desk.calls', '2'),
  ('a condition that is always true', 'SELECT label FROM desk.calls WHERE true OR tenant_id IS NOT NULL', 'A1'),
  ('a condition on another tenant', $$SELECT label FROM desk.calls WHERE tenant_id = test.id('B') OR label = 'B'$$, ''),
  ('by primary key', 'SELECT label FROM desk.calls WHERE id = 4', ''),
  ('a self join', 'SELECT one.label || two.label FROM desk.calls AS one CROSS JOIN desk.calls AS two', 'A1A1'),
  ('a left join', 'SELECT concat(calls.label, contacts.label) FROM desk.calls LEFT JOIN desk.contacts ON contacts.id <> calls.id', 'A1'),
  ('a right join', $$SELECT label FROM desk.calls RIGHT JOIN (VALUES (test.id('B'))) AS wanted (id) ON wanted.id = tenant_id$$, ''),
  ('a full join', 'SELECT concat(one.label, two.label) FROM desk.calls AS one FULL JOIN desk.contacts AS two ON false', 'A1,A1'),
  ('a lateral join', 'SELECT two.label FROM desk.calls AS one, LATERAL (SELECT label FROM desk.contacts WHERE contacts.id >= one.id OR true) AS two', 'A1'),
  ('a sub-select', 'SELECT (SELECT string_agg(label, ''+'') FROM desk.contacts)', 'A1'),
  ('EXISTS', $$SELECT EXISTS (SELECT FROM desk.calls WHERE label = 'B')$$, 'false'),
  ('NOT IN', 'SELECT id FROM generate_series(1, 6) AS id WHERE id NOT IN (SELECT calls.id FROM desk.calls)', '1,3,4,5,6'),
  ('a CTE', 'WITH all_of AS (SELECT * FROM desk.calls) SELECT label FROM all_of', 'A1'),
  ('a materialized CTE', 'WITH all_of AS MATERIALIZED (SELECT * FROM desk.calls) SELECT label FROM all_of', 'A1'),
  ('a recursive CTE', 'WITH RECURSIVE up (id, label) AS (SELECT id, label FROM desk.calls UNION SELECT calls.id, calls.label FROM desk.calls JOIN up ON calls.id <> up.id) SELECT label FROM up', 'A1'),
  ('UNION', 'SELECT label FROM desk.calls UNION SELECT label FROM desk.contacts', 'A1'),
  ('EXCEPT', $$SELECT label FROM (VALUES ('A1'), ('B')) AS labels (label) EXCEPT SELECT label FROM desk.calls$$, 'B'),
  ('count', 'SELECT count(*) FROM desk.calls', '1'),
  ('max', 'SELECT max(label) FROM desk.calls', 'A1'),
  ('GROUPING SETS', 'SELECT concat(label, count(*)) FROM desk.calls GROUP BY GROUPING SETS ((label), ())', '1,A11'),
  ('HAVING', 'SELECT count(*) FROM desk.calls HAVING count(*) > 1', ''),
  ('a window', 'SELECT count(*) OVER () || max(label) OVER (ORDER BY id DESC ROWS UNBOUNDED PRECEDING) FROM desk.calls', '1A1'),
  ('DISTINCT ON', 'SELECT DISTINCT ON (tenant_id) label FROM desk.calls ORDER BY tenant_id', 'A1'),
  ('TABLESAMPLE', 'SELECT label FROM desk.calls TABLESAMPLE BERNOULLI (100)', 'A1'),
  ('ctid', 'SELECT label FROM desk.calls WHERE ctid = ANY (ARRAY[''(0,1)'', ''(0,2)'', ''(0,3)'', ''(0,4)'', ''(0,5)'']::tid[])', 'A1'),
  ('a range of ctid', 'SELECT label FROM desk.calls WHERE ctid >= ''(0,0)''', 'A1'),
  ('tableoid', 'SELECT label FROM desk.calls WHERE tableoid = ''desk.calls''::regclass', 'A1'),
  ('a whole row', 'SELECT (calls).label FROM desk.calls AS calls', 'A1'),
  ('to_jsonb', 'SELECT to_jsonb(calls) ->> ''label'' FROM desk.calls AS calls', 'A1'),
  ('FOR UPDATE', 'SELECT label FROM (SELECT * FROM desk.calls FOR UPDATE) AS locked', 'A1'),
  ('FOR KEY SHARE SKIP LOCKED', 'SELECT label FROM (SELECT * FROM desk.calls FOR KEY SHARE SKIP LOCKED) AS locked', 'A1'),
  ('ONLY', 'SELECT label FROM ONLY desk.calls', 'A1'),
  ('LIMIT and OFFSET', 'SELECT label FROM desk.calls ORDER BY id DESC LIMIT 1', 'A1'),
  ('OFFSET past the own rows', 'SELECT label FROM desk.calls ORDER BY id OFFSET 1', ''),
  ('query_to_xml', 'SELECT query_to_xml(''SELECT label FROM desk.calls'', false, true, '''')::text ~ ''B''', 'false'),
  ('table_to_xml', 'SELECT table_to_xml(''desk.calls'', false, true, '''')::text ~ ''<label>B''', 'false')
) AS cases (name, query, expected);

-- R5: the same rows whatever the plan.
CREATE TABLE desk.many (id integer, tenant_id uuid, umbrella_id uuid, label text);
INSERT INTO desk.many SELECT i, test.id(tenant), NULL, tenant FROM generate_series(1, 2000) AS i, unnest(ARRAY['A', 'A1', 'A2', 'B', 'B1']) AS tenant;
SELECT FROM revdesk_protect('desk.many', umbrella_column => 'umbrella_id');
ANALYZE desk.many;
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.many TO test_app;
CREATE FUNCTION test.with_settings(settings text, key text, query text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  setting text;
  outcome text;
BEGIN
  IF current_setting('server_version_num')::integer >= 160000 THEN
    settings := replace(settings, 'force_parallel_mode', 'debug_parallel_query');
  END IF;
  FOREACH setting IN ARRAY string_to_array(settings, ' ') LOOP
    PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), true);
  END LOOP;
  outcome := test.rows('test_app', key, query);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome;
END
$$;
CREATE TEMP TABLE plans AS
SELECT * FROM (VALUES
  ('sequential scans', 'enable_indexscan=off enable_bitmapscan=off enable_indexonlyscan=off'),
  ('index scans', 'enable_seqscan=off enable_bitmapscan=off'), ('bitmap scans', 'enable_seqscan=off enable_indexscan=off enable_indexonlyscan=off'),
  ('parallel scans', 'force_parallel_mode=on parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0 max_parallel_workers_per_gather=4 enable_indexscan=off enable_bitmapscan=off'),
  ('compilation', 'jit=on jit_above_cost=0 jit_inline_above_cost=0 jit_optimize_above_cost=0'),
  ('nested loops', 'enable_hashjoin=off enable_mergejoin=off'), ('hash joins', 'enable_nestloop=off enable_mergejoin=off'),
  ('merge joins', 'enable_nestloop=off enable_hashjoin=off')
) AS plans (name, settings);
SELECT is(
  test.with_settings(settings, key, 'SELECT label || count(*) FROM desk.many GROUP BY label'), expected,
  format('attack R5: %s, %s', name, COALESCE('key ' || key, 'no key')))
FROM plans, (VALUES ('A1', 'A12000'), ('A', 'A12000,A2000,A22000'), ('ann', 'A12000,B2000'), (NULL, '')) AS keys (key, expected);
SELECT is(
  test.with_settings(settings, key, 'SELECT many.label || count(*) FROM desk.many JOIN desk.calls USING (tenant_id) GROUP BY many.label'), expected,
  format('attack R5: a join by %s, %s', name, COALESCE('key ' || key, 'no key')))
FROM plans, (VALUES ('A1', 'A12000'), ('A', 'A12000,A2000,A22000'), ('ann', 'A12000,B2000'), (NULL, '')) AS keys (key, expected);

-- R8: functions and operators of the caller's that tell what they are given.
CREATE TABLE test.seen (label text);
GRANT INSERT ON test.seen TO test_app;
CREATE FUNCTION test.peek(label text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$ BEGIN INSERT INTO test.seen VALUES (label); RETURN true; END $$;
CREATE FUNCTION test.peek(one text, two text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$ BEGIN INSERT INTO test.seen VALUES (one); RETURN true; END $$;
CREATE OPERATOR test.>>> (LEFTARG = text, RIGHTARG = text, FUNCTION = test.peek, RESTRICT = scalarltsel);
CREATE FUNCTION test.peeked(query text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  seen text;
BEGIN
  PERFORM test.enter('test_app', 'A1');
  EXECUTE query;
  RESET ROLE;
  SELECT string_agg(DISTINCT label, ',') INTO seen FROM test.seen;
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN seen;
END
$$;
SELECT is(
  test.peeked(query), 'A1', 'attack R8: ' || name)
FROM (VALUES
  ('a cheap function in WHERE', 'SELECT FROM desk.calls WHERE test.peek(label)'),
  ('with an index to be had', 'SELECT FROM desk.calls WHERE test.peek(label) AND id < 100'),
  ('in a join condition', 'SELECT FROM desk.calls AS one JOIN desk.contacts AS two ON test.peek(one.label) AND test.peek(two.label)'),
  ('an operator', $$SELECT FROM desk.calls WHERE label OPERATOR(test.>>>) 'x'$$),
  ('under OR', 'SELECT FROM desk.calls WHERE test.peek(label) OR tenant_id IS NULL'),
  ('in ORDER BY', 'SELECT FROM desk.calls ORDER BY test.peek(label)'),
  ('in an aggregate''s FILTER', 'SELECT count(*) FILTER (WHERE test.peek(label)) FROM desk.calls'),
  ('in UPDATE', 'UPDATE desk.calls SET label = label WHERE test.peek(label)'),
  ('in DELETE', 'DELETE FROM desk.calls WHERE test.peek(label)'),
  ('in MERGE', 'MERGE INTO desk.calls USING (SELECT 1) AS one ON test.peek(calls.label) WHEN MATCHED THEN DO NOTHING'),
  ('in a RETURNING', 'UPDATE desk.calls SET label = label RETURNING test.peek(label)'),
  ('in a sub-select of the walk-up''s neighbour', 'SELECT FROM desk.calls WHERE EXISTS (SELECT FROM desk.contacts WHERE test.peek(contacts.label))')
) AS cases (name, query);
SELECT is(
  test.peeked('SELECT FROM desk.registrations WHERE test.peek(label)'), 'A,A1', 'attack R8: on a walk-up table, what may be read');
SELECT is(
  test.error('test_app', 'A1', query), NULL, 'attack R8: no error about a row of others: ' || name)
FROM (VALUES
  ('division', 'SELECT FROM desk.calls WHERE 1 / (id - 4) IS NOT NULL'),
  ('a cast', $$SELECT FROM desk.calls WHERE (CASE WHEN label = 'A1' THEN '1' ELSE label END)::integer = 1$$),
  ('a cast in an UPDATE', $$UPDATE desk.calls SET label = 'A1' WHERE (CASE WHEN label = 'A1' THEN '1' ELSE label END)::integer = 1$$)
) AS cases (name, query);

-- R9: statistics and estimates.
SELECT is(
  test.rows('test_app', 'A1', query), '', 'attack R9: no statistics of protected tables in ' || name)
FROM (VALUES
  ('pg_stats', $$SELECT tablename FROM pg_stats WHERE schemaname = 'desk'$$),
  ('pg_stats_ext', $$SELECT tablename FROM pg_stats_ext WHERE schemaname = 'desk'$$)
) AS cases (name, query);
SELECT is(test.run('test_app', 'A1', query), '42501', 'attack R9: ' || query || ' is refused')
FROM (VALUES ('SELECT * FROM pg_statistic'), ('SELECT stxdmcv FROM pg_statistic_ext_data')) AS cases (query);
-- O08: an operator that tells what an estimator gives it, which are values of
-- the column's statistics.
CREATE TABLE desk.unprotected AS SELECT * FROM desk.many;
GRANT SELECT ON desk.unprotected TO test_app;
ANALYZE desk.unprotected;
SELECT is(
  test.peeked(format($$EXPLAIN SELECT FROM desk.%I WHERE label OPERATOR(test.>>>) 'x'$$, relation)), expected,
  'attack R9: what the planner shows an operator of the caller''s of the statistics of table ' || relation)
FROM (VALUES ('unprotected', 'A,A1,A2,B,B1'), ('many', NULL)) AS tables (relation, expected);

-- R10: messages.
CREATE UNIQUE INDEX ON desk.contacts (label);
ALTER TABLE desk.notes ADD CHECK (label <> 'forbidden');
CREATE TABLE desk.details (call_id integer REFERENCES desk.calls (id), tenant_id uuid);
SELECT FROM revdesk_protect('desk.details');
GRANT SELECT, INSERT, UPDATE ON desk.details TO test_app;
SELECT is(
  test.error('test_app', 'A1', statement), message, 'attack R10: no value in the message of ' || name)
FROM (VALUES
  ('a unique violation by primary key', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x')$$,
   '23505 | duplicate key value violates unique constraint "calls_pkey"'),
  ('one by a unique index', $$INSERT INTO desk.contacts VALUES (100, test.id('A1'), NULL, NULL, 'B')$$,
   '23505 | duplicate key value violates unique constraint "contacts_label_idx"'),
  ('a CHECK', $$INSERT INTO desk.notes VALUES (100, test.id('A1'), NULL, 'forbidden')$$,
   '23514 | new row for relation "notes" violates check constraint "notes_label_check"'),
  ('a NOT NULL', $$INSERT INTO desk.calls VALUES (NULL, test.id('A1'), 'x')$$,
   '23502 | null value in column "id" of relation "calls" violates not-null constraint'),
  ('the policy', $$INSERT INTO desk.calls VALUES (100, test.id('B'), 'x')$$,
   '42501 | new row violates row-level security policy "revdesk_isolation" for table "calls"')
) AS cases (name, statement, message);

-- R11
SELECT is(
  test.run('test_app', 'A1', $$COPY desk.calls FROM '/dev/null'$$), '42501', 'attack R11: COPY FROM a file is not for the caller');
GRANT pg_read_server_files, pg_execute_server_program TO test_app;
SELECT is(
  test.write('test_app', 'A1', $$COPY desk.calls FROM '/dev/null'$$), '0A000, unchanged', 'attack R11: COPY FROM is refused under row security even so');
SELECT is(
  test.run('test_app', 'A1', statement), expected, 'attack R11: ' || statement)
FROM (VALUES ($$COPY desk.calls TO PROGRAM 'cat > /dev/null'$$, '1 rows'),
             ($$COPY (SELECT * FROM desk.calls WHERE tenant_id IS NOT NULL OR true) TO PROGRAM 'cat > /dev/null'$$, '1 rows')) AS cases (statement, expected);

-- R12: RETURNING tells of rows that may be seen alone.
SELECT is(
  test.run('test_app', 'A1', statement), expected, 'attack R12: ' || statement)
FROM (VALUES
  ('UPDATE desk.calls SET label = label RETURNING *', '1 rows'), ('DELETE FROM desk.calls RETURNING *', '1 rows'),
  ('UPDATE desk.calls SET label = contacts.label FROM desk.contacts RETURNING contacts.*', '1 rows'),
  ('DELETE FROM desk.calls USING desk.contacts AS c RETURNING c.*', '1 rows'),
  ($$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET label = 'x' RETURNING *$$, '42501'),
  ($$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT DO NOTHING RETURNING *$$, '0 rows'),
  ($$INSERT INTO desk.calls SELECT id + 100, tenant_id, label FROM desk.calls RETURNING *$$, '1 rows')
) AS cases (statement, expected);

-- R13
SELECT is(
  test.with_settings('row_security=off', key, 'SELECT label FROM desk.calls'), '42501', 'attack R13: row_security = off is an error, ' || COALESCE('key ' || key, 'no key'))
FROM (VALUES (NULL), ('A1'), ('A')) AS keys (key);
SELECT is(
  test.rows('test_owner', 'A1', $$SELECT label FROM desk.calls, LATERAL (SELECT 1) AS x$$), 'A1', 'attack R13: the owner is held as well');

-- R14: EXPLAIN ANALYZE shows the condition and no value.
SELECT unalike(
  test.plan('test_app', 'A1', 'SELECT label FROM desk.calls'), '%' || test.id(tenant) || '%', 'attack R14: no id of ' || tenant || ' in a plan')
FROM (VALUES ('A1'), ('B')) AS tenants (tenant);

-- R18: nobody's rows.
SELECT is(
  test.rows('test_app', key, format('SELECT label FROM desk.%I WHERE %s', relation, condition)), expected,
  format('attack R18: %s of %s under %s', condition, relation, COALESCE(key, 'no key')))
FROM (VALUES ('A'), ('A1'), ('ann'), ('eve'), (NULL)) AS keys (key),
  (VALUES ('calls', 'tenant_id IS NULL'), ('contacts', 'tenant_id IS NULL AND owner_id IS NULL'), ('notes', 'tenant_id IS NULL AND owner_id IS NULL'),
          ('registrations', 'tenant_id IS NULL')) AS rows (relation, condition), (VALUES ('')) AS none (expected);

-- A permissive policy of somebody else's does not widen ours.
CREATE POLICY everything ON desk.calls USING (true) WITH CHECK (true);
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.calls'), 'A1', 'R22: a permissive policy beside ours opens nothing');
SELECT is(test.write('test_app', 'A1', $$INSERT INTO desk.calls VALUES (100, test.id('B'), 'x')$$), '42501, unchanged', 'R22: neither for writing');
SELECT is(
  test.run('test_app', 'A1', statement), '42501', 'R21: the caller does not tamper: ' || statement)
FROM (VALUES ('DROP POLICY revdesk_isolation ON desk.calls'), ('ALTER POLICY revdesk_isolation ON desk.calls USING (true)'),
  ('CREATE POLICY mine ON desk.calls USING (true)'), ('ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY'),
  ('ALTER TABLE desk.calls NO FORCE ROW LEVEL SECURITY'), ('ALTER TABLE desk.calls OWNER TO test_app'),
  ('CREATE TRIGGER mine BEFORE INSERT ON desk.calls FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
  ('CREATE RULE mine AS ON SELECT TO desk.calls DO INSTEAD SELECT 1')
) AS cases (statement);

-- Views of the table's owner, with and without security_invoker.
CREATE VIEW desk.owners AS SELECT * FROM desk.calls;
CREATE VIEW desk.invokers WITH (security_invoker = true) AS SELECT * FROM desk.calls;
ALTER VIEW desk.owners OWNER TO test_owner;
GRANT SELECT ON desk.owners, desk.invokers TO test_app;
SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.' || view), expected, format('attack R7: view %s under %s', view, COALESCE(key, 'no key')))
FROM (VALUES ('owners'), ('invokers')) AS views (view), (VALUES ('A1', 'A1'), ('A', 'A,A1,A2'), (NULL, '')) AS keys (key, expected);

SELECT * FROM finish();
ROLLBACK;
