# Threats of section X, packaging, search_path and ownership: nothing that
# somebody else made stands in for a part of the extension, no part of it is
# anybody else's, and without it tables stay closed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = attack_begin();
my $superuser = getpwuid $<;
$node->safe_psql('template', <<'SQL');
CREATE ROLE evil LOGIN;
CREATE SCHEMA scratch;
GRANT USAGE, CREATE ON SCHEMA scratch TO api, evil;
CREATE VIEW app.members AS
SELECT classid, objid FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'revdesk_auth';
SQL

# An empty database in which evil may create; what CREATE EXTENSION says there.
sub install_after
{
	my $sql = shift;
	$node->safe_psql('postgres', 'CREATE DATABASE early; GRANT CREATE ON DATABASE early TO evil');
	$node->safe_psql('early', 'CREATE EXTENSION pgcrypto; GRANT CREATE ON SCHEMA public TO evil');
	$node->safe_psql('early', $sql, connstr => $node->connstr('early') . ' user=evil');
	my (undef, $stderr) = query($node, 'early', "\\set VERBOSITY verbose\nCREATE EXTENSION revdesk_auth", role => $superuser);
	my $left = $node->safe_psql('early', "SELECT count(*) FROM pg_extension WHERE extname = 'revdesk_auth'");
	$node->safe_psql('postgres', 'DROP DATABASE early WITH (FORCE)');
	return "$left $stderr";
}

attack 'X01', 'temporary tables over those of the extension', <<'CASE';
a> CREATE TEMP TABLE api_keys AS SELECT gen_random_uuid() AS id, sha256('${KEY_UNKNOWN}') AS key_hash, 'organization' AS scope, '${B}'::uuid AS tenant_id, NULL::uuid AS user_id, 'admin' AS access, 'production' AS environment
a> CREATE TEMP TABLE tenants AS SELECT '${A1}'::uuid AS id, '${B}'::uuid AS umbrella_id, NULL::timestamptz AS suspended_at
a> CREATE TEMP TABLE users AS SELECT '${ULLA}'::uuid AS id
a> CREATE TEMP TABLE memberships AS SELECT '${ULLA}'::uuid AS user_id, '${A2}'::uuid AS tenant_id
a> SET search_path = pg_temp, app, public
a> BEGIN
a> SELECT public.revdesk_authenticate('${KEY_UNKNOWN}')
a> ROLLBACK
a> BEGIN
a> SELECT public.revdesk_authenticate('${KEY_A1}')
a> SELECT 'A1 ' || count(*) FROM app.docs
a> ROLLBACK
a> BEGIN
a> SELECT public.revdesk_authenticate('${KEY_ULLA}')
a> SELECT 'ulla ' || count(*) FROM app.docs
a> ROLLBACK
must (?s)28000.*A1 10.*ulla 30
CASE

