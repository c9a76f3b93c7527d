-- The context cannot be set but by a key, and lives no longer than its transaction.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
GRANT EXECUTE ON FUNCTION app.token(text), app.try(text) TO regress_app;
-- The genuine text of a context, which a superuser can see.
BEGIN;
SELECT revdesk_authenticate(app.token('b0')) \g /dev/null
SELECT current_setting('revdesk.context') AS forged \gset
COMMIT;

CREATE FUNCTION app.attempts(setting text, value text) RETURNS TABLE (attempt text, outcome text)
LANGUAGE sql
AS $$
  -- Before 17 an error has the name as it was written.
  SELECT statement, replace(app.try(format(statement, setting, value)), upper(setting), setting)
  FROM unnest(ARRAY[
    'SET %1$s = %2$L',
    'SET SESSION %1$s = %2$L',
    'SET LOCAL %1$s = %2$L',
    'SET %1$s FROM CURRENT',
    'SELECT set_config(%1$L, %2$L, false)',
    'SELECT set_config(%1$L, %2$L, true)',
    'SELECT set_config(upper(%1$L), %2$L, true)',
    'UPDATE pg_settings SET setting = %2$L WHERE name = %1$L',
    'DO $x$ BEGIN PERFORM set_config(%1$L, %2$L, false); END $x$',
    'CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET %1$s = %2$L RETURN revdesk_scope()'
  ]) AS statement
$$;

-- Nobody sets it again: neither an API role nor a superuser.
SELECT attempt, outcome FROM app.attempts('revdesk.context', :'forged') WHERE attempt <> 'SET %1$s FROM CURRENT';
SELECT * FROM revdesk_context();
SET ROLE regress_app;
SELECT attempt, outcome FROM app.attempts('revdesk.context', :'forged') WHERE attempt <> 'SET %1$s FROM CURRENT';
SELECT * FROM revdesk_context();

-- Nor what shows it.
SELECT setting, attempt, outcome
FROM unnest(ARRAY['revdesk.scope', 'revdesk.tenant_id']) AS setting
CROSS JOIN LATERAL app.attempts(setting, 'bbbbbbbb-0000-0000-0000-000000000000')
WHERE attempt <> 'SET %1$s FROM CURRENT';
RESET ROLE;
SELECT setting, attempt, outcome
FROM unnest(ARRAY['revdesk.key_id', 'revdesk.umbrella_id', 'revdesk.user_id', 'revdesk.access']) AS setting
CROSS JOIN LATERAL app.attempts(setting, 'bbbbbbbb-0000-0000-0000-000000000000')
WHERE attempt LIKE 'SET LOCAL%' OR attempt LIKE '%UPDATE%';

-- No name is free under the prefix.
SET ROLE regress_app;
SET revdesk.tenant = 'x';
SELECT set_config('revdesk.context2', 'x', false);
SET "revdesk.context.x" = 'x';
RESET ROLE;

