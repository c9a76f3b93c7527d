# Attacks K: no key opens but a live one, and no key makes more of itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth', "listen_addresses = '127.0.0.1'");
$node->safe_psql('template', <<'SQL');
CREATE SCHEMA mine AUTHORIZATION api;
-- As revdesk_expose() does it, so that what is refused is refused by the key.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO api;
GRANT SELECT ON revdesk_keys, revdesk_audit TO api;
CREATE FUNCTION public.token(name text) RETURNS text LANGUAGE sql AS $$SELECT 'revdesk_' || repeat(name, 16)$$;
CREATE FUNCTION public.make_key(key text, scope text, tenant text, access text, expires_at timestamptz DEFAULT NULL, networks cidr[] DEFAULT NULL) RETURNS uuid
LANGUAGE sql AS $$
  INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id, user_id, access, expires_at, allowed_networks)
  SELECT key, sha256(token(key)::bytea), scope, tenants.id, users.id, access, expires_at, networks
  FROM (SELECT) AS one LEFT JOIN revdesk.tenants ON name = tenant LEFT JOIN revdesk.users ON subject = tenant
  RETURNING id $$;
-- As the API role tries a statement: its SQLSTATE, or what it returns.
CREATE FUNCTION public.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
  EXECUTE statement INTO answer;
  RETURN format('accepted %s: %s', answer, statement);
EXCEPTION WHEN OTHERS THEN
  RETURN format('%s %s: %s', SQLSTATE, SQLERRM, statement);
END $$;
SQL

# All that a client gets to see of an attempt.
sub answer
{
	my ($session, $token) = @_;
	my $answer = $session->query("SELECT revdesk_authenticate($token)");
	$answer =~ s/^psql:\S+ //mg;
	return $answer;
}

# These are rejected, each in the words for a key that nobody ever made.
sub rejected_alike
{
	my ($attacked, $database, @attempts) = @_;
	my $session = Fixture::Session->connect($attacked, $attacked->connstr($database) . ' user=api', '-v', 'VERBOSITY=verbose');
	my $unknown = answer($session, "'" . token('ee') . "'");
	like($unknown, qr/^ERROR:  28000: API key rejected\nLOCATION.*$/, 'an unknown key: no detail, no hint');
	while (my ($name, $token) = splice @attempts, 0, 2)
	{
		is(answer($session, $token), $unknown, $name);
	}
	like($session->query("SELECT revdesk_scope() IS NULL, count(*) FROM app.docs"), qr/^t\|0$/, 'and nobody acts');
	$session->quit;
	return;
}

attack 'K1', 'texts that are no keys', sub {
	my ($attacked, $database) = @_;
	my $key = token('a1');
	my $hex = substr $key, 8;
	rejected_alike(
		$attacked, $database,
		'null' => 'NULL', 'empty' => "''", 'the prefix alone' => "'revdesk_'", 'no prefix' => "'$hex'", 'another prefix' => "'revdeks_$hex'",
		'an upper-case prefix' => "upper('revdesk_') || '$hex'", 'upper-case digits' => "'revdesk_A1" . substr($hex, 2) . "'", '31 digits' => "left('$key', -1)", '33 digits' => "'${key}1'",
		'a letter that is no digit' => "overlay('$key' PLACING 'g' FROM 20)", 'a space before' => "' $key'", 'a space after' => "'$key '", 'a space in place of the last digit' => "left('$key', -1) || ' '",
		'a newline after' => "E'$key\\n'", 'a newline in it' => "overlay('$key' PLACING E'\\n' FROM 30)", 'a tab' => "overlay('$key' PLACING E'\\t' FROM 9)",
		'its escape for NUL' => "left('$key', -4) || '\\x00'", 'a full-width digit' => "overlay('$key' PLACING U&'\\FF11' FROM 20)", 'a Cyrillic a' => "overlay('$key' PLACING U&'\\0430' FROM 9)",
		'a Kelvin sign in the prefix' => "replace('$key', 'k', U&'\\212A')", 'a zero-width space' => "overlay('$key' PLACING U&'\\200B' FROM 9 FOR 3)", 'a byte order mark' => "U&'\\FEFF' || '$key'",
		'twice' => "repeat('$key', 2)", 'in quotes' => "quote_literal('$key')", 'Bearer' => "'Bearer $key'",
		'1 MB' => "repeat('a', 1048576)", '1 MB that begins with a key' => "rpad('$key', 1048576, ' ')", '1 GB' => "repeat(repeat('a', 1048576), 1023)");
	$attacked->psql($database, "SELECT revdesk_authenticate(E'" . substr($key, 0, 39) . "\\x00')", stderr => \my $stderr);
	like($stderr, qr/invalid byte sequence/, 'PostgreSQL itself refuses a NUL');
	$attacked->psql($database, "SELECT revdesk_authenticate(E'" . substr($key, 0, 39) . "\\xff')", stderr => \$stderr);
	like($stderr, qr/invalid byte sequence/, 'and bytes that are no text');
};

