-- Proves that revdesk_explain_visibility() says what row security does, and why, to those alone who see everything anyway.

BEGIN;
\ir setup/desk.psql
SELECT plan(64);

-- Tables of more shapes: policies of the user's own, a partitioned table, personal rows, quoted names.
CREATE ROLE test_second;
CREATE TABLE desk.guarded (LIKE desk.notes);
INSERT INTO desk.guarded SELECT * FROM desk.notes;
SELECT FROM revdesk_protect('desk.guarded', owner_column => 'owner_id');
CREATE POLICY wide ON desk.guarded USING (true);
CREATE POLICY no_b ON desk.guarded AS RESTRICTIVE FOR SELECT TO test_app USING (label <> 'B' AND revdesk_key_id() IS NOT NULL);
CREATE POLICY others ON desk.guarded AS RESTRICTIVE TO test_second USING (false);
CREATE POLICY no_update ON desk.guarded AS RESTRICTIVE FOR UPDATE USING (current_user = 'test_app') WITH CHECK (label <> 'A2');
CREATE POLICY no_delete ON desk.guarded AS RESTRICTIVE FOR DELETE USING (EXISTS (SELECT FROM desk.calls WHERE calls.id = guarded.id));
CREATE TABLE desk.mixed (LIKE desk.notes);
INSERT INTO desk.mixed SELECT * FROM desk.notes;
SELECT FROM revdesk_protect('desk.mixed', owner_column => 'owner_id', walk_up => true);
CREATE TABLE desk.parts (LIKE desk.contacts) PARTITION BY LIST (label);
CREATE TABLE desk.parts_a PARTITION OF desk.parts FOR VALUES IN ('A', 'A1', 'A2');
CREATE TABLE desk.parts_rest PARTITION OF desk.parts DEFAULT;
INSERT INTO desk.parts SELECT * FROM desk.contacts;
SELECT FROM revdesk_protect('desk.parts', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
CREATE TABLE desk."My ""rows""" ("the id" integer, "ten'ant" uuid, "UMBRELLA" uuid, label text, twice integer GENERATED ALWAYS AS (2 * "the id") STORED);
INSERT INTO desk."My ""rows""" ("the id", "ten'ant", label) SELECT id, tenant_id, label FROM desk.calls;
SELECT FROM revdesk_protect('desk."My ""rows"""', 'ten''ant', umbrella_column => 'UMBRELLA');
ALTER TABLE desk."My ""rows""" RENAME COLUMN "the id" TO id;
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.guarded, desk.mixed, desk.parts, desk.parts_a, desk.parts_rest, desk."My ""rows""" TO test_app;
-- An umbrella column that lies, as no caller can make it.
ALTER TABLE desk.contacts DISABLE TRIGGER zz_revdesk_umbrella;
UPDATE desk.contacts SET umbrella_id = test.id('B') WHERE label = 'A2';
ALTER TABLE desk.contacts ENABLE ALWAYS TRIGGER zz_revdesk_umbrella;

CREATE FUNCTION test.says(relation regclass, id integer, key text, wanted text) RETURNS text LANGUAGE sql
AS $$
  SELECT verdict FROM revdesk_explain_visibility(relation, jsonb_build_object('id', id), test.key_id(key), 'test_app') WHERE subject = wanted
$$;
CREATE FUNCTION test.does(relation regclass, id integer, key text, command text) RETURNS text LANGUAGE sql
AS $$
  SELECT CASE test.run('test_app', key, format(
    CASE command WHEN 'SELECT' THEN 'SELECT FROM %s WHERE id = %s' WHEN 'UPDATE' THEN 'UPDATE %s SET label = label WHERE id = %s'
                 ELSE 'DELETE FROM %s WHERE id = %s' END, relation, id)) WHEN '1 rows' THEN 'yes' ELSE 'no' END
$$;
CREATE FUNCTION test.disagreements(relation regclass, keys text[]) RETURNS TABLE (disagreement text) LANGUAGE plpgsql
AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    $q$SELECT concat_ws(' ', rows.id, key, subject, verdict)
       FROM %2$s AS rows, unnest(%3$L::text[]) AS key,
            revdesk_explain_visibility(%1$L, jsonb_build_object('id', rows.id), test.key_id(key), 'test_app')
       WHERE subject IN ('SELECT', 'UPDATE', 'DELETE') AND verdict IS DISTINCT FROM test.does(%1$L, rows.id, key, subject)$q$,
    relation, relation, keys);
