-- Proves that no function of the extension can be misused by calling it (attacks F1, F2, F5, F6).

BEGIN;
\ir setup/desk.psql
-- As many as there are functions.
SELECT no_plan();

CREATE TEMP TABLE members AS
SELECT proc.oid::regprocedure AS function, proc.*, nspname FROM pg_proc AS proc
JOIN pg_namespace AS namespace ON namespace.oid = pronamespace
JOIN pg_depend ON objid = proc.oid AND classid = 'pg_proc'::regclass AND deptype = 'e'
JOIN pg_extension ON pg_extension.oid = refobjid AND extname = 'revdesk_auth';
SELECT cmp_ok((SELECT count(*) FROM members), '>', 50::bigint, 'the functions of the extension are found');

-- F1: every one, by a role without any privilege and by one that was granted
-- all, without a context: nothing changes, nobody acts, no crash.
CREATE TEMP TABLE arguments AS
SELECT * FROM (VALUES
  ('null', '{}'::jsonb, 'NULL'),
  ('extreme', '{"text": "repeat(''x'', 1000000)", "uuid": "''ffffffff-ffff-ffff-ffff-ffffffffffff''", "interval": "''1000000 years''", "boolean": "true",
     "timestamp with time zone": "''infinity''", "jsonb": "to_jsonb(repeat(''x'', 1000000))", "cidr[]": "array_fill(''::/0''::cidr, ''{100000}'')",
     "bytea": "convert_to(repeat(''x'', 1000000), ''UTF8'')", "regclass": "''pg_catalog.pg_class''", "name": "repeat(''x'', 1000)", "integer": "2147483647"}', 'NULL'),
  ('the smallest', '{"text": "''''", "uuid": "''00000000-0000-0000-0000-000000000000''", "interval": "''-1000000 years''", "boolean": "false",
     "timestamp with time zone": "''-infinity''", "jsonb": "''{}''", "cidr[]": "''{}''", "bytea": "''''", "regclass": "0", "name": "''''", "integer": "-2147483648"}', 'NULL'),
  ('of the wrong thing', '{"text": "E''\\x01\\n''''\"; --''", "uuid": "md5(''A'')::uuid", "interval": "''0''", "boolean": "NULL",
     "timestamp with time zone": "now()", "jsonb": "''[]''", "cidr[]": "''{NULL}''", "bytea": "''\\x00''", "regclass": "4294967295", "name": "''no such column''", "integer": "0"}', 'NULL')
) AS arguments (kind, by_type, other);
CREATE FUNCTION test.call(function regprocedure, by_type jsonb, other text) RETURNS text LANGUAGE sql
AS $$
  SELECT format('SELECT %s(%s)', (SELECT oid::regproc FROM pg_proc WHERE oid = function),
    COALESCE(string_agg(format('(%s)::%s', COALESCE(by_type ->> format_type(type, NULL), other), format_type(type, NULL)), ', ' ORDER BY place), ''))
  FROM pg_proc, unnest(proargtypes) WITH ORDINALITY AS types (type, place) WHERE pg_proc.oid = function
$$;
-- Those that PostgreSQL itself calls are for the part below.
CREATE TEMP TABLE callable AS
SELECT function FROM members
WHERE prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype);
SELECT matches(
  test.write('test_other', NULL, test.call(function, by_type, other)), '^([0-9A-Z]{5}|[0-9]+ rows), unchanged$',
  format('attack F1: %s with arguments %s, by nobody', function, kind))
FROM callable, arguments;
SELECT is(
  test.rows('test_other', NULL, format('SELECT concat(revdesk_scope()) FROM (SELECT 1 OFFSET 0) AS one')), '', 'attack F1: and nobody acts');
SELECT unalike(
  test.write('test_other', NULL, test.call(function, by_type, other)), 'XX%', format('attack F1: %s with arguments %s is no internal error', function, kind))
FROM callable, arguments;
SELECT unalike(
  test.write('postgres', NULL, test.call(function, by_type, other)), 'XX%', format('attack F1: nor for a superuser: %s with arguments %s', function, kind))
FROM callable, arguments;

