-- Settings that an administrator chooses: revdesk.accepted_environments.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
SHOW revdesk.accepted_environments;
SELECT context, vartype, short_desc FROM pg_settings WHERE name = 'revdesk.accepted_environments';

SELECT app.add_key('d0', 'sub_entity', 'A1');
UPDATE revdesk.api_keys SET environment = 'development' WHERE name = 'key d0';

CREATE FUNCTION app.accepted() RETURNS TABLE (environments text, production text, development text)
LANGUAGE sql
AS $$
  SELECT current_setting('revdesk.accepted_environments'),
         app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token('a1'))),
         app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token('d0')))
$$;
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = 'production';
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = 'development';
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = 'development', 'production';
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = 'production, production';
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = ' Production ';
SELECT * FROM app.accepted();
SET revdesk.accepted_environments = '';
SELECT * FROM app.accepted();
RESET revdesk.accepted_environments;

-- Values that are no list of environments, and leave the setting as it was.
SET revdesk.accepted_environments = 'staging';
SET revdesk.accepted_environments = 'production,staging';
SET revdesk.accepted_environments = 'production,';
SET revdesk.accepted_environments = 'prod';
SET revdesk.accepted_environments = '"Production"';
SET revdesk.accepted_environments = 'production development';
\set VERBOSITY sqlstate
SELECT set_config('revdesk.accepted_environments', repeat('production,', 100000), false);
\set VERBOSITY default
SELECT * FROM app.accepted();

-- For the transaction, and undone with it.
BEGIN;
SET LOCAL revdesk.accepted_environments = 'production';
SAVEPOINT s;
SET LOCAL revdesk.accepted_environments = 'development';
SELECT * FROM app.accepted();
ROLLBACK TO s;
SELECT * FROM app.accepted();
COMMIT;
SELECT * FROM app.accepted();

-- An API role does not choose.
SET ROLE regress_app;
SET revdesk.accepted_environments = 'development';
SELECT set_config('revdesk.accepted_environments', 'development', true);
ALTER ROLE regress_app SET revdesk.accepted_environments = 'development';
RESET ROLE;

-- For a role or a database an administrator does, from the next login on.
ALTER DATABASE :DBNAME SET revdesk.accepted_environments = 'production';
ALTER ROLE regress_app SET revdesk.accepted_environments = 'nonsense';
\c
SELECT * FROM app.accepted();
ALTER DATABASE :DBNAME RESET revdesk.accepted_environments;
ALTER ROLE regress_app RESET revdesk.accepted_environments;