END
$$;
SELECT is_empty(
  format('SELECT test.disagreements(%L, %L)', relation, '{A,A1,A2,B,B1,ann,bob,eve,"A read","A1 admin","ann read"}'::text[]),
  'it says what row security does: ' || relation)
FROM unnest('{desk.calls,desk.contacts,desk.notes,desk.registrations,desk.guarded,desk.mixed,desk.parts,desk.parts_a,desk.parts_rest,"desk.\"My \"\"rows\"\"\""}'::regclass[]) AS relation;
SELECT is(
  (SELECT string_agg(command || ' ' || test.does('desk.guarded', id, key, command), ', ' ORDER BY command) FROM unnest('{SELECT,UPDATE,DELETE}'::text[]) AS command),
  expected, format('where the policies differ, they do: %s, row %s', key, id))
FROM (VALUES ('A', 3, 'DELETE yes, SELECT yes, UPDATE no'), ('A', 9, 'DELETE no, SELECT yes, UPDATE yes'), ('B', 4, 'DELETE no, SELECT no, UPDATE no')) AS cases (key, id, expected);

-- States of keys: what authentication refuses, nobody reads.
SELECT test.create_key(name, 'sub_entity', 'A1', 'bob', 'write', environment)
FROM (VALUES ('revoked', 'production'), ('expired', 'production'), ('development', 'development'), ('disabled', 'production')) AS keys (name, environment);
UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'revoked';
UPDATE revdesk.api_keys SET expires_at = now() - interval '1 day' WHERE name = 'expired';
UPDATE revdesk.api_keys SET user_id = test.id('eve') WHERE name = 'disabled';
SELECT revdesk_disable_user(test.id('eve'));
SELECT revdesk_suspend_tenant(test.id('B'));
SET LOCAL revdesk.accepted_environments = ' Production ';
SELECT is(
  (SELECT concat_ws(' ', test.does('desk.calls', id, key, 'SELECT'), string_agg(CASE WHEN subject LIKE 'key %' THEN verdict || ': ' || split_part(reason, ';', 1) ELSE verdict END, ', ' ORDER BY step))
   FROM revdesk_explain_visibility('desk.calls', jsonb_build_object('id', id), test.key_id(key), 'test_app') WHERE subject LIKE 'key %' OR subject = 'SELECT'),
  'no rejected: ' || expected || ', no', 'a key that is rejected: ' || key)
FROM (VALUES
  ('revoked', 2, 'the key is revoked since ' || now()), ('expired', 2, 'the key expired at ' || now() - interval '1 day'),
  ('development', 2, 'keys of environment development are not accepted here'),
  ('disabled', 2, format('the user of the key, %s, is disabled', test.id('eve'))),
  ('B', 4, format('tenant %s is suspended', test.id('B'))), ('B1', 5, format('tenant %s is suspended', test.id('B')))
) AS cases (key, id, expected);
SELECT is_empty($$SELECT test.disagreements('desk.notes', '{A,ann,eve,B1,revoked,expired,development,disabled}')$$, 'it agrees on suspended tenants and users, too');
SELECT is(
  (SELECT reason || ' | ' || change FROM revdesk_explain_visibility('desk.notes', '{"id": 4}', test.key_id('ann')) WHERE subject = 'SELECT'),
  format('the policies do not let it pass: the row''s tenant, %s, or its umbrella is suspended | SELECT revdesk_resume_tenant(''%s'')', test.id('B'), test.id('B')),
  'a member''s key and a suspended tenant');
SELECT revdesk_resume_tenant(test.id('B')), revdesk_enable_user(test.id('eve'));

-- The reason, and what it says would change that, does.
SELECT matches(
  (SELECT substring(reason FROM ': (.*)') || ' | ' || COALESCE(change, 'nothing') FROM revdesk_explain_visibility(relation::regclass, jsonb_build_object('id', id), test.key_id(key)) WHERE subject = 'SELECT'),
  expected, format('%s, row %s of %s', key, id, relation))
