-- Proves that organizations and users open the partitions of their own tenants alone, and find all their rows by plans that were made for others.

BEGIN;
\ir setup/desk.psql
SELECT plan(237);

-- A has 80 sub-entities, B one and C none; max is a member of 70 of them, ann
-- of five.
SELECT FROM revdesk_create_organization('Organization C', test.id('C'));
SELECT test.create_key('C', 'organization', 'C');
SELECT FROM revdesk_create_user('max', test.id('max'));
SELECT test.create_key('max', 'user', NULL, 'max');
SELECT FROM generate_series(3, 80) AS i, revdesk_create_sub_entity(test.id('A'), 'Sub-entity A' || i, test.id('A' || i));
SELECT FROM generate_series(3, 72) AS i, revdesk_add_member(test.id('A' || i), test.id('max'));
SELECT FROM generate_series(3, 5) AS i, revdesk_add_member(test.id('A' || i), test.id('ann'));

SET LOCAL ROLE test_owner;
CREATE TABLE desk.plain (id integer, tenant_id uuid, owner_id uuid, made integer, label text);
INSERT INTO desk.plain
SELECT row_number() OVER (ORDER BY n, name), CASE WHEN name <> 'none' THEN test.id(name) END,
       CASE n WHEN 1 THEN test.id('ann') WHEN 2 THEN test.id('bob') WHEN 3 THEN test.id('max') WHEN 4 THEN test.id('eve') END, n, name
FROM (SELECT 'A' || i FROM generate_series(1, 80) AS i UNION ALL VALUES ('A'), ('B'), ('B1'), ('C'), ('unknown'), ('none')) AS names (name),
     generate_series(0, 5) AS n;
CREATE TABLE desk.by_hash (LIKE desk.plain) PARTITION BY HASH (tenant_id);
CREATE TABLE desk.uneven (LIKE desk.plain) PARTITION BY HASH (tenant_id);
CREATE TABLE desk.by_list (LIKE desk.plain) PARTITION BY LIST (tenant_id);
CREATE TABLE desk.by_range (LIKE desk.plain) PARTITION BY RANGE (tenant_id, id);
CREATE TABLE desk.by_time (LIKE desk.plain) PARTITION BY RANGE (made);
CREATE TABLE desk.by_both (LIKE desk.plain) PARTITION BY HASH (tenant_id, made);
CREATE TABLE desk.by_all (LIKE desk.plain) PARTITION BY LIST (tenant_id);
CREATE TABLE desk.by_time_1 (label text, owner_id uuid, made integer, id integer, tenant_id uuid) PARTITION BY HASH (tenant_id);
ALTER TABLE desk.by_time ATTACH PARTITION desk.by_time_1 FOR VALUES FROM (MINVALUE) TO (2);
CREATE TABLE desk.by_time_2 PARTITION OF desk.by_time FOR VALUES FROM (2) TO (4) PARTITION BY HASH (tenant_id);
CREATE TABLE desk.by_time_3 PARTITION OF desk.by_time DEFAULT;
CREATE TABLE desk.by_all_rest PARTITION OF desk.by_all DEFAULT PARTITION BY HASH (tenant_id);
SELECT format('CREATE TABLE desk.%1$s_%3$s PARTITION OF desk.%1$s FOR VALUES WITH (MODULUS %2$s, REMAINDER %3$s)', name, modulus, remainder)
FROM (VALUES ('by_hash', 16), ('by_time_1', 5), ('by_time_2', 8), ('by_both', 6), ('by_all_rest', 4)) AS tables (name, modulus),
     generate_series(0, modulus - 1) AS remainder
UNION ALL
SELECT format('CREATE TABLE desk.uneven_%2$s PARTITION OF desk.uneven FOR VALUES WITH (MODULUS %1$s, REMAINDER %2$s)', modulus, remainder)
FROM (VALUES (2, 0), (4, 1), (8, 3), (8, 7)) AS parts (modulus, remainder)
UNION ALL
SELECT format('CREATE TABLE desk.%1$s_%2$s PARTITION OF desk.%1$s FOR VALUES IN (%3$L)', name, lower(tenant), md5(tenant)::uuid)
FROM (VALUES ('by_list'), ('by_all')) AS tables (name), (VALUES ('A'), ('A1'), ('A2'), ('A3'), ('B'), ('C')) AS tenants (tenant)
UNION ALL
SELECT format('CREATE TABLE desk.by_list_%s PARTITION OF desk.by_list %s', name, bounds)
FROM (VALUES ('none', 'FOR VALUES IN (NULL)'), ('rest', 'DEFAULT')) AS parts (name, bounds)
UNION ALL
SELECT format('CREATE TABLE desk.by_range_%s PARTITION OF desk.by_range %s', n, bounds)
FROM (VALUES (0, $$FOR VALUES FROM (MINVALUE, MINVALUE) TO ('20000000-0000-0000-0000-000000000000', 0)$$),
             (1, $$FOR VALUES FROM ('20000000-0000-0000-0000-000000000000', 0) TO ('80000000-0000-0000-0000-000000000000', 0)$$),
             (2, $$FOR VALUES FROM ('80000000-0000-0000-0000-000000000000', 0) TO ('f0000000-0000-0000-0000-000000000000', 0)$$),
             (3, 'DEFAULT')) AS parts (n, bounds)
