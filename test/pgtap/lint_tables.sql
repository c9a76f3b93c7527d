-- Proves that revdesk_lint() finds each hole in tables, policies and constraints, and that its fix closes it.

BEGIN;
\ir setup/desk.psql
SELECT plan(52);

SELECT is_empty(
  $$SELECT code, object FROM revdesk_lint() WHERE severity IN ('critical', 'high') AND object !~ '^test\.' AND code <> 'SERVER_TOO_OLD'$$, 'what revdesk_protect() made has no critical and no high finding');
CREATE TABLE desk.parts (id uuid PRIMARY KEY, tenant_id uuid NOT NULL) PARTITION BY HASH (id);
CREATE TABLE desk.parts_0 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE desk."Odd Table" ("Tenant Id" uuid, "Umb""rella" uuid, owner_id uuid);
SELECT revdesk_protect('desk."Odd Table"', 'Tenant Id', 'owner_id', 'Umb"rella', true), revdesk_protect('desk.parts');
CREATE TABLE desk.personal (owner_id uuid);
SELECT revdesk_protect('desk.personal', NULL, 'owner_id');
SELECT is_empty(
  $$SELECT code, object FROM revdesk_lint() WHERE severity IN ('critical', 'high') AND object !~ '^test\.' AND code <> 'SERVER_TOO_OLD'$$, 'nor have partitions, odd names, walk-up and personal tables');
SELECT set_eq(
  $$SELECT DISTINCT code FROM revdesk_lint() WHERE object ~ '\mdesk\.' AND object !~ '^revdesk'$$, ARRAY['TENANT_NULLABLE', 'UNIQUE_WITHOUT_TENANT'], 'what remains to say of them');
SET LOCAL quote_all_identifiers = on;
SELECT is_empty($$SELECT code, object FROM revdesk_lint() WHERE code = 'POLICY_DRIFT'$$, 'whatever the caller''s quoting');
SET LOCAL quote_all_identifiers = off;

