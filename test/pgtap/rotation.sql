-- Proves that a key can be replaced by a new one with the same rights, at once or with a grace.

BEGIN;
\ir setup/desk.psql
SELECT plan(32);

-- Everything about a key but its secret.
UPDATE revdesk.api_keys
SET name = 'A key of many properties', access = 'admin', environment = 'development', user_id = test.id('bob'),
    created_by = test.id('ann'), expires_at = now() + '1 year', metadata = '{"plan": "gold"}'
WHERE id = test.key_id('A1');

-- "Rotate keys periodically — revoke the old key in Settings → API Keys, then issue a new one"
CREATE TEMP TABLE rotated AS SELECT * FROM revdesk_rotate_key(test.key_id('A1'));
INSERT INTO test.keys SELECT 'A1 rotated', key_id, token FROM rotated;
SELECT isnt(test.token('A1 rotated'), test.token('A1'), 'the new key is another');
SELECT isnt(test.key_id('A1 rotated'), test.key_id('A1'), 'with another id');
SELECT is(
  test.rows('test_app', 'A1 rotated', 'SELECT label FROM desk.calls'), 'A1', 'the new key works');
SELECT is(
  test.error('test_app', 'A1', 'SELECT 1'), '28000 | API key rejected', 'the old key does not, at once');
SELECT results_eq(
  $$SELECT to_jsonb(api_keys) - '{id,key_hash,hint,created_at,created_by,origin}'::text[] FROM revdesk.api_keys WHERE id = test.key_id('A1 rotated')$$,
  $$SELECT to_jsonb(api_keys) - '{id,key_hash,hint,created_at,created_by,origin}'::text[]
           || '{"revoked_at": null, "revoked_by": null, "revoked_reason": null, "replaced_by": null}'
    FROM revdesk.api_keys WHERE id = test.key_id('A1')$$,
  'the new key has all other properties of the old one');
SELECT results_eq(
  $$SELECT replaced_by, revoked_at IS NOT NULL, revoked_reason FROM revdesk.api_keys WHERE id = test.key_id('A1')$$,
  $$SELECT test.key_id('A1 rotated'), true, 'rotated'$$,
  'the old one names its successor and says why it ended');

-- With a grace the old key lives on, for so long and no longer.
CREATE TEMP TABLE with_grace AS SELECT * FROM revdesk_rotate_key(test.key_id('A2'), '2 hours');
INSERT INTO test.keys SELECT 'A2 rotated', key_id, token FROM with_grace;
SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.calls'), 'A2', 'within the grace works: ' || key)
FROM (VALUES ('A2'), ('A2 rotated')) AS cases (key);
SELECT is(
  (SELECT expires_at BETWEEN now() + '2 hours' AND clock_timestamp() + '2 hours' FROM revdesk.api_keys WHERE id = test.key_id('A2')),
  true, 'the old key expires after the grace');
SELECT is(
  (SELECT expires_at FROM revdesk.api_keys WHERE id = test.key_id('A2 rotated')), NULL,
  'the new one does not');
SELECT is(
  test.error('postgres', NULL, $$SELECT revdesk_rotate_key(test.key_id('A2'))$$),
  format('55000 | key "%s" is revoked, expired or already rotated | Make a new key with revdesk_create_key().', test.key_id('A2')),
  'attack K9: a key has one successor, even within its grace');
UPDATE revdesk.api_keys SET expires_at = now() - '1 second'::interval WHERE id = test.key_id('A2');
SELECT is(test.rows('test_app', 'A2', 'SELECT 1'), '28000', 'attack K3: after the grace the old key is rejected');
SELECT is(test.rows('test_app', 'A2 rotated', 'SELECT label FROM desk.calls'), 'A2', 'and the new one lives on');
SELECT is(
  revdesk_revoke_key(test.key_id('A2'), 'leaked'), true, 'a rotated key can still be revoked');

-- A grace never prolongs a key.
UPDATE revdesk.api_keys SET expires_at = now() + '1 hour' WHERE id = test.key_id('B1');
SELECT FROM revdesk_rotate_key(test.key_id('B1'), '1 year');
SELECT is(
  (SELECT expires_at FROM revdesk.api_keys WHERE id = test.key_id('B1')), now() + '1 hour',
  'a grace longer than the key''s life does not prolong it');

SELECT is(
  test.write('postgres', NULL, statement), expected || ', unchanged', 'refused: ' || name)
FROM (VALUES
  ('a negative grace', $$SELECT revdesk_rotate_key(test.key_id('A'), '-1 second')$$, '22023'),
  ('no grace at all (null)', $$SELECT revdesk_rotate_key(test.key_id('A'), NULL)$$, '22023'),
  ('a revoked key', $$SELECT revdesk_rotate_key(test.key_id('A1'))$$, '55000'),
  ('an unknown key', $$SELECT revdesk_rotate_key(test.id('unknown'))$$, '42501'),
  ('no key', $$SELECT revdesk_rotate_key(NULL)$$, '42501')
) AS cases (name, statement, expected);
UPDATE revdesk.api_keys SET expires_at = clock_timestamp() WHERE id = test.key_id('eve');
SELECT is(
  test.run('postgres', NULL, $$SELECT revdesk_rotate_key(test.key_id('eve'))$$), '55000', 'an expired key is not revived by a rotation');

-- By admin keys: their own, and those in their scope.
SELECT is(
  test.write('test_app', key, format('SELECT revdesk_rotate_key(test.key_id(%L))', target)), expected, name)
FROM (VALUES
  ('an organization''s admin key rotates a child''s', 'A admin', 'A1 admin', '1 rows, changed'),
  ('and itself', 'A admin', 'A admin', '1 rows, changed'),
  ('a sub-entity''s admin key rotates itself', 'A1 admin', 'A1 admin', '1 rows, changed'),
  ('not its umbrella''s', 'A1 admin', 'A', '42501, unchanged'),
  ('not its sibling''s', 'A1 admin', 'A2 admin', '42501, unchanged'),
  ('not another organization''s', 'A admin', 'B', '42501, unchanged'),
  ('a user''s admin key rotates its own', 'ann admin', 'ann', '1 rows, changed'),
  ('not another user''s', 'ann admin', 'bob', '42501, unchanged'),
  ('a write key rotates nothing, not even itself', 'A', 'A', '42501, unchanged'),
  ('nor does a read key', 'A read', 'A read', '42501, unchanged')
) AS cases (name, key, target, expected);

-- A rotation under a context never makes a key wider than the caller's.
UPDATE revdesk.api_keys SET environment = 'development' WHERE id = test.key_id('B admin');
SELECT is(
  test.write('test_app', 'B admin', $$SELECT revdesk_rotate_key(test.key_id('B'))$$), '42501, unchanged',
  'a development key does not rotate a production key into its own hands');

SELECT * FROM finish();
ROLLBACK;
