# Attacks F: functions, privileges and what can be done to the installation.
# F1 and F2, every function with every argument, are in test/pgtap.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth');
$node->safe_psql('template', <<'SQL');
CREATE SCHEMA mine AUTHORIZATION api;
CREATE FUNCTION public.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'accepted: ' || statement;
EXCEPTION WHEN OTHERS THEN
  RETURN format('%s %s: %s', SQLSTATE, SQLERRM, statement);
END $$;
SQL

attack 'F3', 'revdesk_protect on odd names, and on what is no table of one\'s own', <<'CASE';
su> CREATE SCHEMA "Odd; DROP"
su> CREATE TABLE "Odd; DROP"."ta""ble' -- %s" (id integer, "tenant"" id; --" uuid, "Umb'rella" uuid, "Ow%ner" uuid)
su> INSERT INTO "Odd; DROP"."ta""ble' -- %s" VALUES (1, '${A1}', '${B}', NULL), (2, '${B1}', NULL, NULL), (3, NULL, NULL, '${ULLA}')
su> SELECT try($$SELECT revdesk_protect('"Odd; DROP"."ta""ble'' -- %s"', 'tenant" id; --', 'Ow%ner', 'Umb''rella')$$)
su> GRANT USAGE ON SCHEMA "Odd; DROP" TO api
su> GRANT ALL ON "Odd; DROP"."ta""ble' -- %s" TO api
a> SELECT 'nobody ' || count(*) FROM "Odd; DROP"."ta""ble' -- %s"
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'A1 sees ' || string_agg(id || "Umb'rella"::text, ',') FROM "Odd; DROP"."ta""ble' -- %s"
a> SELECT revdesk_authenticate('${KEY_B}')\; SELECT 'B sees ' || string_agg(id::text, ',') FROM "Odd; DROP"."ta""ble' -- %s"
a> SELECT revdesk_authenticate('${KEY_ULLA}')\; SELECT 'ulla sees ' || string_agg(id::text, ',' ORDER BY id) FROM "Odd; DROP"."ta""ble' -- %s"
su> SELECT try($$SELECT revdesk_unprotect('"Odd; DROP"."ta""ble'' -- %s"')$$)
su> GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api
a> CREATE TEMP TABLE t (tenant_id uuid)
a> CREATE VIEW mine.v AS SELECT NULL::uuid AS tenant_id
a> CREATE MATERIALIZED VIEW mine.m AS SELECT NULL::uuid AS tenant_id
a> CREATE SEQUENCE mine.s
a> CREATE TABLE mine.t (tenant_id text, id uuid GENERATED ALWAYS AS ('${A}'::uuid) STORED)
a> SELECT try($$SELECT revdesk_protect('pg_temp.t')$$)
a> SELECT try($$SELECT revdesk_protect('mine.v')$$)
a> SELECT try($$SELECT revdesk_protect('mine.m')$$)
a> SELECT try($$SELECT revdesk_protect('mine.s')$$)
a> SELECT try($$SELECT revdesk_protect('pg_catalog.pg_class', 'oid')$$)
a> SELECT try($$SELECT revdesk_protect('information_schema.sql_features')$$)
a> SELECT try($$SELECT revdesk_protect('revdesk.api_keys')$$)
a> SELECT try($$SELECT revdesk_protect('app.docs', walk_up => true)$$)
a> SELECT try($$SELECT revdesk_unprotect('app.docs')$$)
a> SELECT try($$SELECT revdesk_protect(0)$$)
a> SELECT try($$SELECT revdesk_protect(NULL)$$)
a> SELECT try($$SELECT revdesk_protect('mine.t')$$)
a> SELECT try($$SELECT revdesk_protect('mine.t', 'id')$$)
a> SELECT try($$SELECT revdesk_protect('mine.t', NULL)$$)
must nobody 0
must A1 sees 1${A}
must B sees 2
must ulla sees 1,3
must (?s)accepted.*accepted.*(42809 .*){4}(42809|42501) .*(42809|42501) .*(42809|42501) .*42501 .*42501 .*(42809 .*){2}42804 .*42809 .*22023
mustnot (?s)accepted.*accepted.*accepted
CASE

