# Limits let through exactly what they say, however many ask at once, and tell
# the caller when to come back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Counting;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = preloading_node('limits', "max_connections = 60\nlisten_addresses = '127.0.0.1'\n");
my $organization = 'aaaaaaaa-0000-0000-0000-000000000000';

sub sql { return $node->safe_psql('postgres', shift) }
sub limit { my ($key, $limits) = @_; return sql("SELECT revdesk_limit_key('" . key_id($key) . "', $limits)") }

# Authenticate from 16 backends at once; how many were accepted.
sub race
{
	my (@keys) = @_;
	my $tries = 20;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $before = 0;
	$before += counted($node, $_) for @keys;
	my @files;
	for my $key (@keys)
	{
		append_to_file("$folder/$key.sql", <<"SQL");
DO \$\$ BEGIN PERFORM revdesk_authenticate('@{[ token($key) ]}'); EXCEPTION WHEN configuration_limit_exceeded THEN END \$\$;
SQL
		push @files, '-f', "$folder/$key.sql";
	}
	$node->command_ok([ 'pgbench', '-n', '-c', 16, '-j', 2, '-t', $tries, '-h', $node->host, '-p', $node->port, '-U', 'api', @files, 'postgres' ], "16 backends: @keys");
	my $accepted = -$before;
	$accepted += counted($node, $_) for @keys;
	return $accepted;
}

# A slow bucket, so that none comes back during the race.
limit('a0', "1, 'minute', 100");
is(race('a0'), 100, 'a burst of 100 lets 100 pass');
is(counted($node, 'a0', 'denied_limit'), 220, 'and counts all the others');
limit('a1', "NULL, quota => 77");
is(race('a1'), 77, 'a quota of 77 a day');
limit('a2', "NULL, quota => 55, quota_period => 'month'");
is(race('a2'), 55, 'a quota of 55 a month');
sql("SELECT revdesk_limit_organization('bbbbbbbb-0000-0000-0000-000000000000', 1, 'minute', 60)");
is(race('b0', 'b1'), 60, 'an organization has one limit for all its keys');
limit('c1', "1, 'minute', 10, 5");
is(race('c1'), 5, 'rate and quota: the narrower one');

# Over time: as many as the rate says, and the burst after a pause.
sql("SELECT revdesk_limit_key('" . key_id('c2') . "', 20, 'second', 5)");
my $start = time;
my $accepted = 0;
my $session = Fixture::Session->new($node, 'postgres');
while (time - $start < 2)
{
	$accepted++ if $session->query("SELECT revdesk_authenticate('" . token('c2') . "')") !~ /ERROR/;
}
my $most = 5 + 20 * (time - $start) + 1;
ok($accepted <= $most && $accepted >= 30, "20 a second, 5 at once: $accepted of at most $most in two seconds");
limit('c2', "60, 'minute', 1");
sleep 1.1;
is($session->query("SELECT revdesk_authenticate('" . token('c2') . "') \\g /dev/null"), '', '60 a minute: one');
like($session->query("SELECT revdesk_authenticate('" . token('c2') . "')"), qr/over its limit/, 'and not a second at once');
sleep 1.1;
is($session->query("SELECT revdesk_authenticate('" . token('c2') . "') \\g /dev/null"), '', 'but one a second later');

# A limit that becomes narrower holds from now on, not for as long as the old one took.
limit('c2', "1, 'minute', 1000");
authenticate($node, 'c2', 500);
limit('c2', "10, 'second', 1");
authenticate($node, 'c2');
sleep 0.3;
is(authenticate($node, 'c2'), '', 'a bucket deep in debt is not locked out by a change of its limits');

# What a limit is not: of a transaction, of a rejected key, undone by a rollback.
limit('ad', "1, 'minute', 3");
my $call = "SELECT revdesk_authenticate('" . token('ad') . "') \\g /dev/null\n";
query($node, 'postgres', "BEGIN;\n$call${call}$call${call}ROLLBACK;\n");
is(authenticate($node, 'ad', 2), '', 'a transaction takes one');
like(authenticate($node, 'ad'), qr/over its limit/, 'a rollback gives none back');

# Errors.
my (undef, $stderr) = query($node, 'postgres', "\\set VERBOSITY verbose\nSELECT revdesk_authenticate('" . token('ad') . "')");
like($stderr, qr/ERROR:  53400: API key is over its limit\nDETAIL:  Retry after (\d+) seconds\.\n/, 'SQLSTATE 53400');
my ($seconds) = $stderr =~ /after (\d+) seconds/;
ok($seconds > 50 && $seconds <= 60, 'DETAIL has the seconds');
unlike($stderr, qr/revdesk_ad/, 'and no token');
($stderr) = (as_request($node, '{"x-api-key": "' . token('ad') . '", "x-request-id": "r-1"}'))[1];
like($stderr, qr/ERROR:  PGRST: .*"code":"rate_limited"/, 'over PostgREST: PGRST');
like($stderr, qr/"status":429,/, 'status 429');
like($stderr, qr/"Retry-After":"\d+"/, 'Retry-After');
like($stderr, qr/"RateLimit-Policy":"\\"default\\";q=3;w=180"/, 'RateLimit-Policy');
like($stderr, qr/"RateLimit":"\\"default\\";r=0;t=\d+"/, 'RateLimit');
like($stderr, qr/"X-Request-Id":"r-1"/, 'X-Request-Id');
($stderr) = (query($node, 'postgres', "SELECT revdesk_authenticate('" . token('a1') . "')"))[1];
($seconds) = $stderr =~ /after (\d+) seconds/;
ok($seconds > 0 && $seconds <= 86400, 'a quota: seconds until the day is over');

