-- Proves what to do when a teammate leaves, a laptop is lost or a token was pasted somewhere.

BEGIN;
\ir setup/desk.psql
SELECT plan(23);

-- Keys of sub-entity A1 and its umbrella: made by ann, for ann, or neither.
SELECT test.create_key('A1 for ann', 'sub_entity', 'A1', 'ann');
SELECT test.create_key('A for ann', 'organization', 'A', 'ann');
SELECT test.create_key('B for ann', 'organization', 'B', 'ann');
SELECT test.create_key('A1 for nobody', 'sub_entity', 'A1');
SELECT test.create_key('A1 by ann', 'sub_entity', 'A1');
UPDATE revdesk.api_keys SET created_by = test.id('ann') WHERE id = test.key_id('A1 by ann');
SELECT test.create_key('A2 for ann', 'sub_entity', 'A2', 'ann');
SELECT test.create_key('A1 for bob', 'sub_entity', 'A1', 'bob');

-- Which of these keys work after a change.
CREATE FUNCTION test.working(change text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  working text;
BEGIN
  EXECUTE change;
  SELECT string_agg(name, ', ' ORDER BY name COLLATE "C") INTO working FROM test.keys
  WHERE name ~ ' (for|by) |^ann$' AND test.rows('test_app', name, 'SELECT 1') = '1';
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN working;
END
$$;

-- "Rotate or revoke when a teammate leaves, a laptop is lost, or a token was pasted into chat by mistake."
SELECT is(
  test.working(change), expected, name)
FROM (VALUES
  ('before anything', 'SELECT 1',
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('a teammate leaves: keys of the tenant stay, as others may use them',
   $$SELECT revdesk_remove_member(test.id('A1'), test.id('ann'))$$,
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('a teammate leaves, with the keys: those made by or for them go',
   $$SELECT revdesk_remove_member(test.id('A1'), test.id('ann'), true)$$,
   'A for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('leaving the umbrella takes the keys of its sub-entities along',
   $$SELECT revdesk_remove_member(test.id('A'), test.id('ann'), true)$$,
   'A1 for bob, A1 for nobody, B for ann, ann'),
  ('leaving another organization touches none of these',
   $$SELECT revdesk_remove_member(test.id('B1'), test.id('ann'), true)$$,
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('the departure of somebody who made none revokes none',
   $$SELECT revdesk_remove_member(test.id('A1'), test.id('eve'), true)$$,
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('null is not true', $$SELECT revdesk_remove_member(test.id('A1'), test.id('ann'), NULL)$$,
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A1 for nobody, A2 for ann, B for ann, ann'),
  ('a user is disabled: all keys that act for them, not those that they made',
   $$SELECT revdesk_disable_user(test.id('ann'))$$, 'A1 by ann, A1 for bob, A1 for nobody'),
  ('a laptop is lost: the key on it is revoked', $$SELECT revdesk_revoke_key(test.key_id('A1 for bob'), 'laptop lost')$$,
   'A for ann, A1 by ann, A1 for ann, A1 for nobody, A2 for ann, B for ann, ann'),
  ('a token was pasted into chat: it is rotated', $$SELECT revdesk_rotate_key(test.key_id('A1 for nobody'))$$,
   'A for ann, A1 by ann, A1 for ann, A1 for bob, A2 for ann, B for ann, ann')
) AS cases (name, change, expected);

-- The user's own keys lose the team at once.
SELECT is(test.rows('test_app', 'ann', 'SELECT label FROM desk.calls'), 'A1,B', 'before: two teams');
SELECT FROM revdesk_remove_member(test.id('A1'), test.id('ann'));
SELECT is(test.rows('test_app', 'ann', 'SELECT label FROM desk.calls'), 'B', 'a user''s key loses the team at once');
SELECT is(
  test.write('test_app', 'ann', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$), '42501, unchanged',
  'and writes nothing to it any more');
SELECT is(test.rows('test_app', 'ann', $$SELECT label FROM desk.notes WHERE tenant_id IS NULL$$), 'ann', 'the personal rows stay');
SELECT is(
  test.write('test_app', 'ann admin', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'))$$), '42501, unchanged',
  'a former member makes no key of the tenant');

-- What revocation leaves behind.
SELECT FROM revdesk_remove_member(test.id('A1'), test.id('ann'), true);
SELECT is(
  (SELECT string_agg(name || ': ' || revoked_reason, ', ' ORDER BY name) FROM revdesk.api_keys WHERE revoked_at IS NOT NULL),
  'A1 by ann: member removed, A1 for ann: member removed', 'the keys say why they were revoked');

-- Who may remove whom.
SELECT is(
  test.write('test_app', key, format('SELECT revdesk_remove_member(test.id(%L), test.id(%L), true)', tenant, "user")), expected, name)
FROM (VALUES
  ('an organization''s admin key removes its own member', 'A admin', 'A', 'bob', '1 rows, changed'),
  ('a member of another organization is out of its reach', 'A admin', 'B', 'ann', '42501, unchanged'),
  ('a sub-entity''s admin key does not remove a member of its umbrella', 'A1 admin', 'A', 'bob', '42501, unchanged'),
  ('a user key removes nobody, not even its own user', 'ann admin', 'B', 'ann', '42501, unchanged'),
  ('a write key removes nobody', 'A', 'A', 'bob', '42501, unchanged')
) AS cases (name, key, tenant, "user", expected);

SELECT FROM revdesk_disable_user(test.id('bob'));
SELECT is(test.rows('test_app', 'bob', 'SELECT 1'), '28000', 'attack K3: a disabled user''s key is rejected');
SELECT FROM revdesk_enable_user(test.id('bob'));
SELECT is(test.rows('test_app', 'bob', 'SELECT label FROM desk.calls'), 'A', 'and accepted when they are enabled again');

SELECT * FROM finish();
ROLLBACK;
