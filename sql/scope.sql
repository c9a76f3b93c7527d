-- The predicates of row security: what they say of a row, alone, in a query, and in a policy, is one and the same.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- Every combination of a tenant, an owner and an umbrella that a row can have,
-- lies included.
CREATE TABLE app.rows AS
SELECT row_number() OVER () AS id, tenant.id AS tenant_id, owner.id AS owner_id, umbrella.id AS umbrella_id
FROM (SELECT id FROM revdesk.tenants UNION ALL SELECT NULL UNION ALL SELECT 'eeeeeeee-0000-0000-0000-000000000000') AS tenant,
     (SELECT id FROM revdesk.users UNION ALL SELECT NULL) AS owner,
     (SELECT id FROM revdesk.tenants WHERE umbrella_id IS NULL UNION ALL SELECT NULL) AS umbrella;
SELECT count(*) FROM app.rows;
-- The tables that a row can stand in.
CREATE TABLE app.t_rows AS TABLE app.rows;
CREATE TABLE app.to_rows AS TABLE app.rows;
CREATE TABLE app.o_rows AS TABLE app.rows;
CREATE TABLE app.up_rows AS TABLE app.rows;
CREATE TABLE app.upo_rows AS TABLE app.rows;
SELECT revdesk_protect('app.t_rows');
SELECT revdesk_protect('app.to_rows', owner_column => 'owner_id');
SELECT revdesk_protect('app.o_rows', NULL, 'owner_id');
SELECT revdesk_protect('app.up_rows', walk_up => true);
SELECT revdesk_protect('app.upo_rows', owner_column => 'owner_id', walk_up => true);
-- With an umbrella column, whatever is in it: the trigger would not let it be.
CREATE TABLE app.tu_rows AS TABLE app.rows;
CREATE TABLE app.tou_rows AS TABLE app.rows;
CREATE TABLE app.upu_rows AS TABLE app.rows;
ALTER TABLE app.tu_rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.tou_rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.upu_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.tu_rows USING (revdesk_scope_visible(tenant_id, NULL::uuid, umbrella_id));
CREATE POLICY p ON app.tou_rows USING (revdesk_scope_visible(tenant_id, owner_id, umbrella_id));
CREATE POLICY p ON app.upu_rows USING (revdesk_scope_readable_up(tenant_id, umbrella_id));
GRANT SELECT ON ALL TABLES IN SCHEMA app TO regress_app;
GRANT EXECUTE ON FUNCTION app.token(text) TO regress_app;

-- What the words of the design say, by plain SQL and without the extension's functions.
CREATE FUNCTION app.expected(tab text, key text) RETURNS SETOF bigint
LANGUAGE sql
AS $$
  SELECT r.id
  FROM app.rows AS r
  CROSS JOIN (SELECT * FROM revdesk.api_keys WHERE name = 'key ' || key) AS k
  LEFT JOIN revdesk.tenants AS own ON own.id = k.tenant_id
  WHERE CASE k.scope
    WHEN 'sub_entity' THEN
      (tab <> 'o_rows' AND r.tenant_id = k.tenant_id)
      OR (tab LIKE 'up%' AND r.tenant_id = own.umbrella_id)
    WHEN 'organization' THEN
      CASE WHEN tab IN ('tu_rows', 'tou_rows', 'upu_rows') THEN r.umbrella_id = k.tenant_id
           WHEN tab = 'o_rows' THEN false
           ELSE r.tenant_id IN (SELECT id FROM revdesk.tenants WHERE k.tenant_id IN (id, umbrella_id)) END
    WHEN 'user' THEN
      (tab <> 'o_rows' AND r.tenant_id IN (SELECT tenant_id FROM revdesk.memberships WHERE user_id = k.user_id))
      OR (tab IN ('to_rows', 'tou_rows', 'upo_rows') AND r.tenant_id IS NULL AND r.owner_id = k.user_id)
      OR (tab = 'o_rows' AND r.owner_id = k.user_id)
  END
$$;

-- How many rows of each table each key reads, and whether they are those.
CREATE TABLE app.results (tab text, key text, form text, ids bigint[]);
GRANT INSERT ON app.results TO regress_app;
CREATE TABLE app.forms (form text, query text);
INSERT INTO app.forms VALUES
  ('policy', 'SELECT id FROM app.%1$s'),
  ('policy, and a join', 'SELECT a.id FROM app.%1$s AS a JOIN app.%1$s AS b USING (id)'),
  ('policy, below an aggregate', 'SELECT DISTINCT id FROM (SELECT id, count(*) FROM app.%1$s GROUP BY id) AS x'),
  ('policy, in a sub-select', 'SELECT id FROM app.rows AS r WHERE EXISTS (SELECT FROM app.%1$s AS x WHERE x.id = r.id)'),
  ('WHERE', 'SELECT id FROM app.rows WHERE %2$s'),
  ('SELECT list', 'SELECT id FROM (SELECT id, %2$s AS seen FROM app.rows OFFSET 0) AS x WHERE seen'),
  ('CASE', 'SELECT id FROM app.rows WHERE CASE WHEN %2$s THEN true ELSE false END'),
  ('NOT', 'SELECT id FROM app.rows EXCEPT ALL SELECT id FROM app.rows WHERE NOT %2$s'),
  ('IS NOT TRUE', 'SELECT id FROM app.rows EXCEPT ALL SELECT id FROM app.rows WHERE (%2$s) IS NOT TRUE'),
  ('= false', 'SELECT id FROM app.rows EXCEPT ALL SELECT id FROM app.rows WHERE (%2$s) = false'),
  ('OR true row', 'SELECT id FROM app.rows WHERE (%2$s OR id < 0) AND id > 0'),
  ('FILTER', 'SELECT unnest(array_agg(id) FILTER (WHERE %2$s)) FROM app.rows'),
  ('ON of an outer join', 'SELECT b.id FROM app.rows AS a LEFT JOIN app.rows AS b ON b.id = a.id AND (SELECT %2$s FROM app.rows AS c WHERE c.id = b.id) WHERE b.id IS NOT NULL');
