-- Who may manage what: a key inside its scope, a role what it may do to the tables anyway.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
GRANT EXECUTE ON FUNCTION app.token(text), app.try(text) TO regress_app;
GRANT EXECUTE ON FUNCTION revdesk_create_organization, revdesk_create_sub_entity, revdesk_create_user,
  revdesk_add_member, revdesk_remove_member, revdesk_suspend_tenant, revdesk_resume_tenant, revdesk_disable_user,
  revdesk_enable_user, revdesk_create_key, revdesk_import_key, revdesk_rotate_key, revdesk_revoke_key,
  revdesk_provision_account TO regress_app;

-- What a call says, without what it does.
CREATE FUNCTION app.undone(statement text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE statement;
  RAISE EXCEPTION 'ok' USING ERRCODE = 'UNDO0';
EXCEPTION WHEN OTHERS THEN
  RETURN CASE SQLSTATE WHEN 'UNDO0' THEN 'ok' ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;

CREATE FUNCTION app.attempts() RETURNS TABLE (attempt text, outcome text)
LANGUAGE sql
AS $$
  SELECT statement, app.undone('SELECT revdesk_' || statement)
  FROM unnest(ARRAY[
    'create_organization(''x'')',
    'create_user(''x'')',
    'provision_account(''x'', ''y'')',
    'import_key(''x'', ''organization'', sha256(''x''), ''aaaaaaaa-0000-0000-0000-000000000000'')',
    'suspend_tenant(''aaaaaaaa-0000-0000-0000-000000000001'')',
    'resume_tenant(''aaaaaaaa-0000-0000-0000-000000000001'')',
    'disable_user(''cccccccc-0000-0000-0000-000000000001'')',
    'enable_user(''cccccccc-0000-0000-0000-000000000001'')',
    'create_sub_entity(''aaaaaaaa-0000-0000-0000-000000000000'', ''x'')',
    'create_sub_entity(''bbbbbbbb-0000-0000-0000-000000000000'', ''x'')',
    'create_sub_entity(''eeeeeeee-0000-0000-0000-000000000000'', ''x'')',
    'add_member(''aaaaaaaa-0000-0000-0000-000000000001'', ''cccccccc-0000-0000-0000-000000000002'')',
    'add_member(''aaaaaaaa-0000-0000-0000-000000000002'', ''cccccccc-0000-0000-0000-000000000001'')',
    'add_member(''bbbbbbbb-0000-0000-0000-000000000001'', ''cccccccc-0000-0000-0000-000000000002'')',
    'remove_member(''aaaaaaaa-0000-0000-0000-000000000001'', ''cccccccc-0000-0000-0000-000000000001'')',
    'remove_member(''bbbbbbbb-0000-0000-0000-000000000000'', ''cccccccc-0000-0000-0000-000000000001'')',
    'create_key(''x'', ''organization'', ''aaaaaaaa-0000-0000-0000-000000000000'')',
    'create_key(''x'', ''sub_entity'', ''aaaaaaaa-0000-0000-0000-000000000001'')',
    'create_key(''x'', ''sub_entity'', ''aaaaaaaa-0000-0000-0000-000000000002'')',
    'create_key(''x'', ''organization'', ''bbbbbbbb-0000-0000-0000-000000000000'')',
    'create_key(''x'', ''user'', NULL, ''cccccccc-0000-0000-0000-000000000001'')',
    'create_key(''x'', ''sub_entity'', ''aaaaaaaa-0000-0000-0000-000000000001'', ''cccccccc-0000-0000-0000-000000000001'')',
    'create_key(''x'', ''sub_entity'', ''aaaaaaaa-0000-0000-0000-000000000001'', ''cccccccc-0000-0000-0000-000000000002'')',
    'revoke_key(''dddddddd-0000-0000-0000-0000000000a0'')',
    'revoke_key(''dddddddd-0000-0000-0000-0000000000a1'')',
    'revoke_key(''dddddddd-0000-0000-0000-0000000000a2'')',
    'revoke_key(''dddddddd-0000-0000-0000-0000000000b1'')',
    'revoke_key(''dddddddd-0000-0000-0000-0000000000c1'')',
    'rotate_key(''dddddddd-0000-0000-0000-0000000000a1'')',
    'rotate_key(''dddddddd-0000-0000-0000-0000000000b1'')'
  ]) AS statement
$$;

SET ROLE regress_app;
\echo -- a role without privileges, without a context
SELECT * FROM app.attempts();
\echo -- an admin key of an organization
BEGIN;
SELECT revdesk_authenticate(app.token('ad')) \g /dev/null
SELECT * FROM app.attempts();
COMMIT;
\echo -- an admin key of a sub-entity
BEGIN;
SELECT revdesk_authenticate(app.token('ae')) \g /dev/null
SELECT * FROM app.attempts();
COMMIT;
\echo -- a key of access write; then one of access read
BEGIN;
SELECT revdesk_authenticate(app.token('a0')) \g /dev/null
SELECT DISTINCT outcome FROM app.attempts() ORDER BY outcome;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('af')) \g /dev/null
SELECT DISTINCT outcome FROM app.attempts() ORDER BY outcome;
COMMIT;
\echo -- an admin key of a user
RESET ROLE;
UPDATE revdesk.api_keys SET access = 'admin' WHERE name = 'key c1';
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('c1')) \g /dev/null
SELECT * FROM app.attempts();
COMMIT;
RESET ROLE;

