-- Proves what revdesk_protect() refuses, and that a table's owner needs no more than the function.

BEGIN;
\ir setup/desk.psql
SELECT plan(86);

CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER test_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE desk.foreign_table (tenant_id uuid) SERVER test_files OPTIONS (filename '/dev/null');
CREATE VIEW desk.view AS SELECT * FROM desk.calls;
CREATE MATERIALIZED VIEW desk.matview AS SELECT * FROM desk.calls;
CREATE SEQUENCE desk.sequence;
CREATE TYPE desk.composite AS (tenant_id uuid);
CREATE TABLE desk.odd (tenant_id uuid, number integer, text_id text, array_id uuid[], generated_id uuid GENERATED ALWAYS AS (md5('x')::uuid) STORED, gone uuid);
ALTER TABLE desk.odd DROP COLUMN gone;
CREATE DOMAIN desk.team AS uuid;
ALTER TABLE desk.odd ADD domain_id desk.team;
CREATE INDEX odd_idx ON desk.odd (tenant_id);
CREATE TEMP TABLE temporary (tenant_id uuid);
CREATE UNLOGGED TABLE desk.unlogged (tenant_id uuid);

SELECT is(
  test.write('postgres', NULL, format('SELECT revdesk_protect(%s)', arguments)), expected || ', unchanged', 'attack F3: ' || name)
FROM (VALUES
  ('a view', $$'desk.view'$$, '42809'), ('a materialized view', $$'desk.matview'$$, '42809'), ('a foreign table', $$'desk.foreign_table'$$, '42809'),
  ('a sequence', $$'desk.sequence'$$, '42809'), ('a composite type', $$'desk.composite'$$, '42809'), ('an index', $$'desk.odd_idx'$$, '42809'),
  ('a catalog', $$'pg_catalog.pg_class'$$, '42809'), ('a table of the information schema', $$'information_schema.sql_features'$$, '42809'),
  ('a TOAST table', $$(SELECT reltoastrelid FROM pg_class WHERE oid = 'desk.odd'::regclass)::regclass$$, '42809'),
  ('a temporary table', $$'pg_temp.temporary'$$, '42809'),
  ('the table of keys', $$'revdesk.api_keys', 'tenant_id'$$, '42809'), ('the table of tenants', $$'revdesk.tenants', 'id'$$, '42809'), ('the registry', $$'revdesk.protected_tables'$$, '42809'),
  ('a relation that does not exist', $$'desk.unknown'$$, '42P01'), ('an oid that does not exist', $$4294967295::regclass$$, '42809'), ('null', $$NULL$$, '42809'),
  ('a column that does not exist', $$'desk.odd', 'unknown'$$, '42703'), ('an owner column that does not exist', $$'desk.odd', owner_column => 'unknown'$$, '42703'),
  ('an umbrella column that does not exist', $$'desk.odd', umbrella_column => 'unknown'$$, '42703'), ('a dropped column', $$'desk.odd', 'gone'$$, '42703'),
  ('a dropped column by its inner name', $$'desk.odd', '........pg.dropped.6........'$$, '42703'), ('a system column', $$'desk.odd', 'ctid'$$, '42703'),
  ('an empty name', $$'desk.odd', ''$$, '42703'), ('a name in upper case', $$'desk.odd', 'TENANT_ID'$$, '42703'),
  ('an integer column', $$'desk.odd', 'number'$$, '42804'), ('a text column', $$'desk.odd', 'text_id'$$, '42804'), ('an array column', $$'desk.odd', 'array_id'$$, '42804'),
  ('a column of a domain', $$'desk.odd', 'domain_id'$$, '42804'),
  ('an owner column of the wrong type', $$'desk.odd', owner_column => 'text_id'$$, '42804'), ('an umbrella column of the wrong type', $$'desk.odd', umbrella_column => 'number'$$, '42804'),
  ('a generated column', $$'desk.odd', 'generated_id'$$, '42809'), ('a generated umbrella column', $$'desk.odd', umbrella_column => 'generated_id'$$, '42809'),
  ('no column at all', $$'desk.odd', NULL$$, '22023'), ('walk-up without a tenant column', $$'desk.notes', NULL, 'owner_id', walk_up => true$$, '22023'),
  ('an umbrella without a tenant column', $$'desk.contacts', NULL, 'owner_id', 'umbrella_id'$$, '22023')
) AS cases (name, arguments, expected);
SELECT is(
  test.error('postgres', NULL, format('SELECT revdesk_protect(%s)', arguments)), expected, 'attack F3: the words for ' || name)
