-- Proves that no setting, reset or role change gives a context or changes one (attacks G1, G3 to G5, G11).

BEGIN;
\ir setup/desk.psql
SELECT plan(328);
GRANT CREATE ON SCHEMA test TO test_app;

-- G1: every setting under our prefix, and every way to set one.
CREATE TEMP TABLE settings AS
SELECT * FROM (VALUES
  ('revdesk.context', 'bcb' || repeat(replace(test.id('B')::text, '-', ''), 4), '42501'),
  ('revdesk.context', 'x', '42501'),
  ('revdesk.key_id', test.key_id('B')::text, '55P02'), ('revdesk.scope', 'organization', '55P02'),
  ('revdesk.tenant_id', test.id('B')::text, '55P02'), ('revdesk.umbrella_id', test.id('B')::text, '55P02'),
  ('revdesk.user_id', test.id('bob')::text, '55P02'), ('revdesk.access', 'admin', '55P02'),
  ('revdesk.unknown', 'x', '42602'), ('revdesk.a.b', 'x', '42602')
) AS settings (name, value, refusal);
CREATE TEMP TABLE ways AS
SELECT * FROM (VALUES
  ('SET', 'SET %s = %L'), ('SET SESSION', 'SET SESSION %s = %L'), ('SET LOCAL', 'SET LOCAL %s = %L'),
  ('set_config', 'SELECT set_config(''%s'', %L, false)'), ('set_config, local', 'SELECT set_config(''%s'', %L, true)'),
  ('ALTER ROLE', 'ALTER ROLE test_app SET %s = %L'),
  ('a function''s SET clause', 'CREATE FUNCTION test.forger() RETURNS text LANGUAGE sql SET %s = %L AS ''SELECT 1::text''')
) AS ways (way, statement);
SELECT is(
  test.run(role, key, format(statement, name, value)), refusal,
  format('attack G1: %s %s to %s as %s with %s', way, name, left(value, 12), role, COALESCE('key ' || key, 'no key')))
FROM settings, ways, (VALUES ('test_app', NULL), ('test_app', 'A1'), ('postgres', NULL), ('postgres', 'A1')) AS callers (role, key);

-- S16, S18: keeping the context that is there for longer than it lives.
SELECT is(
  test.run(role, 'A1', statement), refusal, format('S16: %s as %s', statement, role))
FROM (VALUES
  ('SET revdesk.context FROM CURRENT', '42501'), ('SET LOCAL revdesk.context FROM CURRENT', '42501'),
  ('SET revdesk.tenant_id FROM CURRENT', '55P02'), ('ALTER ROLE test_app SET revdesk.context FROM CURRENT', '42501'),
  ('CREATE FUNCTION test.keeper() RETURNS text LANGUAGE sql SET revdesk.context FROM CURRENT AS ''SELECT 1::text''', '42501')
) AS ways (statement, refusal), (VALUES ('test_app'), ('postgres')) AS roles (role);

-- All of them again at the top, where an effect would stay.
DO $$
DECLARE
  setting record;
BEGIN
  FOR setting IN SELECT name, value, statement FROM settings, ways LOOP
    BEGIN
      EXECUTE format(setting.statement, setting.name, setting.value);
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END LOOP;
END
$$;
SELECT is(revdesk_scope(), NULL, 'attack G1: after all of these, run by a superuser, there is no context');
SELECT is((SELECT count(*) FROM revdesk_context()), 0::bigint, 'attack G1: nor a row of it');
SELECT is(test.rows('test_app', NULL, 'SELECT label FROM desk.calls'), '', 'attack G1: and no row is seen');
SELECT is(
  (SELECT string_agg(setting, '') FROM pg_settings WHERE name LIKE 'revdesk.%' AND name <> 'revdesk.accepted_environments'
   AND context = 'internal'), '', 'attack G1: the readable settings are empty');
SELECT is(
  (SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text ~ 'revdesk'), 0::bigint, 'attack G1: nothing was stored for a role');
SELECT is(
  test.run('test_app', NULL, statement), '42501', 'attack G1: odd spelling: ' || statement)
