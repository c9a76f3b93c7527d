# Whatever is logged, in whatever form, no key is in it beyond its hint; and no
# view shows other sessions a key.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use MIME::Base64 'encode_base64';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $library_folder = $node->config_data('--pkglibdir');
my @libraries = grep { -e "$library_folder/$_.so" } ('auto_explain', 'pg_stat_statements', 'pgaudit', 'revdesk_auth');
note("preloaded: @libraries");
my $libraries = join ', ', @libraries;
my %has = map { $_ => 1 } @libraries;
$node->init;
$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = '$libraries'
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
log_filename = 'server.log'
pg_stat_statements.track = all
CONF
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_stat_statements;
UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a2';
GRANT CREATE, USAGE ON SCHEMA public TO api;
GRANT TEMPORARY ON DATABASE postgres TO api;
GRANT pg_read_all_stats TO api;
CREATE FUNCTION app.login(key text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.revdesk_authenticate(key); RAISE LOG 'logged in with %', key; RETURN 'in'; END $$;
CREATE FUNCTION app.login_sql(key text) RETURNS void LANGUAGE sql AS 'SELECT public.revdesk_authenticate(key)';
CREATE TABLE app.leak (key text PRIMARY KEY, number integer);
GRANT ALL ON app.leak TO api;
SQL
$node->append_conf('postgresql.conf', <<'CONF');
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
debug_print_parse = on
debug_print_rewritten = on
debug_print_plan = on
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
auto_explain.log_analyze = on
auto_explain.log_nested_statements = on
auto_explain.log_parameter_max_length = -1
CONF
$node->append_conf('postgresql.conf', "pgaudit.log = 'all'\npgaudit.log_parameter = on") if $has{pgaudit};
$node->restart;

# Each key in every spelling in which a text of it may be written.
sub spellings
{
	my $key = shift;
	my $token = token($key);
	my $secret = substr $token, 8;
	my @spellings = (
		[ 'plain' => qr/\Q$secret\E/i ],
		[ 'all but the hint' => qr/@{[ substr $secret, 0, 28 ]}/i ],
		[ 'the end of it' => qr/@{[ substr $secret, -12 ]}/i ],
		[ 'in hexadecimal' => qr/@{[ unpack 'H*', $secret ]}/i ],
		[ 'its hash' => qr/@{[ key_hash($key) ]}/i ]);
	my $bytes = join '\s*', map { join('\s*', split //, ord) } split //, $secret;
	push @spellings, [ 'in decimal' => qr/$bytes/ ];
	for my $offset (0 .. 2)
	{
		my $base64 = encode_base64('x' x $offset . $token, '');
		push @spellings, [ "base64 $offset" => qr/\Q@{[ substr $base64, 16, 24 ]}\E/ ];
	}
	return @spellings;
}

sub logs
{
	my $mark = 'mark ' . int(rand(1e9)) . ' end';
	$node->safe_psql('postgres', "SET log_min_messages = warning; DO \$\$ BEGIN RAISE WARNING '$mark'; END \$\$");
	my %texts;
	for my $form ('log', 'csv', 'json')
	{
		my $file = $node->data_dir . "/log/server.$form";
		for my $attempt (1 .. 1800)
		{
			$texts{$form} = slurp_file($file);
			last if $texts{$form} =~ /$mark/;
			select(undef, undef, undef, 0.1);
		}
	}
	return %texts;
}

sub clean
{
	my ($key, $name, %texts) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @found;
	for my $spelling (spellings($key))
	{
		for my $form (sort keys %texts)
		{
			push @found, "$spelling->[0] in $form: ..." . substr($texts{$form}, $-[0] - 200 < 0 ? 0 : $-[0] - 200, 300) . '...' if $texts{$form} =~ $spelling->[1];
		}
	}
	is(scalar(@found), 0, "attack L1: $name: no key, no hash") or diag(join "\n", @found[ 0 .. ($#found > 2 ? 2 : $#found) ]);
	return;
}

sub headers { my ($name, $value) = @_; return qq({"accept":"*/*","$name":"$value","host":"x"}) }

# What keys come in: by name, a statement with KEY in it, or HEADERS.
my %statements = (
	'a literal' => q{SELECT revdesk_authenticate('KEY')},
	'a literal beside rows' => q{SELECT revdesk_authenticate('KEY'), count(*) FROM app.docs},
	'a DO block' => q{DO $$ BEGIN PERFORM revdesk_authenticate('KEY'); END $$},
	'a wrapper' => q{SELECT app.login('KEY')},
	'a wrapper in SQL' => q{SELECT app.login_sql('KEY')},
	'a function of its own' => q{CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS $$ SELECT revdesk_authenticate('KEY') $$; SELECT pg_temp.f()},
	'COPY' => q{COPY (SELECT revdesk_authenticate('KEY')) TO STDOUT},
	'a cursor' => q{BEGIN; DECLARE c CURSOR FOR SELECT revdesk_authenticate('KEY'); FETCH c; COMMIT},
	'EXPLAIN' => q{EXPLAIN VERBOSE SELECT revdesk_authenticate('KEY')},
	'EXPLAIN ANALYZE' => q{EXPLAIN (ANALYZE, VERBOSE, FORMAT JSON) SELECT revdesk_authenticate('KEY') WHERE 'KEY' < random()::text OR true},
	'PREPARE' => q{PREPARE p AS SELECT revdesk_authenticate('KEY'); EXECUTE p},
	'EXECUTE' => q{PREPARE p(text) AS SELECT revdesk_authenticate($1); EXECUTE p('KEY')},
	'CREATE TABLE AS' => q{CREATE TABLE made AS SELECT revdesk_authenticate('KEY')::text; DROP TABLE made},
	'USING' => q{DO $$ BEGIN EXECUTE 'SELECT revdesk_authenticate($1)' USING 'KEY'; END $$},
	'a column' => q{SELECT revdesk_authenticate(t) FROM (VALUES ('KEY'), ('KEY')) AS v(t)},
	'headers' => q{BEGIN; SELECT set_config('request.headers', 'HEADERS', true); SELECT revdesk_authenticate(); COMMIT},
	'headers by SET' => q{BEGIN; SET LOCAL "request.headers" = 'HEADERS'; SELECT revdesk_authenticate(); COMMIT},
	'a syntax error' => q{SELECT revdesk_authenticate('KEY'},
	'a bare word' => q{SELECT revdesk_authenticate(KEY)},
	'no such function' => q{SELECT revdesk_authenticates('KEY')},
	'a cast' => q{SELECT 'KEY'::uuid},
	'a cast of a column' => q{SELECT t::integer FROM (VALUES ('KEY')) AS v(t)},
	'JSON' => q[SELECT '{"a": "KEY", bad'::json],
	'JSON cut in front' => q[SELECT '{"x": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy KEY", bad'::json],
	'JSON cut within' => q[SELECT '{"x": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy KEY y", "y": bad'::json],
	'JSON cut behind' => q[SELECT '{"x": bad, "y": "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy KEY y"'::json],
	'a duplicate' => q{INSERT INTO app.leak VALUES ('KEY', 1); INSERT INTO app.leak VALUES ('KEY', 2)},
	'COPY FROM' => qq{COPY app.leak FROM STDIN;\nxKEY\tKEY\n\\.\n},
	'a longer one' => q{SELECT revdesk_authenticate('KEYabcdef0123'), 'KEYKEY'},
	'upper case' => q{SELECT upper('KEY')::integer},
	'bytea' => q{SELECT 'KEY'::bytea <> convert_to(random()::text, 'UTF8')},
	'bytea, quoted' => q{SELECT encode('KEY', 'hex')::integer},
	'base64' => q{SELECT encode('KEY', 'base64')::integer},
	'base64 after one byte' => q{SELECT encode('xKEY', 'base64')::integer},
	'base64 after two bytes' => q{SELECT encode('xxKEY', 'base64')::integer},
	'an array' => q[SELECT '{KEY'::text[]],
	'a message' => q{DO $$ BEGIN RAISE LOG 'key %', 'KEY' USING DETAIL = 'd KEY', HINT = 'h KEY'; END $$},
	'a node dump that breaks the line' => q{DO $$ DECLARE k text := 'KEY'; BEGIN RAISE LOG E':stmt_len 0 %\n         %', left(k, 20), right(k, 20); RAISE LOG E':stmt_len 0 x%\n\t%', left(k, 5), right(k, 35); END $$},
	'a node dump with a key behind the break' => q{DO $$ BEGIN RAISE LOG E':stmt_len 0\n%(%)', repeat(',', 60), 'KEY'; END $$},
	'a comment' => q{/* KEY */ SELECT 1 -- KEY},
	'a name' => q{SELECT 1 AS "KEY"},
);
my %credentials = (
	'x-api-key' => sub { shift },
	'authorization, Bearer' => sub { 'Bearer ' . shift },
	'authorization, ApiKey' => sub { 'ApiKey ' . shift },
	'authorization, Basic' => sub { 'Basic ' . encode_base64(shift() . ':', '') },
	'authorization, Basic password' => sub { 'Basic ' . encode_base64('ann:' . shift(), '') });
for my $key ('a1', 'a2', 'ee')
{
	for my $name (sort keys %statements)
	{
		for my $kind ($statements{$name} =~ /HEADERS/ ? sort keys %credentials : '')
		{
			my $sql = $statements{$name};
			$sql =~ s/KEY/token($key)/ge;
			$sql =~ s/HEADERS/headers($kind =~ s{,.*}{}r, $credentials{$kind}->(token($key)))/e if $kind;
			query($node, 'postgres', "TRUNCATE app.leak;\n$sql");
		}
	}
}

# As parameters of the extended protocol.
my $script = $node->basedir . '/login.sql';
append_to_file($script, <<'SQL');
BEGIN;
SELECT revdesk_authenticate(:key);
SELECT count(*) FROM app.docs WHERE body <> :key;
COMMIT;
BEGIN;
SELECT set_config('request.headers', :headers, true), set_config('request.path', '/', true);
SELECT revdesk_authenticate();
SELECT count(*) FROM app.docs;
COMMIT;
SELECT app.login(:key);
SELECT length(:key) / (length(:key) - length(:key));
SQL
for my $key ('b1', 'a2', 'ef')
{
	for my $kind (sort keys %credentials)
	{
		for my $mode ('extended', 'prepared')
		{
			my $headers = headers($kind =~ s{,.*}{}r, $credentials{$kind}->(token($key)));
			IPC::Run::run(
				[ $node->installed_command('pgbench'), '-n', '-M', $mode, '-t', 1, '-D', 'key=' . token($key), '-D', "headers=$headers",
					'-f', $script, '-d', $node->connstr('postgres') . ' user=api' ],
				'>', \my $stdout, '2>', \my $stderr);
		}
	}
}

my %texts = logs();
clean($_, "everything logged, $_", %texts) for 'a1', 'a2', 'b1', 'ee', 'ef';
unlike($texts{$_}, qr/a1{6}/, "threat L07: at DEBUG5, form $_: not a byte in vain") for sort keys %texts;

# What was to be masked had been there.
my $stars = qr/revdesk_\*{28}/;
like($texts{log}, qr/statement: SELECT revdesk_authenticate\('${stars}a1a1'\)/, 'threat L11: log_statement');
like($texts{log}, qr/duration: .* revdesk_authenticate\(\$1\)[^\n]*\n[^\n]*[Pp]arameters: \$1 = '${stars}b1b1'/s, 'threat L11: a parameter');
like($texts{log}, qr/CONTEXT: .*with parameters: \$1 = '${stars}b1b1'/, 'a parameter at an error');
like($texts{log}, qr/STATEMENT:  SELECT '${stars}a1a1'::uuid/, 'the statement of an error');
like($texts{csv}, qr/,"SELECT '${stars}a1a1'::uuid",/, 'the same in CSV');
like($texts{json}, qr/"statement":"SELECT '${stars}a1a1'::uuid"/, 'the same in JSON');
like($texts{log}, qr/invalid input syntax for type uuid: "${stars}a1a1"/, 'a message');
like($texts{log}, qr/DETAIL:  Key \(key\)=\(${stars}a1a1\) already exists/, 'a detail');
like($texts{log}, qr/JSON data, line 1: \.\.\.[^\n]*\*{8,}/, 'a key that was cut');
like($texts{log}, qr/"authorization":"Basic \*+"/, 'Basic credentials');
like($texts{log}, qr/"authorization":"Bearer ${stars}a1a1"/, 'Bearer credentials');
like($texts{log}, qr/Query Text: SELECT revdesk_authenticate\('${stars}a1a1'\)/, 'threat L05: auto_explain');
like($texts{log}, qr/constvalue 44 \[ -\*\* \* \* \* \*\*\*/, 'threat L06: a node dump');
like($texts{log}, qr/AUDIT: SESSION.*${stars}/, 'pgaudit') if $has{pgaudit};
like($texts{log}, qr/revdesk_authenticate/, 'names are left alone');
unlike($texts{log}, qr/revdesk_\*{1,7}\b/, 'names in hexadecimal letters, too');

# pg_stat_statements, with utility statements, which it does not normalize.
is($node->safe_psql('postgres', "SELECT query FROM pg_stat_statements WHERE query ~ '(a1){12}'"), '', 'threat L10: pg_stat_statements: no key');
isnt($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_statements WHERE query ~ 'DO .*revdesk_authenticate..revdesk_[*]+a1a1'"), '0', 'but what was there');

# pg_stat_activity of the same role, while the statement runs and after it.
my $session = Fixture::Session->new($node, 'postgres');
my $shown = sub {
	my ($condition) = @_;
	my $query = "SELECT query FROM pg_stat_activity WHERE application_name = 'shown'";
	wait_until($node, 'postgres', "SELECT EXISTS ($query AND $condition)") or die 'not to be seen';
	my ($stdout) = query($node, 'postgres', $query);
	return $stdout;
};
$session->query("SET application_name = 'shown'");
my $own = Fixture::Session->new($node, 'postgres');
$own->query('SELECT pg_advisory_lock(1)');
for my $login ("SELECT revdesk_authenticate('KEY'), pg_advisory_lock(1)", "DO \$\$ BEGIN PERFORM revdesk_authenticate('KEY'); PERFORM pg_advisory_lock(1); END \$\$", "SELECT pg_advisory_lock(1) \\; SELECT revdesk_authenticate('KEY')")
{
	my $sql = $login =~ s/KEY/token('a1')/er;
	$session->query('BEGIN');
	$session->start($sql);
	my $text = $shown->("wait_event = 'advisory'");
	like($text, qr/advisory.*revdesk_\*{28}a1a1|revdesk_\*{28}a1a1.*advisory/, "threat L01: pg_stat_activity, running: $login");
	is($node->safe_psql('postgres', "SELECT query_id IS NOT NULL FROM pg_stat_activity WHERE application_name = 'shown'"), 't', 'its id is still there');
	$own->query('SELECT pg_advisory_unlock(1)');
	$session->result;
	$text = $shown->("state = 'idle in transaction'");
	like($text, $stars, "threat L02: pg_stat_activity, idle in transaction: $login");
	$session->query('SELECT pg_advisory_unlock(1); COMMIT');
	$own->query('SELECT pg_advisory_lock(1)');
}
# What a pooled session leaves behind.
$session->query("PREPARE kept AS SELECT revdesk_authenticate('" . token('a1') . "')");
is($session->query('SELECT statement FROM pg_prepared_statements') , "PREPARE kept AS SELECT revdesk_authenticate('revdesk_" . '*' x 28 . "a1a1')\n;", 'threat L14: pg_prepared_statements');
is($session->query("BEGIN;\nEXECUTE kept \\g /dev/null\nSELECT revdesk_scope();\nCOMMIT"), 'sub_entity', 'the statement itself is as it was');
is($session->query("BEGIN;\nDECLARE c CURSOR FOR SELECT revdesk_authenticate('" . token('a1') . "');\nSELECT statement ~ 'a1a1a1' FROM pg_cursors;\nCOMMIT"), 'f', 'pg_cursors');
is($session->query("SELECT current_query() ~ '(a1){3}', '" . token('a1') . "' ~ '(a1){3}'"), 'f|t', 'current_query(), but no value');
$session->quit;
$own->quit;

# What does not go to the log cannot be masked: no error of ours quotes a key.
$node->append_conf('postgresql.conf', "log_min_messages = panic\nlog_min_error_statement = panic\nlog_statement = none");
$node->reload;
for my $block ("PERFORM revdesk_authenticate('A1'); PERFORM revdesk_authenticate('B1')", "PERFORM revdesk_authenticate('A2')", "PERFORM revdesk_authenticate('EE')", "PERFORM revdesk_authenticate('xB1')")
{
	my $sql = "DO \$\$ BEGIN $block; END \$\$" =~ s/([ABE][12E])'/token(lc $1) . "'"/ger;
	my ($stdout, $stderr) = query($node, 'postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql");
	like($stderr, qr/ERROR/, "an error: $block");
	unlike($stderr, qr/CONTEXT|revdesk_[0-9a-f]{9}/, "threat L03: the client is not quoted: $block");
}

# Literals can be warned of.
my ($stdout, $stderr) = query($node, 'postgres', "SELECT revdesk_authenticate('" . token('a1') . "')");
is($stderr, '', 'no warning by default');
(undef, $stderr) = query($node, 'postgres', 'SET revdesk.warn_literal_keys = on');
like($stderr, qr/permission denied/, 'the setting is for superusers');
$node->safe_psql('postgres', 'ALTER ROLE api SET revdesk.warn_literal_keys = on');
for my $login ("SELECT revdesk_authenticate('KEY')", "DO \$\$ BEGIN PERFORM revdesk_authenticate('KEY'); END \$\$")
{
	(undef, $stderr) = query($node, 'postgres', "\\set VERBOSITY verbose\n" . $login =~ s/KEY/token('a1')/er);
	like($stderr, qr/WARNING:  01000: an API key is written in the text of the statement\nHINT:  Pass the key as a parameter\.\n/, "a warning: $login");
}
IPC::Run::run(
	[ $node->installed_command('pgbench'), '-n', '-M', 'extended', '-t', 1, '-D', 'key=' . token('a1'), '-D', 'headers={}', '-f', $script, '-d', $node->connstr('postgres') . ' user=api' ],
	'>', \$stdout, '2>', \$stderr);
unlike($stderr, qr/WARNING/, 'none for a parameter');

# Without preloading: the first call conceals its own statement.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'");
$node->restart;
$session = Fixture::Session->new($node, 'postgres');
$session->query("SET application_name = 'shown';\nBEGIN;\nSELECT revdesk_authenticate('" . token('a1') . "')");
is($node->safe_psql('postgres', "SELECT query, query_id IS NOT NULL FROM pg_stat_activity WHERE application_name = 'shown'"),
	"SELECT revdesk_authenticate('revdesk_" . '*' x 28 . "a1a1')\n;|t", 'pg_stat_activity without preloading');
$session->quit;

$node->stop;
unlike(slurp_file($node->data_dir . '/log/server.log'), qr/PANIC|TRAP|terminated by signal/, 'the server was up all along');
done_testing();