\gexec
CREATE TEMP TABLE tables AS
SELECT * FROM (VALUES ('plain'), ('by_hash'), ('uneven'), ('by_list'), ('by_range'), ('by_time'), ('by_both'), ('by_all')) AS names (name);
SELECT format('INSERT INTO desk.%I SELECT * FROM desk.plain', name) FROM tables WHERE name <> 'plain'
UNION ALL SELECT format('CREATE INDEX ON desk.%I (tenant_id)', name) FROM tables WHERE name <> 'by_list'
UNION ALL SELECT format('SELECT FROM revdesk_protect(%L%s)', 'desk.' || name, CASE WHEN name <> 'by_hash' THEN ', owner_column => ''owner_id''' END) FROM tables
UNION ALL SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON desk.%I TO test_app', name) FROM tables
UNION ALL SELECT format('ANALYZE desk.%I', name) FROM tables
\gexec
RESET ROLE;

-- By hand: who sees which rows.
CREATE FUNCTION test.wanted(of_key text, of_table text) RETURNS text LANGUAGE sql STABLE
AS $$
  SELECT COALESCE(string_agg(id::text, ',' ORDER BY id), '') FROM desk.plain
  WHERE tenant_id = test.id(of_key)
     OR EXISTS (SELECT FROM revdesk.tenants AS t WHERE t.id = tenant_id AND t.umbrella_id = test.id(of_key))
     OR EXISTS (SELECT FROM revdesk.memberships AS m WHERE m.tenant_id = plain.tenant_id AND m.user_id = test.id(of_key))
     OR tenant_id IS NULL AND owner_id = test.id(of_key) AND of_table <> 'by_hash'
