-- Proves what a caller learns about its own key.

BEGIN;
\ir setup/desk.psql
SELECT plan(17);
UPDATE revdesk.api_keys SET metadata = '{"plan": "gold"}', expires_at = '2100-01-01' WHERE id = test.key_id('A1');

-- "Monitor key usage via the account endpoint"
SELECT is(
  test.rows('test_app', 'A1', 'SELECT (revdesk_account() || ''{"usage": null}'') - ''key'''),
  jsonb_build_object(
    'scope', 'sub_entity', 'access', 'write', 'environment', 'production', 'user', NULL, 'teams', NULL, 'usage', NULL,
    'tenant', jsonb_build_object('id', test.id('A1'), 'name', 'Sub-entity A1', 'umbrella_id', test.id('A')))::text,
  'a sub-entity key: scope, access, environment and tenant');
SELECT is(
  test.rows('test_app', 'A1', 'SELECT revdesk_account() -> ''key'''),
  jsonb_build_object(
    'id', test.key_id('A1'), 'name', 'A1', 'hint', right(test.token('A1'), 4), 'created_at', now(),
    'expires_at', '2100-01-01'::timestamptz, 'replaced_by', NULL, 'metadata', jsonb_build_object('plan', 'gold'))::text,
  'and the key''s own properties');
SELECT is(
  test.rows('test_app', 'A', 'SELECT revdesk_account() -> ''tenant'''),
  jsonb_build_object('id', test.id('A'), 'name', 'Organization A', 'umbrella_id', NULL)::text,
  'an organization key: the umbrella');
SELECT is(
  test.rows('test_app', 'ann', 'SELECT (revdesk_account() || ''{"usage": null}'') - ''key'''),
  jsonb_build_object(
    'scope', 'user', 'access', 'write', 'environment', 'production', 'tenant', NULL, 'usage', NULL,
    'user', jsonb_build_object('id', test.id('ann'), 'subject', 'ann'),
    'teams', jsonb_build_array(jsonb_build_object('id', test.id('B'), 'name', 'Organization B'),
                               jsonb_build_object('id', test.id('A1'), 'name', 'Sub-entity A1')))::text,
  'a user key: the user and the teams');
SELECT is(
  test.rows('test_app', 'eve', 'SELECT revdesk_account() -> ''teams'''), 'null', 'of no team');
SELECT is(test.rows('test_app', NULL, 'SELECT revdesk_account() IS NULL'), 'true', 'null without a key');
SELECT is(
  test.rows('test_app', 'A1 read', 'SELECT revdesk_account() ->> ''access'''), 'read', 'a read key may ask too');
SELECT is(
  test.rows('test_app', 'A1', 'SELECT revdesk_account() -> ''key'' ? ''usage'' OR revdesk_account() ? ''usage'''), 'true',
  'the account tells the usage of the key');

-- L4: no key, no hash.
SELECT is(
  test.rows('test_app', key, format('SELECT strpos(revdesk_account()::text, %L) > 0', secret)), 'false', 'attack L4: ' || name)
FROM (SELECT name AS key, token FROM test.keys WHERE name IN ('A1', 'A admin', 'ann')) AS keys,
  LATERAL (VALUES
    ('no key', substr(token, 9, 28)),
    ('no hash', encode(sha256(convert_to(token, 'UTF8')), 'hex')),
    ('no hash in base64', encode(sha256(convert_to(token, 'UTF8')), 'base64'))
  ) AS secrets (name, secret);

SELECT * FROM finish();
ROLLBACK;