FROM (VALUES ($$SELECT set_config('REVDESK.Context', 'x', true)$$), ($$SET "revdesk.context" = 'x'$$), ($$SET RevDesk.CONTEXT TO x$$)) AS cases (statement);

-- G11: not even for whom a superuser let set it.
DO $$ BEGIN EXECUTE 'GRANT SET ON PARAMETER "revdesk.context" TO test_app'; END $$;
SELECT is(
  test.run('test_app', NULL, format('SET revdesk.context = %L', value)), '42501', 'attack G11: GRANT SET ON PARAMETER does not open it')
FROM settings WHERE name = 'revdesk.context';
SELECT is(
  test.run('test_app', 'A1', 'DO $do$ BEGIN RESET revdesk.context; IF revdesk_scope() IS NOT NULL OR EXISTS (SELECT FROM desk.calls) THEN
    RAISE ''still acting''; END IF; END $do$'), '0 rows', 'attack G11: all that it opens is to drop one''s own context');
DO $$ BEGIN EXECUTE 'REVOKE SET ON PARAMETER "revdesk.context" FROM test_app'; END $$;
CREATE FUNCTION test.set_anything(name text, value text) RETURNS text LANGUAGE sql SECURITY DEFINER
AS $$ SELECT set_config(name, value, false) $$;
SELECT is(
  test.run('test_app', NULL, format('SELECT test.set_anything(%L, %L)', name, value)) ~ '42501|55P02|42602', true,
  'attack G3: a superuser''s SECURITY DEFINER function does not set ' || name)
FROM settings;

-- G4
SELECT is(
  test.write('test_app', key, format('UPDATE pg_settings SET setting = %L WHERE name LIKE ''revdesk.%%''', value)), '42501, unchanged',
  'attack G4: UPDATE pg_settings with ' || COALESCE('key ' || key, 'no key'))
FROM settings, (VALUES (NULL), ('A1')) AS keys (key) WHERE name = 'revdesk.tenant_id';
SELECT is(
  test.rows('test_app', 'A1', $$SELECT name FROM pg_settings WHERE name = 'revdesk.context'$$), '', 'attack L3: pg_settings does not list the hidden setting');
SELECT is(
  test.rows('test_app', 'A1', statement), '42501', 'attack L3: nor can it be read by ' || statement)
FROM (VALUES ($$SELECT current_setting('revdesk.context')$$)) AS cases (statement);
SELECT is(test.run('test_app', 'A1', 'SHOW revdesk.context'), '42501', 'attack L3: nor by SHOW');

-- G5: whatever resets, at most an empty context is left.
SELECT test.enter('test_app', 'A1');
SAVEPOINT acting;
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A1', 'attack G5: acting for A1');
RESET ALL;
SELECT is(revdesk_scope(), NULL, 'attack G5: RESET ALL leaves no context');
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), NULL, 'attack G5: and no row');
ROLLBACK TO acting;
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A1', 'attack G5: its rollback brings the context back');
SELECT throws_ok($$RESET revdesk.context$$, '42501', NULL, 'attack G5: RESET of the hidden setting is refused');
SELECT throws_ok($$RESET revdesk.tenant_id$$, '55P02', NULL, 'attack G5: RESET of a readable one is refused');
SELECT throws_ok($$SET revdesk.tenant_id TO DEFAULT$$, '55P02', NULL, 'attack G5: SET TO DEFAULT is refused');
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G5: and the context is what it was');
RESET ROLE;
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G5: RESET ROLE keeps the key''s context');
SET ROLE test_app;
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A1', 'attack G5: SET ROLE and back: the same rows');
RESET ROLE;
SET LOCAL SESSION AUTHORIZATION test_app;
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A1', 'attack G5: SET SESSION AUTHORIZATION: the same rows');
RESET SESSION AUTHORIZATION;
SELECT FROM revdesk_deauthenticate();
SELECT is(
  test.run('test_app', 'A1', 'DO $do$ BEGIN EXECUTE ''DISCARD ALL''; END $do$'), '25001', 'attack G5: DISCARD ALL is not for a transaction');

SELECT * FROM finish();
ROLLBACK;