attack 'X02', 'functions and operators captured by search_path', <<'CASE';
a> CREATE FUNCTION scratch.t(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'
a> CREATE OPERATOR scratch.= (LEFTARG = uuid, RIGHTARG = uuid, PROCEDURE = scratch.t)
a> CREATE FUNCTION scratch.t(uuid, uuid[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'
a> CREATE FUNCTION scratch.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\x00'::bytea $$
a> CREATE FUNCTION scratch.digest(text, text) RETURNS bytea LANGUAGE sql AS $$ SELECT '\x00'::bytea $$
a> CREATE FUNCTION scratch.revdesk_tenant_id() RETURNS uuid LANGUAGE sql AS $$ SELECT '${B}'::uuid $$
a> CREATE FUNCTION scratch.revdesk_scope_visible(uuid, uuid DEFAULT NULL, uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql AS 'SELECT true'
a> CREATE FUNCTION scratch.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS $$ SELECT '${B}'::uuid $$
a> CREATE FUNCTION scratch.revdesk_scope_user_tenants() RETURNS uuid[] LANGUAGE sql AS $$ SELECT ARRAY['${B}'::uuid] $$
a> SET search_path = scratch, public, pg_catalog
a> BEGIN
a> SELECT public.revdesk_authenticate('${KEY_A1}')
a> SELECT 'sees ' || string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs
a> SELECT 'and in partitions ' || string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.parts
a> ROLLBACK
a> SELECT public.revdesk_authenticate('${KEY_UNKNOWN}')
must (?m)^sees A1$
must (?m)^and in partitions A1$
must 28000
CASE

attack 'X03', 'the schema is there before, and somebody else\'s', sub {
	like(install_after('CREATE SCHEMA revdesk; CREATE FUNCTION revdesk.x() RETURNS int LANGUAGE sql AS \'SELECT 1\''),
		qr/^0 .*42P06: schema "revdesk" already exists/, 'it is not installed into it');
};

attack 'X04', 'functions of the same signature are there before', sub {
	like(install_after('CREATE FUNCTION public.revdesk_authenticate(text) RETURNS void LANGUAGE sql AS \'\''),
		qr/^0 .*(42723|55000): /, 'none is taken over');
	my @scripts = glob $node->config_data('--sharedir') . '/extension/revdesk_auth--*.sql';
	ok(scalar @scripts, 'install scripts');
	# What an update replaces belongs to the extension already.
	unlike(slurp_file($_), qr/^\s*CREATE OR REPLACE|IF NOT EXISTS \w/m, "$_ replaces nothing") for grep { !/--.*--/ } @scripts;
};

attack 'X05', 'every function has a fixed search_path, or is C', <<'CASE';
su> SELECT 'open', oid::regprocedure FROM pg_proc JOIN pg_language AS l ON l.oid = prolang WHERE (pg_proc.oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND lanname <> 'c' AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
su> SELECT 'definer', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND prosecdef AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
su> SELECT 'looked at more than 80: ' || (count(*) > 80) FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members)
must looked at more than 80: true
mustnot (?m)^(open|definer)\|
CASE

# The others that PUBLIC may execute are for owners of tables, have the caller's
# rights, and are in no way to a key: src/sql/privileges.sql.
attack 'X06', 'PUBLIC may execute what a request needs', <<'CASE';
su> SELECT 'open', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND pronamespace = 'public'::regnamespace AND has_function_privilege('evil', oid, 'EXECUTE') AND proname !~ '^revdesk_(authenticate|deauthenticate|context|key_id|tenant_id|umbrella_id|user_id|scope|access|environment|session_started|scope_\w+)$'
su> SELECT 'definer', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND prosecdef AND has_function_privilege('evil', oid, 'EXECUTE') AND oid <> 'revdesk.last_used(uuid)'::regprocedure
su> SELECT 'needed', oid::regprocedure FROM pg_proc WHERE proname IN ('revdesk_authenticate', 'revdesk_scope_visible', 'revdesk_scope_sub_entity', 'revdesk_scope_user_tenants') AND NOT has_function_privilege('evil', oid, 'EXECUTE')
su> SELECT 'table', c.oid::regclass, p FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p WHERE relnamespace = 'revdesk'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'protected_tables' AND has_table_privilege('evil', c.oid, p)
su> SELECT 'looked'
must looked
mustnot (?m)^(open|definer|needed|table)\|
CASE

attack 'X08', 'objects of the extension are nobody else\'s', <<'CASE';
su> ALTER DATABASE ${DATABASE} OWNER TO evil
e=evil
e> ALTER EXTENSION revdesk_auth SET SCHEMA scratch
e> ALTER EXTENSION revdesk_auth DROP FUNCTION revdesk_authenticate(text)
e> ALTER EXTENSION revdesk_auth UPDATE
e> DROP EXTENSION revdesk_auth CASCADE
e> DROP SCHEMA revdesk CASCADE
e> ALTER SCHEMA revdesk OWNER TO evil
e> ALTER SCHEMA revdesk RENAME TO mine
e> CREATE TABLE revdesk.mine ()
e> ALTER FUNCTION revdesk_scope_visible(uuid, uuid, uuid) NOT LEAKPROOF
e> ALTER FUNCTION revdesk_scope_visible(uuid, uuid, uuid) OWNER TO evil
e> CREATE OR REPLACE FUNCTION revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'
e> SECURITY LABEL ON FUNCTION revdesk_authenticate(text) IS 'x'
e> COMMENT ON EXTENSION revdesk_auth IS 'x'
e> SELECT 'tried'
must (?s)^(?:.*?ERROR:  42501){12}
must ERROR:  (22023: no security label providers|42501: must be owner of function revdesk_authenticate)
must tried
CASE

attack 'X09', 'LEAKPROOF functions do not speak', <<'CASE';
a> SET client_min_messages = debug5
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'visible: ' || count(*) FILTER (WHERE revdesk_scope_visible(t, o, u)), count(*) FILTER (WHERE revdesk_scope_readable_up(t, u)) FROM generate_series(1, 10000) AS i, LATERAL (SELECT CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '${B}' ELSE md5(i::text)::uuid END, CASE i % 3 WHEN 0 THEN NULL ELSE md5(i || 'o')::uuid END, CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff' ELSE md5(i || 'u')::uuid END) AS x(t, o, u)
a> ROLLBACK
su> SELECT 'wrong', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND proleakproof AND (provolatile = 'i' OR prosecdef OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c'))
must visible: 0\|0
mustnot ERROR|NOTICE|WARNING
mustnot (?i)DEBUG:(?!.*find_in_path).*(revdesk|scope|tenant)
mustnot (?m)^wrong
CASE

# A library of another version lacks functions or says that it is for another
# server: made here of the installed one, by other bytes of the same length.
attack 'X11', 'a library older or newer than the SQL', sub {
	my ($node, $database) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $library = slurp_file($node->config_data('--pkglibdir') . '/revdesk_auth.so');
	my $use = sub {
		my ($name, $bytes) = @_;
		append_to_file("$folder/$name.so", $bytes);
		chmod 0755, "$folder/$name.so";
		$node->safe_psql($database, "UPDATE pg_proc SET probin = '$folder/$name.so' WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND probin IS NOT NULL");
	};
	query_ok($node, $database, as_key('c1', 'SELECT count(*) FROM app.docs'), '30', 'the library that belongs to it');

	(my $older = $library) =~ s/pg_finfo_revdesk_scope_user_tenants\0/pg_finfo_revdesk_scope_user_tenantz\0/g;
	isnt($older, $library, 'a library without one of the functions');
	$use->('older', $older);
	my ($stdout, $stderr) = query($node, $database, as_key('c1', 'SELECT count(*) FROM app.docs'));
	like($stderr, qr/could not find function "revdesk_scope_user_tenants" in file/, 'what needs the function says so');
	unlike($stdout, qr/\d/, 'and returns nothing');
	query_ok($node, $database, as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'what does not, works');

	# The magic block: the server's major version, FUNC_MAX_ARGS, INDEX_MAX_KEYS, NAMEDATALEN.
	my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d+)\d{4}$/;
	(my $newer = $library) =~ s/\Q@{[ pack 'L4', $major * 100, 100, 32, 64 ]}\E/pack 'L4', ($major + 1) * 100, 100, 32, 64/es;
	isnt($newer, $library, 'a library for another server');
	$use->('newer', $newer);
	($stdout, $stderr) = query($node, $database, as_key('a1', 'SELECT count(*) FROM app.docs'));
	like($stderr, qr/incompatible library/, 'is not loaded');
	unlike($stdout, qr/[1-9]/, 'and shows nothing');

	$node->safe_psql($database, "UPDATE pg_proc SET probin = '$folder/none.so' WHERE probin LIKE '$folder/%'");
	($stdout, $stderr) = query($node, $database, 'SELECT count(*) FROM app.docs');
	like($stderr, qr/could not access file|could not load library/, 'one that is gone: an error');
	is($stdout, '', 'and no rows');
};

attack 'X12', 'DROP EXTENSION CASCADE leaves tables shut', <<'CASE';
su> DROP VIEW app.members
su> DROP FUNCTION revdesk_scope_visible(uuid, uuid, uuid) CASCADE
su> DROP EXTENSION revdesk_auth CASCADE
a> SELECT 'rows ' || count(*) FROM app.docs
a> INSERT INTO app.docs (body) VALUES ('x')
su> SELECT 'shut ' || bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p')
must (?s)2BP01.*rows 0.*42501.*shut true
CASE

attack 'X14', 'a search_path and an event trigger of the database\'s owner', sub {
	my ($node, $database) = @_;
	my $installed = install_after(
		'CREATE SCHEMA evil; CREATE FUNCTION evil.format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE \'trapped\'; END $$;'
		  . 'CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE \'trapped\'; END $$');
	is($installed, '1 ', 'functions in a schema of their own');
	$node->safe_psql($database, 'CREATE SCHEMA evil; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE \'trapped\'; END $$;'
		  . 'CREATE FUNCTION evil.format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE \'trapped\'; END $$;'
		  . "GRANT USAGE ON SCHEMA evil TO PUBLIC; ALTER DATABASE $database SET search_path = evil, public, pg_catalog");
	query_ok($node, $database, as_key('a1', 'SELECT count(*) FROM app.docs'), '10', 'a key');
	is($node->safe_psql($database, "CREATE TABLE app.more (tenant_id uuid); SELECT revdesk_protect('app.more')"), '', 'revdesk_protect');
	like($node->safe_psql($database, "SELECT token FROM revdesk_create_key('k', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000')"), qr/^revdesk_/, 'revdesk_create_key');
	my (undef, $stderr) = query($node, $database, 'CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION revdesk.protect_new_partitions()', role => 'evil');
	like($stderr, qr/permission denied|Must be superuser|does not exist/, 'an event trigger needs a superuser');
};

# Names in reports and in what is executed are quoted.
attack 'X15', 'malicious names', sub {
	my ($node, $database) = @_;
	my $table = q{"x'); DROP TABLE app.docs; --"};
	$node->safe_psql($database, "CREATE TABLE app.$table (" . q{"te""nant'; --" uuid, "um"" $$ b" uuid);}
		  . "SELECT revdesk_protect(format('app.%I', 'x''); DROP TABLE app.docs; --')::regclass, 'te\"nant''; --', umbrella_column => 'um\" \$\$ b');"
		  . "GRANT SELECT, INSERT ON app.$table TO api; CREATE INDEX ON app.$table ((1))");
	query_ok($node, $database, as_key('a1', "INSERT INTO app.$table VALUES (revdesk_tenant_id()) RETURNING *"),
		'aaaaaaaa-0000-0000-0000-000000000001|aaaaaaaa-0000-0000-0000-000000000000', 'a table and columns');
	query_ok($node, $database, as_key('b1', "SELECT count(*) FROM app.$table"), '0', 'protected');
	$node->safe_psql($database, qq{CREATE ROLE "x\ny; DROP ROLE api"; GRANT ALL ON app.$table TO "x\ny; DROP ROLE api", api});
	$node->safe_psql($database, "SELECT revdesk_protect(format('app.%I', 'x''); DROP TABLE app.docs; --')::regclass, 'te\"nant''; --', umbrella_column => 'um\" \$\$ b')");
	is($node->safe_psql($database, qq{SELECT has_table_privilege(E'x\\ny; DROP ROLE api', format('app.%I', 'x''); DROP TABLE app.docs; --'), 'TRUNCATE')}), 'f', 'a role');
	$node->safe_psql($database, "SELECT revdesk_unprotect(relation) FROM revdesk.protected_tables WHERE relation::text ~ 'DROP'");
	is($node->safe_psql($database, "SELECT count(*) FROM revdesk.protected_tables WHERE relation::text ~ 'DROP'"), '0', 'unprotected');
	is($node->safe_psql($database, "SELECT count(*) FROM app.docs, pg_roles WHERE rolname = 'api'"), '70', 'nothing was executed');
	$node->safe_psql($database, qq{DROP OWNED BY "x\ny; DROP ROLE api"; DROP ROLE "x\ny; DROP ROLE api"});
};

attack 'X16', 'volatile, parallel, leakproof', <<'CASE';
su> SELECT 'A', provolatile, proparallel, proleakproof FROM pg_proc WHERE oid = 'revdesk_authenticate(text)'::regprocedure
su> SELECT 'V', provolatile, proparallel, proleakproof FROM pg_proc WHERE oid = 'revdesk_scope_visible(uuid, uuid, uuid)'::regprocedure
su> SELECT 'getter', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND proname ~ '^revdesk_(context|key_id|tenant_id|umbrella_id|user_id|scope|access|environment|session_started|scope_.*)$' AND prorettype <> 'internal'::regtype AND (provolatile, proparallel) <> ('s', 's')
su> SELECT 'immutable', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND provolatile = 'i' AND pronargs = 0
su> SELECT 'leakproof', oid::regprocedure FROM pg_proc WHERE (oid, 'pg_proc'::regclass) IN (SELECT objid, classid FROM app.members) AND proleakproof AND proname !~ '^revdesk_(key_id|tenant_id|umbrella_id|user_id|scope|access|environment|session_started|scope_.*)$'
must (?m)^A\|v\|u\|f$
must (?m)^V\|s\|s\|t$
mustnot (?m)^(getter|immutable|leakproof)\|
CASE

attack_end;
