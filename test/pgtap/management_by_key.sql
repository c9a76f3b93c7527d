-- Proves what an admin key of each scope manages, and that write and read keys manage nothing.

BEGIN;
\ir setup/desk.psql
SELECT plan(446);

-- For each call: which of the admin keys may make it.
CREATE TEMP TABLE calls AS
SELECT * FROM (VALUES
  ('makes an organization', $$SELECT revdesk_create_organization('x')$$, '{}'::text[]),
  ('makes a user', $$SELECT revdesk_create_user('x')$$, '{}'),
  ('disables a user', $$SELECT revdesk_disable_user(test.id('ann'))$$, '{}'),
  ('enables a user', $$SELECT revdesk_enable_user(test.id('ann'))$$, '{}'),
  ('imports a key', $$SELECT revdesk_import_key('x', 'sub_entity', sha256('x'), test.id('A1'))$$, '{}'),
  ('provisions an account', $$SELECT revdesk_provision_account('x', 'y')$$, '{}'),
  ('suspends A', $$SELECT revdesk_suspend_tenant(test.id('A'))$$, '{}'),
  ('suspends A1', $$SELECT revdesk_suspend_tenant(test.id('A1'))$$, '{}'),
  ('resumes A1', $$SELECT revdesk_resume_tenant(test.id('A1'))$$, '{}'),
  ('makes a sub-entity of A', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$, '{A}'),
  ('makes a sub-entity of B', $$SELECT revdesk_create_sub_entity(test.id('B'), 'x')$$, '{B}'),
  ('adds a member to A', $$SELECT revdesk_add_member(test.id('A'), test.id('eve'))$$, '{A}'),
  ('adds a member to A1', $$SELECT revdesk_add_member(test.id('A1'), test.id('eve'))$$, '{A,A1}'),
  ('adds a member to A2', $$SELECT revdesk_add_member(test.id('A2'), test.id('eve'))$$, '{A,A2}'),
  ('removes a member of A', $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'))$$, '{A}'),
  ('removes a member of A1', $$SELECT revdesk_remove_member(test.id('A1'), test.id('ann'))$$, '{A,A1}'),
  ('makes a key of A', $$SELECT revdesk_create_key('x', 'organization', test.id('A'))$$, '{A}'),
  ('makes a key of A1', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'))$$, '{A,A1,ann}'),
  ('makes an admin key of A1', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'), access => 'admin')$$, '{A,A1}'),
  ('makes an admin key of ann', $$SELECT revdesk_create_key('x', 'user', NULL, test.id('ann'), access => 'admin')$$, '{ann}'),
  ('makes a key of A2', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A2'))$$, '{A,A2}'),
  ('makes a key of B1', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('B1'))$$, '{B}'),
  ('makes a key of ann', $$SELECT revdesk_create_key('x', 'user', NULL, test.id('ann'))$$, '{ann}'),
  ('makes a key of bob', $$SELECT revdesk_create_key('x', 'user', NULL, test.id('bob'))$$, '{bob}'),
  ('rotates a key of A', $$SELECT revdesk_rotate_key(test.key_id('A'))$$, '{A}'),
  ('rotates a key of A1', $$SELECT revdesk_rotate_key(test.key_id('A1'))$$, '{A,A1}'),
  ('rotates a key of ann', $$SELECT revdesk_rotate_key(test.key_id('ann'))$$, '{ann}'),
  ('revokes a key of A', $$SELECT revdesk_revoke_key(test.key_id('A'))$$, '{A}'),
  ('revokes a key of A1', $$SELECT revdesk_revoke_key(test.key_id('A1'))$$, '{A,A1}'),
  ('revokes a key of B1', $$SELECT revdesk_revoke_key(test.key_id('B1'))$$, '{B}'),
  ('revokes a key of ann', $$SELECT revdesk_revoke_key(test.key_id('ann'))$$, '{ann}')
) AS calls (name, statement, allowed);

SELECT is(
  test.write('test_app', key || ' admin', statement),
  CASE WHEN key <> ALL (allowed) THEN '42501, unchanged' ELSE '1 rows, changed' END,
  format('the admin key of %s %s %s', key, CASE WHEN key = ANY (allowed) THEN 'may:' ELSE 'may not:' END, name))
FROM calls, unnest(ARRAY['A', 'B', 'A1', 'A2', 'ann', 'bob', 'eve']) AS key;
SELECT is(
  test.write('test_app', key || suffix, statement), '42501, unchanged', format('the key %s%s may not: %s', key, suffix, name))
FROM calls, unnest(ARRAY['A', 'A1', 'ann']) AS key, unnest(ARRAY['', ' read']) AS suffix;

-- What the calls do, seen by the superuser.
SELECT is(
  test.write('test_app', 'A admin', statement, query), '1 rows, ' || expected, name)
FROM (VALUES
  ('a sub-entity gets the id that was asked for', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x', test.id('A3'))$$,
   $$SELECT id = test.id('A3') AND umbrella_id = test.id('A') FROM revdesk.tenants WHERE name = 'x'$$, 'true'),
  ('without one it gets a new id', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$,
   $$SELECT umbrella_id = test.id('A') FROM revdesk.tenants WHERE name = 'x'$$, 'true'),
  ('a member is added once', $$SELECT revdesk_add_member(test.id('A'), test.id('eve')), revdesk_add_member(test.id('A'), test.id('eve'))$$,
   $$SELECT count(*) FROM revdesk.memberships WHERE user_id = test.id('eve')$$, '1'),
  ('a member is removed', $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'))$$,
   $$SELECT count(*) FROM revdesk.memberships WHERE user_id = test.id('bob')$$, '0'),
  ('the removal of one who is none is no error', $$SELECT revdesk_remove_member(test.id('A'), test.id('eve'))$$,
   $$SELECT count(*) FROM revdesk.memberships$$, '3'),
  ('a key keeps what was asked for', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'), test.id('ann'), 'read', 'development',
     '2100-01-01', '{10.0.0.0/8,::1/128}', '{"a": 1}')$$,
   $$SELECT concat_ws(' ', scope, tenant_id = test.id('A1'), user_id = test.id('ann'), access, environment,
                      expires_at = '2100-01-01', allowed_networks, metadata, revoked_at, replaced_by)
     FROM revdesk.api_keys WHERE name = 'x'$$,
   'sub_entity t t read development t {10.0.0.0/8,::1/128} {"a": 1}')
) AS cases (name, statement, query, expected);

-- Bad values, as everybody who may is told them.
SELECT is(
  test.write('postgres', NULL, statement), expected || ', unchanged', 'refused: ' || name)
FROM (VALUES
  ('an organization without a name', $$SELECT revdesk_create_organization(NULL)$$, '22023'),
  ('an empty name', $$SELECT revdesk_create_organization('')$$, '22023'),
  ('a name of 201 characters', $$SELECT revdesk_create_organization(repeat('x', 201))$$, '22023'),
  ('a name with a line break', $$SELECT revdesk_create_organization(E'a\nb')$$, '22023'),
  ('an id that is taken', $$SELECT revdesk_create_organization('x', test.id('B'))$$, '23505'),
  ('the id of a sub-entity', $$SELECT revdesk_create_organization('x', test.id('B1'))$$, '23505'),
  ('attack K7: a sub-entity of a sub-entity', $$SELECT revdesk_create_sub_entity(test.id('A1'), 'x')$$, '23514'),
  ('a sub-entity of no organization', $$SELECT revdesk_create_sub_entity(NULL, 'x')$$, '42501'),
  ('attack K7: a sub-entity of itself', $$SELECT revdesk_create_sub_entity(test.id('new'), 'x', test.id('new'))$$, '42501'),
  ('a user without a subject', $$SELECT revdesk_create_user(NULL)$$, '22023'),
  ('a subject of 256 characters', $$SELECT revdesk_create_user(repeat('x', 256))$$, '22023'),
  ('a subject that is taken', $$SELECT revdesk_create_user('ann')$$, '23505'),
  ('a member who does not exist', $$SELECT revdesk_add_member(test.id('A'), test.id('unknown'))$$, '23503'),
  ('no member', $$SELECT revdesk_add_member(test.id('A'), NULL)$$, '23502'),
  ('disabling a user who does not exist', $$SELECT revdesk_disable_user(test.id('unknown'))$$, '42704'),
  ('disabling nobody', $$SELECT revdesk_disable_user(NULL)$$, '42704'),
  ('suspending nothing', $$SELECT revdesk_suspend_tenant(NULL)$$, '42501'),
  ('a key with an unknown access', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), access => 'owner')$$, '22023'),
  ('a key with no access', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), access => NULL)$$, '22023'),
  ('a key that has expired', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), expires_at => clock_timestamp())$$, '22023'),
  ('a key that expired for ever', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), expires_at => '-infinity')$$, '22023'),
  ('a key for no network', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), allowed_networks => '{}')$$, '22023'),
  ('a key for an unknown network', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), allowed_networks => '{NULL}')$$, '22023'),
  ('metadata that is no object', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), metadata => '[1]')$$, '22023'),
  ('no metadata', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), metadata => NULL)$$, '22023'),
  ('attack K10: metadata of 1 MB', $$SELECT revdesk_create_key('x', 'organization', test.id('A'),
     metadata => jsonb_build_object('a', repeat('x', 1024 * 1024)))$$, '22023'),
  ('a key of a tenant that does not exist', $$SELECT revdesk_create_key('x', 'organization', test.id('unknown'))$$, '23503'),
  ('a key of a user who does not exist', $$SELECT revdesk_create_key('x', 'user', NULL, test.id('unknown'))$$, '23503')
) AS cases (name, statement, expected);
SELECT is(
  test.write('postgres', NULL, statement), '1 rows, changed', 'accepted: ' || name)
