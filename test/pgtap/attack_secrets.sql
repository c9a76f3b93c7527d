-- Proves that neither key nor hash is shown where a caller can look (attacks K2, K5, L2 to L4).

BEGIN;
\ir setup/desk.psql
SELECT plan(98);
ANALYZE revdesk.api_keys;
ANALYZE revdesk.tenants;

-- K5
SELECT is(
  test.run('test_app', key, query), '42501', format('attack K5: %s with %s', query, COALESCE('key ' || key, 'no key')))
FROM (VALUES (NULL), ('A1'), ('A admin')) AS keys (key), (VALUES
  ('SELECT FROM revdesk.api_keys'), ('SELECT count(*) FROM revdesk.api_keys'), ('SELECT FROM revdesk.tenants'), ('SELECT FROM revdesk.users'),
  ('SELECT FROM revdesk.memberships'), ('TABLE revdesk.api_keys'), ('SELECT FROM ONLY revdesk.api_keys'), ('SELECT FROM revdesk.api_keys FOR UPDATE'),
  ('INSERT INTO revdesk.api_keys DEFAULT VALUES'), ('UPDATE revdesk.api_keys SET access = ''admin'''), ('DELETE FROM revdesk.api_keys'),
  ('TRUNCATE revdesk.api_keys'), ('LOCK TABLE revdesk.api_keys'), ('UPDATE revdesk.tenants SET suspended_at = NULL'),
  ('INSERT INTO revdesk.memberships DEFAULT VALUES'), ('DELETE FROM revdesk.memberships'), ('SELECT revdesk.token_hash(''x'')'), ('SELECT revdesk.new_token()'),
  ('SELECT revdesk.lock_key(test.key_id(''A''))'), ('CREATE TABLE revdesk.mine (id integer)'), ('CREATE INDEX ON revdesk.api_keys (name)'),
  ('ALTER TABLE revdesk.api_keys ADD mine integer'), ('CREATE TRIGGER mine AFTER INSERT ON revdesk.api_keys EXECUTE FUNCTION suppress_redundant_updates_trigger()')
) AS queries (query);
SELECT is(
  test.rows('test_app', 'A1', $$SELECT tablename FROM pg_stats WHERE schemaname = 'revdesk' AND tablename <> 'protected_tables'$$), '', 'attack K5: no statistics of the extension''s tables');
SELECT is(
  test.run('test_app', 'A1', $$SELECT pg_read_binary_file('base')$$), '42501', 'attack K5: nor their files');
SELECT is(
  (SELECT string_agg(grantee || ' ' || privilege_type || ' ' || table_name, ', ') FROM information_schema.role_table_grants
   WHERE table_schema = 'revdesk' AND grantee NOT IN (SELECT rolname FROM pg_roles WHERE rolsuper) AND table_name <> 'protected_tables'), NULL,
  'attack K5: no privilege on the tables is granted to anybody');
SELECT is(
  (SELECT string_agg(column_name, ', ') FROM information_schema.column_privileges
   WHERE table_schema = 'revdesk' AND grantee NOT IN (SELECT rolname FROM pg_roles WHERE rolsuper) AND table_name <> 'protected_tables'), NULL, 'attack K5: nor on a column');
SELECT is(test.rows('test_app', 'A1', 'SELECT relation FROM revdesk.protected_tables'), '', 'attack K5: the registry shows a caller no table');
SELECT is(
  test.rows('test_owner', NULL, 'SELECT relation FROM revdesk.protected_tables'), 'desk.calls,desk.contacts,desk.notes,desk.registrations', 'attack K5: and an owner the owner''s');

-- K2: nothing that is stored or shown authenticates.
SELECT is(
  test.error('test_app', NULL, format('SELECT revdesk_authenticate(%L)', text)), '28000 | API key rejected', 'attack K2: ' || name)
FROM (SELECT encode(key_hash, 'hex') AS hash, id::text, hint FROM revdesk.api_keys WHERE id = test.key_id('A1')) AS key, LATERAL (VALUES
  ('the hash', hash), ('the hash with the prefix', 'revdesk_' || hash), ('half the hash', 'revdesk_' || left(hash, 32)), ('the other half', 'revdesk_' || right(hash, 32)),
  ('the hash in bytea''s form', '\x' || hash), ('the id', id), ('the id with the prefix', 'revdesk_' || replace(id, '-', '')),
  ('the right hint and zeros', 'revdesk_' || lpad(hint, 32, '0'))
) AS cases (name, text);

