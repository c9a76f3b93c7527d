-- Proves that a scope of many tenants finds its rows in every form of plan, tests no array for each row, and is estimated well.

BEGIN;
\ir setup/desk.psql
SELECT plan(207);

-- A has 40 sub-entities more, B has 20; ann is a member of A1, B and every
-- third of them. Half of all rows are A7's.
SELECT FROM generate_series(3, 42) AS i, revdesk_create_sub_entity(test.id('A'), 'Sub-entity A' || i, test.id('A' || i));
SELECT FROM generate_series(2, 21) AS i, revdesk_create_sub_entity(test.id('B'), 'Sub-entity B' || i, test.id('B' || i));
SELECT FROM generate_series(3, 42, 3) AS i, revdesk_add_member(test.id('A' || i), test.id('ann'));
SELECT FROM generate_series(2, 21, 3) AS i, revdesk_add_member(test.id('B' || i), test.id('ann'));
SELECT test.create_key('A7', 'sub_entity', 'A7');

SET LOCAL ROLE test_owner;
CREATE TABLE desk.plain (
  id integer PRIMARY KEY, tenant_id uuid, owner_id uuid, made integer, status text, note text);
INSERT INTO desk.plain
SELECT i, CASE WHEN i % 2 = 0 THEN test.id('A7') WHEN i % 41 <> 0 THEN test.id(names[1 + i % 67]) END,
       CASE WHEN i % 3 = 0 THEN test.id(CASE WHEN i % 4 = 1 THEN 'ann' ELSE 'bob' END) END, i * 7919 % 10007,
       (ARRAY['open', 'waiting', 'closed'])[1 + i % 3], repeat('x', 100)
FROM generate_series(1, 8000) AS i,
     (SELECT array_agg(name ORDER BY name) FROM (SELECT 'A' || i FROM generate_series(1, 42) AS i UNION ALL
                                                 SELECT 'B' || i FROM generate_series(1, 21) AS i UNION ALL
                                                 VALUES ('A'), ('B'), ('unknown'), ('other')) AS names (name)) AS names (names);
CREATE TABLE desk.owned (LIKE desk.plain);
CREATE TABLE desk.parts (LIKE desk.plain) PARTITION BY HASH (tenant_id);
CREATE TABLE desk.parts_0 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE desk.parts_1 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE desk.parts_2 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE desk.parts_3 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO desk.owned SELECT * FROM desk.plain;
INSERT INTO desk.parts SELECT * FROM desk.plain;
CREATE INDEX plain_newest ON desk.plain (tenant_id, made, id);
CREATE INDEX plain_made ON desk.plain (made);
CREATE INDEX plain_lower ON desk.plain (status, tenant_id, made);
CREATE INDEX plain_hash ON desk.plain USING hash (tenant_id);
CREATE INDEX owned_newest ON desk.owned (tenant_id, made);
CREATE INDEX ON desk.parts (tenant_id, made);
SELECT FROM revdesk_protect('desk.plain');
SELECT FROM revdesk_protect('desk.owned', owner_column => 'owner_id');
SELECT FROM revdesk_protect('desk.parts');
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.plain, desk.owned, desk.parts TO test_app;
ANALYZE desk.plain, desk.owned, desk.parts;
RESET ROLE;

