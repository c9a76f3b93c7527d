# No plan, cache or cursor carries rows from one tenant to another (threats P02
# to P16).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin("shared_preload_libraries = 'revdesk_auth'");
$node->safe_psql('template', <<'SQL');
CREATE ROLE api2;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT api, api2 TO authenticator;
GRANT USAGE ON SCHEMA app TO api2, authenticator;
GRANT SELECT ON app.docs TO api2;
CREATE INDEX ON app.docs (tenant_id, id);
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO api;
SQL

attack 'P02', 'the plan cache left to itself, many executions', <<'CASE';
a> PREPARE q (int) AS SELECT count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs WHERE amount >= $1
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> DO $$ BEGIN FOR i IN 1..8 LOOP EXECUTE 'EXECUTE q (0)'; END LOOP; END $$
a> EXECUTE q (0)
a> COMMIT
a> SELECT 'generic', generic_plans > 0 FROM pg_prepared_statements WHERE name = 'q'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE q (0)
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> EXECUTE q (0)
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_ULLA}')
a> EXECUTE q (0)
a> COMMIT
a> EXECUTE q (0)
must (?s)30\|A,A1,A2\n.*generic\|t\n.*20\|B,B1\n.*10\|B1\n.*30\|A1,B,ulla\n.*\n0\|$
CASE

attack 'P03', 'index-only scans that have no filter left', <<'CASE';
su> VACUUM app.docs
a> SET enable_seqscan = off
a> SET enable_bitmapscan = off
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS SELECT tenant_id, count(*) FROM app.registrations GROUP BY 1 ORDER BY 1
a> PREPARE r AS SELECT tenant_id, count(*) FROM app.docs WHERE tenant_id IS NOT NULL GROUP BY 1 ORDER BY 1
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXPLAIN (COSTS OFF) EXECUTE r
a> EXECUTE q
a> EXECUTE r
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> SELECT 'now B1'
a> EXECUTE q
a> EXECUTE r
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'now B'
a> EXECUTE q
a> EXECUTE r
a> COMMIT
a> SELECT 'now nobody'
a> EXECUTE q
a> EXECUTE r
a> SELECT 'end'
must (?s)Index Only Scan.*Index Cond: .*tenant_id = revdesk_scope_sub_entity\(\)
mustnot Filter: .*aaaaaaaa|Cond: .*aaaaaaaa
must (?s)${A}\|10\n${A1}\|10\n${A1}\|10\n\n+now B1\n${B}\|10\n${B1}\|10\n${B1}\|10\n\n+now B\n${B}\|10\n${B1}\|10\n${B}\|10\n${B1}\|10\n\n+now nobody\n+end$
CASE

attack 'P04', 'a plan made with no context, used later', <<'CASE';
a> SET enable_seqscan = off
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS SELECT count(*) FROM app.docs
a> EXPLAIN EXECUTE q
a> SELECT 'before'
a> EXECUTE q
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'as A'
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_VICTOR}')
a> SELECT 'as victor'
a> EXECUTE q
a> COMMIT
must (?s)before\n0\n.*as A\n30\n.*as victor\n20\n
CASE

attack 'P05', 'PL/pgSQL with cached plans, one session', <<'CASE';
su> CREATE FUNCTION app.who() RETURNS text LANGUAGE plpgsql STABLE AS $$ DECLARE seen text; BEGIN SELECT string_agg(DISTINCT split_part(body, '_', 2), ',') INTO seen FROM app.docs; RETURN seen; END $$
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'a', app.who(), app.who(), app.who(), app.who(), app.who(), app.who()
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SELECT 'b', app.who()
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A2}')
a> SELECT 'a2', app.who()
a> COMMIT
a> SELECT 'nobody', app.who()
must (?s)\na(\|A,A1,A2){6}\n.*\nb\|B,B1\n.*\na2\|A2\n.*nobody\|$
CASE

