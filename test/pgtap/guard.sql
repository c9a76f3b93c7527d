-- Proves that no transaction leaves an unprotected table in an exposed schema where revdesk.unprotected_tables = enforce, that warn warns and off does nothing.

BEGIN;
\ir setup/desk.psql
SELECT plan(76);

CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER test_files FOREIGN DATA WRAPPER file_fdw;
CREATE SCHEMA hidden AUTHORIZATION test_owner;
GRANT CREATE ON DATABASE pgtap TO test_owner;
GRANT EXECUTE ON FUNCTION revdesk_exempt, revdesk_unexempt TO test_owner;
CREATE TABLE desk.parts (id int, tenant_id uuid) PARTITION BY LIST (id);
CREATE TABLE hidden.open (tenant_id uuid);
ALTER TABLE desk.parts OWNER TO test_owner;
ALTER TABLE hidden.open OWNER TO test_owner;
SELECT revdesk_protect('desk.parts');

-- What COMMIT says of the statements, run by the owner of the tables.
CREATE FUNCTION test.commit(role text, statements text) RETURNS text LANGUAGE sql
AS $$
  SELECT COALESCE(test.error(role, NULL, statements || '; SET CONSTRAINTS ALL IMMEDIATE'), 'committed')
$$;

SELECT is(current_setting('revdesk.unprotected_tables'), 'off', 'by default it is off');
SET LOCAL revdesk.exposed_schemas = 'public, desk, more';
SELECT is(test.commit('test_owner', 'CREATE TABLE desk.new (id int)'), 'committed', 'off: nothing is refused');

SET LOCAL revdesk.unprotected_tables = enforce;
SELECT is(
  test.commit('test_owner', 'CREATE TABLE desk.new (id int)'),
  '55000 | table "desk.new" is not protected | Row security is not enabled. | Call revdesk_protect() in the same transaction, or have an administrator call revdesk_exempt(''desk.new'', ''reason'').',
  'enforce: what it says');
