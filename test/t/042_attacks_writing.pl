# Attacks W: nobody writes into another tenant, nor with a key that only reads.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Attack;
use Fixture;
use Test::More;

my $node = attack_begin('shared_preload_libraries = revdesk_auth');

# What of B and of nobody there is, and whether it is as it was.
$node->safe_psql('template', <<'SQL');
CREATE SCHEMA mine AUTHORIZATION api;
CREATE VIEW public.of_others AS
SELECT tableoid::regclass::text AS place, id, tenant_id, umbrella_id, owner_id, amount, body FROM app.docs
UNION ALL SELECT tableoid::regclass::text, id, tenant_id, umbrella_id, owner_id, amount, body FROM app.parts
UNION ALL SELECT tableoid::regclass::text, id, tenant_id, umbrella_id, owner_id, amount, body FROM app.registrations;
CREATE TABLE public.before AS SELECT * FROM of_others WHERE tenant_id IS DISTINCT FROM 'aaaaaaaa-0000-0000-0000-000000000001';
CREATE FUNCTION public.others() RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN EXISTS (SELECT * FROM before EXCEPT ALL SELECT * FROM of_others) THEN 'others are changed'
    WHEN EXISTS (SELECT * FROM of_others WHERE tenant_id IS DISTINCT FROM 'aaaaaaaa-0000-0000-0000-000000000001' EXCEPT ALL SELECT * FROM before) THEN 'others have new ones'
    ELSE 'others are as before' END $$;
-- A statement in a transaction of its own kind: its SQLSTATE, or how many rows it touched.
CREATE FUNCTION public.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE touched bigint;
BEGIN
  EXECUTE statement;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched || ' rows of ' || statement;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' for ' || statement;
END $$;
SQL

attack 'W1', 'INSERT, COPY and defaults into another tenant', <<'CASE';
su> ALTER TABLE app.docs ALTER tenant_id SET DEFAULT '${B}'
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'x')$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) VALUES ('${A1}', 'x'), ('${A2}', 'x')$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) VALUES ('${A}', 'x')$$)
a> SELECT try($$INSERT INTO app.docs (body) VALUES ('default')$$)
a> SELECT try($$INSERT INTO app.docs DEFAULT VALUES$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, owner_id) VALUES (NULL, '${ULLA}')$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, umbrella_id) VALUES (NULL, '${A}')$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) SELECT '${B}', body FROM app.docs$$)
a> SELECT try($$INSERT INTO app.parts (id, tenant_id) VALUES (900, '${B1}')$$)
a> SELECT try($$INSERT INTO app.parts_rest (id, tenant_id) VALUES (900, '${B1}')$$)
a> SELECT try($$INSERT INTO app.parts_a (id, tenant_id) VALUES (900, '${A2}')$$)
a> SELECT try($$WITH w AS (INSERT INTO app.docs (tenant_id) VALUES ('${B}') RETURNING 1) SELECT FROM w$$)
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) VALUES ('${A1}', 'mine')$$)
a> COMMIT
$ printf '%s\n' 'BEGIN;' "SELECT revdesk_authenticate('${KEY_A1}');" 'COPY app.docs (tenant_id, body) FROM STDIN;' '${B}	x' '\.' 'COMMIT;' | psql -XAtU api 2>&1
su> SELECT others()
must (?s)(42501 for.*){12}1 rows of.*row-level security.*others are as before
mustnot [1-9] rows of (?!INSERT INTO app.docs \(tenant_id, body\) VALUES \('${A1}', 'mine)
CASE

attack 'W2', 'UPDATE and DELETE of another tenant\'s row by its key', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$UPDATE app.docs SET body = 'x' WHERE id = 4$$)
a> SELECT try($$UPDATE app.docs SET body = 'x' WHERE tenant_id <> '${A1}' OR tenant_id IS NULL$$)
a> SELECT try($$DELETE FROM app.docs WHERE id IN (1, 3, 4, 5, 51)$$)
a> SELECT try($$DELETE FROM app.parts WHERE tenant_id <> '${A1}'$$)
a> SELECT try($$DELETE FROM app.parts_rest$$)
a> SELECT try($$UPDATE app.parts_rest SET amount = 0$$)
a> SELECT try($$UPDATE app.docs SET body = 'x' FROM app.parts WHERE parts.id = 4$$)
a> SELECT try($$DELETE FROM app.docs USING generate_series(1, 70) AS i WHERE id = i AND i NOT IN (SELECT id FROM app.docs)$$)
a> COMMIT
b> SELECT try('UPDATE app.docs SET amount = 0')
b> SELECT try('DELETE FROM app.registrations')
su> SELECT others()
must (?s)(0 rows.*){10}others are as before
mustnot [1-9]\d* rows
CASE

attack 'W3', 'UPDATE that moves a row to another tenant, to nobody, to the umbrella', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$UPDATE app.docs SET tenant_id = '${B}'$$)
a> SELECT try($$UPDATE app.docs SET tenant_id = NULL$$)
a> SELECT try($$UPDATE app.docs SET tenant_id = NULL, owner_id = '${ULLA}'$$)
a> SELECT try($$UPDATE app.docs SET tenant_id = '${A}', umbrella_id = '${A}'$$)
a> SELECT try($$UPDATE app.docs SET tenant_id = '${A2}' WHERE id = 2$$)
a> SELECT try($$UPDATE app.docs SET (tenant_id, body) = (SELECT '${B1}'::uuid, 'x')$$)
a> SELECT try($$UPDATE app.docs SET tenant_id = DEFAULT$$)
a> SELECT try($$UPDATE app.parts SET tenant_id = '${B}'$$)
a> SELECT try($$UPDATE app.parts SET tenant_id = '${A2}'$$)
a> SELECT try($$UPDATE app.parts_a SET tenant_id = '${A}'$$)
a> SELECT try($$UPDATE app.registrations SET tenant_id = '${A}' WHERE tenant_id = '${A1}'$$)
a> COMMIT
su> SELECT others()
must (?s)(42501 for.*){11}others are as before
mustnot [1-9] rows
CASE

