-- Proves that partitions and children are protected with their parent: those that exist and those that come (attack R6).

BEGIN;
\ir setup/desk.psql
SELECT plan(218);
GRANT CREATE ON SCHEMA desk TO test_app;

SET LOCAL ROLE test_owner;
CREATE TABLE desk.events (id integer, tenant_id uuid, umbrella_id uuid, label text) PARTITION BY RANGE (id);
CREATE TABLE desk.events_1 PARTITION OF desk.events FOR VALUES FROM (0) TO (100);
CREATE TABLE desk.events_2 PARTITION OF desk.events FOR VALUES FROM (100) TO (200) PARTITION BY LIST (tenant_id);
CREATE TABLE desk.events_2_rest PARTITION OF desk.events_2 DEFAULT;
CREATE TABLE desk.parent (id integer, tenant_id uuid, umbrella_id uuid, label text);
CREATE TABLE desk.child (more text) INHERITS (desk.parent);
CREATE TABLE desk.grandchild () INHERITS (desk.child);
RESET ROLE;
INSERT INTO desk.events SELECT base + id, tenant_id, test.id('B'), label FROM desk.calls, (VALUES (0), (100)) AS bases (base);
INSERT INTO desk.parent SELECT id, tenant_id, test.id('B'), label FROM desk.calls;
INSERT INTO desk.child SELECT id, tenant_id, test.id('B'), label FROM desk.calls;
INSERT INTO desk.grandchild SELECT id, tenant_id, test.id('B'), label FROM desk.calls;
GRANT ALL ON desk.events, desk.events_1, desk.events_2, desk.events_2_rest, desk.parent, desk.child, desk.grandchild TO test_app;

SET LOCAL ROLE test_owner;
SELECT FROM revdesk_protect('desk.events', umbrella_column => 'umbrella_id');
SELECT FROM revdesk_protect('desk.parent', umbrella_column => 'umbrella_id');

-- After the protection: some more of every kind.
CREATE TABLE desk.events_new PARTITION OF desk.events FOR VALUES FROM (200) TO (300);
CREATE TABLE desk.events_attached (id integer, tenant_id uuid, umbrella_id uuid, label text);
INSERT INTO desk.events_attached VALUES (301, md5('A1')::uuid, md5('A')::uuid, 'A1'), (302, md5('B')::uuid, md5('B')::uuid, 'B');
GRANT ALL ON desk.events_attached TO test_app;
ALTER TABLE desk.events ATTACH PARTITION desk.events_attached FOR VALUES FROM (300) TO (400);
CREATE TABLE desk.events_tree (id integer, tenant_id uuid, umbrella_id uuid, label text) PARTITION BY RANGE (id);
CREATE TABLE desk.events_tree_leaf PARTITION OF desk.events_tree FOR VALUES FROM (400) TO (500);
INSERT INTO desk.events_tree VALUES (401, md5('A1')::uuid, md5('A')::uuid, 'A1'), (402, md5('B')::uuid, md5('B')::uuid, 'B');
GRANT ALL ON desk.events_tree, desk.events_tree_leaf TO test_app;
ALTER TABLE desk.events ATTACH PARTITION desk.events_tree FOR VALUES FROM (400) TO (500);
CREATE TABLE desk.events_2_b PARTITION OF desk.events_2 FOR VALUES IN ('00000000-0000-0000-0000-000000000000');
CREATE TABLE desk.child_new () INHERITS (desk.parent);
CREATE TABLE desk.child_later (LIKE desk.parent);
INSERT INTO desk.child_later VALUES (1, md5('A1')::uuid, md5('A')::uuid, 'A1'), (2, md5('B')::uuid, md5('B')::uuid, 'B');
GRANT ALL ON desk.child_later TO test_app;
ALTER TABLE desk.child_later INHERIT desk.parent;
RESET ROLE;
INSERT INTO desk.events SELECT 200 + id, tenant_id, NULL, label FROM desk.calls;
INSERT INTO desk.child_new SELECT id, tenant_id, NULL, label FROM desk.calls;
GRANT INSERT, SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA desk TO test_app;

CREATE TEMP TABLE relations AS
SELECT oid::regclass AS relation, relname FROM pg_class
WHERE relnamespace = 'desk'::regnamespace AND relname ~ '^(events|parent|child|grandchild)' AND relkind IN ('r', 'p');
SELECT is((SELECT count(*) FROM relations), 14::bigint, 'all of the trees are looked at');