-- By hand.
CREATE TABLE test.tenants AS
SELECT keys.key, tenants.id FROM (VALUES ('A'), ('B')) AS keys (key), revdesk.tenants WHERE test.id(key) IN (id, umbrella_id)
UNION ALL
SELECT key, tenant_id FROM (VALUES ('ann'), ('bob'), ('eve')) AS keys (key), revdesk.memberships WHERE user_id = test.id(key);
CREATE FUNCTION test.by_hand(of_key text, query text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
  rows text := format('(SELECT * FROM desk.%%s WHERE tenant_id IN (SELECT id FROM test.tenants WHERE key = %1$L)%%s) AS', of_key);
BEGIN
  query := replace(query, 'desk.plain AS', format(rows, 'plain', ''));
  query := replace(query, 'desk.parts AS', format(rows, 'parts', ''));
  query := replace(query, 'desk.owned AS', format(rows, 'owned', format(' OR tenant_id IS NULL AND owner_id = %L', test.id(of_key))));
  EXECUTE format('SELECT COALESCE(string_agg(answer::text, '','' ORDER BY answer::text COLLATE "C"), '''') FROM (%s) AS answers (answer)', query)
  INTO answer;
  RETURN answer;
END
$$;

-- Every kind of plan, forced, and what must stand in it. Last, without an
-- order of its own, what a LIMIT over an ordered index finds.
CREATE TEMP TABLE forms AS
SELECT * FROM (VALUES
  ('a sequential scan', 'enable_indexscan enable_bitmapscan enable_indexonlyscan', 'Seq Scan', 'SELECT id FROM desk.plain AS p'),
  ('an index scan', 'enable_seqscan enable_bitmapscan', 'Index Scan.*Index Cond: [^\n]*ANY', 'SELECT note || id FROM desk.plain AS p'),
  ('an index-only scan', 'enable_seqscan enable_bitmapscan', 'Index Only Scan.*Index Cond: [^\n]*ANY', 'SELECT id FROM desk.plain AS p WHERE made > 0'),
  ('a bitmap scan', 'enable_seqscan enable_indexscan enable_indexonlyscan', 'Bitmap Heap Scan.*Index Cond: [^\n]*ANY', 'SELECT id FROM desk.plain AS p'),
  ('a lossy bitmap scan', 'enable_seqscan enable_indexscan enable_indexonlyscan work_mem', 'Bitmap Heap Scan', 'SELECT id FROM desk.plain AS p'),
  ('a lower column of an index', 'enable_seqscan enable_bitmapscan', 'plain_lower.*Index Cond: [^\n]*ANY',
   'SELECT count(*) FROM desk.plain AS p WHERE status = ''open'''),
  ('an index in its order', 'enable_seqscan enable_bitmapscan enable_sort', 'Index', 'SELECT id FROM (SELECT id, made FROM desk.plain AS p ORDER BY made DESC, id LIMIT 30) AS page'),
  ('an index in a lower order', 'enable_seqscan enable_bitmapscan enable_sort', 'Index',
   'SELECT made FROM (SELECT made FROM desk.plain AS p WHERE status > ''o'' ORDER BY status, tenant_id, made LIMIT 30) AS page'),
  ('a merge join', 'enable_seqscan enable_hashjoin enable_nestloop enable_bitmapscan', 'Merge Join', 'SELECT p.id FROM desk.plain AS p JOIN desk.plain AS q USING (tenant_id, made)'),
  ('a nested loop', 'enable_seqscan enable_hashjoin enable_mergejoin', 'Nested Loop', 'SELECT p.id FROM desk.plain AS p JOIN desk.owned AS q USING (tenant_id, made) WHERE p.made < 500'),
  ('a hash join', 'enable_mergejoin enable_nestloop', 'Hash Join', 'SELECT p.id FROM desk.plain AS p JOIN desk.owned AS q USING (id)'),
  ('a parallel scan', 'parallel', 'Workers Planned', 'SELECT count(*) FROM desk.plain AS p'),
  ('a parallel bitmap scan', 'parallel enable_seqscan enable_indexscan enable_indexonlyscan', 'Parallel Bitmap Heap Scan.*Index Cond: [^\n]*ANY', 'SELECT sum(length(note)) FROM desk.plain AS p'),
  -- Each process would make the array, and nbtree wants theirs to be equal.
  ('an index scan, which is not parallel', 'parallel enable_seqscan enable_bitmapscan', '^(?!.*(Parallel|Workers))', 'SELECT sum(length(note)) FROM desk.plain AS p'),
  ('personal rows', 'enable_bitmapscan', 'Scan', 'SELECT id FROM desk.owned AS o'),
  ('personal rows by bitmaps', 'enable_seqscan enable_indexscan', 'Scan', 'SELECT id FROM desk.owned AS o'),
  ('partitions', 'enable_bitmapscan', 'Append', 'SELECT id FROM desk.parts AS p'),
  ('partitions by an index', 'enable_seqscan enable_bitmapscan', 'Append.*Index', 'SELECT id FROM desk.parts AS p'),
  ('partitions merged', 'enable_seqscan', 'Append', 'SELECT id FROM (SELECT id FROM desk.parts AS p ORDER BY made DESC, id LIMIT 30) AS page'),
  ('one tenant', 'enable_seqscan enable_bitmapscan', 'Index Cond: [^\n]*tenant_id = ''.*Filter: [^\n]*in_',
   'SELECT id FROM desk.plain AS p WHERE tenant_id = test.id(''A3'')'),
  ('no tenant of the own', 'enable_seqscan enable_bitmapscan', 'Index Cond: [^\n]*tenant_id = ''.*Filter: [^\n]*in_',
   'SELECT id FROM desk.plain AS p WHERE test.id(''other'') = tenant_id'),
  ('a lookup by key', 'enable_seqscan', 'plain_pkey', 'SELECT id FROM desk.plain AS p WHERE id = 1234'),
  ('an aggregate', 'enable_bitmapscan', 'Aggregate', 'SELECT (made / 1000, count(*)) FROM desk.plain AS p GROUP BY made / 1000')
) AS forms (name, settings, shape, query);

