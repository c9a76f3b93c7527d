# Every change is in the audit log, in the transaction of the change, and never
# a secret; and risky keys are told.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Counting;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = preloading_node('audit');
my $a = 'aaaaaaaa-0000-0000-0000-000000000000';
my $a1 = 'aaaaaaaa-0000-0000-0000-000000000001';
my $victor = 'cccccccc-0000-0000-0000-000000000002';

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

my $seen = sql('SELECT max(id) FROM revdesk.audit_log');

# The actions that were logged since the last call.
sub logged
{
	my $new = sql("SELECT COALESCE(string_agg(action, ' ' ORDER BY id), '') FROM revdesk.audit_log WHERE id > $seen");
	$seen = sql('SELECT max(id) FROM revdesk.audit_log');
	return $new;
}

is(sql("SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM revdesk.audit_log"),
	'key.created member.added table.protected tenant.created user.created', 'the fixture, made by hand');

# [statement, what is logged of it]
my $hash = "decode(repeat('ab', 32), 'hex')";
for my $case (
	[ "SELECT revdesk_create_organization('C')", 'tenant.created' ],
	[ "SELECT revdesk_create_sub_entity('$a', 'A3')", 'tenant.created' ],
	[ "SELECT revdesk_create_user('xaver')", 'user.created' ],
	[ "SELECT revdesk_add_member('$a', '$victor')", 'member.added' ],
	[ "SELECT revdesk_remove_member('$a', '$victor')", 'member.removed' ],
	[ "SELECT revdesk_suspend_tenant('$a1')", 'tenant.suspended' ],
	[ "SELECT revdesk_resume_tenant('$a1')", 'tenant.resumed' ],
	[ "SELECT revdesk_create_key('k', 'organization', '$a')", 'key.created' ],
	[ "SELECT revdesk_import_key('i', 'organization', $hash, '$a')", 'key.imported' ],
	[ "SELECT revdesk_rotate_key('" . key_id('a2') . "')", 'key.rotated key.rotated' ],
	[ "SELECT revdesk_rotate_key('" . key_id('b1') . "', '1 hour')", 'key.rotated key.rotated' ],
	[ "SELECT revdesk_revoke_key('" . key_id('c2') . "', 'lost')", 'key.revoked' ],
	[ "SELECT revdesk_limit_key('" . key_id('a1') . "', 5)", 'key.changed' ],
	[ "SELECT revdesk_limit_key('" . key_id('a1') . "')", 'key.changed' ],
	[ "SELECT revdesk_limit_organization('$a', 5000)", 'tenant.changed' ],
	[ "SELECT revdesk_unprotect('app.registrations')", 'table.unprotected' ],
	[ "SELECT revdesk_protect('app.registrations', walk_up => true)", 'table.protected' ],
	[ "SELECT * FROM revdesk_provision_account('D', 'yvonne')", 'tenant.created user.created member.added key.created' ],
	[ "UPDATE revdesk.users SET disabled_at = now() WHERE subject = 'xaver'", 'user.disabled' ],
	[ "UPDATE revdesk.users SET disabled_at = NULL WHERE subject = 'xaver'", 'user.enabled' ],
	[ "UPDATE revdesk.api_keys SET access = 'read' WHERE id = '" . key_id('a1') . "'", 'key.changed' ],
	[ "UPDATE revdesk.api_keys SET key_hash = decode(repeat('cd', 32), 'hex') WHERE name = 'i'", 'key.changed' ],
	[ "DELETE FROM revdesk.api_keys WHERE name = 'i'", 'key.deleted' ],
	[ "DELETE FROM revdesk.users WHERE subject = 'xaver'", 'user.deleted' ])
{
	my ($statement, $expected) = @$case;
	sql("BEGIN; $statement; ROLLBACK");
	is(logged(), '', "rolled back: $statement");
	sql($statement);
	is(logged(), $expected, $statement);
}
is(sql(q{SELECT details FROM revdesk.audit_log WHERE details ? 'access' AND action = 'key.changed'}), '{"access": {"to": "read", "from": "write"}}', 'a change: from and to');
is(sql(q{SELECT details FROM revdesk.audit_log WHERE details ? 'key_hash'}), '{"key_hash": "changed"}', 'a hash: that it changed');