attack 'P06', 'an inlined function across contexts and roles', <<'CASE';
su> CREATE POLICY none ON app.docs AS RESTRICTIVE FOR SELECT TO api2 USING (false)
su> CREATE FUNCTION app.all_docs() RETURNS SETOF app.docs LANGUAGE sql STABLE AS 'SELECT * FROM app.docs'
a=authenticator
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS WITH seen AS (SELECT split_part(body, '_', 2) AS name FROM app.all_docs()) SELECT current_user, string_agg(DISTINCT name, ',') FROM seen
a> BEGIN
a> SET LOCAL ROLE api
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SET LOCAL ROLE api2
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SET LOCAL ROLE api
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE q
a> COMMIT
must (?s)api\|A,A1,A2\n.*api2\|\n.*api\|B,B1\n.*42501
CASE

attack 'P08', 'a cursor opened before authentication', <<'CASE';
a> BEGIN
a> DECLARE c CURSOR FOR SELECT body FROM app.docs ORDER BY id DESC
a> DECLARE d CURSOR FOR SELECT body FROM app.parts
a> SELECT revdesk_authenticate('${KEY_A}')
a> FETCH ALL FROM c
a> FETCH ALL FROM d
a> SELECT 'a query', count(*) FROM app.docs
a> ROLLBACK
must a query\|30
mustnot CANARY_[Bb]|CANARY_[uv]
CASE

attack 'P09', 'a cursor and two keys in one transaction', <<'CASE';
a> SET enable_seqscan = off
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> DECLARE c CURSOR FOR SELECT body FROM app.docs ORDER BY id
a> FETCH 1 FROM c
a> SAVEPOINT q
a> SELECT revdesk_authenticate('${KEY_B}')
a> ROLLBACK TO q
a> FETCH 2 FROM c
a> SELECT 'still', tenant_id FROM revdesk_context()
a> ROLLBACK
must (?s)CANARY_A_1\n.*25001.*CANARY_A1_1\nCANARY_A2_1\nstill\|${A}
mustnot CANARY_B
CASE

# Nothing forbids to drop A's context before B's: then the cursor has rows of
# either, for one who holds both keys; but no rows of others, and none for B
# alone, since a portal does not outlive its transaction.
attack 'P09', 'a cursor read on after revdesk_deauthenticate()', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> DECLARE c CURSOR FOR SELECT body FROM app.docs ORDER BY id
a> FETCH 1 FROM c
a> SELECT revdesk_deauthenticate()
a> SELECT revdesk_authenticate('${KEY_B1}')
a> FETCH ALL FROM c
a> SELECT 'a query', string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> FETCH ALL FROM c
a> ROLLBACK
must (?s)CANARY_A1_1\n.*a query\|B1\n.*34000
mustnot CANARY_A_|CANARY_A2|CANARY_B_|CANARY_[uv]
CASE

attack 'P12', 'a compiled policy', <<'CASE';
a> SET jit = on
a> SET jit_above_cost = 0
a> SET jit_inline_above_cost = 0
a> SET jit_optimize_above_cost = 0
a> SET enable_indexscan = off
a> SET enable_bitmapscan = off
a> SELECT 'jit', pg_jit_available()
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS SELECT count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs WHERE amount + 0 >= 0
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXPLAIN ANALYZE EXECUTE q
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXECUTE q
a> COMMIT
a> EXECUTE q
must (?s)jit\|f|jit\|t\n.*JIT:
must (?s)20\|B,B1\n.*30\|A,A1,A2\n.*\n0\|$
CASE

attack 'P13', 'prepared writes keep to the WITH CHECK of the moment', <<'CASE';
a> SET plan_cache_mode = force_generic_plan
a> PREPARE i (int, uuid) AS INSERT INTO app.docs (id, tenant_id, body) VALUES ($1, $2, 'x')
a> PREPARE u (uuid) AS UPDATE app.docs SET tenant_id = $1 WHERE amount = 1
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXECUTE i (50001, '${A1}')
a> EXECUTE u ('${A1}')
a> SELECT 'A1 may', count(*) FROM app.docs
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> SAVEPOINT q
a> EXECUTE i (50002, '${A1}')
a> ROLLBACK TO q
a> EXECUTE u ('${A1}')
a> ROLLBACK
a> EXECUTE i (50003, '${A1}')
su> SELECT 'in the table', count(*) FROM app.docs WHERE tenant_id = '${A1}'
must (?s)A1 may\|11\n.*(42501.*){3}in the table\|11
CASE

