-- Proves that revdesk_selftest() finds nothing wrong with what is right, and every kind of hole by its line.

BEGIN;
\ir setup/helpers.psql
SELECT plan(72);

CREATE SCHEMA desk AUTHORIZATION test_owner;
GRANT USAGE ON SCHEMA desk TO PUBLIC;
GRANT EXECUTE ON FUNCTION revdesk_protect(regclass, name, name, name, boolean), revdesk_unprotect(regclass) TO test_owner;
SET LOCAL ROLE test_owner;
CREATE TABLE desk.accounts (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, umbrella_id uuid, owner_id uuid, label text NOT NULL, UNIQUE (tenant_id, id), UNIQUE (tenant_id, label));
CREATE TABLE desk.calls (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id uuid, umbrella_id uuid, owner_id uuid, account_id uuid,
  state text NOT NULL CHECK (state IN ('open', 'done')), FOREIGN KEY (tenant_id, account_id) REFERENCES desk.accounts (tenant_id, id));
CREATE TABLE desk.registrations (id uuid PRIMARY KEY, tenant_id uuid, umbrella_id uuid, label text);
CREATE TABLE desk.personal (id uuid PRIMARY KEY, owner_id uuid, label text, UNIQUE (owner_id, label));
CREATE TABLE desk.parts (id uuid, tenant_id uuid, month date NOT NULL, PRIMARY KEY (id, month)) PARTITION BY RANGE (month);
CREATE TABLE desk.parts_1 PARTITION OF desk.parts FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE desk.parts_2 PARTITION OF desk.parts FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
SELECT FROM revdesk_protect('desk.accounts', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
SELECT FROM revdesk_protect('desk.calls', owner_column => 'owner_id', umbrella_column => 'umbrella_id');
SELECT FROM revdesk_protect('desk.registrations', umbrella_column => 'umbrella_id', walk_up => true);
SELECT FROM revdesk_protect('desk.personal', tenant_column => NULL, owner_column => 'owner_id');
SELECT FROM revdesk_protect('desk.parts');
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA desk TO test_app;
CREATE VIEW desk.calls_view WITH (security_invoker = true) AS SELECT * FROM desk.calls;
GRANT SELECT ON desk.calls_view TO test_app;
RESET ROLE;

CREATE FUNCTION test.lines(relation regclass, wanted text) RETURNS SETOF text LANGUAGE sql
AS $$
  SELECT substring(line FROM '^(?:not )?ok \d+ - (.*)$') FROM revdesk_selftest(relation) AS line
  WHERE line ~ ('^' || wanted || ' \d') AND line !~ '# SKIP'
$$;
CREATE FUNCTION test.holes(relation regclass, hole text DEFAULT NULL) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  IF hole IS NOT NULL THEN
    EXECUTE hole;
  END IF;
  SELECT COALESCE(string_agg(split_part(line, ' as test_app: ', 2), '; ' ORDER BY line COLLATE "C"), '') INTO outcome
  FROM test.lines(relation, 'not ok') AS line;
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome;
END
$$;
-- All that could be left: every row, every sequence, every catalog's size.
CREATE FUNCTION test.traces() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  catalog regclass;
  counted bigint;
  whole text := test.contents();
BEGIN
  FOR catalog IN
    SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'pg_statistic%'
  LOOP
    EXECUTE format('SELECT count(*) FROM %s', catalog) INTO counted;
    whole := concat_ws(' ', whole, catalog, counted);
  END LOOP;
  RETURN whole || (SELECT string_agg(concat_ws(' ', schemaname, sequencename, last_value), ',' ORDER BY schemaname, sequencename) FROM pg_sequences)
    || (SELECT count(*) FROM pg_prepared_statements)
    || (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE name IN ('role', 'jit', 'row_security', 'lock_timeout', 'plan_cache_mode', 'session_replication_role', 'transaction_read_only'))
    || COALESCE(revdesk_scope(), 'no scope') || current_user;
END
$$;

-- Empty and with rows, nothing is wrong, and everything is tried.
SELECT is_empty(format('SELECT * FROM revdesk_selftest(%L) WHERE starts_with(revdesk_selftest, ''not ok'')', relation), 'empty, ok: ' || relation)
FROM unnest('{desk.accounts,desk.calls,desk.registrations,desk.personal,desk.parts,desk.parts_1}'::regclass[]) AS relation;
SELECT is_empty($$SELECT * FROM revdesk_selftest() AS line WHERE line ~ '# SKIP'$$, 'nothing is skipped');
SELECT revdesk_create_organization('C', test.id('C')), revdesk_create_user('cleo', test.id('cleo'));
INSERT INTO desk.accounts SELECT test.id('account ' || i), test.id('C'), NULL, NULL, 'account ' || i FROM generate_series(1, 20) AS i;
INSERT INTO desk.calls (tenant_id, account_id, state) SELECT test.id('C'), test.id('account ' || i), 'done' FROM generate_series(1, 20) AS i;
INSERT INTO desk.registrations SELECT test.id(i::text), test.id('C'), NULL, i FROM generate_series(1, 20) AS i;
INSERT INTO desk.personal SELECT test.id(i::text), test.id('cleo'), i FROM generate_series(1, 20) AS i;
INSERT INTO desk.parts SELECT test.id(i::text), test.id('C'), '2020-02-02' FROM generate_series(1, 20) AS i;
CREATE TEMP TABLE lines (line text, ordinality bigint);
CREATE TEMP TABLE traces (before text);
INSERT INTO traces SELECT test.traces();
INSERT INTO lines SELECT line, ordinality FROM revdesk_selftest() WITH ORDINALITY AS line;
SELECT is(test.traces(), before, 'nothing is left behind') FROM traces;
SELECT is_empty($$SELECT line FROM lines WHERE line LIKE 'not ok%' OR line LIKE '%# SKIP%'$$, 'with rows, all is ok and nothing is skipped');
SELECT is((SELECT line FROM lines ORDER BY ordinality DESC LIMIT 1), '1..' || (SELECT count(*) FROM lines WHERE line LIKE 'ok %'), 'the plan comes last, and is right');
SELECT is_empty($$SELECT line FROM lines WHERE line !~ '^(ok \d+ - |# |1\.\.)'$$, 'it is TAP');
SELECT is(
  (SELECT array_agg(substring(line FROM '^ok (\d+)')::bigint ORDER BY ordinality) FROM lines WHERE line LIKE 'ok %'),
  (SELECT array_agg(i) FROM generate_series(1, (SELECT count(*) FROM lines WHERE line LIKE 'ok %')) AS i), 'and numbered');
SELECT is((SELECT line FROM lines WHERE line LIKE '%calls as%without a key finds nothing'), (SELECT line FROM lines WHERE line ~ '^ok \d+ - desk.calls as test_app: reading without a key finds nothing$'), 'a line says what was tried');
SELECT is(
  (SELECT string_agg(split_part(line, ': ', 2), '; ' ORDER BY ordinality) FROM lines WHERE line LIKE '%desk.registrations as test_app: %umbrella%'),
  'reading with a sub-entity''s key finds its rows alone, and its umbrella''s; inserting a row of the umbrella is refused; moving a row to the umbrella is refused; '
  'updating the rows of the umbrella changes nothing; deleting the rows of the umbrella changes nothing; inserting a row under another umbrella is set right; moving a row under another umbrella is set right',
  'what a walk-up table is tried for');

-- Each hole, and the lines that it fails.
SELECT matches(test.holes(relation, hole), expected, name)
FROM (VALUES
  ('nothing', 'desk.calls'::regclass, NULL, '^$'),
  ('row security off', 'desk.calls', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'reading without a key finds nothing'),
  ('row security off, writing', 'desk.calls', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'deleting the rows of another organization''s tenant changes nothing'),
  ('row security off, plans', 'desk.calls', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'one plan, for one key after the other'),
  ('row security off, upsert', 'desk.calls', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'an upsert by unique index desk.calls_pkey leaves'),
  ('row security off, the role is told', 'desk.calls', 'ALTER TABLE desk.calls DISABLE ROW LEVEL SECURITY', 'row security holds for the role'),
  ('a policy dropped, and a sibling that is wide', 'desk.calls', 'DROP POLICY revdesk_isolation ON desk.calls; CREATE POLICY wide ON desk.calls USING (true)', 'reading with a sub-entity''s key finds its rows alone'),
  ('a policy dropped: writes', 'desk.calls', 'DROP POLICY revdesk_isolation ON desk.calls', 'inserting a row of another organization''s tenant is refused'),
  ('a policy dropped: nobody''s', 'desk.calls', 'DROP POLICY revdesk_isolation ON desk.calls', 'moving a row to nobody is refused'),
  ('a policy dropped: another user''s', 'desk.calls', 'DROP POLICY revdesk_isolation ON desk.calls', 'moving a row to another user is refused'),
  ('a permissive sibling alone is none', 'desk.calls', 'CREATE POLICY wide ON desk.calls USING (true)', '^$'),
  ('the check alone dropped', 'desk.calls', 'ALTER POLICY revdesk_isolation ON desk.calls WITH CHECK (true)',
   '^inserting a row of a sibling is refused; inserting a row of another organization''s tenant is refused; inserting a row of another user is refused; inserting a row of nobody is refused; inserting a row of the umbrella is refused; '
   || 'moving a row to a sibling is refused; moving a row to another organization''s tenant is refused; moving a row to another user is refused; moving a row to nobody is refused; moving a row to the umbrella is refused$'),
  ('restrictive for another role only', 'desk.calls', 'ALTER POLICY revdesk_isolation ON desk.calls TO test_other; CREATE POLICY wide ON desk.calls USING (true)', 'reading without a key finds nothing'),
  ('the tenant alone, siblings forgotten', 'desk.calls', $$ALTER POLICY revdesk_isolation ON desk.calls USING (umbrella_id = revdesk_umbrella_id()); ALTER POLICY revdesk_permit ON desk.calls USING (true)$$,
   'deleting the rows of a sibling changes nothing'),
  ('personal rows', 'desk.personal', 'ALTER POLICY revdesk_isolation ON desk.personal USING (true) WITH CHECK (true); ALTER POLICY revdesk_permit ON desk.personal USING (revdesk_user_id() IS NOT NULL)',
   'deleting the rows of another user changes nothing; inserting a row of another user is refused'),
  ('personal rows of a table of both', 'desk.calls', 'ALTER POLICY revdesk_isolation ON desk.calls USING (revdesk_scope_visible(tenant_id, owner_id, umbrella_id) OR tenant_id IS NULL); ALTER POLICY revdesk_permit ON desk.calls USING (true)',
   'reading with a user''s key'),
  ('not forced', 'desk.calls', 'ALTER TABLE desk.calls NO FORCE ROW LEVEL SECURITY', '^its owner, test_owner, sees nothing without a key either$'),
  ('not forced, and the role is the owner''s', 'desk.calls', 'ALTER TABLE desk.calls NO FORCE ROW LEVEL SECURITY; GRANT test_owner TO test_app', 'row security holds for the role'),
  ('an open partition', 'desk.parts', 'ALTER TABLE desk.parts_1 DISABLE ROW LEVEL SECURITY', '^partitions and children named themselves show no more$'),
  ('a partition with wide policies', 'desk.parts', 'DROP POLICY revdesk_isolation ON desk.parts_2; CREATE POLICY wide ON desk.parts_2 USING (true)', '^partitions and children named themselves show no more$'),
  ('a partition without privileges is none', 'desk.parts', 'ALTER TABLE desk.parts_1 DISABLE ROW LEVEL SECURITY; REVOKE ALL ON desk.parts_1 FROM test_app', '^$'),
  ('a view of a superuser', 'desk.calls', 'CREATE VIEW desk.open AS SELECT state FROM desk.calls; GRANT SELECT ON desk.open TO test_app', '^view desk.open reaches no more$'),
  ('a view of an owner whom row security holds is none', 'desk.calls', 'ALTER VIEW desk.calls_view RESET (security_invoker)', '^$'),
  ('a view over a view', 'desk.calls', 'CREATE VIEW desk.open WITH (security_invoker) AS SELECT state FROM desk.calls; CREATE VIEW desk.more AS SELECT * FROM desk.open; GRANT SELECT ON desk.more TO test_app', '^view desk.more reaches no more$'),
  ('a materialized view', 'desk.calls', 'CREATE MATERIALIZED VIEW desk.kept AS SELECT * FROM desk.calls; GRANT SELECT ON desk.kept TO test_app', '^view desk.kept reaches no more$'),
  ('a view of a partition', 'desk.parts', 'CREATE VIEW desk.open AS SELECT id FROM desk.parts_1; GRANT SELECT ON desk.open TO test_app', '^view desk.open reaches no more$'),
  ('a view of a partition, of its owner, whom row security does not hold there', 'desk.parts', 'ALTER TABLE desk.parts_1 NO FORCE ROW LEVEL SECURITY; CREATE VIEW desk.open AS SELECT id FROM desk.parts_1; ALTER VIEW desk.open OWNER TO test_owner; GRANT SELECT ON desk.open TO test_app', '^view desk.open reaches no more$'),
  ('a view that the role may only delete from', 'desk.calls', 'CREATE VIEW desk.open AS SELECT state FROM desk.calls; GRANT DELETE ON desk.open TO test_app', '^view desk.open reaches no more$'),
  ('a view that the role may only update', 'desk.calls', 'CREATE VIEW desk.open AS SELECT state FROM desk.calls; GRANT UPDATE (state) ON desk.open TO test_app', '^view desk.open reaches no more$'),
  ('a view that the role may not read is none', 'desk.calls', 'CREATE VIEW desk.open AS SELECT state FROM desk.calls', '^$'),
  ('unique without the tenant', 'desk.accounts', 'ALTER TABLE desk.accounts ADD UNIQUE (label)', '^unique index desk.accounts_label_key does not tell of hidden rows$'),
  ('unique by an expression', 'desk.accounts', 'CREATE UNIQUE INDEX lowered ON desk.accounts (lower(label))', '^unique index desk.lowered does not tell of hidden rows$'),
  ('unique for personal rows', 'desk.personal', 'ALTER TABLE desk.personal ADD UNIQUE (label)', '^unique index desk.personal_label_key does not tell of hidden rows$'),
  ('a number as the primary key', 'desk.registrations', 'ALTER TABLE desk.registrations ADD number integer; UPDATE desk.registrations SET number = label::integer; ALTER TABLE desk.registrations DROP CONSTRAINT registrations_pkey, ADD PRIMARY KEY (number)',
   '^unique index desk.registrations_pkey does not tell of hidden rows$'),
  ('a foreign key without the tenant', 'desk.calls', 'ALTER TABLE desk.calls ADD CONSTRAINT loose FOREIGN KEY (account_id) REFERENCES desk.accounts (id)', '^a row of desk.calls refers to no hidden row of desk.accounts by loose$'),
  ('a foreign key from a table that is not protected', 'desk.accounts', 'CREATE TABLE desk.open (account_id uuid CONSTRAINT loose REFERENCES desk.accounts (id)); GRANT INSERT ON desk.open TO test_app', '^a row of desk.open refers to no hidden row of desk.accounts by loose$'),
  ('TRUNCATE', 'desk.calls', 'GRANT TRUNCATE ON desk.calls TO test_app', '^TRUNCATE, TRIGGER and REFERENCES are not granted$'),
  ('TRUNCATE of a partition', 'desk.parts', 'GRANT TRUNCATE ON desk.parts_1 TO test_app', '^TRUNCATE, TRIGGER and REFERENCES are not granted$'),
  ('REFERENCES of a column', 'desk.calls', 'GRANT REFERENCES (id) ON desk.calls TO test_app', '^TRUNCATE, TRIGGER and REFERENCES are not granted$'),
  ('files', 'desk.calls', 'GRANT pg_write_server_files TO test_app', '^COPY reaches no file and no program of the server$'),
  ('the umbrella trigger disabled', 'desk.calls', 'ALTER TABLE desk.calls DISABLE TRIGGER zz_revdesk_umbrella', 'inserting a row under another umbrella is set right; moving a row under another umbrella is set right'),
  ('the umbrella trigger on replicas only', 'desk.calls', 'ALTER TABLE desk.calls ENABLE REPLICA TRIGGER zz_revdesk_umbrella', 'inserting a row under another umbrella is set right'),
  ('walk-up that writes', 'desk.registrations', 'ALTER POLICY revdesk_isolation_update ON desk.registrations USING (revdesk_scope_readable_up(tenant_id, umbrella_id)) WITH CHECK (revdesk_scope_readable_up(tenant_id, umbrella_id))',
   '^moving a row to the umbrella is refused; updating the rows of the umbrella changes nothing$'),
  ('the check of updates alone dropped', 'desk.registrations', 'ALTER POLICY revdesk_isolation_update ON desk.registrations WITH CHECK (true)',
   '^moving a row to a sibling is refused; moving a row to another organization''s tenant is refused; moving a row to nobody is refused; moving a row to the umbrella is refused$'),
  ('walk-up that deletes', 'desk.registrations', 'DROP POLICY revdesk_isolation_delete ON desk.registrations', '^deleting the rows of the umbrella changes nothing$'),
  ('walk-up that inserts', 'desk.registrations', 'DROP POLICY revdesk_isolation_insert ON desk.registrations', 'inserting a row of the umbrella is refused'),
  ('BYPASSRLS', 'desk.calls', 'ALTER ROLE test_other BYPASSRLS; GRANT SELECT ON desk.calls TO test_other', '^$')
) AS holes (name, relation, hole, expected);
SELECT matches(
  (SELECT string_agg(line, E'\n') FROM revdesk_selftest('desk.calls', 'postgres') AS line), 'not ok \d+ - desk.calls as postgres: row security holds for the role',
  'a role that bypasses row security, asked for by name');

-- Other roles: PUBLIC, several, none, one by name.
CREATE ROLE test_second;
GRANT SELECT ON desk.calls TO PUBLIC, test_second;
SELECT is(
  (SELECT string_agg(DISTINCT substring(line FROM ' as (\S+): '), ' ') FROM revdesk_selftest('desk.calls') AS line), 'PUBLIC test_app test_second', 'each role that was granted something attacks');
SELECT is_empty($$SELECT * FROM revdesk_selftest('desk.calls') AS line WHERE starts_with(line, 'not ok')$$, 'and finds nothing');
SELECT is(
  (SELECT count(*) FROM revdesk_selftest('desk.calls') AS line WHERE line LIKE '% as test_second: inserting a row of % # SKIP the role may not INSERT'), 5::bigint, 'what a role may not try is said');
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname LIKE 'revdesk_selftest%'), 0::bigint, 'the role that stood in for PUBLIC is gone');
CREATE POLICY wide ON desk.calls TO test_second USING (true);
ALTER POLICY revdesk_isolation ON desk.calls TO test_app;
SELECT is(
  (SELECT string_agg(DISTINCT substring(line FROM ' as (\S+): '), ' ') FROM revdesk_selftest('desk.calls') AS line WHERE line LIKE 'not ok%'), 'test_second', 'a hole for one role is that role''s');
REVOKE ALL ON desk.calls FROM PUBLIC, test_second, test_app;
SELECT is(
  (SELECT line FROM revdesk_selftest('desk.calls') AS line LIMIT 1), 'ok 1 - desk.calls: attacks # SKIP no role but its owner may use it', 'a table that nobody may use');

-- Who may not.
SELECT is(split_part(test.error(role, key, statement), ' | ', 1), expected, name)
FROM (VALUES
  ('an API role', 'test_app', NULL, 'SELECT revdesk_selftest()', '42501'),
  ('a table that is not protected', 'none', NULL, $$SELECT revdesk_selftest('test.keys')$$, '55000'),
  ('a role that is not there', 'none', NULL, $$SELECT revdesk_selftest(NULL, 'nobody; DROP TABLE desk.calls')$$, '42704')
) AS cases (name, role, key, statement, expected);
GRANT EXECUTE ON FUNCTION revdesk_selftest TO test_app;
SELECT is(split_part(test.error('test_app', NULL, 'SELECT revdesk_selftest()'), ' | ', 1), '42501', 'EXECUTE alone is not enough');

SELECT * FROM finish();
ROLLBACK;
