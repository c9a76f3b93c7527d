-- Proves that no tenant, user, member or key can be made that breaks the model, by any path.

BEGIN;
\ir setup/desk.psql
SELECT plan(49);

-- The deferred constraints are checked within the same statement's subtransaction.
CREATE FUNCTION test.direct(statement text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text := 'accepted';
BEGIN
  EXECUTE statement;
  SET CONSTRAINTS ALL IMMEDIATE;
  RAISE SQLSTATE 'TST00';
EXCEPTION
  WHEN SQLSTATE 'TST00' THEN
    RETURN outcome;
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

SELECT is(test.direct(statement), expected, name)
FROM (VALUES
  -- tenants
  ('attack K7: a tenant its own umbrella', $$INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES (test.id('x'), test.id('x'), 'x')$$, '23514'),
  ('attack K7: a child of a child', $$INSERT INTO revdesk.tenants (umbrella_id, name) VALUES (test.id('A1'), 'x')$$, '23514'),
  ('attack K7: three levels in one statement', $$INSERT INTO revdesk.tenants (id, umbrella_id, name)
     VALUES (test.id('x'), NULL, 'x'), (test.id('y'), test.id('x'), 'y'), (test.id('z'), test.id('y'), 'z')$$, '23514'),
  ('attack K7: two tenants, each the other''s umbrella', $$INSERT INTO revdesk.tenants (id, umbrella_id, name)
     VALUES (test.id('x'), test.id('y'), 'x'), (test.id('y'), test.id('x'), 'y')$$, '23514'),
  ('a child before its umbrella, in one statement', $$INSERT INTO revdesk.tenants (id, umbrella_id, name)
     VALUES (test.id('y'), test.id('x'), 'y'), (test.id('x'), NULL, 'x')$$, 'accepted'),
  ('an umbrella that does not exist', $$INSERT INTO revdesk.tenants (umbrella_id, name) VALUES (test.id('unknown'), 'x')$$, '23503'),
  ('attack K7: a child moved to another umbrella', $$UPDATE revdesk.tenants SET umbrella_id = test.id('B') WHERE id = test.id('A1')$$, '23514'),
  ('attack K7: a child made an umbrella', $$UPDATE revdesk.tenants SET umbrella_id = NULL WHERE id = test.id('A1')$$, '23514'),
  ('attack K7: an umbrella made a child', $$UPDATE revdesk.tenants SET umbrella_id = test.id('B') WHERE id = test.id('A')$$, '23514'),
  ('attack K7: a new id', $$UPDATE revdesk.tenants SET id = test.id('x') WHERE id = test.id('A1')$$, '23514'),
  ('a new name', $$UPDATE revdesk.tenants SET name = 'x' WHERE id = test.id('A1')$$, 'accepted'),
  ('a name that is empty', $$UPDATE revdesk.tenants SET name = ''$$, '23514'),
  ('a name with a line break', $$UPDATE revdesk.tenants SET name = E'a\nb'$$, '23514'),
  ('an umbrella deleted before its children', $$DELETE FROM revdesk.tenants WHERE id = test.id('A')$$, '23503'),
  ('a tenant with keys deleted', $$DELETE FROM revdesk.tenants WHERE id = test.id('B1')$$, '23503'),
  -- users and members
  ('a subject twice', $$INSERT INTO revdesk.users (subject) VALUES ('ann')$$, '23505'),
  ('a subject that is empty', $$INSERT INTO revdesk.users (subject) VALUES ('')$$, '23514'),
  ('a subject with a control character', $$INSERT INTO revdesk.users (subject) VALUES (E'a\x01')$$, '23514'),
  ('a member twice', $$INSERT INTO revdesk.memberships (user_id, tenant_id) VALUES (test.id('ann'), test.id('B'))$$, '23505'),
  ('a member of nothing', $$INSERT INTO revdesk.memberships (user_id, tenant_id) VALUES (test.id('ann'), test.id('unknown'))$$, '23503'),
  ('nobody as a member', $$INSERT INTO revdesk.memberships (user_id, tenant_id) VALUES (test.id('unknown'), test.id('A'))$$, '23503'),
  ('a user with memberships deleted', $$DELETE FROM revdesk.users WHERE id = test.id('ann')$$, '23503'),
  -- keys
  ('T06: a hash of 31 bytes', $$UPDATE revdesk.api_keys SET key_hash = substr(key_hash, 2)$$, '23514'),
  ('T06: no hash', $$UPDATE revdesk.api_keys SET key_hash = NULL$$, '23502'),
  ('T06: one hash for two keys', $$UPDATE revdesk.api_keys SET key_hash = sha256('x')$$, '23505'),
  ('T06: no name', $$UPDATE revdesk.api_keys SET name = NULL$$, '23502'),
  ('T06: a name of 201 characters', $$UPDATE revdesk.api_keys SET name = repeat('x', 201)$$, '23514'),
  ('T06: an unknown scope', $$UPDATE revdesk.api_keys SET scope = 'all'$$, '23514'),
  ('T06: an unknown access', $$UPDATE revdesk.api_keys SET access = 'all'$$, '23514'),
  ('T06: an unknown environment', $$UPDATE revdesk.api_keys SET environment = 'all'$$, '23514'),
  ('T06: a hint of 5 characters', $$UPDATE revdesk.api_keys SET hint = 'abcde'$$, '23514'),
  ('T06: no networks', $$UPDATE revdesk.api_keys SET allowed_networks = '{}'$$, '23514'),
  ('T06: 1001 networks', $$UPDATE revdesk.api_keys SET allowed_networks = array_fill('10.0.0.0/8'::cidr, '{1001}')$$, '23514'),
  ('T06: a null network', $$UPDATE revdesk.api_keys SET allowed_networks = '{10.0.0.0/8,NULL}'$$, '23514'),
  ('T06: metadata that is no object', $$UPDATE revdesk.api_keys SET metadata = '1'$$, '23514'),
  ('T06: metadata of 16385 bytes', $$UPDATE revdesk.api_keys SET metadata = jsonb_build_object('a', repeat('x', 16385 - 9))$$, '23514'),
  ('metadata of 16384 bytes', $$UPDATE revdesk.api_keys SET metadata = jsonb_build_object('a', repeat('x', 16384 - 9))$$, 'accepted'),
  ('attack K7: an organization key moved to a child', $$UPDATE revdesk.api_keys SET tenant_id = test.id('A1') WHERE id = test.key_id('A')$$, '23514'),
  ('attack K7: a sub-entity key moved to the umbrella', $$UPDATE revdesk.api_keys SET tenant_id = test.id('A') WHERE id = test.key_id('A1')$$, '23514'),
  ('attack K7: a sub-entity key made an organization key', $$UPDATE revdesk.api_keys SET scope = 'organization' WHERE id = test.key_id('A1')$$, '23514'),
  ('attack K7: an organization key made a sub-entity key', $$UPDATE revdesk.api_keys SET scope = 'sub_entity' WHERE id = test.key_id('A')$$, '23514'),
  ('attack K7: a sub-entity key made a user key', $$UPDATE revdesk.api_keys SET scope = 'user' WHERE id = test.key_id('A1')$$, '23514'),
  ('attack K7: a user key with a tenant', $$UPDATE revdesk.api_keys SET tenant_id = test.id('A') WHERE id = test.key_id('ann')$$, '23514'),
  ('attack K7: a user key without a user', $$UPDATE revdesk.api_keys SET user_id = NULL WHERE id = test.key_id('ann')$$, '23514'),
  ('attack K7: an organization key without a tenant', $$UPDATE revdesk.api_keys SET tenant_id = NULL WHERE id = test.key_id('A')$$, '23514'),
  ('attack K7: by INSERT, a key of a child with scope organization', $$INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
     VALUES (sha256('x'), 'organization', test.id('A1'), 'x')$$, '23514'),
  ('attack K7: by INSERT, a key of an umbrella with scope sub_entity', $$INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
     VALUES (sha256('x'), 'sub_entity', test.id('A'), 'x')$$, '23514'),
  ('by INSERT, a key that fits', $$INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
     VALUES (sha256('x'), 'sub_entity', test.id('A1'), 'x')$$, 'accepted')
) AS cases (name, statement, expected);

-- A restore reads rows in any order, and its triggers are fired at its end.
SELECT is(
  (SELECT string_agg(tgname || ' ' || tgdeferrable || ' ' || tginitdeferred, ', ' ORDER BY tgname) FROM pg_trigger
   WHERE tgrelid IN ('revdesk.tenants'::regclass, 'revdesk.api_keys'::regclass) AND tgname LIKE 'check%'),
  'check_api_key true true, check_tenant true true', 'what looks into another row is deferred');

SELECT * FROM finish();
ROLLBACK;