SELECT is(
  (SELECT concat_ws(' ', relrowsecurity, relforcerowsecurity) FROM pg_class WHERE oid = relation), 't t', 'row security is enabled and forced on ' || relation) FROM relations;
SELECT is(
  test.rows('test_app', key, format('SELECT DISTINCT label FROM %s WHERE tenant_id IS NULL OR tenant_id <> ALL (%L::uuid[])', relation,
    (SELECT array_agg(test.id(tenant)) FROM unnest(tenants) AS tenant))), '', format('attack R6: %s by its own name, %s', relation, COALESCE('key ' || key, 'no key')))
FROM relations, (VALUES (NULL, '{}'::text[]), ('A1', '{A1}'), ('A', '{A,A1,A2}'), ('ann', '{A1,B}')) AS keys (key, tenants);
SELECT is(
  test.rows('test_app', 'A1', format('SELECT DISTINCT label FROM %s', relation)), CASE WHEN relname = 'events_2_b' THEN '' ELSE 'A1' END, 'attack R6: and the own rows are there: ' || relation)
FROM relations;
SELECT is(
  test.rows('test_app', 'A1', format('SELECT label FROM %s', relation)), expected, 'all of the tree by its root: ' || relation)
FROM (VALUES ('desk.events', 'A1,A1,A1,A1,A1'), ('desk.parent', 'A1,A1,A1,A1,A1')) AS roots (relation, expected);
SELECT is(
  test.run('test_app', 'A1', format('INSERT INTO %s (id, tenant_id, label) VALUES (%s, %L, ''x'')', relation, id, test.id('B'))), '42501', 'attack R6: no row of another tenant into ' || relation)
FROM (VALUES ('desk.events', 50), ('desk.events_1', 50), ('desk.events_2', 150), ('desk.events_2_rest', 150), ('desk.events_new', 250), ('desk.events_attached', 350),
             ('desk.events_tree', 450), ('desk.events_tree_leaf', 450), ('desk.parent', 1), ('desk.child', 1), ('desk.grandchild', 1), ('desk.child_new', 1), ('desk.child_later', 1)) AS relations (relation, id);
SELECT is(
  test.run('test_app', 'A1', format('UPDATE %s SET label = ''x'' WHERE label <> ''A1''', relation)), '0 rows', 'attack R6: none is changed in ' || relation) FROM relations;
SELECT is(
  has_table_privilege('test_app', relation, 'TRUNCATE') OR has_table_privilege('test_app', relation, 'TRIGGER') OR has_table_privilege('test_app', relation, 'REFERENCES'), false,
  'attack W8: dangerous privileges are revoked on ' || relation)
FROM relations;

-- Umbrellas, in every part.
CREATE FUNCTION test.lies(relation regclass) RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
  lies bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM ONLY %s AS rows LEFT JOIN revdesk.tenants ON tenants.id = tenant_id
                  WHERE rows.umbrella_id IS DISTINCT FROM COALESCE(tenants.umbrella_id, tenants.id)', relation) INTO lies;
  RETURN lies;
END
$$;
SELECT is(test.lies(relation), 0::bigint, 'the umbrellas are right in ' || relation) FROM relations;
SELECT is(
  test.rows('test_app', 'A', format('SELECT DISTINCT label FROM %s', relation)), 'A,A1,A2', 'and an organization sees its rows in ' || relation)
FROM relations WHERE relname IN ('events', 'events_1', 'events_2', 'events_2_rest', 'events_new', 'parent', 'child', 'grandchild', 'child_new');
SELECT is(
  (SELECT count(*) FROM pg_trigger WHERE tgrelid = relation AND tgname = 'zz_revdesk_umbrella' AND tgenabled = 'A'), 1::bigint, 'one trigger, always enabled, on ' || relation) FROM relations;
SELECT is(
  test.write('test_app', 'A1', format('INSERT INTO %s (id, tenant_id, umbrella_id, label) VALUES (%s, %L, %L, ''new'')', relation, id, test.id('A1'), test.id('B')),
             format('SELECT umbrella_id = test.id(''A'') FROM %s WHERE label = ''new''', relation)), '1 rows, true', 'attack W6: a lying umbrella is corrected in ' || relation)
FROM (VALUES ('desk.events', 50), ('desk.events_1', 50), ('desk.events_2', 150), ('desk.events_new', 250), ('desk.events_attached', 350), ('desk.events_tree_leaf', 450),
             ('desk.parent', 1), ('desk.child', 1), ('desk.grandchild', 1), ('desk.child_new', 1), ('desk.child_later', 1)) AS relations (relation, id);
