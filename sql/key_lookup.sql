-- A key is found by its hash alone, and every column of its row counts.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- Ten thousand keys more, of which each opens its own tenant and no other.
SET session_replication_role = replica;
INSERT INTO revdesk.tenants (id, umbrella_id, name)
SELECT ('eeeeeeee-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid, 'aaaaaaaa-0000-0000-0000-000000000000', 'T' || i
FROM generate_series(1, 10000) AS i;
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(('revdesk_' || md5(i::text))::bytea), 'sub_entity', ('eeeeeeee-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid, 'k' || i
FROM generate_series(1, 10000) AS i;
RESET session_replication_role;
DO $$
DECLARE
  right_one integer := 0;
BEGIN
  FOR i IN 1..10000 LOOP
    PERFORM revdesk_authenticate('revdesk_' || md5(i::text));
    right_one := right_one
      + (revdesk_tenant_id() = ('eeeeeeee-0000-0000-0000-' || to_char(i, 'FM000000000000'))::uuid)::integer;
    PERFORM revdesk_deauthenticate();
  END LOOP;
  RAISE NOTICE '% of 10000 opened their tenant', right_one;
END
$$;

-- Rows that are updated over and over, and deleted.
DO $$
BEGIN
  FOR i IN 1..200 LOOP
    UPDATE revdesk.api_keys SET name = 'v' || i WHERE key_hash = sha256(app.token('a1')::bytea);
  END LOOP;
END
$$;
SELECT app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token('a1')));
SET session_replication_role = replica;
DELETE FROM revdesk.api_keys WHERE name LIKE 'k%' AND name NOT LIKE 'key%';
RESET session_replication_role;
SELECT count(*) AS accepted
FROM generate_series(1, 100) AS i
WHERE app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', 'revdesk_' || md5(i::text))) = 'ok';

-- Each row alone ends a key, or does not.  Over a unix socket there is no
-- address, so no network holds it.
CREATE TABLE app.changes (number serial, change text);
INSERT INTO app.changes (change) VALUES
  ('name = name'),
  ('revoked_at = now()'),
  ('revoked_at = ''-infinity'''),
  ('revoked_at = ''infinity'''),
  ('expires_at = clock_timestamp()'),
  ('expires_at = clock_timestamp() - interval ''1 microsecond'''),
  ('expires_at = clock_timestamp() + interval ''1 hour'''),
  ('expires_at = ''infinity'''),
  ('expires_at = ''-infinity'''),
  ('expires_at = ''1970-01-01'''),
  ('allowed_networks = ''{127.0.0.0/8}'''),
  ('allowed_networks = ''{0.0.0.0/0,::/0}'''),
  ('user_id = ''cccccccc-0000-0000-0000-000000000001'''),
  ('environment = ''development'''),
  ('access = ''admin'''),
  ('access = ''read'''),
  ('replaced_by = ''dddddddd-0000-0000-0000-0000000000a0'''),
  ('metadata = ''{"revoked_at": "now"}'''),
  ('hint = NULL'),
  ('created_at = ''infinity''');
CREATE FUNCTION app.after(change text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  result text;
BEGIN
  EXECUTE 'UPDATE revdesk.api_keys SET ' || change || ' WHERE key_hash = sha256(app.token(''a1'')::bytea)';
  result := app.try(format('SELECT revdesk_authenticate(%L)', app.token('a1')));
  RAISE EXCEPTION '%', result;
EXCEPTION WHEN raise_exception THEN
  RETURN SQLERRM;
END
$$;
SELECT change, app.after(change) FROM app.changes ORDER BY number;

-- now() stands still in a transaction; the expiry does not wait for it.
UPDATE revdesk.api_keys SET expires_at = clock_timestamp() + interval '300 ms' WHERE name = 'key a0';
BEGIN;
SELECT app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token('a0')));
SELECT pg_sleep(0.4);
SELECT now() < expires_at AS now_says_valid FROM revdesk.api_keys WHERE name = 'key a0';
SELECT app.try(format('SELECT revdesk_authenticate(%L), revdesk_deauthenticate()', app.token('a0')));
COMMIT;

-- Where a key was found is remembered, and never believed: it may have been
-- revoked, moved, or deleted, another may lie there, or the table end before.
\set login 'SELECT app.try(format(''SELECT revdesk_authenticate(%L), revdesk_deauthenticate()'', app.token(''a2'')))'
:login;
UPDATE revdesk.api_keys SET revoked_at = now() WHERE key_hash = sha256(app.token('a2')::bytea);
:login;
UPDATE revdesk.api_keys SET revoked_at = NULL WHERE key_hash = sha256(app.token('a2')::bytea);
:login;
VACUUM FULL revdesk.api_keys;
:login;
SET session_replication_role = replica;
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(('revdesk_' || md5('late' || i))::bytea), 'sub_entity', 'eeeeeeee-0000-0000-0000-000000000002', 'late' || i FROM generate_series(1, 2000) AS i;
RESET session_replication_role;
CREATE TEMP TABLE place AS SELECT ctid AS at FROM revdesk.api_keys WHERE name = 'late1';
\set login 'SELECT app.try(format(''SELECT revdesk_authenticate(%L), revdesk_deauthenticate()'', ''revdesk_'' || md5(:''key'')))'
\set key late1
:login;
\set key late2000
:login;
SELECT pg_relation_size('revdesk.api_keys') AS before \gset
SET session_replication_role = replica;
DELETE FROM revdesk.api_keys WHERE name ~ '^late';
RESET session_replication_role;
VACUUM revdesk.api_keys;
SELECT pg_relation_size('revdesk.api_keys') < :before AS ends_before;
:login;
SET session_replication_role = replica;
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(('revdesk_' || md5('other' || i))::bytea), 'sub_entity', 'eeeeeeee-0000-0000-0000-000000000002', 'other' || i FROM generate_series(1, 2000) AS i;
RESET session_replication_role;
SELECT api_keys.name ~ '^other' AS another_lies_there FROM revdesk.api_keys, place WHERE api_keys.ctid = at;
\set key late1
:login;
\set key other1
:login;