FROM (VALUES
  ('A1', 3, 'desk.calls', 'is a sibling of the key''s | a key of tenant .*, or of organization'),
  ('A1', 1, 'desk.calls', 'is of the key''s umbrella, and the table is not declared walk-up | a key of organization'),
  ('A1', 1, 'desk.registrations', 'on a walk-up table a sub-entity reads it'),
  ('A1', 4, 'desk.calls', 'belongs to another umbrella'),
  ('A1', 6, 'desk.calls', 'has neither a tenant nor an owner'),
  ('A', 3, 'desk.contacts', '^column umbrella_id holds .* call revdesk_protect\(\) again'),
  ('bob', 7, 'desk.notes', 'the row is the own of user'),
  ('ann', 7, 'desk.notes', 'the row is the user''s own'),
  ('A', 2, 'desk.calls', 'is a sub-entity of the key''s organization | nothing'),
  ('bob', 2, 'desk.calls', 'is not a member of the row''s tenant')
) AS cases (key, id, relation, expected);
DO $$
BEGIN
  EXECUTE (SELECT change FROM public.revdesk_explain_visibility('desk.calls', '{"id": 2}', test.key_id('bob')) WHERE subject = 'SELECT');
END
$$;
SELECT is(test.says('desk.calls', 2, 'bob', 'SELECT') || test.does('desk.calls', 2, 'bob', 'SELECT'), 'yesyes', 'the change that it names brings the row');
SELECT is(
  (SELECT string_agg(subject, ', ' ORDER BY step) FROM revdesk_explain_visibility('desk.guarded', '{"id": 4}', test.key_id('B'), 'test_app') WHERE reason LIKE '%it decides%'),
  'policy no_b', 'the policy that decides is named');
SELECT is(
  (SELECT verdict FROM revdesk_explain_visibility('desk.guarded', '{"id": 4}', test.key_id('B'), 'test_app') WHERE subject = 'policy others'),
  'does not apply', 'and one for another role does not apply');
SELECT is(
  (SELECT verdict || reason FROM revdesk_explain_visibility('desk.calls', '{"id": 4}', test.key_id('A'), current_user) WHERE subject = 'role ' || current_user),
  'not heldthe role bypasses row security', 'a superuser is not held');

-- Errors.
SELECT is(
  split_part(test.error(role, key, statement), ' | ', 1), expected, name)
