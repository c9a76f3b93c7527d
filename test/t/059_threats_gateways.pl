# Threats of sections G and U, gateways and denial of service: what stands between
# a caller and the server passes nothing on from one to the next, and nobody
# makes others wait.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth', 'revdesk.flush_interval = 3600');
$node->safe_psql('template', <<'SQL');
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT api TO authenticator;
CREATE EXTENSION postgres_fdw;
CREATE VIEW app.seen WITH (security_invoker = true) AS
SELECT 'sees ' || COALESCE(string_agg(DISTINCT split_part(body, '_', 2), ',' ORDER BY split_part(body, '_', 2)), 'nobody') FROM app.docs;
GRANT SELECT ON app.seen TO api;
SQL

my $count = 'SELECT count(*) FROM app.docs';
my @poolers;

sub login { return "SELECT revdesk_authenticate('" . token(shift) . "') \\g /dev/null\n" }

# A pgbouncer in front of the server, with one connection to it for each
# database; returns how to connect to it.
sub pooler
{
	my $mode = shift;
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	append_to_file("$folder/users", "\"api\" \"\"\n");
	append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
* = host=@{[ $node->host ]} port=@{[ $node->port ]}
[pgbouncer]
pool_mode = $mode
default_pool_size = 1
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $folder/users
logfile = $folder/log
server_check_delay = 0
INI
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
	push @poolers, IPC::Run::start([ 'pgbouncer', '-q', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>', '/dev/null', '2>&1');
	for (1 .. 100)
	{
		last if -S "$folder/.s.PGSQL.$port";
		select undef, undef, undef, 0.1;
	}
	return "host=$folder port=$port user=api dbname=";
}

my $transactions = pooler('transaction');
my $statements = pooler('statement');

attack 'G01', 'a pool of transactions', sub {
	my ($node, $database) = @_;
	my ($one, $two) = map { Fixture::Session->connect($node, $transactions . $database) } 1 .. 2;
	my $server = $one->query('SELECT pg_backend_pid()');
	is($one->query("SET app.left_behind = 'x';\nBEGIN;\n" . login('a1') . "$count;\nCOMMIT;\n$count"), "10\n0", 'a client, and after its transaction');
	is($two->query("SELECT pg_backend_pid(), current_setting('app.left_behind', true)"), "$server|x", 'the next has its connection, and what a session leaves');
	is($two->query("$count;\nSELECT count(*) FROM revdesk_context();\nSELECT current_setting('revdesk.scope') = ''"), "0\n0\nt", 'but no context');
	is($two->query("BEGIN;\n" . login('b0') . "$count;\nROLLBACK"), '20', 'it has its own');
	is($one->query($count), '0', 'which does not come back to the first');
	$_->quit for $one, $two;
};

attack 'G02', 'a client that vanishes in the middle', sub {
	my ($node, $database) = @_;
	my ($one, $two) = map { Fixture::Session->connect($node, $transactions . $database) } 1 .. 2;
	is($one->query("BEGIN;\n" . login('a1') . $count), '10', 'a transaction is open');
	$one->{run}->kill_kill;
	is($two->query("$count;\nSELECT count(*) FROM revdesk_context()"), "0\n0", 'the next client has no context');
	$two->quit;
};

attack 'G06', 'a request that fails', sub {
	my ($node, $database) = @_;
	my ($one, $two) = map { Fixture::Session->connect($node, $transactions . $database) } 1 .. 2;
	like($one->query("BEGIN;\n" . login('a1') . "SELECT 1 / 0;\nROLLBACK"), qr/division by zero/, 'a request fails');
	is($two->query("BEGIN;\n$count;\nCOMMIT"), '0', 'the next on the connection has no context');
	$_->quit for $one, $two;
};

# The pool's statement, of all its clients, and generic plans from the sixth
# time on.
attack 'G07', 'prepared statements of the pool', sub {
	my ($node, $database) = @_;
	my @clients = map { Fixture::Session->connect($node, $transactions . $database) } 1 .. 2;
	$clients[0]->query("PREPARE m AS SELECT count(*) FILTER (WHERE body ~ '^CANARY_B') || '/' || count(*) FROM app.docs");
	my %expected = (a0 => '0/30', b0 => '20/20', a1 => '0/10', c1 => '10/30');
	my %answers;
	for my $turn (1 .. 250)
	{
		my @keys = $turn % 2 ? qw(a0 b0 a1 c1) : qw(c1 b0 a0 a1);
		my $answer = $clients[ $turn % 2 ]->query(join '', map { "BEGIN;\n" . login($_) . "EXECUTE m;\nCOMMIT;\n" } @keys);
		my @answers = split /\n/, $answer;
		$answers{"$keys[$_] $answers[$_]"}++ for 0 .. 3;
	}
	is_deeply(\%answers, { map { ("$_ $expected{$_}" => 250) } keys %expected }, 'a thousand requests of four keys, each answered with its own rows');
	is($clients[1]->query('EXECUTE m'), '0/0', 'without a key: no rows');
	$_->quit for @clients;
};

attack 'G08', 'settings stored for the impersonated role', <<'CASE';
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_B}')
su> SELECT current_setting('revdesk.context') AS captured \gset
su> ROLLBACK
su> SELECT 'captured ' || (length(:'captured') > 100)
su> INSERT INTO pg_db_role_setting SELECT 0, oid, ARRAY['revdesk.context=' || :'captured', 'revdesk.tenant_id=${B}'] FROM pg_roles WHERE rolname = 'api'
a=authenticator
b=api
a> BEGIN
a> SET LOCAL ROLE api
a> SELECT set_config(split_part(c, '=', 1), split_part(c, '=', 2), true) FROM pg_db_role_setting, unnest(setconfig) AS c WHERE setrole = 'api'::regrole
a> SELECT * FROM app.seen
a> ROLLBACK
a> BEGIN
a> SET LOCAL ROLE api
a> SELECT * FROM app.seen
a> COMMIT
b> SELECT 'logged in: ' || s FROM app.seen AS t(s)
su> SELECT set_config('revdesk.context', :'captured', true)
su> DELETE FROM pg_db_role_setting
must captured true
must (?s)(55P02|42501).*25P02.*sees nobody.*logged in: sees nobody.*(55P02|42501)
mustnot sees [AB]
CASE

my $request = "SELECT set_config('request.headers', '%s', true) \\g /dev/null\nSELECT revdesk_authenticate() \\g /dev/null\nSELECT * FROM app.seen;\nROLLBACK;\n";

# One request with these headers, which are JSON: what comes back.
sub ask
{
	my ($database, $headers) = @_;
	my ($stdout, $stderr) = query($node, $database, "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\nBEGIN;\nSET LOCAL ROLE api;\n" . sprintf($request, $headers), role => 'authenticator');
	$stderr =~ s/^.*25P02.*\n|^psql:\S+ |^LOCATION.*\n//mg;
	return "$stdout$stderr";
}

attack 'G09', 'what a refusal tells', sub {
	my ($node, $database) = @_;
	$node->safe_psql($database, "UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a1'; UPDATE revdesk.api_keys SET expires_at = now() WHERE name = 'key a2';"
		  . "UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'B'");
	my %said = map { (ask($database, '{"x-api-key": "' . token($_) . '"}') => 1) } qw(ee a1 a2 b0 b1);
	is(scalar(keys %said), 1, 'unknown, revoked, expired, suspended: the same bytes');
	my ($said) = keys %said;
	like($said, qr/PGRST: .*"code":"invalid_token"/, 'as PostgREST reads it');
	like($said, qr/"status":401\b/, 'as 401');
	unlike($said, qr/revoked|expired|suspended|unknown key|dddddddd-/, 'and not why');
	my ($stdout, $stderr) = query($node, $database, "\\set VERBOSITY verbose\n" . join '', map { login($_) } qw(ee a1 a2 b0 b1));
	is(() = $stderr =~ /ERROR:  28000: API key rejected\n/g, 5, 'by revdesk_authenticate(text): 28000');
	unlike($stderr, qr/DETAIL|HINT/, 'and no more');
};

attack 'G10', 'headers of all shapes', sub {
	my ($node, $database) = @_;
	my ($key, $other) = (token('a1'), token('b0'));
	my $seen = 'sees A1';
	is(ask($database, "{\"x-api-key\": \"$key\"}"), $seen, 'a key');
	is(ask($database, "{\"authorization\": \"$_ $key\"}"), $seen, "scheme $_") for qw(Bearer bearer BEARER);
	is(ask($database, "{\"x-api-key\": \"$other\", \"x-api-key\": \"$key\"}"), $seen, 'a name twice: the last, as for PostgREST, and no more');
	my %refused = (
		'no headers' => '{}',
		'an empty one' => '{"x-api-key": ""}',
		'an empty credential' => '{"authorization": "Bearer "}',
		'a scheme alone' => '{"authorization": "Bearer"}',
		'two keys' => "{\"x-api-key\": \"$key\", \"authorization\": \"Bearer $other\"}",
		'two keys in one' => "{\"x-api-key\": \"$key, $other\"}",
		'two in Authorization' => "{\"authorization\": \"Bearer $key, Bearer $other\"}",
		'null' => '{"x-api-key": null}',
		'an array' => "{\"x-api-key\": [\"$key\"]}",
		'an object' => "{\"x-api-key\": {\"a\": \"$key\"}}",
		'a number' => '{"x-api-key": 1}',
		'64 kB' => '{"x-api-key": "' . 'a' x 65536 . '"}',
		'64 kB behind a key' => "{\"x-api-key\": \"$key" . 'a' x 65536 . '"}',
		'a cookie' => "{\"cookie\": \"key=$key; x-api-key=$key\"}",
		'another name' => "{\"x-api-keys\": \"$key\", \"api-key\": \"$key\"}",
		'a deep one' => "{\"headers\": {\"x-api-key\": \"$key\"}}",
		'an array of all' => "[\"x-api-key\", \"$key\"]",
		'a string' => "\"$key\"",
		'no JSON' => "x-api-key: $key",
		'cut short' => "{\"x-api-key\": \"$key\"",
		'null for all' => 'null',
		'no text' => '');
	for my $shape (sort keys %refused)
	{
		like(ask($database, $refused{$shape}), qr/^ERROR:  PGRST: /, "$shape: refused");
	}
	my ($stdout) = query($node, $database, "BEGIN;\nSET LOCAL ROLE api;\nSELECT set_config('request.path', '/docs?apikey=$key', true), set_config('request.cookie.key', '$key', true) \\g /dev/null\n"
		  . sprintf($request, '{}'), role => 'authenticator');
	unlike($stdout, qr/sees [^n]/, 'a key in the query string or a cookie is none');
};

attack 'G11', 'RESET ROLE inside a request', <<'CASE';
su> GRANT USAGE ON SCHEMA app TO authenticator
su> GRANT SELECT ON app.docs, app.seen TO authenticator
su> GRANT owner TO authenticator
a=authenticator
a> BEGIN
a> SET LOCAL ROLE api
a> SELECT revdesk_authenticate('${KEY_A1}')
a> RESET ROLE
a> SELECT current_user, s FROM app.seen AS t(s)
a> SAVEPOINT s
a> SET ROLE owner
a> SELECT 'by owner ' || count(*) FROM app.docs
a> SET ROLE postgres
a> ROLLBACK TO s
a> SELECT revdesk_authenticate('${KEY_B}')
a> ROLLBACK TO s
a> SET SESSION AUTHORIZATION postgres
a> ROLLBACK TO s
a> SELECT current_user, s FROM app.seen AS t(s)
a> ROLLBACK
a> SELECT current_user, s FROM app.seen AS t(s)
must (?s)authenticator\|sees A1.*by owner 10.*42501.*25001.*42501.*authenticator\|sees A1.*authenticator\|sees nobody
CASE

# Citus is not to be had here.  Its workers are sessions of their own, to which
# it sends statements; a foreign server is as near as it gets.
attack 'G12', 'a worker that statements are sent to', <<'CASE';
su> CREATE SERVER worker FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${HOST}', port '${PORT}', dbname '${DATABASE}')
su> CREATE USER MAPPING FOR api SERVER worker OPTIONS (user 'api', password_required 'false')
su> CREATE FOREIGN TABLE app.docs_there (tenant_id uuid, body text) SERVER worker OPTIONS (schema_name 'app', table_name 'docs')
su> GRANT SELECT ON app.docs_there TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'here ' || count(*), 'there ' || (SELECT count(*) FROM app.docs_there) FROM app.docs
a> COMMIT
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A1}')
su> SELECT current_setting('revdesk.context') AS captured \gset
su> COMMIT
su> SELECT format('SET LOCAL revdesk.context = %L', :'captured') AS forwarded \gset
su> BEGIN
su> :forwarded
su> ROLLBACK
su> SELECT set_config('revdesk.context', :'captured', false)
su> SELECT 'context ' || count(*) FROM revdesk_context()
must here 10\|there 0
must (?s)(55P02|42501): parameter "revdesk.context" cannot be set.*(55P02|42501).*context 0
CASE

