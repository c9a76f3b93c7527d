# README.md tells the truth: its quick start prints what it says, its recipes
# work, and every function, view and setting that it names exists.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my ($script) = $readme =~ /```sql\n(.*?)```/s;
my ($output) = $readme =~ /```text\n(.*?)```/s;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my ($stdout, $stderr);
$node->psql('postgres', "SET client_min_messages = warning;\n$script",
	on_error_stop => 0, stdout => \$stdout, stderr => \$stderr);
$stderr =~ s/^psql:[^:]*:\d+: //mg;
is(join("\n", grep { $_ ne '' } split /\n/, "$stdout\n$stderr") . "\n",
	$output, 'the quick start prints what it says');

# Names in prose and tables, without those of the examples' own.
my %names = map { $_ => 1 } $readme =~ /`(revdesk_[a-z_]+)\b(?!…)/g;
delete $names{$_} for ('revdesk_', 'revdesk_auth', 'revdesk_isolation');
for my $name (sort keys %names)
{
	is($node->safe_psql('postgres',
			"SELECT EXISTS (SELECT FROM pg_proc WHERE proname = '$name')
			     OR EXISTS (SELECT FROM pg_class WHERE relname = '$name')"),
		't', "$name exists");
}

my %settings = map { $_ => 1 } $readme =~ /`(revdesk\.[a-z_]+)`/g;
delete $settings{$_} for qw(revdesk.exempt_tables revdesk.protected_tables revdesk.api_keys revdesk.key_usage revdesk.audit_log);
for my $name (sort keys %settings)
{
	my $exists = $node->safe_psql('postgres', "LOAD 'revdesk_auth'; SELECT count(*) FROM pg_settings WHERE name = '$name'");
	is($exists, '1', "$name is a setting");
}

# And the other way round: nothing public is left out.
for my $name (split /\n/, $node->safe_psql('postgres',
		"SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		 AND proname LIKE 'revdesk\\_%' AND proname NOT LIKE 'revdesk\\_scope\\_%'
		 UNION SELECT name FROM pg_settings WHERE name LIKE 'revdesk.%' ORDER BY 1"))
{
	like($readme, qr/\Q$name\E\b/, "README.md tells of $name");
}

# Its recipes, as they stand but for the words in <> and what psql prints.
sub recipe
{
	my ($begin, %values) = @_;
	my ($sql) = $readme =~ /```sql\n(\Q$begin\E.*?)```/s;
	$sql =~ s/<\Q$_\E>/$values{$_}/g for keys %values;
	my $printed;
	is($node->psql('postgres', $sql, stdout => \$printed, on_error_stop => 1), 0, "works: $begin");
	return $printed;
}
my $key = sub { $node->safe_psql('postgres', "SELECT token FROM revdesk_create_key('k', 'organization', '$_[0]')") };
my $sees = sub { $node->safe_psql('postgres', "SET ROLE api; BEGIN; SELECT revdesk_authenticate('$_[0]'); SELECT count(*) FROM calls; COMMIT") =~ s/\s//gr };

my ($acme, $north) = split /\|/, $node->safe_psql('postgres', "SELECT umbrella_id, id FROM revdesk.tenants WHERE name = 'Acme North'");
$node->safe_psql('postgres', <<"SQL");
SELECT revdesk_unprotect('calls');
DROP TABLE calls;
CREATE TABLE calls (id int PRIMARY KEY, tenant_id uuid, umbrella_id uuid, owner_id uuid, created_at timestamptz);
INSERT INTO calls SELECT i, '$north', NULL, NULL, now() FROM generate_series(1, 100) AS i;
GRANT SELECT ON calls TO api;
SQL
my $checked = recipe('-- An existing table.');
like($checked, qr/^0\n/, 'an existing table: no row of nobody');
unlike($checked, qr/^not ok/m, 'and it is safe');
is($node->safe_psql('postgres', 'SELECT created_indexes FROM revdesk.protected_tables'), '{}', 'and had its indexes');
my $token = $key->($acme);
is($sees->($token), 100, 'an organization sees its rows');

my $digest = $node->safe_psql('postgres', "SELECT encode(sha256('$token'), 'hex')");
my $id = $node->safe_psql('postgres', "SELECT id FROM revdesk.api_keys WHERE key_hash = '\\x$digest'");
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'");
$node->restart;
like(recipe('-- A key has leaked.', 'its SHA-256' => $digest, id => $id), qr/^\Q$id\E\|k\|organization\|\Q$acme\E\|\nt$/m, 'a leaked key is found and revoked');

$node->safe_psql('postgres', 'CREATE ROLE api_user; CREATE ROLE provisioner; CREATE SCHEMA api');
recipe('GRANT INSERT ON revdesk.tenants');
like($node->safe_psql('postgres', "SET ROLE provisioner; SELECT token FROM revdesk_provision_account('Umbra', 'uwe')"), qr/^revdesk_/m, 'signs customers up');
$node->safe_psql('postgres', "SELECT revdesk_expose('api', '{api_user}')");
recipe('GRANT SELECT ON revdesk_audit');
my $admin = $node->safe_psql('postgres', "SELECT key_id, token FROM revdesk_create_key('admin', 'organization', '$acme', access => 'admin')");
my ($admin_id, $admin_token) = split /\|/, $admin;
like($node->safe_psql('postgres', "SET ROLE api_user; BEGIN; SELECT revdesk_authenticate('$admin_token'); SELECT count(*) > 0 FROM revdesk_audit; SELECT count(*) FROM revdesk_usage('$admin_id'); SELECT count(*) > 0 FROM revdesk_key_risks(); COMMIT"),
	qr/^t\n[01]\nt$/m, 'admin keys see their part');

recipe('-- Uninstall.');
is($node->safe_psql('postgres', "SET ROLE api; SELECT count(*) FROM calls"), 100, 'uninstalled: who was granted it sees it');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'revdesk'"), 0, 'and nothing is left');

done_testing();
