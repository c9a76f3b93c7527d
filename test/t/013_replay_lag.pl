# A standby that has not replayed a commit for longer than it may refuses every
# key and session; one whose primary merely has nothing to do does not.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'\nrevdesk.max_replay_lag = 4\nrevdesk.session_roles = 'api'\n");
$primary->start;
install_extension($primary, 'postgres');
make_data($primary, 'postgres');
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

my $count = as_key('a1', 'SELECT count(*) FROM app.docs');

# What the standby answers, until that is what is expected.
sub becomes
{
	my ($sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($stdout, $stderr) = query($standby, 'postgres', $sql);
		$answer = "$stdout$stderr";
		return pass($name) if $answer =~ $expected;
		select undef, undef, undef, 0.1;
	}
	is($answer, $expected, $name);
	return;
}

becomes($count, qr/^10$/, 'a standby that follows accepts keys');

# Longer than it may lag; nothing but the launcher commits.
$primary->safe_psql('postgres', 'SELECT pg_sleep(6)');
becomes($count, qr/^10$/, 'an idle primary is not lag');

# A flush takes longer than the standby may lag.
$primary->safe_psql('postgres', <<'SQL');
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(8); RETURN NULL; END';
CREATE TRIGGER slow BEFORE INSERT ON revdesk.key_usage EXECUTE FUNCTION slow();
SQL
query_ok($primary, 'postgres', $count, '10', 'there is something to flush');
$primary->reload;
my $flushing = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage worker' AND wait_event = 'PgSleep'";
ok(wait_until($primary, 'postgres', $flushing), 'a flush takes long');
my %answers;
while ($primary->safe_psql('postgres', $flushing) eq 't')
{
	$answers{ join '', query($standby, 'postgres', $count) }++;
	select undef, undef, undef, 0.1;
}
is_deeply([ keys %answers ], ['10'], 'a long flush is not lag');
$primary->safe_psql('postgres', 'DROP TRIGGER slow ON revdesk.key_usage');

# Replay stands still, as with a conflict or a slow disk, and a key is revoked.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$primary->safe_psql('postgres', "SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2')");
becomes($count, qr/ERROR:  this standby cannot check API keys now/, 'threat D09: a standby that lags refuses keys');
my ($stdout, $stderr) = query($standby, 'postgres', $count);
unlike($stderr, qr/max_replay_lag|revdesk_a1/, 'without saying why');
like($stderr, qr/HINT:  Try again, or another server\./, 'but what to do');
is($stdout, '', 'and shows nothing');
like((query($standby, 'postgres', as_key('00', 'SELECT 1')))[1], qr/cannot check API keys now/, 'an unknown key is not told from a known one');
my $request = sub {
	return "BEGIN;\nSELECT set_config('$_[0]', '$_[1]', true) \\g /dev/null\nSELECT revdesk_authenticate();\nROLLBACK;\n";
};
my $headers = '{"x-api-key": "' . token('a1') . '"}';
like((query($standby, 'postgres', $request->('request.headers', $headers)))[1], qr/"temporarily_unavailable".*"status":503/s, 'over HTTP 503');
like((query($standby, 'postgres', $request->('request.jwt.claims', '{"sub": "ulla"}')))[1], qr/"status":503/, 'a session likewise');
like((query($standby, 'postgres', $request->('request.headers', '{}')))[1], qr/"status":401/, 'a request without credentials is told to bring some');
like(slurp_file($standby->logfile), qr/DETAIL:  The last commit that was replayed is older than revdesk\.max_replay_lag\./, 'the log says why');
query_ok($primary, 'postgres', $count, '10', 'the primary goes on');

$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
becomes($count, qr/^10$/, 'caught up: it accepts keys');
refused($standby, 'postgres', 'a2', 'and has heard of the revocation');

# The connection is lost.
$primary->stop('immediate');
becomes($count, qr/cannot check API keys now/, 'a standby without its primary refuses keys');
$standby->safe_psql('postgres', 'ALTER SYSTEM SET revdesk.max_replay_lag = 0; SELECT pg_reload_conf()');
becomes($count, qr/^10$/, 'where any age is allowed it does not');
$standby->safe_psql('postgres', 'ALTER SYSTEM RESET revdesk.max_replay_lag; SELECT pg_reload_conf()');
becomes($count, qr/cannot check API keys now/, 'set again');

$standby->promote;
becomes($count, qr/^10$/, 'promoted, it does not lag');
$standby->stop;
done_testing();
