-- Proves that narrower keys can be made, and that a key never makes a wider one.

BEGIN;
\ir setup/desk.psql
SELECT plan(37);

-- "Use the smallest scope that works — prefer sub-entity-scoped keys for per-location vendor integrations"
SELECT is(
  test.write('test_app', key, format('SELECT revdesk_create_key(''x'', %s)', arguments)), expected || CASE expected WHEN '1 rows' THEN ', changed' ELSE ', unchanged' END, name)
FROM (VALUES
  -- downwards
  ('an organization key makes an organization key', 'A admin', $$'organization', test.id('A')$$, '1 rows'),
  ('an organization key makes a key of a child', 'A admin', $$'sub_entity', test.id('A1')$$, '1 rows'),
  ('of another child', 'A admin', $$'sub_entity', test.id('A2')$$, '1 rows'),
  ('a sub-entity key makes a key of itself', 'A1 admin', $$'sub_entity', test.id('A1')$$, '1 rows'),
  ('a user key makes a key of the user', 'ann admin', $$'user', NULL, test.id('ann')$$, '1 rows'),
  ('a user key makes a key of a sub-entity that the user is a member of', 'ann admin', $$'sub_entity', test.id('A1')$$, '1 rows'),
  -- upwards and sideways
  ('attack K6: a sub-entity key makes no organization key', 'A1 admin', $$'organization', test.id('A')$$, '42501'),
  ('attack K6: no key of a sibling', 'A1 admin', $$'sub_entity', test.id('A2')$$, '42501'),
  ('attack K6: no key of another umbrella''s child', 'A1 admin', $$'sub_entity', test.id('B1')$$, '42501'),
  ('attack K6: no user key, even of its member', 'A1 admin', $$'user', NULL, test.id('ann')$$, '42501'),
  ('attack K6: no user key of a non-member', 'A1 admin', $$'user', NULL, test.id('eve')$$, '42501'),
  ('attack K6: an organization key makes no key of another organization', 'A admin', $$'organization', test.id('B')$$, '42501'),
  ('attack K6: none of its child', 'A admin', $$'sub_entity', test.id('B1')$$, '42501'),
  ('attack K6: no user key, even of its member', 'A admin', $$'user', NULL, test.id('bob')$$, '42501'),
  ('attack K6: a user key makes no key of another user', 'ann admin', $$'user', NULL, test.id('bob')$$, '42501'),
  ('attack K6: none of an organization, even as its member: it would see the children', 'ann admin', $$'organization', test.id('B')$$, '42501'),
  ('attack K6: none of a sub-entity that the user is no member of', 'ann admin', $$'sub_entity', test.id('A2')$$, '42501'),
  ('attack K6: none of a child of a team', 'ann admin', $$'sub_entity', test.id('B1')$$, '42501'),
  ('attack K6: a member of the umbrella only makes none of its children', 'bob admin', $$'sub_entity', test.id('A1')$$, '42501'),
  ('attack K6: a tenant that does not exist', 'A admin', $$'sub_entity', test.id('unknown')$$, '42501'),
  -- access
  ('a write key makes no key', 'A', $$'sub_entity', test.id('A1')$$, '42501'),
  ('not even one to read', 'A', $$'sub_entity', test.id('A1'), access => 'read'$$, '42501'),
  ('a read key makes no key', 'A read', $$'sub_entity', test.id('A1'), access => 'read'$$, '42501'),
  ('an admin key makes a read key', 'A admin', $$'sub_entity', test.id('A1'), access => 'read'$$, '1 rows'),
  ('an admin key makes an admin key', 'A admin', $$'sub_entity', test.id('A1'), access => 'admin'$$, '1 rows'),
  -- whom the key names
  ('a key may name a member as responsible', 'A admin', $$'sub_entity', test.id('A1'), test.id('ann')$$, '1 rows'),
  ('attack K6: not a user outside its scope', 'A admin', $$'sub_entity', test.id('A1'), test.id('eve')$$, '42501'),
  ('attack K6: not a user who does not exist', 'A admin', $$'sub_entity', test.id('A1'), test.id('unknown')$$, '42501')
) AS cases (name, key, arguments, expected);

-- Not for longer, not from more networks.
UPDATE revdesk.api_keys SET expires_at = now() + '30 days' WHERE id = test.key_id('A admin');
SELECT is(
  test.run('test_app', 'A admin', format('SELECT revdesk_create_key(''x'', ''sub_entity'', test.id(''A1''), expires_at => %s)', expires)),
  expected, 'a key that expires in 30 days makes one ' || name)
FROM (VALUES
  ('for 29 days', $$now() + '29 days'$$, '1 rows'), ('for 30 days', $$now() + '30 days'$$, '1 rows'),
  ('for 31 days (K6)', $$now() + '31 days'$$, '42501'), ('for ever (K6)', 'NULL', '42501'),
  ('to infinity (K6)', $$'infinity'$$, '42501')
) AS cases (name, expires, expected);
SELECT is(
  test.run('test_app', 'A admin', $$SELECT revdesk_rotate_key(test.key_id('A1'))$$), '42501',
  'attack K6: nor does it rotate a key that lives longer into its own hands');

SELECT is(
  test.error('test_app', 'A admin', $$SELECT revdesk_create_key('x', 'organization', test.id('B'))$$),
  '42501 | a key cannot make a key wider than itself | The tenant or user does not exist, or is outside your scope.',
  'the refusal says why');

SELECT is(
  test.write('test_app', 'A admin', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'))$$,
             $$SELECT concat_ws(' ', scope, access, environment, created_by) FROM revdesk.api_keys WHERE name = 'x'$$),
  '42501, ', 'without an expiry of its own it is refused as for ever');
SELECT is(
  test.write('test_app', 'ann admin', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'))$$,
             $$SELECT concat_ws(' ', scope, access, environment, created_by = test.id('ann')) FROM revdesk.api_keys WHERE name = 'x'$$),
  '1 rows, sub_entity write production t', 'a key that a user makes says who made it');

SELECT * FROM finish();
ROLLBACK;
