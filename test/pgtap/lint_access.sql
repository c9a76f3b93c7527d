-- Proves that revdesk_lint() finds what API roles may reach past the tables: privileges, views, functions, roles and parameters, and that its fixes close it.

BEGIN;
\ir setup/desk.psql
SELECT plan(70);

REVOKE TEMPORARY ON DATABASE pgtap FROM PUBLIC;
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER test_files FOREIGN DATA WRAPPER file_fdw;
CREATE ROLE test_pool LOGIN NOINHERIT;
ALTER ROLE test_pool SET statement_timeout = '5s';
ALTER ROLE test_pool SET idle_in_transaction_session_timeout = '5s';
GRANT test_app TO test_pool;
CREATE ROLE test_bypass BYPASSRLS;
SET LOCAL search_path = public, pg_catalog;

SELECT is(
  (SELECT string_agg(role::regrole::text, ', ' ORDER BY role::regrole::text) FROM revdesk.api_roles), 'test_app, test_pool',
  'API roles: those with privileges, and the logins that can become one');
SET LOCAL revdesk.session_roles = test_other;
GRANT test_bypass TO test_other;
SELECT is(
  (SELECT string_agg(concat_ws(' ', role::regrole, bypasses), ', ' ORDER BY role::regrole::text) FROM revdesk.api_roles),
  'test_app f, test_bypass t, test_other f, test_pool f', 'and those of sessions, with what they can become');
