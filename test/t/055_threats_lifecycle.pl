# Threats of sections K and H, the life of a key and the hierarchy of tenants:
# what has ended does not authenticate, whatever snapshot, transaction or clock
# asks, and nobody sees more than the two levels give.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth', 'revdesk.flush_interval = 3600');
my $seen = "string_agg(DISTINCT split_part(body, '_', 2), ',' ORDER BY split_part(body, '_', 2))";
$node->safe_psql('template', <<"SQL");
CREATE VIEW app.seen WITH (security_invoker = true) AS SELECT 'sees ' || COALESCE($seen, 'nobody') FROM app.docs;
GRANT SELECT ON app.seen TO api;
CREATE FUNCTION app.accepts(token text) RETURNS boolean
LANGUAGE plpgsql
AS \$\$
BEGIN
  PERFORM revdesk_authenticate(token);
  PERFORM revdesk_deauthenticate();
  RETURN true;
EXCEPTION WHEN invalid_authorization_specification THEN
  RETURN false;
END
\$\$;
SQL

attack 'K01', 'revoked, expired, suspended, deleted', <<'CASE';
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a0')
su> UPDATE revdesk.api_keys SET expires_at = now() WHERE name = 'key a2'
su> SELECT revdesk_suspend_tenant('${B1}')
su> SELECT revdesk_disable_user('${VICTOR}')
su> DELETE FROM revdesk.tenants WHERE id = '${A1}'
su> DELETE FROM revdesk.api_keys WHERE name = 'key a1'
a> SELECT revdesk_authenticate('${KEY_UNKNOWN}')
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT revdesk_authenticate('${KEY_A2}')
a> SELECT revdesk_authenticate('${KEY_B1}')
a> SELECT revdesk_authenticate('${KEY_VICTOR}')
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT * FROM app.seen
must 23503: update or delete on table "tenants"
must (?s)28000.*28000.*28000.*28000.*28000.*28000.*sees nobody
CASE

attack 'K01', 'every way to end a key, alone and with the others', <<'CASE';
su> UPDATE revdesk.api_keys SET user_id = '${ULLA}' WHERE name = 'key a1'
su> DO $$ DECLARE wrong text := ''; ends text[] := ARRAY['UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = ''key a1''', 'UPDATE revdesk.api_keys SET expires_at = now() WHERE name = ''key a1''', 'UPDATE revdesk.api_keys SET environment = ''development'' WHERE name = ''key a1''', 'UPDATE revdesk.api_keys SET allowed_networks = ''{192.0.2.0/24}'' WHERE name = ''key a1''', 'UPDATE revdesk.users SET disabled_at = now() WHERE subject = ''ulla''', 'UPDATE revdesk.tenants SET suspended_at = now() WHERE name = ''A1''', 'UPDATE revdesk.tenants SET suspended_at = now() WHERE name = ''A''']; BEGIN SET LOCAL revdesk.accepted_environments = 'production'; FOR mask IN 0..127 LOOP BEGIN FOR i IN 1..7 LOOP IF mask & (1 << (i - 1)) <> 0 THEN EXECUTE ends[i]; END IF; END LOOP; IF app.accepts('${KEY_A1}') <> (mask = 0) THEN wrong := wrong || ' ' || mask; END IF; RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; RAISE NOTICE 'wrong:%.', wrong; END $$
must wrong:\.
CASE

attack 'K02', 'suspended umbrella', <<'CASE';
su> SELECT revdesk_suspend_tenant('${A}')
a> SELECT revdesk_authenticate('${KEY_A1}')
su> SELECT revdesk_resume_tenant('${A}')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT * FROM app.seen
a> ROLLBACK
must (?s)28000.*sees A1
CASE

attack 'K03', 'membership removed, user disabled, user deleted', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> SELECT * FROM app.seen
su> SELECT revdesk_remove_member('${A1}', '${ULLA}')
a> SELECT * FROM app.seen
a> ROLLBACK
su> SELECT revdesk_disable_user('${ULLA}')
a> SELECT revdesk_authenticate('${KEY_ULLA}')
su> SELECT revdesk_enable_user('${ULLA}')
su> DELETE FROM revdesk.users WHERE subject = 'ulla'
su> DELETE FROM revdesk.api_keys WHERE user_id = '${ULLA}'
su> DELETE FROM revdesk.memberships WHERE user_id = '${ULLA}'
su> DELETE FROM revdesk.users WHERE subject = 'ulla'
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> SELECT * FROM app.seen
must (?s)sees A1,B,ulla.*sees B,ulla.*28000.*23503.*28000.*sees nobody
CASE

