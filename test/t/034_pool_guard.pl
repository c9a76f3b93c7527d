# What outlives a transaction on a pooled connection carries no rows to the
# next caller, and no transaction acts for its caller longer than allowed.

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
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
GRANT TEMPORARY ON DATABASE postgres TO api;
CREATE SCHEMA own AUTHORIZATION api;
CREATE FUNCTION app.hold() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT body FROM app.docs'; END $$;
SQL

my $connection = $node->connstr('postgres') . ' user=api';
my $session = Fixture::Session->connect($node, $connection, '-v', 'VERBOSITY=verbose');
my $login = sub { return "SELECT revdesk_authenticate('" . token(shift) . "') \\g /dev/null\n" };
# What a transaction of a key says, and what is there for the one after it.
sub left_over
{
	my ($key, $sql) = @_;
	my $said = $session->query("BEGIN;\n" . ($key ? $login->($key) : '') . "$sql;\nCOMMIT");
	my $left = $session->query(
		"SELECT string_agg(name, ' ') FROM pg_cursors WHERE is_holdable;\nSELECT string_agg(relname, ' ') FROM pg_class WHERE relpersistence = 't' AND relkind = 'r';\nSELECT string_agg(channel, ' ') FROM pg_listening_channels() AS channel"
	);
	$session->query("DISCARD ALL");
	return ($said, $left =~ s/\n+/ /gr =~ s/^ | $//gr);
}

my %refused = (
	'a cursor WITH HOLD' => [
		'DECLARE held CURSOR WITH HOLD FOR SELECT body FROM app.docs', 'DECLARE held BINARY SCROLL CURSOR WITH HOLD FOR SELECT body FROM app.docs', 'SELECT app.hold()',
		"DO \$\$ BEGIN EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT 1'; END \$\$"
	],
	'a temporary table without ON COMMIT DROP' => [
		'CREATE TEMP TABLE kept (body text)', 'CREATE TEMP TABLE kept (body text) ON COMMIT DELETE ROWS', 'CREATE TEMP TABLE kept ON COMMIT PRESERVE ROWS AS SELECT body FROM app.docs',
		'CREATE TABLE pg_temp.kept AS SELECT body FROM app.docs', 'SELECT body INTO TEMP kept FROM app.docs', 'CREATE TEMP TABLE IF NOT EXISTS kept (LIKE app.docs)',
		'SET LOCAL search_path = pg_temp; CREATE TABLE kept (body text)', 'EXPLAIN ANALYZE CREATE TEMP TABLE kept AS SELECT body FROM app.docs',
		'PREPARE p AS SELECT body FROM app.docs; CREATE TEMP TABLE kept AS EXECUTE p', "DO \$\$ BEGIN CREATE TEMP TABLE kept AS SELECT body FROM app.docs; END \$\$"
	],
	'LISTEN' => [ 'LISTEN news', "DO \$\$ BEGIN EXECUTE 'LISTEN news'; END \$\$" ]);
for my $what (sort keys %refused)
{
	for my $sql (@{ $refused{$what} })
	{
		my ($said, $left) = left_over('a1', $sql);
		like($said, qr/ERROR:  0A000: $what is not allowed in a transaction that acts for a caller\n/, "threat G04: refused: $sql");
		is($left, '', "threat G03: nothing is left: $sql");
		($said, $left) = left_over(undef, $sql);
		unlike($said, qr/ERROR/, "without a context: $sql");
		is($left, $what =~ /LISTEN/ ? 'news' : $what =~ /HOLD/ ? 'held' : 'kept', "without a context it is there: $sql");
	}
}
like($session->query("BEGIN;\n" . $login->('a1') . "LISTEN news;\nCOMMIT"), qr/DETAIL:  It would outlive the transaction.*\nHINT:  Let it end with the transaction/, 'detail and hint');

# What ends with the transaction, or holds no rows, is as ever.
for my $sql ('DECLARE c CURSOR FOR SELECT body FROM app.docs; FETCH c', 'CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT body FROM app.docs', 'CREATE TEMP TABLE kept (body text) ON COMMIT DROP; INSERT INTO kept SELECT body FROM app.docs',
	'CREATE TABLE own.kept (body text); DROP TABLE own.kept', 'SET LOCAL search_path = own; CREATE TABLE kept AS SELECT 1; DROP TABLE kept', 'EXPLAIN SELECT 1', 'EXPLAIN ANALYZE DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'NOTIFY news', 'UNLISTEN *', 'PREPARE p AS SELECT 1')
{
	my ($said, $left) = left_over('a1', $sql);
	unlike($said, qr/ERROR/, "let through: $sql");
	is($left, '', "and gone: $sql");
}

# Declared before there was a context, to be filled under it.
my $declare = 'DECLARE held CURSOR WITH HOLD FOR SELECT body FROM app.docs';
my ($said, $left) = left_over(undef, "$declare;\n" . $login->('a1'));
like($said, qr/0A000: a cursor WITH HOLD is not allowed/, 'no key in a transaction with a cursor WITH HOLD');
is($left, '', 'threat P07: and no cursor');
$said = $session->query("$declare \\; SELECT revdesk_authenticate('" . token('a1') . "');\nFETCH ALL held");
unlike($said, qr/CANARY/, 'nor in statements of one message');
is($session->query("BEGIN;\n$declare;\nCOMMIT;\nBEGIN;\n" . $login->('b0') . "FETCH ALL held;\nCOMMIT;\nCLOSE held"), '', 'an older one has no rows, and harms nobody');
is($session->query("BEGIN;\n" . $login->('a1') . "SELECT revdesk_deauthenticate() \\g /dev/null\n$declare;\nCOMMIT;\nFETCH ALL held;\nCLOSE held"), '', 'after revdesk_deauthenticate() there are none either');

# A read key hears of READ ONLY first.
like((left_over('af', 'CREATE TEMP TABLE kept (body text)'))[0], qr/25006/, 'a read key makes no table at all');
like((left_over('af', $declare))[0], qr/0A000/, 'nor a cursor WITH HOLD');

# The extended protocol.
my $script = $node->basedir . '/hold.sql';
append_to_file($script, "BEGIN;\nSELECT revdesk_authenticate(:key);\n$declare;\nCOMMIT;\n");
IPC::Run::run([ $node->installed_command('pgbench'), '-n', '-M', 'extended', '-t', 1, '-D', 'key=' . token('a1'), '-f', $script, '-d', $connection ], '>', \my $stdout, '2>', \my $stderr);
like($stderr, qr/a cursor WITH HOLD is not allowed/, 'refused in the extended protocol');

# For administrators to switch off, not for callers.
like($session->query('SET revdesk.pool_guard = off'), qr/42501/, 'no caller switches it off');
$node->safe_psql('postgres', 'ALTER ROLE api SET revdesk.pool_guard = off');
$session->quit;
$session = Fixture::Session->connect($node, $connection, '-v', 'VERBOSITY=verbose');
is((left_over('a1', $declare))[1], 'held', 'switched off, cursors are held');
is((left_over('a1', 'LISTEN news; CREATE TEMP TABLE kept AS SELECT body FROM app.docs'))[1], 'kept news', 'and the rest is let through');
is((left_over(undef, "$declare;\n" . $login->('a1')))[1], 'held', 'also declared before');

# revdesk.max_context_age
like($session->query('SET revdesk.max_context_age = 0'), qr/42501/, 'no caller lifts the bound of age');
is($session->query("BEGIN;\n" . $login->('a1') . "SELECT pg_sleep(0.02) \\g /dev/null\nSELECT count(*) FROM app.docs;\nCOMMIT"), '10', 'no bound by default');
$session->quit;
$node->safe_psql('postgres', "ALTER ROLE api SET revdesk.max_context_age = '10ms'");
$session = Fixture::Session->connect($node, $connection, '-v', 'VERBOSITY=verbose');
my $wait = 'SELECT pg_sleep(0.05) \g /dev/null';
my $old = qr/ERROR:  25P04: the transaction has acted for its caller for too long\nHINT:/;
for my $sql ('SELECT count(*) FROM app.docs', "UPDATE app.docs SET body = 'x'", 'COPY app.docs TO STDOUT', 'FETCH c', 'EXECUTE p', 'SHOW search_path', 'SAVEPOINT s; SELECT 1', "SELECT revdesk_authenticate('" . token('a1') . "')",
	"DO \$\$ BEGIN PERFORM count(*) FROM app.docs; END \$\$", 'SELECT revdesk_deauthenticate()')
{
	$said = $session->query("BEGIN;\nPREPARE p AS SELECT body FROM app.docs;\nDECLARE c CURSOR FOR SELECT body FROM app.docs;\n" . $login->('a1') . "$wait\n$sql");
	like($said, $old, "threat U05: an old context: $sql");
	unlike($said, qr/CANARY/, "no rows: $sql");
	$session->query('ROLLBACK; DEALLOCATE ALL');
}
like($session->query("DO \$\$ DECLARE n bigint; BEGIN PERFORM revdesk_authenticate('" . token('a1') . "'); PERFORM pg_sleep(0.05); SELECT count(*) INTO n FROM app.docs; RAISE NOTICE 'rows %', n; END \$\$"),
	$old, 'within a statement, too');
like($session->query("BEGIN;\nSAVEPOINT s;\n" . $login->('a1') . "$wait\nSELECT 1;\nROLLBACK TO s;\nSELECT 'without'"), qr/25P04.*without$/s, 'a rollback to before it goes on without a context');
$session->query('ROLLBACK');
is($session->query("BEGIN;\nSELECT revdesk_authenticate('" . token('a1') . "'), pg_sleep(0.05) \\g /dev/null\nCOMMIT"), '', 'the end of a transaction is let through');
is($session->query("$wait\nBEGIN;\n$wait\nSELECT 'waited'"), "waited", 'without a context nothing is bounded');
$session->query('ROLLBACK');
$session->quit;
$node->safe_psql('postgres', "ALTER ROLE api SET revdesk.max_context_age = '1h'");
$session = Fixture::Session->connect($node, $connection, '-v', 'VERBOSITY=verbose');
is($session->query("BEGIN;\n$wait\n" . $login->('a1') . "$wait\nSELECT count(*) > 0 FROM app.docs;\nCOMMIT"), 't', 'a younger context goes on');
$session->quit;

$node->stop;
done_testing();
