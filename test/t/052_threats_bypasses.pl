# Row security is not by-passed (threats R03 to R28): not by any statement, lock,
# view, partition, trigger, foreign key, policy or role of the caller's.
#
# Where PostgreSQL leaves a way open to whoever owns the tables, the case says
# so and shows what happens; revdesk_lint tells of each.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin("shared_preload_libraries = 'revdesk_auth'", 'wal_level = logical');
$node->safe_psql('template', <<'SQL');
CREATE ROLE evil LOGIN;
CREATE ROLE reader LOGIN;
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO api, evil, owner;
GRANT CREATE ON SCHEMA app TO owner;
GRANT USAGE ON SCHEMA app TO evil, reader;
SQL

# Docs 1 to 5 are the first ones of A, A1, A2, B and B1.
attack 'R03', 'MERGE onto hidden rows', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> MERGE INTO app.docs USING (VALUES (4), (5)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET body = 'STOLEN'
a> MERGE INTO app.docs USING (SELECT 4 AS i) AS v ON id = i WHEN MATCHED THEN DELETE
a> MERGE INTO app.docs USING (SELECT 4 AS i) AS v ON id = i WHEN MATCHED THEN UPDATE SET tenant_id = '${A}'
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> MERGE INTO app.docs USING (SELECT 1 AS i) AS v ON id = i WHEN MATCHED THEN UPDATE SET tenant_id = '${B}'
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> MERGE INTO app.docs USING (SELECT 4 AS i) AS v ON id = i WHEN NOT MATCHED THEN INSERT (id, tenant_id, body) VALUES (4, '${A}', 'x')
a> ROLLBACK
su> SELECT 'left', string_agg(body, ',' ORDER BY id) FROM app.docs WHERE id <= 5
must (?s)42501.*23505.*left\|CANARY_A_1,CANARY_A1_1,CANARY_A2_1,CANARY_B_1,CANARY_B1_1
mustnot Key \(
CASE

attack 'R04', 'UPDATE and DELETE with RETURNING, USING, self joins, CTEs', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> WITH u AS (UPDATE app.docs SET amount = amount RETURNING *) SELECT 'updated', count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM u
a> DELETE FROM app.docs AS a USING app.docs AS b WHERE a.id = b.id - 2 RETURNING b.body
a> UPDATE app.docs AS a SET body = b.body FROM app.docs AS b WHERE b.id = a.id + 2 RETURNING a.body
a> UPDATE app.docs SET body = (SELECT string_agg(hidden.body, ',') FROM app.docs AS hidden WHERE hidden.tenant_id = '${B}') RETURNING body
a> WITH d AS (DELETE FROM app.docs RETURNING body) SELECT 'deleted', count(*) FROM d
a> ROLLBACK
a> UPDATE app.docs SET body = 'x'
a> DELETE FROM app.docs
su> SELECT 'left', count(*), count(*) FILTER (WHERE body ~ 'CANARY') FROM app.docs
must (?s)updated\|10\|A1\n.*deleted\|10\n.*left\|70\|70
mustnot CANARY_(A_|A2|B|u|v)
CASE

attack 'R05', 'row_security = off', <<'CASE';
a> SET row_security = off
a> SELECT 'nobody', count(*) FROM app.docs
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'rows', count(*) FROM app.docs
a> ROLLBACK
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> COPY app.docs TO STDOUT
a> ROLLBACK
owner> SET row_security = off
owner> SELECT 'owner', count(*) FROM app.docs
must (?s)(42501.*){4}$
mustnot (nobody|rows|owner)\||CANARY
CASE

attack 'R07', 'a function of the caller\'s in WHERE, at a tiny cost', <<'CASE';
a> CREATE FUNCTION pg_temp.look(text, uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'SEEN % %', $1, $2; RETURN true; END $$
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT count(*) FROM app.docs WHERE pg_temp.look(body, tenant_id) AND id BETWEEN 1 AND 70
a> SELECT count(*) FROM app.docs WHERE tenant_id = '${B}' AND pg_temp.look(body, tenant_id)
a> SELECT count(*) FROM app.docs JOIN (VALUES (4, '${B}'::uuid), (1, '${A}')) AS v (i, t) ON id = i AND pg_temp.look(body, t)
a> SELECT count(*) FROM app.parts WHERE pg_temp.look(body, tenant_id)
a> SELECT count(*) FROM app.parts_rest WHERE pg_temp.look(body, tenant_id)
a> SELECT count(*) FROM app.registrations WHERE pg_temp.look(replace(body, 'CANARY_A_', 'UMBRELLA_'), tenant_id)
a> ROLLBACK
must SEEN CANARY_A1
must SEEN UMBRELLA_
mustnot SEEN CANARY_(A_|A2|B|u|v)
CASE

attack 'R08', 'operators and casts that raise on hidden values', <<'CASE';
su> UPDATE app.docs SET amount = 777 WHERE tenant_id = '${B}'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT count(*) FROM app.docs WHERE 1 / (amount - 777) > 5
a> SELECT count(*) FROM app.docs WHERE tenant_id = '${B}' AND body::int > 0
a> SELECT count(*) FROM app.docs WHERE 1 / (id - 4) > 5 AND id < 10
a> SELECT CASE WHEN tenant_id = '${B}' THEN 1 / (amount - amount) ELSE 1 END FROM app.docs LIMIT 1
a> UPDATE app.docs SET amount = 1 / (amount - 777)
a> DELETE FROM app.docs WHERE 1 / (amount - 777) > 5
a> SELECT 'end', count(*) FROM app.docs
a> ROLLBACK
must end\|10
mustnot ERROR|CANARY_B
CASE

attack 'R09', 'whole rows, system columns, ctid, TABLESAMPLE', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT string_agg(docs::text, ' ') FROM app.docs TABLESAMPLE SYSTEM (100)
a> SELECT 'by ctid', count(*) FROM app.docs WHERE ctid = ANY (SELECT format('(%s,%s)', page, i)::tid FROM generate_series(0, 3) AS page, generate_series(1, 200) AS i)
a> SELECT 'sample', count(*) FROM app.docs TABLESAMPLE BERNOULLI (100) REPEATABLE (1)
a> SELECT string_agg(x ->> 'body', ',') FROM (SELECT row_to_json(docs) AS x FROM app.docs WHERE xmin IS NOT NULL AND cmin IS NOT NULL AND tableoid = 'app.docs'::regclass) AS y
a> SELECT string_agg(docs::text, ' ') FROM app.docs WHERE ctid > '(0,1)'
a> ROLLBACK
must CANARY_A1
must (?s)by ctid\|10\n.*sample\|10\n
mustnot CANARY_(A_|A2|B|u|v)|ERROR
CASE

attack 'R10', 'a partition addressed directly', <<'CASE';
su> CREATE TABLE app.parts_b PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000000')
su> CREATE TABLE app.attached (LIKE app.parts)
su> ALTER TABLE app.parts ATTACH PARTITION app.attached FOR VALUES IN ('ffffffff-0000-0000-0000-000000000000')
su> GRANT ALL ON ALL TABLES IN SCHEMA app TO api
su> ALTER TABLE app.attached DISABLE TRIGGER ALL
su> ALTER TABLE app.parts_b DISABLE TRIGGER ALL
su> INSERT INTO app.attached (id, tenant_id, body) VALUES (1, 'ffffffff-0000-0000-0000-000000000000', 'CANARY_F')
su> INSERT INTO app.parts_b (id, tenant_id, body) VALUES (1, 'eeeeeeee-0000-0000-0000-000000000000', 'CANARY_E')
a> SELECT 'nobody', count(*) FROM app.parts_rest
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT body FROM app.parts_rest
a> SELECT body FROM app.attached
a> SELECT body FROM app.parts_b
a> SELECT body FROM ONLY app.parts_rest
a> UPDATE app.parts_rest SET amount = amount RETURNING 'HIT', body
a> SELECT 'own', count(*) FROM app.parts_a
a> INSERT INTO app.parts_rest (id, tenant_id, body) VALUES (1, '${B}', 'x')
a> ROLLBACK
su> SELECT 'there', body FROM app.parts WHERE body IN ('CANARY_E', 'CANARY_F')
must (?s)nobody\|0\n.*own\|30\n.*42501.*there\|CANARY_.\nthere\|CANARY_.$
mustnot (?m)^(CANARY_|HIT)
CASE

# By hand, the parent's policy does not hold for what is read by the child's name.
attack 'R10', 'left open: a policy of one\'s own on the parent alone', <<'CASE';
su> CREATE TABLE app.pd (tenant_id uuid, body text) PARTITION BY LIST (tenant_id)
su> CREATE TABLE app.pd_b PARTITION OF app.pd FOR VALUES IN ('${B}')
su> INSERT INTO app.pd VALUES ('${B}', 'OPEN_B')
su> ALTER TABLE app.pd ENABLE ROW LEVEL SECURITY
su> CREATE POLICY p ON app.pd USING (revdesk_scope_visible(tenant_id))
su> GRANT SELECT ON app.pd, app.pd_b TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'by the parent', count(*) FROM app.pd
a> SELECT 'by the child', body FROM app.pd_b
a> COMMIT
su> SELECT revdesk_protect('app.pd')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'protected', count(*) FROM app.pd_b
a> COMMIT
must (?s)by the parent\|0\n.*by the child\|OPEN_B\n.*protected\|0
CASE

attack 'R11', 'an inheritance child addressed directly', <<'CASE';
su> CREATE TABLE app.child () INHERITS (app.docs)
su> INSERT INTO app.child (tenant_id, body) VALUES ('${B}', 'CANARY_B_child'), ('${A}', 'own child')
su> CREATE TABLE app.joins (LIKE app.docs)
su> INSERT INTO app.joins (id, tenant_id, umbrella_id, body) VALUES (1, '${B}', '${B}', 'CANARY_B_joins')
su> ALTER TABLE app.joins INHERIT app.docs
su> GRANT ALL ON app.child, app.joins TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT body FROM app.child
a> SELECT body FROM app.joins
a> SELECT 'all', count(*) FROM app.docs
a> COMMIT
a> SELECT 'nobody', count(*) FROM app.child
su> SELECT 'there', count(*) FROM app.docs
must (?s)own child\n.*all\|31\n.*nobody\|0\nthere\|73
mustnot CANARY_B
CASE

attack 'R12', 'views that ask the caller', <<'CASE';
su> CREATE VIEW app.invoker WITH (security_invoker = true) AS SELECT * FROM app.docs
su> CREATE VIEW app.barrier WITH (security_barrier = true) AS SELECT * FROM app.docs WHERE revdesk_scope_visible(tenant_id, owner_id, umbrella_id)
su> GRANT SELECT, UPDATE ON app.invoker, app.barrier TO api
a> CREATE FUNCTION pg_temp.look(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'SEEN %', $1; RETURN true; END $$
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'invoker', count(*) FROM app.invoker WHERE pg_temp.look(body)
a> SELECT 'barrier', count(*) FROM app.barrier WHERE pg_temp.look(body)
a> ROLLBACK
a> SELECT 'nobody', count(*) FROM app.invoker
a> SELECT 'nobody', count(*) FROM app.barrier
must (?s)invoker\|30\n.*barrier\|30\n.*nobody\|0\nnobody\|0
mustnot CANARY_[Buv]
CASE

attack 'R12', 'left open: a plain view of one who bypasses row security', <<'CASE';
su> CREATE VIEW app.plain AS SELECT * FROM app.docs
su> GRANT SELECT ON app.plain TO api
a> SELECT 'plain', count(*) FROM app.plain
su> ALTER VIEW app.plain SET (security_invoker = true)
a> SELECT 'invoker', count(*) FROM app.plain
must (?s)plain\|70\n.*invoker\|0
CASE

attack 'R13', 'a view of the table\'s owner, who is held as well', <<'CASE';
owner> CREATE VIEW app.owned AS SELECT * FROM app.docs
owner> CREATE FUNCTION app.owned_docs() RETURNS SETOF app.docs LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT * FROM app.docs'
owner> GRANT SELECT ON app.owned TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'view', count(*), string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.owned
a> SELECT 'function', count(*) FROM app.owned_docs()
a> ROLLBACK
a> SELECT 'nobody', count(*) FROM app.owned
a> SELECT 'nobody', count(*) FROM app.owned_docs()
must (?s)view\|30\|A,A1,A2\nfunction\|30\n.*nobody\|0\nnobody\|0
CASE

# A materialized view holds what its refresher saw: the owner nothing, the
# superuser all.
attack 'R15', 'materialized views', <<'CASE';
owner> CREATE MATERIALIZED VIEW app.owners AS SELECT * FROM app.docs
owner> GRANT SELECT ON app.owners TO api
su> CREATE MATERIALIZED VIEW app.supers AS SELECT * FROM app.docs
su> GRANT SELECT ON app.supers TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT 'owner', count(*) FROM app.owners
a> SELECT 'superuser', count(*) FROM app.supers
a> SAVEPOINT q
a> REFRESH MATERIALIZED VIEW app.owners
a> ROLLBACK TO q
a> CREATE MATERIALIZED VIEW scratch.own AS SELECT * FROM app.docs
a> SELECT 'own', count(*) FROM scratch.own
a> ROLLBACK
must (?s)owner\|0\n.*superuser\|70\n.*42501.*own\|(0|30)$
CASE

attack 'R16', 'TRUNCATE', <<'CASE';
su> CREATE TABLE app.later (LIKE app.docs)
su> GRANT ALL ON app.later TO api, evil
su> INSERT INTO app.later SELECT * FROM app.docs
su> SELECT revdesk_protect('app.later')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> TRUNCATE app.docs
a> ROLLBACK
a> TRUNCATE app.later
a> TRUNCATE app.parts_rest
su> SELECT 'left', count(*) FROM app.later
su> GRANT TRUNCATE ON app.later TO api
a> TRUNCATE app.later
su> SELECT 'left open when granted after', count(*) FROM app.later
su> SELECT revdesk_protect('app.later')
a> TRUNCATE app.later
must (?s)(42501.*){3}left\|70\n.*left open when granted after\|0\n.*42501
CASE

attack 'R17', 'the privilege TRIGGER', <<'CASE';
su> CREATE TABLE app.later (LIKE app.docs)
su> GRANT ALL ON app.later TO api, evil
su> SELECT revdesk_protect('app.later')
evil=evil
evil> CREATE FUNCTION scratch.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'TOLD %', new.body; RETURN new; END $$
evil> CREATE TRIGGER tell BEFORE INSERT ON app.later FOR EACH ROW EXECUTE FUNCTION scratch.tell()
evil> CREATE TRIGGER tell BEFORE INSERT ON app.docs FOR EACH ROW EXECUTE FUNCTION scratch.tell()
su> GRANT TRIGGER ON app.later TO evil
evil> CREATE TRIGGER tell BEFORE INSERT ON app.later FOR EACH ROW EXECUTE FUNCTION scratch.tell()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> INSERT INTO app.later (id, tenant_id, body) VALUES (1, '${B}', 'left open when granted after')
a> COMMIT
must (?s)(42501.*){2}TOLD left open when granted after
mustnot 23502
CASE

attack 'R18', 'a BEFORE trigger that moves the row after the check', <<'CASE';
su> CREATE FUNCTION app.move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.tenant_id := '${B}'; new.umbrella_id := '${A}'; RETURN new; END $$
su> CREATE TRIGGER move BEFORE INSERT OR UPDATE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.move()
su> CREATE TRIGGER zzz_move BEFORE INSERT OR UPDATE ON app.registrations FOR EACH ROW EXECUTE FUNCTION app.move()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${A}', 'x')
a> ROLLBACK TO q
a> UPDATE app.docs SET body = 'x' WHERE id = 1
a> ROLLBACK TO q
a> INSERT INTO app.registrations (tenant_id, body) VALUES ('${A}', 'x')
a> ROLLBACK
must (?s)(42501.*){3}
CASE

attack 'R19', 'a foreign key to a hidden parent', <<'CASE';
su> ALTER TABLE app.docs ADD UNIQUE (tenant_id, id)
su> CREATE TABLE app.notes (id int, tenant_id uuid NOT NULL, doc_id int, FOREIGN KEY (tenant_id, doc_id) REFERENCES app.docs (tenant_id, id))
su> CREATE TABLE app.plain (id int, tenant_id uuid NOT NULL, doc_id int REFERENCES app.docs (id))
su> SELECT revdesk_protect('app.notes'), revdesk_protect('app.plain')
su> GRANT ALL ON app.notes, app.plain TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SAVEPOINT q
a> INSERT INTO app.notes VALUES (1, '${A}', 4)
a> ROLLBACK TO q
a> INSERT INTO app.notes VALUES (2, '${A}', 999999)
a> ROLLBACK TO q
a> INSERT INTO app.notes VALUES (3, '${B}', 4)
a> ROLLBACK TO q
a> INSERT INTO app.notes VALUES (4, '${A}', 1)
a> INSERT INTO app.plain VALUES (5, '${A}', 4)
a> SELECT 'left open: the key without the tenant', count(*) FROM app.plain
a> COMMIT
must (?s)23503.*23503.*42501.*without the tenant\|1
mustnot CANARY
CASE

attack 'R20', 'ON DELETE CASCADE across tenants', <<'CASE';
su> ALTER TABLE app.docs ADD UNIQUE (tenant_id, id)
su> CREATE TABLE app.plain (id int, tenant_id uuid NOT NULL, doc_id int REFERENCES app.docs (id) ON DELETE CASCADE)
su> CREATE TABLE app.notes (id int, tenant_id uuid NOT NULL, doc_id int, FOREIGN KEY (tenant_id, doc_id) REFERENCES app.docs (tenant_id, id) ON DELETE CASCADE)
su> INSERT INTO app.plain VALUES (1, '${B}', 1)
su> INSERT INTO app.notes VALUES (1, '${B}', 1)
su> INSERT INTO app.notes VALUES (2, '${B}', 4), (3, '${A}', 1)
su> SELECT revdesk_protect('app.notes'), revdesk_protect('app.plain')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> DELETE FROM app.docs
a> COMMIT
su> SELECT 'with the tenant', count(*), string_agg(DISTINCT tenant_id::text, ',') FROM app.notes
su> SELECT 'left open: without', count(*) FROM app.plain
must (?s)23503.*with the tenant\|1\|${B}\nleft open: without\|0
CASE

attack 'R21', 'tampering with policies', <<'CASE';
a> CREATE POLICY evil ON app.docs USING (true)
a> ALTER POLICY revdesk_isolation ON app.docs USING (true)
a> DROP POLICY revdesk_isolation ON app.docs
a> ALTER TABLE app.docs DISABLE ROW LEVEL SECURITY
a> ALTER TABLE app.docs NO FORCE ROW LEVEL SECURITY
a> CREATE RULE r AS ON INSERT TO app.docs DO ALSO SELECT 1
a> CREATE TABLE scratch.kid () INHERITS (app.docs)
a> CREATE TABLE scratch.part PARTITION OF app.parts FOR VALUES IN ('dddddddd-0000-0000-0000-000000000000')
a> ALTER TABLE app.docs OWNER TO api
a> ALTER TABLE app.docs DISABLE TRIGGER zz_revdesk_umbrella
a> SELECT revdesk_unprotect('app.docs')
a> SELECT revdesk.unprotect_relation(protected_tables) FROM revdesk.protected_tables
a> SELECT revdesk.drop_policies('app.docs')
a> SELECT revdesk.create_policies('app.docs', NULL::revdesk.protected_tables)
a> DELETE FROM revdesk.protected_tables
a> CREATE TABLE scratch.mine (LIKE app.docs)
a> ALTER TABLE app.docs INHERIT scratch.mine
a> SELECT 'rows', count(*) FROM app.docs
su> SELECT 'registered', count(*) FROM revdesk.protected_tables
must (?s)(42501.*){14}rows\|0\nregistered\|5
CASE

# Commands of others look into the registry, where anybody may note tables of
# their own: what stands there makes nothing run, and nothing fail.
attack 'R21', 'rows of the registry that are not what they say', <<'CASE';
a> CREATE TYPE scratch.sly AS (x int)
a> CREATE FUNCTION scratch.as_uuid(scratch.sly) RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'RUN AS %', current_user; RETURN NULL; END $$
a> CREATE CAST (scratch.sly AS uuid) WITH FUNCTION scratch.as_uuid(scratch.sly) AS IMPLICIT
a> CREATE TABLE scratch.trap (tenant_id scratch.sly, umbrella_id scratch.sly)
a> INSERT INTO scratch.trap VALUES (ROW (1), ROW (1))
a> CREATE TABLE scratch.root (tenant_id uuid, umbrella_id uuid)
a> INSERT INTO revdesk.protected_tables (relation, root, tenant_column, umbrella_column, had_row_security, had_forced_row_security) VALUES ('scratch.trap', 'app.parts', 'tenant_id', 'umbrella_id', false, false)
a> INSERT INTO revdesk.protected_tables (relation, root, tenant_column, umbrella_column, had_row_security, had_forced_row_security) VALUES ('scratch.trap', 'scratch.root', 'tenant_id', 'umbrella_id', false, false)
a> CREATE TABLE scratch.lost (tenant_id uuid)
a> INSERT INTO revdesk.protected_tables (relation, root, tenant_column, had_row_security, had_forced_row_security) VALUES ('scratch.lost', 'scratch.root', 'no such column', false, false)
a> CREATE TEMP TABLE temporary (tenant_id uuid)
a> INSERT INTO revdesk.protected_tables (relation, root, tenant_column, had_row_security, had_forced_row_security) VALUES ('temporary', 'scratch.root', 'tenant_id', false, false)
a> SELECT 'noted', count(*) FROM revdesk.protected_tables
su> SELECT 'now'
su> CREATE TABLE app.parts_next PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000000')
su> ALTER TABLE app.parts DETACH PARTITION app.parts_next
su> SELECT 'left', count(*) FROM revdesk.protected_tables WHERE relation = 'app.parts_next'::regclass AND root = relation
su> CREATE TABLE app.apart (LIKE scratch.root)
su> ALTER TABLE app.apart INHERIT scratch.root
su> UPDATE revdesk.protected_tables SET root = 'app.parts' WHERE relation = 'scratch.trap'::regclass
su> CREATE TABLE app.parts_more PARTITION OF app.parts FOR VALUES IN ('eeeeeeee-0000-0000-0000-000000000001')
must (?s)42501.*42501.*noted\|2\n+now\n+left\|1
mustnot RUN AS
CASE

attack 'R22', 'a permissive policy beside ours', <<'CASE';
su> CREATE POLICY debug ON app.docs USING (true) WITH CHECK (true)
su> CREATE POLICY debug ON app.registrations FOR SELECT TO api USING (true)
su> CREATE POLICY debug ON app.parts_rest TO PUBLIC USING (true)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A2}')
a> SELECT 'docs', string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs
a> SELECT 'registrations', string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.registrations
a> SELECT 'partition', count(*) FROM app.parts_rest
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'x')
a> ROLLBACK
a> SELECT 'nobody', count(*) FROM app.docs
must (?s)docs\|A2\nregistrations\|A,A2\npartition\|0\n.*42501.*nobody\|0
CASE

attack 'R23', 'locking clauses neither return nor wait for hidden rows', <<'CASE';
b=api
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_B}')
b> SELECT 'locked', count(*) FROM (SELECT 1 FROM app.docs FOR UPDATE) AS x
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SET LOCAL lock_timeout = '2s'
a> SELECT 'nowait', count(*), string_agg(DISTINCT name, ',') FROM (SELECT split_part(body, '_', 2) AS name FROM app.docs FOR UPDATE NOWAIT) AS x
a> SELECT 'skip', count(*) FROM (SELECT 1 FROM app.docs WHERE id >= 1 FOR SHARE SKIP LOCKED) AS x
a> UPDATE app.docs SET body = 'x' WHERE id = 4
a> DELETE FROM app.docs WHERE tenant_id = '${B}'
a> SELECT 'for key share', count(*) FROM (SELECT 1 FROM app.docs WHERE id = 4 FOR KEY SHARE) AS x
a> ROLLBACK
b> SELECT 'still there', count(*) FROM app.docs
b> ROLLBACK
must (?s)locked\|20\n.*nowait\|10\|A1\nskip\|10\n.*for key share\|0\n.*still there\|20
mustnot ERROR
CASE

attack 'R24', 'roles', <<'CASE';
su> CREATE ROLE bypass LOGIN BYPASSRLS
su> GRANT USAGE ON SCHEMA app TO bypass
su> GRANT SELECT ON app.docs TO bypass
su> GRANT pg_read_all_data, pg_write_all_data TO reader
reader=reader
bypass=bypass
owner> SELECT 'owner', count(*) FROM app.docs
owner> BEGIN
owner> SELECT revdesk_authenticate('${KEY_A1}')
owner> SELECT 'owner with a key', count(*) FROM app.docs
owner> COMMIT
reader> SELECT 'reads all data', count(*) FROM app.docs
reader> UPDATE app.docs SET body = 'x'
reader> INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'x')
bypass> SELECT 'outside the promise: BYPASSRLS', count(*) FROM app.docs
su> SELECT 'and superusers', count(*) FROM app.docs WHERE body <> 'x'
su> DROP OWNED BY bypass
su> DROP ROLE bypass
must (?s)owner\|0\n.*owner with a key\|10\n.*reads all data\|0\n.*42501.*BYPASSRLS\|70\nand superusers\|70
CASE