attack 'G13', 'a pool of statements', sub {
	my ($node, $database) = @_;
	my $client = Fixture::Session->connect($node, $statements . $database);
	is($client->query(login('a1') . "$count;\nSELECT count(*) FROM revdesk_context()"), "0\n0", 'a key is for its statement alone');
	$client->query('BEGIN');
	my ($stdout) = query($node, $database, "BEGIN;\n" . login('a1') . "$count;\n", connstr => $statements . $database);
	unlike($stdout, qr/[1-9]/, 'and no transaction is to be had');
	eval { $client->quit };
};

$_->kill_kill for @poolers;

attack 'U01', 'thousands of advisory locks', <<'CASE';
a> SELECT count(pg_advisory_lock(i)) FROM generate_series(0, 2000) AS i
a> SELECT count(pg_advisory_lock(i, j)) FROM generate_series(0, 30) AS i, generate_series(0, 30) AS j
a> SELECT 'locks ' || (count(*) > 2900) FROM pg_locks WHERE locktype = 'advisory'
b=api
b> SET lock_timeout = '1s'
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A1}')
b> SELECT * FROM app.seen
b> ROLLBACK
su> SET lock_timeout = '1s'
su> SELECT revdesk_create_sub_entity('${A}', 'A3') IS NOT NULL, token IS NOT NULL FROM revdesk_create_key('k', 'organization', '${A}')
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1'), revdesk_suspend_tenant('${B}'), revdesk_protect('app.docs', owner_column => 'owner_id', umbrella_column => 'umbrella_id')
must locks true
must sees A1
must t\|t
mustnot ERROR
CASE

