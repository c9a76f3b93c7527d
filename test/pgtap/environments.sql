-- Proves that keys for development and production are told apart.

BEGIN;
\ir setup/desk.psql
SELECT plan(31);
SELECT test.create_key('production', 'sub_entity', 'A1', NULL, 'admin', 'production');
SELECT test.create_key('development', 'sub_entity', 'A1', NULL, 'admin', 'development');

-- "Use separate keys for development and production"
SELECT is(
  test.rows('test_app', key, $$SELECT environment || ' ' || revdesk_environment() FROM revdesk_context()$$),
  key || ' ' || key, 'the context says that the key is for ' || key)
FROM (VALUES ('production'), ('development')) AS cases (key);
SELECT is(
  test.rows('test_app', 'A1', 'SELECT revdesk_environment()'), 'production', 'a key is for production unless said otherwise');
SELECT is(
  current_setting('revdesk.accepted_environments'), 'production,development', 'both are accepted unless said otherwise');

CREATE FUNCTION test.accepting(environments text, key text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  PERFORM set_config('revdesk.accepted_environments', environments, true);
  outcome := test.rows('test_app', key, 'SELECT label FROM desk.calls');
  RAISE SQLSTATE 'TST00';
EXCEPTION
  WHEN SQLSTATE 'TST00' THEN
    RETURN outcome;
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT is(
  test.accepting(environments, key), expected, format('accepting "%s", a %s key', environments, key))
FROM (VALUES
  ('production', 'production', 'A1'), ('production', 'development', '28000'),
  ('development', 'production', '28000'), ('development', 'development', 'A1'),
  ('production,development', 'production', 'A1'), ('production,development', 'development', 'A1'),
  ('development, production', 'production', 'A1'), ('development, production', 'development', 'A1'),
  ('production,production', 'development', '28000'),
  ('', 'production', '28000'), ('', 'development', '28000')
) AS cases (environments, key, expected);
SELECT is(
  test.accepting(environments, 'production'), '22023', format('accepting "%s" is no setting', environments))
FROM (VALUES ('staging'), ('production,staging'), ('production,,development'), ('prod'), ('production development')) AS cases (environments);

SELECT is(
  test.error('test_app', NULL, statement), '42501 | permission denied to set parameter "revdesk.accepted_environments"',
  'an API role cannot choose: ' || name)
FROM (VALUES
  ('SET', $$SET revdesk.accepted_environments = 'production,development'$$),
  ('SET LOCAL', $$SET LOCAL revdesk.accepted_environments = 'development'$$),
  ('set_config', $$SELECT set_config('revdesk.accepted_environments', 'development', false)$$)
) AS cases (name, statement);

SELECT is(
  test.write('postgres', NULL, format('SELECT revdesk_create_key(''x'', ''sub_entity'', test.id(''A1''), environment => %L)', environment)),
  '22023, unchanged', format('a key cannot be made for %s', COALESCE(environment, 'no environment')))
FROM (VALUES ('staging'), (''), ('Production'), (NULL)) AS cases (environment);

-- A development key cannot make itself a production key.
SELECT is(
  test.write('test_app', key, format('SELECT revdesk_create_key(''x'', ''sub_entity'', test.id(''A1''), environment => %L)', wanted)),
  expected, format('a %s key makes a %s key', key, wanted))
FROM (VALUES
  ('production', 'production', '1 rows, changed'), ('production', 'development', '1 rows, changed'),
  ('development', 'development', '1 rows, changed'), ('development', 'production', '42501, unchanged')
) AS cases (key, wanted, expected);

SELECT * FROM finish();
ROLLBACK;