SELECT is(split_part(test.commit(role, statements), ' | ', 1), expected, name)
FROM (VALUES
  ('test_owner', 'CREATE TABLE', 'CREATE TABLE desk.new (id int)', '55000'),
  ('postgres', 'CREATE TABLE by a superuser', 'CREATE TABLE desk.new (id int)', '55000'),
  ('test_owner', 'CREATE TABLE, protected', 'CREATE TABLE desk.new (tenant_id uuid); SELECT revdesk_protect(''desk.new'')', 'committed'),
  ('test_owner', 'with a policy of its own', 'CREATE TABLE desk.new (tenant_id uuid); ALTER TABLE desk.new ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON desk.new USING (tenant_id = revdesk_tenant_id())', 'committed'),
  ('test_owner', 'with a policy for all', 'CREATE TABLE desk.new (tenant_id uuid); ALTER TABLE desk.new ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON desk.new USING (true)', '55000'),
  ('test_owner', 'closed to all', 'CREATE TABLE desk.new (id int); ALTER TABLE desk.new ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', 'committed'),
  ('test_owner', 'not forced', 'CREATE TABLE desk.new (id int); ALTER TABLE desk.new ENABLE ROW LEVEL SECURITY', '55000'),
  ('test_owner', 'dropped again', 'CREATE TABLE desk.new (id int); DROP TABLE desk.new', 'committed'),
  ('test_owner', 'rolled back', 'DO $x$ BEGIN CREATE TABLE desk.new (id int); RAISE ''no''; EXCEPTION WHEN OTHERS THEN NULL; END $x$', 'committed'),
  ('test_owner', 'protected in a subtransaction that rolls back', 'CREATE TABLE desk.new (tenant_id uuid); DO $x$ BEGIN PERFORM revdesk_protect(''desk.new''); RAISE ''no''; EXCEPTION WHEN OTHERS THEN NULL; END $x$', '55000'),
  ('test_owner', 'protected, unprotected', 'CREATE TABLE desk.new (tenant_id uuid); SELECT revdesk_protect(''desk.new''); SELECT revdesk_unprotect(''desk.new'')', '55000'),
  ('test_owner', 'CREATE TABLE AS', 'CREATE TABLE desk.new AS SELECT 1 AS id', '55000'),
  ('test_owner', 'SELECT INTO', 'SELECT 1 AS id INTO desk.new', '55000'),
  ('test_owner', 'CREATE TABLE LIKE a protected one', 'CREATE TABLE desk.new (LIKE desk.calls INCLUDING ALL)', '55000'),
  ('test_owner', 'CREATE SCHEMA with a table', 'CREATE SCHEMA more CREATE TABLE new (id int)', '55000'),
  ('test_owner', 'a schema takes an exposed name', 'ALTER SCHEMA desk RENAME TO gone; ALTER SCHEMA hidden RENAME TO desk', '55000'),
  ('test_owner', 'CREATE UNLOGGED TABLE', 'CREATE UNLOGGED TABLE desk.new (id int)', '55000'),
  ('test_owner', 'a temporary table', 'CREATE TEMP TABLE new (tenant_id uuid)', 'committed'),
  ('test_owner', 'a schema that is not exposed', 'CREATE TABLE hidden.new (id int)', 'committed'),
  ('test_owner', 'SET SCHEMA', 'ALTER TABLE hidden.open SET SCHEMA desk', '55000'),
  ('test_owner', 'out of it', 'CREATE TABLE desk.new (id int); ALTER TABLE desk.new SET SCHEMA hidden', 'committed'),
  ('test_owner', 'DISABLE ROW LEVEL SECURITY', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', '55000'),
  ('test_owner', 'NO FORCE', 'ALTER TABLE desk.calls NO FORCE ROW LEVEL SECURITY', '55000'),
  ('test_owner', 'revdesk_unprotect', 'SELECT revdesk_unprotect(''desk.calls'')', '55000'),
  ('test_owner', 'and protected again', 'SELECT revdesk_unprotect(''desk.calls''), revdesk_protect(''desk.calls'')', 'committed'),
  ('test_owner', 'DROP POLICY', 'DROP POLICY revdesk_isolation ON desk.calls', '55000'),
  ('test_owner', 'ALTER POLICY', 'ALTER POLICY revdesk_isolation ON desk.calls WITH CHECK (true)', '55000'),
  ('test_owner', 'a second policy', 'CREATE POLICY p ON desk.calls USING (true)', 'committed'),
  ('test_owner', 'ALTER TABLE of a protected table', 'ALTER TABLE desk.calls ADD remark text', 'committed'),
  ('test_owner', 'a partition', 'CREATE TABLE desk.part PARTITION OF desk.parts DEFAULT', 'committed'),
  ('test_owner', 'a child', 'CREATE TABLE desk.child () INHERITS (desk.calls)', 'committed'),
  ('test_owner', 'ATTACH PARTITION', 'CREATE TABLE desk.part (id int, tenant_id uuid); ALTER TABLE desk.parts ATTACH PARTITION desk.part DEFAULT', 'committed'),
  ('test_owner', 'an unprotected partitioned table', 'CREATE TABLE desk.new (id int) PARTITION BY LIST (id); CREATE TABLE desk.new_1 PARTITION OF desk.new DEFAULT', '55000'),
  ('test_owner', 'a partition in the exposed schema alone', 'CREATE TABLE hidden.new (id int) PARTITION BY LIST (id); CREATE TABLE desk.new_1 PARTITION OF hidden.new DEFAULT', '55000'),
  ('postgres', 'a foreign table', 'CREATE FOREIGN TABLE desk.new (id int) SERVER test_files OPTIONS (filename ''/dev/null'')', '55000'),
  ('test_owner', 'a materialized view', 'CREATE MATERIALIZED VIEW desk.new AS SELECT * FROM desk.calls', '55000'),
  ('postgres', 'a view of whom row security does not hold', 'CREATE VIEW desk.new AS SELECT * FROM desk.calls', '55000'),
  ('postgres', 'security_invoker', 'CREATE VIEW desk.new WITH (security_invoker) AS SELECT * FROM desk.calls', 'committed'),
  ('test_owner', 'a view of whom it holds', 'CREATE VIEW desk.new AS SELECT * FROM desk.calls', 'committed'),
  ('postgres', 'a view that gets such an owner', 'CREATE VIEW desk.new AS SELECT * FROM desk.calls; ALTER VIEW desk.new OWNER TO test_owner; ALTER VIEW desk.new OWNER TO postgres', '55000'),
  ('postgres', 'a view of nothing protected', 'CREATE VIEW desk.new AS SELECT 1 AS id', 'committed'),
  ('test_owner', 'a sequence, an index and a type', 'CREATE SEQUENCE desk.new; CREATE INDEX ON desk.calls (label); CREATE TYPE desk.kind AS ENUM ()', 'committed'),
  ('postgres', 'an extension', 'CREATE EXTENSION tablefunc; CREATE EXTENSION dblink SCHEMA desk', 'committed'),
  ('test_owner', 'noticed at once, if constraints are immediate', 'SET CONSTRAINTS ALL IMMEDIATE; CREATE TABLE desk.new (tenant_id uuid); SELECT revdesk_protect(''desk.new'')', '55000'),
  -- attempts to switch it off
  ('test_owner', 'SET', 'SET LOCAL revdesk.unprotected_tables = off', '42501'),
  ('test_owner', 'SET the schemas', 'SET LOCAL revdesk.exposed_schemas = none', '42501'),
  ('test_owner', 'RESET', 'RESET revdesk.unprotected_tables', '42501'),
  ('postgres', 'restoring', 'SET LOCAL check_function_bodies = off; SET LOCAL row_security = off; CREATE TABLE desk.new (id int)', 'committed'),
  ('test_owner', 'exempting', 'CREATE TABLE desk.new (id int); SELECT revdesk_exempt(''desk.new'', ''mine'')', '42501'),
  ('test_owner', 'emptying the notes', 'CREATE TABLE desk.new (id int); DELETE FROM revdesk.noted_tables', '42501'),
  ('test_owner', 'disabling the event trigger', 'ALTER EVENT TRIGGER revdesk_note_unprotected DISABLE', '42501'),
  ('test_owner', 'a search_path of lies', $$CREATE SCHEMA lies; CREATE FUNCTION lies.pg_event_trigger_ddl_commands(OUT objid oid) RETURNS SETOF oid LANGUAGE sql AS 'SELECT 1::oid WHERE false';
    CREATE TABLE lies.pg_class (oid oid); SET LOCAL search_path = lies, pg_catalog; CREATE TABLE desk.new (id int)$$, '55000'),
  ('test_owner', 'temporary tables of lies', 'CREATE TEMP TABLE pg_class (oid oid); CREATE TEMP TABLE noted_tables (relation oid); CREATE TABLE desk.new (id int)', '55000')
) AS cases (role, name, statements, expected);

-- Exemptions.
SELECT is(test.commit('postgres', 'CREATE TABLE desk.new (id int); SELECT revdesk_exempt(''desk.new'', ''a list of countries'')'), 'committed', 'an exempt table');
SELECT is(test.commit('postgres', 'CREATE TABLE desk.new (id int) PARTITION BY LIST (id); SELECT revdesk_exempt(''desk.new'', ''a list''); CREATE TABLE desk.new_1 PARTITION OF desk.new DEFAULT'), 'committed', 'and its partitions');
SELECT is(split_part(test.commit('postgres', 'CREATE TABLE desk.new (id int); SELECT revdesk_exempt(''desk.new'', ''x''); SELECT revdesk_unexempt(''desk.new''); ALTER TABLE desk.new ADD x int'), ' | ', 1), '55000', 'no longer exempt');
SELECT is(
  test.rows('none', NULL, $$SELECT count(*) FROM revdesk.exempt_tables$$), '0', 'none is left over');
SET LOCAL revdesk.unprotected_tables = off;
CREATE TABLE desk.list (id int);
SELECT revdesk_exempt('desk.list', 'one reason');
SELECT revdesk_exempt('desk.list', 'another');
SELECT results_eq('SELECT relation::text, reason, exempted_by FROM revdesk.exempt_tables', $$VALUES ('desk.list', 'another', 'postgres'::name)$$, 'it says who and why');
DROP TABLE desk.list;
SELECT is_empty('SELECT FROM revdesk.exempt_tables', 'a table that is dropped is forgotten');
SELECT is(split_part(test.error('postgres', NULL, statement), ' | ', 1), expected, statement)
FROM (VALUES ($$SELECT revdesk_exempt('desk.calls', '')$$, '22023'), ($$SELECT revdesk_exempt('desk.calls', NULL)$$, '22023'), ($$SELECT revdesk_exempt(NULL, 'x')$$, '22023'),
             ($$SELECT revdesk_exempt('desk.calls_pkey', 'x')$$, '42809'), ($$SELECT revdesk_exempt(1::oid::regclass, 'x')$$, '42809')) AS refused (statement, expected);

-- With these privileges, and with none of them missing, a role exempts.
GRANT SELECT, INSERT, UPDATE, DELETE ON revdesk.exempt_tables TO test_owner;
CREATE TABLE desk.granted (id int);
SELECT is(
  test.error('test_owner', NULL, $$SELECT revdesk_exempt('desk.granted', 'x'), revdesk_exempt('desk.granted', 'y'), revdesk_unexempt('desk.granted')$$), NULL,
  'who has SELECT, INSERT, UPDATE and DELETE exempts and undoes it');
CREATE FUNCTION test.without(privilege text, statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  EXECUTE format('REVOKE %s ON revdesk.exempt_tables FROM test_owner', privilege);
  outcome := COALESCE(test.error('test_owner', NULL, statement), 'done');
  EXECUTE format('GRANT %s ON revdesk.exempt_tables TO test_owner', privilege);
  RETURN outcome;
END
$$;
SELECT is(test.without(privilege, statement), expected, format('without %s: %s', privilege, statement))
FROM (VALUES ('SELECT', '42501 | permission denied for table exempt_tables', '42501 | permission denied for table exempt_tables'),
             ('INSERT', '42501 | permission denied for table exempt_tables', 'done'),
             ('UPDATE', '42501 | permission denied for table exempt_tables', 'done'),
             ('DELETE', 'done', '42501 | permission denied for table exempt_tables')) AS cases (privilege, exempts, undoes)
CROSS JOIN LATERAL (VALUES ($$SELECT revdesk_exempt('desk.granted', 'x')$$, exempts), ($$SELECT revdesk_unexempt('desk.granted')$$, undoes)) AS statements (statement, expected);

SELECT * FROM finish();
ROLLBACK;