$$;
CREATE FUNCTION test.answer(statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE statement INTO answer;
  RETURN COALESCE(answer, '');
END
$$;
CREATE TEMP TABLE callers AS
SELECT * FROM (VALUES ('A'), ('B'), ('C'), ('ann'), ('bob'), ('eve'), ('max'), ('A1')) AS keys (key);
CREATE TEMP TABLE expected AS SELECT key, name, test.wanted(key, name) AS wanted FROM callers, tables;
GRANT SELECT ON tables, callers, expected TO test_app;

-- Every statement by each caller after each other one: by one generic plan, and
-- by those that PostgreSQL chooses.
SELECT format($f$CREATE FUNCTION test.of_%1$s() RETURNS text LANGUAGE plpgsql
  AS 'BEGIN RETURN (SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.%1$s); END'$f$, name) FROM tables
\gexec
CREATE FUNCTION test.by_turns(of_table text, statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  pair record;
  wrong text;
BEGIN
  FOR pair IN SELECT one.key AS before, two.key, two.wanted FROM expected AS one JOIN expected AS two USING (name) WHERE name = of_table LOOP
    PERFORM test.act_for(pair.before);
    PERFORM test.answer(statement);
    PERFORM test.act_for(pair.key);
    IF test.answer(statement) <> pair.wanted THEN
      wrong := concat_ws('; ', wrong, format('%s after %s', pair.key, pair.before));
    END IF;
  END LOOP;
  RETURN wrong;
END
$$;
SET LOCAL ROLE test_app;
SELECT format('PREPARE %1$s AS SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.%1$s', name) FROM tables
UNION ALL
SELECT format('PREPARE %1$s_2 (integer) AS SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.%1$s WHERE made >= $1', name) FROM tables
\gexec
SELECT is(test.by_turns(name, format(statement, name)), NULL, format(statement, name) || ' by turns')
FROM tables, (VALUES ('EXECUTE %s'), ('EXECUTE %s_2 (0)'), ('SELECT test.of_%s()')) AS statements (statement);
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT is(test.by_turns(name, format(statement, name)), NULL, format(statement, name) || ' by turns, generic plans')
FROM tables, (VALUES ('EXECUTE %s'), ('EXECUTE %s_2 (0)'), ('SELECT test.of_%s()')) AS statements (statement);
SELECT revdesk_deauthenticate();
RESET ROLE;

-- Which partitions stay closed: those without a row that is visible, unless the
-- scope has more tenants than there are partitions. PostgreSQL opens the default
-- one of by_range always; a user's, where rows without a tenant are.
CREATE FUNCTION test.removed(key text, statement text) RETURNS integer LANGUAGE sql
AS $$ SELECT COALESCE(substring(test.plan('test_app', key, statement) FROM 'Subplans Removed: (\d+)')::integer, 0) $$;
CREATE TEMP TABLE sizes AS
SELECT key, (SELECT count(*) FROM revdesk.tenants WHERE test.id(key) IN (id, umbrella_id))
            + (SELECT count(*) FROM revdesk.memberships WHERE user_id = test.id(key)) AS tenants FROM callers;
CREATE FUNCTION test.closed(of_key text, of_table text) RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
  closed bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM pg_partition_tree(%L) AS tree WHERE isleaf AND relid <> ALL (%L::regclass[]) AND NOT EXISTS ('
                 'SELECT FROM desk.%I AS t WHERE t.tableoid = tree.relid AND t.id = ANY (string_to_array(%L, '','')::integer[]))',
                 'desk.' || of_table,
                 CASE WHEN of_table = 'by_range' THEN '{desk.by_range_3}'
                      WHEN of_table = 'by_time' AND of_key IN ('ann', 'bob', 'eve', 'max') THEN '{desk.by_time_1_0, desk.by_time_2_0}' ELSE '{}' END, of_table, test.wanted(of_key, of_table)) INTO closed;
  RETURN closed;
END
$$;
SELECT is(
  test.removed(key, 'SELECT id FROM desk.' || name)::bigint, CASE WHEN tenants <= places THEN test.closed(key, name) ELSE (key = 'A' AND name = 'by_list')::integer END,
  format('%s opens its partitions of %s', key, name))
FROM sizes, (VALUES ('by_hash', 16), ('uneven', 4), ('by_list', 8), ('by_range', 4), ('by_time', 8)) AS tables (name, places);
SELECT cmp_ok(test.removed(key, 'SELECT id FROM desk.by_hash'), '>', 10, key || ' leaves most of 16 closed')
FROM (VALUES ('B'), ('C'), ('ann'), ('bob'), ('eve')) AS keys (key);
SELECT is(test.removed(key, 'SELECT id FROM desk.by_both'), 0, key || ' opens all that are by more than the tenant')
FROM (VALUES ('B'), ('ann')) AS keys (key);
SELECT is(
  test.rows('test_app', key, 'SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.by_both WHERE made = 3'),
  test.rows('test_app', key, 'SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.plain WHERE made = 3'), key || ' finds its rows in them by both columns')
FROM (VALUES ('A'), ('B'), ('ann'), ('bob'), ('max')) AS keys (key);
SELECT is(test.removed('B', 'SELECT id FROM desk.by_all'), 5, 'of two levels by the tenant the first is pruned: B, and where B1 is');
SELECT is(test.removed('C', 'SELECT id FROM desk.by_all'), 9, 'of two levels by the tenant the first is pruned: C');
SELECT is(test.removed('ann', statement), 11, statement)
FROM (VALUES ('UPDATE desk.by_hash SET made = made'), ('DELETE FROM desk.by_hash'), ('SELECT id FROM desk.by_hash ORDER BY tenant_id LIMIT 5'),
             ('SELECT count(*) FROM desk.by_hash JOIN desk.plain USING (id)')) AS statements (statement);
SELECT unalike(test.plan('test_app', key, 'SELECT * FROM desk.' || name), '%scope_tenant%', format('no scan of %s by %s evaluates what prunes', name, key))
FROM callers, tables WHERE key IN ('B', 'ann');

-- Writes meet their rows.
CREATE FUNCTION test.written(key text, statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
BEGIN
  PERFORM set_config('role', 'test_app', true);
  PERFORM test.act_for(key);
  EXECUTE format('WITH written AS (%s RETURNING id) SELECT string_agg(id::text, '','' ORDER BY id) FROM written', statement) INTO answer;
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN COALESCE(answer, '');
END
$$;
SELECT is(test.written(key, format(statement, name)), wanted, format('%s: %s', key, format(statement, name)))
FROM expected, (VALUES ('UPDATE desk.%s SET made = made'), ('DELETE FROM desk.%s')) AS statements (statement)
WHERE name IN ('by_hash', 'by_list', 'by_time') AND key IN ('A', 'ann', 'max');

-- The leader and the workers of a parallel plan open the same partitions.
SAVEPOINT parallel;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0;
SELECT matches(test.plan('test_app', 'ann', 'SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.by_hash'), 'Gather.*Parallel Append.*Subplans Removed: 11', 'a parallel append prunes');
SELECT is(test.rows('test_app', key, format('SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.%s', name)), wanted, format('%s reads %s in parallel', key, name))
FROM expected WHERE name <> 'plain' AND key IN ('A', 'ann', 'max');
ROLLBACK TO parallel;

-- A set that changes in the transaction, and callers that a rollback brings
-- back.
CREATE FUNCTION test.change(changes text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE changes; END $$;
CREATE FUNCTION test.wanted_now(of_key text, of_table text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT test.wanted(of_key, of_table) $$;
SET LOCAL ROLE test_app;
SELECT test.act_for('ann');
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('ann', name), name || ' at first') FROM tables;
SELECT test.change($$INSERT INTO revdesk.memberships (tenant_id, user_id) SELECT test.id('A' || i), test.id('ann') FROM generate_series(20, 24) AS i$$);
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('ann', name), name || ' after five memberships more') FROM tables;
SAVEPOINT more;
SELECT test.change($$INSERT INTO revdesk.memberships (tenant_id, user_id) SELECT test.id('A' || i), test.id('ann') FROM generate_series(30, 70) AS i$$);
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('ann', name), name || ' after more than there are partitions') FROM tables;
SELECT test.act_for('max');
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('max', name), name || ' for another user') FROM tables;
ROLLBACK TO more;
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('ann', name), name || ' for the first one again') FROM tables;
SELECT test.change($$DELETE FROM revdesk.memberships WHERE user_id = test.id('ann') AND tenant_id <> test.id('A24')$$);
SELECT is(test.answer('EXECUTE ' || name), test.wanted_now('ann', name), name || ' with one membership left') FROM tables;