# Headers of successes.
limit('af', "10, 'minute', 10");
my $headers = "SELECT current_setting('response.headers', true);";
is((as_request($node, '{"x-api-key": "' . token('af') . '"}', $headers))[0], '', 'no headers unless the setting asks for them');
sql('ALTER ROLE api SET revdesk.rate_limit_headers = on');
like((as_request($node, '{"x-api-key": "' . token('af') . '"}', $headers))[0],
	qr/^\[\{"RateLimit-Policy":"\\"default\\";q=10;w=60"\},\{"RateLimit":"\\"default\\";r=8;t=\d+"\}\]$/, 'the budget that is left');
sql('ALTER ROLE api RESET revdesk.rate_limit_headers');

# Who may limit.
for my $function ('revdesk_limit_key', 'revdesk_limit_organization')
{
	sql("GRANT EXECUTE ON FUNCTION $function TO api");
	my $target = $function =~ /key/ ? key_id('ad') : $organization;
	like((query($node, 'postgres', "SELECT $function('$target')"))[1], qr/authentication required/, "$function: not without a privilege");
	limit('ad', 'NULL');
	like((query($node, 'postgres', as_key('ad', "SELECT $function('$target')")))[1], qr/not for an API key/, "$function: not for an admin key");
}
for my $wrong ('0', '-1', '1000001', "1, 'hour'", '1, rate_burst => 0', 'NULL, quota => 0', "NULL, quota => 1, quota_period => 'year'")
{
	my (undef, undef, $complaint) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT revdesk_limit_key('" . key_id('a0') . "', $wrong)");
	like($complaint, qr/22023: invalid limit/, "limits: $wrong");
}

# A limit survives a clean restart.
limit('b1', "1, 'minute', 5");
sql("SELECT revdesk_limit_organization('bbbbbbbb-0000-0000-0000-000000000000')");
authenticate($node, 'b1', 6);
$session->quit;
$node->restart;
like(authenticate($node, 'b1'), qr/over its limit/, 'over a restart');
like(authenticate($node, 'a1'), qr/over its limit/, 'a quota too');

# The address of a client behind proxies is what the outermost of them saw.
sql("UPDATE revdesk.api_keys SET allowed_networks = '{198.51.100.0/24}', quota = NULL, rate_limit = NULL");
sub from
{
	my ($proxies, $forwarded, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sql("ALTER ROLE api SET revdesk.trusted_proxies = $proxies");
	my $header = defined $forwarded ? ", \"x-forwarded-for\": \"$forwarded\"" : '';
	my (undef, $complaint) = as_request($node, '{"x-api-key": "' . token('a0') . "\"$header}");
	return is($complaint =~ /"status":401/ ? 'refused' : $complaint, $expected ? '' : 'refused', "$proxies proxies, $name");
}
from(1, '198.51.100.7', 1, 'an address inside');
from(1, '203.0.113.9', 0, 'one outside');
from(1, '198.51.100.7, 203.0.113.9', 0, 'spoofed to the left');
from(1, '203.0.113.9, 198.51.100.7', 1, 'the right one counts');
from(1, undef, 0, 'no header');
from(1, '', 0, 'an empty one');
from(1, '198.51.100.7,', 0, 'an empty last one');
from(1, 'unknown', 0, 'no address');
from(1, '198.51.100.7/24', 0, 'a network');
from(1, '198.51.100.7:443', 0, 'a port');
from(2, '198.51.100.7, 203.0.113.9', 1, 'the second from the right');
from(2, '198.51.100.7, 203.0.113.1, 203.0.113.9', 0, 'spoofed to the left');
from(2, '198.51.100.7', 0, 'fewer addresses than proxies');
from(0, '198.51.100.7', 0, 'the header is not believed');

# The brake.
sql('UPDATE revdesk.api_keys SET allowed_networks = NULL');
sql('ALTER ROLE api SET revdesk.trusted_proxies = 1; ALTER ROLE api SET revdesk.failures_per_minute = 5');
sub attempt
{
	my ($key, $address) = @_;
	return (as_request($node, '{"x-api-key": "' . token($key) . "\", \"x-forwarded-for\": \"$address\"}"))[1];
}
is(attempt('a0', '192.0.2.1'), '', 'brake: a valid key');
like(attempt('00', '192.0.2.1'), qr/"status":401/, 'brake: an unknown one') for 1 .. 5;
is(counted($node, 'none', 'denied_unknown'), 5, 'five were looked at');
like(attempt('a0', '192.0.2.1'), qr/"status":401/, 'then all are refused from there');
is(attempt('a0', '192.0.2.2'), '', 'and none from elsewhere');
sleep 13;
is(attempt('a0', '192.0.2.1'), '', 'after a while it lets go');
limit('b0', "1, 'minute', 1");
attempt('b0', '192.0.2.3') for 1 .. 10;
like(attempt('b0', '192.0.2.3'), qr/"status":429/, 'a key over its limit is told so');
is(attempt('a0', '192.0.2.3'), '', 'and does not brake its address');

# On a connection of its own the address is the connection's.
sql('ALTER ROLE api RESET ALL; ALTER ROLE api SET revdesk.failures_per_minute = 3');
my $tcp = 'host=127.0.0.1 port=' . $node->port . ' dbname=postgres';
$node->append_conf('pg_hba.conf', 'host all all 127.0.0.1/32 trust');
$node->reload;
authenticate($node, 'a0', 1, connstr => $tcp);
is(sql("SELECT last_address FROM revdesk.usage_in_memory('" . key_id('a0') . "')"), '127.0.0.1', 'over TCP');
authenticate($node, '00', 3, connstr => $tcp);
like(authenticate($node, 'a0', 1, connstr => $tcp), qr/API key rejected/, 'the brake');
is(authenticate($node, 'a0'), '', 'a unix socket has none');

$node->stop;
done_testing();
