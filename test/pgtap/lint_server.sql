-- Proves that revdesk_lint() finds settings that let keys out, and keys that want a look; that names of objects cannot speak in what it says; and the forms of its answer.

BEGIN;
\ir setup/desk.psql
SELECT plan(44);

CREATE ROLE test_pool LOGIN;
GRANT test_app TO test_pool;
ALTER ROLE test_pool SET statement_timeout = '5s';
ALTER ROLE test_pool SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE test_pool SET log_parameter_max_length = 0;

SET LOCAL client_min_messages = error;
\ir setup/lint.psql
SELECT is(test.hole(code, statements), expected, concat_ws(': ', code, name))
FROM (VALUES
  ('LOG_PARAMS', 'with errors', 'ALTER ROLE test_pool SET log_parameter_max_length_on_error = 100', 'high test_pool: fixed'),
  ('LOG_PARAMS', 'of all statements', 'ALTER ROLE test_pool RESET log_parameter_max_length; ALTER DATABASE pgtap SET log_statement = ''all''', 'high test_pool: fixed'),
  ('LOG_PARAMS', 'of slow statements', 'ALTER ROLE test_pool IN DATABASE pgtap SET log_parameter_max_length = 9; ALTER ROLE test_pool SET log_min_duration_statement = ''1s''', 'high test_pool: still there'),
  ('LOG_PARAMS', 'that are not logged', 'ALTER ROLE test_pool RESET log_parameter_max_length', ''),
  ('LOG_PARAMS', 'without parameters', 'ALTER ROLE test_pool SET log_statement = ''all''', ''),
  ('LOG_PARAMS', 'of nobody known', 'DROP ROLE test_pool; ALTER DATABASE pgtap SET log_min_duration_statement = 0', 'high database pgtap: fixed'),
  ('AUTO_EXPLAIN_NESTED', '', 'ALTER ROLE test_pool SET auto_explain.log_min_duration = 0; ALTER ROLE test_pool SET auto_explain.log_nested_statements = on', 'high test_pool: fixed'),
  ('AUTO_EXPLAIN_NESTED', 'verbose', 'ALTER ROLE test_pool SET auto_explain.log_min_duration = 0; ALTER ROLE test_pool SET auto_explain.log_verbose = on', 'high test_pool: fixed'),
  ('AUTO_EXPLAIN_NESTED', 'off', 'ALTER ROLE test_pool SET auto_explain.log_min_duration = -1; ALTER ROLE test_pool SET auto_explain.log_verbose = on', ''),
  ('PGSS_TRACK_UTILITY', '', 'ALTER DATABASE pgtap SET pg_stat_statements.track_utility = on', 'medium test_pool: fixed'),
  ('DEBUG_PRINT', '', 'ALTER ROLE test_pool SET debug_print_plan = on', 'high test_pool: fixed'),
  ('SESSION_REPLICATION_ROLE', '', 'ALTER ROLE test_pool SET session_replication_role = replica', 'high test_pool: fixed'),
  ('NO_STATEMENT_TIMEOUT', '', 'ALTER ROLE test_pool RESET statement_timeout', 'medium test_pool: fixed'),
  ('NO_STATEMENT_TIMEOUT', 'switched off', 'ALTER ROLE test_pool SET statement_timeout = ''0s''', 'medium test_pool: fixed'),
  ('NO_STATEMENT_TIMEOUT', 'of the database', 'ALTER ROLE test_pool RESET statement_timeout; ALTER DATABASE pgtap SET statement_timeout = 1000', ''),
  ('NO_IDLE_TIMEOUT', '', 'ALTER ROLE test_pool RESET idle_in_transaction_session_timeout', 'medium test_pool: fixed'),
  ('DEVELOPMENT_KEYS', '', $$SELECT test.create_key('dev', 'organization', 'A', environment => 'development')$$, 'low database pgtap: fixed'),
  ('KEY_UNUSED', '', $$UPDATE revdesk.api_keys SET created_at = now() - interval '91 days' WHERE id = test.key_id('A')$$, 'low revdesk.api_keys: advice'),
  ('KEY_UNUSED', 'used', $$UPDATE revdesk.api_keys SET created_at = now() - interval '91 days' WHERE id = test.key_id('A'); INSERT INTO revdesk.key_usage (key_id, bucket, requests) SELECT test.key_id('A'), now(), 1$$, ''),
  ('PROXY_ADDRESS', '', $$INSERT INTO revdesk.key_usage (key_id, bucket, requests, last_address) SELECT gen_random_uuid(), now(), 1, '10.0.0.1' FROM generate_series(1, 10)$$, 'medium revdesk.trusted_proxies: advice'),
  ('PROXY_ADDRESS', 'two', $$INSERT INTO revdesk.key_usage (key_id, bucket, requests, last_address) SELECT gen_random_uuid(), now(), 1, '10.0.0.' || i FROM generate_series(1, 10) AS i$$, ''),
  ('PUBLICATION_HAS_KEYS', 'all tables', 'CREATE PUBLICATION p FOR ALL TABLES', 'high publication p: advice'),
  ('PUBLICATION_HAS_KEYS', 'a schema', 'CREATE PUBLICATION p FOR TABLES IN SCHEMA revdesk', 'high publication p: fixed'),
  ('PUBLICATION_HAS_KEYS', 'without the hash', 'CREATE PUBLICATION p FOR TABLE revdesk.api_keys (id, name)', '')
) AS holes (code, name, statements, expected);