FROM (VALUES
  ('a view', $$'desk.view'$$, '42809 | cannot protect "desk.view" | Reason: it is a view. | Only ordinary and partitioned tables can be protected. A view of one is safe with security_invoker = true.'),
  ('a column', $$'desk.odd', 'unknown'$$, '42703 | column "unknown" of table desk.odd does not exist'),
  ('a type', $$'desk.odd', 'number'$$, '42804 | column "number" of table desk.odd is of type integer, not uuid')
) AS cases (name, arguments, expected);
SELECT is(test.run('postgres', NULL, $$SELECT revdesk_protect('desk.unlogged')$$), '1 rows', 'an unlogged table is protected');

-- One column in two roles.
SELECT is(
  test.run('postgres', NULL, format('SELECT revdesk_protect(%s)', arguments)), '22023', 'attack F3: one column cannot be ' || name)
FROM (VALUES ('tenant and umbrella', $$'desk.contacts', 'tenant_id', umbrella_column => 'tenant_id'$$),
             ('owner and umbrella', $$'desk.contacts', 'tenant_id', 'owner_id', 'owner_id'$$)) AS cases (name, arguments);

-- Who may.
CREATE TABLE desk.mine (tenant_id uuid, umbrella_id uuid, label text);
INSERT INTO desk.mine VALUES (test.id('A1'), NULL, 'A1');
ALTER TABLE desk.mine OWNER TO test_owner;
GRANT ALL ON desk.mine TO test_app, test_other;
GRANT EXECUTE ON FUNCTION revdesk_protect(regclass, name, name, name, boolean), revdesk_unprotect(regclass) TO test_app;
CREATE ROLE test_owners_heir IN ROLE test_owner;
SELECT is(
  test.error(role, NULL, $$SELECT revdesk_protect('desk.mine', umbrella_column => 'umbrella_id')$$), expected, name)
FROM (VALUES
  ('its owner, who is no superuser, protects a table', 'test_owner', NULL), ('a member of its owner too', 'test_owners_heir', NULL),
  ('attack F3: somebody else with all privileges on it does not', 'test_app', '42501 | must be owner of table desk.mine'),
  ('nor somebody without the function', 'test_other', '42501 | permission denied for function revdesk_protect')
) AS cases (name, role, expected);
SELECT is(
  test.error('test_app', NULL, $$SELECT revdesk_unprotect('desk.calls')$$), '42501 | must be owner of table desk.calls', 'attack F3: nobody but its owner unprotects it');
SELECT is(
  test.error('test_owner', 'A1', $$SELECT revdesk_protect('desk.mine')$$), NULL, 'a context does not matter');
SELECT test.enter('test_owner', NULL);
SELECT FROM revdesk_protect('desk.mine', umbrella_column => 'umbrella_id');
RESET ROLE;
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.mine'), 'A1', 'what the owner protected is seen with a key');
SELECT is(test.rows('test_owner', NULL, 'SELECT label FROM desk.mine'), '', 'and by the owner without one no more');
SELECT is((SELECT umbrella_id FROM desk.mine), test.id('A'), 'existing rows were filled in with the owner''s rights');

-- The registry is nobody's to change but through one's own tables.
SELECT is(
  test.write(role, NULL, statement), expected, name)
