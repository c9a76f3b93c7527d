# Threats of section D, dump and restore: what is restored holds and refuses what
# the original did, and what is left out is left shut.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(has_archiving => 1, allows_streaming => 1);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
install_extension($node, 'source');
make_data($node, 'source');

my $count = 'SELECT count(*) FROM app.docs';
my $dir = PostgreSQL::Test::Utils::tempdir();
my $databases = 0;

sub sql { return $node->safe_psql($_[1] // 'source', $_[0]) }

# Run a program; its status and all that it says.
sub run_program
{
	my @command = @_;
	my $said = '';
	my $ok = IPC::Run::run([ $node->installed_command(shift @command), @command ], '>', \$said, '2>&1');
	return ($ok ? 0 : 1, $said);
}

sub dump_to
{
	my ($file, @options) = @_;
	return run_program('pg_dump', '-f', "$dir/$file", @options);
}

# Restore a file into a new database, and return its name.
sub restored
{
	my ($file, %options) = @_;
	my $database = 'restored' . ++$databases;
	sql("CREATE DATABASE $database" . ($options{owner} ? " OWNER $options{owner}" : ''), 'postgres');
	my ($failed, $said) = run_program('pg_restore', @{ $options{with} // [] }, '-d',
		$node->connstr($database) . ($options{owner} ? " user=$options{owner}" : ''), "$dir/$file");
	return wantarray ? ($database, $failed, $said) : $database;
}

my $held = join ' || chr(32) || ', map { "(SELECT count(*) FROM revdesk.$_)" } qw(tenants users memberships api_keys audit_log protected_tables);
dump_to('all', '-Fc', '-d', $node->connstr('source'));

subtest 'D01: full dump and restore' => sub {
	my ($database, $failed, $said) = restored('all');
	is("$failed$said", '0', 'restored without a word');
	is(sql("SELECT $held", $database), sql("SELECT $held"), 'as many of everything');
	query_ok($node, $database, as_key($_->[0], $count), $_->[1], "key $_->[0]") for [ 'a0', 30 ], [ 'a1', 10 ], [ 'c1', 30 ];
	my $last = sql('SELECT max(id) FROM revdesk.audit_log', $database);
	my $id = sql("SELECT revdesk_create_organization('new')", $database);
	is(sql("SELECT count(*) FROM revdesk.tenants WHERE id = '$id'"), '0', 'a new tenant has an id never used before');
	cmp_ok(sql('SELECT max(id) FROM revdesk.audit_log', $database), '>', $last, 'and the log goes on');
};

subtest 'D02: a child that lies before its parent' => sub {
	sql("UPDATE revdesk.tenants SET name = name || ' moved' WHERE umbrella_id IS NULL");
	is(sql('SELECT bool_and(parent.ctid > child.ctid) FROM revdesk.tenants AS child JOIN revdesk.tenants AS parent ON parent.id = child.umbrella_id'),
		't', 'they do');
	dump_to('moved', '-Fc', '-d', $node->connstr('source'));
	my ($database, $failed, $said) = restored('moved', with => ['--exit-on-error']);
	is("$failed$said", '0', 'restored without a word');
	is(sql("SELECT $held", $database), sql("SELECT $held"), 'as many of everything');
};

subtest 'D03: partial dumps hold no keys, and refuse everybody' => sub {
	for my $part ([ '-n', 'app' ], [ '-n', 'public' ], [ '-t', 'app.docs' ], ['--exclude-table-data=revdesk.*'])
	{
		dump_to('part.sql', @$part, '-d', $node->connstr('source'));
		my $dump = slurp_file("$dir/part.sql");
		unlike($dump, qr/COPY revdesk\.|dddddddd-|\\\\x[0-9a-f]{64}/, "@$part: no keys");
		unlink "$dir/part.sql";
	}
	dump_to('part', '-Fc', '--exclude-table-data=revdesk.*', '-d', $node->connstr('source'));
	my $database = restored('part');
	is(sql($count, $database), '70', 'the rows are there');
	refused($node, $database, $_, "key $_") for qw(a0 a1 c1);
	query_ok($node, $database, $count, '0', 'without a key: no rows');
};

# README.md, Pooling, replicas, other servers: leave the schema out.
subtest 'D04: a publication of all tables' => sub {
	sql('CREATE PUBLICATION everything FOR ALL TABLES');
	is(sql("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'everything' AND tablename = 'api_keys'"), '1', 'takes the hashes along');
	sql('DROP PUBLICATION everything; CREATE PUBLICATION rows FOR TABLES IN SCHEMA app');
	is(sql("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'rows' AND schemaname = 'revdesk'"), '0', 'one of the schema does not');
	my (undef, $said) = query($node, 'source', 'CREATE PUBLICATION mine FOR TABLE revdesk.api_keys', role => 'api');
	like($said, qr/permission denied|must be owner/, 'an API role makes none');
	sql('DROP PUBLICATION rows');
};

subtest 'D05: a dump by the owner of the table' => sub {
	my ($failed, $said) = run_program('pg_dump', '-t', 'app.docs', '-d', $node->connstr('source') . ' user=owner');
	ok($failed, 'fails');
	like($said, qr/would be affected by row-level security/, 'and says why');
	(undef, $said) = run_program('pg_dump', '-t', 'app.docs', '--enable-row-security', '-d', $node->connstr('source') . ' user=owner');
	unlike($said, qr/CANARY/, 'with --enable-row-security there are no rows in it');
};

# A role's settings that were stored where the library was not loaded.  A copy
# of such a cluster may hold any text.
subtest 'D06: settings of roles in pg_dumpall' => sub {
	sql("CREATE ROLE stored LOGIN; INSERT INTO pg_db_role_setting SELECT 0, oid, ARRAY['revdesk.context=' || repeat('00', 60), 'revdesk.scope=organization'] FROM pg_roles WHERE rolname = 'stored'", 'postgres');
	my (undef, $roles) = run_program('pg_dumpall', '--roles-only', '-d', $node->connstr('postgres'));
	like($roles, qr/ALTER ROLE stored SET "revdesk\.context"/, 'the dump has them');
	for my $preloaded ('', 'revdesk_auth')
	{
		my $how = $preloaded ? 'preloaded' : 'not preloaded';
		my $other = PostgreSQL::Test::Cluster->new('other' . ($preloaded ? 1 : 2));
		$other->init;
		$other->append_conf('postgresql.conf', "shared_preload_libraries = '$preloaded'");
		$other->start;
		my ($lines) = join '', map { "$_\n" } grep { /ROLE (stored|api|owner)\b/ } split /\n/, $roles;
		my (undef, $said) = query($other, 'postgres', $lines, role => getpwuid $<);
		like($said, qr/ERROR:  parameter "revdesk\.context" cannot be set/, "$how: refused") if $preloaded;
		$other->safe_psql('postgres', "DELETE FROM pg_db_role_setting; INSERT INTO pg_db_role_setting SELECT 0, oid, ARRAY['revdesk.context=' || repeat('00', 60)] FROM pg_roles WHERE rolname = 'stored'");
		install_extension($other, 'postgres');
		make_data($other, 'postgres');
		$other->safe_psql('postgres', 'GRANT USAGE ON SCHEMA app TO stored; GRANT SELECT ON app.docs TO stored');
		my ($rows, $warned) = query($other, 'postgres', "$count; SELECT count(*) FROM revdesk_context(); $count", role => 'stored');
		is($rows, "0\n0\n0", "$how: no context, no rows");
		like($warned, qr/WARNING:  parameter "revdesk\.context" cannot be set/, "$how: a warning");
		$other->stop;
	}
	sql("DELETE FROM pg_db_role_setting WHERE setrole = 'stored'::regrole; DROP ROLE stored", 'postgres');
};

subtest 'D13: restored by who is no superuser' => sub {
	sql('CREATE ROLE tenant_admin LOGIN CREATEDB; GRANT api, owner TO tenant_admin', 'postgres');
	my ($database, $failed, $said) = restored('all', owner => 'tenant_admin', with => ['--no-owner']);
	ok($failed, 'fails');
	like($said, qr/permission denied to create extension "revdesk_auth"/, 'and says why');
	is(sql("SELECT count(*) FROM pg_extension WHERE extname = 'revdesk_auth'", $database), '0', 'nothing is half installed');
	is(sql("SELECT count(*) FROM pg_proc WHERE proname ~ '^revdesk'", $database), '0', 'no function either');
	is(sql($count, $database), '70', 'the rows are there');
	is(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)", $database),
		'0', 'row security is on');
	query_ok($node, $database, $count, '0', 'for an API role: no rows');
	query_ok($node, $database, $count, '0', 'for the owner: none', role => 'tenant_admin');
};

# README.md, Backup and upgrade: what was revoked after the point comes back.
subtest 'D14: recovery to before a revocation' => sub {
	$node->backup('base');
	sql("SELECT pg_create_restore_point('before')");
	my $list = sql("SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1', 'lost'); SELECT id FROM revdesk.api_keys WHERE revoked_at IS NOT NULL") =~ s/^t\n//r;
	refused($node, 'source', 'a1', 'revoked');
	sql('SELECT pg_switch_wal()');
	my $recovered = PostgreSQL::Test::Cluster->new('recovered');
	$recovered->init_from_backup($node, 'base', has_restoring => 1);
	$recovered->append_conf('postgresql.conf', "recovery_target_name = 'before'\nrecovery_target_action = 'promote'");
	$recovered->start;
	wait_until($recovered, 'source', 'SELECT NOT pg_is_in_recovery()');
	query_ok($recovered, 'source', as_key('a1', $count), '10', 'the key is back');
	$recovered->safe_psql('source', "SELECT revdesk_revoke_key('$_', 'revoked before the recovery')") for split /\n/, $list;
	refused($recovered, 'source', 'a1', 'revoked again, by a list kept elsewhere');
	$recovered->safe_psql('source', "UPDATE revdesk.api_keys SET revoked_at = now(), revoked_reason = 'recovery' WHERE revoked_at IS NULL");
	refused($recovered, 'source', $_, "or all of them: $_") for qw(a0 b0 c1);
	$recovered->stop;
};

$node->stop;
done_testing();