SELECT is(
  (SELECT string_agg(severity || ' ' || message, '') FROM revdesk_lint() WHERE code = 'KEY_NO_EXPIRY'), 'low 24 live keys never expire', 'KEY_NO_EXPIRY');
SELECT is(
  (SELECT severity FROM revdesk_lint() WHERE code = 'NOT_PRELOADED'), CASE WHEN revdesk.usage_dropped() IS NULL THEN 'medium' END, 'NOT_PRELOADED');
SELECT is(
  ARRAY(SELECT v FROM unnest(ARRAY[150019, 150020, 160015, 170011, 170012, 180006, 180007, 190000]) AS v WHERE revdesk.lacks_fixes(v)),
  ARRAY[150019, 160015, 170011, 180006], 'SERVER_TOO_OLD: minor releases that lack fixes');

-- Names that would like to speak.
CREATE TABLE desk."x'); DROP TABLE desk.calls; --
DROP TABLE desk.calls; --" (tenant_id bigint);
CREATE TABLE desk."y""; DROP TABLE desk.calls; --
DROP TABLE desk.calls; $$ '' \" (tenant_id uuid, "z""
DROP TABLE desk.calls; --" uuid);
SELECT revdesk_protect(class.oid, 'tenant_id', umbrella_column => attname)
FROM pg_class AS class JOIN pg_attribute ON attrelid = class.oid AND attname LIKE 'z%' WHERE relname LIKE 'y"%';
CREATE ROLE "test ""
role" LOGIN SUPERUSER;
DO $$
DECLARE
  odd regclass := (SELECT oid FROM pg_class WHERE relname LIKE 'y"%' AND relkind = 'r');
  names regclass;
BEGIN
  EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', odd);
  EXECUTE format('DROP TRIGGER zz_revdesk_umbrella ON %s', odd);
  EXECUTE format('GRANT ALL ON %s TO %I', odd, E'test "\nrole');
  EXECUTE format('CREATE POLICY %I ON %s USING (true)', E'p"\nDROP TABLE desk.calls; --', odd);
  EXECUTE format('ALTER POLICY revdesk_isolation ON %s TO test_app', odd);
  EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE (%I), ADD CONSTRAINT %I UNIQUE (tenant_id)', odd,
                 E'u"\nDROP TABLE desk.calls; --', E'z"\nDROP TABLE desk.calls; --', E'v\nDROP TABLE desk.calls; --');
  EXECUTE format('CREATE RULE %I AS ON DELETE TO %s DO ALSO NOTIFY x', E'r"\nDROP TABLE desk.calls; --', odd);
  EXECUTE format('CREATE FUNCTION desk.%I(%s) RETURNS int LANGUAGE sql SECURITY DEFINER AS $f$SELECT 1$f$', E'f"\nDROP TABLE desk.calls; --', odd);