attack 'W4', 'INSERT … ON CONFLICT that meets another tenant\'s row', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'x') ON CONFLICT (id) DO UPDATE SET body = excluded.body$$)
a> SELECT try($$INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'x') ON CONFLICT (id) DO UPDATE SET tenant_id = '${A1}', body = docs.body$$)
a> SELECT try($$INSERT INTO app.docs (id, tenant_id, body) VALUES (2, '${A1}', 'x') ON CONFLICT (id) DO UPDATE SET tenant_id = '${B}'$$)
a> SELECT try($$INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${B}', 'x') ON CONFLICT DO NOTHING$$)
a> SELECT try($$INSERT INTO app.docs (id, tenant_id, body) VALUES (4, '${A1}', 'nothing') ON CONFLICT DO NOTHING$$)
a> COMMIT
su> SELECT others()
must (?s)(42501 for.*){4}0 rows of.*nothing.*others are as before
mustnot [1-9] rows
CASE

attack 'W5', 'MERGE onto another tenant\'s rows', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$MERGE INTO app.docs USING (VALUES (4), (1), (51)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET body = 'x'$$)
a> SELECT try($$MERGE INTO app.docs USING (VALUES (4), (1), (51)) AS v (i) ON id = i WHEN MATCHED THEN DELETE$$)
a> SELECT try($$MERGE INTO app.parts_rest USING (VALUES (1)) AS v (i) ON true WHEN MATCHED THEN DELETE$$)
a> SELECT try($$MERGE INTO app.docs USING (VALUES (4)) AS v (i) ON id = i WHEN NOT MATCHED THEN INSERT (id, tenant_id) VALUES (1000, '${B}')$$)
a> SELECT try($$MERGE INTO app.docs USING (VALUES (2)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET tenant_id = '${B}'$$)
a> COMMIT
su> SELECT others()
must (?s)(0 rows.*){2}(42501 for.*){3}others are as before
mustnot [1-9] rows
CASE

attack 'W6', 'a false umbrella or owner', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> INSERT INTO app.docs (tenant_id, umbrella_id, body) VALUES ('${A1}', '${B}', 'lie')
a> UPDATE app.docs SET umbrella_id = '${B}' WHERE id = 2
a> UPDATE app.docs SET umbrella_id = NULL WHERE id = 7
a> INSERT INTO app.parts (id, tenant_id, umbrella_id, body) VALUES (902, '${A1}', '${B}', 'lie')
a> INSERT INTO app.parts_a (id, tenant_id, umbrella_id, body) VALUES (903, '${A1}', '${B}', 'lie')
a> INSERT INTO app.docs (tenant_id, owner_id, body) VALUES ('${A1}', '${VICTOR}', 'lie')
a> SELECT try($$INSERT INTO app.docs (tenant_id, owner_id, body) VALUES (NULL, '${VICTOR}', 'lie')$$)
a> COMMIT
u> BEGIN
u> SELECT revdesk_authenticate('${KEY_ULLA}')
u> SELECT try($$INSERT INTO app.docs (owner_id, umbrella_id, body) VALUES ('${VICTOR}', NULL, 'lie')$$)
u> SELECT try($$UPDATE app.docs SET owner_id = '${VICTOR}' WHERE tenant_id IS NULL$$)
u> INSERT INTO app.docs (owner_id, umbrella_id, body) VALUES ('${ULLA}', '${A}', 'CANARY_personal')
u> COMMIT
b> SELECT revdesk_authenticate('${KEY_B}')\; SELECT 'B sees ' || count(*) FROM app.docs WHERE body = 'lie' OR tenant_id = '${A1}'
b> SELECT revdesk_authenticate('${KEY_B}')\; SELECT 'B sees in parts ' || count(*) FROM app.parts WHERE body = 'lie'
v> SELECT revdesk_authenticate('${KEY_VICTOR}')\; SELECT 'victor sees ' || count(*) FROM app.docs WHERE body = 'lie'
c> SELECT revdesk_authenticate('${KEY_A}')\; SELECT 'A sees ' || count(*) FROM app.docs WHERE body = 'CANARY_personal' OR tenant_id = '${A1}'
su> SELECT 'right are ' || bool_and(umbrella_id IS NOT DISTINCT FROM CASE WHEN tenant_id IS NULL THEN NULL ELSE '${A}'::uuid END)
  FROM of_others WHERE place <> 'app.registrations' AND (tenant_id = '${A1}' OR body IN ('lie', 'CANARY_personal'))
must (?s)(42501 for.*){3}
must B sees 0
must B sees in parts 0
must victor sees 0
must A sees 12
must right are true
mustnot [1-9] rows
CASE

# PostgreSQL checks a foreign key past row security: a key that leaves out the
# tenant lets A refer to B's row, and its deletion by B takes A's row along.
# One with the tenant does not.
attack 'W7', 'a foreign key onto another tenant\'s row', <<'CASE';
su> ALTER TABLE app.docs ADD UNIQUE (tenant_id, id)
su> CREATE TABLE app.notes (id integer PRIMARY KEY, doc_id integer, tenant_id uuid, body text, FOREIGN KEY (tenant_id, doc_id) REFERENCES app.docs (tenant_id, id) ON DELETE CASCADE ON UPDATE CASCADE)
su> SELECT revdesk_protect('app.notes')
su> CREATE TABLE app.loose (id integer, doc_id integer REFERENCES app.docs ON DELETE CASCADE, tenant_id uuid)
su> SELECT revdesk_protect('app.loose')
su> GRANT SELECT, INSERT, UPDATE, DELETE ON app.notes, app.loose TO api
su> INSERT INTO app.notes VALUES (1, 4, '${B}', 'CANARY_B_note')
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$INSERT INTO app.notes VALUES (2, 4, '${A1}', 'x')$$)
a> SELECT try($$INSERT INTO app.notes VALUES (2, 4, '${B}', 'x')$$)
a> SELECT try($$INSERT INTO app.notes VALUES (2, 2, '${A1}', 'mine')$$)
a> SELECT try($$UPDATE app.notes SET doc_id = 4$$)
a> SELECT try($$DELETE FROM app.docs$$)
a> COMMIT
su> SELECT 'notes: ' || string_agg(body, ' ') FROM app.notes
su> SELECT others()
a> SELECT revdesk_authenticate('${KEY_A1}')\; INSERT INTO app.loose VALUES (1, 4, '${A1}')\; SELECT 'loose ' || count(*) FROM app.loose
b> SELECT revdesk_authenticate('${KEY_B}')\; DELETE FROM app.docs WHERE id = 4
a> SELECT revdesk_authenticate('${KEY_A1}')\; SELECT 'loose, without B''s row: ' || count(*) FROM app.loose
must (?s)loose 1.*loose, without B's row: 0
must (?s)23503 for.*42501 for.*1 rows of.*23503 for.*10 rows of
must notes: CANARY_B_note\n
must others are as before
CASE

attack 'W8', 'TRUNCATE, REFERENCES and TRIGGER', <<'CASE';
su> CREATE TABLE app.fresh (id integer PRIMARY KEY, tenant_id uuid)
su> GRANT ALL ON app.fresh TO api, PUBLIC
su> GRANT REFERENCES (id), SELECT (id) ON app.fresh TO api WITH GRANT OPTION
su> SELECT revdesk_protect('app.fresh')
su> SELECT 'left: ' || string_agg(privilege, ' ') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
  WHERE has_table_privilege('api', 'app.fresh', privilege) OR privilege = 'REFERENCES' AND has_any_column_privilege('api', 'app.fresh', privilege)
a> SELECT try('TRUNCATE app.fresh')
a> SELECT try('TRUNCATE app.docs CASCADE')
a> SELECT try('TRUNCATE app.parts_rest')
a> SELECT try('CREATE TABLE mine.refers (id integer REFERENCES app.fresh)')
a> SELECT try('CREATE TRIGGER mine BEFORE INSERT ON app.docs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()')
a> SELECT try('CREATE TRIGGER mine AFTER INSERT ON app.fresh EXECUTE FUNCTION suppress_redundant_updates_trigger()')
a> SELECT try('CREATE RULE mine AS ON INSERT TO app.docs DO INSTEAD NOTHING')
a> SELECT try('CREATE TABLE mine.child () INHERITS (app.docs)')
a> SELECT try('CREATE POLICY mine ON app.docs USING (true)')
su> SELECT others()
must (?m)^left: SELECT INSERT UPDATE DELETE$
must (?s)(42501 for.*){9}others are as before
mustnot rows of
CASE

attack 'W9', 'writing to the umbrella through a walk-up table', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT 'reads ' || count(*) FROM app.registrations WHERE tenant_id = '${A}'
a> SELECT try($$UPDATE app.registrations SET body = 'x' WHERE tenant_id = '${A}'$$)
a> SELECT try($$DELETE FROM app.registrations WHERE tenant_id = '${A}'$$)
a> SELECT try($$INSERT INTO app.registrations (id, tenant_id) VALUES (900, '${A}')$$)
a> SELECT try($$UPDATE app.registrations SET tenant_id = '${A}'$$)
a> SELECT try($$MERGE INTO app.registrations USING (VALUES (1)) AS v ON tenant_id = '${A}' WHEN MATCHED THEN DELETE$$)
a> SELECT try($$SELECT FROM app.registrations WHERE tenant_id = '${A}' FOR UPDATE$$)
a> SELECT try($$UPDATE app.registrations SET amount = up.amount FROM app.registrations AS up WHERE up.tenant_id = '${A}' AND registrations.tenant_id = up.tenant_id$$)
a> COMMIT
su> SELECT others()
must reads 10
must (?s)others are as before
mustnot [1-9]\d* rows
CASE

attack 'W10', 'a key of access read', <<'CASE';
su> CREATE FUNCTION app.writes() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'UPDATE app.docs SET amount = 0; SELECT 1'
su> CREATE TABLE public.loot (x text)
su> GRANT ALL ON public.loot TO api
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_READ}')
a> SELECT 'reads ' || count(*) FROM app.docs
a> SELECT try($$INSERT INTO app.docs (tenant_id) VALUES ('${A1}')$$)
a> SELECT try($$UPDATE app.docs SET amount = 0$$)
a> SELECT try('DELETE FROM app.docs')
a> SELECT try($$SELECT nextval('app.docs_id_seq')$$)
a> SELECT try('CREATE TEMP TABLE t AS SELECT * FROM app.docs')
a> SELECT try('WITH w AS (UPDATE app.docs SET amount = 0 RETURNING 1) SELECT FROM w')
a> SELECT try('SELECT app.writes()')
a> SELECT try('SET TRANSACTION READ WRITE')
a> SELECT try('SET transaction_read_only = off')
a> SELECT try($$INSERT INTO public.loot SELECT body FROM app.docs$$)
a> SELECT try('SELECT body FROM app.docs FOR UPDATE')
a> SELECT try('CREATE FUNCTION mine.f() RETURNS integer LANGUAGE sql AS ''SELECT 1''')
a> SELECT try('NOTIFY x, ''y''')
a> SAVEPOINT s
a> RELEASE s
a> SELECT try('UPDATE app.docs SET amount = 0')
a> SELECT revdesk_deauthenticate()
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try('UPDATE app.docs SET amount = 0')
a> COMMIT
b> BEGIN READ WRITE
b> SAVEPOINT s
b> SELECT revdesk_authenticate('${KEY_READ}')
b> RELEASE s
b> SELECT try('UPDATE app.docs SET amount = 0')
b> COMMIT
su> SELECT others()
su> SELECT 'A1 is as before ' || (min(amount) = 1 AND count(*) = 10) FROM app.docs WHERE tenant_id = '${A1}'
su> SELECT 'loot ' || count(*) FROM public.loot
must reads 30
must (?s)(25006 for.*){7}(?:25001|25006|22023) for SET.*
must others are as before
must A1 is as before true
must loot 0
mustnot [1-9]\d* rows of|0 rows of (?!SET|NOTIFY)
CASE

