-- The administrator's settings, as functions of the extension read them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
BEGIN;
SET LOCAL revdesk.exposed_schemas = 'public, "Odd, name", UPPER';
SELECT revdesk.setting_list('exposed_schemas');
SET LOCAL revdesk.exposed_schemas = '';
SELECT revdesk.setting_list('exposed_schemas');
SET LOCAL revdesk.exposed_schemas = 'public,,';
ROLLBACK;
SELECT revdesk.setting('unprotected_tables');
SET revdesk.unprotected_tables = maybe;
SELECT revdesk.setting('no_such');
SELECT revdesk.setting_list('public_paths');
SET ROLE regress_app;
SET revdesk.unprotected_tables = warn;
SET revdesk.exposed_schemas = lies;
