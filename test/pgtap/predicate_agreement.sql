-- Proves that the predicates mean the same wherever they stand: rewritten by the planner, called, or reckoned by hand.

BEGIN;
\ir setup/desk.psql
SELECT plan(1535);

-- Every combination of tenant, owner and umbrella, true or lying, null or unknown.
CREATE TABLE desk.grid AS
SELECT row_number() OVER () AS id, test.id(tenant) AS tenant_id, test.id(owner) AS owner_id, test.id(umbrella) AS umbrella_id
FROM unnest(ARRAY['A', 'A1', 'A2', 'B', 'B1', 'unknown', NULL]) AS tenant, unnest(ARRAY['ann', 'bob', 'unknown', NULL]) AS owner,
     unnest(ARRAY['A', 'B', 'A1', 'ann', NULL]) AS umbrella;
CREATE INDEX ON desk.grid (tenant_id);
CREATE INDEX ON desk.grid (umbrella_id);
GRANT SELECT, UPDATE ON desk.grid TO test_app;
ANALYZE desk.grid;

-- By hand, from the tables and the words of the documentation. has_umbrella:
-- is there such a column?
CREATE FUNCTION test.by_hand(key text, tenant uuid, owner uuid, umbrella uuid, has_umbrella boolean, walk_up boolean)
RETURNS boolean LANGUAGE sql STABLE
AS $$
  SELECT CASE keys.scope
    WHEN 'sub_entity' THEN COALESCE(tenant = keys.tenant_id, false)
      OR walk_up AND COALESCE(tenant = (SELECT umbrella_id FROM revdesk.tenants WHERE id = keys.tenant_id), false)
    WHEN 'organization' THEN
      CASE WHEN has_umbrella THEN COALESCE(umbrella = keys.tenant_id, false)
           ELSE tenant IS NOT NULL AND tenant IN (SELECT id FROM revdesk.tenants WHERE keys.tenant_id IN (id, umbrella_id)) END
    WHEN 'user' THEN
      CASE WHEN tenant IS NULL THEN COALESCE(owner = keys.user_id, false)
           ELSE tenant IN (SELECT tenant_id FROM revdesk.memberships WHERE user_id = keys.user_id) END
    END
  FROM revdesk.api_keys AS keys WHERE keys.id = test.key_id(key)
$$;

-- The calls, as policies make them, and what they stand for.
CREATE TEMP TABLE calls AS
SELECT * FROM (VALUES
  ('revdesk_scope_visible(tenant_id)', 'NULL', 'NULL', false, false),
  ('revdesk_scope_visible(tenant_id, owner_id)', 'owner_id', 'NULL', false, false),
  ('revdesk_scope_visible(tenant_id, NULL, umbrella_id)', 'NULL', 'umbrella_id', true, false),
  ('revdesk_scope_visible(tenant_id, owner_id, umbrella_id)', 'owner_id', 'umbrella_id', true, false),
  ('revdesk_scope_visible(NULL, owner_id)', 'owner_id', 'NULL', false, false),
  ('revdesk_scope_readable_up(tenant_id)', 'NULL', 'NULL', false, true),
  ('revdesk_scope_readable_up(tenant_id, umbrella_id)', 'NULL', 'umbrella_id', true, true)
) AS calls (call, owner, umbrella, has_umbrella, walk_up);

