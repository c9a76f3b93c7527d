-- Proves what a key of scope organization sees: the umbrella and all its sub-entities.

BEGIN;
\ir setup/desk.psql
SELECT plan(18);

-- "Every resource across the umbrella, including all child sub-entities."
SELECT is(
  test.rows('test_app', 'A', format('SELECT DISTINCT tenant_id FROM desk.%I', relation)),
  (SELECT string_agg(id::text, ',' ORDER BY id::text) FROM unnest(ARRAY[test.id('A'), test.id('A1'), test.id('A2')]) AS id),
  'umbrella and children are seen in ' || relation)
FROM (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);

-- "Use for HQ engineering or internal tools."
SELECT is(
  test.write('test_app', 'A', statement, $$SELECT label FROM desk.contacts WHERE id = 100$$), expected, name)
FROM (VALUES
  ('writes a row of the umbrella', $$INSERT INTO desk.contacts VALUES (100, test.id('A'), NULL, NULL, 'new')$$, '1 rows, new'),
  ('writes a row of a child', $$INSERT INTO desk.contacts VALUES (100, test.id('A2'), NULL, NULL, 'new')$$, '1 rows, new'),
  ('writes no row of another umbrella', $$INSERT INTO desk.contacts VALUES (100, test.id('B'), NULL, NULL, 'new')$$, '42501, '),
  ('writes no row of its child', $$INSERT INTO desk.contacts VALUES (100, test.id('B1'), NULL, NULL, 'new')$$, '42501, '),
  ('writes no personal row', $$INSERT INTO desk.contacts VALUES (100, NULL, NULL, test.id('ann'), 'new')$$, '42501, '),
  ('moves a row from one child to another', $$UPDATE desk.contacts SET id = 100, tenant_id = test.id('A1') WHERE id = 3$$, '1 rows, A2')
) AS cases (name, statement, expected);

-- A sub-entity that is made later belongs to it at once.
SELECT FROM revdesk_create_sub_entity(test.id('A'), 'Sub-entity A3', test.id('A3'));
INSERT INTO desk.calls VALUES (20, test.id('A3'), 'A3');
INSERT INTO desk.contacts VALUES (20, test.id('A3'), NULL, NULL, 'A3');
SELECT is(
  test.rows('test_app', 'A', 'SELECT label FROM desk.' || relation), expected, 'a new child is seen in ' || relation)
FROM (VALUES ('calls', 'A,A1,A2,A3'), ('contacts', 'A,A1,A2,A2 by ann,A3')) AS cases (relation, expected);

SELECT is(
  test.rows('test_app', 'A', 'SELECT label FROM desk.contacts WHERE ' || condition), '', name)
FROM (VALUES
  ('attack R17: not the personal rows of users', 'tenant_id IS NULL'),
  ('attack R17: not those of its own members', $$owner_id = test.id('bob')$$),
  ('attack R17: not another umbrella', $$tenant_id = test.id('B')$$),
  ('attack R17: not another umbrella''s child', $$tenant_id = test.id('B1')$$),
  ('attack R17: not by the umbrella column either', $$umbrella_id = test.id('B')$$)
) AS cases (name, condition);

-- A suspended sub-entity is out of service, not out of its umbrella.
SELECT FROM revdesk_suspend_tenant(test.id('A1'));
SELECT is(
  test.rows('test_app', 'A', 'SELECT label FROM desk.calls'), 'A,A1,A2,A3',
  'the umbrella still sees the rows of a suspended child');

SELECT * FROM finish();
ROLLBACK;