attack 'F4', 'an attacker\'s schemas in the search_path of everything', <<'CASE';
su> GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api
su> GRANT SELECT ON revdesk_keys TO api
su> INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id, access) VALUES ('5e', sha256(('revdesk_' || repeat('5e', 16))::bytea), 'organization', '${A}', 'admin')
a> DO $$ DECLARE f record;
  BEGIN
    FOR f IN SELECT DISTINCT proname, pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc
      WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN ('sha256', 'encode', 'right', 'now', 'clock_timestamp', 'gen_random_uuid', 'char_length', 'octet_length', 'format', 'to_jsonb',
        'array_position', 'cardinality', 'jsonb_typeof', 'has_table_privilege', 'pg_has_role', 'quote_ident', 'jsonb_build_object', 'date_trunc', 'unnest', 'uuid_eq', 'texteq')
        AND prokind = 'f' AND pg_get_function_identity_arguments(oid) !~ 'VARIADIC|OUT '
    LOOP
      EXECUTE format('CREATE FUNCTION mine.%I(%s) RETURNS text LANGUAGE plpgsql AS $f$BEGIN RAISE NOTICE ''caught %s''; RETURN NULL; END$f$', f.proname, f.arguments, f.proname);
    END LOOP;
  END $$
a> CREATE FUNCTION mine.eq(a anyelement, b anyelement) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'caught ='; RETURN true; END$$
a> CREATE OPERATOR mine.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = mine.eq)
a> CREATE FUNCTION mine.same(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'caught ='; RETURN true; END$$
a> CREATE OPERATOR mine.= (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.same)
a> CREATE OPERATOR mine.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.same)
a> CREATE FUNCTION mine.cat(a text, b text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'caught ||'; RETURN 'x'; END$$
a> CREATE OPERATOR mine.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.cat)
a> CREATE TEMP TABLE pg_class (oid oid, relowner oid)
a> CREATE TEMP TABLE pg_policy (polrelid oid)
a> CREATE TABLE mine.own (tenant_id uuid, umbrella_id uuid)
a> SET search_path = mine, pg_temp, public, pg_catalog
a> BEGIN
a> SELECT public.revdesk_authenticate(pg_catalog.concat('revdesk_', pg_catalog.repeat('5e', 16)))
a> SELECT 'made ' OPERATOR(pg_catalog.||) (key_id IS NOT NULL) FROM public.revdesk_create_key('x', 'sub_entity', '${A1}')
a> SELECT 'rotated ' OPERATOR(pg_catalog.||) (r.key_id IS NOT NULL) FROM public.revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a2') AS r
a> SELECT 'revoked ' OPERATOR(pg_catalog.||) public.revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1')
a> SELECT public.revdesk_add_member('${A2}', '${ULLA}')
a> SELECT 'keys ' OPERATOR(pg_catalog.||) pg_catalog.count(*) FROM public.revdesk_keys
a> SELECT public.revdesk_account() IS NOT NULL
a> COMMIT
a> SELECT public.revdesk_protect('mine.own', umbrella_column => 'umbrella_id')
a> SELECT public.revdesk_unprotect('mine.own')
must made true
must rotated true
must revoked true
must keys 8
mustnot caught|ERROR
CASE