-- Nor with a privilege for it, through a superuser's function, or stored.
GRANT SET ON PARAMETER revdesk.context TO regress_app;
CREATE FUNCTION app.superuser_set(value text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
AS $$ BEGIN PERFORM set_config('revdesk.context', value, true); END $$;
SET ROLE regress_app;
SELECT app.try(format('SET revdesk.context = %L', :'forged'));
SELECT app.try(format('ALTER ROLE regress_app SET revdesk.context = %L', :'forged'));
SELECT app.try(format('SELECT app.superuser_set(%L)', :'forged'));
RESET ROLE;
REVOKE SET ON PARAMETER revdesk.context FROM regress_app;
SELECT app.try(format('ALTER ROLE regress_app SET revdesk.context = %L', :'forged'));
SELECT app.try(format('ALTER DATABASE %I SET revdesk.context = %L', current_database(), :'forged'));
SELECT app.try(format('ALTER ROLE regress_app SET revdesk.scope = %L', 'organization'));
ALTER SYSTEM SET revdesk.context = 'x';
ALTER SYSTEM SET revdesk.scope = 'organization';

-- Kept in a function, from a context that is set right now.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SAVEPOINT s;
CREATE FUNCTION app.keep() RETURNS text LANGUAGE sql SET revdesk.context FROM CURRENT RETURN revdesk_tenant_id()::text;
ROLLBACK TO s;
CREATE FUNCTION app.keep() RETURNS text LANGUAGE sql SET revdesk.tenant_id FROM CURRENT RETURN revdesk_tenant_id()::text;
ROLLBACK;

-- It is not to be seen either.
SET ROLE regress_app;
\set VERBOSITY sqlstate
SHOW revdesk.context;
SELECT current_setting('revdesk.context', true);
\set VERBOSITY default
SELECT name FROM pg_settings WHERE name LIKE 'revdesk.%' AND (context = 'internal' OR name = 'revdesk.context') ORDER BY name;
RESET ROLE;
SELECT name FROM pg_settings WHERE name LIKE 'revdesk.%' AND (context = 'internal' OR name = 'revdesk.context') ORDER BY name;

-- Savepoints.
SET ROLE regress_app;
PREPARE who AS SELECT COALESCE(revdesk_tenant_id()::text, revdesk_user_id()::text, 'nobody') AS who, count(*) AS docs FROM app.docs;
\echo -- an authentication is undone
BEGIN;
SAVEPOINT s;
SELECT revdesk_authenticate(app.token('a1'));
EXECUTE who;
ROLLBACK TO s;
EXECUTE who;
COMMIT;
\echo -- and kept by RELEASE
BEGIN;
SAVEPOINT s;
SELECT revdesk_authenticate(app.token('a1'));
RELEASE s;
EXECUTE who;
COMMIT;
EXECUTE who;
\echo -- a failed one leaves the context of the savepoint
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SAVEPOINT s;
SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000');
EXECUTE who;
ROLLBACK TO s;
EXECUTE who;
SELECT revdesk_authenticate(app.token('b0'));
ROLLBACK TO s;
EXECUTE who;
COMMIT;
\echo -- the same key again changes nothing
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SELECT revdesk_authenticate(app.token('a1'));
EXECUTE who;
COMMIT;
\echo -- to another key only by way of none
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SAVEPOINT s;
SELECT revdesk_deauthenticate();
EXECUTE who;
SELECT revdesk_authenticate(app.token('b0'));
EXECUTE who;
ROLLBACK TO s;
EXECUTE who;
COMMIT;
\echo -- deep, and back step by step
BEGIN;
SAVEPOINT s1;
SELECT revdesk_authenticate(app.token('a0'));
SAVEPOINT s2;
SELECT revdesk_deauthenticate();
SAVEPOINT s3;
SELECT revdesk_authenticate(app.token('c1'));
SAVEPOINT s4;
SELECT revdesk_deauthenticate();
SELECT revdesk_authenticate(app.token('b1'));
EXECUTE who;
ROLLBACK TO s4;
EXECUTE who;
ROLLBACK TO s3;
EXECUTE who;
ROLLBACK TO s2;
EXECUTE who;
ROLLBACK TO s1;
EXECUTE who;
COMMIT;
\echo -- exception blocks are savepoints
BEGIN;
DO $$
BEGIN
  BEGIN
    PERFORM revdesk_authenticate(app.token('a1'));
    RAISE NOTICE 'inside: %', revdesk_tenant_id();
    RAISE EXCEPTION 'undo';
  EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'after: %', COALESCE(revdesk_tenant_id()::text, 'nobody');
  END;
END
$$;
EXECUTE who;
COMMIT;

-- The end of a transaction, of every kind.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
COMMIT;
EXECUTE who;
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
ROLLBACK;
EXECUTE who;
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
COMMIT AND CHAIN;
EXECUTE who;
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SELECT 1 / 0;
ROLLBACK AND CHAIN;
EXECUTE who;
COMMIT;
-- Without BEGIN a statement is a transaction; several in one message are one.
SELECT revdesk_authenticate(app.token('a1'));
EXECUTE who;
SELECT revdesk_authenticate(app.token('a1'))\; EXECUTE who;
EXECUTE who;
-- A procedure's COMMIT.
DO $$
BEGIN
  PERFORM revdesk_authenticate(app.token('a1'));
  RAISE NOTICE 'before COMMIT: %', revdesk_tenant_id();
  COMMIT;
  RAISE NOTICE 'after: %', COALESCE(revdesk_tenant_id()::text, 'nobody');
  PERFORM revdesk_authenticate(app.token('b0'));
  RAISE NOTICE 'another: %', revdesk_tenant_id();
  ROLLBACK;
  RAISE NOTICE 'after ROLLBACK: %', COALESCE(revdesk_tenant_id()::text, 'nobody');
END
$$;

-- RESET and its kin leave a context as it was, or none.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SAVEPOINT s;
RESET revdesk.context;
ROLLBACK TO s;
RESET revdesk.scope;
ROLLBACK TO s;
EXECUTE who;
RESET ALL;
EXECUTE who;
ROLLBACK TO s;
EXECUTE who;
COMMIT;
EXECUTE who;
DISCARD ALL;
SELECT * FROM revdesk_context();
RESET ROLE;

-- A superuser's RESET leaves none.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
RESET revdesk.context;
SELECT * FROM revdesk_context();
COMMIT;
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SET LOCAL revdesk.context = '';
SELECT * FROM revdesk_context();
COMMIT;
-- The context is the transaction's, not the role's.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SET LOCAL ROLE regress_app;
SELECT revdesk_tenant_id();
RESET ROLE;
SELECT revdesk_tenant_id();
COMMIT;

-- A function's own SET clause does not end it, nor does a role's change inside one.
CREATE FUNCTION app.login(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '4MB'
AS $$ BEGIN PERFORM public.revdesk_authenticate(app.token(name)); END $$;
SET ROLE regress_app;
BEGIN;
SELECT app.login('a1');
SELECT revdesk_tenant_id();
COMMIT;
RESET ROLE;

-- A parallel operation cannot set it.
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET :force_parallel = on;
CREATE FUNCTION app.login_in_parallel(name text) RETURNS void
LANGUAGE plpgsql PARALLEL SAFE
AS $$ BEGIN PERFORM revdesk_authenticate(app.token(name)); END $$;
SELECT app.try('SELECT app.login_in_parallel(''a1'')');
RESET :force_parallel;
RESET parallel_setup_cost;
RESET min_parallel_table_scan_size;
