-- The plan cache under a load of random callers whose scopes are drawn from
-- :scopes: one prepared statement, as PostgREST has it, for :requests requests.

-- Requests one after another; the time of the queries alone.
CREATE OR REPLACE FUNCTION bench.requests(scopes text[], requests integer) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
    tokens text[] := ARRAY(SELECT 'revdesk_' || md5(name) FROM unnest(scopes) WITH ORDINALITY AS drawn (wanted, place),
                                  LATERAL (SELECT name FROM revdesk.api_keys
                                           WHERE scope = wanted AND name NOT LIKE 'half%' AND name NOT IN ('o10000', 'u5000')
                                           ORDER BY md5(name || place) LIMIT requests / cardinality(scopes)) AS keys
                           ORDER BY random());
    before timestamptz;
    us float := 0;
BEGIN
    SET LOCAL ROLE bench_api;
    FOR i IN 1..requests LOOP
        PERFORM revdesk_authenticate(tokens[1 + i % cardinality(tokens)]);
        before := clock_timestamp();
        EXECUTE 'EXECUTE page (0)';
        us := us + extract(epoch FROM clock_timestamp() - before) * 1e6;
        PERFORM revdesk_deauthenticate();
    END LOOP;
    RESET ROLE;
    RETURN us / requests;
END
$$;
PREPARE page (bigint) AS SELECT id, created_at, payload FROM bench.docs_u WHERE id <> $1 ORDER BY created_at DESC LIMIT 5;
SELECT bench.requests(:'scopes', 100) \g /dev/null
SELECT pg_stat_statements_reset() \g /dev/null
SELECT bench.requests(:'scopes', :requests) AS us \gset
SELECT format('| %s | %s | %s |', array_to_string(:'scopes'::text[], ', '), round(sum(plans) * 1000.0 / :requests), round((:us)::numeric, 1))
FROM pg_stat_statements WHERE query LIKE 'PREPARE page%' OR query LIKE 'SELECT id, created_at%docs_u%LIMIT%';