CREATE FUNCTION test.reckoned(key text, wanted text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  call record;
  reckoned text;
BEGIN
  SELECT * INTO call FROM calls WHERE calls.call = wanted;
  EXECUTE format(
    'SELECT COALESCE(string_agg(id::text, '','' ORDER BY id::text COLLATE "C"), '''') FROM desk.grid WHERE test.by_hand($1, %s, %s, %s, %L, %L)',
    CASE WHEN wanted LIKE '%(NULL, owner_id)' THEN 'NULL' ELSE 'tenant_id' END, call.owner, call.umbrella, call.has_umbrella, call.walk_up)
  INTO reckoned USING key;
  RETURN reckoned;
END
$$;

-- The places: each query gives the ids of the rows that the call says true of.
CREATE TEMP TABLE places AS
SELECT * FROM (VALUES
  ('in WHERE', true, 'SELECT id FROM desk.grid WHERE $call'),
  ('in WHERE, with AND', true, 'SELECT id FROM desk.grid WHERE $call AND id > 0'),
  ('in WHERE, with OR', true, 'SELECT id FROM desk.grid WHERE $call OR id < 0'),
  ('in WHERE, with OR and AND', true, 'SELECT id FROM desk.grid WHERE (id < 0 OR ($call AND id > 0)) AND id IS NOT NULL'),
  ('in ON', true, 'SELECT grid.id FROM (VALUES (1)) AS one (x) JOIN desk.grid ON $call'),
  ('in ON of a left join', true, 'SELECT grid.id FROM (VALUES (1)) AS one (x) LEFT JOIN desk.grid ON $call WHERE grid.id IS NOT NULL'),
  ('in WHERE above a left join', true, 'SELECT grid.id FROM (VALUES (1)) AS one (x) LEFT JOIN desk.grid ON true WHERE $call'),
  ('in a sub-select''s WHERE', true, 'SELECT id FROM (SELECT * FROM desk.grid WHERE $call OFFSET 0) AS part'),
  ('in HAVING', true, 'SELECT id FROM desk.grid GROUP BY id, tenant_id, owner_id, umbrella_id HAVING $call'),
  ('in EXISTS', true, 'SELECT id FROM desk.grid AS one WHERE EXISTS (SELECT FROM desk.grid WHERE grid.id = one.id AND $call)'),
  ('in the SELECT list', false, 'SELECT id FROM (SELECT id, $call AS visible FROM desk.grid OFFSET 0) AS all_of WHERE visible'),
  ('in CASE', false, 'SELECT id FROM desk.grid WHERE CASE WHEN $call THEN true ELSE false END'),
  ('under NOT, twice', false, 'SELECT id FROM desk.grid WHERE id NOT IN (SELECT id FROM desk.grid WHERE NOT $call)'),
  ('IS TRUE', false, 'SELECT id FROM desk.grid WHERE ($call) IS TRUE'),
  ('= true', false, 'SELECT id FROM desk.grid WHERE ($call) IS NOT DISTINCT FROM true'),
  ('in COALESCE', false, 'SELECT id FROM desk.grid WHERE COALESCE($call, true)'),
  ('in FILTER', false, 'SELECT unnest(array_agg(id) FILTER (WHERE $call)) FROM desk.grid'),
  ('in ORDER BY', false, 'SELECT id FROM desk.grid WHERE id IN (SELECT id FROM desk.grid WHERE ($call) IS TRUE ORDER BY $call)'),
  ('cast', false, 'SELECT id FROM desk.grid WHERE ($call)::text = ''true'''),
  ('in branches of UNION ALL and in ON', false,
   'SELECT DISTINCT u.id FROM (SELECT id, $call AS mine FROM desk.grid UNION ALL SELECT id, $call FROM desk.grid) AS u JOIN desk.grid AS other ON other.id = u.id AND ($call OR other.id IS NOT NULL) WHERE (NOT mine) IS NOT TRUE'),
  ('in WHERE and in the SELECT list', false, 'SELECT CASE WHEN $call THEN id END FROM desk.grid WHERE $call')
) AS places (name, rewritten, query);
CREATE TEMP TABLE keys AS SELECT * FROM (VALUES ('A1'), ('A2'), ('B1'), ('A'), ('B'), ('ann'), ('bob'), ('eve')) AS keys (key);

SELECT is(
  test.rows('test_app', key, replace(query, '$call', call)), test.reckoned(key, call), format('%s %s under %s', call, name, key))
FROM keys, calls, places;
SELECT is(
  test.rows('test_app', NULL, replace(query, '$call', call)), '', format('%s %s without a key', call, name)) FROM calls, places;

-- By hand every scope sees something and not all of it, or the above proves little.
SELECT ok(
  (SELECT count(*) FROM string_to_table(test.reckoned(key, call), ',')) BETWEEN 1 AND 139, format('%s under %s tells rows apart', call, key))
FROM keys, calls WHERE key IN ('A1', 'A', 'ann') AND call <> 'revdesk_scope_visible(NULL, owner_id)';

