-- What bench/scale measures with: organizations named by their size ("half"
-- has one sub-entity, with half of the rows), users by their memberships, a key
-- 'revdesk_' || md5(name) for each; and :rows documents in four tables.

SET client_min_messages = warning;
CREATE EXTENSION revdesk_auth CASCADE;
CREATE EXTENSION pg_stat_statements;
DROP ROLE IF EXISTS bench_api; CREATE ROLE bench_api;
CREATE SCHEMA bench;
GRANT USAGE, CREATE ON SCHEMA bench TO bench_api;

-- Organizations, their number of sub-entities, and which part of the rows is
-- theirs: from low to high.
CREATE TABLE bench.organizations AS
SELECT name, size, sum(part) OVER (ORDER BY n) - part AS low, sum(part) OVER (ORDER BY n) AS high
FROM (VALUES (1, 'half', 1, 0.5), (2, 'o1', 1, 0.01), (3, 'o50', 50, 0.02), (4, 'o1000', 1000, 0.01), (5, 'o10000', 10000, 0.35))
     AS named (n, name, size, part)
UNION ALL
SELECT 'other' || n, 10, 0.89 + (n - 1) * 0.0011, 0.89 + n * 0.0011 FROM generate_series(1, 100) AS n;

-- Past the functions, whose deferred triggers would take minutes.
SET session_replication_role = replica;
INSERT INTO revdesk.tenants (id, name) SELECT md5(name)::uuid, name FROM bench.organizations;
INSERT INTO revdesk.tenants (id, umbrella_id, name)
SELECT md5(name || '.' || n)::uuid, md5(name)::uuid, name || '.' || n FROM bench.organizations, generate_series(1, size) AS n;
INSERT INTO revdesk.users (id, subject) SELECT md5('u' || n)::uuid, 'u' || n FROM unnest(ARRAY[1, 50, 5000]) AS n;
INSERT INTO revdesk.memberships (user_id, tenant_id)
SELECT md5('u' || n)::uuid, member_of.id
FROM unnest(ARRAY[1, 50, 5000]) AS n,
     LATERAL (SELECT id FROM revdesk.tenants WHERE umbrella_id IS NOT NULL AND name <> 'half.1' ORDER BY md5(id::text || n) LIMIT n) AS member_of;
INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, user_id, name)
SELECT sha256(convert_to('revdesk_' || md5(name), 'UTF8')), scope, CASE scope WHEN 'user' THEN NULL ELSE md5(name)::uuid END,
       CASE scope WHEN 'user' THEN md5(name)::uuid END, name
FROM (SELECT name, CASE WHEN umbrella_id IS NULL THEN 'organization' ELSE 'sub_entity' END FROM revdesk.tenants
      UNION ALL SELECT subject, 'user' FROM revdesk.users) AS keys (name, scope);
SET session_replication_role = origin;

-- What the hand-written queries look up.
CREATE TABLE bench.tenants AS SELECT id, COALESCE(umbrella_id, id) AS umbrella_id FROM revdesk.tenants;
CREATE TABLE bench.memberships AS SELECT user_id, tenant_id FROM revdesk.memberships;
CREATE INDEX ON bench.tenants (umbrella_id);
CREATE INDEX ON bench.memberships (user_id);

CREATE TABLE bench.docs (
    id bigint PRIMARY KEY, tenant_id uuid, umbrella_id uuid, created_at timestamptz NOT NULL, amount integer NOT NULL, payload text NOT NULL);
INSERT INTO bench.docs
SELECT i, md5(name || '.' || 1 + drawn.tenant % size)::uuid, md5(name)::uuid,
       timestamptz '2025-01-01 00:00:00+00' + i * interval '20 s', drawn.tenant % 1000, repeat(md5(i::text), 2)
FROM (SELECT i, (hashint8(i)::bigint + 2147483648) / 4294967296.0 AS part, (hashint8extended(i, 7) & 1048575)::integer AS tenant
      FROM generate_series(1, :rows) AS i) AS drawn
JOIN bench.organizations ON drawn.part >= low AND drawn.part < high
ORDER BY i;

CREATE TABLE bench.docs_items (id bigint PRIMARY KEY, doc_id bigint NOT NULL, tenant_id uuid, umbrella_id uuid, label text NOT NULL);
INSERT INTO bench.docs_items SELECT id * 2, id, tenant_id, umbrella_id, 'item' FROM bench.docs WHERE id % 2 = 0 ORDER BY id;

CREATE INDEX ON bench.docs (tenant_id, created_at);
CREATE INDEX ON bench.docs (umbrella_id, created_at);
CREATE INDEX ON bench.docs (created_at);
CREATE INDEX ON bench.docs_items (doc_id);
CREATE INDEX ON bench.docs_items (tenant_id);

CREATE PROCEDURE bench.copy(original text, copy text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE bench.%I (LIKE bench.%I INCLUDING ALL)', copy, original);
    EXECUTE format('INSERT INTO bench.%I SELECT * FROM bench.%I ORDER BY id', copy, original);
END
$$;
CALL bench.copy('docs', 'docs_u');
CALL bench.copy('docs_items', 'docs_u_items');

-- Partitioned copies: by tenant and by time.
CREATE PROCEDURE bench.partition(name text, key text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE bench.%I (LIKE bench.docs) PARTITION BY %s', name, key);
    FOR n IN 0..99 LOOP
        EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.%I FOR VALUES %s', name || n, name,
                       CASE WHEN key LIKE 'HASH%' THEN format('WITH (MODULUS 100, REMAINDER %s)', n)
                            ELSE (SELECT format('FROM (%L) TO (%L)', low, high)
                                  FROM (SELECT min(created_at) + n * (max(created_at) - min(created_at) + interval '1 s') / 100,
                                               min(created_at) + (n + 1) * (max(created_at) - min(created_at) + interval '1 s') / 100
                                        FROM bench.docs) AS bounds (low, high)) END);
    END LOOP;
    EXECUTE format('INSERT INTO bench.%I SELECT * FROM bench.docs', name);
    EXECUTE format('CREATE INDEX ON bench.%I (tenant_id, created_at)', name);
END
$$;
CALL bench.partition('docs_hash', 'HASH (tenant_id)');
CALL bench.partition('docs_time', 'RANGE (created_at)');

-- When the last day began.
CREATE TABLE bench.docs_newest AS SELECT max(created_at) AS created_at FROM bench.docs;

SELECT revdesk_protect(target) FROM unnest(ARRAY['bench.docs', 'bench.docs_items', 'bench.docs_hash', 'bench.docs_time']::regclass[]) AS target;
SELECT revdesk_protect(target, umbrella_column => 'umbrella_id') FROM unnest(ARRAY['bench.docs_u', 'bench.docs_u_items']::regclass[]) AS target;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA bench TO bench_api;
VACUUM ANALYZE;