attack 'K2', 'what is known of a key in place of the key', sub {
	my ($attacked, $database) = @_;
	my $hash = key_hash('a1');
	my $id = 'dddddddd0000000000000000000000a1';
	rejected_alike(
		$attacked, $database,
		'the hint and the wrong digits' => "'revdesk_' || repeat('0', 28) || 'a1a1'", 'all digits but the last' => "left('" . token('a1') . "', -1) || '2'",
		'all but the first' => "overlay('" . token('a1') . "' PLACING '2' FROM 9)", 'the hash' => "'$hash'", 'the hash with the prefix' => "'revdesk_$hash'",
		'half of the hash' => "'revdesk_' || left('$hash', 32)", 'the other half' => "'revdesk_' || right('$hash', 32)", 'the hash as bytea shows it' => "'\\x$hash'",
		'the hash as text of bytes' => "convert_from(decode('" . unpack('H*', token('ee')) . "', 'hex'), 'UTF8')", 'the id of the key' => "'revdesk_$id'", 'its name' => "'key a1'");
};

attack 'K3', 'keys that have ended, or are not for here', sub {
	my ($attacked, $database) = @_;
	$attacked->safe_psql($database, <<'SQL');
SELECT make_key(key, scope, tenant, 'write') FROM (VALUES ('01', 'organization', 'A'), ('03', 'organization', 'A'), ('05', 'organization', 'A'), ('06', 'organization', 'A')) AS v (key, scope, tenant);
SELECT make_key('02', 'organization', 'A', 'write', now() - interval '1 hour'), make_key('04', 'organization', 'A', 'write', clock_timestamp()),
       make_key('07', 'organization', 'A', 'write', NULL, '{192.0.2.0/24}');
SELECT revdesk_revoke_key(id, 'because') FROM revdesk.api_keys WHERE name = '01';
SELECT revdesk_rotate_key(id) FROM revdesk.api_keys WHERE name = '03';
SELECT revdesk_rotate_key(id, '1 millisecond') FROM revdesk.api_keys WHERE name = '05';
SELECT revdesk_rotate_key(id, '1 hour') FROM revdesk.api_keys WHERE name = '06';
SELECT revdesk_suspend_tenant(id) FROM revdesk.tenants WHERE name = 'B';
SELECT revdesk_disable_user(id) FROM revdesk.users WHERE subject = 'ulla';
UPDATE revdesk.api_keys SET environment = 'development' WHERE name = 'key a2';
SQL
	$attacked->safe_psql('postgres', "ALTER DATABASE $database SET revdesk.accepted_environments = 'production'");
	rejected_alike(
		$attacked, $database,
		map { ($_->[0] => "'" . token($_->[1]) . "'") }[ 'revoked', '01' ], [ 'expired', '02' ], [ 'replaced', '03' ], [ 'expired in this second', '04' ],
		[ 'replaced, its grace at an end', '05' ], [ 'from elsewhere', '07' ], [ 'suspended', 'b0' ], [ 'its umbrella suspended', 'b1' ], [ 'its user disabled', 'c1' ],
		[ 'for development', 'a2' ]);
	query_ok($attacked, $database, as_key('06', 'SELECT count(*) FROM app.docs'), '30', 'replaced, in its grace: accepted');
	my $tcp = $attacked->connstr($database) =~ s/host=\S+/host=127.0.0.1/r;
	refused($attacked, $database, '07', 'from elsewhere, over TCP', connstr => $tcp);
	# A transaction that began before the end has no longer.
	query_ok($attacked, $database,
		"BEGIN; SELECT 1 FROM make_key('08', 'organization', 'A', 'write', clock_timestamp() + interval '50 milliseconds') \\g /dev/null\n"
		  . "SELECT 'began before ' || (now() < expires_at) FROM revdesk.api_keys WHERE name = '08'; SELECT FROM pg_sleep(0.06) \\g /dev/null\n"
		  . "SELECT try('SELECT revdesk_authenticate(token(''08''))')",
		"began before true\n28000 API key rejected: SELECT revdesk_authenticate(token('08'))", 'expired since the transaction began', role => $attacked->safe_psql('postgres', 'SELECT current_user'));
};

