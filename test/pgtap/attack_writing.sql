-- Proves that no form of statement writes a row of another tenant (attacks W1 to W6, W8).

BEGIN;
\ir setup/desk.psql
SELECT plan(75);

-- Some minor releases of PostgreSQL let ON CONFLICT look at hidden rows, as the
-- lint (SERVER_TOO_OLD) and the README say.
CREATE FUNCTION test.lacks_fixes() RETURNS boolean LANGUAGE sql
RETURN revdesk.lacks_fixes(current_setting('server_version_num')::integer);

ALTER TABLE desk.calls ALTER tenant_id SET DEFAULT md5('B')::uuid;
CREATE VIEW desk.calls_view WITH (security_invoker = true) AS SELECT * FROM desk.calls;
CREATE VIEW desk.owners_view AS SELECT * FROM desk.calls;
ALTER VIEW desk.owners_view OWNER TO test_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.calls_view, desk.owners_view TO test_app;

SELECT is(
  test.write('test_app', 'A1', statement), expected || ', unchanged', name)
FROM (VALUES
  ('attack W1: INSERT for a sibling', $$INSERT INTO desk.calls VALUES (100, test.id('A2'), 'x')$$, '42501'),
  ('attack W1: INSERT for the umbrella', $$INSERT INTO desk.calls VALUES (100, test.id('A'), 'x')$$, '42501'),
  ('attack W1: INSERT for another organization', $$INSERT INTO desk.calls VALUES (100, test.id('B'), 'x')$$, '42501'),
  ('attack W1: INSERT for nobody', $$INSERT INTO desk.calls VALUES (100, NULL, 'x')$$, '42501'),
  ('attack W1: INSERT of the default tenant', $$INSERT INTO desk.calls (id, label) VALUES (100, 'x')$$, '42501'),
  ('attack W1: INSERT of DEFAULT', $$INSERT INTO desk.calls VALUES (100, DEFAULT, 'x')$$, '42501'),
  ('attack W1: INSERT SELECT', $$INSERT INTO desk.calls SELECT 100, test.id(tenant), 'x' FROM (VALUES ('A1'), ('B')) AS tenants (tenant)$$, '42501'),
  ('attack W1: INSERT of one''s own and another''s', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'x'), (101, test.id('B'), 'x')$$, '42501'),
  ('attack W1: INSERT in a CTE', $$WITH new AS (INSERT INTO desk.calls VALUES (100, test.id('B'), 'x') RETURNING *) SELECT * FROM new$$, '42501'),
  ('attack W1: INSERT through a view', $$INSERT INTO desk.calls_view VALUES (100, test.id('B'), 'x')$$, '42501'),
  ('attack W1: INSERT through a view of the owner''s', $$INSERT INTO desk.owners_view VALUES (100, test.id('B'), 'x')$$, '42501'),
  ('attack W1: INSERT OVERRIDING', $$INSERT INTO desk.calls OVERRIDING SYSTEM VALUE VALUES (100, test.id('B'), 'x')$$, '42501'),
  ('attack W2: UPDATE by key', $$UPDATE desk.calls SET label = 'x' WHERE id = 4$$, '0 rows'),
  ('attack W2: UPDATE by tenant', $$UPDATE desk.calls SET label = 'x' WHERE tenant_id = test.id('B')$$, '0 rows'),
  ('attack W2: UPDATE by ctid', $$UPDATE desk.calls SET label = 'x' WHERE ctid = '(0,4)'$$, '0 rows'),
  ('attack W2: UPDATE FROM', $$UPDATE desk.calls SET label = 'x' FROM (VALUES (4)) AS wanted (id) WHERE calls.id = wanted.id$$, '0 rows'),
  ('attack W2: UPDATE through a view', $$UPDATE desk.calls_view SET label = 'x' WHERE id = 4$$, '0 rows'),
  ('attack W2: UPDATE through a view of the owner''s', $$UPDATE desk.owners_view SET label = 'x' WHERE id = 4$$, '0 rows'),
  ('attack W2: DELETE by key', $$DELETE FROM desk.calls WHERE id = 4$$, '0 rows'),
  ('attack W2: DELETE of the sibling''s', $$DELETE FROM desk.calls WHERE tenant_id = test.id('A2')$$, '0 rows'),
  ('attack W2: DELETE USING', $$DELETE FROM desk.calls USING (VALUES (4)) AS wanted (id) WHERE calls.id = wanted.id$$, '0 rows'),
  ('attack W2: DELETE in a CTE', $$WITH gone AS (DELETE FROM desk.calls WHERE id <> 2 RETURNING *) SELECT * FROM gone$$, '0 rows'),
  ('attack W3: moving a row to a sibling', $$UPDATE desk.calls SET tenant_id = test.id('A2')$$, '42501'),
  ('attack W3: moving a row to the umbrella', $$UPDATE desk.calls SET tenant_id = test.id('A')$$, '42501'),
  ('attack W3: moving a row to another organization', $$UPDATE desk.calls SET tenant_id = test.id('B')$$, '42501'),
  ('attack W3: moving a row to nobody', $$UPDATE desk.calls SET tenant_id = NULL$$, '42501'),
  ('attack W3: moving a row to the default', $$UPDATE desk.calls SET tenant_id = DEFAULT$$, '42501'),
  ('attack W3: moving a row to a tenant that does not exist', $$UPDATE desk.contacts SET tenant_id = test.id('unknown')$$, '42501'),
  ('attack W3: moving a row away from row to row', $$UPDATE desk.calls SET (tenant_id, label) = (SELECT test.id('B'), 'x')$$, '42501'),
  ('attack W4: ON CONFLICT DO UPDATE hitting another''s row', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET label = 'x'$$, '42501'),
  ('attack W4: the same with a WHERE that lets nothing through', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET label = 'x' WHERE false$$, CASE WHEN test.lacks_fixes() THEN '0 rows' ELSE '42501' END),
  ('attack W4: the same with a WHERE that tells what is there', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET label = 'x' WHERE 1 / (calls.label <> 'B')::integer = 1$$, CASE WHEN test.lacks_fixes() THEN '22012' ELSE '42501' END),
  ('attack W4: the same taking the tenant along', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET tenant_id = EXCLUDED.tenant_id$$, '42501'),
  ('attack W4: ON CONFLICT DO NOTHING', $$INSERT INTO desk.calls VALUES (4, test.id('A1'), 'x') ON CONFLICT DO NOTHING$$, '0 rows'),
  ('attack W4: ON CONFLICT moving one''s own row', $$INSERT INTO desk.calls VALUES (2, test.id('A1'), 'x') ON CONFLICT (id) DO UPDATE SET tenant_id = test.id('B')$$, '42501'),
  ('attack W5: MERGE UPDATE of all rows', $$MERGE INTO desk.calls USING (VALUES (4)) AS wanted (id) ON calls.id = wanted.id WHEN MATCHED THEN UPDATE SET label = 'x'$$, '0 rows'),
  ('attack W5: MERGE DELETE of all rows', $$MERGE INTO desk.calls USING (VALUES (4)) AS wanted (id) ON calls.id = wanted.id WHEN MATCHED THEN DELETE$$, '0 rows'),
  ('attack W5: MERGE INSERT for another', $$MERGE INTO desk.calls USING (VALUES (100)) AS wanted (id) ON calls.id = wanted.id WHEN NOT MATCHED THEN INSERT VALUES (100, test.id('B'), 'x')$$, '42501'),
  ('attack W5: MERGE moving one''s own row', $$MERGE INTO desk.calls USING (VALUES (2)) AS wanted (id) ON calls.id = wanted.id WHEN MATCHED THEN UPDATE SET tenant_id = test.id('B')$$, '42501'),
  ('attack W5: MERGE that inserts over another''s key', $$MERGE INTO desk.calls USING (VALUES (4)) AS wanted (id) ON calls.id = wanted.id WHEN NOT MATCHED THEN INSERT VALUES (4, test.id('A1'), 'x')$$, '23505'),
  ('attack W6: a personal row of somebody', $$INSERT INTO desk.contacts VALUES (100, NULL, NULL, test.id('ann'), 'x')$$, '42501'),
  ('attack W6: one''s row given to somebody personally', $$UPDATE desk.notes SET tenant_id = NULL, owner_id = test.id('ann')$$, '42501'),
  ('attack W6: an umbrella without a tenant', $$INSERT INTO desk.contacts VALUES (100, NULL, test.id('A'), NULL, 'x')$$, '42501'),
  ('attack W6: the own umbrella with another tenant', $$INSERT INTO desk.contacts VALUES (100, test.id('B1'), test.id('A'), NULL, 'x')$$, '42501'),
  ('attack W8: TRUNCATE', 'TRUNCATE desk.calls', '42501'),
  ('attack W8: TRUNCATE CASCADE', 'TRUNCATE desk.calls CASCADE', '42501')
) AS cases (name, statement, expected);

