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

# What names nothing in the copy does not take the rest of the registry with it.
my $session = Fixture::Session->new($node, 'source', getpwuid($<));
is($session->query(<<'SQL'), '', 'a temporary table, an index and nothing, registered');
CREATE TEMP TABLE fleeting (tenant_id uuid);
CREATE INDEX fleeting_idx ON app.docs (body);
INSERT INTO revdesk.protected_tables (relation, root, had_row_security, had_forced_row_security)
VALUES ('fleeting', 'fleeting', false, false), ('app.fleeting_idx', 'app.fleeting_idx', false, false), (1, 1, false, false);
INSERT INTO revdesk.exempt_tables (relation, reason) VALUES ('fleeting', 'fleeting'), (1, 'gone');
SQL
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/fleeting.dump", '-d', $node->connstr('source') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE fleeting');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('fleeting'), "$dir/fleeting.dump" ], 'pg_restore');
my $registered = "SELECT relation FROM revdesk.%s WHERE relation::text !~ 'fleeting' AND relation <> 1 ORDER BY relation::text COLLATE \"C\"";
for my $table (qw(protected_tables exempt_tables))
{
	is($node->safe_psql('fleeting', "SELECT relation FROM revdesk.$table ORDER BY relation::text COLLATE \"C\""),
		$node->safe_psql('source', sprintf $registered, $table), "$table: the others are there");
}
is($session->query(<<'SQL'), '', 'and gone');
DELETE FROM revdesk.protected_tables WHERE relation IN ('fleeting', 'app.fleeting_idx', 1);
DELETE FROM revdesk.exempt_tables WHERE relation IN ('fleeting', 1);
DROP INDEX app.fleeting_idx;
SQL
$session->quit;

# README.md, Backup: a table that is left out by -T takes the registry along, one
# without its rows does not.
for my $case ([ '-T', '', 'docs' ], [ '--exclude-table-data', $node->safe_psql('source', 'SELECT count(*) FROM revdesk.protected_tables'), 'rows' ])
{
	my ($option, $expected, $database) = @$case;
	$node->command_ok([ 'pg_dump', '-Fc', $option, 'app.docs', '-f', "$dir/$database", '-d', $node->connstr('source') ], "pg_dump $option");
	$node->safe_psql('postgres', "CREATE DATABASE part_$database");
	IPC::Run::run([ $node->installed_command('pg_restore'), '-d', $node->connstr("part_$database"), "$dir/$database" ], '2>', \my $said);
	is($node->safe_psql("part_$database", 'SELECT NULLIF(count(*), 0) FROM revdesk.protected_tables'), $expected, "registered after $option");
	is($said =~ /"app\.docs" does not exist/ ? 1 : 0, $expected eq '' ? 1 : 0, "$option: pg_restore says so");
}

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
