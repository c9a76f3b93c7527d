# No log, plan or message holds a key or its hash, whatever is logged; the
# reason of a rejection is in the log, and never told to the client.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Defaults, but for the three forms of log.
$node->append_conf('postgresql.conf', <<'CONF');
log_statement = none
log_min_messages = warning
log_min_error_statement = error
log_error_verbosity = default
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
log_filename = 'server.log'
CONF
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

# A key for each reason, named by two digits.
my %reasons = (
	'10' => [ 'The key is revoked', 'revoked_at = now()' ],
	'11' => [ 'The key has expired', 'expires_at = now()' ],
	'12' => [ "The client's address is outside the key's networks", "allowed_networks = '{10.0.0.0/8}'" ],
	'13' => [ 'The user of the key is disabled', "user_id = 'cccccccc-0000-0000-0000-000000000002'" ],
	'14' => [ 'The tenant of the key, or its umbrella, is suspended', "tenant_id = 'bbbbbbbb-0000-0000-0000-000000000001'" ],
	'15' => [ 'Keys of this environment are not accepted here', "environment = 'development'" ],
	'00' => [ 'There is no such key', undef ]);
for my $key (sort keys %reasons)
{
	next unless defined $reasons{$key}[1];
	$node->safe_psql('postgres',
		"INSERT INTO revdesk.api_keys (id, name, key_hash, scope, tenant_id) VALUES ('dddddddd-0000-0000-0000-0000000000$key', "
		  . "'key $key', '\\x" . key_hash($key) . "', 'sub_entity', 'aaaaaaaa-0000-0000-0000-000000000001');"
		  . "UPDATE revdesk.api_keys SET $reasons{$key}[1] WHERE name = 'key $key'");
}
$node->safe_psql('postgres',
	"UPDATE revdesk.users SET disabled_at = now() WHERE subject = 'victor';"
	  . "UPDATE revdesk.tenants SET suspended_at = now() WHERE name = 'B'");
$node->append_conf('postgresql.conf', "revdesk.accepted_environments = 'production'");
$node->restart;

my @logs = map { $node->data_dir . "/log/server.$_" } ('log', 'csv', 'json');
my @offsets = (0, 0, 0);

# What has been logged since the last call, by form.  The collector is a
# process of its own: a mark tells that it has caught up.
my $marks = 0;
sub logged
{
	my $mark = 'mark ' . ++$marks . ' end';
	$node->safe_psql('postgres', "SET log_statement = none; DO \$\$ BEGIN RAISE WARNING '$mark'; END \$\$");
	my @texts;
	for my $i (0 .. 2)
	{
		for my $attempt (1 .. 1800)
		{
			$texts[$i] = slurp_file($logs[$i], $offsets[$i]);
			last if $texts[$i] =~ /$mark/;
			select(undef, undef, undef, 0.1);
		}
		$offsets[$i] += length $texts[$i];
	}
	return @texts;
}

# None of the forms of log, nor what the client was told, has the key or the
# hash.
sub no_secret
{
	my ($key, $name, @texts) = @_;
	my ($token, $hash) = (token($key), key_hash($key));
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# Not unlike(), which would print the whole log.
	return ok(join("\n", @texts) !~ /\Q$token\E|$hash/i, "$name: neither key nor hash");
}
logged();