SELECT is(
  test.write('test_app', key, statement), expected || ', unchanged', name)
FROM (VALUES
  ('attack W1: an organization inserts for another''s child', 'A', $$INSERT INTO desk.contacts VALUES (100, test.id('B1'), NULL, NULL, 'x')$$, '42501'),
  ('attack W6: an organization lies about the umbrella of another''s child', 'A', $$INSERT INTO desk.contacts VALUES (100, test.id('B1'), test.id('A'), NULL, 'x')$$, '42501'),
  ('attack W6: an organization takes an umbrella without a tenant', 'A', $$INSERT INTO desk.contacts VALUES (100, NULL, test.id('A'), NULL, 'x')$$, '42501'),
  ('attack W3: an organization moves a child''s row to another''s child', 'A', $$UPDATE desk.contacts SET tenant_id = test.id('B1') WHERE id = 2$$, '42501'),
  ('attack W3: an organization makes a row personal', 'A', $$UPDATE desk.contacts SET tenant_id = NULL, owner_id = test.id('bob') WHERE id = 2$$, '42501'),
  ('attack W2: an organization updates another''s', 'A', $$UPDATE desk.contacts SET label = 'x' WHERE umbrella_id = test.id('B')$$, '0 rows'),
  ('attack W1: a user inserts for a tenant that is not the user''s', 'ann', $$INSERT INTO desk.notes VALUES (100, test.id('A'), test.id('ann'), 'x')$$, '42501'),
  ('attack W1: a user inserts for another user', 'ann', $$INSERT INTO desk.notes VALUES (100, NULL, test.id('bob'), 'x')$$, '42501'),
  ('attack W6: a user gives a personal row away', 'ann', $$UPDATE desk.notes SET owner_id = test.id('bob') WHERE tenant_id IS NULL$$, '42501'),
  ('attack W6: a user gives a personal row to nobody', 'ann', $$UPDATE desk.notes SET owner_id = NULL WHERE tenant_id IS NULL$$, '42501'),
  ('attack W6: a user gives a personal row to a foreign tenant', 'ann', $$UPDATE desk.notes SET tenant_id = test.id('A2') WHERE tenant_id IS NULL$$, '42501'),
  ('attack W2: a user updates another''s personal rows', 'ann', $$UPDATE desk.notes SET label = 'x' WHERE owner_id = test.id('bob')$$, '0 rows'),
  ('attack W1: nobody inserts', NULL, $$INSERT INTO desk.contacts VALUES (100, NULL, NULL, NULL, 'x')$$, '42501')
) AS cases (name, key, statement, expected);

