-- The umbrella column of a protected table is right, whatever anybody writes.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
GRANT EXECUTE ON FUNCTION app.token(text), app.try(text) TO regress_app;
-- The rows that were there before.
SELECT id, umbrella_id, body FROM app.docs ORDER BY id;

-- Lies, in an INSERT and in an UPDATE, of an administrator and of a key.
INSERT INTO app.docs VALUES (10, 'aaaaaaaa-0000-0000-0000-000000000001', NULL, 'bbbbbbbb-0000-0000-0000-000000000000', 'lie'),
  (11, 'aaaaaaaa-0000-0000-0000-000000000000', NULL, NULL, 'lie'),
  (12, NULL, NULL, 'bbbbbbbb-0000-0000-0000-000000000000', 'lie');
UPDATE app.docs SET umbrella_id = 'bbbbbbbb-0000-0000-0000-000000000000' WHERE id IN (1, 2);
UPDATE app.docs SET umbrella_id = NULL WHERE id = 3;
SELECT id, tenant_id, umbrella_id FROM app.docs WHERE id IN (1, 2, 3, 10, 11, 12) ORDER BY id;
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
INSERT INTO app.docs VALUES (20, 'aaaaaaaa-0000-0000-0000-000000000001', NULL, 'bbbbbbbb-0000-0000-0000-000000000000', 'lie')
RETURNING id, umbrella_id;
UPDATE app.docs SET umbrella_id = 'bbbbbbbb-0000-0000-0000-000000000000' WHERE id = 2 RETURNING id, umbrella_id;
INSERT INTO app.docs AS d VALUES (2, 'aaaaaaaa-0000-0000-0000-000000000001', NULL, NULL, 'conflict')
ON CONFLICT (id) DO UPDATE SET umbrella_id = 'bbbbbbbb-0000-0000-0000-000000000000' RETURNING id, umbrella_id;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('b0'));
SELECT count(*) AS of_a FROM app.docs WHERE body IN ('lie', 'of A1');
ROLLBACK;
RESET ROLE;

-- A tenant that changes.
UPDATE app.docs SET tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001' WHERE id = 10 RETURNING umbrella_id;
UPDATE app.docs SET tenant_id = NULL WHERE id = 10 RETURNING umbrella_id;
UPDATE app.docs SET tenant_id = 'aaaaaaaa-0000-0000-0000-000000000002' WHERE id = 10 RETURNING umbrella_id;

-- COPY, and a session that fires no ordinary triggers.
COPY app.docs (id, tenant_id, umbrella_id, body) FROM stdin;
30	aaaaaaaa-0000-0000-0000-000000000002	bbbbbbbb-0000-0000-0000-000000000000	copied
\.
SET session_replication_role = replica;
INSERT INTO app.docs VALUES (31, 'bbbbbbbb-0000-0000-0000-000000000001', NULL, 'aaaaaaaa-0000-0000-0000-000000000000', 'replicated');
RESET session_replication_role;
SELECT id, umbrella_id FROM app.docs WHERE id IN (30, 31) ORDER BY id;

-- Another BEFORE trigger does not have the last word.
CREATE FUNCTION app.lie() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN NEW.umbrella_id := 'bbbbbbbb-0000-0000-0000-000000000000'; RETURN NEW; END $$;
CREATE TRIGGER lie BEFORE INSERT OR UPDATE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.lie();
INSERT INTO app.docs VALUES (40, 'aaaaaaaa-0000-0000-0000-000000000001', NULL, NULL, 'x') RETURNING umbrella_id;
DROP TRIGGER lie ON app.docs;

-- A tenant that does not exist: an administrator is told; a key is told what
-- it is told of a tenant of others.
INSERT INTO app.docs VALUES (50, 'aaaaaaaa-0000-0000-0000-00000000ffff', NULL, NULL, 'x');
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('a0'));
SELECT app.try('INSERT INTO app.docs VALUES (50, ''aaaaaaaa-0000-0000-0000-00000000ffff'', NULL, NULL, ''x'')'),
       app.try('INSERT INTO app.docs VALUES (50, ''bbbbbbbb-0000-0000-0000-000000000001'', NULL, NULL, ''x'')');
SELECT app.try('INSERT INTO app.docs VALUES (50, ''aaaaaaaa-0000-0000-0000-00000000ffff'', NULL, ''aaaaaaaa-0000-0000-0000-000000000000'', ''x'')');
ROLLBACK;
RESET ROLE;

-- Tenants made in the same transaction, and in the same statement.
BEGIN;
INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES
  ('aaaaaaaa-0000-0000-0000-000000000009', 'aaaaaaaa-0000-0000-0000-000000000000', 'A9');
