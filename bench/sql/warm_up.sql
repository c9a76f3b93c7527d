-- What a connection does first, so that what is measured after it is a
-- long-lived one: its backend has touched the memory of the tables and indexes
-- (a page of shared buffers costs a page fault at the first touch), and has
-- logged in for every tenant or caller (a backend loads the library, plans,
-- and caches tenants at first).

-- Read all of one table's rows, and all of its indexes that begin with these
-- columns.
CREATE FUNCTION bench.touch(target regclass, payload name, columns name[]) RETURNS void
    LANGUAGE plpgsql
    SET max_parallel_workers_per_gather = 0 SET jit = off SET enable_bitmapscan = off
AS $$
DECLARE
    indexed name;
BEGIN
    EXECUTE format('SELECT count(%I) FROM %s', payload, target);
    SET LOCAL enable_seqscan = off;
    FOREACH indexed IN ARRAY columns LOOP
        EXECUTE format('SELECT count(*) FROM %s WHERE %I IS NOT NULL', target, indexed);
    END LOOP;
    RESET enable_seqscan;
END
$$;

-- For the scripts auth_*.sql.
CREATE FUNCTION bench.warm_up() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    key text;
    keys integer;
BEGIN
    PERFORM bench.touch('revdesk.api_keys', 'created_at', '{key_hash}');
    PERFORM bench.touch('bench.keys', 'tenant_id', '{key_hash}');
    PERFORM bench.touch('bench.rows', 'payload', '{id}');
    -- Evenly spread, and as many as it takes to meet nearly all pages by which a
    -- key is found and counted: not all kinds of memory can be read as a whole.
    SELECT count(*) INTO keys FROM bench.keys;
    FOR i IN 1..keys BY greatest(keys / 30000, 1) LOOP
        key := 'revdesk_' || md5('k' || i);
        IF i <= 1000 THEN
            PERFORM bench.authenticate(key);
        END IF;
        PERFORM revdesk_authenticate(key);
        PERFORM revdesk_deauthenticate();
    END LOOP;
END
$$;

-- For the scripts rows_*.sql.
CREATE FUNCTION bench.warm_up(scope text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    key text;
    indexed name[] := CASE scope WHEN 'sub_entity' THEN '{tenant_id}'
                                 WHEN 'organization' THEN '{umbrella_id}'
                                 ELSE '{tenant_id, owner_id}' END;
BEGIN
    PERFORM bench.touch('bench.docs', 'payload', indexed);
    PERFORM bench.touch('bench_plain.docs', 'payload', indexed);
    PERFORM bench.touch('bench_setting.docs', 'payload', indexed);
    FOR key IN SELECT token FROM bench.actors WHERE actors.scope = warm_up.scope LOOP
        PERFORM revdesk_authenticate(key);
        PERFORM revdesk_deauthenticate();
    END LOOP;
END
$$;
