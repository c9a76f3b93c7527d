# Attacks G: nobody forges a context, keeps one, or changes one.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use IO::Socket::UNIX;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth');
$node->safe_psql('template', 'CREATE SCHEMA mine AUTHORIZATION api');

attack 'G1', 'every way to set every setting under the prefix', <<'CASE';
a> CREATE FUNCTION mine.forge() RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE setting record; way text; tried integer := 0;
  BEGIN
    FOR setting IN
      SELECT name FROM pg_settings WHERE name LIKE 'revdesk.%'
      UNION VALUES ('revdesk.context'), ('revdesk.unknown'), ('revdesk.a.b'), ('RevDesk.Tenant_ID'), ('revdesk.')
    LOOP
      FOREACH way IN ARRAY ARRAY['SET %I = %L', 'SET SESSION %I = %L', 'SET LOCAL %I = %L', 'SELECT set_config(%2$L, %3$L, false)',
        'SELECT set_config(%2$L, %3$L, true)', 'SET LOCAL %I TO DEFAULT', 'RESET %I', 'SET LOCAL %I FROM CURRENT']
      LOOP
        tried := tried + 1;
        BEGIN
          EXECUTE replace(format(replace(way, '%I', '@'), '${B}', setting.name, '${B}'), '@', setting.name);
          RAISE NOTICE 'accepted: % %', way, setting.name;
        EXCEPTION WHEN insufficient_privilege OR cant_change_runtime_param OR undefined_object OR invalid_name OR syntax_error THEN
          NULL;
        END;
      END LOOP;
    END LOOP;
    RAISE NOTICE 'tried enough: %', tried > 100;
    RETURN count(*) FROM app.docs;
  END $$
a> SELECT 'nobody sees ' || mine.forge()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'A1 sees ' || mine.forge()
a> SELECT 'still ' || revdesk_tenant_id()
a> COMMIT
must tried enough: t
must nobody sees 0
must A1 sees 10
must still ${A1}
mustnot accepted|ERROR
CASE

attack 'G3', 'options of the connection, of the role, of the database, of functions', <<'CASE';
$ PGOPTIONS='-c revdesk.tenant_id=${B}' psql -XAtU api -c 'SELECT count(*) FROM app.docs'
$ PGOPTIONS='-c revdesk.context=${B}' psql -XAtU api -c 'SELECT count(*) FROM app.docs'
$ psql -XAt "user=api options='--revdesk.scope=organization --revdesk.tenant-id=${B}'" -c 'SELECT count(*) FROM app.docs'
su> ALTER DATABASE ${DATABASE} OWNER TO api
a> ALTER ROLE api SET revdesk.tenant_id = '${B}'
a> ALTER ROLE api SET revdesk.context = '${B}'
a> ALTER DATABASE ${DATABASE} SET revdesk.context = '${B}'
a> ALTER ROLE api IN DATABASE ${DATABASE} SET revdesk.unknown = '${B}'
a> CREATE FUNCTION mine.f() RETURNS bigint LANGUAGE sql SET revdesk.tenant_id = '${B}' AS 'SELECT count(*) FROM app.docs'
a> CREATE FUNCTION mine.g() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
  $$SELECT set_config('revdesk.context', '${B}', true); SELECT count(*) FROM app.docs$$
a> SELECT mine.f()
a> SELECT mine.g()
b> SELECT 'b sees ' || count(*) FROM app.docs
su> SELECT 'stored ' || count(*) FROM pg_db_role_setting
must b sees 0
must stored 0
must (?s)(FATAL.*){3}(ERROR.*){7}
mustnot CANARY
mustnot (?m)^[1-9]\d*$
CASE

attack 'G4', 'UPDATE pg_settings', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT s
a> UPDATE pg_settings SET setting = '${B}' WHERE name = 'revdesk.tenant_id'
a> ROLLBACK TO s
a> UPDATE pg_settings SET setting = '${B}' WHERE name = 'revdesk.context'
a> INSERT INTO pg_settings (name, setting) VALUES ('revdesk.context', '${B}')
a> ROLLBACK TO s
a> SELECT 'still ' || revdesk_tenant_id()
a> SELECT 'rows ' || count(*) || min(body) FROM app.docs
must 55P02
must still ${A1}
must rows 10CANARY_A1
CASE

