-- Proves that a context ends with its transaction, however that ends (attack G7).

-- These transactions have to end for real, so this file commits what it needs
-- and deletes it at its end.
BEGIN;
\ir setup/helpers.psql
SELECT FROM revdesk_create_organization('Transactions', test.id('transactions'));
SELECT test.create_key('key', 'organization', 'transactions');
CREATE TABLE test.rows_of_tenant (tenant_id uuid, label text);
INSERT INTO test.rows_of_tenant VALUES (test.id('transactions'), 'mine'), (test.id('others'), 'theirs');
SELECT FROM revdesk_protect('test.rows_of_tenant');
ALTER TABLE test.rows_of_tenant OWNER TO test_owner;
GRANT USAGE ON SCHEMA test TO test_owner;
SELECT test.token('key') AS token \gset
COMMIT;

SELECT plan(11);
-- What is there after each way to end: scope, rows, and the readable setting.
CREATE FUNCTION pg_temp.left_over() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  seen text;
BEGIN
  SET LOCAL ROLE test_owner;
  SELECT concat_ws('|', revdesk_scope(), current_setting('revdesk.tenant_id'), string_agg(label, ',')) INTO seen FROM test.rows_of_tenant;
  RESET ROLE;
  RETURN seen;
END
$$;

BEGIN;
SELECT FROM revdesk_authenticate(:'token');
SELECT is(pg_temp.left_over(), 'organization|' || test.id('transactions') || '|mine', 'attack G7: within the transaction the context is there');
COMMIT;
SELECT is(pg_temp.left_over(), '', 'attack G7: after COMMIT it is not');

BEGIN;
SELECT FROM revdesk_authenticate(:'token');
ROLLBACK;
SELECT is(pg_temp.left_over(), '', 'attack G7: nor after ROLLBACK');

BEGIN;
SELECT FROM revdesk_authenticate(:'token');
COMMIT AND CHAIN;
SELECT is(pg_temp.left_over(), '', 'attack G7: nor in a transaction that COMMIT AND CHAIN begins');
COMMIT;

BEGIN;
SELECT FROM revdesk_authenticate(:'token');
ROLLBACK AND CHAIN;
SELECT is(pg_temp.left_over(), '', 'attack G7: nor in one that ROLLBACK AND CHAIN begins');
COMMIT;

SELECT FROM revdesk_authenticate(:'token');
SELECT is(pg_temp.left_over(), '', 'attack G7: a statement on its own is a transaction of its own');

SELECT FROM revdesk_authenticate(:'token') \; SELECT is(pg_temp.left_over(), 'organization|' || test.id('transactions') || '|mine', 'attack G7: two statements sent as one share it');

CREATE FUNCTION pg_temp.set_for_session(token text) RETURNS void LANGUAGE plpgsql
AS $$ BEGIN PERFORM revdesk_authenticate(token); PERFORM set_config('revdesk.context', '', false); EXCEPTION WHEN OTHERS THEN NULL; END $$;
BEGIN;
SELECT FROM revdesk_authenticate(:'token');
SELECT pg_temp.set_for_session(:'token');
COMMIT;
SELECT is(pg_temp.left_over(), '', 'attack G7: an attempt to make it the session''s leaves nothing');

-- COMMIT and ROLLBACK within a procedure's body.
CREATE FUNCTION pg_temp.as_text(label text) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws('|', label, COALESCE(revdesk_scope(), 'none')) $$;
CREATE TEMP TABLE told (step text);
CREATE PROCEDURE pg_temp.steps(token text) LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM revdesk_authenticate(token);
  INSERT INTO told VALUES (pg_temp.as_text('before'));
  COMMIT;
  INSERT INTO told VALUES (pg_temp.as_text('after COMMIT'));
  COMMIT;
  PERFORM revdesk_authenticate(token);
  ROLLBACK;
  INSERT INTO told VALUES (pg_temp.as_text('after ROLLBACK'));
END
$$;
CALL pg_temp.steps(:'token');
SELECT is(
  (SELECT string_agg(step, ', ') FROM told), 'before|organization, after COMMIT|none, after ROLLBACK|none',
  'attack G7: COMMIT and ROLLBACK within a procedure end it');

-- A cursor that is held over the COMMIT keeps the rows that it read, and reads no more.
BEGIN;
SET LOCAL revdesk.pool_guard = off;
SELECT FROM revdesk_authenticate(:'token');
SET LOCAL ROLE test_owner;
DECLARE held CURSOR WITH HOLD FOR SELECT label FROM test.rows_of_tenant;
RESET ROLE;
COMMIT;
CREATE FUNCTION pg_temp.fetched() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  held refcursor := 'held';
  row record;
  fetched text := '';
BEGIN
  LOOP
    FETCH held INTO row;
    EXIT WHEN NOT FOUND;
    fetched := fetched || row.label || ',';
  END LOOP;
  RETURN fetched;
END
$$;
SELECT is(pg_temp.fetched(), 'mine,', 'attack R19: a held cursor has what its transaction was allowed, not more');
CLOSE held;

BEGIN;
SET client_min_messages = warning;
DELETE FROM revdesk.api_keys WHERE tenant_id = test.id('transactions');
DELETE FROM revdesk.tenants WHERE id = test.id('transactions');
DROP SCHEMA test CASCADE;
DROP ROLE test_app, test_owner, test_other;
COMMIT;
SELECT is((SELECT count(*) FROM revdesk.protected_tables WHERE relation::text LIKE 'test.%'), 0::bigint, 'a dropped schema''s tables leave the registry');

SELECT * FROM finish();
