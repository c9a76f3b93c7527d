-- Proves that a plan, function or cursor made under one key gives another key the right rows (attacks R2 to R4).

BEGIN;
\ir setup/desk.psql
SELECT plan(48);
SET LOCAL plan_cache_mode = force_generic_plan;
CREATE INDEX ON desk.contacts (tenant_id, id);

CREATE FUNCTION test.answer(statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE statement INTO answer;
  RETURN answer;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;

-- What every key must see, of each table.
CREATE TEMP TABLE expected AS
SELECT * FROM (VALUES
  ('A1', 'A1', 'A1', 'A1', 'A,A1'), ('A2', 'A2', 'A2,A2 by ann', 'A2,A2 by ann', 'A,A2'), ('B1', 'B1', 'B1', 'B1', 'B,B1'),
  ('A', 'A,A1,A2', 'A,A1,A2,A2 by ann', 'A,A1,A2,A2 by ann', 'A,A1,A2'), ('B', 'B,B1', 'B,B1', 'B,B1', 'B,B1'),
  ('ann', 'A1,B', 'A1,B,ann', 'A1,B,ann', 'A1,B'), ('bob', 'A', 'A,bob', 'A,bob', 'A'), (NULL, NULL, NULL, NULL, NULL)
) AS expected (key, calls, contacts, notes, registrations);
GRANT SELECT ON expected TO test_app;

SET LOCAL ROLE test_app;

-- Each table by each kind of cached plan.
PREPARE calls AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.calls;
PREPARE contacts AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts;
PREPARE notes AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.notes;
PREPARE registrations AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.registrations;
PREPARE contacts_but (text) AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts WHERE label <> $1;
PREPARE contacts_joined AS
  SELECT string_agg(contacts.label, ',' ORDER BY contacts.label) FROM desk.contacts LEFT JOIN desk.calls ON calls.id = contacts.id;
PREPARE contacts_by_id AS
  SELECT string_agg(label, ',') FROM (SELECT label FROM desk.contacts ORDER BY label, id LIMIT 50) AS page;
PREPARE contacts_in_cte AS WITH page AS MATERIALIZED (SELECT * FROM desk.contacts) SELECT string_agg(label, ',' ORDER BY label) FROM page;
RESET ROLE;
CREATE FUNCTION test.contacts_plpgsql() RETURNS text LANGUAGE plpgsql STABLE
AS $$ BEGIN RETURN (SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts); END $$;
CREATE FUNCTION test.contacts_plpgsql_loop() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  row record;
  seen text;
BEGIN
  FOR row IN SELECT label FROM desk.contacts ORDER BY label LOOP
    seen := concat_ws(',', seen, row.label);
  END LOOP;
  RETURN seen;
END
$$;
CREATE FUNCTION test.contacts_sql() RETURNS text LANGUAGE sql STABLE
AS $$ SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts $$;
CREATE FUNCTION test.contacts_atomic() RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts; END;
CREATE FUNCTION test.contacts_sql_set() RETURNS text LANGUAGE sql VOLATILE SET work_mem = '1MB'
AS $$ SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts $$;
CREATE FUNCTION test.contacts_definer() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
AS $$ BEGIN RETURN (SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts); END $$;
ALTER FUNCTION test.contacts_definer() OWNER TO test_owner;
CREATE VIEW desk.contacts_view WITH (security_invoker = true) AS SELECT * FROM desk.contacts;
GRANT SELECT ON desk.contacts_view TO test_app;
CREATE FUNCTION test.contacts_by_view() RETURNS text LANGUAGE plpgsql
AS $$ BEGIN RETURN (SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts_view); END $$;
GRANT USAGE ON SCHEMA test TO test_owner;

CREATE TEMP TABLE statements AS
SELECT * FROM (VALUES
  ('attack R2: prepared, tenant only', 'EXECUTE calls', 'calls'), ('attack R2: prepared, all columns', 'EXECUTE contacts', 'contacts'),
  ('attack R2: prepared, without an umbrella', 'EXECUTE notes', 'notes'), ('attack R2: prepared, walk-up', 'EXECUTE registrations', 'registrations'),
  ('attack R2: prepared with a parameter', 'EXECUTE contacts_but (''x'')', 'contacts'), ('attack R2: prepared join', 'EXECUTE contacts_joined', 'contacts'),
  ('attack R2: prepared page', 'EXECUTE contacts_by_id', 'contacts'), ('attack R2: prepared CTE', 'EXECUTE contacts_in_cte', 'contacts'),
  ('attack R3: PL/pgSQL', 'SELECT test.contacts_plpgsql()', 'contacts'), ('attack R3: a loop in PL/pgSQL', 'SELECT test.contacts_plpgsql_loop()', 'contacts'),
  ('attack R3: SQL', 'SELECT test.contacts_sql()', 'contacts'), ('attack R3: SQL, parsed', 'SELECT test.contacts_atomic()', 'contacts'),
  ('attack R3: SQL, not inlined', 'SELECT test.contacts_sql_set()', 'contacts'), ('attack R3: SECURITY DEFINER of the owner', 'SELECT test.contacts_definer()', 'contacts'),
  ('attack R3: a view in PL/pgSQL', 'SELECT test.contacts_by_view()', 'contacts')
) AS statements (name, statement, relation);
GRANT SELECT ON statements TO test_app;

-- For each statement: every ordered pair of keys, the plan made or made anew
-- under the first one, the answer under the second one.
CREATE FUNCTION test.after_every_other(statement text, relation text, OUT pairs integer, OUT wrong text) LANGUAGE plpgsql
AS $$
DECLARE
  pair record;
  answer text;
BEGIN
  pairs := 0;
  FOR pair IN
    SELECT one.key AS before, two.key, to_jsonb(two) ->> relation AS wanted FROM expected AS one, expected AS two
    ORDER BY one.key NULLS FIRST, two.key NULLS LAST
  LOOP
    PERFORM test.act_for(pair.before);
    PERFORM test.answer(statement);
    PERFORM test.act_for(pair.key);
    answer := test.answer(statement);
    pairs := pairs + 1;
    IF answer IS DISTINCT FROM pair.wanted THEN
      wrong := concat_ws('; ', wrong, format('%s after %s: %s', pair.key, pair.before, answer));
    END IF;
  END LOOP;
  PERFORM test.act_for(NULL);
END
$$;
SET LOCAL ROLE test_app;
SELECT is(
  (SELECT pairs || COALESCE(' ' || wrong, '') FROM test.after_every_other(statement, relation)), '64', name || ': right under every key after every other')
FROM statements;
SELECT is(
  (SELECT string_agg(name, ',') FROM pg_prepared_statements WHERE generic_plans = 0 AND name <> 'none'), NULL,
  'attack R2: and all of the prepared ones had generic plans');
SELECT is(
  (SELECT count(*) FROM pg_prepared_statements WHERE custom_plans = 0 AND generic_plans >= 128), 8::bigint,
  'attack R2: which they kept to');

-- The choice between custom and generic plans left to PostgreSQL.
SET LOCAL plan_cache_mode = auto;
DEALLOCATE contacts;
PREPARE contacts AS SELECT string_agg(label, ',' ORDER BY label) FROM desk.contacts;
SELECT is(
  (SELECT pairs || COALESCE(' ' || wrong, '') FROM test.after_every_other('EXECUTE contacts', 'contacts')), '64', 'attack R2: the same with plan_cache_mode = auto');
SET LOCAL plan_cache_mode = force_generic_plan;

-- A rollback that brings back a context of another scope.
SELECT test.act_for('A1');
SELECT is(test.answer('EXECUTE notes'), 'A1', 'attack R2: a plan for a sub-entity');
SAVEPOINT a1;
SELECT test.act_for('ann');
SELECT is(test.answer('EXECUTE notes'), 'A1,B,ann', 'attack R2: then for a user');
ROLLBACK TO a1;
SELECT is(test.answer('EXECUTE notes'), 'A1', 'attack R2: then for the sub-entity that ROLLBACK TO brings back');
SAVEPOINT none;
SELECT test.act_for('A');
SELECT is(test.answer('EXECUTE notes'), 'A,A1,A2,A2 by ann', 'attack R2: then for an organization');
ROLLBACK TO none;
SELECT is(test.answer('EXECUTE notes'), 'A1', 'attack R2: and back once more');
SELECT test.act_for(NULL);

-- Prepared writes keep to the WITH CHECK of the moment.
PREPARE add_note (integer, uuid, uuid) AS INSERT INTO desk.notes VALUES ($1, $2, $3, 'new') RETURNING label;
PREPARE change_notes AS WITH changed AS (UPDATE desk.notes SET label = label RETURNING label) SELECT string_agg(label, ',' ORDER BY label) FROM changed;
CREATE FUNCTION pg_temp.write(key text, statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  answer text;
BEGIN
  PERFORM test.act_for(key);
  answer := test.answer(statement);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN answer;
END
$$;
SELECT is(
  pg_temp.write(key, format('EXECUTE add_note (100, %L, %L)', test.id(tenant), test.id(owner))), expected,
  format('P13: a prepared INSERT for %s by %s', COALESCE(tenant, owner), COALESCE(key, 'nobody')))
FROM (VALUES
  ('A1', 'A1', NULL, 'new'), ('B1', 'A1', NULL, '42501'), ('A', 'A1', NULL, 'new'), ('B', 'A1', NULL, '42501'), ('ann', 'A1', NULL, 'new'),
  ('bob', 'A1', NULL, '42501'), ('ann', NULL, 'ann', 'new'), ('bob', NULL, 'ann', '42501'), ('A1', NULL, 'ann', '42501'), (NULL, 'A1', NULL, '42501'),
  ('A1', 'A1', NULL, 'new')
) AS cases (key, tenant, owner, expected);
SELECT is(
  pg_temp.write(key, 'EXECUTE change_notes'), notes, 'P13: a prepared UPDATE by ' || COALESCE(key, 'nobody')) FROM expected;

-- R4: a cursor under one key, read on under another.
CREATE FUNCTION pg_temp.read_on(first text, second text, relation text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  reader refcursor := 'reader';
  row record;
  seen text[] := '{}';
BEGIN
  PERFORM test.act_for(first);
  EXECUTE format('DECLARE reader NO SCROLL CURSOR FOR SELECT label FROM desk.%I', relation);
  FETCH reader INTO row;
  IF FOUND THEN
    seen := seen || row.label;
  END IF;
  PERFORM test.act_for(second);
  LOOP
    FETCH reader INTO row;
    EXIT WHEN NOT FOUND;
    seen := seen || row.label;
  END LOOP;
  CLOSE reader;
  PERFORM test.act_for(NULL);
  RETURN (SELECT string_agg(label, ',') FROM unnest(seen) AS label
          WHERE NOT label = ANY (string_to_array((SELECT concat_ws(',', to_jsonb(one) ->> relation, to_jsonb(two) ->> relation)
                                                  FROM expected AS one, expected AS two
                                                  WHERE one.key IS NOT DISTINCT FROM first AND two.key IS NOT DISTINCT FROM second), ',')));
END
$$;
SELECT is(
  (SELECT string_agg(pg_temp.read_on(one.key, two.key, relation), ',') FROM expected AS one, expected AS two), NULL,
  'attack R4: no cursor on ' || relation || ' reads a row that neither the first nor the second key may see')
FROM (VALUES ('calls'), ('contacts'), ('notes'), ('registrations')) AS tables (relation);
SELECT test.act_for('A');
DECLARE reader CURSOR FOR SELECT label FROM desk.calls ORDER BY id;
SELECT test.act_for(NULL);
CREATE FUNCTION pg_temp.fetched(name text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  reader refcursor := name;
  row record;
  seen text;
BEGIN
  LOOP
    FETCH reader INTO row;
    EXIT WHEN NOT FOUND;
    seen := concat_ws(',', seen, row.label);
  END LOOP;
  RETURN seen;
END
$$;
SELECT test.act_for('A1');
DECLARE other CURSOR FOR SELECT label FROM desk.calls ORDER BY id;
SELECT is(pg_temp.fetched('other'), 'A1', 'attack R4: a cursor that is opened under a key after another was closed sees the key''s rows');
SELECT test.act_for(NULL);
DECLARE early CURSOR FOR SELECT label FROM desk.calls ORDER BY id;
SELECT is(pg_temp.fetched('early'), NULL, 'attack R4: a cursor that is read without a key is empty');

SELECT * FROM finish();
ROLLBACK;