attack 'W21', 'rules, and views of the owner, that write', <<'CASE';
su> GRANT CREATE ON SCHEMA app TO owner
owner> CREATE VIEW app.owners AS SELECT * FROM app.docs
owner> GRANT SELECT, INSERT, UPDATE, DELETE ON app.owners TO api
a> CREATE VIEW mine.target AS SELECT 1 AS x
a> CREATE RULE r AS ON INSERT TO mine.target DO INSTEAD INSERT INTO app.docs (tenant_id, body) VALUES ('${B}', 'x')
a> CREATE RULE u AS ON UPDATE TO mine.target DO INSTEAD UPDATE app.docs SET body = 'x' WHERE tenant_id IS DISTINCT FROM '${A1}'
a> CREATE VIEW mine.checked AS SELECT * FROM app.docs WITH CASCADED CHECK OPTION
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try('INSERT INTO mine.target VALUES (1)')
a> SELECT try('UPDATE mine.target SET x = 1')
a> SELECT try($$INSERT INTO app.owners (tenant_id) VALUES ('${B}')$$)
a> SELECT try($$UPDATE app.owners SET tenant_id = '${B}'$$)
a> SELECT try($$UPDATE app.owners SET body = 'x' WHERE id = 4$$)
a> SELECT try($$DELETE FROM app.owners WHERE tenant_id IS DISTINCT FROM '${A1}'$$)
a> SELECT try($$INSERT INTO mine.checked (tenant_id) VALUES ('${B}')$$)
a> COMMIT
su> SELECT others()
must (?s)42501 for.*42501 for.*42501 for.*42501 for.*others are as before
mustnot [1-9]\d* rows
CASE