-- From one partition to another, the tenant changing too.
SELECT is(
  test.write('test_app', 'A', $$UPDATE desk.events SET id = 250, tenant_id = test.id('A2'), umbrella_id = test.id('B'), label = 'moved' WHERE id = 2$$,
             $$SELECT tableoid::regclass || ' ' || (umbrella_id = test.id('A')) FROM desk.events WHERE label = 'moved'$$), '1 rows, desk.events_new true', 'a row that moves to another partition');
SELECT is(
  test.run('test_app', 'A1', $$UPDATE desk.events SET id = 250, tenant_id = test.id('A2') WHERE id = 2$$), '42501', 'attack W3: not to another tenant with it');

-- What is attached must not lie about umbrellas already.
SET LOCAL ROLE test_owner;
CREATE TABLE desk.liars (id integer, tenant_id uuid, umbrella_id uuid, label text);
INSERT INTO desk.liars VALUES (701, md5('A1')::uuid, md5('B')::uuid, 'A1');
RESET ROLE;
SELECT is(
  test.error('test_owner', NULL, statement),
  '23514 | column "umbrella_id" of table desk.liars must hold the umbrella of each row''s tenant | '
  'Call revdesk_protect() for desk.liars, then revdesk_unprotect(), and try again.', 'attack W6: lying umbrellas are not attached: ' || statement)
FROM (VALUES ('ALTER TABLE desk.events ATTACH PARTITION desk.liars FOR VALUES FROM (700) TO (800)'), ('ALTER TABLE desk.liars INHERIT desk.parent')) AS cases (statement);
SELECT lives_ok(
  $$SELECT revdesk_protect('desk.liars', umbrella_column => 'umbrella_id'), revdesk_unprotect('desk.liars')$$, 'what the refusal advises');
SELECT is(
  test.run('test_owner', NULL, 'ALTER TABLE desk.events ATTACH PARTITION desk.liars FOR VALUES FROM (700) TO (800)') ~ '^[0-9]+ rows$', true, 'attack W6: helps');

-- A walk-up declaration reaches the parts as well.
SET LOCAL ROLE test_owner;
SELECT FROM revdesk_protect('desk.events', umbrella_column => 'umbrella_id', walk_up => true);
CREATE TABLE desk.events_late PARTITION OF desk.events FOR VALUES FROM (500) TO (600);
RESET ROLE;
INSERT INTO desk.events SELECT 500 + id, tenant_id, NULL, label FROM desk.calls;
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.events_late TO test_app;
SELECT is(
  test.rows('test_app', 'A1', 'SELECT DISTINCT label FROM desk.' || relation), 'A,A1', 'walk-up on ' || relation)
FROM (VALUES ('events'), ('events_1'), ('events_2_rest'), ('events_late')) AS relations (relation);
SELECT is(
  test.run('test_app', 'A1', format('UPDATE desk.%s SET label = ''x'' WHERE label = ''A''', relation)), '0 rows', 'attack W9: and never a write: ' || relation)
FROM (VALUES ('events'), ('events_1'), ('events_2_rest'), ('events_late')) AS relations (relation);

-- Detached, a partition stays closed.
ALTER TABLE desk.events DETACH PARTITION desk.events_1;
SELECT is(test.rows('test_app', 'A1', 'SELECT label FROM desk.events_1'), 'A,A1', 'attack R6: a detached partition keeps its policies');
SELECT is(test.rows('test_app', NULL, 'SELECT label FROM desk.events_1'), '', 'attack R6: and is closed without a key');
SELECT is(
  test.write('test_app', 'A1', $$INSERT INTO desk.events_1 VALUES (50, test.id('A1'), test.id('B'), 'x')$$,
             $$SELECT umbrella_id IS NOT DISTINCT FROM test.id('B') FROM desk.events_1 WHERE label = 'x'$$), '1 rows, false', 'attack W6: no lie about the umbrella gets into it');
SELECT throws_ok('ALTER TABLE desk.events ATTACH PARTITION desk.events_1 FOR VALUES FROM (0) TO (100)', '42710', NULL, 'its own trigger is in the way when it is attached again');
SELECT lives_ok($$SELECT revdesk_unprotect('desk.events_1'); ALTER TABLE desk.events ATTACH PARTITION desk.events_1 FOR VALUES FROM (0) TO (100)$$, 'until it is unprotected');
SELECT is(test.rows('test_app', 'A1', 'SELECT DISTINCT label FROM desk.events_1'), 'A,A1', 'and as a partition it is protected');
ALTER TABLE desk.events DETACH PARTITION desk.events_1;