\ir setup/lint.psql
SELECT is(test.hole(code, statements), expected, concat_ws(': ', code, name))
FROM (VALUES
  ('TENANT_COLUMN_WITHOUT_POLICY', '', 'CREATE TABLE desk.open (tenant_id uuid)', 'critical desk.open: fixed'),
  ('TENANT_COLUMN_WITHOUT_POLICY', 'a column called as elsewhere', 'CREATE TABLE desk.open ("Tenant Id" uuid)', 'critical desk.open: fixed'),
  ('TENANT_COLUMN_WITHOUT_POLICY', 'not a uuid', 'CREATE TABLE desk.open (tenant_id bigint)', 'critical desk.open: advice'),
  ('TENANT_COLUMN_WITHOUT_POLICY', 'exempt', $$CREATE TABLE desk.open (tenant_id uuid); SELECT revdesk_exempt('desk.open', 'why not')$$, ''),
  ('TENANT_COLUMN_WITHOUT_POLICY', 'a policy of their own', 'CREATE TABLE desk.open (tenant_id uuid); CREATE POLICY p ON desk.open USING (tenant_id = revdesk_tenant_id())', ''),
  ('TABLE_EXEMPT', '', $$SELECT revdesk_exempt('desk.calls', 'why not')$$, 'low desk.calls: fixed'),
  ('RLS_DISABLED', '', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'critical desk.calls: fixed'),
  ('RLS_DISABLED', 'a policy of their own', 'CREATE TABLE desk.open (tenant_id uuid); CREATE POLICY p ON desk.open USING (revdesk_scope_visible(tenant_id))', 'critical desk.open: fixed'),
  ('NO_FORCE', '', 'ALTER TABLE desk.calls NO FORCE ROW LEVEL SECURITY', 'high desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', '', 'DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY p ON desk.calls FOR SELECT USING (true)', 'critical policy p on desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', 'restrictive for one role only', 'ALTER POLICY revdesk_isolation ON desk.calls TO test_app; CREATE POLICY p ON desk.calls FOR DELETE USING (id > 0)', 'critical policy p on desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', 'widened', 'DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY p ON desk.calls USING (revdesk_scope_visible(tenant_id) OR label IS NULL)', 'critical policy p on desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', 'negated', 'DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY p ON desk.calls USING (NOT revdesk_scope_visible(tenant_id))', 'critical policy p on desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', 'in words only', $$DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY p ON desk.calls USING (label <> 'revdesk_scope_visible(tenant_id)')$$, 'critical policy p on desk.calls: fixed'),
  ('PERMISSIVE_SIBLING', 'narrower', 'DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY p ON desk.calls USING (revdesk_scope_visible(tenant_id) AND label IS NULL)', ''),
  ('CHECK_NOT_ISOLATED', '', 'DROP POLICY revdesk_isolation ON desk.calls', 'critical policy revdesk_permit on desk.calls: fixed'),
  ('CHECK_NOT_ISOLATED', 'INSERT', 'DROP POLICY revdesk_isolation_insert ON desk.registrations', 'critical policy revdesk_permit on desk.registrations: fixed'),
  ('POLICY_DRIFT', 'gone', 'DROP POLICY revdesk_isolation ON desk.calls', 'critical desk.calls: fixed'),
  ('POLICY_DRIFT', 'other', 'ALTER POLICY revdesk_isolation ON desk.calls USING (revdesk_scope_readable_up(tenant_id))', 'critical desk.calls: fixed'),
  ('POLICY_DRIFT', 'a role', 'ALTER POLICY revdesk_isolation ON desk.calls TO test_app', 'critical desk.calls: fixed'),
  ('POLICY_ADDED', '', 'CREATE POLICY p ON desk.calls USING (true)', 'low policy p on desk.calls: fixed'),
  ('PREDICATE_WRAPPED', 'COALESCE', 'CREATE POLICY p ON desk.calls USING (revdesk_scope_visible(COALESCE(tenant_id, gen_random_uuid())))', 'medium policy p on desk.calls: advice'),
  ('PREDICATE_WRAPPED', 'SELECT', 'CREATE POLICY p ON desk.calls USING ((SELECT revdesk_scope_visible(tenant_id)))', 'medium policy p on desk.calls: advice'),
  ('PREDICATE_WRAPPED', 'cast', 'CREATE POLICY p ON desk.calls USING (revdesk_scope_visible(label::uuid))', 'medium policy p on desk.calls: advice'),
  ('PREDICATE_WRAPPED', 'compared', 'CREATE POLICY p ON desk.calls USING (revdesk_scope_visible(tenant_id) = true)', 'medium policy p on desk.calls: advice'),
  ('CTX_BY_CURRENT_SETTING', '', $$CREATE POLICY p ON desk.calls USING (tenant_id = current_setting('revdesk.tenant_id', true)::uuid)$$, 'medium policy p on desk.calls: advice'),
  ('PARTITION_NO_RLS', 'a partition', 'ALTER EVENT TRIGGER revdesk_protect_new_partitions DISABLE; CREATE TABLE desk.parts_1 PARTITION OF desk.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1); ALTER EVENT TRIGGER revdesk_protect_new_partitions ENABLE', 'critical desk.parts_1: fixed'),
  ('PARTITION_NO_RLS', 'a child', 'ALTER EVENT TRIGGER revdesk_protect_new_partitions DISABLE; CREATE TABLE desk.child () INHERITS (desk.calls); ALTER EVENT TRIGGER revdesk_protect_new_partitions ENABLE', 'critical desk.child: fixed'),
  ('PARTITION_NO_RLS', 'a child of a table with a policy of its own', 'CREATE TABLE desk.open (tenant_id uuid); CREATE POLICY p ON desk.open USING (revdesk_scope_visible(tenant_id)); CREATE TABLE desk.child () INHERITS (desk.open)', 'critical desk.child: fixed'),
  ('UMBRELLA_TRIGGER', 'gone', 'DROP TRIGGER zz_revdesk_umbrella ON desk.contacts', 'high desk.contacts: fixed'),
  ('UMBRELLA_TRIGGER', 'disabled', 'ALTER TABLE desk.contacts DISABLE TRIGGER zz_revdesk_umbrella', 'high desk.contacts: fixed'),
  ('UMBRELLA_TRIGGER', 'other', $$CREATE OR REPLACE TRIGGER zz_revdesk_umbrella BEFORE INSERT ON desk.contacts FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella('tenant_id', 'umbrella_id'); ALTER TABLE desk.contacts ENABLE ALWAYS TRIGGER zz_revdesk_umbrella$$, 'high desk.contacts: fixed'),
  ('REGISTRY_STALE', '', $$INSERT INTO revdesk.protected_tables SELECT 1, 1, tenant_column, owner_column, umbrella_column, walk_up, false, false FROM revdesk.protected_tables WHERE relation = 'desk.calls'::regclass$$, 'low 1: fixed'),
  ('REGISTRY_COLUMN', 'renamed', 'ALTER TABLE desk.calls RENAME tenant_id TO team_id', 'high desk.calls: advice'),
  ('REGISTRY_COLUMN', 'dropped', 'ALTER TABLE desk.calls DROP tenant_id CASCADE', 'high desk.calls: advice'),
  ('TENANT_NULLABLE', '', 'CREATE TABLE desk.more (tenant_id uuid); SELECT revdesk_protect(''desk.more'')', 'medium desk.more: fixed'),
  ('TENANT_NOT_INDEXED', 'gone', 'DROP INDEX desk.calls_tenant_id_idx', 'medium desk.calls: fixed'),
  ('TENANT_NOT_INDEXED', 'not leading', 'DROP INDEX desk.calls_tenant_id_idx; CREATE INDEX ON desk.calls (id, tenant_id)', 'medium desk.calls: fixed'),
  ('TENANT_NOT_INDEXED', 'invalid', $$UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'desk.calls_tenant_id_idx'::regclass$$, 'medium desk.calls: fixed'),
  ('RULE_ON_TABLE', '', 'CREATE RULE r AS ON DELETE TO desk.calls DO ALSO NOTIFY x', 'medium rule r on desk.calls: fixed'),
  ('FOREIGN_TRIGGER_OWNER', '', 'CREATE FUNCTION desk.f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$; ALTER FUNCTION desk.f() OWNER TO test_other; CREATE TRIGGER t AFTER INSERT ON desk.calls FOR EACH ROW EXECUTE FUNCTION desk.f()', 'medium trigger t on desk.calls: fixed'),
  ('NOTIFY_IN_TRIGGER', '', $$CREATE FUNCTION desk.f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_notify('x', NEW.label); RETURN NEW; END $f$; CREATE TRIGGER t AFTER INSERT ON desk.calls FOR EACH ROW EXECUTE FUNCTION desk.f()$$, 'low trigger t on desk.calls: advice'),
  ('UNPROTECTED_TABLE', '', $$SET LOCAL revdesk.exposed_schemas = desk; CREATE TABLE desk.plain (tenant_id uuid)$$, 'high desk.plain: fixed'),
  ('FK_WITHOUT_TENANT', '', 'CREATE TABLE desk.lines (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, call_id int CONSTRAINT call REFERENCES desk.calls ON DELETE SET NULL); SELECT revdesk_protect(''desk.lines'')', 'high constraint call on desk.lines: fixed'),
  ('FK_WITHOUT_TENANT', 'from a table without tenants', 'CREATE TABLE desk.lines (call_id int CONSTRAINT call REFERENCES desk.calls)', 'high constraint call on desk.lines: advice'),
  ('UNIQUE_WITHOUT_TENANT', 'a constraint', 'ALTER TABLE desk.calls ADD CONSTRAINT calls_label UNIQUE (label)', 'medium index desk.calls_label: fixed'),
  ('UNIQUE_WITHOUT_TENANT', 'an index', 'CREATE UNIQUE INDEX calls_label ON desk.calls (lower(label))', 'medium index desk.calls_label: advice')
) AS holes (code, name, statements, expected);

-- Whatever the catalogs look like, it answers.
DO $$
BEGIN
  UPDATE pg_class SET relacl = ARRAY[makeaclitem(99999, 10, 'SELECT', true), makeaclitem(99999, 10, 'TRUNCATE', true)] WHERE oid = 'desk.calls'::regclass;
  UPDATE pg_class SET relowner = 99999 WHERE oid = 'desk.notes'::regclass;
  INSERT INTO revdesk.protected_tables SELECT 99999, 99999, 'gone', 'gone', NULL, NULL::boolean IS NULL, false, false;
  INSERT INTO revdesk.exempt_tables (relation, reason) VALUES (99999, 'gone');
  INSERT INTO pg_db_role_setting VALUES (0, 99999, '{odd,=,revdesk.context=1}');
  UPDATE revdesk.protected_tables SET tenant_column = NULL WHERE relation = 'desk.contacts'::regclass;
  ALTER EVENT TRIGGER revdesk_forget_dropped_tables DISABLE;
  DROP TABLE desk.registrations, desk.parts;
END
$$;
SELECT isnt_empty($$SELECT code FROM revdesk_lint() WHERE object ~ '99999'$$, 'catalogs with loose ends do not stop it');

SELECT * FROM finish();
ROLLBACK;