# Who.
sql('GRANT EXECUTE ON FUNCTION revdesk_revoke_key, revdesk_create_key, revdesk_key_risks TO api; GRANT SELECT ON revdesk_audit TO api');
sql('ALTER ROLE api SET revdesk.trusted_proxies = 1');
as_request($node, '{"x-api-key": "' . token('ad') . '", "x-forwarded-for": "192.0.2.9"}', "SELECT revdesk_revoke_key('" . key_id('af') . "');");
is(sql('SELECT action, by_role, by_key, by_user, host(address), tenant_id FROM revdesk.audit_log ORDER BY id DESC LIMIT 1'),
	"key.revoked|api|" . key_id('ad') . "||192.0.2.9|$a", 'key, role, address, tenant');
sql('ALTER ROLE api RESET ALL');
logged();

# Rows can only be added, by nobody but the log itself.
for my $statement ("UPDATE revdesk.audit_log SET action = 'x'", 'DELETE FROM revdesk.audit_log', 'TRUNCATE revdesk.audit_log',
	"SET session_replication_role = replica; DELETE FROM revdesk.audit_log")
{
	my (undef, undef, $stderr) = $node->psql('postgres', $statement);
	like($stderr, qr/rows of the audit log can only be added/, "superuser: $statement");
	($stderr) = (query($node, 'postgres', $statement =~ s/.*; //r))[1];
	like($stderr, qr/permission denied/, "api: $statement");
}
# What nobody could see in the log is refused.
for my $table (qw(tenants users memberships api_keys protected_tables))
{
	my (undef, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nTRUNCATE revdesk.$table CASCADE");
	like($stderr, qr/ERROR:  42501: TRUNCATE of revdesk\.\w+ is refused, since the audit log would not show it\nHINT:  Use DELETE\./, "superuser: TRUNCATE revdesk.$table");
}
is(logged(), '', 'and nothing is logged');

# A table that is dropped has the name that it was protected by.
sql('CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."Calls" (id int, tenant_id uuid) PARTITION BY RANGE (id);
     CREATE TABLE "Odd".first PARTITION OF "Odd"."Calls" DEFAULT; CREATE TYPE "Odd".kind AS (tenant_id uuid); CREATE TABLE app.typed OF "Odd".kind;
     SELECT revdesk_protect(\'"Odd"."Calls"\'), revdesk_protect(\'app.typed\')');
is(logged(), 'table.protected table.protected table.protected', 'protected');
sql('DROP SCHEMA "Odd" CASCADE');
is(sql("SELECT string_agg(concat_ws(' ', action, target, details->>'relation', details->>'root'), E'\\n' ORDER BY target COLLATE \"C\") FROM revdesk.audit_log WHERE id > $seen"),
	qq{table.unprotected "Odd"."Calls" "Odd"."Calls" "Odd"."Calls"\ntable.unprotected "Odd".first "Odd".first "Odd"."Calls"\ntable.unprotected app.typed app.typed app.typed}, 'dropped, by name');
is(sql("SELECT count(*) FROM revdesk.audit_log AS dropped WHERE id > $seen AND EXISTS (SELECT FROM revdesk.audit_log AS made WHERE made.action = 'table.protected' AND made.target = dropped.target)"),
	'3', 'as it was protected');
sql("INSERT INTO revdesk.protected_tables (relation, root, had_row_security, had_forced_row_security) VALUES (1, 1, false, false); DELETE FROM revdesk.protected_tables WHERE relation = 1");
is(sql("SELECT target FROM revdesk.audit_log WHERE action = 'table.unprotected' ORDER BY id DESC LIMIT 1"), '1', 'a row that names no table, by its number');
logged();

sql('CREATE ROLE manager LOGIN; GRANT ALL ON revdesk.api_keys, revdesk.tenants TO manager');
is((query($node, 'postgres', "UPDATE revdesk.tenants SET name = 'B!' WHERE name = 'B'", role => 'manager'))[1], '', 'a role that may change a table');
is(logged(), 'tenant.changed', 'is logged');
like((query($node, 'postgres', "INSERT INTO revdesk.audit_log (action, target) VALUES ('x', 'y')", role => 'manager'))[1], qr/permission denied/, 'and cannot write the log');

# Rejections, as aggregates, and expired keys, once, however long nothing was written.
authenticate($node, 'c2', 3);
authenticate($node, '00', 4);
sql("UPDATE revdesk.api_keys SET expires_at = now() - interval '30 days' WHERE name = 'key c1'");
logged();
flush_now($node);
is(sql("SELECT action, target, details FROM revdesk.audit_log WHERE id > $seen ORDER BY action, target"),
	'key.expired|' . key_id('c1') . "|{\"name\": \"key c1\"}\nkey.rejected|" . key_id('c2') . "|{\"revoked\": 3}\n"
	. 'unknown.rejected|00000000-0000-0000-0000-000000000000|{"unknown": 4}', 'rejected and expired');
logged();
authenticate($node, 'a0');
flush_now($node);
is(logged(), '', 'and once');

# An expiry that is logged late.
sql("UPDATE revdesk.api_keys SET revoked_at = NULL, expires_at = now() - interval '20 hours' WHERE name = 'key c2'");
logged();
authenticate($node, 'a0');
flush_now($node);
is(logged(), 'key.expired', 'expired hours ago');
authenticate($node, 'a0');
flush_now($node);
is(logged(), '', 'and once, again');

# Retention: the worker alone deletes.
sub old { return sql("SELECT count(*) FROM revdesk.audit_log WHERE logged_at < now() - interval '1 day' AND action IN ('test', 'key.expired')") }
sql("SET session_replication_role = replica; INSERT INTO revdesk.audit_log (logged_at, action, target) SELECT now() - n * interval '1 day', 'test', 'test' FROM generate_series(2, 5) AS n");
is(old(), '5', 'old rows');
authenticate($node, 'a0');
flush_now($node);
is(old(), '5', 'are kept for ever');
$node->append_conf('postgresql.conf', "revdesk.audit_retention = '3d'");
$node->reload;
authenticate($node, 'a0');
flush_now($node);
is(old(), '1', 'or as long as the setting says');
like((query($node, 'postgres', "DELETE FROM revdesk.audit_log WHERE action = 'test'", role => 'postgres'))[1], qr/rows of the audit log can only be added/, 'and nobody else deletes old rows');
logged();

# Who reads it.
query_ok($node, 'postgres', as_key('ad', "SELECT count(*) > 10, count(*) FILTER (WHERE tenant_id <> ALL (revdesk_scope_organization_tenants())) FROM revdesk_audit"),
	't|0', 'an admin key reads its scope');
query_ok($node, 'postgres', as_key('a0', 'SELECT count(*) FROM revdesk_audit'), '0', 'another key nothing');
query_ok($node, 'postgres', 'SELECT count(*) FROM revdesk_audit', '0', 'nor who has none');
like((query($node, 'postgres', 'SELECT * FROM revdesk.audit_log'))[1], qr/permission denied/, 'the table is not for callers');

# No secret, anywhere in it.
my $log = sql('SELECT log::text FROM revdesk.audit_log AS log');
unlike($log, qr/revdesk_[0-9a-f]{32}/, 'no key');
my $usage = sql('SELECT usage::text FROM revdesk.key_usage AS usage');
my $found = grep { index(lc "$log$usage", $_) >= 0 } split /\n/, sql("SELECT encode(key_hash, 'hex') FROM revdesk.api_keys");
is($found, 0, 'no hash');
unlike($log, qr/(ab){32}|(cd){32}/, 'not of a key that is gone either');

# Risky keys.
sub risks { return sql("SELECT string_agg(risk, ', ' ORDER BY risk) FROM revdesk_key_risks('30 days') WHERE key_id = '" . key_id(shift) . "'") }
my $old = "created_at = now() - interval '1 year', expires_at = now() + interval '1 year'";
sql("UPDATE revdesk.api_keys SET $old WHERE name IN ('key a0', 'key a1', 'key b0', 'key ad')");
sql("DELETE FROM revdesk.key_usage");
$node->stop;
unlink $node->data_dir . '/pg_stat/revdesk_auth.stat';
$node->start;
is(risks('a1'), 'never used', 'never used');
is(risks('ad'), 'never used', 'an admin key that managed something');
sql("UPDATE revdesk.api_keys SET access = 'admin' WHERE name = 'key a1'");
is(risks('a1'), 'never used, wider than used', 'wider than used');
sql("INSERT INTO revdesk.key_usage (key_id, bucket, requests, last_used_at) VALUES ('" . key_id('b0') . "', date_trunc('hour', now() - interval '40 days'), 1, now() - interval '40 days')");
is(risks('b0'), 'not used lately', 'not used lately');
authenticate($node, 'b0');
is(risks('b0'), 'wider than used', 'used now, and never to write');
query($node, 'postgres', as_key('b0', 'SELECT count(*) FROM app.docs'));
flush_now($node);
is(sql("SELECT sum(writes) FROM revdesk.key_usage WHERE key_id = '" . key_id('b0') . "'"), '0', 'reading is no writing');
query($node, 'postgres', "BEGIN;\nSELECT revdesk_authenticate('" . token('b0') . "') \\g /dev/null\nUPDATE app.docs SET amount = 1 WHERE body = 'CANARY_B_1';\nROLLBACK;\n");
query($node, 'postgres', as_key('b0', "UPDATE app.docs SET amount = 1 WHERE body = 'CANARY_B_1'"));
query($node, 'postgres', as_key('b0', "UPDATE app.docs SET amount = 1 WHERE body = 'CANARY_B_2';\nUPDATE app.docs SET amount = 1 WHERE body = 'CANARY_B_3'"));
flush_now($node);
is(sql("SELECT sum(writes) FROM revdesk.key_usage WHERE key_id = '" . key_id('b0') . "'"), '2', 'transactions that wrote, and committed');
is(risks('b0'), '', 'used now: no risk');
sql("UPDATE revdesk.api_keys SET expires_at = now() + interval '2 days' WHERE name = 'key b0'");
is(risks('b0'), 'expires soon', 'expires soon');
sql("UPDATE revdesk.api_keys SET expires_at = NULL WHERE name = 'key b0'");
is(risks('b0'), 'no expiry', 'no expiry');
authenticate($node, 'b1');
is(risks('b1'), 'expires soon, used after rotation', 'used after rotation');
query_ok($node, 'postgres', as_key('ad', "SELECT count(*) > 0, count(*) FILTER (WHERE name LIKE 'key b%') FROM revdesk_key_risks('30 days')"), 't|0', 'inside the scope');
like((query($node, 'postgres', 'SELECT * FROM revdesk_key_risks()'))[1], qr/authentication required/, 'not without a privilege');

# Dump and restore: the same rows, no more, and numbers go on.
flush_now($node);
my $rows = sql('SELECT count(*), max(id) FROM revdesk.audit_log');
my $of_usage = sql('SELECT count(*), sum(requests) FROM revdesk.key_usage');
my $folder = PostgreSQL::Test::Utils::tempdir();
my @to = ('-h', $node->host, '-p', $node->port);
$node->command_ok([ 'pg_dump', @to, '-Fc', '-f', "$folder/custom", 'postgres' ], 'pg_dump -Fc');
$node->command_ok([ 'pg_dump', @to, '-f', "$folder/plain", 'postgres' ], 'pg_dump');

sql("CREATE DATABASE $_") for qw(custom plain);
$node->command_ok([ 'pg_restore', @to, '-d', 'custom', '--exit-on-error', "$folder/custom" ], 'pg_restore');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', @to, '-d', $_, '-f', "$folder/$_" ], "psql: $_") for "plain";
for my $database (qw(custom plain))
{
	is(sql('SELECT count(*), max(id) FROM revdesk.audit_log', $database), $rows, "$database: the log as it was");
	is(sql('SELECT count(*), sum(requests) FROM revdesk.key_usage', $database), $of_usage, "$database: usage as it was");
	sql("SELECT revdesk_create_user('zoe')", $database);
	is(sql('SELECT count(*), max(id) FROM revdesk.audit_log', $database), join('|', map { $_ + 1 } split /\|/, $rows), "$database: and it goes on");
}

$node->stop;
done_testing();