attack 'K4', 'a revocation next to transactions that go on', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
b> BEGIN ISOLATION LEVEL REPEATABLE READ
b> SELECT 'snapshot ' || count(*) FROM app.docs
c> BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
c> SELECT 'snapshot ' || count(*) FROM app.docs
su> SELECT 'revoked ' || revdesk_revoke_key(id) FROM revdesk.api_keys WHERE name = 'key a1'
a> SELECT 'goes on ' || count(*) FROM app.docs
a> SAVEPOINT s
a> SELECT revdesk_authenticate('${KEY_A1}')
a> ROLLBACK TO s
a> COMMIT
b> SELECT revdesk_authenticate('${KEY_A1}')
c> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT revdesk_authenticate('${KEY_A1}')
b> ROLLBACK
b> SELECT 'nobody ' || count(*) FROM app.docs
must revoked true
must goes on 10
must (?s)(28000.*){4}
must nobody 0
CASE

attack 'K5', 'reading keys and hashes', <<'CASE';
su> ANALYZE revdesk.api_keys
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
a> SELECT try('SELECT key_hash FROM revdesk.api_keys LIMIT 1')
a> SELECT try('SELECT count(*) FROM revdesk.api_keys')
a> SELECT try('SELECT id FROM revdesk.tenants LIMIT 1')
a> SELECT try('SELECT user_id FROM revdesk.memberships LIMIT 1')
a> SELECT try('SELECT stavalues1 FROM pg_statistic LIMIT 1')
a> SELECT try('SELECT key_hash FROM revdesk_keys LIMIT 1')
a> SELECT try('SELECT count(*) FROM revdesk.managed_keys')
a> SELECT try('SELECT details FROM revdesk.audit_log LIMIT 1')
a> SELECT try('SELECT revdesk.token_hash(''x'')')
a> SELECT 'stats ' || count(*) FROM pg_stats WHERE schemaname = 'revdesk' AND tablename <> 'protected_tables'
a> SELECT 'keys: ' || string_agg(name, ',' ORDER BY name) FROM revdesk_keys
a> SELECT 'as text ' || count(*) FROM revdesk_keys WHERE revdesk_keys::text ~ '[0-9a-f]{64}|revdesk_[0-9a-f]{32}'
a> SELECT 'account ' || (revdesk_account()::text ~ '[0-9a-f]{64}|revdesk_[0-9a-f]{32}')
a> COMMIT
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'own: ' || string_agg(name, ',') FROM revdesk_keys
a> SELECT revdesk_authenticate('${KEY_B1}')\; SELECT 'own: ' || string_agg(name, ',') FROM revdesk_keys
a> SELECT 'nobody ' || count(*) FROM revdesk_keys
must (?s)(42501.*){5}42703.*(42501.*){3}
must stats 0
must keys: key a0,key a1,key a2,key ad,key af
must as text 0
must account false
must own: key a1\n
must own: key b1\n
must nobody 0
mustnot accepted
CASE