-- A partition by itself is neither declared nor unprotected.
SELECT is(
  test.error('test_owner', NULL, $$SELECT revdesk_unprotect('desk.events_new')$$),
  '55000 | table desk.events_new is not protected | A partition is protected and unprotected with its parent.', 'a partition is unprotected with its parent');
SELECT FROM revdesk_unprotect('desk.events');
SELECT is(
  (SELECT string_agg(relname, ',') FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid WHERE relname LIKE 'events%' AND relname <> 'events_1'), NULL, 'revdesk_unprotect drops the policies of all partitions');
SELECT is(
  (SELECT string_agg(relname, ',') FROM pg_class WHERE relname LIKE 'events%' AND relname <> 'events_1' AND relrowsecurity), NULL, 'and leaves row security as it was');
SELECT is(
  (SELECT string_agg(relname, ',') FROM pg_class JOIN pg_trigger ON tgrelid = pg_class.oid WHERE relname LIKE 'events%' AND relname <> 'events_1'), NULL, 'and no trigger');

-- What was before, part by part.
SET LOCAL ROLE test_owner;
CREATE TABLE desk.mixed (id integer, tenant_id uuid) PARTITION BY RANGE (id);
CREATE TABLE desk.mixed_1 PARTITION OF desk.mixed FOR VALUES FROM (0) TO (10);
CREATE TABLE desk.mixed_2 PARTITION OF desk.mixed FOR VALUES FROM (10) TO (20);
ALTER TABLE desk.mixed_1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT FROM revdesk_protect('desk.mixed');
SELECT FROM revdesk_unprotect('desk.mixed');
RESET ROLE;
SELECT is(
  (SELECT string_agg(concat_ws(' ', relname, relrowsecurity, relforcerowsecurity), ', ' ORDER BY relname) FROM pg_class WHERE relname LIKE 'mixed%'),
  'mixed f f, mixed_1 t t, mixed_2 f f', 'revdesk_unprotect leaves on row security that a partition had of its own');

-- An unprotected tree is left alone by the event trigger.
SET LOCAL ROLE test_app;
CREATE TABLE desk.apps (id integer) PARTITION BY RANGE (id);
CREATE TABLE desk.apps_1 PARTITION OF desk.apps FOR VALUES FROM (0) TO (10);
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_policy WHERE polrelid IN ('desk.apps'::regclass, 'desk.apps_1'::regclass)), 0::bigint, 'tables that nobody protected are left alone');
-- Somebody else's table cannot be attached to lay hands on it, nor escape.
SELECT is(
  test.run('test_app', NULL, 'DO $do$ BEGIN CREATE TABLE desk.mine () INHERITS (desk.parent); END $do$'), '42501', 'attack R6: nobody but the owner makes a child of a protected table');

-- Made by a command that makes a schema.
CREATE TABLE desk.visits (id integer, tenant_id uuid) PARTITION BY RANGE (id);
SELECT FROM revdesk_protect('desk.visits');
CREATE SCHEMA annex CREATE TABLE visits PARTITION OF desk.visits DEFAULT;
SELECT is(
  (SELECT concat_ws(' ', relrowsecurity, relforcerowsecurity) FROM pg_class WHERE oid = 'annex.visits'::regclass), 't t',
  'attack R6: a partition made by CREATE SCHEMA is protected');