attack 'G5', 'RESET, RESET ALL, DISCARD, SET ROLE and SET SESSION AUTHORIZATION', <<'CASE';
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A1}')
su> SET LOCAL ROLE api
su> SELECT 'as role ' || count(*) FROM app.docs
su> RESET ROLE
su> SET LOCAL SESSION AUTHORIZATION api
su> SELECT 'as session ' || count(*) FROM app.docs
su> SAVEPOINT s
su> RESET ALL
su> SELECT 'reset ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
su> ROLLBACK TO s
su> RESET revdesk.context
su> ROLLBACK TO s
su> DISCARD ALL
su> ROLLBACK
su> SELECT 'after ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A1}')
b> COMMIT
b> DISCARD ALL
b> SELECT 'discarded ' || count(*) FROM app.docs
must as role 10
must as session 10
must reset 0 true
must 42501
must 25001
must after 70 true
must discarded 0
CASE

attack 'G6', 'two keys and savepoints in one transaction', <<'CASE';
a> BEGIN
a> SAVEPOINT s
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'first ' || count(*) FROM app.docs
a> ROLLBACK TO s
a> SELECT 'none ' || count(*) FROM app.docs
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'second ' || count(*) FROM app.docs WHERE body ~ 'B'
a> SAVEPOINT t
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'in the failed one ' || count(*) FROM app.docs
a> ROLLBACK TO t
a> SELECT revdesk_authenticate('${KEY_UNKNOWN}')
a> ROLLBACK TO t
a> SELECT 'still second ' || count(*) FROM app.docs WHERE body ~ 'B'
a> SELECT revdesk_deauthenticate()
a> SELECT 'dropped ' || count(*) FROM app.docs
a> ROLLBACK TO t
a> SELECT 'second again ' || count(*) FROM app.docs WHERE body ~ 'B'
a> RELEASE s
a> SELECT 'released ' || count(*) FROM app.docs WHERE body ~ 'B'
a> COMMIT
must first 10
must none 0
must second 20
must 25001
must 25P02
must 28000
must still second 20
must dropped 0
must second again 20
must released 20
CASE

attack 'G7', 'a connection whose transaction has ended', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> COMMIT
a> SELECT 'committed ' || count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> ABORT
a> SELECT 'aborted ' || count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 1 / 0
a> COMMIT
a> SELECT 'failed ' || count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> COMMIT AND CHAIN
a> SELECT 'chained ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
a> COMMIT
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'autocommit ' || count(*) FROM app.docs
must committed 0
must aborted 0
must failed 0
must chained 0 true
must autocommit 0
CASE

# The lock lets the authentication wait where the table is opened, which is
# the middle of it.
attack 'G8', 'a timeout, a cancel and a terminate in the middle of an authentication', <<'CASE';
su> BEGIN
su> LOCK TABLE revdesk.api_keys
a> BEGIN
a> SET LOCAL statement_timeout = '20ms'
a> SELECT revdesk_authenticate('${KEY_B}')
a> ROLLBACK
a> SELECT 'timed out ' || (revdesk_scope() IS NULL)
a> BEGIN
a> SAVEPOINT s
a& SELECT revdesk_authenticate('${KEY_B}')
su> DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted
a?
a> ROLLBACK TO s
a> SELECT 'cancelled ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
a> COMMIT
b& SELECT revdesk_authenticate('${KEY_B}')
su> DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted
b?
su> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'afterwards ' || count(*) FROM app.docs
must (?s)57014.*57014.*57P01
must timed out true
must cancelled 0 true
must afterwards 10
CASE