attack 'K6', 'keys that are wider than the one that makes them', <<'CASE';
su> SELECT 'made ' || make_key('5e', 'sub_entity', 'A1', 'admin', now() + interval '1 day', '{10.0.0.0/8,::/0,0.0.0.0/0}')
su> UPDATE revdesk.api_keys SET environment = 'development', allowed_networks = NULL WHERE name = '5e'
a> BEGIN
a> SELECT revdesk_authenticate(token('5e'))
a> SELECT try($$SELECT revdesk_create_key('x', 'organization', '${A}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'organization', '${A1}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A2}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${B1}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'user', NULL, '${ULLA}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'user', NULL, '${VICTOR}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', '${VICTOR}', environment => 'development', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', environment => 'production', expires_at => now() + interval '1 hour')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', environment => 'development')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', environment => 'development', expires_at => now() + interval '2 days')$$)
a> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', environment => 'development', expires_at => 'infinity')$$)
a> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', sha256('x'), '${A1}')$$)
a> SELECT try($$SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000a1', 1000000)$$)
a> SELECT try($$SELECT revdesk_create_sub_entity('${A}', 'x')$$)
a> SELECT try($$SELECT revdesk_add_member('${A2}', '${ULLA}')$$)
a> SELECT try($$SELECT revdesk_provision_account('x', 'ulla')$$)
a> SELECT 'allowed: ' || left(try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', access => 'admin', environment => 'development', expires_at => now() + interval '1 hour')$$), 8)
a> COMMIT
w> BEGIN
w> SELECT revdesk_authenticate('${KEY_A1}')
w> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', access => 'read')$$)
w> SELECT try($$SELECT revdesk_rotate_key(revdesk_key_id())$$)
w> COMMIT
n> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', access => 'read')$$)
must (?s)(42501 .*){16}allowed: accepted.*(42501 .*){3}
mustnot permission denied
CASE

attack 'K7', 'keys and tenants that do not fit each other', <<'CASE';
su> SELECT try($$SELECT revdesk_create_key('x', 'organization', '${A1}')$$)
su> SELECT try($$SELECT revdesk_create_key('x', 'sub_entity', '${A}')$$)
su> SELECT try($$SELECT revdesk_create_key('x', 'user', '${A}', '${ULLA}')$$)
su> SELECT try($$SELECT revdesk_create_sub_entity('${A1}', 'grandchild')$$)
su> INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id) VALUES ('x', sha256('1'), 'organization', '${A1}')
su> INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id) VALUES ('x', sha256('2'), 'sub_entity', '${B}')
su> INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id) VALUES ('x', sha256('3'), 'user', '${B}')
su> INSERT INTO revdesk.api_keys (name, key_hash, scope) VALUES ('x', sha256('4'), 'user')
su> UPDATE revdesk.api_keys SET tenant_id = '${B}' WHERE name = 'key a1'
su> UPDATE revdesk.api_keys SET scope = 'organization' WHERE name = 'key a1'
su> INSERT INTO revdesk.tenants (name, umbrella_id) VALUES ('grandchild', '${A1}')
su> INSERT INTO revdesk.tenants (id, name, umbrella_id) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'own', 'eeeeeeee-0000-0000-0000-000000000000')
su> UPDATE revdesk.tenants SET umbrella_id = '${B}' WHERE name = 'A1'
su> UPDATE revdesk.tenants SET umbrella_id = NULL WHERE name = 'A1'
su> UPDATE revdesk.tenants SET umbrella_id = '${B}' WHERE name = 'A'
su> UPDATE revdesk.tenants SET id = gen_random_uuid() WHERE name = 'A1'
su> BEGIN\; SET CONSTRAINTS ALL DEFERRED\; INSERT INTO revdesk.tenants (id, name, umbrella_id) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'E', NULL), ('eeeeeeee-0000-0000-0000-000000000001', 'E1', 'eeeeeeee-0000-0000-0000-000000000000'), ('eeeeeeee-0000-0000-0000-000000000002', 'E11', 'eeeeeeee-0000-0000-0000-000000000001')\; COMMIT
su> SELECT 'keys ' || (SELECT count(*) FROM revdesk.api_keys) || ' tenants ' || (SELECT count(*) FROM revdesk.tenants)
must (?s)23514 .*23514 .*22023 .*23514 .*(ERROR:  23514.*){13}
must keys 9 tenants 5
mustnot accepted
CASE