-- Who owns a part of a tree, and not the root, whose row of the registry he does
-- not see, makes no open partition and takes none out.
SET LOCAL ROLE test_owner;
CREATE TABLE desk.shared (id integer, tenant_id uuid, umbrella_id uuid) PARTITION BY RANGE (id);
CREATE TABLE desk.shared_1 PARTITION OF desk.shared FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE TABLE desk.shared_1_1 PARTITION OF desk.shared_1 FOR VALUES FROM (0) TO (10);
RESET ROLE;
GRANT CREATE ON SCHEMA desk TO test_other;
GRANT CREATE ON DATABASE pgtap TO test_other;
SELECT FROM revdesk_protect('desk.shared', umbrella_column => 'umbrella_id');
ALTER TABLE desk.shared_1 OWNER TO test_other;
SET LOCAL ROLE test_other;
CREATE TABLE desk.stray (id integer, tenant_id uuid, umbrella_id uuid);
CREATE TABLE desk.inherited (id integer, tenant_id uuid);
RESET ROLE;
CREATE TABLE desk.orphan (tenant_id uuid);
SELECT revdesk_protect('desk.orphan');
SET LOCAL session_replication_role = replica;
DELETE FROM revdesk.protected_tables WHERE relation = 'desk.orphan'::regclass;
SET LOCAL session_replication_role = origin;
SELECT is(test.error(role, NULL, statement), expected, 'attack R6: ' || name)
FROM (VALUES
  ('test_other', 'a new partition', 'CREATE TABLE desk.shared_1_2 PARTITION OF desk.shared_1 FOR VALUES FROM (10) TO (20)', '42501 | must be owner of protected table desk.shared'),
  ('test_other', 'one that is attached', 'ALTER TABLE desk.shared_1 ATTACH PARTITION desk.stray FOR VALUES FROM (10) TO (20)', '42501 | must be owner of protected table desk.shared'),
  ('test_other', 'one that is detached', 'ALTER TABLE desk.shared_1 DETACH PARTITION desk.shared_1_1', '42501 | must be owner of protected table desk.shared'),
  ('test_other', 'one that is made by CREATE SCHEMA', 'CREATE SCHEMA more CREATE TABLE shared PARTITION OF desk.shared_1 DEFAULT', '42501 | must be owner of protected table desk.shared'),
  ('postgres', 'a superuser sees all of the registry', 'CREATE TABLE desk.shared_1_2 PARTITION OF desk.shared_1 FOR VALUES FROM (10) TO (20)', NULL),
  ('postgres', 'and nobody a row that is lost', 'CREATE TABLE desk.orphan_1 () INHERITS (desk.orphan)',
   '55000 | table desk.orphan has policies of revdesk_protect(), but is not in revdesk.protected_tables | Call revdesk_protect() again, for it or for the table that it is a partition of.'),
  ('postgres', 'until it is protected again', 'SELECT revdesk_protect(''desk.orphan''); CREATE TABLE desk.orphan_1 () INHERITS (desk.orphan)', NULL)
) AS cases (role, name, statement, expected);

-- A part that belongs to somebody else than its root: PostgreSQL would drop the
-- trigger of its umbrella column, and who detaches it cannot make another.
ALTER TABLE desk.shared_1 OWNER TO test_owner;
ALTER TABLE desk.shared_1_1 OWNER TO test_other;
GRANT SELECT, INSERT ON desk.shared_1_1 TO test_app;
SELECT is(test.error('test_owner', NULL, statement), expected, name)
FROM (VALUES
  ('attack W6: nobody detaches what he does not own', 'ALTER TABLE desk.shared_1 DETACH PARTITION desk.shared_1_1', '42501 | must be owner of table desk.shared_1_1'),
  ('nor unprotects it', 'SELECT revdesk_unprotect(''desk.shared'')', '42501 | must be owner of relation shared_1_1'),
  ('attack W6: nor registers it', $$UPDATE revdesk.protected_tables SET root = relation WHERE relation = 'desk.shared_1_1'::regclass$$,
   '42501 | new row violates row-level security policy for table "protected_tables"')
) AS cases (name, statement, expected);
SELECT is(
  test.rows(role, NULL, $$SELECT relation FROM revdesk.protected_tables WHERE relation::text LIKE '%shared%'$$), expected, 'the rows of the registry that are seen by ' || role)
FROM (VALUES ('test_owner', 'desk.shared,desk.shared_1,desk.shared_1_1'), ('test_other', 'desk.shared_1_1'), ('test_app', '')) AS cases (role, expected);
ALTER TABLE desk.shared_1_1 OWNER TO test_owner;
SELECT is(
  test.write('test_owner', NULL, 'ALTER TABLE desk.shared_1 DETACH PARTITION desk.shared_1_1',
    $$SELECT concat_ws(' ', root, (SELECT count(*) FROM pg_trigger WHERE tgrelid = relation AND tgname = 'zz_revdesk_umbrella'))
      FROM revdesk.protected_tables WHERE relation = 'desk.shared_1_1'::regclass$$),
  '0 rows, desk.shared_1_1 1', 'who owns both detaches it, and it has a trigger of its own');

SELECT * FROM finish();
ROLLBACK;
