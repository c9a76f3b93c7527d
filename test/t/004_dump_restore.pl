# A dump restores into another database and another cluster with nothing lost,
# doubled or open: tenants, keys, policies, triggers and the registry.

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
$node->safe_psql('postgres', 'CREATE DATABASE source');
install_extension($node, 'source');
make_data($node, 'source');

# Children that lie before their parents in the table, as an old restore
# program reads them; keys after their replacements; a table that is declared
# with odd names; one that is protected no more.
$node->safe_psql('source', <<'SQL');
UPDATE revdesk.tenants SET name = name || ' moved' WHERE umbrella_id IS NULL;
SELECT FROM revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000ad', '1 day');
SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2', 'lost');
SELECT revdesk_suspend_tenant('bbbbbbbb-0000-0000-0000-000000000001');
CREATE TABLE app."Odd Table" ("Tenant Id" uuid, "Umbrella" uuid);
SELECT revdesk_protect('app."Odd Table"', 'Tenant Id', umbrella_column => 'Umbrella');
CREATE TABLE app.open (tenant_id uuid);
SELECT revdesk_protect('app.open'), revdesk_unprotect('app.open');
CREATE TABLE app.parent (tenant_id uuid);
CREATE TABLE app.child () INHERITS (app.parent);
SELECT revdesk_protect('app.parent');
CREATE VIEW app.recent WITH (security_invoker = true) AS SELECT * FROM app.docs;
CREATE VIEW app.mine AS SELECT count(*) FROM app.docs WHERE revdesk_scope_visible(tenant_id);
GRANT SELECT ON app.recent, app.mine TO api;
SQL
is( $node->safe_psql('source',
		"SELECT bool_or(parent.ctid > child.ctid) FROM revdesk.tenants AS child JOIN revdesk.tenants AS parent ON parent.id = child.umbrella_id"),
	't', 'a child lies before its parent');

my $count = 'SELECT count(*) FROM app.docs';
my $objects = <<'SQL';
SELECT polrelid::regclass::text, polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
FROM pg_policy ORDER BY 1, 2;
SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity, relacl FROM pg_class
WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1;
SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1;
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'app'::regnamespace ORDER BY 1;
SELECT * FROM revdesk.tenants ORDER BY id;
SELECT * FROM revdesk.users ORDER BY id;
SELECT * FROM revdesk.memberships ORDER BY user_id, tenant_id;
SELECT * FROM revdesk.api_keys ORDER BY id;
SELECT * FROM revdesk.protected_tables ORDER BY relation::text;
SELECT extname, extversion FROM pg_extension ORDER BY 1;
SELECT 'functions', count(*) FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid WHERE extname = 'revdesk_auth' AND classid = 'pg_proc'::regclass;
SELECT oid::regprocedure::text, proacl FROM pg_proc WHERE proname ~ 'revdesk' ORDER BY 1;
SQL
# Row order of an inheritance tree's ids is not of interest, that of rows is.
my $original = $node->safe_psql('source', $objects);
like($original, qr/revdesk_isolation/, 'there is something to compare');

# Everything of the source, in this database of this cluster.
sub check_restored
{
	my ($restored, $database, $how) = @_;
	is($restored->safe_psql($database, $objects), $original, "$how: nothing lost, nothing doubled");
	my %rows = (a0 => 30, a1 => 10, b0 => 20, c1 => 30, c2 => 20, ad => 30, af => 30);
	query_ok($restored, $database, as_key($_, $count), $rows{$_}, "$how: key $_") for sort keys %rows;
	refused($restored, $database, 'a2', "$how: a revoked key");
	refused($restored, $database, 'b1', "$how: a key of a suspended tenant");
	query_ok($restored, $database, $count, '0', "$how: no context, no rows");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.registrations'), '20', "$how: walk-up");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.recent'), '10', "$how: a view");
	query_ok($restored, $database, as_key('a1', 'SELECT count(*) FROM app.parts_a'), '10', "$how: a partition by its name");
	my (undef, $stderr) = query($restored, $database,
		as_key('a1', "INSERT INTO app.docs (tenant_id, umbrella_id) VALUES ('bbbbbbbb-0000-0000-0000-000000000000', NULL)"));
	like($stderr, qr/violates row-level security policy/, "$how: a write into another tenant");
	query_ok($restored, $database,
		as_key('a1', "INSERT INTO app.docs (tenant_id, umbrella_id) VALUES (revdesk_tenant_id(), 'bbbbbbbb-0000-0000-0000-000000000000') RETURNING umbrella_id"),
		'aaaaaaaa-0000-0000-0000-000000000000', "$how: the umbrella column's trigger");
	# The constraints and the registry are alive.
	(undef, $stderr) = query($restored, $database,
		"INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('aaaaaaaa-0000-0000-0000-000000000001', 'x')",
		role => getpwuid($<));
	like($stderr, qr/cannot be an umbrella/, "$how: the constraint triggers");
	$restored->safe_psql($database,
		"CREATE TABLE app.parts_new PARTITION OF app.parts FOR VALUES IN ('bbbbbbbb-0000-0000-0000-000000000000')")
	  if $restored->safe_psql($database, "DELETE FROM app.parts_rest; SELECT 1") eq '1';
	is( $restored->safe_psql($database, "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'app.parts_new'::regclass"),
		't', "$how: a new partition is protected");
	$restored->safe_psql($database, "SELECT revdesk_unprotect('app.registrations'), revdesk_protect('app.registrations')");
	return;
}

