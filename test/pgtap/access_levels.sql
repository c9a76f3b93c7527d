-- Proves that a read key only reads, whatever it tries.

BEGIN;
\ir setup/desk.psql
SELECT plan(115);
SELECT test.create_key('A1 read 2', 'sub_entity', 'A1', NULL, 'read');

CREATE SEQUENCE desk.numbers;
GRANT USAGE, SELECT ON SEQUENCE desk.numbers TO test_app;
CREATE FUNCTION desk.write_definer() RETURNS void
LANGUAGE sql SECURITY DEFINER
AS $$ INSERT INTO desk.calls VALUES (100, md5('A1')::uuid, 'new') $$;
-- From 16 on no function may have this setting, so that it is not there.
DO $do$
BEGIN
  CREATE FUNCTION desk.write_reset() RETURNS void
  LANGUAGE sql SET transaction_read_only = off
  AS $$ INSERT INTO desk.calls VALUES (100, md5('A1')::uuid, 'new') $$;
EXCEPTION WHEN feature_not_supported THEN NULL;
END
$do$;
CREATE VIEW desk.calls_view WITH (security_invoker = true) AS SELECT * FROM desk.calls;
GRANT SELECT, INSERT ON desk.calls_view TO test_app;
GRANT CREATE ON SCHEMA desk TO test_app;
DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO test_app', current_database()); END $$;

