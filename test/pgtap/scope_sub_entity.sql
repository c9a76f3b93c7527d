-- Proves what a key of scope sub_entity sees and writes: its own sub-entity's rows.

BEGIN;
\ir setup/desk.psql
SELECT plan(72);

-- "Only that sub-entity's resources (phone numbers, calls, contacts, etc.)."
SELECT is(
  test.rows('test_app', 'A1', format('SELECT DISTINCT tenant_id FROM desk.%I', relation)), test.id('A1')::text,
  'only its own in ' || relation)
FROM (VALUES ('calls'), ('contacts'), ('notes')) AS tables (relation);
SELECT is(
  test.write('test_app', 'A1', statement, $$SELECT label FROM desk.calls WHERE tenant_id = test.id('A1')$$), expected, name)
FROM (VALUES
  ('writes its own row', $$UPDATE desk.calls SET label = 'changed'$$, '1 rows, changed'),
  ('deletes its own row', $$DELETE FROM desk.calls$$, '1 rows, '),
  ('adds a row', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$, '1 rows, A1,new')
) AS cases (name, statement, expected);

-- "A sub-entity-scoped key cannot read or write across to a sibling sub-entity or up to the umbrella's private resources."
CREATE TEMP TABLE foreign_tenants AS
SELECT * FROM (VALUES
  ('its sibling', $$test.id('A2')$$), ('its umbrella', $$test.id('A')$$), ('another umbrella', $$test.id('B')$$),
  ('another umbrella''s child', $$test.id('B1')$$), ('nobody', 'NULL'), ('a tenant that does not exist', $$test.id('unknown')$$)
) AS tenants (name, id);

SELECT is(
  test.rows('test_app', 'A1', format('SELECT label FROM desk.%I WHERE tenant_id IS NOT DISTINCT FROM %s', relation, id)), '',
  format('no row of %s is read from %s', name, relation))
FROM foreign_tenants, (VALUES ('calls'), ('contacts'), ('notes')) AS tables (relation);

SELECT is(
  test.write('test_app', 'A1', replace(statement, '$tenant', id)), expected || ', unchanged', action || ' ' || name)
FROM foreign_tenants, (VALUES
  ('no row is added to calls for', 'INSERT INTO desk.calls VALUES (100, $tenant, ''new'')', '42501'),
  ('no row is added to contacts for', 'INSERT INTO desk.contacts VALUES (100, $tenant, NULL, NULL, ''new'')', '42501'),
  ('no row is changed of', 'UPDATE desk.calls SET label = ''changed'' WHERE tenant_id IS NOT DISTINCT FROM $tenant', '0 rows'),
  ('no row is taken over from', 'UPDATE desk.calls SET tenant_id = test.id(''A1'') WHERE tenant_id IS NOT DISTINCT FROM $tenant', '0 rows'),
  ('no row is deleted of', 'DELETE FROM desk.calls WHERE tenant_id IS NOT DISTINCT FROM $tenant', '0 rows'),
  ('no row is given to', 'UPDATE desk.calls SET tenant_id = $tenant', '42501'),
  ('no row of contacts is given to', 'UPDATE desk.contacts SET tenant_id = $tenant', '42501')
) AS cases (action, statement, expected);

-- "Use when issuing keys to per-location ops or a vendor managing a single workspace."
SELECT is(
  test.write('test_app', 'A1 admin', statement), '42501, unchanged', 'even an admin key of a sub-entity does not ' || name)
FROM (VALUES
  ('make a sibling', $$SELECT revdesk_create_sub_entity(test.id('A'), 'x')$$),
  ('make a key for its sibling', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A2'))$$),
  ('make a key for its umbrella', $$SELECT revdesk_create_key('x', 'organization', test.id('A'))$$),
  ('revoke a key of its sibling', $$SELECT revdesk_revoke_key(test.key_id('A2'))$$),
  ('revoke a key of its umbrella', $$SELECT revdesk_revoke_key(test.key_id('A'))$$),
  ('add a member to its umbrella', $$SELECT revdesk_add_member(test.id('A'), test.id('eve'))$$)
) AS cases (name, statement);

SELECT * FROM finish();
ROLLBACK;