attack 'K04', 'revoked after the snapshot was taken, or imported', <<'CASE';
x> BEGIN ISOLATION LEVEL REPEATABLE READ
x> SELECT pg_export_snapshot() AS snapshot \gset
x> \o snapshot.sql
x> SELECT format('SET TRANSACTION SNAPSHOT %L;', :'snapshot');
x> \o
a> BEGIN ISOLATION LEVEL REPEATABLE READ
a> SELECT 'rows ' || count(*) FROM app.docs
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1')
a> SELECT revdesk_authenticate('${KEY_A1}')
a> ROLLBACK
a> BEGIN ISOLATION LEVEL REPEATABLE READ
a> \i snapshot.sql
a> SELECT 'still at work in the old snapshot'
a> SELECT revdesk_authenticate('${KEY_A1}')
a> ROLLBACK
$ rm -f snapshot.sql
must (?s)rows 0.*28000.*still at work in the old snapshot.*28000
CASE

attack 'K07', 'a revocation that is not committed', <<'CASE';
su> BEGIN
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1')
a> SET lock_timeout = '1s'
a> SELECT 'before: ' || app.accepts('${KEY_A1}')
su> COMMIT
a> SELECT 'after: ' || app.accepts('${KEY_A1}')
must (?s)before: true.*after: false
mustnot 55P03
CASE

# The promise is of the next authentication: README.md, Revocation.
attack 'K08', 'revoked while a transaction is open', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1')
a> SELECT 'open: ' || count(*) FROM app.docs
a> SELECT revdesk_authenticate('${KEY_A1}')
a> ROLLBACK
a> SELECT 'next: ' || app.accepts('${KEY_A1}')
must (?s)open: 10.*28000.*next: false
CASE

# One session revokes a key and gives it back, and says so in a table, with a
# number, after the one is committed and before the other begins.  Three others
# authenticate all the time: whoever reads the same number before and after, and
# was accepted in between, was accepted after the revocation.
# REVDESK_ROUNDS: how many revocations.
attack 'K09', 'a race of authentications and revocations', sub {
	my ($node, $database) = @_;
	my $rounds = $ENV{REVDESK_ROUNDS} // 1000;
	$node->safe_psql($database, <<'SQL');
CREATE TABLE app.acknowledged (number integer, revoked boolean, over boolean);
INSERT INTO app.acknowledged VALUES (0, false, false);
GRANT SELECT ON app.acknowledged TO api;
SQL
	my @spinning = map { Fixture::Session->new($node, $database) } 1 .. 3;
	$_->start(<<"SQL") for @spinning;
DO \$\$
DECLARE
  before app.acknowledged;
  after app.acknowledged;
  accepted boolean;
  tried integer := 0;
  violations integer := 0;
BEGIN
  LOOP
    SELECT * INTO before FROM app.acknowledged;
    EXIT WHEN before.over;
    accepted := app.accepts('@{[ token('a1') ]}');
    IF before.revoked THEN
      SELECT * INTO after FROM app.acknowledged;
      IF after.number = before.number THEN
        tried := tried + 1;
        violations := violations + accepted::integer;
      END IF;
    END IF;
    COMMIT;
  END LOOP;
  RAISE NOTICE 'tried %, violations %', tried, violations;
END
\$\$
SQL
	$node->safe_psql($database, <<"SQL");
DO \$\$
BEGIN
  FOR i IN 1..$rounds LOOP
    UPDATE revdesk.api_keys SET revoked_at = now() WHERE name = 'key a1';
    COMMIT;
    UPDATE app.acknowledged SET number = i, revoked = true;
    COMMIT;
    PERFORM pg_sleep(0.001);
    UPDATE app.acknowledged SET revoked = false, number = -i;
    COMMIT;
    UPDATE revdesk.api_keys SET revoked_at = NULL WHERE name = 'key a1';
    COMMIT;
  END LOOP;
  UPDATE app.acknowledged SET over = true;
END
\$\$
SQL
	my ($tried, $violations) = (0, 0);
	for my $session (@spinning)
	{
		my ($t, $v) = $session->result =~ /tried (\d+), violations (\d+)/ or fail('an end');
		$tried += $t;
		$violations += $v;
		$session->quit;
	}
	cmp_ok($tried, '>', $rounds / 2, "$tried attempts after $rounds revocations");
	is($violations, 0, 'none was accepted');
};

attack 'K10', 'READ ONLY transactions', <<'CASE';
a> BEGIN READ ONLY
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'read only ' || count(*), txid_current_if_assigned() IS NULL FROM app.docs
a> COMMIT
a> BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'deferrable ' || count(*), txid_current_if_assigned() IS NULL FROM app.docs
a> COMMIT
must (?s)read only 10\|t.*deferrable 10\|t
mustnot ERROR
CASE