# Default settings, a literal: the key is in no log, the reason is in all.
for my $key (sort keys %reasons)
{
	my $reason = $reasons{$key}[0];
	for my $statement (
		"SELECT revdesk_authenticate('" . token($key) . "')",
		"DO \$\$ BEGIN PERFORM revdesk_authenticate('" . token($key) . "'); END \$\$",
		"CREATE FUNCTION pg_temp.login() RETURNS void LANGUAGE sql AS 'SELECT revdesk_authenticate(''" . token($key) . "'')'; SELECT pg_temp.login()",
		"PREPARE login(text) AS SELECT revdesk_authenticate(\$1); EXECUTE login('" . token($key) . "')",
		"SELECT count(*) FROM app.docs WHERE revdesk_authenticate('" . token($key) . "') IS NULL OR true; "
		  . "SELECT revdesk_authenticate(t) FROM (VALUES ('" . token($key) . "')) AS v(t)")
	{
		my ($stdout, $stderr) = query($node, 'postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$statement");
		like($stderr, qr/ERROR:  28000: API key rejected/, "$reason: rejected");
		unlike($stderr, qr/DETAIL|HINT|CONTEXT|\Q$reason\E/, "threat L04: $reason: the client is told no more");
		my @texts = logged();
		no_secret($key, $reason, $stdout, $stderr, @texts);
		like($texts[$_], qr/\Q$reason\E/, "$reason: in the log, form $_") for 0 .. 2;
	}
}
# What is not a key at all may be most of one, or somebody's password.
for my $text ('revdesk_' . 'AB' x 16, 'revdesk_' . 'ab' x 15, 'Bearer revdesk_' . 'ab' x 16, 'hunter2hunter2')
{
	my ($stdout, $stderr) = query($node, 'postgres', "SELECT revdesk_authenticate('$text')");
	my @texts = logged();
	unlike(join("\n", $stdout, $stderr, @texts), qr/\Q$text\E/, "a malformed key: neither told nor logged");
	like($texts[$_], qr/The text is not an API key/, "a malformed key: reason in the log, form $_") for 0 .. 2;
}

my $script = $node->basedir . '/login.sql';
append_to_file($script, "BEGIN;\nSELECT revdesk_authenticate(:key);\nSELECT count(*) FROM app.docs;\nCOMMIT;\n");

# All logging on but for values, without preloading: the key comes as a
# parameter whose value is not logged.  (With preloading see 033_log_mask.pl.)
$node->append_conf('postgresql.conf', <<'CONF');
log_min_messages = debug5
log_error_verbosity = verbose
log_statement = all
log_duration = on
log_min_duration_statement = 0
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
debug_print_parse = on
debug_print_rewritten = on
debug_print_plan = on
log_parser_stats = on
log_executor_stats = on
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_analyze = on
auto_explain.log_triggers = on
CONF
# From 16 on it logs parameters, of statements inside too.
$node->append_conf('postgresql.conf', 'auto_explain.log_parameter_max_length = 0') unless $node->pg_version < 16;
$node->restart;
logged();
for my $key ('a0', 'a1', 'c1', '00', '10')
{
	for my $mode ('extended', 'prepared')
	{
		IPC::Run::run(
			[ $node->installed_command('pgbench'), '-n', '-M', $mode, '-t', 1, '-D', 'key=' . token($key), '-f', $script, '-d', $node->connstr('postgres') . ' user=api' ],
			'>', \my $stdout, '2>', \my $stderr);
		my @texts = logged();
		ok($texts[0] =~ /revdesk_authenticate\(\$1\)/, "all logging, $mode: the call is logged");
		ok($texts[0] =~ /Query Text/, "all logging, $mode: plans are logged") unless $key =~ /^[01]/;
		no_secret($key, "all logging, $mode, $key", @texts);
		unlike($stderr, qr/There is no such key|is revoked/, "all logging, $mode: the client is told no more");
	}
}
# The extension's own functions make a key; neither it nor its hash is logged
# by plans of nested statements.
my $made = $node->safe_psql('postgres',
	as_key('ad', "SELECT token FROM revdesk_create_key('made', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000')"));
$made =~ s/\s//g;
like($made, qr/^revdesk_[0-9a-f]{32}$/, 'a key is made');
{
	require Digest::SHA;
	my $hash = Digest::SHA::sha256_hex($made);
	my $texts = join "\n", logged();
	ok($texts !~ /$made/, 'making a key: not in the log');
	ok($texts !~ /$hash/, 'making a key: nor its hash');
	ok($texts =~ /Query Text: INSERT INTO revdesk.api_keys/, 'making a key: the statements inside are');
}

# A client that asks for all that the server has to say learns nothing of what
# goes on inside.
my ($stdout, $stderr) = query($node, 'postgres',
	"SET client_min_messages = debug5; SET debug_print_plan = on; SET debug_print_parse = on; SET debug_pretty_print = off;\n"
	  . "PREPARE login(text) AS SELECT revdesk_authenticate(\$1);\nEXECUTE login('" . token('10') . "')");
my $hash = key_hash('10');
unlike("$stdout$stderr", qr/$hash/, 'debug messages to the client: no hash');
unlike("$stdout$stderr", qr/api_keys|The key is revoked/, 'debug messages to the client: nothing of the look-up');
like($stderr, qr/DEBUG/, 'there are debug messages');

$node->stop;
done_testing();