attack 'G9', 'a prepared transaction with a context', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'CANARY_B_prepared')
a> PREPARE TRANSACTION 'p'
a> SELECT 'left behind ' || count(*) FROM app.docs
b> SELECT 'elsewhere ' || count(*) FROM app.docs
b> COMMIT PREPARED 'p'
b> SELECT 'committed elsewhere ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A1}')
b> SELECT 'as A1 ' || count(*) FROM app.docs
must left behind 0
must elsewhere 0
must committed elsewhere 0 true
must as A1 10
mustnot ERROR
CASE

attack 'G10', 'claims and headers set by hand', <<'CASE';
a> BEGIN
a> SELECT set_config('request.jwt.claims', '{"sub": "ulla", "role": "api", "iat": 9999999999}', true) IS NOT NULL
a> SELECT 'claims alone ' || count(*) FROM app.docs
a> SELECT revdesk_authenticate()
a> ROLLBACK
a> SET request.jwt.claims = '{"sub": "ulla", "company_id": "${B}"}'
a> SET request.headers = '{"authorization": "Bearer x", "x-revdesk-tenant": "${B}"}'
a> BEGIN
a> SELECT revdesk_authenticate()
a> ROLLBACK
a> SELECT 'after ' || count(*) FROM app.docs
must claims alone 0
must (?s)PGRST.*PGRST
must after 0
CASE

# lint reports such a grant; what it gives is the right to drop one's context.
attack 'G11', 'GRANT SET ON PARAMETER of the hidden setting', <<'CASE';
su> GRANT SET ON PARAMETER revdesk.context TO api
a> SET revdesk.context = '${B}'
a> SET LOCAL revdesk.context TO 'x'
a> ALTER ROLE api SET revdesk.context = '${B}'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT set_config('revdesk.context', '${B}', true)
a> ROLLBACK
a> SELECT 'sees ' || count(*) FROM app.docs
su> REVOKE SET ON PARAMETER revdesk.context FROM api
must (?s)(42501.*){4}
must sees 0
CASE

attack 'G12', 'functions, operators and temporary tables in place of ours', <<'CASE';
a> CREATE FUNCTION mine.revdesk_scope_visible(tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL) RETURNS boolean
  LANGUAGE sql AS 'SELECT true'