attack 'K8', 'hashes that are there already, or are none', <<'CASE';
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', sha256('${KEY_A1}'), '${A1}')$$)
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', sha256('${KEY_A1}'), '${B1}')$$)
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', '\x00', '${B1}')$$)
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', sha512('x'), '${B1}')$$)
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', '${KEY_A2}', '${B1}')$$)
su> SELECT try($$SELECT revdesk_import_key('x', 'sub_entity', NULL, '${B1}')$$)
su> INSERT INTO revdesk.api_keys (name, key_hash, scope, tenant_id) VALUES ('x', sha256('${KEY_A1}'), 'sub_entity', '${B1}')
su> UPDATE revdesk.api_keys SET key_hash = '\x00' WHERE name = 'key b1'
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'still ' || count(*) FROM app.docs WHERE tenant_id = '${A1}'
must (?s)23505 .*23505 .*(22023 .*){4}23505.*23514
must still 10
mustnot accepted
CASE

attack 'K9', 'two rotations at once, a rotation and a revocation at once', <<'CASE';
su> BEGIN
su> SELECT FROM revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a1')
a=postgres
a& SELECT try($$SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a1')$$)
su> DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> COMMIT
a?
su> BEGIN
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000b1')
a& SELECT try($$SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000b1')$$)
su> DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> COMMIT
a?
su> BEGIN
su> SELECT FROM revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a2')
a& SELECT 'revoked: ' || try($$SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2')$$)
su> DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> COMMIT
a?
su> SELECT 'live ' || name || ' ' || count(*) FILTER (WHERE revoked_at IS NULL) || ' of ' || count(*) FROM revdesk.api_keys WHERE name IN ('key a1', 'key a2', 'key b1') GROUP BY name
must (?s)55000 .*55000 .*revoked: accepted f
must live key a1 1 of 2
must live key a2 1 of 2
must live key b1 0 of 1
CASE

attack 'K10', 'names, reasons and metadata', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
a> SELECT 'made ' || count(*) FROM revdesk_create_key('''; DROP TABLE revdesk.api_keys; --" %s %I \ $1', 'sub_entity', '${A1}', metadata => '{"''; DROP": "%s"}')
a> SELECT 'kept ' || name || metadata FROM revdesk_keys WHERE name ~ 'DROP'
a> SELECT 'revoked ' || revdesk_revoke_key(key_id, ''';%s"') FROM revdesk_keys WHERE name ~ 'DROP'
a> SELECT 'reason ' || revoked_reason FROM revdesk_keys WHERE name ~ 'DROP'
a> SELECT left(try($$SELECT revdesk_create_key(repeat('x', 1048576), 'sub_entity', '${A1}')$$), 60)
a> SELECT left(try($$SELECT revdesk_create_key('', 'sub_entity', '${A1}')$$), 60)
a> SELECT left(try($$SELECT revdesk_create_key(E'a\nb', 'sub_entity', '${A1}')$$), 60)
a> SELECT left(try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', metadata => jsonb_build_object('x', repeat('x', 1048576)))$$), 60)
a> SELECT left(try($$SELECT revdesk_create_key('x', 'sub_entity', '${A1}', metadata => '[]')$$), 60)
a> SELECT left(try($$SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a2', repeat('x', 1048576))$$), 60)
a> SELECT left(try($$SELECT revdesk_create_key('x', repeat('x', 1048576), '${A1}')$$), 60)
a> COMMIT
su> SELECT 'there are ' || count(*) FROM revdesk.api_keys
must made 1
must kept '; DROP TABLE revdesk.api_keys; --" %s %I \\ \$1\{"'; DROP": "%s"\}
must revoked true
must reason ';%s"
must (?s)(22023 .*){7}
must there are 10
mustnot accepted
CASE

# The clock of a test proves nothing here; that each attempt is one probe of an
# index by the hash does: how much of a key is right, no probe can tell.
attack 'K11', 'the time for an attempt with the right beginning', <<'CASE';
su> SELECT pg_stat_reset_single_table_counters('revdesk.api_keys_key_hash_idx'::regclass)
a> DO $$ DECLARE known text := token('a1');
  BEGIN
    FOR i IN 9..39 LOOP
      BEGIN PERFORM revdesk_authenticate(left(known, i) || repeat('0', 40 - i)); RAISE NOTICE 'opened'; EXCEPTION WHEN invalid_authorization_specification THEN NULL; END;
      BEGIN PERFORM revdesk_authenticate('revdesk_' || repeat('0', i - 8) || substr(known, i + 1)); RAISE NOTICE 'opened'; EXCEPTION WHEN invalid_authorization_specification THEN NULL; END;
    END LOOP;
  END $$
a> SELECT pg_stat_force_next_flush()
a> SELECT 1
su> SELECT 'probes ' || idx_scan || ' entries ' || idx_tup_read FROM pg_stat_all_indexes WHERE indexrelname = 'api_keys_key_hash_idx'
su> SELECT 'sequential ' || COALESCE(seq_scan - seq_scan, 0) FROM pg_stat_all_tables WHERE relid = 'revdesk.api_keys'::regclass
su> SELECT 'other indexes ' || count(*) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = 'revdesk.api_keys'::regclass AND attname = 'hint'
must probes 62 entries 0
must other indexes 0
mustnot opened
CASE

attack 'K21', 'a key of a transaction that was rolled back, or is not committed', <<'CASE';
su> BEGIN
su> SELECT 'made ' || make_key('21', 'organization', 'B', 'admin')
a> SELECT 'not committed ' || try('SELECT revdesk_authenticate(token(''21''))')
su> ROLLBACK
a> SELECT 'rolled back ' || try('SELECT revdesk_authenticate(token(''21''))')
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_ADMIN}')
b> SAVEPOINT s
b> SELECT 'made ' || (SELECT hint FROM revdesk_keys WHERE key_id = made.key_id) IS NOT NULL, set_config('my.token', made.token, false) IS NOT NULL FROM revdesk_create_key('x', 'organization', '${A}') AS made
b> ROLLBACK TO s
b> COMMIT
b> SELECT 'a savepoint ' || try(format('SELECT revdesk_authenticate(%L)', current_setting('my.token')))
must not committed 28000
must rolled back 28000
must a savepoint 28000
CASE

# REINDEX and ANALYZE run an owner's functions in the administrator's session;
# the rights that count there are nobody's.
attack 'K22', 'making a key in the session of an administrator', <<'CASE';
a> CREATE FUNCTION mine.trap(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN PERFORM public.revdesk_create_key('trapped', 'organization', '${B}', access => 'admin'); RETURN i;
  EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'refused: %', SQLERRM; RETURN i; END $$
a> CREATE TABLE mine.bait (i integer)
a> INSERT INTO mine.bait VALUES (1)
a> CREATE INDEX trap ON mine.bait (mine.trap(i))
su> REINDEX TABLE mine.bait
su> ANALYZE mine.bait
su> VACUUM FULL mine.bait
su> SELECT 'trapped ' || count(*) FROM revdesk.api_keys WHERE name = 'trapped'
must (?s)(refused: cannot manage revdesk_auth within security-restricted operation.*){3}
must trapped 0
CASE

attack 'K23', 'keys of others, by their id', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
a> SELECT try($$SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000b0')$$)
a> SELECT try($$SELECT revdesk_revoke_key('99999999-0000-0000-0000-0000000000b0')$$)
a> SELECT try($$SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000b1')$$)
a> SELECT try($$SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000c2')$$)
a> SELECT try($$SELECT count(*) FROM revdesk_usage('dddddddd-0000-0000-0000-0000000000b0')$$)
a> SELECT try($$SELECT count(*) FROM revdesk_usage('00000000-0000-0000-0000-000000000000')$$)
a> SELECT try($$SELECT revdesk_remove_member('${B}', '${ULLA}', true)$$)
a> SELECT try($$SELECT revdesk_suspend_tenant('${A1}')$$)
a> SELECT 'seen ' || count(*) FROM revdesk_keys WHERE scope = 'user' OR tenant_id IN ('${B}', '${B1}')
a> SELECT 'log ' || count(*) FROM revdesk_audit WHERE tenant_id IS NULL OR tenant_id IN ('${B}', '${B1}')
a> COMMIT
su> SELECT 'live ' || count(*) FROM revdesk.api_keys WHERE revoked_at IS NULL
must (?s)(42501 key "[-0-9a-f]+" does not exist, or is outside your scope.*){6}(42501 .*){2}
must seen 0
must log 0
must live 9
mustnot accepted|permission denied
CASE

attack 'K24', 'a key whose tenant, user or successor is deleted under it', <<'CASE';
su> DELETE FROM revdesk.tenants WHERE name = 'A1'
su> DELETE FROM revdesk.users WHERE subject = 'ulla'
su> UPDATE revdesk.api_keys SET replaced_by = id WHERE false
su> SET session_replication_role = replica
su> DELETE FROM revdesk.tenants WHERE name = 'A1'
su> DELETE FROM revdesk.users WHERE subject = 'victor'
su> SET session_replication_role = origin
a> SELECT 'tenant gone ' || try('SELECT revdesk_authenticate(token(''a1''))')
a> SELECT 'user gone ' || try('SELECT revdesk_authenticate(token(''c2''))')
a> SELECT 'nobody ' || count(*) FROM app.docs
must (?s)23503.*23503
must tenant gone 28000
must user gone 28000
must nobody 0
CASE

# A foreign key's action runs as the owner of the table that refers, and not as a
# security-restricted operation.  (AFTER triggers run as whoever did the DELETE,
# up to PostgreSQL 17: as this superuser, who may do anything.)
attack 'K25', 'making a key in the action of a foreign key', <<'CASE';
su> CREATE TABLE app.plans (id integer PRIMARY KEY)
su> INSERT INTO app.plans VALUES (1), (2)
su> GRANT REFERENCES ON app.plans TO api
a> CREATE TABLE mine.cascaded (plan integer REFERENCES app.plans ON DELETE CASCADE ON UPDATE CASCADE)
a> INSERT INTO mine.cascaded VALUES (1), (2)
a> CREATE FUNCTION mine.cascade() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM public.revdesk_create_key('trapped', 'organization', '${B}', access => 'admin'); RETURN COALESCE(NEW, OLD);
  EXCEPTION WHEN insufficient_privilege THEN RAISE WARNING 'refused: %', SQLERRM; RETURN COALESCE(NEW, OLD); END $$
a> CREATE TRIGGER cascade BEFORE UPDATE OR DELETE ON mine.cascaded FOR EACH ROW EXECUTE FUNCTION mine.cascade()
su> DELETE FROM app.plans WHERE id = 1
su> UPDATE app.plans SET id = 3 WHERE id = 2
su> SELECT 'trapped ' || count(*) FROM revdesk.api_keys WHERE name = 'trapped'
must (?s)(refused: cannot manage revdesk_auth within the action of a foreign key.*){2}
must trapped 0
CASE

# The context goes on until the transaction ends; what it may make does not.
attack 'K26', 'making keys in a transaction that began before the revocation', <<'CASE';
a> BEGIN ISOLATION LEVEL REPEATABLE READ
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
a> SELECT 'before ' || count(*) FROM revdesk_create_key('before', 'organization', '${A}', access => 'admin')
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000ad')
a> SELECT try($$SELECT revdesk_create_key('after', 'organization', '${A}', access => 'admin')$$)
a> SELECT try($$SELECT revdesk_issue_token('after')$$)
a> SELECT try($$SELECT revdesk_rotate_key('dddddddd-0000-0000-0000-0000000000a0')$$)
a> SELECT try($$SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a0')$$)
a> SELECT try($$SELECT revdesk_add_member('${A}', '${ULLA}')$$)
a> SELECT try($$SELECT revdesk_remove_member('${A1}', '${ULLA}')$$)
a> SELECT try($$SELECT revdesk_create_sub_entity('${A}', 'after')$$)
a> COMMIT
su> SELECT 'after ' || count(*) FROM revdesk.api_keys WHERE name = 'after'
su> UPDATE revdesk.api_keys SET revoked_at = NULL WHERE id = 'dddddddd-0000-0000-0000-0000000000ad'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ADMIN}')
su> SELECT revdesk_suspend_tenant('${A}')
a> SELECT try($$SELECT revdesk_create_key('suspended', 'organization', '${A}')$$)
a> COMMIT
must before 1
must (?s)(42501 the key or session has ended.*){7}
must after 0
must 42501 the key or session has ended: SELECT revdesk_create_key\('suspended'
mustnot accepted
CASE

attack_end();