-- W6: what a caller writes into the umbrella column never counts.
SELECT is(
  test.write('test_app', key, statement, $$SELECT CASE umbrella_id WHEN test.id('A') THEN 'A' WHEN test.id('B') THEN 'B' ELSE COALESCE(umbrella_id::text, 'null') END
    FROM desk.contacts WHERE id IN (2, 100) ORDER BY id DESC LIMIT 1$$), '1 rows, ' || expected, name)
FROM (VALUES
  ('attack W6: a lying umbrella in INSERT is corrected', 'A1', $$INSERT INTO desk.contacts VALUES (100, test.id('A1'), test.id('B'), NULL, 'x')$$, 'A'),
  ('attack W6: a missing one is filled in', 'A1', $$INSERT INTO desk.contacts VALUES (100, test.id('A1'), NULL, NULL, 'x')$$, 'A'),
  ('attack W6: an umbrella is its own umbrella', 'A', $$INSERT INTO desk.contacts VALUES (100, test.id('A'), test.id('B'), NULL, 'x')$$, 'A'),
  ('attack W6: a lying umbrella in UPDATE is corrected', 'A1', $$UPDATE desk.contacts SET umbrella_id = test.id('B')$$, 'A'),
  ('attack W6: null in UPDATE too', 'A1', $$UPDATE desk.contacts SET umbrella_id = NULL$$, 'A'),
  ('attack W6: it follows the tenant', 'ann', $$UPDATE desk.contacts SET tenant_id = test.id('B') WHERE id = 2$$, 'B'),
  ('attack W6: a personal row has none', 'ann', $$INSERT INTO desk.contacts VALUES (100, NULL, test.id('A'), test.id('ann'), 'x')$$, 'null'),
  ('attack W6: in MERGE as well', 'A1', $$MERGE INTO desk.contacts USING (VALUES (100)) AS new (id) ON contacts.id = new.id
     WHEN NOT MATCHED THEN INSERT VALUES (100, test.id('A1'), test.id('B'), NULL, 'x')$$, 'A'),
  ('attack W6: in ON CONFLICT DO UPDATE as well', 'A1', $$INSERT INTO desk.contacts VALUES (2, test.id('A1'), NULL, NULL, 'x')
     ON CONFLICT (id) DO UPDATE SET umbrella_id = test.id('B')$$, 'A')
) AS cases (name, key, statement, expected);

