# From an older major release of PostgreSQL to this one, by pg_upgrade and by
# dumps: nothing is lost, doubled or open, and keys go on.
#
# REVDESK_OLD_INSTALL is the folder that holds bin of the older PostgreSQL, with
# the extension installed, and in lib whatever libraries this system lacks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t";

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Test::More;

my $install = $ENV{REVDESK_OLD_INSTALL} // die "REVDESK_OLD_INSTALL names no older PostgreSQL to upgrade from\n";
# For pg_upgrade, which runs programs of both.
$ENV{LD_LIBRARY_PATH} = join ':', "$install/lib", grep { defined } $ENV{LD_LIBRARY_PATH};

# Both with checksums, which 18 has by default and older ones have not.
sub make_node
{
	my ($name, %install) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, %install);
	$node->init(extra => ['--data-checksums']);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'");
	return $node;
}

sub lint
{
	my ($node, $database) = @_;
	return [ split /\n/, $node->safe_psql($database,
			"SELECT code, replace(object, current_database(), 'this'), message FROM revdesk_lint() WHERE code <> 'SERVER_TOO_OLD' ORDER BY 1, 2, 3") ];
}

# What comes of each attack, in lines; the plan is the last.
sub selftest
{
	my ($node, $database) = @_;
	return [ split /\n/, $node->safe_psql($database, 'SELECT revdesk_selftest()') ];
}

my $old = make_node('old', install_path => $install);
$old->start;
cmp_ok($old->pg_version, '<', PostgreSQL::Test::Cluster->new('version')->pg_version, 'the old one is older');

$old->safe_psql('postgres', "CREATE DATABASE $_") for qw(source released);
make_source($old, 'source');
$old->safe_psql('released', "CREATE EXTENSION revdesk_auth VERSION '1.0' CASCADE");
make_data($old, 'released');
my $original = objects_of($old, 'source');
my $findings = lint($old, 'source');
my $outcomes = selftest($old, 'source');
cmp_ok(scalar grep({ /^ok/ } @$outcomes), '>', 20, 'the self-test attacks');
cmp_ok(scalar @$findings, '>', 5, 'the lint has something to say');

# What these hold are numbers of objects, which pg_upgrade must keep.
my $oids = <<'SQL';
SELECT relation::oid, root::oid, relation::text, root::text FROM revdesk.protected_tables ORDER BY 1;
SELECT relation::oid, relation::text FROM revdesk.exempt_tables ORDER BY 1;
SQL
my $oids_before = $old->safe_psql('source', $oids);

my $key = as_key('a1', 'SELECT count(*) FROM app.docs');
sub check_server
{
	my ($node, $database, $how) = @_;
	is_deeply(lint($node, $database), $findings, "$how: the lint says what it said");
	is_deeply(selftest($node, $database), $outcomes, "$how: attacks have the outcome that they had");
	check_restored($node, $database, $original, $how);
	return;
}

# Dumps, by the programs of either release.
my $folder = PostgreSQL::Test::Utils::tempdir();
my $new = make_node('dumped');
$new->start;
$old->command_ok([ 'pg_dumpall', '--globals-only', '-f', "$folder/globals", '-d', $old->connstr('postgres') ], 'roles');
$new->command_ok([ 'psql', '-Xq', '-f', "$folder/globals", '-d', $new->connstr('postgres') ], 'roles are restored');
for my $dumper ($old, $new)
{
	my $release = 'pg_dump ' . $dumper->pg_version;
	my $database = $dumper->name . '_dump';
	$dumper->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/$database", '-d', $old->connstr('source') ], $release);
	$new->safe_psql('postgres', "CREATE DATABASE $database");
	$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr($database), "$folder/$database" ], "$release, restored");
	check_server($new, $database, "attack P8: $release");
}
$new->stop;

# pg_upgrade.  With --link the old server cannot be used any more, so last.
$old->stop;
for my $mode (qw(copy link))
{
	my $upgraded = make_node($mode);
	# The guard of new tables does not stand in the way of what is protected later.
	my @pg_upgrade = (
		$upgraded->installed_command('pg_upgrade'), '--no-sync', "--$mode",
		'-d', $old->data_dir, '-b', $old->config_data('--bindir'), '-p', $old->port,
		'-D', $upgraded->data_dir, '-B', $upgraded->config_data('--bindir'), '-P', $upgraded->port,
		'-s', $upgraded->host, '-O', '-c revdesk.unprotected_tables=enforce');
	# --copy is what there is without it, and has a name since 16.
	command_ok(\@pg_upgrade, "pg_upgrade --$mode");
	$upgraded->start;
	is($upgraded->safe_psql('source', $oids), $oids_before, "threat D12: pg_upgrade --$mode: the registry means the same tables");
	check_server($upgraded, 'source', "threat D12: pg_upgrade --$mode");

	# A database of the released version, which is upgraded later.
	query_ok($upgraded, 'released', $key, '10', "pg_upgrade --$mode: the released version goes on");
	$upgraded->safe_psql('released', 'ALTER EXTENSION revdesk_auth UPDATE');
	query_ok($upgraded, 'released', $key, '10', "pg_upgrade --$mode: and can be upgraded");
	$upgraded->stop;
}

done_testing();
