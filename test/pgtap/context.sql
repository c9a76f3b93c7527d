-- Proves what the functions and settings tell of the context, and how long it lives within a transaction.

BEGIN;
\ir setup/desk.psql
SELECT plan(58);
SELECT test.create_key('A2 for ann', 'sub_entity', 'A2', 'ann', 'admin', 'development');

-- The names of the ids in what a query tells.
CREATE FUNCTION test.told(key text, query text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  told text := test.rows('test_app', key, query);
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['A', 'B', 'A1', 'A2', 'B1', 'ann', 'bob'] LOOP
    told := replace(told, test.id(name)::text, name);
  END LOOP;
  RETURN replace(told, COALESCE(test.key_id(key)::text, '?'), 'key');
END
$$;

SELECT is(
  test.told(key, query), expected, format('%s under %s', name, COALESCE(key, 'no key')))
FROM (VALUES
  (NULL, '|||||||', ''), ('A1', 'key|sub_entity|A1|A||write|production|', '(key,sub_entity,A1,A,,write,production)'),
  ('A', 'key|organization|A|A||write|production|', '(key,organization,A,A,,write,production)'),
  ('ann', 'key|user|||ann|write|production|', '(key,user,,,ann,write,production)'),
  ('B1 admin', 'key|sub_entity|B1|B||admin|production|', '(key,sub_entity,B1,B,,admin,production)'),
  ('A1 read', 'key|sub_entity|A1|A||read|production|', '(key,sub_entity,A1,A,,read,production)'),
  ('A2 for ann', 'key|sub_entity|A2|A|ann|admin|development|', '(key,sub_entity,A2,A,ann,admin,development)')
) AS keys (key, values, record),
LATERAL (VALUES
  ('the functions', $$SELECT concat(revdesk_key_id(), '|', revdesk_scope(), '|', revdesk_tenant_id(), '|', revdesk_umbrella_id(), '|',
                                    revdesk_user_id(), '|', revdesk_access(), '|', revdesk_environment(), '|')$$, values),
  ('revdesk_context()', $$SELECT context FROM revdesk_context() AS context$$, record),
  ('the settings', $$SELECT concat(current_setting('revdesk.key_id'), '|', current_setting('revdesk.scope'), '|', current_setting('revdesk.tenant_id'), '|',
                                   current_setting('revdesk.umbrella_id'), '|', current_setting('revdesk.user_id'), '|', current_setting('revdesk.access'))$$,
   regexp_replace(values, '\|(production|development)?\|$', '')),
  ('pg_settings', $$SELECT string_agg(setting, '|' ORDER BY array_position('{revdesk.key_id,revdesk.scope,revdesk.tenant_id,revdesk.umbrella_id,revdesk.user_id,revdesk.access}', name))
                    FROM pg_settings WHERE name ~ '^revdesk\.(key_id|scope|tenant_id|umbrella_id|user_id|access)$'$$,
   regexp_replace(values, '\|(production|development)?\|$', ''))
) AS queries (name, query, expected);

SELECT is(
  test.rows('test_app', NULL, format('SELECT num_nulls(%s)', functions)), '7', 'without a context each function is null')
FROM (VALUES ('revdesk_key_id(), revdesk_scope(), revdesk_tenant_id(), revdesk_umbrella_id(), revdesk_user_id(), revdesk_access(), revdesk_environment()')) AS all_of (functions);

-- One key at a time.
SELECT lives_ok(format('SELECT revdesk_authenticate(%L)', test.token('A1')), 'a first key');
SELECT lives_ok(format('SELECT revdesk_authenticate(%L)', test.token('A1')), 'the same key again is no error');
SELECT is(revdesk_tenant_id(), test.id('A1'), 'and changes nothing');
SELECT throws_ok(
  format('SELECT revdesk_authenticate(%L)', test.token(key)), '25001', 'this transaction already acts for another key',
  'attack G6: another key is refused: ' || key)
FROM (VALUES ('B1'), ('A'), ('ann'), ('A1 admin'), ('A1 read')) AS cases (key);
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G6: and the first one stays');
SELECT is(current_setting('transaction_read_only'), 'off', 'attack G6: a refused read key does not make the transaction READ ONLY');
SELECT throws_ok($$SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000')$$, '28000', NULL, 'an unknown key is rejected first');
SELECT lives_ok('SELECT revdesk_deauthenticate()', 'the context can be dropped');
SELECT is(revdesk_scope(), NULL, 'then there is none');
SELECT lives_ok('SELECT revdesk_deauthenticate()', 'dropping none is no error');
SELECT lives_ok(format('SELECT revdesk_authenticate(%L)', test.token('B1')), 'and makes room for another key');
SELECT is(revdesk_tenant_id(), test.id('B1'), 'which is current now');
SELECT FROM revdesk_deauthenticate();

-- Savepoints.
SAVEPOINT none;
SELECT FROM revdesk_authenticate(test.token('A1'));
SAVEPOINT a1;
SELECT FROM revdesk_deauthenticate();
SAVEPOINT dropped;
SELECT FROM revdesk_authenticate(test.token('B1'));
SELECT is(revdesk_tenant_id(), test.id('B1'), 'the innermost key');
ROLLBACK TO dropped;
SELECT is(revdesk_scope(), NULL, 'attack G6: ROLLBACK TO after the context was dropped');
ROLLBACK TO a1;
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G6: ROLLBACK TO when it was A1''s');
RELEASE a1;
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G6: a RELEASE keeps it');
ROLLBACK TO none;
SELECT is(revdesk_scope(), NULL, 'attack G6: ROLLBACK TO before all');
SAVEPOINT kept;
SELECT FROM revdesk_authenticate(test.token('A'));
RELEASE kept;
SELECT is(revdesk_scope(), 'organization', 'attack G6: a context set in a savepoint survives its RELEASE');
SELECT is(current_setting('revdesk.tenant_id'), test.id('A')::text, 'and the settings agree');
ROLLBACK TO none;
SELECT is(current_setting('revdesk.tenant_id'), '', 'until a ROLLBACK TO');

-- A rejection that PL/pgSQL catches.
DO $$
BEGIN
  PERFORM revdesk_authenticate(test.token('A1'));
  PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
  NULL;
END
$$;
SELECT is(revdesk_scope(), NULL, 'attack G6: a block that fails takes its context along');
DO $$
BEGIN
  PERFORM revdesk_authenticate(test.token('A1'));
  BEGIN
    PERFORM revdesk_deauthenticate();
    PERFORM revdesk_authenticate('revdesk_00000000000000000000000000000000');
  EXCEPTION WHEN invalid_authorization_specification THEN
    NULL;
  END;
END
$$;
SELECT is(revdesk_tenant_id(), test.id('A1'), 'attack G6: a failed change of keys, caught, leaves the key of before');
SELECT FROM revdesk_deauthenticate();

-- A function's SET clauses and SET LOCAL do not end it; a function can set it.
CREATE FUNCTION test.authenticates(key text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '1MB'
AS $$ BEGIN PERFORM public.revdesk_authenticate(test.token(key)); END $$;
SELECT test.authenticates('A1');
SELECT is(revdesk_tenant_id(), test.id('A1'), 'a context that a function with SET clauses makes outlives it');
SELECT is(test.rows('none', NULL, 'SELECT revdesk_scope()'), 'sub_entity', 'subtransactions see it');
SET LOCAL ROLE test_app;
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A1', 'SET ROLE does not touch it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