a> CREATE FUNCTION mine.revdesk_scope_sub_entity() RETURNS uuid LANGUAGE sql AS $$SELECT '${B}'::uuid$$
a> CREATE FUNCTION mine.revdesk_scope() RETURNS text LANGUAGE sql AS $$SELECT 'organization'$$
a> CREATE FUNCTION mine.equal(a uuid, b uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'
a> CREATE OPERATOR mine.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = mine.equal)
a> CREATE FUNCTION mine.uuid_eq(a uuid, b uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'
a> CREATE TEMP TABLE api_keys AS SELECT sha256('x') AS key_hash, 'organization' AS scope, '${B}'::uuid AS tenant_id
a> CREATE TEMP TABLE tenants AS SELECT '${B}'::uuid AS id
a> CREATE FUNCTION pg_temp.revdesk_tenant_id() RETURNS uuid LANGUAGE sql AS $$SELECT '${B}'::uuid$$
a> SET search_path = pg_temp, mine, app, public, pg_catalog
a> BEGIN
a> SELECT public.revdesk_authenticate('${KEY_A1}')
a> SELECT 'docs ' || count(*) FROM docs
a> SELECT 'parts ' || count(*) FROM parts
a> SELECT 'own up ' || count(*) FROM registrations
a> SELECT 'acts for ' || tenant_id FROM public.revdesk_context()
a> INSERT INTO docs (tenant_id) VALUES ('${B}')
a> ROLLBACK
a> SELECT 'nobody ' || count(*) FROM docs
must docs 10
must parts 10
must own up 20
must acts for ${A1}
must 42501
must nobody 0
CASE

attack 'G13', 'objects of our names before CREATE EXTENSION', <<'CASE';
su> \set SHOW_CONTEXT never
su> SET client_min_messages = error
su> DROP EXTENSION revdesk_auth CASCADE
su> CREATE SCHEMA revdesk AUTHORIZATION api
su> CREATE EXTENSION revdesk_auth
su> DROP SCHEMA revdesk
su> GRANT CREATE ON SCHEMA public TO api
a> CREATE FUNCTION public.revdesk_scope_visible(tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL) RETURNS boolean
  LANGUAGE sql AS 'SELECT true'
su> CREATE EXTENSION revdesk_auth
a> DROP FUNCTION public.revdesk_scope_visible(uuid, uuid, uuid)
a> CREATE VIEW public.revdesk_keys AS SELECT 1 AS key_id
su> CREATE EXTENSION revdesk_auth
a> DROP VIEW public.revdesk_keys
su> SELECT 'left ' || count(*) FROM pg_proc WHERE proname ~ '^revdesk_'
su> CREATE EXTENSION revdesk_auth
su> SELECT 'owners ' || count(*) FROM pg_proc WHERE proname ~ '^revdesk_' AND proowner <> 'postgres'::regrole
must (?s)42P06.*42723.*42P07
must left 0
must owners 0
CASE

# libpq sends only options that it knows; others send any.
attack 'G21', 'settings as parameters of the start-up packet', sub {
	my ($attacked, $database) = @_;
	for my $setting ('revdesk.context', 'revdesk.tenant_id', 'REVDESK.Context', 'revdesk.accepted_environments', 'revdesk.session_roles')
	{
		my $socket = IO::Socket::UNIX->new(Peer => $attacked->host . '/.s.PGSQL.' . $attacked->port) or die "socket: $!\n";
		my $packet = pack('N', 196608) . join('', map { "$_\0" } 'user', 'api', 'database', $database, $setting, 'api') . "\0";
		print {$socket} pack('N', length($packet) + 4), $packet;
		$socket->flush;
		my $answer = '';
		while (sysread $socket, my $part, 8192)
		{
			$answer .= $part;
			last if $answer =~ /Z\x00{3}\x05I$/;
		}
		like($answer, qr/FATAL/, "$setting: the connection is refused");
		unlike($answer, qr/Z\x00{3}\x05I$/, "$setting: and never ready for a query");
	}
};

# PostgreSQL holds the loop's rows over the COMMIT, those that were seen then.
attack 'G22', 'commits in the middle of a loop, and in functions with a SET clause', <<'CASE';
a> CREATE PROCEDURE mine.loop() LANGUAGE plpgsql AS $$
  DECLARE held text; seen text := ''; n integer;
  BEGIN
    PERFORM revdesk_authenticate('${KEY_A1}');
    FOR held IN SELECT body FROM app.docs ORDER BY id LOOP
      seen := seen || held;
      COMMIT;
      n := (SELECT count(*) FROM app.docs);
      IF n > 0 OR revdesk_scope() IS NOT NULL THEN RAISE NOTICE 'kept: %', n; END IF;
      PERFORM revdesk_authenticate('${KEY_B}');
    END LOOP;
    RAISE NOTICE 'looped over %, of others: %', length(seen), seen ~ 'CANARY_(A_|A2|B|ulla|victor)';
  END $$
a> CALL mine.loop()
a> SELECT 'after the call ' || count(*) FROM app.docs
a> CREATE FUNCTION mine.switch(token text) RETURNS text LANGUAGE plpgsql SET work_mem = '1MB' AS $$
  BEGIN PERFORM revdesk_deauthenticate(); PERFORM revdesk_authenticate(token); RETURN revdesk_tenant_id(); END $$
a> SELECT mine.switch('${KEY_B}')
a> SELECT 'after the function ' || count(*) FROM app.docs
must looped over 111, of others: f
must after the call 0
must (?s)${B}.*after the function 0
mustnot kept|ERROR
CASE

# PostgreSQL runs a table owner's functions with its rights during ANALYZE and
# REINDEX, in whoever's transaction that is.
attack 'G23', 'switching the context of an administrator through an index of one\'s own', <<'CASE';
a> CREATE FUNCTION mine.trap(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN PERFORM public.revdesk_deauthenticate(); PERFORM public.revdesk_authenticate('${KEY_B}'); RAISE NOTICE 'trapped %', public.revdesk_tenant_id(); RETURN i; END $$
a> CREATE TABLE mine.bait (i integer)
a> INSERT INTO mine.bait SELECT generate_series(1, 10)
a> CREATE INDEX trap ON mine.bait (mine.trap(i))
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A1}')
su> ANALYZE mine.bait
su> SELECT 'after ANALYZE ' || revdesk_tenant_id()
su> REINDEX INDEX mine.trap
su> SELECT 'after REINDEX ' || revdesk_tenant_id()
su> COMMIT
su> REINDEX INDEX mine.trap
su> SELECT 'outside ' || (revdesk_scope() IS NULL)
must after ANALYZE ${A1}
must after REINDEX ${A1}
must outside true
must (?s)(trapped ${B}.*after.*){2}trapped.*outside
mustnot ERROR
CASE

attack 'G24', 'an authentication that a PL/pgSQL exception undoes', <<'CASE';
a> BEGIN
a> DO $$ BEGIN PERFORM revdesk_authenticate('${KEY_B}'); RAISE EXCEPTION 'undo'; EXCEPTION WHEN OTHERS THEN NULL; END $$
a> SELECT 'undone ' || count(*) || ' ' || (revdesk_scope() IS NULL) FROM app.docs
a> SELECT revdesk_authenticate('${KEY_A1}')
a> DO $$ BEGIN PERFORM revdesk_deauthenticate(); PERFORM revdesk_authenticate('${KEY_B}'); PERFORM 1 / 0;
  EXCEPTION WHEN division_by_zero THEN NULL; END $$
a> SELECT 'back to ' || revdesk_tenant_id() || ' with ' || count(*) FROM app.docs
must undone 0 true
must back to ${A1} with 10
CASE

attack 'G25', 'a session of a role that is believed, by SET ROLE', <<'CASE';
su> CREATE ROLE believed
su> GRANT believed TO api
su> GRANT USAGE ON SCHEMA app TO believed
su> GRANT SELECT ON app.docs TO believed
su> ALTER DATABASE ${DATABASE} SET revdesk.session_roles = 'believed'
a> SET ROLE believed
a> SET request.jwt.claims = '{"sub": "ulla"}'
a> BEGIN
a> SELECT revdesk_authenticate()
a> ROLLBACK
a> SET session_authorization = believed
a> SELECT 'sees ' || count(*) FROM app.docs
su> DROP OWNED BY believed
su> DROP ROLE believed
must (?s)PGRST.*42501
must sees 0
CASE

# The last: the server restarts without the library.
attack 'G2', 'settings that were set before the library was loaded', sub {
	my ($attacked, $database) = @_;
	$attacked->append_conf('postgresql.conf', "shared_preload_libraries = ''");
	$attacked->restart;
	my $count = 'SELECT count(*) FROM app.docs';
	my $forged = $attacked->safe_psql($database, as_key('b0', "SELECT current_setting('revdesk.context')"));
	like($forged, qr/^[0-9a-f]{100,}$/, 'the true text of a context');
	for my $way ("SET revdesk.context = '$forged'", "SELECT set_config('revdesk.context', '$forged', false) \\g /dev/null\n", "SET revdesk.tenant_id = 'x'")
	{
		my ($stdout, $stderr) = query($attacked, $database, "$way;\n$count;\nSELECT revdesk_scope() IS NULL");
		is($stdout, "0\nt", "no context: " . substr($way, 0, 40));
		like($stderr, qr/WARNING/, 'and the placeholder is dropped with a warning');
	}
	my ($stdout) = query($attacked, $database, "BEGIN; SET LOCAL revdesk.context = '$forged'; SAVEPOINT s; LOAD 'revdesk_auth'; $count; ROLLBACK TO s; $count; COMMIT; $count");
	unlike($stdout, qr/[1-9]/, 'SET LOCAL before the load, and a rollback to before it');
	local $ENV{PGOPTIONS} = "-c revdesk.context=$forged";
	($stdout) = query($attacked, $database, "$count;\n" . as_key('a1', $count) . $count);
	is($stdout, "0\n10\n0", 'PGOPTIONS: no context, and a key works as ever');
};

attack_end();