attack 'F5', 'taking the extension or its members away', <<'CASE';
su> \set SHOW_CONTEXT never
su> SET client_min_messages = error
su> SELECT try('ALTER EXTENSION revdesk_auth SET SCHEMA app')
su> SELECT try('DROP FUNCTION revdesk_scope_visible(uuid, uuid, uuid)')
su> SELECT try('DROP FUNCTION revdesk_scope_visible(uuid, uuid, uuid) CASCADE')
su> SELECT try('DROP SCHEMA revdesk CASCADE')
su> SELECT try('DROP TABLE revdesk.api_keys CASCADE')
su> SELECT try('DROP EXTENSION revdesk_auth')
a> SELECT try('DROP EXTENSION revdesk_auth CASCADE')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'before ' || count(*) FROM app.docs
a> COMMIT
su> DROP EXTENSION revdesk_auth CASCADE
a> SELECT 'api sees ' || (SELECT count(*) FROM app.docs) || (SELECT count(*) FROM app.parts) || (SELECT count(*) FROM app.parts_rest) || (SELECT count(*) FROM app.registrations)
owner> SELECT 'owner sees ' || (SELECT count(*) FROM app.docs) || (SELECT count(*) FROM app.parts) || (SELECT count(*) FROM app.registrations)
a> SELECT try($$INSERT INTO app.registrations (id) VALUES (1)$$)
su> SELECT 'rows are there: ' || count(*) FROM app.docs
must (?s)(0A000|2BP01) .*2BP01 .*2BP01 .*2BP01 .*2BP01 .*2BP01 .*42501 .*before 10
must api sees 0000
must owner sees 000
must 42501 new row
must rows are there: 70
mustnot accepted
CASE

attack 'F6', 'CREATE EXTENSION by a role that is no superuser', <<'CASE';
su> SET client_min_messages = error
su> DROP EXTENSION revdesk_auth CASCADE
su> ALTER DATABASE ${DATABASE} OWNER TO owner
owner> CREATE EXTENSION revdesk_auth
owner> CREATE EXTENSION revdesk_auth SCHEMA app CASCADE
a> CREATE EXTENSION revdesk_auth SCHEMA mine
owner> LOAD 'revdesk_auth'
owner> CREATE FUNCTION public.revdesk_scope() RETURNS text LANGUAGE c AS '$libdir/revdesk_auth', 'revdesk_scope'
su> SELECT 'installed ' || count(*) FROM pg_extension WHERE extname = 'revdesk_auth'
must (?s)42501: permission denied to create extension "revdesk_auth"\nHINT.*42501.*42501.*42501
must installed 0
CASE

attack 'F7', 'two databases, and a script that does not fit the library', sub {
	my ($attacked, $database) = @_;
	$attacked->safe_psql('postgres', 'CREATE DATABASE other; CREATE DATABASE without');
	install_extension($attacked, 'other');
	make_data($attacked, 'other');
	$attacked->safe_psql('other', "SELECT revdesk_revoke_key(id) FROM revdesk.api_keys WHERE name = 'key a1'; SELECT revdesk_suspend_tenant(id) FROM revdesk.tenants WHERE name = 'B'");
	query_ok($attacked, $database, as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'revoked in another database: accepted here');
	query_ok($attacked, $database, as_key('b1', 'SELECT count(*) FROM app.docs'), '10', 'suspended in another database: accepted here');
	refused($attacked, 'other', 'a1', 'and refused there');
	refused($attacked, 'other', 'b1', 'and refused there');
	my ($stdout, $stderr) = query($attacked, 'without', "SELECT current_setting('revdesk.tenant_id') = ''; SET revdesk.context = 'x'; CREATE TEMP TABLE t AS SELECT 1; SELECT count(*) FROM t; SELECT revdesk_authenticate('x')");
	is($stdout, "t\n1", 'a database without the extension works as ever');
	like($stderr, qr/permission denied to set parameter.*revdesk_authenticate\(unknown\) does not exist/s, 'and has no key to open');

	# A newer script: its functions are not in the library.
	(undef, $stderr) = query($attacked, $database,
		"CREATE FUNCTION revdesk.newer() RETURNS uuid LANGUAGE c AS '\$libdir/revdesk_auth', 'revdesk_newer'", role => $attacked->safe_psql('postgres', 'SELECT current_user'));
	like($stderr, qr/could not find function "revdesk_newer" in file/, 'a function that the library does not have is named');
	# Tables that are not as the library knows them.
	$attacked->safe_psql($database, 'ALTER TABLE revdesk.api_keys RENAME TO api_keys_of_old');
	($stdout, $stderr) = query($attacked, $database, as_key('a1', 'SELECT count(*) FROM app.docs') . 'SELECT count(*) FROM app.docs');
	like($stderr, qr/ERROR/, 'without its table no key is accepted');
	is($stdout, '0', 'and nobody sees a row');
	$attacked->safe_psql('postgres', 'DROP DATABASE other; DROP DATABASE without');
};