FROM (VALUES
  ('an API role removes no entry', 'test_app', 'DELETE FROM revdesk.protected_tables', '0 rows, unchanged'),
  ('nor changes one', 'test_app', 'UPDATE revdesk.protected_tables SET walk_up = true', '0 rows, unchanged'),
  ('nor adds one for a table of others', 'test_app', $$INSERT INTO revdesk.protected_tables VALUES ('desk.odd', 'desk.odd', 'tenant_id', NULL, NULL, false, false, false)$$, '42501, unchanged'),
  ('nor anybody one that no restore could read', 'test_owner', $$CREATE TEMP TABLE mine (); INSERT INTO revdesk.protected_tables VALUES ('mine', 'mine', 'tenant_id', NULL, NULL, false, false, false)$$, '42501, unchanged'),
  ('nor by its root', 'test_owner', $$CREATE TEMP TABLE mine (); CREATE TABLE desk.other (); INSERT INTO revdesk.protected_tables VALUES ('desk.other', 'mine', 'tenant_id', NULL, NULL, false, false, false)$$, '42501, unchanged'),
  ('nor of an index', 'test_owner', $$INSERT INTO revdesk.protected_tables SELECT oid, oid, 'tenant_id', NULL, NULL, false, false, false FROM pg_class WHERE oid = 'desk.calls_pkey'::regclass$$, '42501, unchanged'),
  ('nor takes one over', 'test_owner', $$UPDATE revdesk.protected_tables SET relation = 'desk.odd' WHERE relation = 'desk.calls'::regclass$$, '42501, unchanged')
) AS cases (name, role, statement, expected);
SELECT is(
  test.run('test_app', NULL, statement), '42501', 'attack F1: a part of revdesk_protect() on a table of others: ' || statement)
FROM (VALUES
  ('SELECT revdesk.drop_policies(''desk.calls'')'), ('SELECT revdesk.create_index(''desk.mine'', ''label'')'),
  ('SELECT revdesk.unprotect_relation((''desk.calls'', ''desk.calls'', ''tenant_id'', NULL, NULL, false, false, false, ''{}'', now())::revdesk.protected_tables)'), ('SELECT revdesk.protect_relation(''desk.calls'', NULL, true)'), ('SELECT revdesk.create_umbrella_trigger(''desk.contacts'', NULL)'),
  ('SELECT revdesk.create_policies(''desk.mine'', NULL)')
) AS cases (statement);

-- Names that need quoting.
CREATE SCHEMA "Desk's ""schema""";
CREATE TABLE "Desk's ""schema"""."Table; DROP TABLE x; --" ("Tenant ""id""" uuid, "select" uuid, "umbrella'id" uuid, label text);
INSERT INTO "Desk's ""schema"""."Table; DROP TABLE x; --" VALUES (test.id('A1'), NULL, test.id('B'), 'A1'), (test.id('B'), NULL, NULL, 'B'), (NULL, test.id('ann'), NULL, 'ann');
GRANT USAGE ON SCHEMA "Desk's ""schema""" TO test_app;
GRANT ALL ON "Desk's ""schema"""."Table; DROP TABLE x; --" TO test_app, PUBLIC;
CREATE ROLE "test ""role""; --";
GRANT TRUNCATE, REFERENCES ("Tenant ""id""") ON "Desk's ""schema"""."Table; DROP TABLE x; --" TO "test ""role""; --";
SELECT lives_ok(
  $$SELECT revdesk_protect('"Desk''s ""schema"""."Table; DROP TABLE x; --"', 'Tenant "id"', 'select', 'umbrella''id')$$, 'attack F3: names that need quoting are quoted');
SELECT is(
  test.rows('test_app', key, $$SELECT label FROM "Desk's ""schema"""."Table; DROP TABLE x; --"$$), expected, 'attack F3: and the table is protected: ' || key)
FROM (VALUES ('A', 'A1'), ('A1', 'A1'), ('ann', 'A1,B,ann'), ('B', 'B')) AS cases (key, expected);
SELECT is(
  test.run('test_app', 'A1', $$INSERT INTO "Desk's ""schema"""."Table; DROP TABLE x; --" VALUES (test.id('B'), NULL, NULL, 'x')$$), '42501', 'attack F3: for writing too');
