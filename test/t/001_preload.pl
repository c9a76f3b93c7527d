# No setting that is stored, passed or set before the library is there makes a
# context: with the library in shared_preload_libraries, and without.

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
install_extension($node, 'postgres');
make_data($node, 'postgres');

my $tenant = 'bbbbbbbb-0000-0000-0000-000000000000';
my $rows = 'SELECT count(*) FROM app.docs';
my $read = 'SELECT revdesk_scope() IS NULL';

# The genuine text of a context, which a superuser can see.
my $forged = $node->safe_psql('postgres', as_key('b0', "SELECT current_setting('revdesk.context')"));
like($forged, qr/bbbbbbbb0{24}/, 'the text of a context');

# Whatever was set before, there is no context and no row; statements before
# may fail, statements after may not.
sub no_context
{
	my ($sql, $name) = @_;
	my ($stdout, $stderr) = query($node, 'postgres', "$sql;\n$rows;\n$read;\n$rows");
	like($stdout, qr/(^|\n)0\nt\n0$/, $name) or diag($stderr);
	return $stderr;
}

sub restart_preloading
{
	my $libraries = shift;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'");
	$node->restart;
	return;
}

for my $preload (0, 1)
{
	my $with = $preload ? 'preloaded' : 'not preloaded';
	restart_preloading($preload ? 'revdesk_auth' : '');
	query_ok($node, 'postgres', as_key('a1', $rows), '10', "$with: a key works");

	# Set by hand before anything of the library is called.
	for my $setting ('revdesk.context', 'revdesk.tenant_id', 'revdesk.scope')
	{
		my $value = $setting eq 'revdesk.context' ? $forged : $tenant;
		for my $how (
			"SET $setting = '$value'",
			"SET SESSION $setting = '$value'",
			"SELECT set_config('$setting', '$value', false) \\g /dev/null\n")
		{
			my $stderr = no_context($how, "$with: $how");
			like($stderr, $preload ? qr/ERROR/ : qr/WARNING/, "$with: and it is said");
		}
		my ($stdout, $stderr) = query($node, 'postgres',
			"BEGIN; SET LOCAL $setting = '$value'; SAVEPOINT s; SET LOCAL $setting = 'x'; $rows; ROLLBACK; $rows");
		unlike($stdout, qr/[1-9]/, "$with: SET LOCAL $setting");
		($stdout, $stderr) = query($node, 'postgres',
			"SET $setting = '$value'; LOAD 'revdesk_auth'; SELECT current_setting('revdesk.tenant_id'); $read",
			role => $ENV{PGUSER} // getpwuid($<));
		like($stdout, qr/^\n?t$/, "$with: a superuser's $setting does not survive the load either")
		  or diag($stderr);
	}
	my (undef, $stderr) = query($node, 'postgres', "SET revdesk.anything = 'x'; $rows; SHOW revdesk.anything");
	like($stderr, qr/unrecognized configuration parameter|invalid configuration parameter/,
		"$with: no other name under the prefix stays");

	# Connection options.
	{
		local $ENV{PGOPTIONS} = "-c revdesk.context=$forged";
		my ($stdout, $complaint) = query($node, 'postgres', $rows);
		unlike($stdout, qr/[1-9]/, "$with: PGOPTIONS");
		like($complaint, $preload ? qr/FATAL/ : qr/WARNING/, "$with: and it is said");
		$ENV{PGOPTIONS} = "--revdesk.tenant_id=$tenant --revdesk.scope=organization";
		($stdout, $complaint) = query($node, 'postgres', $rows);
		unlike($stdout, qr/[1-9]/, "$with: PGOPTIONS, long");
	}

	# Stored for a role or a database, by a superuser, in any way.
	for my $statement (
		"ALTER ROLE api SET revdesk.context = '$forged'",
		"ALTER DATABASE postgres SET revdesk.context = '$forged'",
		"ALTER ROLE api IN DATABASE postgres SET revdesk.tenant_id = '$tenant'",
		"INSERT INTO pg_db_role_setting VALUES (0, 'api'::regrole, ARRAY['revdesk.context=$forged', 'revdesk.scope=organization'])"
	  )
	{
		$node->psql('postgres', $statement);
		my $where = $statement =~ s/ SET revdesk.*| VALUES.*//r;
		no_context('SELECT', "$with: $where");
		no_context('RESET ALL', "$with: $where, RESET ALL");
		no_context('DISCARD ALL', "$with: $where, DISCARD ALL");
		no_context(
			'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; '
			  . 'SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET ' . force_parallel($node) . ' = on',
			"$with: $where, parallel workers");
		is((query($node, 'postgres', as_key('a1', $rows)))[0], '10', "$with: $where: a key works");
		$node->safe_psql('postgres',
			'DELETE FROM pg_db_role_setting; ALTER ROLE api RESET ALL; ALTER DATABASE postgres RESET ALL');
	}

	# A privilege to set it.
	$node->safe_psql('postgres',
		"LOAD 'revdesk_auth'; GRANT SET ON PARAMETER revdesk.context TO api");
	no_context("SET revdesk.context = '$forged'", "$with: GRANT SET ON PARAMETER");
	no_context("SELECT set_config('revdesk.context', '$forged', false) \\g /dev/null\n",
		"$with: GRANT SET ON PARAMETER, set_config");
	no_context("$rows; SET revdesk.context = '$forged'", "$with: GRANT SET ON PARAMETER, library loaded");
	$node->psql('postgres', "ALTER ROLE api SET revdesk.context = '$forged'",
		connstr => $node->connstr('postgres') . ' user=api');
	no_context('SELECT', "$with: GRANT SET ON PARAMETER, ALTER ROLE of one's own");
	$node->safe_psql('postgres',
		"ALTER ROLE api RESET ALL; LOAD 'revdesk_auth'; REVOKE SET ON PARAMETER revdesk.context FROM api");

	# Kept in a function by a superuser, in a session without the library or in
	# one with a context.
	$node->psql('postgres',
		"CREATE FUNCTION app.kept() RETURNS bigint LANGUAGE sql SET revdesk.context = '$forged' AS '$rows'");
	$node->psql('postgres',
		"CREATE FUNCTION app.kept_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET revdesk.context = '$forged' AS '$rows'; "
		  . 'ALTER FUNCTION app.kept_definer() OWNER TO owner');
	$node->psql('postgres',
		as_key('b0', "CREATE FUNCTION app.kept_current() RETURNS bigint LANGUAGE sql SET revdesk.context FROM CURRENT AS '$rows'"));
	for my $function ('kept', 'kept_definer', 'kept_current')
	{
		my ($stdout) = query($node, 'postgres', "SELECT app.$function(); $rows; SELECT app.$function(); $rows");
		unlike($stdout, qr/[1-9]/, "$with: CREATE FUNCTION $function");
	}
	$node->safe_psql('postgres',
		'DROP FUNCTION IF EXISTS app.kept, app.kept_definer, app.kept_current');

	# The configuration file: for sessions to come, and for one that is open.
	my $session = Fixture::Session->new($node, 'postgres');
	is($session->query($rows), '0', "$with: an open session");
	is( $session->query("BEGIN;\nSELECT revdesk_authenticate('" . token('a1') . "') \\g /dev/null\n$rows"),
		'10', "$with: with a context");
	my $conf = slurp_file($node->data_dir . '/postgresql.conf');
	$node->append_conf('postgresql.conf',
		"revdesk.context = '$forged'\nrevdesk.scope = 'organization'\nrevdesk.tenant_id = '$tenant'\n");
	$node->reload;
	no_context('SELECT', "$with: configuration file, reloaded");
	is($session->query($rows), '10', "$with: the open transaction keeps its context");
	is($session->query("COMMIT;\n$rows"), '0', "$with: and ends it");
	$session->quit;
	$node->restart;
	no_context('SELECT', "$with: configuration file, restarted");
	query_ok($node, 'postgres', as_key('a1', 'SELECT current_setting($$revdesk.tenant_id$$)'),
		'aaaaaaaa-0000-0000-0000-000000000001', "$with: configuration file: a key works")
	  if $preload;
	open my $file, '>', $node->data_dir . '/postgresql.conf' or die $!;
	print $file $conf;
	close $file;
	$node->psql('postgres', "ALTER SYSTEM SET revdesk.context = '$forged'");
	$node->reload;
	no_context('SELECT', "$with: ALTER SYSTEM");
	unlink $node->data_dir . '/postgresql.auto.conf';
	append_to_file($node->data_dir . '/postgresql.auto.conf', '');
	$node->restart;

	# What is there can be thrown away, and no more.
	my ($stdout) = query($node, 'postgres', as_key('a1', "$rows; RESET ALL; $rows"));
	is($stdout, "10\n0", "$with: RESET ALL");
	($stdout) = query($node, 'postgres', as_key('a1', "$rows") . "DISCARD ALL;\n$rows;");
	is($stdout, "10\n0", "$with: DISCARD ALL");
}

$node->stop;
done_testing();