FROM (VALUES
  ('a name of 200 characters', $$SELECT revdesk_create_organization(repeat('ß', 200))$$),
  ('a subject of 255 characters', $$SELECT revdesk_create_user(repeat('x', 255))$$),
  ('metadata with quotes and SQL', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), metadata => '{"a": "''; DROP TABLE x; --"}')$$),
  ('an expiry in a moment', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), expires_at => clock_timestamp() + '1 minute')$$),
  ('an expiry at infinity', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), expires_at => 'infinity')$$)
) AS cases (name, statement);

-- Errors never show a hash, as PostgreSQL's own DETAIL of a failing row would.
SELECT unalike(
  test.error('postgres', NULL, statement), '%\\x%', 'no hash in the error of: ' || name)
FROM (VALUES
  ('a scope that does not fit', $$SELECT revdesk_create_key('x', 'organization', test.id('A1'))$$),
  ('a bad expiry', $$SELECT revdesk_create_key('x', 'organization', test.id('A'), expires_at => '-infinity')$$),
  ('a tenant that does not exist', $$SELECT revdesk_create_key('x', 'organization', test.id('unknown'))$$),
  ('a hash that exists', format($$SELECT revdesk_import_key('x', 'organization', %L, test.id('A'))$$, sha256(convert_to(test.token('A'), 'UTF8'))))
) AS cases (name, statement);

SELECT * FROM finish();
ROLLBACK;