-- A trigger of the owner's that moves the row is judged by what it leaves.
SET LOCAL ROLE test_owner;
CREATE FUNCTION desk.move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id := md5('B')::uuid; RETURN NEW; END $$;
CREATE TRIGGER zzz_move BEFORE INSERT OR UPDATE ON desk.notes FOR EACH ROW EXECUTE FUNCTION desk.move();
CREATE TRIGGER move BEFORE INSERT OR UPDATE ON desk.contacts FOR EACH ROW EXECUTE FUNCTION desk.move();
RESET ROLE;
SELECT is(
  test.write('test_app', 'A1', statement), '42501, unchanged', 'attack R18: ' || name)
FROM (VALUES
  ('a trigger that moves a new row', $$INSERT INTO desk.notes VALUES (100, test.id('A1'), NULL, 'x')$$),
  ('a trigger that moves a changed row', $$UPDATE desk.notes SET label = 'x'$$),
  ('a trigger that moves a row with an umbrella', $$UPDATE desk.contacts SET label = 'x'$$)
) AS cases (name, statement);

-- Triggers and rules cannot be switched off by the caller.
SELECT is(
  test.run('test_app', 'A1', statement), '42501', 'attack W8: ' || statement)
FROM (VALUES ($$SET session_replication_role = replica$$), ('ALTER TABLE desk.contacts DISABLE TRIGGER ALL'),
             ('ALTER TABLE desk.contacts DISABLE TRIGGER zz_revdesk_umbrella')) AS cases (statement);
DROP TRIGGER move ON desk.contacts;
SELECT is(
  test.write('postgres', NULL, $$SET LOCAL session_replication_role = replica; INSERT INTO desk.contacts VALUES (100, test.id('A1'), test.id('B'), NULL, 'x')$$,
             $$SELECT umbrella_id = test.id('A') FROM desk.contacts WHERE id = 100$$),
  '1 rows, true', 'attack W6: nor does a replication role switch the umbrella''s trigger off');

SELECT * FROM finish();
ROLLBACK;