-- What PUBLIC may call: the request path, and what revdesk_protect() needs.
SELECT is(
  (SELECT string_agg(function::text, ' ' ORDER BY function::text COLLATE "C") FROM members
   WHERE has_function_privilege('test_other', oid, 'EXECUTE') AND nspname <> 'revdesk'),
  'revdesk_access() revdesk_authenticate() revdesk_authenticate(text) revdesk_context() revdesk_deauthenticate() revdesk_environment() revdesk_key_id() revdesk_scope() '
  'revdesk_scope_in_organization(uuid) revdesk_scope_in_user_tenants(uuid) '
  'revdesk_scope_organization() revdesk_scope_organization_tenants() revdesk_scope_readable_up(uuid,uuid) revdesk_scope_sub_entity() revdesk_scope_tenant(integer,integer,uuid) revdesk_scope_user() '
  'revdesk_scope_user_tenants() revdesk_scope_visible(uuid,uuid,uuid) revdesk_scope_walk_up() revdesk_session_started() revdesk_tenant_id() revdesk_umbrella_id() revdesk_user_id()',
  'X06: what PUBLIC may call in the extension''s schema');
SELECT is(
  (SELECT string_agg(function::text, ' ' ORDER BY function::text COLLATE "C") FROM members
   WHERE has_function_privilege('test_other', oid, 'EXECUTE') AND nspname = 'revdesk'
     AND prosrc ~* 'api_keys|tenants|memberships|users'),
  NULL, 'X06: nothing that PUBLIC may call in schema revdesk names the tables of keys, tenants, users or memberships');

-- F2: what PostgreSQL itself calls.
SELECT matches(
  test.run('postgres', NULL, test.call(function, '{}', 'NULL')), '^(0A000|39P01|42883|0A000|42809)$', 'attack F2: called directly: ' || function)
FROM members WHERE prorettype IN ('trigger'::regtype, 'event_trigger'::regtype);
SELECT matches(
  test.run('postgres', NULL, statement), '^(42883|42804|0A000|42846)$', 'attack F2: the support function gets no value of SQL: ' || statement)
FROM (VALUES ('SELECT revdesk_scope_support(1)'), ('SELECT revdesk_scope_support(NULL)'), ('SELECT revdesk_scope_support(''x''::cstring)'), ('SELECT revdesk_scope_support(''x''::internal)')) AS cases (statement);
-- Trigger functions on a table of the caller's own: they tell of no tenant, and
-- take no wrong arguments.
GRANT CREATE ON SCHEMA desk TO test_app;
CREATE FUNCTION test.trigger_outcome(timing text, arguments text) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM test.enter('test_app', NULL);
  CREATE TABLE desk.mine (tenant_id uuid, umbrella_id uuid, label text);
  INSERT INTO desk.mine VALUES (md5('A1')::uuid, NULL, 'x');
  EXECUTE format('CREATE TRIGGER mine %s EXECUTE FUNCTION revdesk.set_umbrella(%s)', timing, arguments);
  INSERT INTO desk.mine VALUES (md5('A1')::uuid, NULL, 'x');
  UPDATE desk.mine SET label = 'y';
  DELETE FROM desk.mine;
  RAISE SQLSTATE 'TST00';
EXCEPTION
  WHEN SQLSTATE 'TST00' THEN
    RETURN 'done';
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT is(
  test.trigger_outcome(timing, arguments), expected, format('attack F2: the umbrella''s trigger %s with (%s)', timing, arguments))
FROM (VALUES
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'tenant_id', 'umbrella_id'$$, '23503'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', '', '39P01'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'tenant_id'$$, '39P01'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'tenant_id', 'umbrella_id', 'x'$$, '39P01'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'tenant_id', 'unknown'$$, '42703'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'label', 'umbrella_id'$$, '42804'),
  ('BEFORE INSERT OR UPDATE ON desk.mine FOR EACH ROW', $$'tenant_id', 'ctid'$$, '42703'),
  ('BEFORE DELETE ON desk.mine FOR EACH ROW', $$'tenant_id', 'umbrella_id'$$, '39P01'),
  ('AFTER INSERT ON desk.mine FOR EACH ROW', $$'tenant_id', 'umbrella_id'$$, '39P01'),
  ('BEFORE INSERT ON desk.mine FOR EACH STATEMENT', $$'tenant_id', 'umbrella_id'$$, '39P01')
) AS cases (timing, arguments, expected);
SELECT is(
  test.run('test_app', NULL, $$DO $do$ BEGIN CREATE TABLE desk.mine (id integer);
    CREATE TRIGGER mine AFTER INSERT ON desk.mine FOR EACH ROW EXECUTE FUNCTION revdesk.announce_change(); END $do$ $$), '42501',
  'attack F2: the other trigger functions are not the caller''s to use');