SELECT is(
  (SELECT "umbrella'id" FROM "Desk's ""schema"""."Table; DROP TABLE x; --" WHERE label = 'A1'), test.id('A'), 'attack F3: and its umbrellas are right');
SELECT is(has_table_privilege('test_app', '"Desk''s ""schema"""."Table; DROP TABLE x; --"', 'TRUNCATE'), false, 'attack F3: dangerous privileges are gone');
SELECT lives_ok($$SELECT revdesk_protect('"Desk''s ""schema"""."Table; DROP TABLE x; --"', 'Tenant "id"')$$, 'attack F3: again');
SELECT lives_ok($$SELECT revdesk_unprotect('"Desk''s ""schema"""."Table; DROP TABLE x; --"')$$, 'attack F3: and unprotected');
SELECT is(
  (SELECT count(*) FROM pg_index WHERE indrelid = '"Desk''s ""schema"""."Table; DROP TABLE x; --"'::regclass), 0::bigint, 'attack F3: with its indexes dropped');

-- Whatever the search_path.
SELECT is(
  test.error('postgres', NULL, format('DO $do$ BEGIN SET LOCAL search_path = %s; PERFORM public.revdesk_protect(%L); PERFORM public.revdesk_unprotect(%L); END $do$', path, relation, relation)),
  NULL, 'attack F4: with search_path ' || path)
FROM (VALUES ('desk, pg_catalog', 'odd'), ('pg_catalog', 'desk.odd'), ($$''$$, 'desk.odd'), ('pg_temp, desk', 'odd')) AS cases (path, relation);

-- Foreign tables have no row security: none in a protected tree.
CREATE TABLE desk.tree (tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE TABLE desk.root (tenant_id uuid);
CREATE TABLE desk.open (tenant_id uuid) PARTITION BY LIST (tenant_id);
CREATE FOREIGN TABLE desk.open_1 PARTITION OF desk.open DEFAULT SERVER test_files OPTIONS (filename '/dev/null');
SELECT revdesk_protect('desk.tree'), revdesk_protect('desk.root');
SELECT is(
  test.error('postgres', NULL, format(statement, $$SERVER test_files OPTIONS (filename '/dev/null')$$)), expected, 'attack R6: a foreign table in a tree: ' || statement)
FROM (VALUES
  ('ALTER TABLE desk.tree ATTACH PARTITION desk.foreign_table DEFAULT', '42809 | cannot protect "desk.foreign_table"'),
  ('CREATE FOREIGN TABLE desk.far PARTITION OF desk.tree DEFAULT %s', '42809 | cannot protect "desk.far"'),
  ('CREATE FOREIGN TABLE desk.far () INHERITS (desk.root) %s', '42809 | cannot protect "desk.far"'),
  ('ALTER FOREIGN TABLE desk.foreign_table INHERIT desk.root', '42809 | cannot protect "desk.foreign_table"'),
  ('ALTER TABLE desk.foreign_table INHERIT desk.root', '42809 | cannot protect "desk.foreign_table"')
) AS cases (statement, words)
CROSS JOIN LATERAL (SELECT words || ' | Reason: it is a foreign table. | Only ordinary and partitioned tables can be protected. A view of one is safe with security_invoker = true.') AS all_of_it (expected);
SELECT is(
  test.error('postgres', NULL, format(statement, $$SERVER test_files OPTIONS (filename '/dev/null')$$)), NULL, 'elsewhere they may be: ' || statement)
FROM (VALUES
  ('CREATE FOREIGN TABLE desk.far (tenant_id uuid) %s'),
  ('ALTER TABLE desk.open DETACH PARTITION desk.open_1'),
  ('ALTER FOREIGN TABLE desk.foreign_table ADD more integer')
) AS cases (statement);

SELECT * FROM finish();
ROLLBACK;
