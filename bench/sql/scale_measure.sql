-- How bench/scale measures.

CREATE TABLE bench.samples (what text, caller text, query text, form text, us float);
CREATE TABLE bench.estimates (caller text, relation text, expected float, real float);
CREATE SEQUENCE bench.new_id START 1000000000;

-- The queries. $where(d) is the condition on what has the alias d; $id is a
-- key of the caller's. One sample runs it "loops" times; quick ones have more
-- and shorter samples, which others on the machine disturb less.
CREATE TABLE bench.queries (n serial, name text, loops integer, samples integer, statement text);
INSERT INTO bench.queries (name, loops, samples, statement) VALUES
    ('count', 1, 1, 'SELECT count(*) FROM $docs AS d WHERE $where(d)'),
    ('newest 50', 5, 3, 'SELECT d.id, d.created_at, d.payload FROM $docs AS d WHERE $where(d) ORDER BY d.created_at DESC LIMIT 50'),
    ('by key', 20, 5, 'SELECT d.id, d.payload FROM $docs AS d WHERE d.id = $id AND $where(d)'),
    ('join', 1, 1, 'SELECT count(i.label) FROM $docs AS d JOIN $docs_items AS i ON i.doc_id = d.id WHERE $where(d) AND $where(i)'),
    ('by day', 1, 1, 'SELECT date_trunc(''day'', d.created_at), count(*), sum(d.amount) FROM $docs AS d WHERE $where(d) GROUP BY 1'),
    ('insert', 10, 3, 'INSERT INTO $docs SELECT nextval(''bench.new_id''), $tenant, $umbrella, ''2024-12-31'', 1, ''new'''),
    ('update', 10, 3, 'UPDATE $docs AS d SET amount = amount + 1 WHERE d.id = $id AND $where(d)');

GRANT ALL ON ALL TABLES IN SCHEMA bench TO bench_api;
GRANT ALL ON SEQUENCE bench.new_id TO bench_api;

-- The forms of a caller's queries: the table, the condition on a $row, and
-- whether row security is by-passed.
CREATE FUNCTION bench.forms(caller text) RETURNS TABLE (form text, docs text, condition text, bypass boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    id uuid := md5(caller);
    tenants uuid[];
BEGIN
    IF caller LIKE 'u%' THEN
        SELECT array_agg(m.tenant_id ORDER BY m.tenant_id) INTO tenants FROM bench.memberships AS m WHERE m.user_id = id;
        RETURN QUERY SELECT 'join', 'bench.docs', format('$row.tenant_id IN (SELECT m.tenant_id FROM bench.memberships AS m WHERE m.user_id = %L)', id), true
                     WHERE cardinality(tenants) <= 1000;
    ELSIF caller LIKE '%.%' THEN
        RETURN QUERY VALUES ('array', 'bench.docs', format('$row.tenant_id = %L', id), true),
                            ('umbrella', 'bench.docs_u', format('$row.tenant_id = %L', id), true), ('revdesk_u', 'bench.docs_u', 'true', false);
    ELSE
        SELECT array_agg(t.id ORDER BY t.id) INTO tenants FROM bench.tenants AS t WHERE t.umbrella_id = md5(caller)::uuid;
        RETURN QUERY SELECT 'join', 'bench.docs', format('$row.tenant_id IN (SELECT t.id FROM bench.tenants AS t WHERE t.umbrella_id = %L)', id), true
                     WHERE cardinality(tenants) <= 1001;
        RETURN QUERY VALUES ('umbrella', 'bench.docs_u', format('$row.umbrella_id = %L', id), true), ('revdesk_u', 'bench.docs_u', 'true', false);
    END IF;
    IF tenants IS NOT NULL THEN
        RETURN QUERY VALUES ('array', 'bench.docs', format('$row.tenant_id = ANY (%L)', tenants), true);
    END IF;
    RETURN QUERY VALUES ('revdesk', 'bench.docs', 'true', false);
END
$$;

-- tenant: one of the caller's, for new rows.
CREATE FUNCTION bench.statement(template text, docs text, condition text, tenant uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(replace(replace(replace(replace(template,
        '$docs', docs), '$where(d)', replace(condition, '$row', 'd')), '$where(i)', replace(condition, '$row', 'i')),
        '$tenant', quote_literal(tenant) || '::uuid'),
        '$umbrella', quote_literal((SELECT umbrella_id FROM bench.tenants WHERE id = tenant)) || '::uuid')
$$;

-- A function that runs the statement "loops" times with some of these ids;
-- with the rights of a superuser where row security is to be by-passed.
CREATE FUNCTION bench.make(name text, statement text, loops integer, bypass boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format($make$
        CREATE FUNCTION bench.%I(ids bigint[], first integer) RETURNS void LANGUAGE plpgsql %s AS $f$
        DECLARE
            at bigint;
        BEGIN
            FOR i IN 1..%s LOOP
                at := ids[1 + (first + i) %% cardinality(ids)];
                %s;
            END LOOP;
        END $f$ $make$, name, CASE WHEN bypass THEN 'SECURITY DEFINER' ELSE '' END, loops, regexp_replace(replace(statement, '$id', 'at'), '^SELECT', 'PERFORM'));
END
$$;

CREATE FUNCTION bench.time(function text, ids bigint[], round integer, loops integer) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
    before timestamptz;
BEGIN
    before := clock_timestamp();
    EXECUTE format('SELECT bench.%I($1, $2)', function) USING ids, round * loops;
    RETURN extract(epoch FROM clock_timestamp() - before) * 1e6 / loops;
END
$$;

-- Run some statements of a caller by turns, in another order each time: what
-- runs finds the caches as the one before has left them.
CREATE FUNCTION bench.measure(
    what text, caller text, query text, loops integer, names text[], statements text[], bypass boolean[], ids bigint[], rounds integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    forms integer := cardinality(names);
    us float;
    form integer;
BEGIN
    FOR form IN 1..forms LOOP
        PERFORM bench.make(format('%s %s %s %s', what, caller, query, names[form]), statements[form], loops, bypass[form]);
    END LOOP;
    FOR round IN 0..rounds LOOP
        FOR form IN SELECT turn FROM generate_series(1, forms) AS turn ORDER BY random() LOOP
            us := bench.time(format('%s %s %s %s', what, caller, query, names[form]), ids, round, loops);
            IF round > 0 THEN
                INSERT INTO bench.samples VALUES (what, caller, query, names[form], us);
            END IF;
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION bench.planning(caller text, query text, name text, statement text, rounds integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    FOR round IN 0..least(rounds, 9) LOOP
        EXECUTE 'EXPLAIN (SUMMARY, FORMAT JSON) ' || statement INTO plan;
        IF round > 0 THEN
            INSERT INTO bench.samples VALUES ('planning', caller, query, name, (plan #>> '{0,Planning Time}')::float * 1000);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION bench.estimate(caller text, relation text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    real bigint;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT * FROM bench.%I', relation) INTO plan;
    EXECUTE format('SELECT count(*) FROM bench.%I', relation) INTO real;
    INSERT INTO bench.estimates VALUES (caller, relation, (plan #>> '{0,Plan,Plan Rows}')::float, real);
END
$$;
