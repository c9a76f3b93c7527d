-- From a key to a context: every reason to refuse is one refusal, and access read means it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
CREATE FUNCTION app.login(name text) RETURNS text
LANGUAGE sql
RETURN app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token(name)));
GRANT EXECUTE ON FUNCTION app.token(text), app.try(text), app.login(text) TO regress_app;

-- One key for each reason, and one for none.
SELECT app.add_key(name, 'sub_entity', 'A1')
FROM unnest(ARRAY['10', '11', '12', '13', '14', '15', '16', '17']) AS name \g /dev/null
UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key 11';
UPDATE revdesk.api_keys SET expires_at = now() - interval '1 day' WHERE name = 'key 12';
UPDATE revdesk.api_keys SET environment = 'development' WHERE name = 'key 13';
UPDATE revdesk.api_keys SET allowed_networks = '{10.0.0.0/8}' WHERE name = 'key 14';
UPDATE revdesk.api_keys SET user_id = 'cccccccc-0000-0000-0000-000000000002' WHERE name = 'key 15';
UPDATE revdesk.users SET disabled_at = now() WHERE subject = 'victor';
UPDATE revdesk.api_keys SET tenant_id = 'aaaaaaaa-0000-0000-0000-000000000002' WHERE name = 'key 16';
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'A2';
UPDATE revdesk.api_keys SET tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001' WHERE name = 'key 17';
UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'B';
SET revdesk.accepted_environments = 'production';
SET ROLE regress_app;
SELECT reason, app.login(name)
FROM (VALUES
  ('10', 'none'), ('11', 'revoked'), ('12', 'expired'), ('13', 'environment'), ('14', 'network'), ('15', 'user disabled'),
  ('16', 'tenant suspended'), ('17', 'umbrella suspended'), ('19', 'unknown'), ('c2', 'user of scope user disabled')
) AS keys (name, reason);
RESET ROLE;
RESET revdesk.accepted_environments;

-- A refusal in a transaction that acts for a key leaves it as it was.
BEGIN;
SELECT revdesk_authenticate(app.token('a1'));
SELECT app.login('11'), app.login('a2'), app.login('b0');
SELECT revdesk_tenant_id();
-- The same key again is held against everything again.
UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a1';
SELECT app.login('a1');
ROLLBACK;

-- In every kind of transaction.
BEGIN READ ONLY;
SELECT revdesk_authenticate(app.token('a1'));
SELECT revdesk_tenant_id();
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT revdesk_authenticate(app.token('a1'));
SELECT revdesk_tenant_id();
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT revdesk_authenticate(app.token('a1'));
SELECT revdesk_tenant_id();
COMMIT;

-- Access read: the transaction is read only, and stays so.
CREATE FUNCTION app.write_attempts() RETURNS TABLE (attempt text, outcome text)
LANGUAGE sql
AS $$
  SELECT statement, app.try(statement)
  FROM unnest(ARRAY[
    'INSERT INTO app.docs (id, tenant_id, body) VALUES (100, revdesk_tenant_id(), ''x'')',
    'UPDATE app.docs SET body = ''x''',
    'DELETE FROM app.docs',
    'WITH gone AS (DELETE FROM app.docs RETURNING *) SELECT * FROM gone',
    'SELECT app.writing_function()',
    'SELECT nextval(''app.numbers'')',
    'SELECT setval(''app.numbers'', 10)',
    'SELECT * FROM app.docs FOR UPDATE',
    'CREATE TABLE app.new (i integer)',
    'NOTIFY channel',
    'SET TRANSACTION READ WRITE',
    'SET transaction_read_only = off',
    'SET LOCAL transaction_read_only = off',
    'SELECT set_config(''transaction_read_only'', ''off'', true)',
    'SELECT set_config(''transaction_read_only'', ''off'', false)'
  ]) AS statement
$$;
CREATE FUNCTION app.writing_function() RETURNS void LANGUAGE sql AS $$ UPDATE app.docs SET body = 'x' $$;
CREATE SEQUENCE app.numbers;
GRANT USAGE, UPDATE ON SEQUENCE app.numbers TO regress_app;
GRANT CREATE ON SCHEMA app TO regress_app;
SET ROLE regress_app;
BEGIN;
SELECT revdesk_authenticate(app.token('af'));
SELECT * FROM app.write_attempts();
SHOW transaction_read_only;
RESET ALL;
SHOW transaction_read_only;
COMMIT;
-- Of a key of access write, by the way, all of it succeeds.
BEGIN;
SELECT revdesk_authenticate(app.token('a0'));
SELECT attempt, outcome FROM app.write_attempts() WHERE outcome <> 'ok';
ROLLBACK;
-- It ends with the transaction, or with the authentication.
SHOW transaction_read_only;
BEGIN;
SHOW transaction_read_only;
SAVEPOINT s;
SELECT revdesk_authenticate(app.token('af'));
SHOW transaction_read_only;
ROLLBACK TO s;
SHOW transaction_read_only;
COMMIT;
-- It does not end with the savepoint that the key was authenticated in.
BEGIN;
SAVEPOINT s;
SELECT revdesk_authenticate(app.token('af'));
RELEASE s;
SELECT revdesk_access();
SELECT app.try('UPDATE app.docs SET body = ''x''');
ROLLBACK;
BEGIN;
DO $$
BEGIN
  PERFORM revdesk_authenticate(app.token('af'));
EXCEPTION WHEN invalid_authorization_specification THEN
  RAISE NOTICE 'rejected';
END
$$;
SELECT revdesk_access();
SELECT app.try('UPDATE app.docs SET body = ''x''');
ROLLBACK;
BEGIN;
SAVEPOINT s1;
SAVEPOINT s2;
SELECT revdesk_authenticate(app.token('af'));
RELEASE s2;
SELECT app.try('UPDATE app.docs SET body = ''x''');
RELEASE s1;
SELECT app.try('UPDATE app.docs SET body = ''x''');
ROLLBACK;
-- Nor does one key's end open the transaction for what it may not do.
BEGIN;
SELECT revdesk_authenticate(app.token('af'));
SELECT revdesk_deauthenticate();
SELECT app.try('UPDATE app.docs SET body = ''x''');
COMMIT;
RESET ROLE;
SELECT count(*) AS changed FROM app.docs WHERE body = 'x';
