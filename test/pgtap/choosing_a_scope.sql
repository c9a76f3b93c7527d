-- Proves the advice on which scope to pick.

BEGIN;
\ir setup/desk.psql
SELECT plan(210);

-- "Tenant isolation is enforced server-side on every endpoint."
-- Every command, on every protected table, under every key: no row of a tenant
-- outside the key's scope is read or written.
CREATE TEMP TABLE outside AS
SELECT * FROM (VALUES
  ('A', ARRAY['B', 'B1']), ('B', ARRAY['A', 'A1', 'A2']),
  ('A1', ARRAY['A2', 'B', 'B1']), ('A2', ARRAY['A1', 'B', 'B1']), ('B1', ARRAY['A', 'A1', 'A2']),
  ('ann', ARRAY['A', 'A2', 'B1', 'bob']), ('bob', ARRAY['A1', 'A2', 'B', 'B1', 'ann']), ('eve', ARRAY['A', 'A1', 'B', 'ann'])
) AS keys (key, labels);
SELECT is(
  test.rows('test_app', key, format('SELECT label FROM desk.%I WHERE label = ANY (%L)', relation, labels)), '',
  format('key %s reads nothing of others from %s', key, relation))
FROM outside, (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);
SELECT is(
  test.write('test_app', key, format(statement, relation, labels)), '0 rows, unchanged',
  format('key %s %s in %s', key, action, relation))
FROM outside, (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation),
  (VALUES ('updates nothing of others', 'UPDATE desk.%I SET label = ''x'' WHERE label = ANY (%L)'),
          ('deletes nothing of others', 'DELETE FROM desk.%I WHERE label = ANY (%L)')) AS actions (action, statement);
SELECT is(
  test.write('test_app', key, format('INSERT INTO desk.%I (id, tenant_id, label) VALUES (100, test.id(%L), ''x'')', relation, tenant)),
  '42501, unchanged', format('key %s inserts nothing for %s into %s', key, tenant, relation))
FROM outside, unnest(labels) AS tenant, (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation)
WHERE tenant NOT IN ('ann', 'bob');
SELECT is(
  test.write('test_app', key, format('INSERT INTO desk.notes VALUES (100, NULL, test.id(%L), ''x'')', owner)),
  '42501, unchanged', format('key %s inserts no personal row of %s', key, owner))
FROM (VALUES ('A', 'ann'), ('A', 'bob'), ('A1', 'ann'), ('ann', 'bob'), ('bob', 'ann'), ('eve', 'ann')) AS cases (key, owner);

-- The table's owner is held by it as well.
SELECT is(
  test.rows('test_owner', key, 'SELECT label FROM desk.calls'), expected, 'the owner of the table sees ' || name)
FROM (VALUES ('nothing without a key', NULL, ''), ('with a key what the key sees', 'A1', 'A1')) AS cases (name, key, expected);

-- "One key for everything? → organization-scoped."
SELECT is(
  test.rows('test_app', 'A', 'SELECT label FROM desk.calls'), 'A,A1,A2',
  'one organization key sees what the keys of all its tenants see');
SELECT is(
  test.rows('test_app', 'A', 'SELECT DISTINCT label FROM desk.contacts'),
  'A,A1,A2,A2 by ann', 'in every table');

-- "Vendor needs to manage one location? → sub-entity-scoped. Revoke the key without affecting the rest of the org."
SELECT is(revdesk_revoke_key(test.key_id('A1'), 'vendor gone'), true, 'the vendor''s key is revoked');
SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.calls'), expected, 'after that: ' || name)
FROM (VALUES
  ('the key is rejected', 'A1', '28000'),
  ('another key of the same location still works', 'A1 admin', 'A1'),
  ('its sibling''s key too', 'A2', 'A2'),
  ('and the organization''s', 'A', 'A,A1,A2'),
  ('and the members''', 'ann', 'A1,B')
) AS cases (name, key, expected);

-- "Solo developer / single-user account? → user-scoped."
SELECT FROM revdesk_create_user('solo', test.id('solo'));
SELECT test.create_key('solo', 'user', NULL, 'solo');
SELECT is(
  test.write('test_app', 'solo', $$INSERT INTO desk.notes VALUES (100, NULL, revdesk_user_id(), 'mine')$$,
             $$SELECT label FROM desk.notes WHERE owner_id = test.id('solo')$$),
  '1 rows, mine', 'a user without any team works with personal rows');
INSERT INTO desk.notes VALUES (101, NULL, test.id('solo'), 'solo');
SELECT is(
  test.rows('test_app', 'solo', 'SELECT label FROM desk.notes'), 'solo', 'and sees nothing else');

SELECT * FROM finish();
ROLLBACK;