attack 'P14', 'a loop that commits while it reads', <<'CASE';
a> DO $$ DECLARE doc record; seen text; k int := 0; BEGIN PERFORM revdesk_authenticate('${KEY_A}'); FOR doc IN SELECT body FROM app.docs ORDER BY id LIMIT 30 LOOP IF k = 0 THEN COMMIT; END IF; k := k + 1; seen := concat_ws(',', seen, doc.body); END LOOP; RAISE NOTICE 'seen %', seen; RAISE NOTICE 'then %', (SELECT count(*) FROM app.docs); END $$
must (?s)seen CANARY_A_1,.*then 0\b
mustnot CANARY_[Buv]
CASE

# A helper of one's own that is declared IMMUTABLE, which is a lie, becomes a
# constant of the plan.  A policy beside ours opens nothing by it; where it is
# the only policy, that is the leak that revdesk_lint has to find.
attack 'P15', 'an IMMUTABLE function around the context', <<'CASE';
su> CREATE FUNCTION app.my_tenant() RETURNS uuid LANGUAGE sql IMMUTABLE AS 'SELECT revdesk_tenant_id()'
su> CREATE TABLE app.lied (tenant_id uuid, body text)
su> INSERT INTO app.lied VALUES ('${A1}', 'LIED_A1'), ('${B}', 'LIED_B')
su> ALTER TABLE app.lied ENABLE ROW LEVEL SECURITY
su> CREATE POLICY lie ON app.lied USING (tenant_id = app.my_tenant())
su> CREATE POLICY lie ON app.docs USING (tenant_id = app.my_tenant())
su> GRANT SELECT ON app.lied TO api
a> SET plan_cache_mode = force_generic_plan
a> PREPARE open AS SELECT body FROM app.lied
a> PREPARE q AS SELECT string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> EXECUTE open
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B1}')
a> SELECT 'now B1'
a> EXECUTE open
a> EXECUTE q
a> COMMIT
a> SELECT 'now nobody'
a> EXECUTE q
a> SELECT 'end'
must (?s)LIED_A1\nA1\n.*now B1\nLIED_A1\nB1\n.*now nobody\n\nend
CASE

attack 'P15', 'no function of ours that depends on the context is IMMUTABLE', <<'CASE';
su> SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc JOIN pg_depend ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass AND deptype = 'e' JOIN pg_extension ON pg_extension.oid = refobjid WHERE extname = 'revdesk_auth' AND provolatile = 'i' AND prosrc ~ 'revdesk_(auth|context|scope|key_id|tenant_id|umbrella_id|user_id|access|environment|session)'
su> SELECT 'stable', count(*) FROM pg_proc WHERE proname IN ('revdesk_tenant_id', 'revdesk_scope', 'revdesk_scope_visible', 'revdesk_scope_readable_up', 'revdesk_scope_sub_entity', 'revdesk_context') AND provolatile = 's'
must ^\nstable\|6$
CASE

attack 'P16', 'the form (SELECT revdesk_tenant_id()) in a policy', <<'CASE';
su> CREATE TABLE app.ip (tenant_id uuid, body text)
su> INSERT INTO app.ip VALUES ('${A}', 'IP_A'), ('${B}', 'IP_B')
su> ALTER TABLE app.ip ENABLE ROW LEVEL SECURITY
su> CREATE POLICY ip ON app.ip USING (tenant_id = (SELECT revdesk_tenant_id()))
su> GRANT SELECT ON app.ip TO api
a> SET plan_cache_mode = force_generic_plan
a> PREPARE q AS SELECT 'sees ' || string_agg(body, ',') FROM app.ip
a> EXPLAIN (COSTS OFF) EXECUTE q
a> EXECUTE q
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> EXECUTE q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> EXECUTE q
a> COMMIT
a> EXECUTE q
must InitPlan
must (?s)\n\n.*sees IP_B\n.*sees IP_A\n\n+$
mustnot IP_A,IP_B|IP_B,IP_A
CASE

attack_end();