-- And the planner has rewritten where it should, and nowhere else.
SELECT is(
  test.plan('test_app', key, replace(query, '$call', call)) ~ '(scope_visible|scope_readable_up)\(', NOT rewritten,
  format('%s %s under %s is %s', call, name, key, CASE WHEN rewritten THEN 'rewritten' ELSE 'left' END))
FROM calls, places, (VALUES ('A1'), ('A'), ('ann')) AS keys (key)
WHERE call = 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)' OR call = 'revdesk_scope_readable_up(tenant_id)';

-- Rewritten as what.
SELECT matches(
  test.plan('test_app', key, 'SELECT id FROM desk.grid WHERE ' || call), condition, format('%s under %s', call, key))
FROM (VALUES
  ('A1', 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)', 'tenant_id = revdesk_scope_sub_entity\(\)'),
  ('A', 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)', 'umbrella_id = revdesk_scope_organization\(\)'),
  ('A', 'revdesk_scope_visible(tenant_id, owner_id)', 'revdesk_scope_in_organization\(grid.tenant_id\)'),
  ('ann', 'revdesk_scope_visible(tenant_id)', 'revdesk_scope_in_user_tenants\(grid.tenant_id\)'),
  ('ann', 'revdesk_scope_visible(tenant_id, owner_id)', 'owner_id = revdesk_scope_user\(\)\) AND \(grid.tenant_id IS NULL'),
  ('ann', 'revdesk_scope_visible(NULL, owner_id)', 'owner_id = revdesk_scope_user\(\)'),
  ('A1', 'revdesk_scope_readable_up(tenant_id, umbrella_id)', 'tenant_id = ANY \(revdesk_scope_walk_up\(\)\)'),
  ('A', 'revdesk_scope_readable_up(tenant_id, umbrella_id)', 'umbrella_id = revdesk_scope_organization\(\)')
) AS cases (key, call, condition);
SELECT is(
  test.plan('test_app', key, 'SELECT id FROM desk.grid WHERE revdesk_scope_visible(tenant_id, owner_id, umbrella_id)') ~ test.id(key)::text, false,
  'no id of the context is a constant of the plan: ' || key)
FROM (VALUES ('A1'), ('A'), ('ann')) AS keys (key);

-- With parameters and expressions: a null umbrella that is no column stands for a table without one.
PREPARE by_parameter (uuid, uuid, uuid) AS SELECT revdesk_scope_visible($1, $2, $3);
CREATE FUNCTION test.in_plpgsql(tenant uuid, owner uuid, umbrella uuid) RETURNS boolean LANGUAGE plpgsql STABLE
AS $$ BEGIN RETURN revdesk_scope_visible(tenant, owner, umbrella); END $$;
CREATE FUNCTION test.in_sql(tenant uuid, owner uuid, umbrella uuid) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT revdesk_scope_visible(tenant, owner, umbrella) $$;
CREATE FUNCTION test.in_prepared(tenant uuid, owner uuid, umbrella uuid) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
  visible boolean;
BEGIN
  EXECUTE format('EXECUTE by_parameter (%L, %L, %L)', tenant, owner, umbrella) INTO visible;
  RETURN visible;
END
$$;
CREATE FUNCTION test.in_dynamic(tenant uuid, owner uuid, umbrella uuid) RETURNS boolean LANGUAGE plpgsql
AS $$
DECLARE
  visible boolean;
BEGIN
  EXECUTE 'SELECT true WHERE revdesk_scope_visible($1, $2, $3)' INTO visible USING tenant, owner, umbrella;
  RETURN COALESCE(visible, false);
END
$$;
SELECT is(
  test.rows('test_app', key, format('SELECT id FROM desk.grid WHERE test.%I(tenant_id, owner_id, umbrella_id)', function)),
  (SELECT COALESCE(string_agg(id::text, ',' ORDER BY id::text COLLATE "C"), '') FROM desk.grid
   WHERE test.by_hand(key, tenant_id, owner_id, umbrella_id, umbrella_id IS NOT NULL, false)),
  format('with parameters %s under %s', function, key))