CREATE TEMP TABLE writes AS
SELECT * FROM (VALUES
  ('INSERT', $$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$),
  ('INSERT of nothing', $$INSERT INTO desk.calls SELECT * FROM desk.calls WHERE false$$),
  ('UPDATE', $$UPDATE desk.calls SET label = 'x'$$),
  ('UPDATE of nothing', $$UPDATE desk.calls SET label = 'x' WHERE false$$),
  ('DELETE', $$DELETE FROM desk.calls$$),
  ('MERGE', $$MERGE INTO desk.calls USING (SELECT 1) AS one ON calls.label = 'A1' WHEN MATCHED THEN DELETE$$),
  ('writable CTE', $$WITH gone AS (DELETE FROM desk.calls RETURNING 1) SELECT * FROM gone$$),
  ('SELECT FOR UPDATE', $$SELECT FROM desk.calls FOR UPDATE$$),
  ('SELECT FOR SHARE', $$SELECT FROM desk.calls FOR SHARE$$),
  ('nextval', $$SELECT nextval('desk.numbers')$$),
  ('CREATE TABLE', $$CREATE TABLE desk.new (id integer)$$),
  ('CREATE TEMP TABLE', $$CREATE TEMP TABLE mine (id integer)$$),
  ('CREATE TABLE AS', $$CREATE TEMP TABLE mine AS SELECT * FROM desk.calls$$),
  ('SELECT INTO', $s$DO $do$ BEGIN EXECUTE 'SELECT * INTO TEMP mine FROM desk.calls'; END $do$ $s$),
  ('a view', $$INSERT INTO desk.calls_view VALUES (100, test.id('A1'), 'new')$$),
  ('a function that writes', $$SELECT desk.write_definer()$$),
  ('a SECURITY DEFINER function after SET', $s$DO $do$ BEGIN SET LOCAL search_path = desk; PERFORM write_definer(); END $do$ $s$),
  ('PL/pgSQL', $s$DO $do$ BEGIN INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new'); END $do$ $s$),
  ('COMMENT', $$COMMENT ON TABLE desk.calls IS 'x'$$),
  ('TRUNCATE', $$TRUNCATE desk.calls$$)
) AS writes (name, statement);

SELECT is(
  test.write('test_app', key, statement), '25006, unchanged', format('attack W10: %s by the read key of %s', name, key))
FROM writes, (VALUES ('A1 read'), ('A read'), ('ann read')) AS keys (key);
SELECT is(
  test.run('test_app', 'A1', statement) <> '25006', true, 'a write key is not refused for that reason: ' || name)
FROM writes;
SELECT is(test.rows('test_app', 'A1 read', 'SELECT label FROM desk.calls'), 'A1', 'a read key reads');
SELECT is(
  test.rows('test_app', 'A1 read', $$SELECT concat_ws(' ', revdesk_access(), current_setting('transaction_read_only'))$$), 'read on',
  'a read key makes the transaction READ ONLY');
SELECT is(
  test.rows('test_app', 'A1', $$SELECT concat_ws(' ', revdesk_access(), current_setting('transaction_read_only'))$$), 'write off',
  'a write key does not');

-- Ways out.
SELECT matches(
  test.write('test_app', 'A1 read', format($do$DO $x$ BEGIN %s; INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new'); END $x$ $do$, attempt)),
  '^(' || expected || '), unchanged$', 'attack W10: ' || name)
FROM (VALUES
  ('SET transaction_read_only', 'SET transaction_read_only = off', '25001'),
  ('SET LOCAL transaction_read_only', 'SET LOCAL transaction_read_only = off', '25001'),
  ('set_config', $$PERFORM set_config('transaction_read_only', 'off', true)$$, '25001'),
  ('set_config for the session', $$PERFORM set_config('transaction_read_only', 'off', false)$$, '25001'),
  ('UPDATE pg_settings', $$UPDATE pg_settings SET setting = 'off' WHERE name = 'transaction_read_only'$$, '25006'),
  ('SET TRANSACTION READ WRITE', 'SET TRANSACTION READ WRITE', '25001'),
  ('SET SESSION CHARACTERISTICS', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', '25006'),
  ('SET default_transaction_read_only', 'SET default_transaction_read_only = off', '25006'),
  ('RESET transaction_read_only', 'RESET transaction_read_only', '25006|55P02|0A000'),
  ('SET transaction_read_only TO DEFAULT', 'SET transaction_read_only TO DEFAULT', '25006|55P02|0A000'),
  ('RESET ALL', 'RESET ALL', '25006'),
  ('revdesk_deauthenticate', 'PERFORM revdesk_deauthenticate()', '25006'),
  ('a write key after it', $$PERFORM revdesk_deauthenticate(); PERFORM revdesk_authenticate(test.token('A1'))$$, '25006'),
  ('a write key in a block of its own', $$PERFORM revdesk_deauthenticate(); BEGIN PERFORM revdesk_authenticate(test.token('A1'));
     EXCEPTION WHEN OTHERS THEN NULL; END$$, '25006'),
  ('an error, caught', 'BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END', '25006'),
  ('a block of its own', 'BEGIN SET transaction_read_only = off; EXCEPTION WHEN OTHERS THEN NULL; END', '25006'),
  ('a block of its own with RESET', 'BEGIN RESET transaction_read_only; EXCEPTION WHEN OTHERS THEN NULL; END', '25006'),
  ('SET ROLE', 'RESET ROLE', '25006'),
  ('authenticating again', $$PERFORM revdesk_authenticate(test.token('A1 read'))$$, '25006'),
  ('a function with a SET clause', 'PERFORM desk.write_reset()', '25001|42883')
) AS cases (name, attempt, expected);

-- After the key, in a savepoint of the surrounding transaction, writing goes on.
SAVEPOINT before;
SELECT test.enter('test_app', 'A1 read');
SELECT throws_ok($$DELETE FROM desk.calls$$, '25006', NULL, 'within the savepoint nothing is written');
ROLLBACK TO before;
SELECT is(current_setting('transaction_read_only'), 'off', 'a rollback to before the key ends READ ONLY');
SELECT lives_ok($$INSERT INTO desk.calls VALUES (100, test.id('A1'), 'new')$$, 'and the transaction writes');
ROLLBACK TO before;

-- What a read key may not manage, as it would have to write.
SELECT is(
  test.error('test_app', 'A1 read', $$SELECT revdesk_revoke_key(revdesk_key_id())$$),
  '42501 | access "admin" required | The key has access "read".', 'a read key manages nothing');
SELECT is(
  test.rows('test_app', 'A1 read', 'SELECT name FROM revdesk_keys'), 'A1 read', 'and lists no key but itself');

-- Levels: read < write < admin.
SELECT is(
  test.write('test_app', 'A1' || suffix, statement), expected, format('A1%s: %s', suffix, name))
FROM (VALUES
  ('reads', '', 'SELECT FROM desk.calls', '1 rows, unchanged'),
  ('reads', ' read', 'SELECT FROM desk.calls', '1 rows, unchanged'),
  ('reads', ' admin', 'SELECT FROM desk.calls', '1 rows, unchanged'),
  ('writes', '', 'DELETE FROM desk.calls', '1 rows, changed'),
  ('writes', ' admin', 'DELETE FROM desk.calls', '1 rows, changed'),
  ('manages', '', $$SELECT revdesk_add_member(test.id('A1'), test.id('eve'))$$, '42501, unchanged'),
  ('manages', ' admin', $$SELECT revdesk_add_member(test.id('A1'), test.id('eve'))$$, '1 rows, changed')
) AS cases (name, suffix, statement, expected);

SELECT * FROM finish();
ROLLBACK;