-- What is true of all functions.
SELECT is(
  (SELECT string_agg(function::text, ' ') FROM members WHERE proparallel = 's' AND function::text ~ 'authenticate|create|rotate|revoke|protect|import'), NULL,
  'X16: nothing that changes anything is PARALLEL SAFE');
SELECT is(
  (SELECT string_agg(function::text, ' ' ORDER BY function::text COLLATE "C") FROM members WHERE proleakproof),
  'revdesk_access() revdesk_environment() revdesk_key_id() revdesk_scope() revdesk_scope_in_organization(uuid) revdesk_scope_in_user_tenants(uuid) '
  'revdesk_scope_organization() revdesk_scope_organization_tenants() '
  'revdesk_scope_readable_up(uuid,uuid) revdesk_scope_sub_entity() revdesk_scope_user() revdesk_scope_user_tenants() '
  'revdesk_scope_visible(uuid,uuid,uuid) revdesk_scope_walk_up() revdesk_session_started() revdesk_tenant_id() revdesk_umbrella_id() revdesk_user_id()',
  'X09: what is LEAKPROOF');
SELECT is(
  (SELECT string_agg(function::text, ' ') FROM members WHERE provolatile = 'i' AND nspname <> 'revdesk'), NULL, 'X16: nothing that reads the context is IMMUTABLE');
SELECT is(
  (SELECT string_agg(function::text, ' ') FROM members WHERE obj_description(oid, 'pg_proc') IS NULL), NULL, 'every function has a comment');

-- F5: changing or dropping the extension.
SELECT is(
  test.run(role, NULL, statement), expected, format('attack F5: %s by %s', statement, role))
FROM (VALUES
  ('postgres', 'ALTER EXTENSION revdesk_auth SET SCHEMA desk', '0A000'),
  ('postgres', 'DROP FUNCTION revdesk_scope_visible(uuid, uuid, uuid)', '2BP01'),
  ('postgres', 'DROP FUNCTION revdesk_scope_sub_entity()', '2BP01'),
  ('postgres', 'DROP TABLE revdesk.api_keys', '2BP01'),
  ('postgres', 'DROP SCHEMA revdesk CASCADE', '2BP01'),
  ('postgres', 'DROP EXTENSION revdesk_auth', '2BP01'),
  ('test_owner', 'DROP EXTENSION revdesk_auth CASCADE', '42501'),
  ('test_owner', 'ALTER FUNCTION revdesk_scope_visible(uuid, uuid, uuid) OWNER TO test_owner', '42501'),
  ('test_owner', 'ALTER FUNCTION revdesk_scope_visible(uuid, uuid, uuid) COST 1', '42501'),
  ('test_owner', 'CREATE OR REPLACE FUNCTION revdesk_scope_visible(tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql AS ''SELECT true''', '42501'),
  ('test_owner', 'ALTER EVENT TRIGGER revdesk_protect_new_partitions DISABLE', '42501'),
  ('test_owner', 'CREATE EXTENSION revdesk_auth SCHEMA desk', '42710'),
  ('test_owner', 'ALTER TABLE revdesk.protected_tables DISABLE ROW LEVEL SECURITY', '42501')
) AS cases (role, statement, expected);

-- F5: with CASCADE the tables stay closed.
SET CONSTRAINTS ALL IMMEDIATE;
DO $$
BEGIN
  DROP EXTENSION revdesk_auth CASCADE;
END
$$;
CREATE FUNCTION test.rows_without(role text, query text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  PERFORM set_config('role', role, true);
  EXECUTE query INTO outcome;
  RAISE SQLSTATE 'TST00';
EXCEPTION
  WHEN SQLSTATE 'TST00' THEN
    RETURN outcome;
  WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT is(
  test.rows_without(role, format('SELECT count(*) FROM desk.%I', relation)), '0', format('attack F5: without the extension %s is empty for %s', relation, role))
FROM (VALUES ('test_app'), ('test_owner')) AS roles (role), (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);
SELECT is(
  test.rows_without('test_app', 'INSERT INTO desk.calls VALUES (100, md5(''A1'')::uuid, ''x'') RETURNING 1'), '42501', 'attack F5: nor is anything written');

SELECT * FROM finish();
ROLLBACK;