-- A cursor keeps to the partitions that it was opened for.
DECLARE reader CURSOR FOR SELECT id::text FROM desk.by_hash ORDER BY by_hash.id;
CREATE FUNCTION pg_temp.fetched(reader refcursor) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  id text;
  ids text[] := '{}';
BEGIN
  LOOP
    FETCH reader INTO id;
    EXIT WHEN NOT FOUND;
    ids := ids || id;
  END LOOP;
  RETURN array_to_string(ids, ',');
END
$$;
SELECT is(pg_temp.fetched('reader'), test.wanted_now('ann', 'by_hash'), 'a cursor reads all');

SELECT revdesk_deauthenticate();
RESET ROLE;

-- What the planner asks for, by hand.
SELECT is(
  test.rows('test_app', key, format('SELECT COALESCE(revdesk_scope_tenant(%s, %s, %L)::text, ''null'')', place, places, test.id('other'))), expected,
  format('place %s of %s under %s', place, places, COALESCE(key, 'no key')))
FROM (VALUES ('C', 1, 3, test.id('C')::text), ('C', 2, 3, 'null'), ('C', 0, 3, 'null'), ('C', -1, 3, 'null'), ('C', 1, 0, test.id('other')::text),
             ('C', 2147483647, 2147483647, test.id('other')::text), ('B', 1, 1, test.id('other')::text), ('B', 2, 1, test.id('other')::text),
             ('B', 2, 8, test.id('B1')::text), ('C', 2, 8, 'null'), ('bob', 1, 1, test.id('A')::text), ('eve', 1, 1, 'null'), ('A1', 1, 1, 'null'), (NULL, 1, 1, 'null')) AS cases (key, place, places, expected);

-- A remainder of a hash without a partition: one that was detached to be split, say.
ALTER TABLE desk.uneven DETACH PARTITION desk.uneven_7;
SELECT is(
  test.rows('test_app', key, 'SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.uneven'),
  (SELECT string_agg(id, ',' ORDER BY id::integer) FROM string_to_table(test.wanted(key, 'uneven'), ',') AS id WHERE id::integer NOT IN (SELECT uneven_7.id FROM desk.uneven_7)),
  'a hash without all partitions: ' || key)
FROM callers;

-- A library that is newer than the functions in the database.
ALTER EXTENSION revdesk_auth DROP FUNCTION revdesk_scope_tenant(integer, integer, uuid);
DROP FUNCTION revdesk_scope_tenant(integer, integer, uuid);
SELECT is(test.removed(key, 'SELECT id FROM desk.by_hash'), 0, 'before ALTER EXTENSION UPDATE nothing is pruned: ' || key)
FROM (VALUES ('B'), ('ann')) AS keys (key);
SELECT is(test.rows('test_app', key, 'SELECT string_agg(id::text, '','' ORDER BY id) FROM desk.by_hash'), test.wanted(key, 'by_hash'), 'and the rows are right: ' || key)
FROM (VALUES ('B'), ('ann')) AS keys (key);

SELECT * FROM finish();
ROLLBACK;