# Decoding is REPLICATION's: it knows no row security, and holds the hashes.
attack 'R25', 'logical decoding', <<'CASE';
a> SELECT pg_create_logical_replication_slot('spy', 'test_decoding')
owner> SELECT pg_create_logical_replication_slot('spy', 'test_decoding')
su> SELECT 'slot' FROM pg_create_logical_replication_slot('r25', 'test_decoding')
su> UPDATE app.docs SET body = body WHERE tenant_id = '${B}'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> SELECT data FROM pg_logical_slot_peek_changes('r25', NULL, NULL)
a> ROLLBACK
su> SELECT 'outside the promise', count(*) FROM pg_logical_slot_get_changes('r25', NULL, NULL) WHERE data ~ 'CANARY_B'
su> SELECT pg_drop_replication_slot('r25')
must (?s)(42501.*){2}slot\n.*42501.*outside the promise\|10
mustnot data:
CASE

attack 'R27', 'the predicates called by hand', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'no', coalesce(bool_or(revdesk_scope_visible(t, o, u)), false), coalesce(bool_or(revdesk_scope_readable_up(t, u)) FILTER (WHERE t IS DISTINCT FROM '${A}'), false) FROM unnest(ARRAY['${A}', '${A2}', '${B}', '${B1}', '${ULLA}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000', NULL]::uuid[]) AS t, unnest(ARRAY['${ULLA}', '${A1}', NULL]::uuid[]) AS o, unnest(ARRAY['${A}', '${A1}', NULL]::uuid[]) AS u
a> SELECT 'yes', revdesk_scope_visible('${A1}'), revdesk_scope_visible('${A1}', '${ULLA}', '${B}'), revdesk_scope_readable_up('${A}')
a> SELECT 'and', revdesk_scope_visible(NULL) IS TRUE, revdesk_scope_visible(NULL, NULL, NULL) IS TRUE, revdesk_scope_readable_up(NULL) IS TRUE
a> ROLLBACK
a> SELECT 'nobody', revdesk_scope_visible('${A1}'), revdesk_scope_visible(NULL) IS TRUE, revdesk_scope_readable_up('${A1}'), revdesk_scope_readable_up(NULL) IS TRUE, revdesk_scope_sub_entity(), revdesk_scope_organization_tenants(), revdesk_scope_user_tenants()
must (?s)no\|f\|f\nyes\|t\|t\|t\nand\|f\|f\|f\n\nnobody\|f\|f\|f\|f\|\|\|$
mustnot ERROR|NOTICE|WARNING
CASE

attack 'R28', 'a deferred trigger that reads the context at COMMIT', <<'CASE';
su> CREATE FUNCTION app.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'AT COMMIT % % %', revdesk_tenant_id(), new.tenant_id, (SELECT string_agg(DISTINCT split_part(body, '_', 2), ',') FROM app.docs WHERE body ~ 'CANARY'); RETURN NULL; END $$
su> CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON app.docs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.tell()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${A}', 'x')
a> SAVEPOINT q
a> SELECT revdesk_authenticate('${KEY_B}')
a> ROLLBACK TO q
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A}')
a> INSERT INTO app.docs (tenant_id, body) VALUES ('${A}', 'x')
a> SELECT revdesk_deauthenticate()
a> COMMIT
must (?s)25001.*AT COMMIT ${A} ${A} A,A1,A2\n.*AT COMMIT <NULL> ${A} <NULL>
CASE

attack_end();
