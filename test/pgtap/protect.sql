-- Proves what revdesk_protect() makes of a table, that calling it again changes it, and that revdesk_unprotect() undoes it.

BEGIN;
\ir setup/desk.psql
SELECT plan(73);

CREATE FUNCTION test.policies(relation regclass) RETURNS text LANGUAGE sql
AS $$
  SELECT string_agg(format('%s %s %s %s %s', polname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, polcmd, polroles = '{0}',
                           concat_ws(' / ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))), '; ' ORDER BY polname COLLATE "C")
  FROM pg_policy WHERE polrelid = relation
$$;
CREATE FUNCTION test.security(relation regclass) RETURNS text LANGUAGE sql
AS $$ SELECT concat_ws(' ', relrowsecurity, relforcerowsecurity) FROM pg_class WHERE oid = relation $$;
CREATE FUNCTION test.indexes(relation regclass) RETURNS text LANGUAGE sql
AS $$
  SELECT string_agg(substring(pg_get_indexdef(indexrelid) FROM 'USING (.*)'), '; ' ORDER BY pg_get_indexdef(indexrelid))
  FROM pg_index WHERE indrelid = relation AND NOT indisprimary
$$;
CREATE FUNCTION test.triggers(relation regclass) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(concat_ws(' ', tgname, tgenabled, encode(tgargs, 'escape')), '; ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = relation $$;

-- As declared in desk.psql.
SELECT is(test.security('desk.calls'), 't t', 'row security is enabled and forced');
SELECT matches(
  test.policies(relation), '^' || replace(replace(replace(policies, '(', '\('), ')', '\)'), '*', '\*'), 'the policies of ' || relation)
FROM (VALUES
  ('desk.calls'::regclass, 'revdesk_isolation restrictive * t revdesk_scope_visible(tenant_id, NULL::uuid, NULL::uuid) / revdesk_scope_visible(tenant_id, NULL::uuid, NULL::uuid); revdesk_permit permissive * t '),
  ('desk.notes', 'revdesk_isolation restrictive * t revdesk_scope_visible(tenant_id, owner_id, NULL::uuid) / revdesk_scope_visible(tenant_id, owner_id, NULL::uuid); revdesk_permit permissive * t '),
  ('desk.contacts', 'revdesk_isolation restrictive * t revdesk_scope_visible(tenant_id, owner_id, umbrella_id) / revdesk_scope_visible(tenant_id, owner_id, umbrella_id); revdesk_permit permissive * t '),
  ('desk.registrations', 'revdesk_isolation_delete restrictive d t revdesk_scope_visible(tenant_id, NULL::uuid, umbrella_id); '
   'revdesk_isolation_insert restrictive a t revdesk_scope_visible(tenant_id, NULL::uuid, umbrella_id); '
   'revdesk_isolation_select restrictive r t revdesk_scope_readable_up(tenant_id, umbrella_id); '
   'revdesk_isolation_update restrictive w t revdesk_scope_visible(tenant_id, NULL::uuid, umbrella_id) / revdesk_scope_visible(tenant_id, NULL::uuid, umbrella_id); '
   'revdesk_permit permissive * t ')
) AS tables (relation, policies);
SELECT is(
  test.indexes(relation), indexes, 'the indexes of ' || relation)
FROM (VALUES ('desk.calls'::regclass, 'btree (tenant_id)'), ('desk.notes', 'btree (owner_id) WHERE (tenant_id IS NULL); btree (tenant_id)'),
             ('desk.contacts', 'btree (owner_id) WHERE (tenant_id IS NULL); btree (tenant_id); btree (umbrella_id)'), ('desk.registrations', 'btree (tenant_id); btree (umbrella_id)')) AS tables (relation, indexes);
SELECT is(
  test.triggers(relation), triggers, 'the triggers of ' || relation)
FROM (VALUES ('desk.calls'::regclass, NULL), ('desk.notes', NULL),
             ('desk.contacts', 'zz_revdesk_umbrella A tenant_id\000umbrella_id\000'), ('desk.registrations', 'zz_revdesk_umbrella A tenant_id\000umbrella_id\000')) AS tables (relation, triggers);
SELECT results_eq(
  $$SELECT relation::text, tenant_column, owner_column, umbrella_column, walk_up, had_row_security, had_forced_row_security
    FROM revdesk.protected_tables ORDER BY relation::text$$,
  $$VALUES ('desk.calls', 'tenant_id'::name, NULL::name, NULL::name, false, false, false), ('desk.contacts', 'tenant_id', 'owner_id', 'umbrella_id', false, false, false),
           ('desk.notes', 'tenant_id', 'owner_id', NULL, false, false, false), ('desk.registrations', 'tenant_id', NULL, 'umbrella_id', true, false, false)$$,
  'the registry');

-- The umbrella column of rows that were there before.
SELECT is(
  (SELECT string_agg(label || ' ' || CASE umbrella_id WHEN test.id('A') THEN 'A' WHEN test.id('B') THEN 'B' ELSE COALESCE(umbrella_id::text, 'null') END, ', ' ORDER BY id) FROM desk.contacts),
  'A A, A1 A, A2 A, B B, B1 B, none null, ann null, bob null, A2 by ann A', 'existing rows are filled in');
CREATE TABLE desk.liars (id integer, tenant_id uuid, umbrella_id uuid);
INSERT INTO desk.liars VALUES
  (1, test.id('A1'), test.id('B')), (2, test.id('B'), test.id('A')), (3, NULL, test.id('A')), (4, test.id('unknown'), NULL), (5, test.id('A1'), test.id('A')), (6, NULL, NULL);
ALTER TABLE desk.liars OWNER TO test_owner;
SELECT is(
  test.error('test_owner', NULL, $$SELECT revdesk_protect('desk.liars', umbrella_column => 'umbrella_id')$$), NULL, 'a tenant that does not exist has no umbrella, and needs none');
SELECT revdesk_protect('desk.liars', umbrella_column => 'umbrella_id');
SELECT is(
  (SELECT string_agg(id || ' ' || CASE umbrella_id WHEN test.id('A') THEN 'A' WHEN test.id('B') THEN 'B' ELSE COALESCE(umbrella_id::text, 'null') END, ', ' ORDER BY id) FROM desk.liars),
  '1 A, 2 B, 3 null, 4 null, 5 A, 6 null', 'lying umbrellas are corrected');

-- Calling it again: the same, or another declaration.
CREATE FUNCTION test.everything(relation regclass) RETURNS text LANGUAGE sql
AS $$
  SELECT concat_ws(' | ', test.security(relation), test.policies(relation), test.indexes(relation), test.triggers(relation),
    (SELECT (registered.relation, tenant_column, owner_column, umbrella_column, walk_up, had_row_security, had_forced_row_security, created_indexes)::text
     FROM revdesk.protected_tables AS registered WHERE registered.relation = everything.relation))
$$;
CREATE TEMP TABLE before AS SELECT relation, test.everything(relation) AS everything FROM revdesk.protected_tables;
SELECT FROM revdesk_protect('desk.calls');
SELECT FROM revdesk_protect('desk.contacts', 'tenant_id', 'owner_id', 'umbrella_id');
SELECT FROM revdesk_protect('desk.registrations', umbrella_column => 'umbrella_id', walk_up => true);
SELECT is(test.everything(relation), everything, 'protecting it again changes nothing of ' || relation) FROM before;
SELECT FROM revdesk_protect('desk.registrations', umbrella_column => 'umbrella_id');
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.registrations'), 'A1', 'a new declaration without walk-up holds');
SELECT FROM revdesk_protect('desk.registrations', walk_up => true);
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.registrations'), 'A,A1', 'and one with it, without an umbrella column');
SELECT is(test.triggers('desk.registrations'), NULL, 'whose trigger is gone');
SELECT is(test.rows('test_app', 'A', 'SELECT label FROM desk.registrations'), 'A,A1,A2', 'and which an organization reads by the tenants');
SELECT is(
  (SELECT had_row_security FROM revdesk.protected_tables WHERE relation = 'desk.registrations'::regclass), false, 'what was before is remembered from the first call');

-- A table without a tenant column; a walk-up table with owners.
CREATE TABLE desk.personal (id integer, owner_id uuid, label text);
INSERT INTO desk.personal VALUES (1, test.id('ann'), 'ann'), (2, test.id('bob'), 'bob'), (3, NULL, 'none');
CREATE TABLE desk.mixed (LIKE desk.notes);
INSERT INTO desk.mixed SELECT * FROM desk.notes;
SELECT FROM revdesk_protect('desk.personal', tenant_column => NULL, owner_column => 'owner_id');
SELECT FROM revdesk_protect('desk.mixed', owner_column => 'owner_id', walk_up => true);
GRANT ALL ON desk.personal, desk.mixed TO test_app;
SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.' || relation), expected, format('%s under %s', relation, COALESCE(key, 'no key')))
FROM (VALUES
  ('personal', 'ann', 'ann'), ('personal', 'bob', 'bob'), ('personal', 'eve', ''), ('personal', 'A', ''), ('personal', 'A1', ''), ('personal', NULL, ''),
  ('mixed', 'ann', 'A1,B,ann'), ('mixed', 'bob', 'A,bob'), ('mixed', 'A', 'A,A1,A2,A2 by ann'), ('mixed', 'A1', 'A,A1'), ('mixed', 'B1', 'B,B1'), ('mixed', NULL, '')
) AS cases (relation, key, expected);
SELECT is(
  test.write('test_app', key, statement), expected, name)
FROM (VALUES
  ('a personal row is written', 'ann', $$INSERT INTO desk.personal VALUES (100, test.id('ann'), 'x')$$, '1 rows, changed'),
  ('not somebody else''s', 'ann', $$INSERT INTO desk.personal VALUES (100, test.id('bob'), 'x')$$, '42501, unchanged'),
  ('not by a tenant', 'A', $$INSERT INTO desk.personal VALUES (100, test.id('bob'), 'x')$$, '42501, unchanged'),
  ('a row without an owner is nobody''s', 'ann', $$INSERT INTO desk.personal VALUES (100, NULL, 'x')$$, '42501, unchanged')
) AS cases (name, key, statement, expected);

-- Indexes are made where there is none that serves.
CREATE TABLE desk.indexed (tenant_id uuid, owner_id uuid, umbrella_id uuid, at timestamptz, label text, UNIQUE (tenant_id, at));
CREATE INDEX ON desk.indexed (owner_id) WHERE label = 'x';
CREATE INDEX ON desk.indexed USING hash (umbrella_id);
CREATE TEMP TABLE indexes_before AS SELECT test.indexes('desk.indexed') AS indexes;
SELECT FROM revdesk_protect('desk.indexed', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
SELECT is(
  (SELECT cardinality(created_indexes) FROM revdesk.protected_tables WHERE relation = 'desk.indexed'::regclass), 2,
  'none for a column that leads one; one beside a partial and one beside a hash index');
SELECT is(
  (SELECT count(*) FROM pg_index WHERE indrelid = 'desk.indexed'::regclass), 5::bigint, 'two more than before');
SELECT FROM revdesk_unprotect('desk.indexed');
SELECT is(test.indexes('desk.indexed'), (SELECT indexes FROM indexes_before), 'revdesk_unprotect drops those that were made, and no other');
CREATE TABLE desk.partly_indexed (tenant_id uuid PRIMARY KEY, owner_id uuid);
CREATE INDEX ON desk.partly_indexed (owner_id) WHERE tenant_id IS NULL;
SELECT FROM revdesk_protect('desk.partly_indexed', owner_column => 'owner_id');
SELECT is(
  (SELECT created_indexes FROM revdesk.protected_tables WHERE relation = 'desk.partly_indexed'::regclass), '{}'::name[],
  'none for owners where one of rows without a tenant serves');
-- One that is called as another would be.
CREATE INDEX indexed_owner_id_idx1 ON desk.indexed (at);
SELECT FROM revdesk_protect('desk.indexed', owner_column => 'owner_id');
CREATE INDEX mine ON desk.indexed (label);
SELECT FROM revdesk_unprotect('desk.indexed');
SELECT is(
  (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = 'desk.indexed'::regclass),
  'indexed_owner_id_idx,indexed_owner_id_idx1,indexed_tenant_id_at_key,indexed_umbrella_id_idx,mine', 'and no index that was made between');

-- Privileges that row security does not hold.
CREATE TABLE desk.granted (tenant_id uuid, label text);
GRANT ALL ON desk.granted TO test_app;
GRANT ALL ON desk.granted TO PUBLIC;
GRANT REFERENCES (label) ON desk.granted TO test_other;
GRANT SELECT (label), UPDATE (label), REFERENCES (label) ON desk.granted TO test_app WITH GRANT OPTION;
CREATE ROLE test_bypass BYPASSRLS;
GRANT TRUNCATE ON desk.granted TO test_bypass;
SELECT FROM revdesk_protect('desk.granted');
SELECT is(
  has_table_privilege(role, 'desk.granted', privilege), expected, format('%s after: %s', role, privilege))
FROM (VALUES ('test_app', 'SELECT', true), ('test_app', 'INSERT', true), ('test_app', 'UPDATE', true), ('test_app', 'DELETE', true),
             ('test_app', 'TRUNCATE', false), ('test_app', 'REFERENCES', false), ('test_app', 'TRIGGER', false),
             ('test_other', 'TRUNCATE', false), ('test_other', 'REFERENCES', false), ('test_other', 'TRIGGER', false), ('test_bypass', 'TRUNCATE', true)) AS cases (role, privilege, expected);
SELECT is(
  has_any_column_privilege(role, 'desk.granted', 'REFERENCES'), false, 'attack W8: no REFERENCES on a column is left to ' || role) FROM (VALUES ('test_app'), ('test_other')) AS roles (role);
SELECT is(has_column_privilege('test_app', 'desk.granted', 'label', 'SELECT WITH GRANT OPTION'), true, 'other privileges on columns stay');

-- revdesk_unprotect restores what was before.
SELECT is(
  test.run('postgres', NULL, 'SELECT revdesk_unprotect(''desk.contacts'')'), '1 rows', 'a protected table can be unprotected');
SELECT FROM revdesk_unprotect('desk.contacts');
SELECT is(
  concat_ws(' | ', test.security('desk.contacts'), test.policies('desk.contacts'), test.indexes('desk.contacts'), test.triggers('desk.contacts')), 'f f',
  'row security is off; policies, indexes and trigger are gone');
SELECT is((SELECT count(*) FROM revdesk.protected_tables WHERE relation = 'desk.contacts'::regclass), 0::bigint, 'and so is the registry entry');
SELECT is(test.rows('test_app', NULL, 'SELECT count(*) FROM desk.contacts'), '9', 'the table is as open as it was');
SELECT throws_ok(
  $$SELECT revdesk_unprotect('desk.contacts')$$, '55000', 'table desk.contacts is not protected', 'a table that is not protected cannot be unprotected');
CREATE TABLE desk.secured (tenant_id uuid, label text);
ALTER TABLE desk.secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON desk.secured USING (label = 'x');
CREATE TEMP TABLE secured AS SELECT test.policies('desk.secured') AS policies;
SELECT FROM revdesk_protect('desk.secured');
SELECT FROM revdesk_protect('desk.secured');
SELECT FROM revdesk_unprotect('desk.secured');
SELECT is(test.security('desk.secured'), 't t', 'row security that was there before stays');
SELECT is(test.policies('desk.secured'), (SELECT policies FROM secured), 'with its own policies');

-- A dropped table leaves the registry; a renamed one stays in it.
ALTER TABLE desk.secured RENAME TO renamed;
SELECT FROM revdesk_protect('desk.renamed');
ALTER TABLE desk.renamed RENAME TO secured;
SELECT is((SELECT count(*) FROM revdesk.protected_tables WHERE relation = 'desk.secured'::regclass), 1::bigint, 'a renamed table stays protected');
DROP TABLE desk.secured;
SELECT is((SELECT count(*) FROM revdesk.protected_tables LEFT JOIN pg_class ON pg_class.oid = relation WHERE pg_class.oid IS NULL), 0::bigint, 'a dropped one leaves the registry');
CREATE TYPE desk.row AS (tenant_id uuid);
CREATE TABLE desk.typed OF desk.row;
SELECT FROM revdesk_protect('desk.typed');
DROP TYPE desk.row CASCADE;
SELECT is((SELECT count(*) FROM revdesk.protected_tables LEFT JOIN pg_class ON pg_class.oid = relation WHERE pg_class.oid IS NULL), 0::bigint, 'nor does one stay that is dropped with its type');
-- Renamed columns.
ALTER TABLE desk.notes RENAME tenant_id TO team;
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.notes'), 'A1', 'a policy follows a renamed column');

SELECT * FROM finish();
ROLLBACK;