attack 'F21', 'members, event triggers and the schema, by the owner of the database', <<'CASE';
su> ALTER DATABASE ${DATABASE} OWNER TO owner
su> GRANT CREATE ON SCHEMA app, public TO owner
owner> SELECT try('DROP EVENT TRIGGER revdesk_protect_new_partitions')
owner> SELECT try('ALTER EVENT TRIGGER revdesk_protect_new_partitions DISABLE')
owner> SELECT try('SET session_replication_role = replica')
owner> SELECT try('DROP SCHEMA revdesk CASCADE')
owner> SELECT try('ALTER SCHEMA revdesk RENAME TO mine_now')
owner> SELECT try('CREATE TABLE revdesk.mine (id integer)')
owner> SELECT try('ALTER EXTENSION revdesk_auth DROP TABLE revdesk.api_keys')
owner> SELECT try('ALTER FUNCTION revdesk.token_hash(text) OWNER TO owner')
owner> SELECT try('GRANT SELECT ON revdesk.api_keys TO owner')
owner> SELECT try('CREATE OR REPLACE FUNCTION public.revdesk_tenant_id() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''')
owner> SELECT try('REASSIGN OWNED BY postgres TO owner')
owner> SELECT try('ALTER TABLE revdesk.memberships DISABLE TRIGGER ALL')
owner> SELECT try('CREATE TRIGGER mine BEFORE INSERT ON revdesk.api_keys FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()')
owner> SELECT try('SECURITY LABEL ON TABLE revdesk.api_keys IS NULL')
must (?s)(42501 .*){13}
mustnot accepted
CASE

attack 'F22', 'columns of a protected table that are renamed, retyped or dropped', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
owner> SELECT try('ALTER TABLE app.docs DROP COLUMN tenant_id')
owner> SELECT try('ALTER TABLE app.docs ALTER COLUMN tenant_id TYPE text')
owner> ALTER TABLE app.docs RENAME COLUMN tenant_id TO renamed
owner> ALTER TABLE app.parts RENAME TO also_renamed
owner> ALTER TABLE app.registrations DROP COLUMN tenant_id CASCADE
a> SELECT 'nobody ' || (SELECT count(*) FROM app.docs) || (SELECT count(*) FROM app.also_renamed) || (SELECT count(*) FROM app.registrations)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'A1 ' || (SELECT count(*) FROM app.docs) || ' ' || (SELECT count(*) FROM app.also_renamed) || ' ' || (SELECT count(*) FROM app.registrations)
a> SELECT try($$INSERT INTO app.docs (renamed) VALUES ('${B}')$$)
a> SELECT try($$UPDATE app.docs SET renamed = '${B}'$$)
a> COMMIT
must (?s)2BP01 .*0A000
must nobody 000
must A1 10 10 0
mustnot accepted
CASE