attack 'K11', 'SERIALIZABLE, and a revocation beside it', <<'CASE';
a> BEGIN ISOLATION LEVEL SERIALIZABLE
a> SELECT count(*) FROM app.docs
su> SELECT revdesk_revoke_key('dddddddd-0000-0000-0000-0000000000a1')
a> SELECT revdesk_authenticate('${KEY_A1}')
a> ROLLBACK
must 28000|40001
CASE

# libfaketime moves the wall clock of a running server, and not the monotonic one.
attack 'K13', 'the clock jumps', sub {
	my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
	my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
	my $set = sub {
		my $offset = shift;
		append_to_file("$clock.new", "$offset\n");
		rename "$clock.new", $clock or die "$clock: $!";
	};
	my $late = PostgreSQL::Test::Cluster->new('late');
	$late->init;
	$late->append_conf('postgresql.conf', "shared_preload_libraries = 'revdesk_auth'");
	{
		local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => $clock, FAKETIME_NO_CACHE => 1,
			FAKETIME_DONT_FAKE_MONOTONIC => 1, DONT_FAKE_MONOTONIC => 1);
		$set->('+0d');
		$late->start;
	}
	install_extension($late, 'postgres');
	make_data($late, 'postgres');
	my $id = sub { return 'dddddddd-0000-0000-0000-0000000000' . shift };
	$late->safe_psql('postgres', "UPDATE revdesk.api_keys SET expires_at = now() + interval '12 hours' WHERE name = 'key a1';"
		  . "SELECT revdesk_limit_key('" . $id->('a2') . "', 1, 'minute', 3), revdesk_limit_key('" . $id->('b1') . "', 1, 'second', 1)");
	my $today = $late->safe_psql('postgres', 'SELECT current_date');
	my $answer = sub {
		my $key = shift;
		my (undef, $stderr) = query($late, 'postgres', as_key($key, 'SELECT 1'));
		return $stderr =~ /over its limit/ ? 'limited' : $stderr =~ /rejected/ ? 'rejected' : $stderr eq '' ? 'accepted' : $stderr;
	};
	is(join(' ', map { $answer->($_) } qw(a1 a2 a2 a2 a2)), 'accepted accepted accepted accepted limited', 'today');

	$set->('+1d');
	is($late->safe_psql('postgres', "SELECT current_date - '$today'::date"), '1', 'the clock jumps a day ahead');
	is($answer->('a1'), 'rejected', 'a day ahead: the key has expired');
	is($answer->('a2'), 'limited', 'a day ahead: the limit is not open');
	is($answer->('b1'), 'accepted', 'a day ahead: another key is');

	$set->('-1d');
	is($late->safe_psql('postgres', "SELECT current_date - '$today'::date"), '-1', 'the clock jumps a day back');
	is($answer->('a1'), 'accepted', 'a day back: the key has not expired');
	is($answer->('a2'), 'limited', 'a day back: the limit is not open');
	my $tries = 0;
	sleep 1 while $answer->('b1') ne 'accepted' && ++$tries < 60;
	cmp_ok($tries, '<', 60, 'a day back: nor shut for ever');
	is($late->safe_psql('postgres', 'SELECT count(*) FROM revdesk.usage_in_memory() AS m WHERE requests < 0 OR 0 > ANY (denied)'), '0', 'no count is negative');
	$late->stop;
};

attack 'K14', 'what is counted and limited is not given back', sub {
	my ($node, $database) = @_;
	my $key = token('a1');
	my $requests = 'SELECT requests FROM revdesk.usage_in_memory(\'dddddddd-0000-0000-0000-0000000000a1\')';
	query($node, $database, "BEGIN;\nSELECT revdesk_authenticate('$key') \\g /dev/null\nROLLBACK;\n" x 1000);
	is($node->safe_psql($database, $requests), '1000', 'a thousand that rolled back');
	$node->safe_psql($database, "SELECT revdesk_limit_key('dddddddd-0000-0000-0000-0000000000a1', 1, 'minute', 5)");
	my (undef, $stderr) = query($node, $database, "BEGIN;\nSELECT revdesk_authenticate('$key') \\g /dev/null\nROLLBACK;\n" x 10);
	my $refused = () = $stderr =~ /over its limit/g;
	is($refused, 5, 'a limit of five');
};

attack 'K15', 'the same key twice', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> SELECT revdesk_authenticate('${KEY_A}')
a> ROLLBACK TO q
a> SELECT * FROM app.seen
a> ROLLBACK
must sees A,A1,A2$
CASE

attack 'H01', 'child, sibling, parent', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 1, * FROM app.seen
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 2, * FROM app.seen
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 3, * FROM app.seen
a> ROLLBACK
must (?m)^1\|sees A1$
must (?m)^2\|sees A,A1,A2$
must (?m)^3\|sees B,B1$
CASE

