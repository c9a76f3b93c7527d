# README.md tells the truth: its quick start prints what it says, and every
# function, view and setting that it names exists.

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
delete $settings{$_} for qw(revdesk.exempt_tables revdesk.api_keys revdesk.key_usage revdesk.audit_log);
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

done_testing();
