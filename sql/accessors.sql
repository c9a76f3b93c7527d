-- The functions and settings that read the context, in every scope and without a context.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
SET ROLE regress_app;

PREPARE functions AS
SELECT revdesk_key_id() AS key_id, revdesk_scope() AS scope, revdesk_tenant_id() AS tenant_id,
       revdesk_umbrella_id() AS umbrella_id, revdesk_user_id() AS user_id,
       revdesk_access() AS access, revdesk_environment() AS environment;
PREPARE settings AS
SELECT current_setting('revdesk.key_id') AS key_id, current_setting('revdesk.scope') AS scope,
       current_setting('revdesk.tenant_id') AS tenant_id, current_setting('revdesk.umbrella_id') AS umbrella_id,
       current_setting('revdesk.user_id') AS user_id, current_setting('revdesk.access') AS access;
PREPARE context AS SELECT * FROM revdesk_context();
-- The three tell the same.
PREPARE agree AS
SELECT (SELECT row(key_id, scope, tenant_id, umbrella_id, user_id, access, environment) FROM revdesk_context())
       IS NOT DISTINCT FROM
       (SELECT row(revdesk_key_id(), revdesk_scope(), revdesk_tenant_id(), revdesk_umbrella_id(),
                   revdesk_user_id(), revdesk_access(), revdesk_environment())) AS functions,
       COALESCE(revdesk_key_id()::text, '') = current_setting('revdesk.key_id')
       AND COALESCE(revdesk_scope(), '') = current_setting('revdesk.scope')
       AND COALESCE(revdesk_tenant_id()::text, '') = current_setting('revdesk.tenant_id')
       AND COALESCE(revdesk_umbrella_id()::text, '') = current_setting('revdesk.umbrella_id')
       AND COALESCE(revdesk_user_id()::text, '') = current_setting('revdesk.user_id')
       AND COALESCE(revdesk_access(), '') = current_setting('revdesk.access') AS settings;
\x on
\pset null '(null)'

\echo -- without a context
EXECUTE functions;
EXECUTE settings;
EXECUTE context;

\echo -- organization
BEGIN;
SELECT revdesk_authenticate('revdesk_a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0');
EXECUTE functions;
EXECUTE settings;
EXECUTE context;
EXECUTE agree;
COMMIT;

\echo -- sub-entity, access admin
BEGIN;
SELECT revdesk_authenticate('revdesk_aeaeaeaeaeaeaeaeaeaeaeaeaeaeaeae');
EXECUTE functions;
EXECUTE settings;
EXECUTE agree;
COMMIT;

\echo -- user
BEGIN;
SELECT revdesk_authenticate('revdesk_c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1');
EXECUTE functions;
EXECUTE settings;
EXECUTE agree;
COMMIT;

\echo -- access read
BEGIN;
SELECT revdesk_authenticate('revdesk_afafafafafafafafafafafafafafafaf');
EXECUTE functions;
EXECUTE agree;
COMMIT;

\echo -- afterwards
EXECUTE functions;
EXECUTE settings;
\x off

-- SHOW says what current_setting() does, in the letters of uuid.
BEGIN;
SELECT revdesk_authenticate('revdesk_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1');
SHOW revdesk.key_id;
SHOW revdesk.scope;
SHOW revdesk.tenant_id;
SHOW revdesk.umbrella_id;
SHOW revdesk.user_id;
SHOW revdesk.access;
COMMIT;

-- A key of an organization or of a sub-entity may name who is responsible.
RESET ROLE;
UPDATE revdesk.api_keys SET user_id = 'cccccccc-0000-0000-0000-000000000002' WHERE name = 'key a0';
BEGIN;
SELECT revdesk_authenticate('revdesk_a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0');
SELECT revdesk_scope(), revdesk_user_id(), revdesk_tenant_id();
COMMIT;

-- An id whose bytes have the high bit, and one of zeros only.
UPDATE revdesk.api_keys SET user_id = NULL WHERE name = 'key a0';
INSERT INTO revdesk.users (id, subject) VALUES
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'effs'), ('00000000-0000-0000-0000-000000000000', 'zeros');
UPDATE revdesk.api_keys SET user_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' WHERE name = 'key c1';
UPDATE revdesk.api_keys SET user_id = '00000000-0000-0000-0000-000000000000' WHERE name = 'key c2';
BEGIN;
SELECT revdesk_authenticate('revdesk_c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1');
SELECT revdesk_user_id(), current_setting('revdesk.user_id') AS shown;
COMMIT;
BEGIN;
SELECT revdesk_authenticate('revdesk_c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2');
SELECT revdesk_user_id(), current_setting('revdesk.user_id') AS shown;
COMMIT;
