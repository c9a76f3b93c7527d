-- Proves that a revoked key is rejected from the next authentication on.

BEGIN;
\ir setup/desk.psql
SELECT plan(35);

-- "Create / list / revoke"
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.calls'), 'A1', 'a key works before it is revoked');
SELECT is(revdesk_revoke_key(test.key_id('A1'), 'laptop lost'), true, 'revoking it returns true');
SELECT is(test.error('test_app', 'A1', 'SELECT 1'), '28000 | API key rejected', 'attack K3: then it is rejected');
SELECT results_eq(
  $$SELECT revoked_at, revoked_by, revoked_reason FROM revdesk.api_keys WHERE id = test.key_id('A1')$$,
  $$SELECT now(), NULL::uuid, 'laptop lost'$$, 'time and reason are kept');
SELECT is(revdesk_revoke_key(test.key_id('A1'), 'again'), false, 'revoking it again returns false');
SELECT is(
  (SELECT revoked_reason FROM revdesk.api_keys WHERE id = test.key_id('A1')), 'laptop lost', 'and changes nothing');

-- "revoke the old key in Settings → API Keys": what an admin key may do.
SELECT is(
  test.write('test_app', key, format('SELECT revdesk_revoke_key(test.key_id(%L))', target)), expected, name)
FROM (VALUES
  ('an organization''s admin key revokes its own', 'A admin', 'A', '1 rows, changed'),
  ('a child''s', 'A admin', 'A2', '1 rows, changed'),
  ('not another organization''s', 'A admin', 'B', '42501, unchanged'),
  ('not another''s child''s', 'A admin', 'B1', '42501, unchanged'),
  ('not a user''s own, even a member''s', 'A admin', 'bob', '42501, unchanged'),
  ('itself', 'A admin', 'A admin', '1 rows, changed'),
  ('a sub-entity''s admin key revokes its own', 'A2 admin', 'A2', '1 rows, changed'),
  ('not its sibling''s', 'A2 admin', 'A1 admin', '42501, unchanged'),
  ('not its umbrella''s', 'A2 admin', 'A', '42501, unchanged'),
  ('a user''s admin key revokes the user''s keys', 'ann admin', 'ann', '1 rows, changed'),
  ('not those of the user''s teams', 'ann admin', 'A1 admin', '42501, unchanged'),
  ('not another user''s', 'ann admin', 'bob', '42501, unchanged'),
  ('a write key revokes nothing', 'A', 'A2', '42501, unchanged'),
  ('not even itself', 'A', 'A', '42501, unchanged'),
  ('a read key neither', 'A read', 'A2', '42501, unchanged')
) AS cases (name, key, target, expected);

-- A key that revokes itself ends as it began, and not later.
SELECT test.enter('test_app', 'A2 admin');
SELECT is(revdesk_revoke_key(revdesk_key_id(), 'suicide'), true, 'a key can revoke itself');
SELECT is(revdesk_scope(), 'sub_entity', 'attack K4: the transaction goes on acting for it');
SELECT is((SELECT string_agg(label, ',') FROM desk.calls), 'A2', 'and sees what it saw');
SELECT throws_ok(
  format('SELECT revdesk_authenticate(%L)', test.token('A2 admin')), '28000', 'API key rejected',
  'attack K4: but authenticating again is refused, even in that transaction');
RESET ROLE;
SELECT FROM revdesk_deauthenticate();
SELECT is(test.rows('test_app', 'A2 admin', 'SELECT 1'), '28000', 'attack K4: the next authentication is refused');
SELECT is(
  (SELECT revoked_by FROM revdesk.api_keys WHERE id = test.key_id('A2 admin')), NULL,
  'a key without a user revokes in nobody''s name');
SELECT is(
  test.write('test_app', 'ann admin', $$SELECT revdesk_revoke_key(test.key_id('ann'))$$,
             $$SELECT revoked_by = test.id('ann') FROM revdesk.api_keys WHERE id = test.key_id('ann')$$),
  '1 rows, true', 'a user''s key revokes in the user''s name');

-- K10: the reason is text and nothing else.
SELECT is(
  test.write('postgres', NULL, format('SELECT revdesk_revoke_key(test.key_id(''B''), %L)', reason),
             $$SELECT md5(revoked_reason) FROM revdesk.api_keys WHERE id = test.key_id('B')$$),
  '1 rows, ' || COALESCE(md5(reason), ''), 'attack K10: a reason with ' || name)
FROM (VALUES
  ('quotes', $$it's "gone" \ ''$$), ('SQL', $$'; DROP TABLE revdesk.api_keys; --$$), ('line breaks', E'one\ntwo'),
  ('1000 characters', repeat('ß', 1000)), ('nothing', '')
) AS cases (name, reason);
SELECT is(
  test.write('postgres', NULL, format('SELECT revdesk_revoke_key(test.key_id(''B''), %L)', repeat('x', length))),
  '22023, unchanged', 'attack K10: a reason of ' || length || ' characters is refused')
FROM (VALUES (1001), (1024 * 1024)) AS cases (length);

SELECT * FROM finish();
ROLLBACK;
