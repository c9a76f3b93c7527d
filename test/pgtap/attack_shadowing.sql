-- Proves that a caller's own functions, operators and tables never stand in for ours (attacks G12, G13, F4).

BEGIN;
\ir setup/desk.psql
SELECT plan(44);
DO $$ BEGIN EXECUTE format('GRANT TEMPORARY, CREATE ON DATABASE %I TO test_app', current_database()); END $$;

-- A schema of the caller's, first in its search_path, with everything of ours
-- and of PostgreSQL's that a policy or a function might name.
SET LOCAL ROLE test_app;
CREATE SCHEMA evil;
SET LOCAL search_path = evil, public;
CREATE FUNCTION evil.revdesk_scope_visible(tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.revdesk_scope_readable_up(tenant_id uuid, umbrella_id uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS $$SELECT md5('B')::uuid$$;
CREATE FUNCTION evil.revdesk_scope_organization() RETURNS uuid LANGUAGE sql AS $$SELECT md5('B')::uuid$$;
CREATE FUNCTION evil.revdesk_scope_organization_tenants() RETURNS uuid[] LANGUAGE sql AS $$SELECT ARRAY[md5('B')::uuid]$$;
CREATE FUNCTION evil.revdesk_scope_user() RETURNS uuid LANGUAGE sql AS $$SELECT md5('bob')::uuid$$;
CREATE FUNCTION evil.revdesk_scope_user_tenants() RETURNS uuid[] LANGUAGE sql AS $$SELECT ARRAY[md5('B')::uuid]$$;
CREATE FUNCTION evil.revdesk_scope() RETURNS text LANGUAGE sql AS $$SELECT 'organization'$$;
CREATE FUNCTION evil.revdesk_access() RETURNS text LANGUAGE sql AS $$SELECT 'admin'$$;
CREATE FUNCTION evil.always(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.always);
CREATE FUNCTION evil.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.always);
CREATE FUNCTION evil.always(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = evil.always);
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT '2000-01-01'::timestamptz$$;
CREATE FUNCTION evil.has_table_privilege(oid, regclass, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.gen_random_uuid() RETURNS uuid LANGUAGE sql AS $$SELECT md5('chosen')::uuid$$;
CREATE FUNCTION evil.gen_random_bytes(integer) RETURNS bytea LANGUAGE sql AS $$SELECT '\x00000000000000000000000000000000'::bytea$$;
CREATE FUNCTION evil.digest(text, text) RETURNS bytea LANGUAGE sql AS $$SELECT sha256('x')$$;
CREATE FUNCTION evil.encode(bytea, text) RETURNS text LANGUAGE sql AS $$SELECT repeat('0', 32)$$;
CREATE TABLE evil.api_keys (LIKE desk.calls);
CREATE TABLE evil.tenants (id uuid, umbrella_id uuid);
CREATE TEMP TABLE tenants AS SELECT md5('A1')::uuid AS id, md5('B')::uuid AS umbrella_id;
CREATE TEMP TABLE memberships AS SELECT md5('ann')::uuid AS user_id, md5('A2')::uuid AS tenant_id;
CREATE TEMP TABLE api_keys AS SELECT sha256('x') AS key_hash, 'organization' AS scope, md5('B')::uuid AS tenant_id;
CREATE FUNCTION pg_temp.revdesk_scope_visible(uuid, uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
RESET ROLE;
GRANT USAGE ON SCHEMA evil TO PUBLIC;

-- Under each search_path: what is seen, and what the management functions do.
CREATE FUNCTION test.under_path(path text, key text, query text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  PERFORM set_config('search_path', path, true);
  outcome := test.rows('test_app', key, query);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome;
END
$$;
SELECT is(
  test.under_path(path, key, 'SELECT label FROM desk.' || relation), expected,
  format('attack G12: %s under %s, search_path %s', relation, COALESCE(key, 'no key'), path))
FROM (VALUES ('evil, pg_catalog, public'), ('pg_temp, evil, pg_catalog'), ('evil, public, pg_temp')) AS paths (path),
  (VALUES (NULL, 'calls', ''), ('A1', 'calls', 'A1'), ('A', 'calls', 'A,A1,A2'), ('ann', 'calls', 'A1,B'),
          ('A', 'contacts', 'A,A1,A2,A2 by ann'), ('ann', 'notes', 'A1,B,ann'), ('A1', 'registrations', 'A,A1')) AS cases (key, relation, expected);

SELECT is(
  test.under_path('evil, pg_temp, pg_catalog, public', key, query), expected, 'attack F4: ' || name)
FROM (VALUES
  ('the hash of a new key', 'A admin', $$SELECT length(token) || ' ' || (token <> 'revdesk_' || repeat('0', 32))
     FROM public.revdesk_create_key('x', 'sub_entity', md5('A1')::uuid)$$, '40 true'),
  ('the id of a new tenant', 'A admin', $$SELECT public.revdesk_create_sub_entity(md5('A')::uuid, 'x') <> md5('chosen')::uuid$$, 'true'),
  ('a role without privilege', NULL, $$SELECT public.revdesk_create_organization('x')$$, '42501'),
  ('a write key', 'A1', $$SELECT public.revdesk_create_key('x', 'sub_entity', md5('A1')::uuid)$$, '42501'),
  ('an admin key and another tenant', 'A1 admin', $$SELECT public.revdesk_create_key('x', 'sub_entity', md5('B1')::uuid)$$, '42501'),
  ('an admin key and another tenant''s key', 'A1 admin', $$SELECT public.revdesk_revoke_key(test.key_id('B1'))$$, '42501'),
  ('the keys of a write key', 'A1', 'SELECT name FROM public.revdesk_keys', 'A1'),
  ('the account', 'A1', $$SELECT public.revdesk_account() ->> 'scope'$$, 'sub_entity'),
  ('the context', 'A1', $$SELECT scope || ' ' || access FROM public.revdesk_context()$$, 'sub_entity write'),
  ('the unknown key whose hash is in the temporary table', NULL, $$SELECT public.revdesk_authenticate('x')$$, '28000')
) AS cases (name, key, query, expected);
SELECT is(
  test.write('test_app', 'A1', $$SET LOCAL search_path = evil, pg_temp, pg_catalog; INSERT INTO desk.contacts VALUES (100, md5('A1')::uuid, md5('B')::uuid, NULL, 'new')$$,
             $$SELECT umbrella_id = test.id('A') FROM desk.contacts WHERE id = 100$$), '1 rows, true', 'attack F4: the umbrella''s trigger reads the real tenants');

-- What the extension is: functions in C, or with a search_path of their own.
SELECT is(
  (SELECT string_agg(proc.oid::regprocedure::text, ', ' ORDER BY proc.oid) FROM pg_proc AS proc
   JOIN pg_depend ON objid = proc.oid AND classid = 'pg_proc'::regclass AND deptype = 'e'
   JOIN pg_extension ON pg_extension.oid = refobjid AND extname = 'revdesk_auth'
   JOIN pg_language ON pg_language.oid = prolang
   WHERE lanname <> 'c' AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)),
  NULL, 'X05: every function that is not in C has the search_path pg_catalog, pg_temp');
SELECT is(
  (SELECT string_agg(proc.oid::regprocedure::text, ', ' ORDER BY proc.oid::regprocedure::text COLLATE "C") FROM pg_proc AS proc
   JOIN pg_depend ON objid = proc.oid AND classid = 'pg_proc'::regclass AND deptype = 'e'
   JOIN pg_extension ON pg_extension.oid = refobjid AND extname = 'revdesk_auth'
   WHERE prosecdef AND has_function_privilege('test_other', proc.oid, 'EXECUTE')),
  'revdesk.last_used(uuid)', 'X06: PUBLIC may execute no SECURITY DEFINER function but the one behind a column of revdesk_keys');

-- G13: objects of our names that were there before.
SET CONSTRAINTS ALL IMMEDIATE;
SELECT revdesk_unprotect(relation) FROM revdesk.protected_tables;
DROP EXTENSION revdesk_auth CASCADE;
CREATE FUNCTION test.create_extension() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  CREATE EXTENSION revdesk_auth SCHEMA public;
  RETURN 'created';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;
SAVEPOINT clean;
SELECT is(test.create_extension(), 'created', 'attack G13: with nothing in the way the extension is created');
ROLLBACK TO clean;
SET LOCAL ROLE test_app;
SELECT is(test.create_extension(), '42501', 'attack F6: and by nobody but a superuser');
ROLLBACK TO clean;
CREATE SCHEMA revdesk;
SELECT is(test.create_extension(), '42P06', 'attack G13: not with a schema revdesk');
ROLLBACK TO clean;
CREATE FUNCTION public.revdesk_scope_visible(tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT is(test.create_extension(), '42723', 'attack G13: not with a predicate of the same name');
ROLLBACK TO clean;
CREATE VIEW public.revdesk_keys AS SELECT 1 AS one;
SELECT is(test.create_extension(), '42P07', 'attack G13: not with a view of the same name');
ROLLBACK TO clean;
-- F46: default privileges that would hand it out.
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO test_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO test_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO test_app;
SELECT is(test.create_extension(), 'created', 'threat L09: default privileges do not stop the installation');
SELECT is(
  (SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
   WHERE relnamespace = 'revdesk'::regnamespace AND relkind = 'r' AND relname <> 'protected_tables' AND has_table_privilege('test_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')),
  NULL, 'threat L09: and give no privilege on its tables');
SELECT is(has_schema_privilege('test_app', 'revdesk', 'CREATE'), false, 'threat L09: nor on its schema');
SELECT is(has_function_privilege('test_app', 'revdesk_create_organization(text, uuid)', 'EXECUTE'), false, 'threat L09: nor on its functions');
SELECT is(has_function_privilege('test_app', 'revdesk.insert_key(revdesk.api_keys)', 'EXECUTE'), false, 'threat L09: nor on those that it has for itself');

SELECT * FROM finish();
ROLLBACK;