# A role that protects a table of its own can lie in the registry about that
# table alone.
attack 'F23', 'the registry of protected tables, written by hand', <<'CASE';
su> GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api
a> SELECT 'others ' || count(*) FROM revdesk.protected_tables
a> SELECT try($$DELETE FROM revdesk.protected_tables$$)
a> SELECT try($$INSERT INTO revdesk.protected_tables VALUES ('app.docs', 'app.docs', 'tenant_id', NULL, NULL, false, false, false)$$)
a> SELECT try($$UPDATE revdesk.protected_tables SET walk_up = true$$)
a> CREATE TABLE mine.t (tenant_id uuid)
a> SELECT try($$SELECT revdesk_protect('mine.t')$$)
a> SELECT try($$UPDATE revdesk.protected_tables SET root = 'app.docs', created_indexes = '{docs_pkey}'$$)
a> SELECT try($$UPDATE revdesk.protected_tables SET relation = 'app.docs'$$)
a> SELECT try($$SELECT revdesk.unprotect_relation(t) FROM (SELECT 'app.docs'::regclass, 'app.docs'::regclass, 'tenant_id'::name, NULL::name, NULL::name, false, false, false, '{}'::name[], now()) AS x, LATERAL (SELECT (x.*)::revdesk.protected_tables AS t) AS y$$)
a> SELECT try($$SELECT revdesk.drop_policies('app.docs')$$)
a> SELECT try($$SELECT revdesk.revoke_dangerous('app.docs')$$)
a> SELECT try($$SELECT revdesk.drop_indexes('app.docs', '{docs_umbrella_id_idx}')$$)
owner> SELECT try($$SELECT revdesk_unprotect('app.docs')$$)
owner> SELECT try($$SELECT revdesk_protect('app.docs', owner_column => 'owner_id', umbrella_column => 'umbrella_id')$$)
owner> CREATE INDEX ON app.docs (body)
su> SELECT 'registered ' || count(*) FROM revdesk.protected_tables WHERE relation = 'app.docs'::regclass AND root = relation AND NOT walk_up
a> SELECT 'docs ' || count(*) FROM app.docs
must others 0
must registered 1
must docs 0
must 42501 must be owner of (table|relation) docs
CASE

attack 'F24', 'protecting under somebody else\'s triggers, rules and column defaults', <<'CASE';
su> GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api, owner
su> GRANT USAGE ON SCHEMA mine TO owner
su> GRANT CREATE ON SCHEMA app TO owner
a> CREATE TABLE mine.bait (tenant_id uuid, umbrella_id uuid)
a> INSERT INTO mine.bait VALUES ('${A1}', '${B}')
a> CREATE FUNCTION mine.trap() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN RAISE NOTICE 'ran as %, superuser %', current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user); RETURN NEW; END $$
a> CREATE TRIGGER trap BEFORE UPDATE ON mine.bait FOR EACH ROW EXECUTE FUNCTION mine.trap()
owner> SELECT try($$SELECT revdesk_protect('mine.bait', umbrella_column => 'umbrella_id')$$)
su> CREATE TABLE app.parent (tenant_id uuid, umbrella_id uuid)
su> ALTER TABLE app.parent OWNER TO owner
owner> SELECT try($$SELECT revdesk_protect('app.parent', umbrella_column => 'umbrella_id')$$)
su> SELECT try('ALTER TABLE mine.bait INHERIT app.parent')
a> SELECT try($$SELECT revdesk_protect('mine.bait', umbrella_column => 'umbrella_id')$$)
must (?s)42501 .*accepted.*23514 .*ran as api, superuser f.*accepted
mustnot ran as (?!api)|superuser t
CASE

# The event trigger works with the rights of whoever attaches a partition, for
# all that the registry says; so nobody may name another's table there.
attack 'F25', 'a registry row with a column whose type runs code', <<'CASE';
a> CREATE TYPE mine.evil AS (x integer)
a> CREATE FUNCTION mine.to_uuid(mine.evil) RETURNS uuid LANGUAGE plpgsql AS $$
  BEGIN RAISE NOTICE 'ran as %', current_user; RETURN '${A1}'; END $$
a> CREATE CAST (mine.evil AS uuid) WITH FUNCTION mine.to_uuid(mine.evil) AS IMPLICIT
a> CREATE TABLE mine.bait (evil mine.evil, umbrella_id uuid)
a> INSERT INTO mine.bait VALUES (ROW(1), '${A}')
a> SELECT try($$INSERT INTO revdesk.protected_tables VALUES ('mine.bait', 'app.docs', 'evil', NULL, 'umbrella_id', false, false, false)$$)
su> CREATE TABLE app.parts_none PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000000')
su> ALTER TABLE app.parts DETACH PARTITION app.parts_none
su> CREATE TABLE app.heir () INHERITS (mine.bait)
must 42501 .*row-level security
mustnot ran as postgres
CASE

attack_end();
