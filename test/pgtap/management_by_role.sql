-- Proves that without a key the calling role's privileges on the tables decide what it manages.

BEGIN;
\ir setup/desk.psql
SELECT plan(98);

-- Each of these roles may call every function (as test_app may), and has one
-- privilege on one table.
CREATE ROLE test_staff IN ROLE test_app;

CREATE FUNCTION test.with_privilege(privilege text, relation text, statement text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  IF privilege IS NOT NULL THEN
    EXECUTE format('GRANT %s ON %s TO test_staff', privilege, relation);
  END IF;
  outcome := test.write('test_staff', NULL, statement);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome;
END
$$;

CREATE TEMP TABLE calls AS
SELECT * FROM (VALUES
  ('revdesk_create_organization', $$SELECT revdesk_create_organization('x')$$, 'INSERT', 'revdesk.tenants'),
  ('revdesk_create_sub_entity', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$, 'INSERT', 'revdesk.tenants'),
  ('revdesk_suspend_tenant', $$SELECT revdesk_suspend_tenant(test.id('A'))$$, 'UPDATE', 'revdesk.tenants'),
  ('revdesk_create_user', $$SELECT revdesk_create_user('x')$$, 'INSERT', 'revdesk.users'),
  ('revdesk_disable_user', $$SELECT revdesk_disable_user(test.id('ann'))$$, 'UPDATE', 'revdesk.users'),
  ('revdesk_add_member', $$SELECT revdesk_add_member(test.id('A'), test.id('eve'))$$, 'INSERT', 'revdesk.memberships'),
  ('revdesk_remove_member', $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'))$$, 'DELETE', 'revdesk.memberships'),
  ('revdesk_create_key', $$SELECT revdesk_create_key('x', 'organization', test.id('A'))$$, 'INSERT', 'revdesk.api_keys'),
  ('revdesk_import_key', $$SELECT revdesk_import_key('x', 'organization', sha256('x'), test.id('A'))$$, 'INSERT', 'revdesk.api_keys'),
  ('revdesk_revoke_key', $$SELECT revdesk_revoke_key(test.key_id('A'))$$, 'UPDATE', 'revdesk.api_keys')
) AS calls (name, statement, privilege, relation);

SELECT is(
  test.with_privilege(privilege, relation, statement), '1 rows, changed', format('%s with %s on %s', name, privilege, relation)) FROM calls;
SELECT is(
  test.with_privilege(NULL, relation, statement), '42501, unchanged', name || ' without any privilege') FROM calls;
-- Every other privilege on the same table, and the right one on every other.
SELECT is(
  test.with_privilege(other, relation, statement), '42501, unchanged', format('%s with %s on %s only', name, other, relation))
FROM calls, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS other WHERE other <> privilege;
SELECT is(
  test.with_privilege(privilege, other, statement), '42501, unchanged', format('%s with %s on %s', name, privilege, other))
FROM calls, unnest(ARRAY['revdesk.tenants', 'revdesk.users', 'revdesk.memberships', 'revdesk.api_keys']) AS other WHERE other <> relation;

SELECT is(
  test.with_privilege('INSERT, UPDATE', 'revdesk.api_keys', $$SELECT revdesk_rotate_key(test.key_id('A'))$$), '1 rows, changed',
  'revdesk_rotate_key with INSERT and UPDATE on revdesk.api_keys');
SELECT is(
  test.with_privilege(privilege, 'revdesk.api_keys', $$SELECT revdesk_rotate_key(test.key_id('A'))$$), '42501, unchanged',
  'revdesk_rotate_key with ' || privilege || ' alone')
FROM (VALUES ('INSERT'), ('UPDATE')) AS cases (privilege);

SELECT is(
  test.error('test_app', NULL, $$SELECT revdesk_create_organization('x')$$),
  '42501 | authentication required | Authenticate with a key of access "admin", or be granted INSERT on revdesk.tenants.',
  'the refusal says what would help');

SELECT is(
  test.with_privilege(privilege, relation, $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'), true)$$), '42501, unchanged',
  format('revdesk_remove_member does not revoke keys with %s on %s alone', privilege, relation))
FROM (VALUES ('DELETE', 'revdesk.memberships'), ('UPDATE', 'revdesk.api_keys')) AS cases (privilege, relation);
GRANT UPDATE ON revdesk.api_keys TO test_staff;
SELECT is(
  test.with_privilege('DELETE', 'revdesk.memberships', $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'), true)$$), '1 rows, changed',
  'but with both');
REVOKE UPDATE ON revdesk.api_keys FROM test_staff;

-- Roles that hold it by membership, and those that were not granted the function.
GRANT INSERT ON revdesk.tenants TO test_other;
CREATE ROLE test_heir IN ROLE test_other, test_app;
CREATE ROLE test_poor_heir NOINHERIT IN ROLE test_other, test_app;
GRANT EXECUTE ON FUNCTION revdesk_create_organization(text, uuid) TO test_poor_heir;
SELECT is(
  test.write(role, NULL, $$SELECT revdesk_create_organization('x')$$), expected, name)
FROM (VALUES
  ('a member of a role that may, may', 'test_heir', '1 rows, changed'),
  ('but not one that does not inherit', 'test_poor_heir', '42501, unchanged'),
  ('the privilege without the function does not do', 'test_other', '42501, unchanged')
) AS cases (name, role, expected);

-- Under a key the key decides, whatever the role.
SELECT is(
  test.error('postgres', key, statement), expected, name)
FROM (VALUES
  ('a superuser acting for an admin key makes no organization', 'A admin', $$SELECT revdesk_create_organization('x')$$,
   '42501 | not for an API key | Only an administrator of the database may do this, in a transaction without a context.'),
  ('nor a user', 'A admin', $$SELECT revdesk_create_user('x')$$,
   '42501 | not for an API key | Only an administrator of the database may do this, in a transaction without a context.'),
  ('nor acting for a write key a sub-entity', 'A', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$,
   '42501 | access "admin" required | The key has access "write".'),
  ('nor acting for a read key a key', 'A read', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'))$$,
   '42501 | access "admin" required | The key has access "read".')
) AS cases (name, key, statement, expected);

-- The privilege is that of the caller, also through somebody's view or function.
CREATE VIEW test.trap AS SELECT revdesk_create_organization('trapped') AS id;
GRANT SELECT ON test.trap TO test_app;
SELECT is(
  test.write('test_app', NULL, 'SELECT id FROM test.trap'), '42501, unchanged', 'a view of the superuser lends no privilege');

-- Where PostgreSQL itself runs a table owner's code, the calling role would be
-- that of whoever maintains the table.
SET LOCAL ROLE test_owner;
CREATE FUNCTION desk.trap(id integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM public.revdesk_create_organization('trapped');
  RETURN id;
END
$$;
CREATE TABLE desk.trap (id integer);
INSERT INTO desk.trap VALUES (1);
RESET ROLE;
GRANT EXECUTE ON FUNCTION revdesk_create_organization(text, uuid) TO test_owner;
SELECT is(
  test.error(role, NULL, 'CREATE INDEX ON desk.trap (desk.trap(id))'),
  '42501 | cannot manage revdesk_auth within security-restricted operation', 'an index made by ' || role || ' lends no privilege')
FROM (VALUES ('postgres'), ('test_owner')) AS cases (role);
CREATE POLICY trap ON desk.trap USING (desk.trap(id) > 0);
ALTER TABLE desk.trap ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON desk.trap TO test_app;
SELECT is(
  test.write('test_app', NULL, 'SELECT FROM desk.trap'), '42501, unchanged', 'nor does a policy lend the owner''s');

SELECT * FROM finish();
ROLLBACK;
