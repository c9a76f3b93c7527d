-- The extension's tables are found whatever the caller does, and read as they are now.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
GRANT EXECUTE ON FUNCTION app.token(text) TO regress_app;
PREPARE login AS SELECT revdesk_authenticate('revdesk_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1');
PREPARE forged AS SELECT revdesk_authenticate('revdesk_ffffffffffffffffffffffffffffffff');

-- Tables of the same names before them in the search_path, with a forged key.
SET ROLE regress_app;
CREATE TEMP TABLE api_keys (
  id uuid, key_hash bytea, scope text, tenant_id uuid, user_id uuid, access text, environment text,
  revoked_at timestamptz, expires_at timestamptz, allowed_networks cidr[], name text);
CREATE INDEX api_keys_key_hash_idx ON api_keys USING hash (key_hash);
CREATE TEMP TABLE tenants (id uuid, umbrella_id uuid, suspended_at timestamptz);
CREATE UNIQUE INDEX tenants_pkey ON tenants (id);
INSERT INTO api_keys VALUES ('dddddddd-0000-0000-0000-0000000000ff', sha256('revdesk_ffffffffffffffffffffffffffffffff'),
  'organization', 'bbbbbbbb-0000-0000-0000-000000000000', NULL, 'admin', 'production');
INSERT INTO tenants VALUES ('aaaaaaaa-0000-0000-0000-000000000001', 'bbbbbbbb-0000-0000-0000-000000000000');
SET search_path = pg_temp, pg_catalog, public;
EXECUTE forged;
BEGIN;
EXECUTE login;
SELECT revdesk_tenant_id(), revdesk_umbrella_id();
COMMIT;
-- No search_path at all.
SET search_path = '';
BEGIN;
SELECT public.revdesk_authenticate('revdesk_a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1');
SELECT public.revdesk_tenant_id(), public.revdesk_umbrella_id();
COMMIT;
RESET search_path;
RESET ROLE;

-- Operators and functions of the caller's instead of PostgreSQL's.
CREATE SCHEMA shadow;
CREATE FUNCTION shadow.always(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
CREATE FUNCTION shadow.always(bytea, bytea) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
CREATE OPERATOR shadow.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = shadow.always);
CREATE OPERATOR shadow.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = shadow.always);
CREATE FUNCTION shadow.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql STABLE
RETURN 'bbbbbbbb-0000-0000-0000-000000000001'::uuid;
GRANT USAGE ON SCHEMA shadow TO regress_app;
SET ROLE regress_app;
SET search_path = shadow, pg_catalog, public;
EXECUTE forged;
BEGIN;
EXECUTE login;
SELECT id, body FROM app.docs ORDER BY id;
COMMIT;
RESET search_path;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA shadow CASCADE;
RESET client_min_messages;

-- What the backend remembers of the tables survives their being rebuilt.
EXECUTE login;
REINDEX TABLE revdesk.api_keys;
EXECUTE login;
REINDEX TABLE CONCURRENTLY revdesk.api_keys;
EXECUTE login;
REINDEX TABLE CONCURRENTLY revdesk.tenants;
EXECUTE login;
VACUUM FULL revdesk.api_keys;
EXECUTE login;
CLUSTER revdesk.tenants USING tenants_pkey;
EXECUTE login;
ALTER TABLE revdesk.api_keys ALTER COLUMN name SET STORAGE external;
EXECUTE login;
EXECUTE forged;
-- A transaction's own changes count, whatever its isolation level.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM revdesk.api_keys;
UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a1';
EXECUTE login;
ROLLBACK;
EXECUTE login;
BEGIN;
DELETE FROM revdesk.api_keys WHERE name = 'key a1';
SAVEPOINT s;
EXECUTE login;
ROLLBACK TO s;
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
VALUES (sha256(app.token('a1')::bytea), 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000002', 'again');
EXECUTE login;
SELECT revdesk_tenant_id();
ROLLBACK;
-- A key without an index, and without a table.
SET enable_indexscan = off;
SET enable_bitmapscan = off;
EXECUTE login;
RESET enable_indexscan;
RESET enable_bitmapscan;
BEGIN;
ALTER TABLE revdesk.api_keys RENAME TO api_keys_away;
EXECUTE login;
ROLLBACK;
EXECUTE login;
BEGIN;
ALTER INDEX revdesk.api_keys_key_hash_idx RENAME TO away;
SELECT revdesk_authenticate('revdesk_b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1');
ROLLBACK;
EXECUTE login;

-- The extension goes and comes back with other OIDs in one session.
SET client_min_messages = error;
DROP EXTENSION revdesk_auth CASCADE;
RESET client_min_messages;
EXECUTE login;
CREATE EXTENSION revdesk_auth;
EXECUTE login;
INSERT INTO revdesk.tenants (id, name) VALUES ('aaaaaaaa-0000-0000-0000-000000000000', 'A');
SELECT FROM revdesk_import_key('back', 'organization', sha256(app.token('a0')::bytea), 'aaaaaaaa-0000-0000-0000-000000000000');
BEGIN;
SELECT revdesk_authenticate(app.token('a0'));
SELECT revdesk_scope(), revdesk_tenant_id();
COMMIT;