my $dir = PostgreSQL::Test::Utils::tempdir();
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/source.dump", '-d', $node->connstr('source') ], 'pg_dump');

# Another database of the cluster.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), "$dir/source.dump" ], 'pg_restore');
check_restored($node, 'copy', 'pg_restore');

# In parallel.  pg_dump forgets that data of one member table of an extension
# needs that of another, so foreign keys must not be checked meanwhile.
$node->safe_psql('postgres', 'CREATE DATABASE jobs');
{
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', 3, '-d', $node->connstr('jobs'), "$dir/source.dump" ],
		'pg_restore -j');
}
check_restored($node, 'jobs', 'pg_restore -j');

# As SQL.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'pg_dump', '-f', "$dir/source.sql", '-d', $node->connstr('source') ], 'pg_dump, plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '--single-transaction', '-f', "$dir/source.sql", '-d', $node->connstr('plain') ],
	'psql, one transaction');
check_restored($node, 'plain', 'psql');

# A dump of the restored one is the same.
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('again'), "$dir/source.dump" ], 'pg_restore');
$node->command_ok([ 'pg_dump', '-f', "$dir/again.sql", '-d', $node->connstr('again') ], 'pg_dump of it');
# Newer servers' dumps hold a random word of their own.
my ($first, $second) = map { slurp_file($_) =~ s/^\\(un)?restrict .*$//mgr } ("$dir/source.sql", "$dir/again.sql");
is_deeply([ sort split /\n/, $second ], [ sort split /\n/, $first ], 'a dump of the copy is the dump of the original');

# Another cluster, by pg_dumpall.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$node->command_ok([ 'pg_dumpall', '-f', "$dir/all.sql", '-d', $node->connstr('postgres') ], 'pg_dumpall');
$other->command_ok([ 'psql', '-Xq', '-f', "$dir/all.sql", '-d', $other->connstr('postgres') ], 'psql');
check_restored($other, 'source', 'pg_dumpall');

# What a partial dump holds: no keys.
my ($stdout, $stderr);
$node->run_log([ 'pg_dump', '-n', 'app', '-d', $node->connstr('source') ], '>', \$stdout, '2>', \$stderr);
unlike($stdout, qr/dddddddd-/, 'a dump of the application alone holds no keys');

# What an API role's dump holds: an error, or with row security its own rows, that is none.
for my $option ('', '--enable-row-security')
{
	for my $tables ([ '-t', 'app.docs' ], [])
	{
		$stdout = '';
		my $result = IPC::Run::run(
			[ $node->installed_command('pg_dump'), grep({ $_ ne '' } $option), '--data-only', @$tables, '-d', $node->connstr('source') . ' user=api' ],
			'>', \$stdout, '2>', \$stderr);
		unlike($stdout, qr/CANARY/, "an API role's dump: no rows ($option @$tables)");
		unlike($stdout, qr/\\\\x[0-9a-f]{64}/, "an API role's dump: no hash ($option @$tables)");
		ok(!$result, "an API role's dump fails ($option @$tables)") if $option eq '' || !@$tables;
	}
}
# The owner's dump does not leave rows out silently.
ok( !IPC::Run::run(
		[ $node->installed_command('pg_dump'), '-t', 'app.docs', '-d', $node->connstr('source') . ' user=owner' ],
		'>', \$stdout, '2>', \$stderr),
	"the owner's dump fails");
like($stderr, qr/row-level security/, 'and says why');

$other->stop;
$node->stop;
done_testing();
