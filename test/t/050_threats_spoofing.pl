# The context cannot be forged (threats S01 to S27): whatever sets, stores,
# captures, resets or outlives a setting, nobody acts for a tenant without its key.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin("shared_preload_libraries = 'revdesk_auth'");

# What an attacker would want to set: the hidden setting as it is under B's
# key, which only a superuser can read.
$node->safe_psql('template', "BEGIN; SELECT revdesk_authenticate('" . token('b0') . <<'SQL');
');
CREATE TABLE app.captured AS SELECT current_setting('revdesk.context') AS context;
COMMIT;
GRANT SELECT ON app.captured TO api;
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO api;
SQL
my $context = $node->safe_psql('template', 'SELECT context FROM app.captured');
like($context, qr/^[0-9a-f]{100,}$/, 'there is something to forge');

attack 'S01', 'SET', <<'CASE';
a> SELECT context FROM app.captured \gset
a> SET revdesk.context = :'context'
a> SET SESSION revdesk.context = :'context'
a> SET revdesk.tenant_id = '${B}'
a> SET revdesk.scope = 'organization'
a> SET SESSION revdesk.user_id = '${ULLA}'
a> SELECT 'rows', count(*), min(body) FROM app.docs
must (?s)(42501.*){2}(55P02.*){3}rows\|0\|$
mustnot CANARY
CASE

attack 'S02', 'SET LOCAL after a legitimate authentication', <<'CASE';
a> SELECT context FROM app.captured \gset
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT q
a> SET LOCAL revdesk.context = :'context'
a> ROLLBACK TO q
a> SET LOCAL revdesk.tenant_id = '${B}'
a> ROLLBACK TO q
a> SET LOCAL revdesk.umbrella_id = '${B}'
a> ROLLBACK TO q
a> SET LOCAL revdesk.access = 'admin'
a> ROLLBACK TO q
a> SELECT string_agg(DISTINCT left(body, 10), ',') FROM app.docs
a> SELECT tenant_id, umbrella_id, access FROM revdesk_context()
a> COMMIT
must (?s)42501.*(55P02.*){3}\nCANARY_A1_\n${A1}\|${A}\|write
CASE

attack 'S03', 'set_config, both scopes, odd spelling', <<'CASE';
a> SELECT set_config('revdesk.context', context, false) FROM app.captured
a> SELECT set_config('REVDESK.Context', context, true) FROM app.captured
a> SELECT set_config('Revdesk.TENANT_id', '${B}', true)
a> SELECT set_config(name, '${B}', true) FROM unnest(ARRAY['revdesk.umbrella_id', 'revdesk.user_id']) AS name
a> DO $$ BEGIN PERFORM set_config('revdesk.context', context, false) FROM app.captured; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'caught %', SQLSTATE; END $$
a> SELECT 'rows', count(*) FROM app.docs
must (?s)(42501.*){2}(55P02.*){2}caught 42501.*rows\|0
CASE

attack 'S04', 'UPDATE pg_settings', <<'CASE';
a> UPDATE pg_settings SET setting = '${B}' WHERE name LIKE 'revdesk.%'
a> UPDATE pg_settings SET setting = '${B}' WHERE name = 'revdesk.tenant_id'
a> SELECT 'rows', count(*) FROM app.docs
a> SELECT 'hidden', count(*) FROM pg_settings WHERE name = 'revdesk.context'
su> UPDATE pg_settings SET setting = (SELECT context FROM app.captured) WHERE name = 'revdesk.context'
su> SELECT 'su', revdesk_scope()
must (?s)42501.*55P02.*rows\|0\nhidden\|0\n.*su\|$
CASE

attack 'S05', 'startup options', sub {
	my (undef, $database) = @_;
	for my $options (
		"-c revdesk.context=$context", "--revdesk.context=$context", '-c revdesk.scope=organization',
		'--revdesk.tenant-id=bbbbbbbb-0000-0000-0000-000000000000', '-c REVDESK.Access=admin')
	{
		for my $role ('api', 'postgres')
		{
			my ($stdout, $stderr) = query($node, $database, 'SELECT body FROM app.docs LIMIT 1',
				connstr => $node->connstr($database) . " options='$options'", role => $role);
			like($stderr, qr/FATAL: .* "revdesk\.\w+" cannot be (?:set|changed)|FATAL:  permission denied to set/i, "$role: $options");
			is($stdout, '', 'and no row');
		}
	}
	local $ENV{PGOPTIONS} = "-c revdesk.context=$context";
	my ($stdout, $stderr) = query($node, $database, 'SELECT body FROM app.docs LIMIT 1');
	like($stderr, qr/FATAL/, 'PGOPTIONS');
	is($stdout, '', 'and no row');
};

