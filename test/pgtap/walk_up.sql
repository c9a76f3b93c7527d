-- Proves that a sub-entity reads its umbrella's rows on tables declared so, and never more than reads.

BEGIN;
\ir setup/desk.psql
SELECT plan(27);

-- "Caller-trust reads walk up to the parent umbrella's registration."
SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.registrations'), expected, name)
FROM (VALUES
  ('attack R15: a sub-entity reads its own and its umbrella''s', 'A1', 'A,A1'),
  ('attack R15: so does its sibling', 'A2', 'A,A2'),
  ('attack R15: so does another umbrella''s child', 'B1', 'B,B1'),
  ('attack R15: an umbrella reads its own and its children''s', 'A', 'A,A1,A2'),
  ('attack R15: a user''s teams do not walk up', 'ann', 'A1,B'),
  ('attack R15: a read key walks up as well', 'A1 read', 'A,A1'),
  ('attack R15: nobody reads without a key', NULL, '')
) AS cases (name, key, expected);

SELECT is(
  test.rows('test_app', 'A1', 'SELECT label FROM desk.registrations WHERE tenant_id = ' || tenant), '', name)
FROM (VALUES
  ('attack R15: not the sibling', $$test.id('A2')$$),
  ('attack R15: not another umbrella', $$test.id('B')$$),
  ('attack R15: not another umbrella''s child', $$test.id('B1')$$)
) AS cases (name, tenant);
SELECT is(
  test.rows('test_app', 'A1', format('SELECT label FROM desk.%I WHERE tenant_id = test.id(''A'')', relation)), '',
  'attack R15: a table not declared so does not walk up: ' || relation)
FROM (VALUES ('calls'), ('contacts'), ('notes')) AS tables (relation);

-- The sub-entity's own registration if it has one, else the umbrella's.
SELECT is(
  test.rows('test_app', key, $$
    SELECT * FROM (SELECT label FROM desk.registrations
                   ORDER BY tenant_id = revdesk_tenant_id() DESC LIMIT 1) AS preferred
  $$), expected, 'a query can prefer its own: ' || key)
FROM (VALUES ('A1', 'A1'), ('A2', 'A2')) AS cases (key, expected);
DELETE FROM desk.registrations WHERE tenant_id = test.id('A2');
SELECT is(
  test.rows('test_app', 'A2', $$
    SELECT * FROM (SELECT label FROM desk.registrations
                   ORDER BY tenant_id = revdesk_tenant_id() DESC LIMIT 1) AS preferred
  $$), 'A', 'without one of its own it is the umbrella''s');

-- "reads": never a write.
SELECT is(
  test.write('test_app', key, statement), expected || ', unchanged', name)
FROM (VALUES
  ('attack W9: no UPDATE of the umbrella''s row', 'A1', $$UPDATE desk.registrations SET label = 'x' WHERE tenant_id = test.id('A')$$, '0 rows'),
  ('attack W9: no DELETE of it', 'A1', $$DELETE FROM desk.registrations WHERE tenant_id = test.id('A')$$, '0 rows'),
  ('attack W9: no INSERT for the umbrella', 'A1', $$INSERT INTO desk.registrations VALUES (100, test.id('A'), NULL, 'x')$$, '42501'),
  ('attack W9: no row given to the umbrella', 'A1', $$UPDATE desk.registrations SET tenant_id = test.id('A') WHERE tenant_id = test.id('A1')$$, '42501'),
  ('attack W9: no row taken from the umbrella', 'A1', $$UPDATE desk.registrations SET tenant_id = test.id('A1') WHERE tenant_id = test.id('A')$$, '0 rows'),
  ('attack W9: no ON CONFLICT DO UPDATE of it', 'A1', $$INSERT INTO desk.registrations VALUES (1, test.id('A1'), NULL, 'x')
     ON CONFLICT (id) DO UPDATE SET label = 'x'$$, '42501'),
  ('attack W9: no MERGE that updates it', 'A1', $$MERGE INTO desk.registrations AS target USING (SELECT 1) AS one ON target.label = 'A'
     WHEN MATCHED THEN UPDATE SET label = 'x'$$, '42501'),
  ('attack W9: no MERGE that deletes it', 'A1', $$MERGE INTO desk.registrations AS target USING (SELECT 1) AS one ON target.label = 'A'
     WHEN MATCHED THEN DELETE$$, '42501'),
  ('attack W9: no SELECT FOR UPDATE of it, which row security counts as a write', 'A1',
   $$SELECT FROM desk.registrations WHERE label = 'A' FOR UPDATE$$, '0 rows'),
  ('attack W9: no write with an admin key either', 'A1 admin', $$UPDATE desk.registrations SET label = 'x' WHERE tenant_id = test.id('A')$$, '0 rows')
) AS cases (name, key, statement, expected);
SELECT is(
  test.write('test_app', 'A1', $$UPDATE desk.registrations SET label = 'x'$$, $$SELECT label FROM desk.registrations$$),
  '1 rows, A,B,B1,none,x', 'an UPDATE of all that one sees changes one''s own alone');

SELECT * FROM finish();
ROLLBACK;
