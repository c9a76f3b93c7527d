-- Proves that an account comes with its first key, and how sub-entities get theirs.

BEGIN;
\ir setup/desk.psql
SELECT plan(16);

CREATE TEMP TABLE account AS
SELECT * FROM revdesk_provision_account('New Organization', 'founder@new.example');
INSERT INTO test.keys SELECT 'first', key_id, token FROM account;

-- "API keys are provisioned when your account is set up."
SELECT is(
  (SELECT row (tenants.id, tenants.umbrella_id, tenants.name)::text FROM revdesk.tenants, account
   WHERE tenants.id = account.organization_id),
  (SELECT row (organization_id, NULL, 'New Organization')::text FROM account),
  'the organization is made');
SELECT is(
  (SELECT users.subject FROM revdesk.users, account WHERE users.id = account.user_id),
  'founder@new.example', 'its first user is made');
SELECT is(
  (SELECT count(*) FROM revdesk.memberships JOIN account
   ON memberships.user_id = account.user_id AND memberships.tenant_id = account.organization_id),
  1::bigint, 'who is a member of it');
SELECT results_eq(
  $$SELECT scope, tenant_id, user_id, access, environment, expires_at, revoked_at
    FROM revdesk.api_keys WHERE id = (SELECT key_id FROM account)$$,
  $$SELECT 'organization', organization_id, user_id, 'admin', 'production', NULL::timestamptz, NULL::timestamptz
    FROM account$$,
  'its first key is an admin key of the organization');
SELECT is(
  test.rows('test_app', 'first', $$SELECT scope || ' ' || access FROM revdesk_context()$$),
  'organization admin', 'the key that was returned authenticates');
SELECT is(
  test.rows('test_app', 'first', 'SELECT label FROM desk.calls'), '',
  'and sees nothing of the other organizations');

SELECT is(
  (SELECT again.user_id FROM revdesk_provision_account('Second Organization', 'founder@new.example') AS again),
  (SELECT user_id FROM account),
  'a user who is known already gets a second organization, not a second user');

SELECT matches(
  test.error(role, key, $$SELECT revdesk_provision_account('x', 'y')$$), '^42501 . ' || message,
  'an account cannot be set up by ' || name)
FROM (VALUES
  ('an API role without a key', 'test_app', NULL, 'authentication required'),
  ('an admin key', 'test_app', 'A admin', 'not for an API key'),
  ('the superuser acting for an admin key', 'postgres', 'A admin', 'not for an API key'),
  ('a role that was not granted it', 'test_other', NULL, 'permission denied for function')
) AS cases (name, role, key, message);

SELECT is(
  test.write('postgres', NULL, $$SELECT revdesk_provision_account('Third', E'bad\tsubject')$$),
  '22023, unchanged', 'an account that cannot be set up whole leaves nothing behind');

-- "See Sub-entities for how to provision sub-entities and issue per-sub-entity keys."
SELECT test.enter('test_app', 'first');
SELECT FROM revdesk_create_sub_entity(revdesk_tenant_id(), 'Location 1', test.id('location 1'));
SELECT FROM revdesk_create_sub_entity(revdesk_tenant_id(), 'Location 2', test.id('location 2'));
CREATE TEMP TABLE issued ON COMMIT DROP AS
SELECT 'location ' || i AS name, made.*
FROM generate_series(1, 2) AS i, revdesk_create_key('location key', 'sub_entity', test.id('location ' || i)) AS made;
RESET ROLE;
SELECT FROM revdesk_deauthenticate();
INSERT INTO test.keys SELECT name, key_id, token FROM issued;

SELECT is(
  (SELECT string_agg(tenants.name, ',' ORDER BY tenants.name) FROM revdesk.tenants, account
   WHERE tenants.umbrella_id = account.organization_id),
  'Location 1,Location 2', 'the first key provisions sub-entities');
SELECT is(
  test.rows('test_app', name, $$SELECT scope || ' ' || (tenant_id = test.id('$$ || name || $$')) FROM revdesk_context()$$),
  'sub_entity true', 'and issues a key for ' || name)
FROM (VALUES ('location 1'), ('location 2')) AS cases (name);
SELECT is(
  (SELECT count(*) FROM revdesk.api_keys, account
   WHERE api_keys.name = 'location key' AND api_keys.created_by = account.user_id),
  2::bigint, 'the keys that it issued name its user as their maker');

SELECT * FROM finish();
ROLLBACK;