attack 'S06', 'ALTER ROLE for oneself, ALTER DATABASE by its owner', <<'CASE';
su> ALTER DATABASE ${DATABASE} OWNER TO owner
a> SELECT context FROM app.captured \gset
owner> SELECT revdesk_scope()
a> ALTER ROLE api SET revdesk.context = :'context'
a> ALTER ROLE api IN DATABASE ${DATABASE} SET revdesk.context = :'context'
a> ALTER ROLE api SET revdesk.tenant_id = '${B}'
owner> ALTER DATABASE ${DATABASE} SET revdesk.context = 'x'
owner> ALTER DATABASE ${DATABASE} SET revdesk.scope = 'organization'
su> SELECT 'stored', count(*) FROM pg_db_role_setting WHERE setconfig::text ~ 'revdesk'
later=api
later> SELECT 'rows', count(*) FROM app.docs
must (?s)(42501.*){2}55P02.*42501.*55P02.*stored\|0\nrows\|0
CASE

attack 'S07', 'a SET clause of a function of one\'s own', <<'CASE';
a> SELECT context FROM app.captured \gset
a> CREATE FUNCTION scratch.f() RETURNS bigint LANGUAGE sql SET revdesk.context = :'context' AS 'SELECT count(*) FROM app.docs'
a> CREATE FUNCTION scratch.f() RETURNS bigint LANGUAGE sql SET revdesk.tenant_id = '${B}' AS 'SELECT count(*) FROM app.docs'
a> CREATE FUNCTION scratch.f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.docs'
a> ALTER FUNCTION scratch.f() SET revdesk.context = :'context'
a> ALTER FUNCTION scratch.f() SET revdesk.scope = 'organization'
a> SELECT 'rows', scratch.f()
must (?s)42501.*55P02.*42501.*55P02.*rows\|0
CASE

attack 'S09', 'GRANT SET ON PARAMETER, as PostgREST\'s manual suggests for others', <<'CASE';
su> GRANT SET ON PARAMETER revdesk.context, revdesk.tenant_id, revdesk.scope TO api
a> SELECT context FROM app.captured \gset
a> BEGIN
a> SELECT set_config('revdesk.context', :'context', true)
a> ROLLBACK
a> SET revdesk.context = :'context'
a> SET revdesk.tenant_id = '${B}'
a> ALTER ROLE api SET revdesk.context = :'context'
a> CREATE FUNCTION scratch.f() RETURNS bigint LANGUAGE sql SET revdesk.context = :'context' AS 'SELECT count(*) FROM app.docs'
a> SELECT 'rows', count(*) FROM app.docs
su> REVOKE SET ON PARAMETER revdesk.context, revdesk.tenant_id, revdesk.scope FROM api
must (?s)(42501.*){2}55P02.*(42501.*){2}rows\|0
CASE

