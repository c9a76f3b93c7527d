-- What the regression tests start from: two organizations with sub-entities,
-- two users, a key of each scope with a known token, and one protected table.
-- Included with ECHO off; every file of tests starts from it anew.
SET client_min_messages = warning;

RESET ROLE;
DROP SCHEMA IF EXISTS app CASCADE;
SET session_replication_role = replica;
TRUNCATE revdesk.tenants, revdesk.users, revdesk.memberships, revdesk.api_keys;
RESET session_replication_role;

-- What forces parallel plans is called so from 16 on.
SELECT CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END AS force_parallel \gset

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'regress_app') AS make_roles \gset
\if :make_roles
  CREATE ROLE regress_app;
  CREATE ROLE regress_owner;
\endif

CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO regress_app, regress_owner;

INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES
  ('aaaaaaaa-0000-0000-0000-000000000000', NULL, 'A'),
  ('aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000000', 'A1'),
  ('aaaaaaaa-0000-0000-0000-000000000002', 'aaaaaaaa-0000-0000-0000-000000000000', 'A2'),
  ('bbbbbbbb-0000-0000-0000-000000000000', NULL, 'B'),
  ('bbbbbbbb-0000-0000-0000-000000000001', 'bbbbbbbb-0000-0000-0000-000000000000', 'B1');

INSERT INTO revdesk.users (id, subject) VALUES
  ('cccccccc-0000-0000-0000-000000000001', 'ulla'),
  ('cccccccc-0000-0000-0000-000000000002', 'victor');

INSERT INTO revdesk.memberships (tenant_id, user_id) VALUES
  ('aaaaaaaa-0000-0000-0000-000000000001', 'cccccccc-0000-0000-0000-000000000001'),
  ('bbbbbbbb-0000-0000-0000-000000000000', 'cccccccc-0000-0000-0000-000000000001'),
  ('aaaaaaaa-0000-0000-0000-000000000002', 'cccccccc-0000-0000-0000-000000000002');

-- A key's token: its name, two characters, sixteen times.
CREATE FUNCTION app.token(name text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN 'revdesk_' || repeat(name, 16);

CREATE FUNCTION app.add_key(name text, scope text, tenant text, usr text DEFAULT NULL, access text DEFAULT 'write')
RETURNS void
LANGUAGE sql
AS $$
  INSERT INTO revdesk.api_keys (id, key_hash, scope, tenant_id, user_id, access, name, hint)
  SELECT ('dddddddd-0000-0000-0000-0000000000' || add_key.name)::uuid,
         sha256(app.token(add_key.name)::bytea), scope,
         (SELECT id FROM revdesk.tenants WHERE tenants.name = tenant),
         (SELECT id FROM revdesk.users WHERE subject = usr),
         access, 'key ' || add_key.name, right(app.token(add_key.name), 4)
$$;
SELECT app.add_key('a0', 'organization', 'A');
SELECT app.add_key('a1', 'sub_entity', 'A1');
SELECT app.add_key('a2', 'sub_entity', 'A2');
SELECT app.add_key('b0', 'organization', 'B');
SELECT app.add_key('b1', 'sub_entity', 'B1');
SELECT app.add_key('c1', 'user', NULL, 'ulla');
SELECT app.add_key('c2', 'user', NULL, 'victor');
SELECT app.add_key('ad', 'organization', 'A', NULL, 'admin');
SELECT app.add_key('ae', 'sub_entity', 'A1', NULL, 'admin');
SELECT app.add_key('af', 'organization', 'A', NULL, 'read');

-- A key's call, with the error instead of the result if there is one.
CREATE FUNCTION app.try(statement text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE statement;
  RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;

-- One document of each tenant, one of each user, and one of nobody.
CREATE TABLE app.docs (
  id integer PRIMARY KEY,
  tenant_id uuid,
  owner_id uuid,
  umbrella_id uuid,
  body text NOT NULL
);
INSERT INTO app.docs (id, tenant_id, owner_id, body) VALUES
  (1, 'aaaaaaaa-0000-0000-0000-000000000000', NULL, 'of A'),
  (2, 'aaaaaaaa-0000-0000-0000-000000000001', NULL, 'of A1'),
  (3, 'aaaaaaaa-0000-0000-0000-000000000002', NULL, 'of A2'),
  (4, 'bbbbbbbb-0000-0000-0000-000000000000', NULL, 'of B'),
  (5, 'bbbbbbbb-0000-0000-0000-000000000001', NULL, 'of B1'),
  (6, NULL, 'cccccccc-0000-0000-0000-000000000001', 'of ulla'),
  (7, NULL, 'cccccccc-0000-0000-0000-000000000002', 'of victor'),
  (8, NULL, NULL, 'of nobody');
SELECT revdesk_protect('app.docs', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
GRANT SELECT, INSERT, UPDATE, DELETE ON app.docs TO regress_app;

RESET client_min_messages;
