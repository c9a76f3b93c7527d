# A dump restores into another database and another cluster with nothing lost,
# doubled or open: tenants, keys, policies, triggers and the registry.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
make_source($node, 'source');
my $original = objects_of($node, 'source');
like(join("\n", @$original), qr/revdesk_isolation/, 'there is something to compare');

my $dir = PostgreSQL::Test::Utils::tempdir();
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/source.dump", '-d', $node->connstr('source') ], 'pg_dump');

# Another database of the cluster.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), "$dir/source.dump" ], 'pg_restore');
check_restored($node, 'copy', $original, 'pg_restore');

# In parallel.  pg_dump forgets that data of one member table of an extension
# needs that of another, so foreign keys must not be checked meanwhile.
$node->safe_psql('postgres', 'CREATE DATABASE jobs');
{
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', 3, '-d', $node->connstr('jobs'), "$dir/source.dump" ],
		'pg_restore -j');
}
check_restored($node, 'jobs', $original, 'pg_restore -j');

# As SQL.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'pg_dump', '-f', "$dir/source.sql", '-d', $node->connstr('source') ], 'pg_dump, plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '--single-transaction', '-f', "$dir/source.sql", '-d', $node->connstr('plain') ],
	'psql, one transaction');
check_restored($node, 'plain', $original, 'psql');

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
check_restored($other, 'source', $original, 'pg_dumpall');

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