CREATE FUNCTION app.collect(key text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  form record;
  tab record;
  ids bigint[];
BEGIN
  FOR tab IN
    SELECT * FROM (VALUES
      ('t_rows', 'revdesk_scope_visible(tenant_id)'),
      ('to_rows', 'revdesk_scope_visible(tenant_id, owner_id)'),
      ('o_rows', 'revdesk_scope_visible(NULL, owner_id)'),
      ('up_rows', 'revdesk_scope_readable_up(tenant_id)'),
      ('upo_rows', '(revdesk_scope_visible(tenant_id, owner_id) OR revdesk_scope_readable_up(tenant_id))'),
      ('tu_rows', 'revdesk_scope_visible(tenant_id, NULL, umbrella_id)'),
      ('tou_rows', 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)'),
      ('upu_rows', 'revdesk_scope_readable_up(tenant_id, umbrella_id)')
    ) AS tabs (name, condition)
  LOOP
    FOR form IN SELECT * FROM app.forms LOOP
      EXECUTE 'SELECT COALESCE(array_agg(id ORDER BY id), ''{}'') FROM ('
        || format(form.query, tab.name, tab.condition) || ') AS found (id)' INTO ids;
      INSERT INTO app.results VALUES (tab.name, key, form.form, ids);
    END LOOP;
  END LOOP;
END
$$;
GRANT SELECT ON app.forms TO regress_app;

SET ROLE regress_app;
BEGIN; SELECT app.collect('none') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('a0')), app.collect('a0') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('a1')), app.collect('a1') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('b0')), app.collect('b0') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('b1')), app.collect('b1') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('c1')), app.collect('c1') \g /dev/null
COMMIT;
BEGIN; SELECT revdesk_authenticate(app.token('c2')), app.collect('c2') \g /dev/null
COMMIT;
RESET ROLE;
SELECT key, tab, min(cardinality(ids)) AS rows, count(*) AS forms,
       count(*) FILTER (WHERE ids = (SELECT COALESCE(array_agg(id ORDER BY id), '{}') FROM app.expected(tab, key) AS id)) AS as_expected
FROM app.results GROUP BY key, tab ORDER BY key, tab;
-- Nothing below, if all are.
SELECT key, tab, form
FROM app.results
WHERE ids <> (SELECT COALESCE(array_agg(id ORDER BY id), '{}') FROM app.expected(tab, key) AS id)
ORDER BY key, tab, form;

-- Arguments that are no columns.
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('a0'));
SELECT revdesk_scope_visible(NULL), revdesk_scope_visible(NULL, NULL, NULL),
       revdesk_scope_visible('aaaaaaaa-0000-0000-0000-000000000001'),
       revdesk_scope_visible('bbbbbbbb-0000-0000-0000-000000000001'),
       revdesk_scope_visible('bbbbbbbb-0000-0000-0000-000000000001', NULL, 'aaaaaaaa-0000-0000-0000-000000000000') AS umbrella_decides,
       revdesk_scope_readable_up(NULL), revdesk_scope_readable_up('aaaaaaaa-0000-0000-0000-000000000001');
COMMIT;
-- Each value that plans compare with is null but in its own scope.
PREPARE scope_values AS
SELECT revdesk_scope_sub_entity(), revdesk_scope_walk_up(), revdesk_scope_organization(),
       revdesk_scope_organization_tenants(), revdesk_scope_user(), revdesk_scope_user_tenants();
\x on
EXECUTE scope_values;
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
EXECUTE scope_values;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('a0')) \g /dev/null
EXECUTE scope_values;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('c1')) \g /dev/null
EXECUTE scope_values;
COMMIT;
\x off

-- A tenant that a CHECK constraint, an index and a trigger condition ask of.
RESET ROLE;
CREATE TABLE app.checked (id integer, tenant_id uuid CHECK (revdesk_scope_visible(tenant_id)));
GRANT INSERT ON app.checked TO regress_app;
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
INSERT INTO app.checked VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000001');
INSERT INTO app.checked VALUES (2, 'aaaaaaaa-0000-0000-0000-000000000002');
ROLLBACK;