# PostgreSQL lets sessions of one role end each other; README.md says so.
attack 'U03', 'ending the sessions of others', <<'CASE';
a=api
b=api
o=owner
o> SELECT 1
su> CREATE TABLE app.others AS SELECT backend_type, usename, pid FROM pg_stat_activity
su> GRANT SELECT ON app.others TO api
a> SELECT 'another role: ' || pg_terminate_backend(pid) FROM app.others WHERE usename = 'owner'
a> SELECT 'the worker: ' || pg_terminate_backend(pid) FROM app.others WHERE backend_type ~ 'revdesk'
a> SELECT 'a superuser: ' || pg_cancel_backend(pid) FROM app.others WHERE usename = (SELECT rolname FROM pg_roles WHERE oid = 10) AND backend_type = 'client backend'
su> REVOKE EXECUTE ON FUNCTION pg_terminate_backend(int, bigint), pg_cancel_backend(int) FROM PUBLIC
a> SELECT 'same role: ' || pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'api' AND pid <> pg_backend_pid()
b> SELECT 'b is there'
su> GRANT EXECUTE ON FUNCTION pg_terminate_backend(int, bigint), pg_cancel_backend(int) TO PUBLIC
a> SELECT 'same role: ' || pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'api' AND pid <> pg_backend_pid()
o> SELECT 'o is there'
must (?s)42501.*42501.*42501.*42501.*b is there.*same role: true.*o is there
CASE

