# Random SQL (sqlsmith) as the API's role, under keys of every scope: no answer,
# no error and no notice shows a row of another tenant, and none is changed.
#
# REVDESK_SOAK_QUERIES: how many statements (default: 300).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";

use CheckingProxy;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $queries = $ENV{REVDESK_SOAK_QUERIES} // 300;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nlog_statement = none\nlog_min_error_statement = panic");
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');
# What a walk-up shows has names of its own: those who see the umbrella's rows
# there must not see its others.
$node->safe_psql('postgres', "UPDATE app.registrations SET body = replace(body, 'CANARY_', 'CANARY_up_')");

# The names of tenants, users and keys whose rows or ids are in an answer: as
# text, also in hexadecimal as of a bytea, and uuids.
my %ids = (
	'aaaaaaaa00' => 'id A', 'aaaaaaaa01' => 'id A1', 'aaaaaaaa02' => 'id A2',
	'bbbbbbbb00' => 'id B', 'bbbbbbbb01' => 'id B1',
	'cccccccc01' => 'id ulla', 'cccccccc02' => 'id victor');
sub names_in
{
	my $answer = shift;
	my @names = $answer =~ /CANARY_((?:up_)?[[:alnum:]]+)_/g;
	push @names, map { pack 'H*', $_ } $answer =~ /43414e4152595f((?:75705f)?(?:[346-7][0-9a-f])+?)5f/gi;
	while ($answer =~ /((?:aaaa|bbbb|cccc|dddd)[a-d]{4})-?0000-?0000-?0000-?0000000000([0-9a-f]{2})/gi)
	{
		push @names, $ids{ lc "$1$2" } // lc "id $2";
	}
	return @names;
}

sub key
{
	my ($name, $writes, @allowed) = @_;
	return { name => $name, token => token($name), writes => $writes, allowed => { map { $_ => 1 } "id $name", @allowed } };
}

# Only one key's writes are kept: those of a wider one could copy a name to
# where a narrower one sees it.
my @keys = (
	key('a1', 1, 'A1', 'up_A1', 'up_A', 'id A1', 'id A'),
	key('a0', 0, map { ($_, "up_$_", "id $_") } qw(A A1 A2)),
	key('af', 0, map { ($_, "up_$_", "id $_") } qw(A A1 A2)),
	key('c1', 0, 'A1', 'B', 'ulla', 'up_A1', 'up_B', 'id A', 'id A1', 'id B', 'id ulla'));

my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $journal = "$folder/journal";
my $proxy = CheckingProxy->new(
	socket => "$folder/.s.PGSQL.5432",
	server => $node->host . '/.s.PGSQL.' . $node->port,
	journal => $journal,
	begins => qr/sqlsmith::dut/,
	keys => \@keys,
	names => \&names_in);
my $connection = "host=$folder port=5432 dbname=postgres";

sub journal
{
	return -e $journal ? slurp_file($journal) : '';
}

# The checker finds what it is to find.
$node->command_ok([ 'psql', '-XAtq', '-d', "$connection user=postgres", '-c', 'SELECT max(body) FROM app.docs' ], 'a connection through the proxy');
like(journal(), qr/^LEAK no key sees victor: SELECT max/, 'a row without a key is found');
unlink $journal;
$node->command_ok([ 'psql', '-XAtq', '-d', "$connection user=postgres", '-c', 'BEGIN', '-c', 'SELECT body::bytea, owner_id FROM app.docs WHERE body ~ \'B1_3\'', '-c', 'ROLLBACK' ], 'a transaction');
like(journal(), qr/^LEAK a1 sees B1: /m, 'a row of somebody else is found');
unlink $journal;

# All that key a1 must not change, and what it may.
my $state = "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM (SELECT 'docs', d::text FROM app.docs AS d UNION ALL SELECT 'parts', p::text FROM app.parts AS p "
  . "UNION ALL SELECT 'registrations', r::text FROM app.registrations AS r UNION ALL SELECT 'keys', k::text FROM revdesk.api_keys AS k "
  . "UNION ALL SELECT 'tenants', e::text FROM revdesk.tenants AS e UNION ALL SELECT 'users', u::text FROM revdesk.users AS u UNION ALL SELECT 'members', m::text FROM revdesk.memberships AS m) AS t (name, row) ";
my $own = "WHERE name IN ('docs', 'parts', 'registrations') AND row ~ '^[(][0-9]*,aaaaaaaa-0000-0000-0000-000000000001,'";
my $foreign = $state . $own =~ s/WHERE (.*)/WHERE NOT ($1)/r;
my ($foreign_before, $own_before) = ($node->safe_psql('postgres', $foreign), $node->safe_psql('postgres', $state . $own));

# Half of them on the catalogs too.
unlink $journal;
for my $options ([ '--exclude-catalog', '--seed=1' ], ['--seed=2'])
{
	my ($stdout, $stderr) = ('', '');
	IPC::Run::run([ 'sqlsmith', "--target=$connection user=api", '--max-queries=' . int($queries / 2), '--verbose', @$options ], '>', \$stdout, '2>', \$stderr);
	unlike($stderr, qr/broken|terminate called/i, "sqlsmith @$options") or diag(substr($stderr, -2000));
}
$proxy->stop;

my $found = journal();
unlike($found, qr/^(?:LEAK|UNAUTHENTICATED|proxy)/m, 'no answer shows what its key must not see') or diag(substr($found, 0, 3000));
like($found, qr/^seen $_$/m, "rows of $_ are seen") for $queries >= 3000 ? qw(A1 A2 up_A ulla B) : ();
is($node->safe_psql('postgres', $foreign), $foreign_before, 'nothing that is not of the writing key has changed');
my $changed = $node->safe_psql('postgres', $state . $own) ne $own_before;
ok($changed, 'rows of the writing key have') if $queries >= 3000;
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is alive');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP:/, 'and never was not');
my %counts = (statements => 0, failed => 0, shown => 0);
$counts{$2} += $1 while $found =~ /^counted (\d+) (\w+)$/mg;
cmp_ok($counts{statements}, '>=', $queries, 'as many statements under a key as were asked for');
note("counted $counts{statements} random statements");
note("counted $counts{failed} of them with an error");
note("counted $counts{shown} answers with rows of the key");
note('counted ' . (() = $found =~ /^LEAK/mg) . ' foreign rows in their answers');
$node->stop;
done_testing();
