-- Proves that nothing is read or written without a key, and that a key is all it takes.

BEGIN;
\ir setup/desk.psql
SELECT plan(27);

-- "All API requests require a Bearer token in the Authorization header."
SELECT is(
  test.rows('test_app', NULL, format('SELECT label FROM desk.%I', relation)), '',
  format('without a key, %s is empty', relation))
FROM (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);

SELECT is(
  test.write('test_app', NULL, statement), expected || ', unchanged', 'without a key: ' || name)
FROM (VALUES
  ('INSERT for a tenant', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$, '42501'),
  ('INSERT for no tenant', $$INSERT INTO desk.calls VALUES (100, NULL, 'new')$$, '42501'),
  ('INSERT of a personal row', $$INSERT INTO desk.notes VALUES (100, NULL, test.id('ann'), 'new')$$, '42501'),
  ('UPDATE of all rows', $$UPDATE desk.calls SET label = 'changed'$$, '0 rows'),
  ('DELETE of all rows', $$DELETE FROM desk.contacts$$, '0 rows'),
  ('MERGE into all rows', $$MERGE INTO desk.calls USING (SELECT 1) AS one ON calls.label IS NOT NULL
      WHEN MATCHED THEN DELETE$$, '0 rows'),
  ('TRUNCATE', $$TRUNCATE desk.calls$$, '42501')
) AS cases (name, statement, expected);

SELECT matches(
  test.error('test_app', NULL, statement), '^42501 . authentication required', 'without a key: ' || name)
FROM (VALUES
  ('revdesk_create_organization', $$SELECT revdesk_create_organization('x')$$),
  ('revdesk_create_sub_entity', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$),
  ('revdesk_create_user', $$SELECT revdesk_create_user('x')$$),
  ('revdesk_add_member', $$SELECT revdesk_add_member(test.id('A'), test.id('eve'))$$),
  ('revdesk_remove_member', $$SELECT revdesk_remove_member(test.id('A'), test.id('bob'))$$),
  ('revdesk_create_key', $$SELECT revdesk_create_key('x', 'organization', test.id('A'))$$),
  ('revdesk_rotate_key', $$SELECT revdesk_rotate_key(test.key_id('A'))$$),
  ('revdesk_revoke_key', $$SELECT revdesk_revoke_key(test.key_id('A'))$$)
) AS cases (name, statement);

SELECT is(
  test.rows('test_app', NULL, query), expected, 'without a key: ' || name)
FROM (VALUES
  ('no context', 'SELECT key_id FROM revdesk_context()', ''),
  ('no key is listed', 'SELECT key_id FROM revdesk_keys', ''),
  ('no account', 'SELECT revdesk_account() IS NULL', 'true'),
  ('no scope', 'SELECT revdesk_scope() IS NULL', 'true')
) AS cases (name, query, expected);

-- "-H "Authorization: Bearer revdesk_your_api_key_here""
SELECT is(
  test.rows('test_app', 'A1', 'SELECT label FROM desk.calls'), 'A1',
  'with a key, its rows are there');
SELECT is(
  test.write('test_app', 'A1', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$,
             $$SELECT label FROM desk.calls WHERE tenant_id = test.id('A1')$$),
  '1 rows, A1,new', 'with a key, its rows can be written');
SELECT throws_ok(
  $$SELECT revdesk_authenticate('revdesk_your_api_key_here')$$, '28000', 'API key rejected',
  'the placeholder of the documentation is not a key');
SELECT throws_ok(
  format('SELECT revdesk_authenticate(%L)', 'Bearer ' || test.token('A1')), '28000', 'API key rejected',
  'the key is what follows "Bearer "');

SELECT * FROM finish();
ROLLBACK;