-- L3, L2: what the session shows of itself.
SELECT is(
  test.rows('test_app', 'A1', format(query, substr(test.token('A1'), 9))), '', 'attack L2: the key is not in ' || name)
FROM (VALUES
  ('pg_settings', $$SELECT name FROM pg_settings WHERE strpos(pg_settings::text, %L) > 0$$),
  ('pg_prepared_statements', $$SELECT name FROM pg_prepared_statements WHERE strpos(statement, %L) > 0$$),
  ('pg_cursors', $$SELECT name FROM pg_cursors WHERE strpos(statement, %L) > 0$$),
  ('pg_db_role_setting', $$SELECT setconfig FROM pg_db_role_setting WHERE strpos(setconfig::text, %L) > 0$$)
) AS cases (name, query);
SELECT is(
  test.rows('test_app', 'A1', format($$SELECT name FROM pg_settings WHERE strpos(pg_settings::text, %L) > 0$$, encode(key_hash, 'hex'))), '', 'attack L2: nor is its hash in the settings')
FROM revdesk.api_keys WHERE id = test.key_id('A1');
SELECT is(
  (SELECT count(*) FROM pg_settings WHERE name = 'revdesk.context'), 0::bigint, 'attack L3: pg_settings hides the setting from a superuser as well');
SELECT is(
  test.rows('test_app', 'A1', $$SELECT name FROM pg_show_all_settings() WHERE name LIKE 'revdesk.context%'$$), '', 'attack L3: and so does what SHOW ALL is made of');

SELECT is(
  (SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'revdesk'::regnamespace)
   AND prosrc ~ '[0-9a-f]{32}'), NULL, 'threat L12: no function has a secret in its body');
SELECT is(
  test.rows('test_app', 'A1', $$SELECT name FROM pg_settings WHERE name LIKE 'revdesk.%' AND setting ~ '[0-9a-f]{32}'$$), '', 'attack L3: nor has a setting');

-- L2: no error quotes a key, whatever the function that fails around it.
CREATE FUNCTION test.everything(statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  message text;
  detail text;
  hint text;
  context text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN message || detail || hint || context;
END
$$;
SELECT FROM revdesk_revoke_key(test.key_id('A1'));
SELECT is(
  test.everything(format(statement, test.token('A1'))) ~ substr(test.token('A1'), 9, 16), false, 'attack L2: not quoted by ' || name)
FROM (VALUES
  ('a call', 'SELECT revdesk_authenticate(%L)'), ('a call in a DO block', 'DO $do$ BEGIN PERFORM revdesk_authenticate(%L); END $do$'),
  ('a call in a WHERE', 'SELECT FROM desk.calls WHERE revdesk_authenticate(%L) IS NOT NULL'),
  ('a call in a function of SQL', 'DO $do$ BEGIN EXECUTE ''SELECT revdesk_authenticate($1)'' USING %L; END $do$')
) AS cases (name, statement);

-- L4
CREATE FUNCTION test.shown(secret text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  view name;
  found boolean;
  places text;
BEGIN
  FOREACH view IN ARRAY ARRAY['pg_policies', 'pg_views', 'pg_seclabels', 'pg_stats', 'pg_settings', 'pg_file_settings', 'pg_stat_user_tables', 'pg_locks', 'pg_cursors'] LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM pg_catalog.%I AS rows WHERE strpos(rows::text, $1) > 0)', view) INTO found USING secret;
    IF found THEN
      places := concat_ws(' ', places, view);
    END IF;
  END LOOP;
  RETURN places;
END
$$;
SELECT is(test.shown(substr(test.token('A'), 9)), NULL, 'attack L4: no catalog view shows a key');
SELECT is(test.shown(test.id('A')::text), 'pg_stats', 'the search finds what is there, statistics of the tenants'' ids');

SELECT * FROM finish();
ROLLBACK;