REVOKE test_bypass FROM test_other;
SET LOCAL revdesk.session_roles = '';
SET LOCAL client_min_messages = error;
\ir setup/lint.psql
SELECT is(test.hole(code, statements), expected, concat_ws(': ', code, name))
FROM (VALUES
  ('GRANT_TRUNCATE', '', 'GRANT TRUNCATE ON desk.calls TO test_app', 'critical desk.calls to test_app: fixed'),
  ('GRANT_TRIGGER', '', 'GRANT TRIGGER ON desk.calls TO PUBLIC', 'high desk.calls to PUBLIC: fixed'),
  ('GRANT_REFERENCES', '', 'GRANT REFERENCES (id, label) ON desk.calls TO test_other', 'high desk.calls to test_other: fixed'),
  ('GRANT_PUBLIC', '', 'GRANT SELECT ON desk.calls TO PUBLIC', 'medium desk.calls: fixed'),
  ('GRANT_OPTION', '', 'GRANT SELECT, INSERT (id) ON desk.calls TO test_app WITH GRANT OPTION', 'medium desk.calls to test_app: fixed'),
  ('DEFAULT_PRIVILEGES', '', 'ALTER DEFAULT PRIVILEGES FOR ROLE test_owner IN SCHEMA desk GRANT SELECT ON TABLES TO test_app', 'medium schema desk for test_owner: fixed'),
  ('DEFAULT_PRIVILEGES', 'all schemas', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC', 'medium all schemas for postgres: fixed'),
  ('DEFAULT_PRIVILEGES', 'somebody else', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO test_other', ''),
  ('EXT_SCHEMA_CREATE', '', 'GRANT CREATE ON SCHEMA revdesk TO test_app', 'critical schema revdesk: fixed'),
  ('EXT_SCHEMA_CREATE', 'the schema of the functions', 'GRANT CREATE ON SCHEMA public TO PUBLIC', 'critical schema public: fixed'),
  ('CREATE_ON_SCHEMA', '', 'GRANT CREATE ON SCHEMA desk TO test_app', 'medium schema desk: fixed'),
  ('CREATE_ON_SCHEMA', 'its owner', 'CREATE SCHEMA own AUTHORIZATION test_app', 'medium schema own: advice'),
  ('TEMP_PRIVILEGE', '', 'GRANT TEMPORARY ON DATABASE pgtap TO PUBLIC', 'low database pgtap: fixed'),
  ('SEQUENCE_SHARED', '', 'CREATE SEQUENCE desk.numbers; GRANT ALL ON SEQUENCE desk.numbers TO test_app', 'low desk.numbers: fixed'),
  ('SEQUENCE_SHARED', 'USAGE', 'CREATE SEQUENCE desk.numbers; GRANT USAGE ON SEQUENCE desk.numbers TO test_app', ''),
  ('LARGE_OBJECTS_OF_TENANT_ROLE', '', 'SET LOCAL ROLE test_app; SELECT lo_create(0); RESET ROLE', 'low test_app: advice'),
  ('VIEW_NOT_INVOKER', '', 'CREATE VIEW desk.v AS SELECT * FROM desk.calls; GRANT SELECT ON desk.v TO test_app', 'critical desk.v: fixed'),
  ('VIEW_NOT_INVOKER', 'of a view', 'CREATE VIEW desk.v WITH (security_invoker) AS SELECT * FROM desk.calls; CREATE VIEW desk.w AS SELECT * FROM desk.v; GRANT SELECT (id) ON desk.w TO test_other', 'critical desk.w: fixed'),
  ('VIEW_NOT_INVOKER', 'nobody may read it', 'CREATE VIEW desk.v AS SELECT * FROM desk.calls', ''),
  ('VIEW_NOT_INVOKER', 'of an owner whom row security holds', 'CREATE VIEW desk.v AS SELECT * FROM desk.calls; ALTER VIEW desk.v OWNER TO test_owner; GRANT SELECT ON desk.v TO test_app', ''),
  ('MATVIEW_OVER_TENANT', '', 'CREATE MATERIALIZED VIEW desk.m AS SELECT * FROM desk.calls; GRANT SELECT ON desk.m TO test_app', 'high desk.m: fixed'),
  ('MATVIEW_OVER_TENANT', 'exempt', $$CREATE MATERIALIZED VIEW desk.m AS SELECT count(*) FROM desk.calls; GRANT SELECT ON desk.m TO test_app; SELECT revdesk_exempt('desk.m', 'a number')$$, ''),
  ('FOREIGN_TABLE', '', $$CREATE FOREIGN TABLE desk.f (tenant_id uuid) SERVER test_files OPTIONS (filename '/dev/null'); GRANT SELECT ON desk.f TO test_app$$, 'high desk.f: fixed'),
  ('SECDEF_BYPASS', '', 'CREATE FUNCTION desk.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN 1', 'high desk.f(): fixed'),
  ('SECDEF_BYPASS', 'a procedure', 'CREATE PROCEDURE desk.f() LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''', 'high desk.f(): fixed'),
  ('SECDEF_BYPASS', 'that they may not call', 'CREATE FUNCTION desk.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN 1; REVOKE ALL ON FUNCTION desk.f FROM PUBLIC', ''),
  ('SECDEF_NO_SEARCH_PATH', '', 'CREATE FUNCTION desk.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''', 'high desk.f(): fixed'),
  ('SECDEF_NO_SEARCH_PATH', 'pg_temp comes first', 'CREATE FUNCTION desk.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = desk, "$user" AS ''SELECT 1''', 'high desk.f(): fixed'),
  ('SECDEF_NO_SEARCH_PATH', 'empty', 'CREATE FUNCTION desk.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '''' AS ''SELECT 1''', ''),
  ('POLICY_HELPER_NO_SEARCH_PATH', '', 'CREATE FUNCTION desk.f(uuid) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN RETURN true; END''; CREATE POLICY p ON desk.calls USING (desk.f(tenant_id))', 'high desk.f(uuid): fixed'),
  ('CTX_IMMUTABLE', '', 'CREATE FUNCTION desk.f() RETURNS uuid LANGUAGE sql IMMUTABLE AS ''SELECT public.revdesk_tenant_id()''', 'critical desk.f(): fixed'),
  ('CTX_IMMUTABLE', 'parsed', 'CREATE FUNCTION desk.f() RETURNS uuid LANGUAGE sql IMMUTABLE RETURN revdesk_tenant_id()', 'critical desk.f(): fixed'),
  ('CTX_IMMUTABLE', 'by the setting', $$CREATE FUNCTION desk.f() RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_setting(''revdesk.tenant_id'')'$$, 'critical desk.f(): fixed'),
  ('LEAKPROOF_FUNCTION', '', 'CREATE FUNCTION desk.f(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS ''SELECT true''', 'high desk.f(text): fixed'),
  ('FILE_ACCESS', '', 'GRANT EXECUTE ON FUNCTION pg_read_file(text), lo_export(oid, text) TO test_app', 'critical lo_export(oid,text): fixed; critical pg_read_file(text): fixed'),
  ('FILE_ACCESS', 'PUBLIC', 'GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO PUBLIC', 'critical pg_ls_dir(text): fixed'),
  ('DBLINK', '', 'CREATE EXTENSION dblink', 'medium extension dblink: fixed'),
  ('CREATE_ON_PUBLIC', '', $$UPDATE pg_extension SET extnamespace = 'desk'::regnamespace WHERE extname = 'revdesk_auth'; GRANT CREATE ON SCHEMA public TO PUBLIC$$, 'medium schema public: fixed'),
  ('TENANT_ROLE_BYPASS', '', 'ALTER ROLE test_app BYPASSRLS', 'critical test_app: fixed'),
  ('TENANT_ROLE_BYPASS', 'a superuser', 'ALTER ROLE test_app SUPERUSER', 'critical test_app: fixed'),
  ('TENANT_ROLE_BYPASS', 'as a member', 'GRANT test_bypass TO test_app', 'critical test_app: fixed'),
  ('TENANT_ROLE_BYPASS', 'sessions of a superuser', $$SET LOCAL revdesk.session_roles = 'postgres'$$, 'critical postgres: advice'),
  ('AUTHENTICATOR_ROLES', '', 'GRANT test_bypass TO test_pool', 'high test_pool: fixed'),
  ('AUTHENTICATOR_ROLES', 'by a third one', 'GRANT test_bypass TO test_other; GRANT test_other TO test_pool', 'high test_pool: fixed'),
  ('TENANT_ROLE_OWNS', 'as a member', 'GRANT test_owner TO test_app', 'high test_app: fixed; high test_pool: fixed'),
  ('TENANT_ROLE_OWNS', 'by itself', 'ALTER TABLE desk.calls OWNER TO test_app', 'high test_app: advice; high test_pool: fixed'),
  ('OWNER_LOGS_IN', '', 'ALTER ROLE test_owner LOGIN', 'medium test_owner: fixed'),
  ('REPLICATION_ROLE', '', 'ALTER ROLE test_pool REPLICATION', 'high test_pool: fixed'),
  ('TENANT_ROLE_CREATEROLE', '', 'ALTER ROLE test_app CREATEROLE', 'high test_app: fixed'),
  ('ROLE_SERVER_FILES', '', 'GRANT pg_read_server_files TO test_app', 'critical test_app: fixed; critical test_pool: fixed'),
  ('ROLE_ALL_DATA', '', 'GRANT pg_read_all_data TO test_pool', 'high test_pool: fixed'),
  ('ROLE_MONITORS', '', 'GRANT pg_signal_backend TO test_pool', 'medium test_pool: fixed'),
  ('SESSION_ROLE_MISSING', '', $$SET LOCAL revdesk.session_roles = 'nobody'$$, 'low nobody: advice'),
  ('PARAM_GRANTED', '', 'GRANT SET, ALTER SYSTEM ON PARAMETER revdesk.session_roles TO test_app', 'critical revdesk.session_roles to test_app: fixed'),
  ('PARAM_GRANTED', 'to a role that they can become', 'GRANT SET ON PARAMETER revdesk.session_roles TO test_other; GRANT test_other TO test_app', 'critical revdesk.session_roles to test_other: fixed'),
  ('PARAM_GRANTED', 'to an administrator', 'GRANT SET ON PARAMETER revdesk.session_roles TO test_owner', ''),
  ('PARAM_STORED', 'a context', $$INSERT INTO pg_db_role_setting VALUES (0, 'test_app'::regrole, '{revdesk.context=00}')$$, 'high revdesk.context for test_app: fixed'),
  ('PARAM_STORED', 'what shows it', $$INSERT INTO pg_db_role_setting VALUES (0, 'test_app'::regrole, '{revdesk.scope=user}')$$, 'high revdesk.scope for test_app: advice'),
  ('PARAM_STORED', 'replication', 'ALTER DATABASE pgtap SET session_replication_role = replica', 'high session_replication_role for all roles: fixed'),
  ('EXT_TABLE_GRANTED', '', 'GRANT SELECT ON revdesk.api_keys TO test_app', 'critical revdesk.api_keys to test_app: fixed'),
  ('EXT_TABLE_GRANTED', 'to a role that they can become', 'GRANT test_other TO test_app; GRANT INSERT ON revdesk.memberships TO test_other', 'critical revdesk.memberships to test_other: fixed'),
  ('EXT_TABLE_GRANTED', 'to a provisioner', 'GRANT INSERT ON revdesk.memberships TO test_other', ''),
  ('EXT_OWNER_CHANGED', '', 'ALTER TABLE revdesk.key_usage OWNER TO test_owner', 'critical TABLE revdesk.key_usage: fixed'),
  ('EXT_OWNER_CHANGED', 'a function', 'ALTER FUNCTION revdesk_tenant_id() OWNER TO test_owner', 'critical FUNCTION public.revdesk_tenant_id(): fixed'),
  ('EXT_TRIGGER_DISABLED', '', 'ALTER TABLE revdesk.memberships DISABLE TRIGGER announce_change', 'high trigger announce_change on revdesk.memberships: fixed'),
  ('EXT_TRIGGER_DISABLED', 'not always', 'ALTER TABLE revdesk.audit_log ENABLE TRIGGER refuse_change', 'high trigger refuse_change on revdesk.audit_log: fixed'),
  ('EVENT_TRIGGER_DISABLED', '', 'ALTER EVENT TRIGGER revdesk_note_unprotected DISABLE', 'high event trigger revdesk_note_unprotected: fixed'),
  ('PUBLICATION_HAS_KEYS', '', 'CREATE PUBLICATION p FOR TABLE revdesk.api_keys', 'high publication p: fixed')
) AS holes (code, name, statements, expected);

SELECT * FROM finish();
ROLLBACK;