# A failed statement is a line in the server's log, as any that fails; what is
# caught is none.
attack 'U04', 'a flood of failures', sub {
	my ($node, $database) = @_;
	my $from = -s $node->logfile;
	query($node, $database, "DO \$\$ BEGIN FOR i IN 1..20000 LOOP BEGIN PERFORM revdesk_authenticate('revdesk_' || md5(i::text)); "
		  . "EXCEPTION WHEN invalid_authorization_specification THEN NULL; END; END LOOP; END \$\$;\n");
	is(() = slurp_file($node->logfile, $from) =~ /API key rejected/g, 0, '20,000 in blocks are no line in the log');
	$from = -s $node->logfile;
	query($node, $database, login('ee') x 100);
	is(() = slurp_file($node->logfile, $from) =~ /API key rejected/g, 100, 'a statement that fails is one');
	$node->append_conf('postgresql.conf', 'revdesk.log_rejections_per_minute = 10');
	$node->reload;
	$from = -s $node->logfile;
	query($node, $database, login('ee') x 1000);
	my $lines = () = slurp_file($node->logfile, $from) =~ /API key rejected/g;
	cmp_ok($lines, '<', 1000 / 10, 'of a flood there are few');
	$node->safe_psql($database, "SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000a1', 1, 'minute')");
	query($node, $database, login('a1') x 1000);
	$lines = () = slurp_file($node->logfile, $from) =~ /API key is over its limit/g;
	cmp_ok($lines, '<', 1000 / 10, 'nor of one over a limit');
	$node->safe_psql($database, "SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000a1')");
	$node->append_conf('postgresql.conf', 'revdesk.log_rejections_per_minute = 1000000');
	$node->reload;
	query($node, $database, "SELECT pg_sleep(0.1);\n" . login('ee') x 10);
	my ($left_out) = slurp_file($node->logfile, $from) =~ /(\d+) rejections before this one were not logged/;
	cmp_ok($left_out // 0, '>=', 1, 'and how many were left out is said');
	$node->reload;
	wait_until($node, $database, "SELECT sum(denied_unknown) = 21110 FROM revdesk.key_usage");
	is($node->safe_psql($database, 'SELECT sum(denied_unknown) FROM revdesk.key_usage'), '21110', 'all are counted');
	is($node->safe_psql($database, "SELECT sum((details->>'unknown')::int), count(*) < 10 FROM revdesk.audit_log WHERE action = 'unknown.rejected'"), '21110|t', 'in few rows of the audit log');
};

# Against the condition that the policy stands for, written by hand.
attack 'U07', 'what the policy costs: the same plan, as many pages', sub {
	my ($node, $database) = @_;
	my $a1 = 'aaaaaaaa-0000-0000-0000-000000000001';
	$node->safe_psql($database, <<"SQL");
CREATE TABLE app.calls (id int, tenant_id uuid, created_at timestamptz, callee text);
INSERT INTO app.calls SELECT i, CASE i % 100 WHEN 0 THEN '$a1' ELSE md5((i % 100)::text)::uuid END, now() - i * interval '1 second', repeat('x', 50)
FROM generate_series(1, 200000) AS i;
SELECT revdesk_protect('app.calls');
CREATE INDEX ON app.calls (tenant_id, created_at);
GRANT SELECT ON app.calls TO api;
VACUUM ANALYZE app.calls;
SQL
	for my $query ('SELECT count(*) FROM app.calls WHERE %s', "SELECT id FROM app.calls WHERE %s ORDER BY created_at DESC LIMIT 50", 'SELECT max(callee) FROM app.calls WHERE %s AND id % 7 = 0')
	{
		my $explain = 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) ';
		my $by_hand = $query =~ s/%s/tenant_id = '$a1'/r;
		my $by_policy = $query =~ s/%s/true/r;
		my ($expected) = query($node, $database, "$by_hand;\n$explain$by_hand;", role => getpwuid $<);
		my ($got) = query($node, $database, as_key('a1', "$by_policy;\n$explain$by_policy"));
		# The first execution reads pages that the next ones find.
		for ($expected, $got)
		{
			s/'$a1'::uuid|revdesk_scope_sub_entity\(\)/THE TENANT/g;
			s/^\s*Planning:\n.*\n//mg;
			s/shared hit=(\d+) read=(\d+)/'shared hit=' . ($1 + $2)/ge;
			s/shared read=/shared hit=/g;
		}
		like($got, qr/Index Cond: \(+tenant_id = THE TENANT\)/, "$query: the index is used");
		is($got, $expected, "$query: as by hand");
	}
};

attack 'U08', 'authentication over a large set', <<'CASE';
a> SET statement_timeout = '10s'
a> SELECT count(*) FROM generate_series(1, 1000000) AS g WHERE revdesk_authenticate('x' || g) IS NULL
a> SELECT count(*) FROM generate_series(1, 1000000) AS g WHERE revdesk_authenticate('revdesk_' || md5(g::text)) IS NULL
must (?s)28000.*28000
mustnot 57014
CASE

attack_end;