END
$$;
SELECT cmp_ok((SELECT count(DISTINCT code) FROM revdesk_lint() WHERE object ~ 'DROP TABLE' OR fix ~ 'DROP TABLE'), '>=', 9::bigint,
              'names that would like to speak are in many findings');
SELECT is_empty($$SELECT code, object FROM revdesk_lint() WHERE object ~ '[[:cntrl:]]' OR message ~ '[[:cntrl:]]'$$, 'each finding is one line');
SELECT is_empty($$SELECT code, fix FROM revdesk_lint() WHERE fix LIKE '--%' AND fix ~ '[[:cntrl:]]'$$, 'and so is each comment');
CREATE FUNCTION test.fix_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  lint record;
BEGIN
  FOR lint IN SELECT * FROM revdesk_lint() WHERE fix LIKE '-- %' OR fix ~ 'DROP TABLE' ORDER BY code <> 'TENANT_COLUMN_WITHOUT_POLICY' LOOP
    EXECUTE lint.fix;
  END LOOP;
END
$$;
SELECT lives_ok('SELECT test.fix_all()', 'every fix with such a name runs as it is');
SELECT has_table('desk', 'calls', 'and no name has spoken');
SELECT is_empty(
  $$SELECT code FROM revdesk_lint() WHERE object ~ 'DROP TABLE' AND code IN ('RLS_DISABLED', 'NO_FORCE', 'UMBRELLA_TRIGGER', 'POLICY_DRIFT', 'POLICY_ADDED', 'SECDEF_BYPASS')$$,
  'and the holes are closed');

-- The forms.
SELECT is_empty($$SELECT code FROM revdesk_lint() EXCEPT SELECT code FROM revdesk_lint_checks()$$, 'every finding is of a check that is listed');
SELECT is((SELECT count(*) FROM revdesk_lint_checks()), (SELECT count(DISTINCT code) FROM revdesk_lint_checks()), 'each once');
SELECT set_eq('SELECT DISTINCT severity FROM revdesk_lint_checks()', ARRAY['critical', 'high', 'medium', 'low'], 'the severities');
SELECT is(revdesk_lint_sarif() ->> 'version', '2.1.0', 'SARIF: version');
SELECT is(jsonb_array_length(jsonb_path_query_first(revdesk_lint_sarif(), '$.runs[0].results')), (SELECT count(*)::int FROM revdesk_lint()), 'SARIF: every finding is a result');
SELECT is_empty(
  $$SELECT result FROM jsonb_path_query(revdesk_lint_sarif(), '$.runs[0].results[*]') AS result
    WHERE NOT COALESCE(jsonb_path_query_first(revdesk_lint_sarif(), '$.runs[0].tool.driver.rules') -> (result->>'ruleIndex')::int ->> 'id' = result->>'ruleId'
                       AND result->>'level' IN ('error', 'warning', 'note') AND result #>> '{message,text}' <> ''
                       AND result #>> '{locations,0,logicalLocations,0,fullyQualifiedName}' <> '', false)$$, 'SARIF: results name their rule, level, text and object');
SELECT is(
  (SELECT string_agg(concat_ws(' ', result->>'ruleId', result->>'level', result #>> '{locations,0,logicalLocations,0,fullyQualifiedName}'), '; ')
   FROM jsonb_path_query(revdesk_lint_sarif(), '$.runs[0].results[*] ? (@.ruleId == "KEY_NO_EXPIRY")') AS result),
  'KEY_NO_EXPIRY note revdesk.api_keys', 'SARIF: a result');

-- Who may ask.
SELECT is(test.run('test_app', NULL, 'SELECT * FROM ' || question), '42501', question || ' is not for everybody')
FROM unnest(ARRAY['revdesk_lint()', 'revdesk_lint_sarif()']) AS question;
GRANT EXECUTE ON FUNCTION revdesk_lint, revdesk_lint_sarif, revdesk_lint_checks TO test_other;
SELECT matches(test.run('test_other', NULL, 'SELECT * FROM ' || question), '^[1-9][0-9]* rows$', question || ' is for whom it is granted to')
FROM unnest(ARRAY['revdesk_lint()', 'revdesk_lint_sarif()']) AS question;

SELECT * FROM finish();
ROLLBACK;
