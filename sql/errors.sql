-- Every SQLSTATE that the extension raises, once, with all that the client is told.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
GRANT EXECUTE ON FUNCTION app.token(text) TO regress_app;
GRANT EXECUTE ON FUNCTION revdesk_create_key, revdesk_import_key, revdesk_rotate_key, revdesk_revoke_key,
  revdesk_create_organization, revdesk_create_sub_entity, revdesk_add_member, revdesk_suspend_tenant TO regress_app;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
SET ROLE regress_app;

-- 28000: the key is not valid now.
SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000');
\echo :SQLSTATE

-- 25001: the transaction acts for another key.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SELECT revdesk_authenticate(app.token('a2'));
\echo :SQLSTATE
COMMIT;

-- 25006: a key of access read writes.
\set ON_ERROR_ROLLBACK off
BEGIN;
SELECT revdesk_authenticate(app.token('af'));
UPDATE app.docs SET body = 'x';
\echo :SQLSTATE
ROLLBACK;
\set ON_ERROR_ROLLBACK on

-- 25000: a parallel operation authenticates.
RESET ROLE;
CREATE FUNCTION app.wrongly_safe() RETURNS void LANGUAGE plpgsql PARALLEL SAFE
AS $$ BEGIN PERFORM revdesk_authenticate(app.token('a1')); END $$;
SET :force_parallel = on;
SELECT app.wrongly_safe();
\echo :SQLSTATE
RESET :force_parallel;
SET ROLE regress_app;

-- 42501: a row of another tenant is written.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
INSERT INTO app.docs (id, tenant_id, body) VALUES (100, 'bbbbbbbb-0000-0000-0000-000000000000', 'x');
\echo :SQLSTATE
-- 42501: access admin is needed.
SELECT revdesk_revoke_key(revdesk_key_id());
\echo :SQLSTATE
COMMIT;

-- 42501: a context is needed, or a privilege.
SELECT revdesk_create_organization('x');
\echo :SQLSTATE

-- 42501: outside of the scope, or nowhere.
BEGIN;
SELECT revdesk_authenticate(app.token('ad'));
SELECT revdesk_create_sub_entity('bbbbbbbb-0000-0000-0000-000000000000', 'x');
\echo :SQLSTATE
SELECT revdesk_create_sub_entity('bbbbbbbb-0000-0000-0000-00000000ffff', 'x');
\echo :SQLSTATE
SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000b0');
\echo :SQLSTATE
SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-00000000ffff');
\echo :SQLSTATE
-- 42501: not a matter for keys at all.
SELECT revdesk_suspend_tenant('aaaaaaaa-0000-0000-0000-000000000001');
\echo :SQLSTATE
-- 42501: a key wider than the caller's.
SELECT revdesk_create_key('x', 'organization', 'bbbbbbbb-0000-0000-0000-000000000000');
\echo :SQLSTATE
-- 22023: values that no key can have.
SELECT revdesk_create_key('x', 'planet');
\echo :SQLSTATE
SELECT revdesk_create_key('', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000');
\echo :SQLSTATE
SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', access => 'root');
\echo :SQLSTATE
SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', expires_at => '2000-01-01');
\echo :SQLSTATE
SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', allowed_networks => '{}');
\echo :SQLSTATE
SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', metadata => '[]');
\echo :SQLSTATE
SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a0', '-1 day');
\echo :SQLSTATE
-- 23514: a scope that does not go with the tenant.
SELECT revdesk_create_key('x', 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000000');
\echo :SQLSTATE
-- 23503: a user who does not exist.
SELECT revdesk_add_member('aaaaaaaa-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-00000000ffff');
\echo :SQLSTATE
-- 55000: a key that has ended is rotated.
SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a0');
SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a0');
\echo :SQLSTATE
COMMIT;
RESET ROLE;

-- 22023: a hash of the wrong length.
SELECT revdesk_import_key('x', 'organization', '\x00', 'aaaaaaaa-0000-0000-0000-000000000000');
\echo :SQLSTATE
-- 23505: a hash, an id, that is there already.
SELECT revdesk_import_key('x', 'organization', sha256(app.token('a1')::bytea), 'aaaaaaaa-0000-0000-0000-000000000000');
\echo :SQLSTATE
SELECT revdesk_create_organization('x', 'aaaaaaaa-0000-0000-0000-000000000000');
\echo :SQLSTATE
-- 23514: three levels; an umbrella that changes.
SELECT revdesk_create_sub_entity('aaaaaaaa-0000-0000-0000-000000000001', 'x');
\echo :SQLSTATE
INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('aaaaaaaa-0000-0000-0000-000000000001', 'x');
\echo :SQLSTATE
UPDATE revdesk.tenants SET umbrella_id = NULL WHERE name = 'A1';
\echo :SQLSTATE
-- 23503: a row of a tenant that does not exist.
INSERT INTO app.docs (id, tenant_id, body) VALUES (100, 'aaaaaaaa-0000-0000-0000-00000000ffff', 'x');
\echo :SQLSTATE
-- 42704: a user who does not exist.
SELECT revdesk_disable_user('cccccccc-0000-0000-0000-00000000ffff');
\echo :SQLSTATE

-- 42809, 42703, 42804, 22023, 55000: what cannot be protected.
CREATE TABLE app.plain (id integer, tenant_id uuid, generated uuid GENERATED ALWAYS AS (tenant_id) STORED);
CREATE VIEW app.a_view AS SELECT 1 AS tenant_id;
SELECT revdesk_protect('app.a_view');
\echo :SQLSTATE
SELECT revdesk_protect('pg_class');
\echo :SQLSTATE
SELECT revdesk_protect('revdesk.tenants');
\echo :SQLSTATE
SELECT revdesk_protect('app.plain', 'nowhere');
\echo :SQLSTATE
SELECT revdesk_protect('app.plain', 'id');
\echo :SQLSTATE
SELECT revdesk_protect('app.plain', 'generated');
\echo :SQLSTATE
SELECT revdesk_protect('app.plain', NULL);
\echo :SQLSTATE
SELECT revdesk_unprotect('app.plain');
\echo :SQLSTATE
SET ROLE regress_app;
SELECT revdesk_protect('app.plain');
\echo :SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION revdesk_protect TO regress_app;
SET ROLE regress_app;
SELECT revdesk_protect('app.plain');
\echo :SQLSTATE
RESET ROLE;
REVOKE EXECUTE ON FUNCTION revdesk_protect FROM regress_app;

-- 39P01: a trigger function where it does not belong, or outside of a trigger.
CREATE TRIGGER wrong AFTER INSERT ON app.plain FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella('tenant_id', 'tenant_id');
INSERT INTO app.plain (id) VALUES (1);
\echo :SQLSTATE
SELECT revdesk.set_umbrella();
\echo :SQLSTATE
SELECT revdesk.announce_change();
\echo :SQLSTATE

-- 42501, 55P02, 42602, 22023: settings.
SET revdesk.context = 'x';
\echo :SQLSTATE
SET revdesk.scope = 'user';
\echo :SQLSTATE
SET revdesk.anything = 'x';
\echo :SQLSTATE
SET revdesk.accepted_environments = 'staging';
\echo :SQLSTATE

REVOKE EXECUTE ON FUNCTION revdesk_create_key, revdesk_import_key, revdesk_rotate_key, revdesk_revoke_key,
  revdesk_create_organization, revdesk_create_sub_entity, revdesk_add_member, revdesk_suspend_tenant FROM regress_app;