INSERT INTO app.docs VALUES (60, 'aaaaaaaa-0000-0000-0000-000000000009', NULL, NULL, 'x') RETURNING umbrella_id;
ROLLBACK;

-- Names that need quoting, partitions, and rows moved between them.
CREATE TABLE app."Odd ""table" (id integer, "tenant'id" uuid, "umb%I rella" uuid) PARTITION BY RANGE (id);
CREATE TABLE app."Odd part" PARTITION OF app."Odd ""table" FOR VALUES FROM (0) TO (10);
INSERT INTO app."Odd ""table" VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000001');
SELECT revdesk_protect('app."Odd ""table"', 'tenant''id', NULL, 'umb%I rella');
CREATE TABLE app."Odd later" PARTITION OF app."Odd ""table" FOR VALUES FROM (10) TO (20);
INSERT INTO app."Odd ""table" VALUES (2, 'aaaaaaaa-0000-0000-0000-000000000002'), (12, 'bbbbbbbb-0000-0000-0000-000000000001');
INSERT INTO app."Odd part" VALUES (3, 'bbbbbbbb-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000000');
INSERT INTO app."Odd later" VALUES (13, 'aaaaaaaa-0000-0000-0000-000000000001', 'bbbbbbbb-0000-0000-0000-000000000000');
UPDATE app."Odd ""table" SET id = 14, "umb%I rella" = NULL WHERE id = 2;
SELECT tableoid::regclass, * FROM app."Odd ""table" ORDER BY id;

-- Columns that go away, or become something else, and protection anew.
CREATE TABLE app.renamed (id integer, tenant_id uuid, umbrella_id uuid);
SELECT revdesk_protect('app.renamed', umbrella_column => 'umbrella_id');
ALTER TABLE app.renamed RENAME COLUMN umbrella_id TO org_id;
INSERT INTO app.renamed VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000001');
SELECT revdesk_protect('app.renamed', umbrella_column => 'org_id');
INSERT INTO app.renamed VALUES (1, 'aaaaaaaa-0000-0000-0000-000000000001') RETURNING org_id;
ALTER TABLE app.renamed ADD COLUMN umbrella_id text;
ALTER TABLE app.renamed RENAME COLUMN org_id TO org_id2;
ALTER TABLE app.renamed RENAME COLUMN umbrella_id TO org_id;
INSERT INTO app.renamed VALUES (2, 'aaaaaaaa-0000-0000-0000-000000000001');

-- The trigger function where it does not belong.
CREATE TABLE app.wrong (id integer, tenant_id uuid, umbrella_id uuid);
INSERT INTO app.wrong VALUES (1);
CREATE FUNCTION app.with_trigger(definition text, statement text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  EXECUTE format(definition, 'app.wrong');
  outcome := app.try(statement);
  DROP TRIGGER t ON app.wrong;
  RETURN outcome;
END
$$;
SELECT definition, app.with_trigger(definition, statement)
FROM (VALUES
  ('CREATE TRIGGER t AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, umbrella_id)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, umbrella_id)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, umbrella_id)', 'DELETE FROM app.wrong'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella()', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, nowhere)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, ctid)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, id)', 'INSERT INTO app.wrong VALUES (2)'),
  ('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(tenant_id, umbrella_id)', 'INSERT INTO app.wrong VALUES (2, ''aaaaaaaa-0000-0000-0000-000000000001'')')
) AS cases (definition, statement);

-- What revdesk_protect() finds wrong rows with.
SELECT name, revdesk.is_umbrella_of(umbrella, tenant)
FROM (VALUES
  ('organization, itself', 'aaaaaaaa-0000-0000-0000-000000000000'::uuid, 'aaaaaaaa-0000-0000-0000-000000000000'::uuid),
  ('sub-entity, umbrella', 'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001'),
  ('sub-entity, itself', 'aaaaaaaa-0000-0000-0000-000000000001', 'aaaaaaaa-0000-0000-0000-000000000001'),
  ('sub-entity, another', 'bbbbbbbb-0000-0000-0000-000000000000', 'aaaaaaaa-0000-0000-0000-000000000001'),
  ('sub-entity, null', NULL, 'aaaaaaaa-0000-0000-0000-000000000001'),
  ('no tenant, null', NULL, NULL),
  ('no tenant, umbrella', 'aaaaaaaa-0000-0000-0000-000000000000', NULL),
  ('unknown tenant, null', NULL, 'eeeeeeee-0000-0000-0000-000000000000'),
  ('unknown tenant, itself', 'eeeeeeee-0000-0000-0000-000000000000', 'eeeeeeee-0000-0000-0000-000000000000')
) AS cases (name, umbrella, tenant);
