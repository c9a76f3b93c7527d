-- What bench/usage measures with: 1,000 keys and loops of logins that stay on
-- the server, so that no time is spent between client and server.
-- Key i has the token 'revdesk_' || md5('k' || i).

SET client_min_messages = warning;
CREATE EXTENSION revdesk_auth CASCADE;
SELECT revdesk_create_organization('bench', md5('organization')::uuid);
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(convert_to('revdesk_' || md5('k' || i), 'UTF8')), 'organization', md5('organization')::uuid, 'key ' || i
FROM generate_series(1, 1000) AS i;

CREATE SCHEMA bench;
CREATE TABLE bench.tokens AS SELECT 'revdesk_' || md5('k' || i) AS token FROM generate_series(1, 1000) AS i;

-- So many logins, of all keys in turn, or of one if "key" is not null.
CREATE FUNCTION bench.log_in(times integer, key integer DEFAULT NULL) RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    tokens text[] := ARRAY(SELECT token FROM bench.tokens);
    started timestamptz := clock_timestamp();
BEGIN
    FOR i IN 1..times LOOP
        PERFORM revdesk_authenticate(tokens[COALESCE(key, 1 + i % 1000)]);
        PERFORM revdesk_deauthenticate();
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - started) * 1e6 / times;
END
$$;

-- Work that shares nothing with other backends.
CREATE FUNCTION bench.compute(times integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    sum bigint := 0;
BEGIN
    FOR i IN 1..times LOOP
        sum := sum + i % 7;
    END LOOP;
END
$$;

-- Every key has a rate and a quota, which nobody reaches.
CREATE FUNCTION bench.limit_keys() RETURNS void LANGUAGE sql AS $$
    UPDATE revdesk.api_keys SET rate_limit = 1000000, quota = 1000000000000;
$$;
VACUUM ANALYZE;