FROM keys, (VALUES ('in_plpgsql'), ('in_prepared'), ('in_dynamic')) AS functions (function);
SELECT is(
  test.rows('test_app', key, 'SELECT id FROM desk.grid WHERE revdesk_scope_visible(COALESCE(tenant_id, NULL), COALESCE(owner_id), COALESCE(umbrella_id))'),
  (SELECT COALESCE(string_agg(id::text, ',' ORDER BY id::text COLLATE "C"), '') FROM desk.grid
   WHERE test.by_hand(key, tenant_id, owner_id, umbrella_id, umbrella_id IS NOT NULL, false)),
  'with expressions under ' || key)
FROM keys;
SELECT is(
  test.rows('test_app', key, 'SELECT id FROM desk.grid WHERE test.in_sql(tenant_id, owner_id, umbrella_id)'),
  test.reckoned(key, 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)'), 'within an SQL function that is inlined, under ' || key)
FROM keys;

-- In a CHECK, in a trigger's condition, and in an index's.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$;
CREATE TABLE desk.checked (LIKE desk.grid, CHECK (revdesk_scope_visible(tenant_id, owner_id, umbrella_id)));
CREATE TABLE desk.triggered (LIKE desk.grid);
CREATE TRIGGER only_visible BEFORE INSERT ON desk.triggered FOR EACH ROW
  WHEN (NOT revdesk_scope_visible(NEW.tenant_id, NEW.owner_id, NEW.umbrella_id)) EXECUTE FUNCTION test.refuse();
CREATE FUNCTION test.accepted(target regclass) RETURNS SETOF bigint LANGUAGE plpgsql
AS $$
DECLARE
  row record;
BEGIN
  FOR row IN SELECT * FROM desk.grid LOOP
    BEGIN
      EXECUTE format('INSERT INTO %s VALUES ($1, $2, $3, $4)', target) USING row.id, row.tenant_id, row.owner_id, row.umbrella_id;
      RETURN NEXT row.id;
    EXCEPTION WHEN check_violation THEN
      NULL;
    END;
  END LOOP;
END
$$;
GRANT INSERT ON desk.checked, desk.triggered TO test_app;
SELECT is(
  test.rows('test_app', key, format('SELECT test.accepted(%L)', target)),
  test.reckoned(key, 'revdesk_scope_visible(tenant_id, owner_id, umbrella_id)'), format('%s under %s', target, key))
FROM (VALUES ('A1'), ('A'), ('ann')) AS keys (key), (VALUES ('desk.checked'), ('desk.triggered')) AS targets (target);

-- The values that plans compare with: null unless the context has their scope.
SELECT is(
  test.rows('test_app', key, $$SELECT concat_ws(' ', revdesk_scope_sub_entity() IS NOT NULL, revdesk_scope_walk_up() IS NOT NULL,
    revdesk_scope_organization() IS NOT NULL, revdesk_scope_organization_tenants() IS NOT NULL,
    revdesk_scope_user() IS NOT NULL, revdesk_scope_user_tenants() IS NOT NULL)$$), expected, 'values of the scope of ' || COALESCE(key, 'no key'))
FROM (VALUES ('A1', 't t f f f f'), ('A', 'f f t t f f'), ('ann', 'f f f f t t'), ('eve', 'f f f f t t'), (NULL, 'f f f f f f')) AS cases (key, expected);
SELECT is(
  test.rows('test_app', key, format('SELECT unnest(%s)', function)), (SELECT string_agg(test.id(name)::text, ',' ORDER BY test.id(name)::text) FROM unnest(names) AS name),
  format('%s of %s', function, key))
FROM (VALUES
  ('A1', 'revdesk_scope_walk_up()', ARRAY['A', 'A1']), ('A', 'revdesk_scope_organization_tenants()', ARRAY['A', 'A1', 'A2']),
  ('B', 'revdesk_scope_organization_tenants()', ARRAY['B', 'B1']), ('ann', 'revdesk_scope_user_tenants()', ARRAY['A1', 'B']),
  ('bob', 'revdesk_scope_user_tenants()', ARRAY['A'])
) AS cases (key, function, names);
SELECT is(test.rows('test_app', 'eve', 'SELECT cardinality(revdesk_scope_user_tenants())'), '0', 'a user of no team: an empty array');

SELECT * FROM finish();
ROLLBACK;