CREATE FUNCTION test.force(settings text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  setting text;
BEGIN
  FOREACH setting IN ARRAY string_to_array(settings, ' ') LOOP
    CASE setting
    WHEN 'parallel' THEN
      PERFORM set_config('max_parallel_workers_per_gather', '2', true);
      PERFORM set_config(name, '0', true)
      FROM unnest(ARRAY['parallel_setup_cost', 'parallel_tuple_cost', 'min_parallel_table_scan_size', 'min_parallel_index_scan_size']) AS name;
    WHEN 'work_mem' THEN
      PERFORM set_config('work_mem', '64kB', true);
    ELSE
      PERFORM set_config(setting, 'off', true);
    END CASE;
  END LOOP;
END
$$;
-- The rows, and the plan, with the settings forced; all is undone.
CREATE FUNCTION test.forced(key text, settings text, query text, OUT rows text, OUT plan text) LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM test.force(settings);
  plan := test.plan('test_app', key, query);
  rows := test.rows('test_app', key, query);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  NULL;
END
$$;
CREATE TEMP TABLE found AS
SELECT forms.*, key, (test.forced(key, settings, query)).* FROM forms, (VALUES ('A'), ('B'), ('ann'), ('bob'), ('eve')) AS keys (key);

SELECT is(rows, test.by_hand(key, query), format('%s by %s: the right rows', key, name)) FROM found;
SELECT matches(plan, shape, format('%s by %s: is that plan', key, name)) FROM found WHERE key IN ('A', 'ann');
SELECT is(string_agg(format('%s by %s', key, name), '; '), NULL, 'no plan tests an array for each row')
FROM found WHERE plan ~ 'Filter: [^\n]*ANY';
SELECT is(string_agg(format('%s by %s', key, name), '; '), NULL, 'no plan has an id in it')
FROM found WHERE plan ~ '[0-9a-f]{8}-[0-9a-f]{4}' AND query !~ 'test.id';

-- One generic plan, while the scope and the sets change.
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE seen AS SELECT count(*) FROM desk.plain;
PREPARE seen_by_index AS SELECT count(*) FROM desk.plain WHERE id > 0 AND made >= 0;
CREATE FUNCTION test.seen(statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE 'EXECUTE ' || statement INTO answer;
  RETURN answer;
END
$$;
CREATE FUNCTION test.seen_is(at text) RETURNS SETOF text LANGUAGE plpgsql
AS $$
DECLARE
  wrong text;
BEGIN
  SELECT string_agg(format('%s by %s: %s instead of %s', one.key, statement, seen, wanted), '; ')
  INTO wrong
  FROM (VALUES ('A'), ('B'), ('ann'), ('bob')) AS one (key), (VALUES ('B'), ('A'), ('ann'), ('bob'), ('A7')) AS before (key),
       (VALUES ('seen'), ('seen_by_index')) AS statements (statement),
       LATERAL (SELECT test.rows('test_app', before.key, format('SELECT test.seen(%L)', statement))) AS first,
       LATERAL (SELECT test.rows('test_app', one.key, format('SELECT test.seen(%L)', statement))) AS second (seen),
       LATERAL (SELECT count(*)::text FROM desk.plain JOIN revdesk.tenants ON tenants.id = tenant_id
                WHERE test.id(one.key) IN (tenants.id, umbrella_id)
                   OR EXISTS (SELECT FROM revdesk.memberships AS m WHERE m.user_id = test.id(one.key) AND m.tenant_id = tenants.id
                              AND tenants.suspended_at IS NULL)) AS by_hand (wanted)
  WHERE seen IS DISTINCT FROM wanted;
  RETURN NEXT is(wrong, NULL, 'a generic plan, each key after each other one: right ' || at);
END
$$;
SELECT test.seen_is('at first');
SELECT FROM revdesk_add_member(test.id('A7'), test.id('ann'));
SELECT test.seen_is('after a membership more');
SELECT FROM revdesk_suspend_tenant(test.id('A3'));
SELECT test.seen_is('with a tenant suspended');
SELECT FROM revdesk_resume_tenant(test.id('A3'));
SAVEPOINT grown;
SELECT FROM revdesk_create_sub_entity(test.id('B'), 'Sub-entity B22', test.id('unknown'));
SELECT test.seen_is('after a sub-entity more');
ROLLBACK TO grown;
SELECT test.seen_is('after ROLLBACK TO');
SELECT FROM revdesk_remove_member(test.id('A7'), test.id('ann'));
SELECT test.seen_is('after a membership less');

-- Another scope's member test is false, and null for no tenant.
SELECT is(
  test.rows('test_app', key, $$SELECT concat_ws(' ', revdesk_scope_in_organization(test.id('A1')), revdesk_scope_in_organization(test.id('B')),
    revdesk_scope_in_user_tenants(test.id('A1')), revdesk_scope_in_user_tenants(test.id('A')),
    revdesk_scope_in_organization(NULL) IS NULL, revdesk_scope_in_user_tenants(NULL) IS NULL)$$), expected,
  'the member tests under ' || COALESCE(key, 'no key'))
FROM (VALUES ('A', 't f f f t t'), ('B', 'f t f f t t'), ('ann', 'f f t f t t'), ('bob', 'f f f t t t'), ('A1', 'f f f f t t'), (NULL, 'f f f f t t')) AS cases (key, expected);

-- How many rows the planner expects, and how many there are.
CREATE FUNCTION test.planned(key text, query text, what text) RETURNS float LANGUAGE plpgsql
AS $$
DECLARE
  plan json;
BEGIN
  PERFORM test.enter('test_app', key);
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN plan #>> ARRAY['0', 'Plan', what];
END
$$;
SELECT cmp_ok(
  abs(ln(test.planned(key, query, 'Plan Rows') / test.rows('test_app', key, format('SELECT count(*) FROM (%s) AS q', query))::float)), '<', ln(2),
  format('%s under %s: the estimate is within 2 times', query, key))
FROM (VALUES ('A'), ('B'), ('A7'), ('A1'), ('ann')) AS keys (key),
     (VALUES ('SELECT * FROM desk.plain'), ('SELECT * FROM desk.owned'), ('SELECT * FROM desk.parts'), ('SELECT * FROM desk.plain WHERE made < 5000')) AS queries (query);

-- Partitions that know few of the tenants, and tell of one alone.
SET LOCAL ROLE test_owner;
ALTER TABLE desk.parts_0 ALTER tenant_id SET STATISTICS 1;
ALTER TABLE desk.parts_1 ALTER tenant_id SET STATISTICS 1;
ALTER TABLE desk.parts_2 ALTER tenant_id SET STATISTICS 1;
ALTER TABLE desk.parts_3 ALTER tenant_id SET STATISTICS 1;
ANALYZE desk.parts;
RESET ROLE;
ANALYZE revdesk.tenants;
SELECT cmp_ok(
  abs(ln(test.planned(key, 'SELECT * FROM desk.parts', 'Plan Rows') / test.rows('test_app', key, 'SELECT count(*) FROM desk.parts')::float)), '<', ln(2),
  format('partitions with few statistics under %s: the estimate is within 2 times', key))
FROM (VALUES ('A'), ('B'), ('ann')) AS keys (key);

-- An index scan pays for each id of the array.
SELECT cmp_ok(
  test.planned('A', 'SELECT revdesk_scope_organization_tenants()', 'Total Cost'), '>',
  1.9 * test.planned('B', 'SELECT revdesk_scope_organization_tenants()', 'Total Cost'), 'an array costs by its length: organizations');
SELECT cmp_ok(
  test.planned('ann', 'SELECT revdesk_scope_user_tenants()', 'Total Cost'), '>',
  1.9 * test.planned('bob', 'SELECT revdesk_scope_user_tenants()', 'Total Cost'), 'an array costs by its length: users');

-- A scope of very many tenants and most rows is not tried with an index, which
-- would take long to find out; one of very many and few rows is.
INSERT INTO revdesk.tenants (id, umbrella_id, name)
SELECT test.id('A' || i), test.id('A'), 'Sub-entity A' || i FROM generate_series(43, 1200) AS i;
ANALYZE revdesk.tenants;
SET LOCAL ROLE test_owner;
CREATE TABLE desk.few (LIKE desk.plain);
INSERT INTO desk.few (id, tenant_id) SELECT i, test.id(CASE WHEN i % 100 = 0 THEN 'A' || i / 100 ELSE 'B' END) FROM generate_series(1, 20000) AS i;
CREATE INDEX ON desk.few (tenant_id);
SELECT FROM revdesk_protect('desk.few');
GRANT SELECT ON desk.few TO test_app;
ANALYZE desk.few;
RESET ROLE;
SELECT is(
  (test.forced('A', 'enable_seqscan', query)).plan ~ 'ANY', by_index, query || CASE WHEN by_index THEN ': by' ELSE ': without' END || ' an array')
FROM (VALUES ('SELECT count(*) FROM desk.plain', false), ('SELECT count(*) FROM desk.few', true)) AS cases (query, by_index);
SELECT is(
  test.rows('test_app', 'A', 'SELECT id FROM desk.few'), (SELECT string_agg(id::text, ',' ORDER BY id::text COLLATE "C") FROM desk.few WHERE id % 100 = 0),
  'and the right rows');

-- A library that is newer than the functions in the database.
ALTER EXTENSION revdesk_auth DROP FUNCTION revdesk_scope_in_organization(uuid);
ALTER EXTENSION revdesk_auth DROP FUNCTION revdesk_scope_in_user_tenants(uuid);
DROP FUNCTION revdesk_scope_in_organization(uuid), revdesk_scope_in_user_tenants(uuid);
SELECT is(
  test.rows('test_app', key, 'SELECT id FROM desk.plain AS p'), test.by_hand(key, 'SELECT id FROM desk.plain AS p'),
  'without the member tests, before ALTER EXTENSION UPDATE: the right rows for ' || key)
FROM (VALUES ('A'), ('ann')) AS keys (key);
SELECT matches(
  test.plan('test_app', key, 'SELECT id FROM desk.plain AS p'), 'ANY', 'and a comparison with the array: ' || key)
FROM (VALUES ('A'), ('ann')) AS keys (key);

SELECT * FROM finish();
ROLLBACK;
