# A context ends with its transaction, of whatever kind, and a connection that
# serves one key after another shows each its own rows.

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
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
install_extension($node, 'postgres');
make_data($node, 'postgres');

my $count = 'SELECT count(*) FROM app.docs';
my $login = sub { return "SELECT revdesk_authenticate('" . token(shift) . "') \\g /dev/null\n" };

# Two-phase commit: the context stays behind, in neither session.
my $session = Fixture::Session->new($node, 'postgres');
my $other = Fixture::Session->new($node, 'postgres');
is( $session->query(
		"BEGIN;\n" . $login->('a1') . "INSERT INTO app.docs (tenant_id) VALUES (revdesk_tenant_id());\nPREPARE TRANSACTION 'p';\n$count;\nSELECT revdesk_scope() IS NULL"),
	"0\nt", 'no context after PREPARE TRANSACTION');
is($other->query("$count;\nCOMMIT PREPARED 'p';\n$count;\nSELECT revdesk_scope() IS NULL"), "0\n0\nt", 'nor in the session that commits it');
is($other->query("BEGIN;\n" . $login->('a1') . "$count;\nCOMMIT"), '11', 'what it wrote is there');
is( $other->query(
		"BEGIN;\n" . $login->('b0') . "$count;\nCOMMIT;\nBEGIN;\n" . $login->('a1') . "PREPARE TRANSACTION 'q';\nBEGIN;\n" . $login->('b0') . "$count;\nCOMMIT;\nROLLBACK PREPARED 'q';\n$count"),
	"20\n20\n0", 'one prepared, another at work');
# A read key's transaction is read only when it is prepared, and not after.
like($session->query("BEGIN;\n" . $login->('af') . "PREPARE TRANSACTION 'r';\nCOMMIT PREPARED 'r';\nSHOW transaction_read_only"), qr/off$/, 'a read key, prepared');
# 15 lets transaction_read_only be reset, to what the session began with.
like( $session->query("BEGIN;\n" . $login->('af') . "SAVEPOINT s;\nRESET transaction_read_only;\nUPDATE app.docs SET body = 'x'"),
	qr/ERROR/, 'RESET does not make a read key write');
$session->query('ROLLBACK');
like($session->query("BEGIN;\n" . $login->('af') . "COMMIT;\nBEGIN;\n" . $login->('a0') . "UPDATE app.docs SET body = body WHERE id = 1;\nSELECT 'written';\nROLLBACK"),
	qr/written$/, 'after a read key, another writes');

# Ends of other kinds.
is($session->query("BEGIN;\n" . $login->('a1') . "COMMIT AND CHAIN;\n$count;\nCOMMIT"), '0', 'COMMIT AND CHAIN');
is($session->query("BEGIN;\n" . $login->('a1') . "ROLLBACK AND CHAIN;\n$count;\nCOMMIT"), '0', 'ROLLBACK AND CHAIN');
is( $session->query("DO \$\$ DECLARE n bigint; BEGIN PERFORM revdesk_authenticate('" . token('a1') . "'); COMMIT; $count INTO n; PERFORM revdesk_authenticate('"
		  . token('b0') . "'); RAISE NOTICE '% %', n, ($count); END \$\$") =~ s/.*NOTICE:  //r,
	'0 20', 'COMMIT in a DO block');
$node->safe_psql('postgres',
	"CREATE PROCEDURE app.two() LANGUAGE plpgsql AS \$\$ BEGIN PERFORM revdesk_authenticate('" . token('a1') . "'); COMMIT; END \$\$; GRANT EXECUTE ON PROCEDURE app.two() TO api");
is($session->query("CALL app.two();\n$count"), '0', 'COMMIT in a procedure');
like($session->query("BEGIN;\n" . $login->('a1') . "SELECT 1 / 0;\nCOMMIT;\n$count"), qr/\n0$/, 'an error');
is($session->query("SELECT revdesk_authenticate('" . token('a1') . "')\\; $count;\n$count"), "\n11\n0", 'two statements in one message');

# A cursor that is open when the context ends shows nothing of the next.
is( $session->query("BEGIN;\n" . $login->('a1') . "DECLARE c CURSOR FOR SELECT body FROM app.docs WHERE body ~ 'CANARY' ORDER BY amount;\nFETCH c;\nSELECT revdesk_deauthenticate() \\g /dev/null\n"
		  . $login->('b0') . "FETCH ALL c;\nCOMMIT") =~ s/CANARY_(A1)_\d+\n?//gr,
	'', 'an open cursor shows rows of the first key alone');

