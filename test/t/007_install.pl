# Installing next to an attacker who came first, into any schema, and removing
# again: nothing of the attacker's is used, and tables stay closed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE evil LOGIN; CREATE ROLE api LOGIN; CREATE ROLE owner LOGIN');

my $count = 'SELECT count(*) FROM app.docs';
my $databases = 0;

# A new database; the role evil may create in it and in public.
sub new_database
{
	my $name = 'db' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $name; GRANT CREATE, TEMPORARY ON DATABASE $name TO evil");
	$node->safe_psql($name, 'GRANT CREATE ON SCHEMA public TO evil; CREATE EXTENSION pgcrypto');
	return $name;
}

sub fails
{
	my ($database, $sql, $expected, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (undef, $stderr) = query($node, $database, $sql, role => getpwuid($<), %options);
	return like($stderr, $expected, $name);
}

# What an attacker made before.
for my $object (
	[ 'CREATE SCHEMA revdesk', qr/schema "revdesk" already exists/ ],
	[ 'CREATE SCHEMA revdesk; CREATE TABLE revdesk.api_keys (id uuid, key_hash bytea)', qr/schema "revdesk" already exists/ ],
	[ q{CREATE FUNCTION public.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'}, qr/function "revdesk_scope_sub_entity" already exists/ ],
	[ q{CREATE FUNCTION public.revdesk_authenticate(text) RETURNS void LANGUAGE sql AS ''}, qr/function "revdesk_authenticate" already exists/ ],
	[ q{CREATE VIEW public.revdesk_keys AS SELECT 1 AS key_id}, qr/relation "revdesk_keys" already exists/ ])
{
	my $database = new_database();
	my ($sql, $expected) = @$object;
	$node->safe_psql($database, $sql, connstr => $node->connstr($database) . ' user=evil');
	fails($database, 'CREATE EXTENSION revdesk_auth', $expected, "refused after: $sql");
	is($node->safe_psql($database, "SELECT count(*) FROM pg_extension WHERE extname = 'revdesk_auth'"), '0', 'and nothing is left of it');
}

# Functions that fit a call of the install script, or of a function that it
# makes, better than PostgreSQL's own: as superuser they must not be run, nor
# become part of anything.
{
	my $database = new_database();
	my @traps = (
		'format(text, text)', 'format(text, name)', 'format(text, regclass)', 'format(text, regprocedure)',
		'format(text, text, text)', 'format(text, name, name)', 'format(text, uuid)', 'format(text, text, uuid)',
		'format(text, text, regclass)', 'format(text, text, integer)',
		'quote_ident(name)', 'pg_get_userbyid(integer)', 'encode(bytea, name)', 'octet_length(name)',
		'pg_extension_config_dump(text, text)', 'pg_extension_config_dump(name, text)',
		'jsonb_build_object(text, uuid, text, text)', 'jsonb_build_object(text, uuid, text, text, text, uuid)',
		'jsonb_build_object(text, uuid, text, text, text, text, text, timestamptz, text, timestamptz, text, uuid, text, jsonb)',
		'jsonb_build_object(text, text, text, text, text, text, text, jsonb, text, jsonb, text, jsonb, text, jsonb)',
		'jsonb_build_object(text, text)', 'set_config(text, text, boolean, text)', 'aclexplode(name)',
		'array_position(cidr[], cidr)', 'array_position(cidr[], text)', 'cardinality(cidr[])', 'array_remove(name[], name)',
		'unnest(cidr[])', 'unnest(text[])', 'unnest(name[])');
	my %returns = (octet_length => 'integer', cardinality => 'integer', array_position => 'integer',
		jsonb_build_object => 'jsonb', pg_extension_config_dump => 'void', array_remove => 'name[]', encode => 'text');
	my @made = map {
		my ($name) = /^(\w+)/;
		'CREATE FUNCTION public.' . $_ . ' RETURNS ' . ($returns{$name} // 'text')
		  . " LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'trapped'; END \$\$"
	} @traps;
	push @made,
	  'CREATE AGGREGATE public.jsonb_agg(jsonb) (SFUNC = pg_catalog.jsonb_concat, STYPE = jsonb)',
	  'CREATE FUNCTION public.cat(name, text) RETURNS text LANGUAGE sql AS $$SELECT NULL::text$$',
	  'CREATE OPERATOR public.|| (LEFTARG = name, RIGHTARG = text, FUNCTION = public.cat)';
	$node->safe_psql($database, join(';', @made), connstr => $node->connstr($database) . ' user=evil');
	my (undef, $stderr) = query($node, $database, 'CREATE EXTENSION revdesk_auth', role => getpwuid($<));
	is($stderr, '', 'installed among traps');
	my $members = "SELECT classid, objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid WHERE d.deptype = 'e' AND extname = 'revdesk_auth'";
	is( $node->safe_psql($database, <<"SQL"), '', 'nothing of the extension uses one');
SELECT pg_describe_object(classid, objid, 0), pg_describe_object(refclassid, refobjid, 0)
FROM pg_depend
WHERE refclassid = 'pg_proc'::regclass AND refobjid IN (SELECT oid FROM pg_proc WHERE proowner = 'evil'::regrole)
  AND ((classid, objid) IN ($members)
       OR (classid = 'pg_rewrite'::regclass AND objid IN
             (SELECT r.oid FROM pg_rewrite AS r JOIN ($members) AS m ON m.objid = r.ev_class)))
SQL
	is($node->safe_psql($database, "SELECT count(*) > 60 FROM pg_depend WHERE (classid, objid) IN ($members) AND classid = 'pg_proc'::regclass"),
		't', 'there is something to use one');
}

# Default privileges that were there before give nothing.
{
	my $database = new_database();
	$node->safe_psql($database, <<'SQL');
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO api, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO evil;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO evil, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO api;
SQL
	install_extension($node, $database);
	is( $node->safe_psql($database, <<'SQL'), '', 'default privileges: nobody has more than without them');
SELECT relname, privilege, role
FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege,
     unnest(ARRAY['api', 'evil']) AS role
WHERE (relnamespace = 'revdesk'::regnamespace AND relkind IN ('r', 'v', 'S') OR relname ~ '^revdesk_' AND relkind = 'v')
  AND has_table_privilege(role, pg_class.oid, privilege)
  AND NOT (relname = 'protected_tables' AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
ORDER BY 1, 2, 3
SQL
	is($node->safe_psql($database, "SELECT has_schema_privilege('evil', 'revdesk', 'CREATE')"), 'f', 'default privileges: no CREATE in the schema');
	is( $node->safe_psql($database, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'revdesk'::regnamespace AND proacl::text ~ 'evil'"),
		'0', 'default privileges: none on functions');
	fails($database, 'SELECT * FROM revdesk.api_keys', qr/permission denied/, 'default privileges: the keys are closed', role => 'api');
	fails($database, "SELECT revdesk_create_organization('x')", qr/permission denied/, 'default privileges: functions are closed', role => 'evil');
}

# By whom, and where to.
{
	my $database = new_database();
	$node->safe_psql('postgres', "ALTER DATABASE $database OWNER TO evil");
	fails($database, 'CREATE EXTENSION revdesk_auth', qr/permission denied to create extension "revdesk_auth"/, 'refused to the owner of a database', role => 'evil');
	$node->safe_psql($database, 'CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO PUBLIC');
	$node->safe_psql($database, 'CREATE EXTENSION revdesk_auth SCHEMA elsewhere');
	my $make_data = sub {
		$node->safe_psql('postgres', "ALTER DATABASE $database SET search_path = elsewhere, public");
		make_data($node, $database);
		$node->safe_psql('postgres', "ALTER DATABASE $database SET search_path = public");
	};
	$make_data->();
	my $login = sub {
		my ($key, $sql) = @_;
		return as_key($key, $sql) =~ s/revdesk_authenticate/elsewhere.revdesk_authenticate/r;
	};
	query_ok($node, $database, $login->('a1', $count), '10', 'in another schema: sub-entity');
	query_ok($node, $database, $login->('a0', $count), '30', 'in another schema: organization');
	query_ok($node, $database, $login->('c1', $count), '30', 'in another schema: user');
	query_ok($node, $database, $login->('a1', 'SELECT count(*) FROM app.registrations'), '20', 'in another schema: walk-up');
	my ($plan) = query($node, $database, $login->('a1', 'SELECT 1') =~ s/SELECT 1;/EXPLAIN (COSTS OFF) SELECT FROM app.registrations;/r);
	like($plan, qr/tenant_id = ANY \(elsewhere\.revdesk_scope_walk_up\(\)\)/, 'in another schema: planned as elsewhere');
	query_ok($node, $database, $login->('ad', 'SELECT count(*) FROM elsewhere.revdesk_context()'), '1', 'in another schema: context');
	is( $node->safe_psql($database, $login->('ad', "SELECT count(*) FROM elsewhere.revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000')")),
		'1', 'in another schema: making a key');
	fails($database, 'ALTER EXTENSION revdesk_auth SET SCHEMA public', qr/does not support SET SCHEMA/, 'it does not move');

	# Others do not touch its members.
	for my $statement (
		'ALTER EXTENSION revdesk_auth SET SCHEMA public',
		'ALTER EXTENSION revdesk_auth DROP FUNCTION elsewhere.revdesk_authenticate(text)',
		'DROP EXTENSION revdesk_auth',
		'DROP EXTENSION revdesk_auth CASCADE',
		'DROP FUNCTION elsewhere.revdesk_scope()',
		'ALTER FUNCTION elsewhere.revdesk_scope_visible(uuid, uuid, uuid) NOT LEAKPROOF',
		'ALTER FUNCTION elsewhere.revdesk_scope_visible(uuid, uuid, uuid) OWNER TO evil',
		'CREATE OR REPLACE FUNCTION elsewhere.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS $$SELECT NULL::uuid$$',
		'DROP EVENT TRIGGER revdesk_protect_new_partitions',
		'ALTER TABLE revdesk.tenants DISABLE TRIGGER ALL',
		'ALTER TABLE app.docs DISABLE ROW LEVEL SECURITY',
		'DROP POLICY revdesk_isolation ON app.docs',
		'CREATE POLICY more ON app.docs USING (true)')
	{
		fails($database, $statement, qr/must be owner|permission denied/, "refused to others: $statement", role => 'evil');
	}
	fails($database, 'DROP FUNCTION elsewhere.revdesk_scope()', qr/extension revdesk_auth requires it/, 'no member goes alone');
	fails($database, 'DROP EXTENSION revdesk_auth', qr/other objects depend on it/, 'it does not go while tables are protected');

	# It goes, and the tables are closed.
	my $session = Fixture::Session->new($node, $database, 'api');
	like($session->query($login->('a1', $count)), qr/10$/, 'a session before the end');
	$node->safe_psql($database, 'DROP EXTENSION revdesk_auth CASCADE');
	is($node->safe_psql($database, "SELECT bool_and(relrowsecurity AND relforcerowsecurity) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p')"),
		't', 'dropped: row security stays');
	for my $table ('docs', 'parts', 'parts_a', 'parts_rest', 'registrations')
	{
		query_ok($node, $database, "SELECT count(*) FROM app.$table", '0', "dropped: no rows of $table");
		query_ok($node, $database, "SELECT count(*) FROM app.$table", '0', "dropped: nor for the owner of $table", role => 'owner')
		  unless $table =~ /_/;
		fails($database, "INSERT INTO app.$table (id) VALUES (0)", qr/row-level security/, "dropped: no new ones", role => 'api');
	}
	is($session->query($count), '0', 'dropped: nor in the session from before');
	like($session->query("SELECT elsewhere.revdesk_authenticate('x')"), qr/does not exist/, 'dropped: and no function');
	$session->quit;
	is($node->safe_psql($database, "SELECT count(*) FROM pg_namespace WHERE nspname = 'revdesk'"), '0', 'dropped: its schema is gone');
	is($node->safe_psql($database, 'SELECT count(*) FROM pg_event_trigger'), '0', 'dropped: its event triggers too');

	# It comes back, and the tables open to keys again.
	$node->safe_psql($database, 'CREATE EXTENSION revdesk_auth SCHEMA elsewhere');
	query_ok($node, $database, $count, '0', 'installed again: still closed');
	$node->safe_psql('postgres', "ALTER DATABASE $database SET search_path = elsewhere, public");
	my $tenants = "INSERT INTO revdesk.tenants (id, name) VALUES ('aaaaaaaa-0000-0000-0000-000000000000', 'A');"
	  . "SELECT FROM revdesk_import_key('x', 'organization', '\\x" . key_hash('a0') . "', 'aaaaaaaa-0000-0000-0000-000000000000');"
	  . "SELECT revdesk_protect('app.registrations')";
	$node->safe_psql($database, $tenants);
	query_ok($node, $database, as_key('a0', 'SELECT count(*) FROM app.registrations'), '10', 'installed again: open to keys');
}

# Databases of other encodings.
for my $encoding (qw(EUC_JP LATIN1 SQL_ASCII))
{
	$node->safe_psql('postgres', "CREATE DATABASE \"encoded_$encoding\" ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	is((query($node, "encoded_$encoding", 'SET client_min_messages = warning; CREATE EXTENSION revdesk_auth CASCADE', role => getpwuid $<))[1], '', "installed in $encoding");
}

# Databases of one cluster, with and without it.
{
	my ($with, $without) = (new_database(), new_database());
	install_extension($node, $with);
	make_data($node, $with);
	query_ok($node, $with, as_key('a1', $count), '10', 'one database has it');
	fails($without, "LOAD 'revdesk_auth'; SELECT revdesk_authenticate('x')", qr/function revdesk_authenticate\(unknown\) does not exist/, 'the other does not');
	fails($without, "LOAD 'revdesk_auth'; SET revdesk.context = 'x'", qr/cannot be set/, 'where the library is loaded, its settings are closed all the same');
	# A function made by hand finds no tables.
	fails($without,
		"CREATE FUNCTION login(text) RETURNS void LANGUAGE c AS 'revdesk_auth', 'revdesk_authenticate'; SELECT login('" . token('a1') . "')",
		qr/relation "revdesk.api_keys" does not exist.*Is the extension "revdesk_auth" installed/s, 'a function of the library without its tables');
}

$node->stop;
done_testing();