attack 'H02', 'a cycle', <<'CASE';
su> UPDATE revdesk.tenants SET umbrella_id = '${A1}' WHERE id = '${A}'
su> UPDATE revdesk.tenants SET umbrella_id = id WHERE id = '${A}'
su> INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'eeeeeeee-0000-0000-0000-000000000000', 'own')
su> SELECT revdesk_create_sub_entity('${A1}', 'third level')
su> INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('${A1}', 'third level')
su> SELECT 'umbrellas ' || count(*) FILTER (WHERE umbrella_id IS NULL), 'all ' || count(*) FROM revdesk.tenants
must (?s)23514.*23514.*23514.*23514.*23514.*umbrellas 2\|all 5
CASE

# Nobody moves a tenant.  What can race is a tenant that is made anew below
# another, while somebody else makes a child of it.
attack 'H03', 'two administrators at once', <<'CASE';
x=postgres
y=postgres
y> BEGIN ISOLATION LEVEL REPEATABLE READ
y> SELECT 1
x> UPDATE revdesk.tenants SET umbrella_id = '${B}' WHERE id = '${A}'
y> UPDATE revdesk.tenants SET umbrella_id = '${A}' WHERE id = '${B}'
y> ROLLBACK
x> INSERT INTO revdesk.tenants (id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'E')
y> BEGIN ISOLATION LEVEL REPEATABLE READ
y> SELECT 'y: ' || count(*) FROM revdesk.tenants WHERE name = 'E'
x> BEGIN
x> DELETE FROM revdesk.tenants WHERE name = 'E'
x> INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', '${B}', 'E')
y& INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'third level')
x> COMMIT
y?
y> COMMIT
y> BEGIN
y> INSERT INTO revdesk.tenants (umbrella_id, name) VALUES ('eeeeeeee-0000-0000-0000-000000000000', 'third level')
y> COMMIT
x> SELECT 'levels: ' || count(*) FROM revdesk.tenants AS a JOIN revdesk.tenants AS b ON b.umbrella_id = a.id JOIN revdesk.tenants AS c ON c.umbrella_id = b.id
must (?s)23514.*23514.*y: 1.*40001.*23514.*levels: 0
CASE

attack 'H04', 'a tenant stays where it is, and its rows are moved', <<'CASE';
su> UPDATE revdesk.tenants SET umbrella_id = '${B}' WHERE id = '${A1}'
su> UPDATE revdesk.tenants SET id = gen_random_uuid() WHERE id = '${A1}'
su> UPDATE app.docs SET tenant_id = '${B1}' WHERE tenant_id = '${A1}'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 1, * FROM app.seen
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 2, * FROM app.seen
a> ROLLBACK
must (?s)23514.*23514
must (?m)^1\|sees A,A2$
must (?m)^2\|sees A1,B,B1$
CASE

attack 'H06', 'width: 5,000 sub-entities', <<'CASE';
su> INSERT INTO revdesk.tenants (umbrella_id, name) SELECT '${A}', 'w' || i FROM generate_series(1, 5000) AS i
su> INSERT INTO app.docs (tenant_id, body) SELECT id, 'CANARY_wide_1' FROM revdesk.tenants WHERE name ~ '^w'
su> INSERT INTO app.registrations (id, tenant_id, body) SELECT 0, id, 'CANARY_wide_1' FROM revdesk.tenants WHERE name ~ '^w'
su> SELECT revdesk_add_member(id, '${ULLA}') FROM revdesk.tenants WHERE name ~ '^w' \g /dev/null
a> SET statement_timeout = '3s'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'by umbrella ' || count(*) FROM app.docs
a> SELECT 'by tenants ' || count(*) FROM app.registrations
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> SELECT 'member of ' || count(*) FROM app.docs
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'another ' || count(*) FROM app.docs
a> ROLLBACK
must by umbrella 5030
must by tenants 5030
must member of 5030
must another 20
mustnot ERROR
CASE

attack 'H08', 'names with quotes, commas, control characters', <<'CASE';
su> SELECT revdesk_create_sub_entity('${A}', '${A},${B}') IS NOT NULL, revdesk_create_sub_entity('${A}', '''; DROP TABLE app.docs; --') IS NOT NULL, revdesk_create_sub_entity('${A}', '{${A1},${B}}') IS NOT NULL
su> SELECT revdesk_create_sub_entity('${A}', E'x\n2026-01-01 LOG: forged')
su> SELECT revdesk_create_sub_entity('${A}', E'x\x1b[31m')
su> INSERT INTO revdesk.tenants (name) VALUES (E'x\ny')
su> SELECT revdesk_create_user(E'x\ry')
su> SELECT revdesk_create_key(E'x\ny', 'organization', '${A}')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT * FROM app.seen
a> ROLLBACK
must ^\s*t\|t\|t
must (?s)22023.*22023.*23514.*22023.*22023.*sees A,A1,A2$
CASE

attack_end;