# Out of a transaction and back in.
SKIP:
{
	my ($result, undef, $stderr) = $node->psql('postgres', 'CREATE EXTENSION dblink');
	skip 'dblink is not installed', 1 if $result != 0;
	$node->safe_psql('postgres', 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api');
	my $self = $node->connstr('postgres') . ' user=api';
	$self =~ s/'/''/g;
	$node->safe_psql('postgres',
		"CREATE FUNCTION app.loop() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS \$\$ SELECT n FROM dblink('$self', '$count') AS t(n bigint) \$\$; GRANT EXECUTE ON FUNCTION app.loop() TO api");
	query_ok($node, 'postgres', as_key('a1', "SELECT app.loop(), count(*) FROM app.docs"), '0|11', 'a connection out of a transaction has no context');
}
$session->quit;
$other->quit;

# One connection, a thousand transactions of keys in random order, prepared
# statements with generic plans; compared with what each key has to see.
$node->safe_psql('postgres',
	"UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a2';"
	  . 'CREATE TABLE app.notes (id serial, tenant_id uuid, owner_id uuid, umbrella_id uuid, body text);'
	  . "INSERT INTO app.notes (tenant_id, owner_id, body) SELECT tenant_id, owner_id, body FROM app.docs;"
	  . "SELECT revdesk_protect('app.notes', owner_column => 'owner_id', umbrella_column => 'umbrella_id');"
	  . 'GRANT SELECT ON app.notes TO api');
my @statements = (
	'SELECT count(*) || $$ $$ || COALESCE(sum(hashtext(body)), 0) FROM app.docs',
	'SELECT count(*) || $$ $$ || COALESCE(sum(hashtext(body)), 0) FROM app.parts',
	'SELECT count(*) || $$ $$ || COALESCE(sum(hashtext(a.body)), 0) FROM app.notes AS a JOIN app.docs AS b USING (body)',
	'SELECT count(*) || $$ $$ || COALESCE(sum(amount), 0) FROM app.registrations WHERE amount > 2');

# By brute force, and without the extension's functions.
my %expected;
for my $key ('a0', 'a1', 'b0', 'b1', 'c1', 'c2')
{
	my $scope = $node->safe_psql('postgres', <<"SQL");
SELECT CASE scope
  WHEN 'sub_entity' THEN format('tenant_id = %L', tenant_id)
  WHEN 'organization' THEN format('tenant_id IN (SELECT id FROM revdesk.tenants WHERE %L IN (id, umbrella_id))', tenant_id)
  ELSE format('(tenant_id IN (SELECT tenant_id FROM revdesk.memberships WHERE user_id = %1\$L) OR tenant_id IS NULL AND owner_id = %1\$L)', user_id)
END FROM revdesk.api_keys WHERE name = 'key $key'
SQL
	my $shared = $scope =~ s/ OR .*\)$/)/r;
	my $up = $key =~ /^(a1|b1)$/ ? "($shared OR tenant_id = '" . (substr($key, 0, 1) x 8) . "-0000-0000-0000-000000000000')" : $shared;
	my @conditions = ($scope, $shared, $scope, $up);
	for my $i (0 .. 3)
	{
		my $sql = $statements[$i];
		$sql =~ s/app\.(docs|parts|notes|registrations)/(SELECT * FROM app.$1 WHERE $conditions[$i])/g;
		$sql =~ s/\) WHERE amount/) AS r WHERE amount/ || $sql =~ s/\)$/) AS d/ if $sql !~ /JOIN/;
		$expected{$key}[$i] = $node->safe_psql('postgres', $sql);
	}
}
is(scalar(grep { $_ =~ /^0 / } map { @$_ } values %expected), 0, 'every key has something to see everywhere');
$expected{none} = [ ('0 0') x 4 ];

my $seed = 20240229;
my $random = sub { my $n = shift; $seed = ($seed * 1103515245 + 12345) % 2147483648; return int($seed / 65536) % $n };
my @keys = ('a0', 'a1', 'b0', 'b1', 'c1', 'c2', 'none', 'a2');
my $script = "SET plan_cache_mode = force_generic_plan;\n";
$script .= "PREPARE s$_ AS $statements[$_];\n" for 0 .. 3;
$script .= "SET client_min_messages = fatal;\n";
my (@want, %used);
for my $turn (1 .. 1000)
{
	my $key = $keys[ $random->(scalar @keys) ];
	my $statement = $random->(4);
	my $kind = $random->(4);
	$used{$key}++;
	my $login_sql = $key eq 'none' ? '' : $login->($key);
	if ($key eq 'a2')
	{
		# A revoked key: the transaction ends, the next statement sees nothing.
		$script .= "BEGIN;\n${login_sql}ROLLBACK;\nEXECUTE s$statement;\n";
		push @want, '0 0';
	}
	elsif ($kind == 0)
	{
		$script .= "BEGIN;\n${login_sql}EXECUTE s$statement;\nROLLBACK;\n";
		push @want, $expected{$key}[$statement];
	}
	elsif ($kind == 1)
	{
		# Another one in a savepoint in between.
		my $second = $keys[ $random->(6) ];
		$script .= "BEGIN;\n${login_sql}EXECUTE s$statement;\nSAVEPOINT s;\nSELECT revdesk_deauthenticate() \\g /dev/null\n"
		  . $login->($second) . "EXECUTE s$statement;\nROLLBACK TO s;\nEXECUTE s$statement;\nCOMMIT;\n";
		push @want, $expected{$key}[$statement], $expected{$second}[$statement], $expected{$key}[$statement];
	}
	else
	{
		$script .= "BEGIN;\n${login_sql}EXECUTE s$statement;\nCOMMIT;\nEXECUTE s$statement;\n";
		push @want, $expected{$key}[$statement], '0 0';
	}
}
$script .= "SELECT sum(custom_plans), min(generic_plans) > 200 FROM pg_prepared_statements WHERE name LIKE 's%';";
push @want, '0|t';
my ($stdout) = query($node, 'postgres', $script);
my @got = split /\n/, $stdout;
is(scalar(@got), scalar(@want), 'a thousand transactions: all answered');
my @wrong = grep { ($got[$_] // 'nothing') ne $want[$_] } 0 .. $#want;
is(scalar(@wrong), 0, 'a thousand transactions: each sees its own rows')
  or diag("first: $got[$wrong[0]] instead of $want[$wrong[0]]");
is(scalar(keys %used), scalar(@keys), 'every key had its turn');

$node->stop;
done_testing();
