-- What plans look like: a comparison that an index, a join and partition pruning can use, and no id in it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- 60 tenants under A and B, 50 orders of each, 40 personal ones.
INSERT INTO revdesk.tenants (id, umbrella_id, name)
SELECT ('eeeeeeee-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid,
       CASE i % 2 WHEN 0 THEN 'aaaaaaaa-0000-0000-0000-000000000000'::uuid ELSE 'bbbbbbbb-0000-0000-0000-000000000000' END, 'T' || i
FROM generate_series(1, 60) AS i;
CREATE TABLE app.orders (id integer PRIMARY KEY, tenant_id uuid, owner_id uuid, umbrella_id uuid, created integer NOT NULL, note text)
  WITH (autovacuum_enabled = off);
INSERT INTO app.orders (id, tenant_id, owner_id, created, note)
SELECT i, CASE WHEN i <= 3000 THEN ('eeeeeeee-0000-0000-0000-' || to_char(i % 60 + 1, 'FM000000000000'))::uuid END,
       CASE WHEN i > 3000 THEN ('cccccccc-0000-0000-0000-00000000000' || i % 2 + 1)::uuid END, i * 7919 % 3041, 'note ' || i
FROM generate_series(1, 3040) AS i;
UPDATE revdesk.api_keys SET tenant_id = 'eeeeeeee-0000-0000-0000-000000000002' WHERE name = 'key a1';
UPDATE revdesk.memberships SET tenant_id = 'eeeeeeee-0000-0000-0000-000000000003' WHERE tenant_id = 'aaaaaaaa-0000-0000-0000-000000000001';

CREATE TABLE app.plain (LIKE app.orders INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE app.full_orders (LIKE app.orders INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE app.up (LIKE app.orders INCLUDING ALL) WITH (autovacuum_enabled = off);
CREATE TABLE app.parts (LIKE app.orders) PARTITION BY LIST (tenant_id);
CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000001');
CREATE TABLE app.parts_2 PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000002');
CREATE TABLE app.parts_3 PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000003');
CREATE TABLE app.parts_rest PARTITION OF app.parts DEFAULT;
INSERT INTO app.plain SELECT * FROM app.orders;
INSERT INTO app.full_orders SELECT * FROM app.orders;
INSERT INTO app.up SELECT * FROM app.orders;
INSERT INTO app.parts SELECT * FROM app.orders;
CREATE INDEX plain_newest ON app.plain (tenant_id, created);
CREATE INDEX full_newest ON app.full_orders (umbrella_id, created);
CREATE INDEX full_tenant_newest ON app.full_orders (tenant_id, created);
CREATE INDEX up_newest ON app.up (tenant_id, created);
SELECT revdesk_protect('app.plain') \g /dev/null
SELECT revdesk_protect('app.full_orders', owner_column => 'owner_id', umbrella_column => 'umbrella_id') \g /dev/null
SELECT revdesk_protect('app.up', umbrella_column => 'umbrella_id', walk_up => true) \g /dev/null
SELECT revdesk_protect('app.parts', umbrella_column => 'umbrella_id') \g /dev/null
VACUUM ANALYZE app.orders;
VACUUM ANALYZE app.plain;
VACUUM ANALYZE app.full_orders;
VACUUM ANALYZE app.up;
VACUUM ANALYZE app.parts;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO regress_app;
GRANT EXECUTE ON FUNCTION app.token(text) TO regress_app;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;
SET ROLE regress_app;

\echo -- before the first context of the session: the function itself
EXPLAIN (COSTS OFF) SELECT * FROM app.plain;

\echo -- sub-entity
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
EXPLAIN (COSTS OFF) SELECT * FROM app.plain;
EXPLAIN (COSTS OFF) SELECT * FROM app.plain ORDER BY created DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.plain;
EXPLAIN (COSTS OFF) SELECT * FROM app.plain WHERE id = 7;
EXPLAIN (COSTS OFF) SELECT * FROM app.full_orders ORDER BY created DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM app.up;
EXPLAIN (COSTS OFF) SELECT a.id FROM app.plain AS a JOIN app.full_orders AS b USING (id);
EXPLAIN (COSTS OFF) UPDATE app.plain SET note = 'x';
EXPLAIN (COSTS OFF) UPDATE app.up SET note = 'x';
EXPLAIN (COSTS OFF) DELETE FROM app.full_orders WHERE created = 1;
-- A filter that is not leakproof stays behind the policy.
EXPLAIN (COSTS OFF) SELECT * FROM app.plain WHERE note LIKE 'note 1%';
-- Partitions that hold nothing of the tenant's are not touched.
EXPLAIN (COSTS OFF) SELECT * FROM app.parts;
-- From 18 on numbers of rows have decimals.
CREATE FUNCTION pg_temp.explain_analyze(query text) RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
    RETURN NEXT replace(line, '.00 ', ' ');
  END LOOP;
END
$$;
SELECT pg_temp.explain_analyze('SELECT count(*) FROM app.parts') AS plan;
COMMIT;

\echo -- organization
BEGIN;
SELECT revdesk_authenticate(app.token('a0')) \g /dev/null
-- Half of the table is A's, so no index helps.  Where one is used, it is by the array.
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.plain;
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.plain;
EXPLAIN (COSTS OFF) SELECT * FROM app.plain WHERE id = 7;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT * FROM app.full_orders ORDER BY created DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM app.up ORDER BY id LIMIT 5;
EXPLAIN (COSTS OFF) UPDATE app.full_orders SET note = 'x' WHERE id = 7;
COMMIT;

\echo -- user
BEGIN;
SELECT revdesk_authenticate(app.token('c1')) \g /dev/null
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.plain;
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.full_orders;
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.up;
COMMIT;

\echo -- without a context: the plans of the last scope stay
EXPLAIN (COSTS OFF) SELECT count(*) FROM app.plain;

-- No id of a context stands in a plan, generic or custom.
CREATE FUNCTION pg_temp.ids_in_plan(query text) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  line text;
  ids bigint := 0;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
    ids := ids + (line ~ '[0-9a-f]{8}-[0-9a-f]{4}')::integer;
  END LOOP;
  RETURN ids;
END
$$;
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
SELECT tab, pg_temp.ids_in_plan('SELECT * FROM app.' || tab) FROM unnest(ARRAY['plain', 'full_orders', 'up', 'parts']) AS tab;
SELECT pg_temp.ids_in_plan('SELECT ''aaaaaaaa-0000-0000-0000-000000000000''::uuid') AS would_be_found;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('c1')) \g /dev/null
SELECT tab, pg_temp.ids_in_plan('SELECT * FROM app.' || tab) FROM unnest(ARRAY['plain', 'full_orders', 'up', 'parts']) AS tab;
COMMIT;

-- A call that stands where NULL and false differ: all calls of the query stay.
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
EXPLAIN (VERBOSE, COSTS OFF) SELECT revdesk_scope_visible(tenant_id) FROM app.orders;
RESET ROLE;
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(tenant_id);
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(tenant_id) OR id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(tenant_id) AND (id = 1 OR revdesk_scope_readable_up(tenant_id));
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE NOT revdesk_scope_visible(tenant_id);
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(tenant_id) AND NOT revdesk_scope_visible(owner_id);
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(tenant_id) IS TRUE;
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE CASE WHEN revdesk_scope_visible(tenant_id) THEN true ELSE id = 1 END;
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE COALESCE(revdesk_scope_visible(tenant_id), true);
EXPLAIN (VERBOSE, COSTS OFF) SELECT revdesk_scope_visible(tenant_id) FROM app.orders WHERE revdesk_scope_visible(tenant_id);
EXPLAIN (COSTS OFF) SELECT id FROM app.orders ORDER BY revdesk_scope_visible(tenant_id);
EXPLAIN (COSTS OFF) SELECT id, count(*) FROM app.orders GROUP BY id, tenant_id HAVING revdesk_scope_visible(tenant_id);
EXPLAIN (COSTS OFF) SELECT * FROM app.orders AS a LEFT JOIN app.orders AS b ON a.id = b.id AND revdesk_scope_visible(b.tenant_id);
-- Arguments that are no columns: nothing to gain.
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(COALESCE(tenant_id, owner_id));
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible('eeeeeeee-0000-0000-0000-000000000002');
EXPLAIN (COSTS OFF) SELECT * FROM app.orders WHERE revdesk_scope_visible(NULL);
SET LOCAL ROLE regress_app;
COMMIT;
SET ROLE regress_app;

-- One generic plan after another, as the scope changes; the right rows each
-- time.  A sub-entity's orders are 50, A's 1,500, B's 1,500.
SET plan_cache_mode = force_generic_plan;
PREPARE q AS SELECT count(*), right(min(tenant_id::text), 2) AS first, right(max(tenant_id::text), 2) AS last FROM app.full_orders;
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
EXPLAIN (COSTS OFF) EXECUTE q;
EXECUTE q;
COMMIT;
EXPLAIN (COSTS OFF) EXECUTE q;
EXECUTE q;
BEGIN;
SELECT revdesk_authenticate(app.token('b0')) \g /dev/null
EXPLAIN (COSTS OFF) EXECUTE q;
EXECUTE q;
COMMIT;
EXECUTE q;
BEGIN;
SELECT revdesk_authenticate(app.token('c1')) \g /dev/null
EXPLAIN (COSTS OFF) EXECUTE q;
EXECUTE q;
COMMIT;
-- Back by a rollback.
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
EXECUTE q;
SAVEPOINT s;
SELECT revdesk_deauthenticate() \g /dev/null
EXECUTE q;
SELECT revdesk_authenticate(app.token('a0')) \g /dev/null
EXECUTE q;
EXPLAIN (COSTS OFF) EXECUTE q;
ROLLBACK TO s;
EXECUTE q;
EXPLAIN (COSTS OFF) EXECUTE q;
COMMIT;
EXECUTE q;
-- Functions keep plans too.
CREATE FUNCTION pg_temp.counted() RETURNS bigint LANGUAGE plpgsql
AS $$ BEGIN RETURN (SELECT count(*) FROM app.full_orders); END $$;
BEGIN; SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
SELECT pg_temp.counted(); COMMIT;
SELECT pg_temp.counted();
BEGIN; SELECT revdesk_authenticate(app.token('a0')) \g /dev/null
SELECT pg_temp.counted(); COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('c2')) \g /dev/null
SELECT pg_temp.counted(); COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('b1')) \g /dev/null
SELECT pg_temp.counted(); COMMIT;
RESET plan_cache_mode;
RESET ROLE;
