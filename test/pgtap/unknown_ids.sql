-- Proves that an id outside one's scope is answered in the same words as one that does not exist.

BEGIN;
\ir setup/desk.psql
SELECT plan(54);

CREATE TEMP TABLE calls AS
SELECT * FROM (VALUES
  ('revdesk_create_sub_entity', 'SELECT revdesk_create_sub_entity(%L, ''x'')', 'tenant'),
  ('revdesk_add_member', 'SELECT revdesk_add_member(%L, test.id(''ann''))', 'tenant'),
  ('revdesk_remove_member', 'SELECT revdesk_remove_member(%L, test.id(''ann''))', 'tenant'),
  ('revdesk_create_key of an organization', 'SELECT revdesk_create_key(''x'', ''organization'', %L)', 'tenant'),
  ('revdesk_create_key of a sub-entity', 'SELECT revdesk_create_key(''x'', ''sub_entity'', %L)', 'tenant'),
  ('revdesk_create_key of a user', 'SELECT revdesk_create_key(''x'', ''user'', NULL, %L)', 'user'),
  ('revdesk_create_key for a user', 'SELECT revdesk_create_key(''x'', ''sub_entity'', revdesk_tenant_id(), %L)', 'user'),
  ('revdesk_add_member of a user', 'SELECT revdesk_add_member(revdesk_tenant_id(), %L)', 'member'),
  ('revdesk_rotate_key', 'SELECT revdesk_rotate_key(%L)', 'key'),
  ('revdesk_revoke_key', 'SELECT revdesk_revoke_key(%L)', 'key')
) AS calls (name, statement, kind);

-- Compares what is said about a foreign id with what is said about an unknown
-- one, the ids themselves apart.
SELECT is(
  replace(test.error('test_app', key || ' admin', format(statement, foreign_id)), foreign_id::text, '...'),
  replace(test.error('test_app', key || ' admin', format(statement, test.id('unknown'))), test.id('unknown')::text, '...'),
  format('O14: %s by %s admin', name, key))
FROM calls, (VALUES ('A1', 'B'), ('A1', 'A2'), ('A', 'B1'), ('ann', 'A2')) AS keys (key, stranger),
  LATERAL (SELECT CASE kind WHEN 'tenant' THEN test.id(stranger) WHEN 'user' THEN test.id('bob')
                            ELSE test.key_id(stranger) END AS foreign_id) AS ids
WHERE kind <> 'member' AND NOT (key = 'A' AND kind = 'user');
SELECT isnt(
  test.error('test_app', 'A1 admin', format(statement, test.id('unknown'))), NULL, 'and it is an error: ' || name)
FROM calls WHERE kind <> 'member';

SELECT is(
  test.error('test_app', 'A1 admin', format('SELECT revdesk_revoke_key(%L)', test.key_id('B'))),
  format('42501 | key "%s" does not exist, or is outside your scope', test.key_id('B')), 'O14: the words for keys');
SELECT is(
  test.error('test_app', 'A1 admin', format('SELECT revdesk_add_member(%L, %L)', test.id('B'), test.id('ann'))),
  format('42501 | tenant "%s" does not exist, or is outside your scope', test.id('B')), 'O14: the words for tenants');

-- The rows of protected tables: writing for a foreign tenant and for an unknown one.
SELECT is(
  test.error('test_app', 'A1', format('INSERT INTO desk.%I (id, tenant_id) VALUES (100, test.id(''B''))', relation)),
  test.error('test_app', 'A1', format('INSERT INTO desk.%I (id, tenant_id) VALUES (100, test.id(''unknown''))', relation)),
  'O14: INSERT into ' || relation)
FROM (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);
SELECT matches(
  test.error('test_app', 'A1', format('INSERT INTO desk.%I (id, tenant_id) VALUES (100, test.id(''unknown''))', relation)),
  '^42501 . new row violates row-level security', 'and it is refused: ' || relation)
FROM (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);

-- Making a tenant with an id of one's own choice tells whether it is taken.
SELECT is(
  test.error('test_app', 'A admin', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x', test.id('B1'))$$),
  format('23505 | tenant id "%s" is taken', test.id('B1')),
  'an id that is taken is told apart from one that is free, by nothing but its number');

SELECT * FROM finish();
ROLLBACK;