\echo -- a role with privileges on the tables, without a context
GRANT INSERT ON revdesk.tenants TO regress_app;
SET ROLE regress_app;
SELECT attempt, outcome FROM app.attempts() WHERE outcome NOT LIKE '42501: authentication required%';
RESET ROLE;
REVOKE INSERT ON revdesk.tenants FROM regress_app;
GRANT UPDATE ON revdesk.api_keys TO regress_app;
SET ROLE regress_app;
SELECT attempt, outcome FROM app.attempts() WHERE outcome NOT LIKE '42501: authentication required%';
-- Under a context the key counts, not the role.
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
SELECT attempt, outcome FROM app.attempts() WHERE attempt LIKE 'revoke_key%';
COMMIT;
RESET ROLE;
REVOKE UPDATE ON revdesk.api_keys FROM regress_app;

\echo -- a superuser; and one who acts for a key
SELECT attempt, outcome FROM app.attempts() WHERE outcome <> 'ok';
BEGIN;
SELECT revdesk_authenticate(app.token('a1')) \g /dev/null
SELECT DISTINCT outcome FROM app.attempts() ORDER BY outcome;
COMMIT;

-- The role that counts is that of the session, or of SET ROLE; not the owner
-- of a SECURITY DEFINER function on the way.
CREATE FUNCTION app.by_owner() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
AS $$ BEGIN RETURN app.undone('SELECT revdesk_create_organization(''x'')'); END $$;
SELECT app.by_owner() AS as_superuser;
SET ROLE regress_app;
SELECT app.by_owner() AS as_app;
RESET ROLE;
SET SESSION AUTHORIZATION regress_app;
SELECT app.by_owner() AS as_app;
RESET SESSION AUTHORIZATION;

-- Code of a table's owner that runs for somebody else manages nothing.
CREATE FUNCTION app.trap(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RAISE NOTICE 'in the trap: %', app.undone('SELECT public.revdesk_create_organization(''x'')'); RETURN i; END $$;
GRANT CREATE ON SCHEMA app TO regress_owner;
GRANT EXECUTE ON FUNCTION revdesk_create_organization TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE app.trapped (i integer);
INSERT INTO app.trapped VALUES (1);
CREATE MATERIALIZED VIEW app.trapped_view AS SELECT app.trap(i) FROM app.trapped;
RESET ROLE;
REFRESH MATERIALIZED VIEW app.trapped_view;
CREATE INDEX ON app.trapped (app.trap(i));
ANALYZE app.trapped;

REVOKE EXECUTE ON FUNCTION revdesk_create_organization, revdesk_create_sub_entity, revdesk_create_user,
  revdesk_add_member, revdesk_remove_member, revdesk_suspend_tenant, revdesk_resume_tenant, revdesk_disable_user,
  revdesk_enable_user, revdesk_create_key, revdesk_import_key, revdesk_rotate_key, revdesk_revoke_key,
  revdesk_provision_account FROM regress_app, regress_owner;