FROM (VALUES
  ('no such row', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 42}', test.key_id('A'))$$, '02000'),
  ('more than one row', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.guarded', '{"tenant_id": null}', test.key_id('A'))$$, '21000'),
  ('no columns', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{}', test.key_id('A'))$$, '22023'),
  ('no object', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '[1]', test.key_id('A'))$$, '22023'),
  ('no row key', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', NULL, test.key_id('A'))$$, '22023'),
  ('no such column', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id) OR (true": 1}', test.key_id('A'))$$, '42703'),
  ('no such key', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.id('none'))$$, '42704'),
  ('no such role', 'none', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'), 'nobody')$$, '42704'),
  ('not protected', 'none', NULL, $$SELECT revdesk_explain_visibility('test.keys', '{"name": "A"}', test.key_id('A'))$$, '55000'),
  ('a context', 'none', 'A', $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', revdesk_key_id())$$, '42501'),
  ('an API role', 'test_app', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'))$$, '42501'),
  ('an API role, its core', 'test_app', NULL, $$SELECT revdesk.run_as(10, 'SELECT 1')$$, '42501'),
  ('an API role, acting for a key', 'test_app', NULL, $$SELECT revdesk.impersonate(test.key_id('A'))$$, '42501')
) AS cases (name, role, key, statement, expected);

-- Those who see everything may ask, as roles of theirs.
GRANT EXECUTE ON FUNCTION revdesk_explain_visibility TO test_app, test_owner;
SELECT is(split_part(test.error('test_app', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'))$$), ' | ', 1), '42501',
  'EXECUTE alone is not enough');
GRANT SELECT ON revdesk.tenants, revdesk.users, revdesk.memberships, revdesk.api_keys TO test_owner, test_app;
SELECT is(split_part(test.error('test_app', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'))$$), ' | ', 1), '42501',
  'nor are the keys without the rows');
SELECT is(split_part(test.error('test_owner', NULL, $$SELECT revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'), 'test_app')$$), ' | ', 1), '42501',
  'an owner cannot have its policies run as a role that is not its own');
GRANT test_app TO test_owner;
SELECT is(test.rows('test_owner', NULL, $$SELECT verdict FROM revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'), 'test_app') WHERE subject = 'SELECT'$$),
  'yes', 'as one that is, it can');

-- What acts for others is for superusers, even if EXECUTE has been granted.
GRANT EXECUTE ON FUNCTION revdesk.run_as(oid, text, boolean), revdesk.impersonate(uuid) TO test_app;
SELECT is(test.error('test_app', NULL, statement), '42501 | must be superuser to act for others', 'not with EXECUTE either: ' || statement)
FROM (VALUES ($$SELECT revdesk.run_as(10, 'SELECT 1')$$), ($$SELECT revdesk.impersonate(test.key_id('A'))$$)) AS statements (statement);

-- Code in a policy runs as the role, and does not come back from it.
CREATE TABLE desk.seen (who name);
CREATE FUNCTION desk.hostile() RETURNS boolean LANGUAGE plpgsql
AS $$
BEGIN
  BEGIN
    EXECUTE 'RESET ROLE';
    RETURN true;
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  BEGIN
    EXECUTE 'SET LOCAL SESSION AUTHORIZATION DEFAULT';
    RETURN true;
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RETURN current_user <> 'test_app';
END
$$;
CREATE POLICY hostile ON desk.calls AS RESTRICTIVE USING (desk.hostile());
SELECT is(test.says('desk.calls', 1, 'A', 'SELECT'), 'no', 'code in a policy cannot leave the role');
DROP POLICY hostile ON desk.calls;
CREATE POLICY broken ON desk.calls AS RESTRICTIVE FOR SELECT USING (1 / (id - id) = 1);
SELECT matches((SELECT verdict FROM revdesk_explain_visibility('desk.calls', '{"id": 1}', test.key_id('A'), 'test_app') WHERE subject = 'policy broken'),
  '^error 22012', 'an error in a policy is told');
DROP POLICY broken ON desk.calls;

-- An owner grants to anybody; a superuser has the owner's code run by a role of
-- the owner's, unless one is named.
CREATE TABLE desk.theirs (id integer, tenant_id uuid);
SELECT FROM revdesk_protect('desk.theirs');
ALTER TABLE desk.theirs OWNER TO test_owner;
GRANT SELECT ON desk.theirs TO test_second, pg_execute_server_program;
SELECT is(revdesk.role_to_ask('desk.theirs', NULL), 'test_second'::regrole::oid, 'the role that was granted something is asked');
CREATE FUNCTION desk.theirs() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
ALTER FUNCTION desk.theirs() OWNER TO test_owner;
CREATE POLICY theirs ON desk.theirs AS RESTRICTIVE USING (desk.theirs());
SELECT is(revdesk.role_to_ask('desk.theirs', NULL), 'test_owner'::regrole::oid, 'but not where code of the owner''s would run');
SELECT is(revdesk.role_to_ask('desk.theirs', 'test_second'), 'test_second'::regrole::oid, 'unless it is named');

-- Nothing stays of it.
CREATE TEMP TABLE before AS SELECT test.contents() AS contents, last_value FROM revdesk.audit_log_id_seq;
SELECT FROM revdesk_explain_visibility('desk.contacts', '{"id": 3}', test.key_id('A1 read'));
SELECT is((SELECT test.contents() || last_value FROM revdesk.audit_log_id_seq), (SELECT contents || last_value FROM before), 'no row and no log entry stays');
SELECT is(revdesk_scope() || current_setting('transaction_read_only'), NULL, 'no context stays');
SELECT is((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), true, 'nor the role');

-- Columns of any name.
CREATE TABLE desk.names (id integer, tenant_id uuid, found text, one text, value text, names text, "row" text, answer text);
INSERT INTO desk.names SELECT id, tenant_id, 'found', 'one', 'value', 'names', 'row', 'answer' FROM desk.calls;
GRANT SELECT ON desk.names TO test_app;
SELECT FROM revdesk_protect('desk.names');
SELECT is(test.says('desk.names', id, 'A1', 'SELECT'), expected, 'columns with names of its own query: row ' || id)
FROM (VALUES (2, 'yes'), (3, 'no')) AS cases (id, expected);

SELECT * FROM finish();
ROLLBACK;