attack 'W22', 'a BEFORE trigger that moves the row after the umbrella was filled in, or before', <<'CASE';
su> CREATE FUNCTION app.move() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.tenant_id := '${B}'; NEW.umbrella_id := '${B}'; RETURN NEW; END$$
su> CREATE FUNCTION app.lie() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.umbrella_id := '${B}'; RETURN NEW; END$$
su> CREATE TRIGGER aa BEFORE INSERT ON app.docs FOR EACH ROW EXECUTE FUNCTION app.move()
su> CREATE TRIGGER zz BEFORE UPDATE ON app.docs FOR EACH ROW EXECUTE FUNCTION app.lie()
su> CREATE TRIGGER zzz BEFORE INSERT ON app.parts FOR EACH ROW EXECUTE FUNCTION app.lie()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> SELECT try($$INSERT INTO app.docs (tenant_id, body) VALUES ('${A1}', 'x')$$)
a> UPDATE app.docs SET amount = 0 WHERE id = 2
a> SELECT 'umbrella ' || umbrella_id FROM app.docs WHERE id = 2
a> COMMIT
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A}')
b> SELECT try($$INSERT INTO app.parts (id, tenant_id) VALUES (904, '${A1}')$$)
b> COMMIT
su> SELECT others()
must 42501 for INSERT INTO app.docs
must umbrella ${A}
must (?s)42501 for INSERT INTO app.parts.*others are as before
mustnot [1-9]\d* rows
CASE