attack 'S09', 'a superuser\'s SECURITY DEFINER function that sets what it is told', <<'CASE';
su> CREATE FUNCTION app.set_it(name text, value text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT set_config(name, value, false)'
a> SELECT app.set_it('revdesk.context', context) FROM app.captured
a> SELECT app.set_it('revdesk.tenant_id', '${B}')
a> SELECT 'rows', count(*) FROM app.docs
must (?s)42501.*55P02.*rows\|0
CASE

attack 'S10', 'a setting stored for the role, in the catalog itself', <<'CASE';
su> INSERT INTO pg_db_role_setting SELECT 0, 'api'::regrole, ARRAY['revdesk.context=' || context, 'revdesk.scope=organization', 'revdesk.tenant_id=${B}', 'search_path=app'] FROM app.captured
a=api
su> DELETE FROM pg_db_role_setting WHERE setrole = 'api'::regrole
a> SHOW search_path
a> SET max_parallel_workers_per_gather = 2
a> SET parallel_setup_cost = 0
a> SET parallel_tuple_cost = 0
a> SET min_parallel_table_scan_size = 0
a> SET parallel_leader_participation = off
a> SELECT 'parallel', count(*), min(body), public.revdesk_scope() FROM docs
a> RESET ALL
a> SELECT 'reset', count(*), min(body), public.revdesk_scope() FROM docs
a> DISCARD ALL
a> SELECT 'discarded', count(*), min(body), public.revdesk_scope() FROM docs
must (?s)\bapp\n.*parallel\|0\|\|\n.*reset\|0\|\|\n.*discarded\|0\|\|
mustnot CANARY
CASE

attack 'S11', 'RESET, RESET ALL, DISCARD ALL', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> RESET revdesk.context
a> ROLLBACK TO q
a> RESET revdesk.scope
a> ROLLBACK TO q
a> SELECT 'kept', count(*) FROM app.docs
a> RESET ALL
a> SELECT 'reset', count(*), revdesk_scope() FROM app.docs
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> COMMIT
a> DISCARD ALL
a> SELECT 'discarded', count(*), revdesk_scope() FROM app.docs
must (?s)42501.*55P02.*kept\|30\n+reset\|0\|\n+discarded\|0\|$
CASE

attack 'S12', 'names that are none of ours', <<'CASE';
a> SET revdesk.tenant = '${B}'
a> SELECT set_config('revdesk.tenant_ids', '${B}', false)
a> SET revdesk.a.b = 'x'
a> SELECT 'placeholders', count(*) FROM pg_settings WHERE name IN ('revdesk.tenant', 'revdesk.tenant_ids', 'revdesk.a.b')
su> SET revdesk.tenant = '${B}'
must (?s)(42602.*){3}placeholders\|0\n.*42602
CASE

attack 'S14', 'a failed authentication in a savepoint, and the rollback', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT q
a> SELECT revdesk_authenticate('${KEY_UNKNOWN}')
a> ROLLBACK TO q
a> SELECT 'after the failure', string_agg(DISTINCT left(body, 10), ',') FROM app.docs
a> SELECT revdesk_deauthenticate()
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'as B', count(*) FROM app.docs
a> ROLLBACK TO q
a> SELECT 'after B', string_agg(DISTINCT left(body, 10), ',') FROM app.docs
a> ROLLBACK
a> SELECT 'end', count(*) FROM app.docs
must (?s)28000.*after the failure\|CANARY_A1_\n.*as B\|20\n.*after B\|CANARY_A1_\n.*end\|0
CASE

attack 'S15', 'a handler that swallows the rejection', <<'CASE';
su> UPDATE revdesk.api_keys SET expires_at = now() - interval '1 day' WHERE name = 'key a0'
a> BEGIN
a> DO $$ BEGIN PERFORM revdesk_authenticate('${KEY_A}'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'swallowed %', SQLSTATE; END $$
a> SELECT 'rows', count(*), revdesk_scope() FROM app.docs
a> DO $$ BEGIN PERFORM revdesk_authenticate('${KEY_B}'); PERFORM revdesk_authenticate('${KEY_A}'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'swallowed %', SQLSTATE; END $$
a> SELECT 'after another', count(*), revdesk_scope() FROM app.docs
a> COMMIT
must (?s)swallowed 28000.*rows\|0\|\n.*swallowed 28000.*after another\|0\|$
CASE

attack 'S16', 'making the context of the transaction the session\'s', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> SELECT set_config('revdesk.context', current_setting('revdesk.context'), false)
a> ROLLBACK TO q
a> SET SESSION revdesk.context FROM CURRENT
a> ROLLBACK TO q
a> SELECT set_config('revdesk.scope', current_setting('revdesk.scope'), false)
a> ROLLBACK TO q
a> ALTER ROLE api SET revdesk.context FROM CURRENT
a> ROLLBACK TO q
a> CREATE FUNCTION scratch.f() RETURNS bigint LANGUAGE sql SET revdesk.context FROM CURRENT AS 'SELECT count(*) FROM app.docs'
a> ROLLBACK TO q
a> COMMIT
a> SELECT 'rows', count(*) FROM app.docs
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A}')
su> SAVEPOINT q
su> SET SESSION revdesk.context FROM CURRENT
su> ROLLBACK TO q
su> SELECT set_config('revdesk.context', current_setting('revdesk.context'), false)
su> COMMIT
su> SELECT 'superuser', revdesk_scope()
must (?s)(42501.*){2}55P02.*(42501.*){2}rows\|0\n.*(42501.*){2}superuser\|$
CASE

attack 'S18', 'a superuser\'s function that captures the context', <<'CASE';
su> BEGIN
su> SELECT revdesk_authenticate('${KEY_A}')
su> SAVEPOINT q
su> CREATE FUNCTION app.keep() RETURNS text LANGUAGE sql SET revdesk.context FROM CURRENT AS 'SELECT string_agg(body, $$,$$) FROM app.docs'
su> ROLLBACK TO q
su> CREATE FUNCTION app.keep() RETURNS text LANGUAGE sql SECURITY DEFINER SET revdesk.tenant_id FROM CURRENT AS 'SELECT current_setting($$revdesk.tenant_id$$)'
su> ROLLBACK TO q
su> COMMIT
su> INSERT INTO pg_proc SELECT (jsonb_populate_record(made, jsonb_build_object('oid', 99999, 'proname', 'keep', 'prosecdef', true, 'proconfig', ARRAY['revdesk.context=' || context]))).* FROM pg_proc AS made, app.captured WHERE made.oid = 'pg_catalog.now()'::regprocedure
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SAVEPOINT q
a> SELECT app.keep()
a> ROLLBACK TO q
a> SELECT pg_catalog.keep()
a> ROLLBACK TO q
a> SELECT 'tenant', revdesk_tenant_id()
a> ROLLBACK
must (?s)42501.*55P02.*42883.*"revdesk.context" cannot be set.*tenant\|${A1}$
CASE

attack 'S20', 'the end of a transaction, of every kind', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> COMMIT
a> SELECT 'commit', count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> ROLLBACK
a> SELECT 'rollback', count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 1 / 0
a> COMMIT
a> SELECT 'error', count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> PREPARE TRANSACTION 's20'
a> SELECT 'prepared', count(*) FROM app.docs
a> ROLLBACK PREPARED 's20'
a> SELECT 'ended', count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> COMMIT AND CHAIN
a> SELECT 'chained', count(*) FROM app.docs
a> SELECT revdesk_authenticate('${KEY_A}')
a> ROLLBACK AND CHAIN
a> SELECT 'chained again', count(*) FROM app.docs
a> ROLLBACK
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'autocommit', count(*) FROM app.docs
must (?s)commit\|0\n.*rollback\|0\n.*22012.*error\|0\n.*prepared\|0\n.*ended\|0\n.*chained\|0\n.*chained again\|0\n.*autocommit\|0
CASE

attack 'S22', 'parallel workers see the leader\'s context, and only that', <<'CASE';
su> ALTER TABLE app.docs SET (parallel_workers = 2)
a> SET max_parallel_workers_per_gather = 2
a> SET parallel_setup_cost = 0
a> SET parallel_tuple_cost = 0
a> SET min_parallel_table_scan_size = 0
a> SET min_parallel_index_scan_size = 0
a> SET parallel_leader_participation = off
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM app.docs WHERE body ~ 'CANARY'
a> SELECT 'A', count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs WHERE body ~ 'CANARY'
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> SELECT 'B1', count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs WHERE body ~ 'CANARY'
a> COMMIT
a> SELECT 'nobody', count(*) FROM app.docs WHERE body ~ 'CANARY'
must Workers Launched: [12]
must (?s)A\|30\|A,A1,A2\n.*B1\|10\|B1\n.*nobody\|0
CASE

attack 'S23', 'COMMIT inside DO and in a procedure', <<'CASE';
a> DO $$ BEGIN PERFORM revdesk_authenticate('${KEY_A}'); RAISE NOTICE 'before %', (SELECT count(*) FROM app.docs); COMMIT; RAISE NOTICE 'after %', (SELECT count(*) FROM app.docs); END $$
a> CREATE PROCEDURE scratch.p() LANGUAGE plpgsql AS $$ BEGIN PERFORM revdesk_authenticate('${KEY_B}'); RAISE NOTICE 'in the procedure %', (SELECT count(*) FROM app.docs); ROLLBACK; RAISE NOTICE 'then %', (SELECT count(*) FROM app.docs); END $$
a> CALL scratch.p()
must (?s)before 30\b.*after 0\b.*in the procedure 20\b.*then 0\b
CASE

attack 'S24', 'a connection of one\'s own out of an authenticated transaction', <<'CASE';
su> CREATE EXTENSION dblink
su> GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT dblink_connect_u('back', 'host=${HOST} port=${PORT} dbname=${DATABASE} user=api')
a> SELECT 'there', n FROM dblink('back', 'SELECT count(*) FROM app.docs') AS t (n bigint)
a> SELECT 'here', count(*) FROM app.docs
a> ROLLBACK
must (?s)there\|0\nhere\|30
CASE

# Returns once the session's settings are those of the files.
sub wait_for_reload
{
	my ($session, $mark) = @_;
	for (1 .. 1800)
	{
		return 1 if $session->query('SHOW deadlock_timeout') eq $mark;
		select undef, undef, undef, 0.1;
	}
	return 0;
}

attack 'S25', 'configuration files and reload', sub {
	my ($node, $database) = @_;
	my $open = Fixture::Session->new($node, $database);
	$open->query("BEGIN; SELECT revdesk_authenticate('" . token('a1') . "')");
	my (undef, $stderr) = query($node, $database, "ALTER SYSTEM SET revdesk.context = '$context'; ALTER SYSTEM SET revdesk.scope = 'organization'", role => 'postgres');
	like($stderr, qr/parameter "revdesk\.context" cannot be.*parameter "revdesk\.scope" cannot be/s, 'ALTER SYSTEM is refused');

	# A value in the file itself, before one that counts.
	$node->append_conf('postgresql.conf', "revdesk.context = '$context'\nrevdesk.scope = 'organization'\ndeadlock_timeout = 1234ms");
	$node->reload;
	ok(wait_for_reload($open, '1234ms'), 'the rest of the file is applied');
	is($open->query("SELECT string_agg(DISTINCT left(body, 10), ',') FROM app.docs"), 'CANARY_A1_', 'the open context is the same');
	$open->query('COMMIT');
	is($open->query('SELECT count(*), revdesk_scope() FROM app.docs'), '0|', 'the next transaction of that session has none');
	$open->quit;
	query_ok($node, $database, 'SELECT count(*), revdesk_scope() FROM app.docs', '0|', 'a new session has none');
	$node->restart;
	query_ok($node, $database, 'SELECT count(*), revdesk_scope() FROM app.docs', '0|', 'a new server has none');
	$node->adjust_conf('postgresql.conf', $_, undef) for 'revdesk.context', 'revdesk.scope', 'deadlock_timeout';
};

attack 'S27', 'a policy on current_setting() instead of the functions', <<'CASE';
su> CREATE TABLE app.careless (tenant_id uuid, body text)
su> INSERT INTO app.careless VALUES ('${A}', 'CANARY_A'), ('${B}', 'CANARY_B')
su> ALTER TABLE app.careless ENABLE ROW LEVEL SECURITY
su> CREATE POLICY careless ON app.careless USING (tenant_id = current_setting('revdesk.tenant_id')::uuid)
su> GRANT SELECT ON app.careless TO api
a> SELECT body FROM app.careless
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT body FROM app.careless
a> COMMIT
a> SELECT body FROM app.careless
must (?s)22P02.*\nCANARY_A\n.*22P02
mustnot CANARY_B
CASE

# The last one: the server without the library, until a function asks for it.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;

attack 'S26', 'placeholders set before the library is loaded', sub {
	my ($node, $database) = @_;
	my $b = 'bbbbbbbb-0000-0000-0000-000000000000';
	my %ways = (
		'SET' => [ '', "SET revdesk.context = '$context'; SET revdesk.scope = 'organization'; SET revdesk.tenant_id = '$b'" ],
		'SET LOCAL' => [ '', "BEGIN; SET LOCAL revdesk.context = '$context'; SET LOCAL revdesk.scope = 'organization'; SAVEPOINT q; SET LOCAL revdesk.tenant_id = '$b'" ],
		'startup options' => [ "-c revdesk.context=$context -c revdesk.scope=organization -c revdesk.tenant_id=$b", '' ]);
	for my $way (sort keys %ways)
	{
		my ($options, $first) = @{ $ways{$way} };
		for my $role ('api', 'postgres')
		{
			my $session = Fixture::Session->connect($node, $node->connstr($database) . " user=$role options='$options'");
			$session->query($first) if $first ne '';
			is($session->query("SELECT current_setting('revdesk.tenant_id')"), $b, "$way by $role: what is read by hand is the attacker's");
			$session->query('SET ROLE api');
			unlike($session->query('SELECT body FROM app.docs'), qr/CANARY/, '... but no row is seen');
			is($session->query("SELECT concat(revdesk_scope(), current_setting('revdesk.scope'), current_setting('revdesk.tenant_id'))"), '', '... and no value left');
			$session->query('ROLLBACK; BEGIN; SET LOCAL ROLE api');
			is($session->query("SELECT revdesk_authenticate('" . token('a1') . "')"), '', '... a key authenticates');
			is($session->query("SELECT string_agg(DISTINCT left(body, 10), ',') || revdesk_tenant_id() FROM app.docs"),
				'CANARY_A1_aaaaaaaa-0000-0000-0000-000000000001', '... and counts alone');
			$session->quit;
		}
	}
};

attack_end();
