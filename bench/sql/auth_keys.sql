-- What revdesk_authenticate is compared with: a table to read one row of by
-- its primary key, and the least that an API-key login in PL/pgSQL has to do,
-- each with as many rows as there are keys.  Key i has the token
-- 'revdesk_' || md5('k' || i), and is of one of :tenants sub-entities.

CREATE EXTENSION pg_stat_statements;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO bench_api;

CREATE TABLE bench.rows (
    id uuid NOT NULL,
    payload text NOT NULL
);
INSERT INTO bench.rows
SELECT md5('k' || i)::uuid, 'row ' || i FROM generate_series(1, :keys) AS i;
ALTER TABLE bench.rows ADD PRIMARY KEY (id);
GRANT SELECT ON bench.rows TO bench_api;

CREATE TABLE bench.keys (
    key_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
) WITH (fillfactor = 90);  -- room for last_used_at without a new index entry
INSERT INTO bench.keys (key_hash, tenant_id)
SELECT sha256(convert_to('revdesk_' || md5('k' || i), 'UTF8')),
       md5('sub_entity' || 1 + i % :tenants)::uuid
FROM generate_series(1, :keys) AS i;
ALTER TABLE bench.keys ADD PRIMARY KEY (key_hash);

CREATE FUNCTION bench.authenticate(token text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k record;
BEGIN
    SELECT tenant_id, expires_at, revoked_at INTO k
    FROM bench.keys
    WHERE key_hash = sha256(convert_to(token, 'UTF8'));

    IF NOT FOUND OR k.revoked_at IS NOT NULL OR k.expires_at <= now() THEN
        RAISE invalid_authorization_specification USING MESSAGE = 'key rejected';
    END IF;

    PERFORM set_config('app.tenant_id', k.tenant_id::text, true);
END
$$;

-- The same, noting when a key was used last, as such logins usually do.
CREATE FUNCTION bench.authenticate_noting(token text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    k record;
BEGIN
    UPDATE bench.keys SET last_used_at = now()
    WHERE key_hash = sha256(convert_to(token, 'UTF8'))
    RETURNING tenant_id, expires_at, revoked_at INTO k;

    IF NOT FOUND OR k.revoked_at IS NOT NULL OR k.expires_at <= now() THEN
        RAISE invalid_authorization_specification USING MESSAGE = 'key rejected';
    END IF;

    PERFORM set_config('app.tenant_id', k.tenant_id::text, true);
END
$$;