attack 'W23', 'a cursor of a wide key, updated through under a narrow one', <<'CASE';
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> DECLARE c CURSOR FOR SELECT * FROM app.docs ORDER BY id FOR UPDATE
a> DECLARE d CURSOR FOR SELECT * FROM app.parts_rest
a> FETCH 1 FROM c
a> FETCH 1 FROM d
a> SELECT revdesk_deauthenticate()
a> SELECT revdesk_authenticate('${KEY_A1}')
a> UPDATE app.docs SET body = 'x' WHERE CURRENT OF c RETURNING 'updated ' || body
a> SAVEPOINT s
a> DELETE FROM app.parts_rest WHERE CURRENT OF d RETURNING 'deleted ' || body
a> ROLLBACK TO s
a> COMMIT
su> SELECT others()
must others are as before
mustnot updated|deleted
CASE

attack 'W24', 'waiting to write to a row that moves to another tenant meanwhile', <<'CASE';
su> BEGIN
su> UPDATE app.docs SET tenant_id = '${B}', body = 'moved' WHERE id IN (2, 7, 12)
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a& SELECT try('UPDATE app.docs SET body = ''x'' WHERE id = 2')
b> BEGIN
b> SELECT revdesk_authenticate('${KEY_A1}')
b& SELECT try('DELETE FROM app.docs WHERE id = 7')
c> BEGIN
c> SELECT revdesk_authenticate('${KEY_A1}')
c& SELECT try($$INSERT INTO app.docs (id, tenant_id) VALUES (12, '${A1}') ON CONFLICT (id) DO UPDATE SET body = 'x'$$)
su> DO $$ BEGIN WHILE (SELECT count(*) FROM pg_locks WHERE NOT granted) < 3 LOOP PERFORM pg_sleep(0.01); END LOOP; END $$
su> COMMIT
a?
b?
c?
a> COMMIT
b> COMMIT
c> COMMIT
su> SELECT 'moved ' || count(*) FROM app.docs WHERE body = 'moved'
must (?s)0 rows.*0 rows.*42501 for
must moved 3
CASE

# Constraint triggers run at COMMIT, for whoever the transaction acts for then.
attack 'W25', 'a deferred trigger that writes after the context was dropped or changed', <<'CASE';
su> CREATE FUNCTION app.later() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  INSERT INTO app.parts (id, tenant_id, body) VALUES (NEW.id, NEW.tenant_id, 'by the trigger'); RETURN NULL; END$$
su> CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON app.docs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.later()
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> UPDATE app.docs SET amount = amount WHERE id = 4
a> SELECT revdesk_deauthenticate()
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_B}')
a> UPDATE app.docs SET amount = amount WHERE id = 4
a> SELECT revdesk_deauthenticate()
a> SELECT revdesk_authenticate('${KEY_A1}')
a> COMMIT
a> BEGIN
a> SELECT revdesk_authenticate('${KEY_A1}')
a> UPDATE app.docs SET amount = amount WHERE id = 2
a> COMMIT
su> SELECT 'written: ' || string_agg(tenant_id::text, ' ') FROM app.parts WHERE body = 'by the trigger'
su> SELECT others()
must (?s)42501.*42501.*written: ${A1}\n.*others are as before
CASE

attack_end();
