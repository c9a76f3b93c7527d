-- One copy of the table, in :schema.  All copies hold the same rows in the
-- same order and have the same indexes, made in the same order.
--
-- Rows are in the order of their creation, each tenant's spread over the
-- whole table; one in 51 is personal: it belongs to a user and no tenant.

SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS :schema;
GRANT USAGE ON SCHEMA :schema TO bench_api;

CREATE TABLE :schema.docs (
    id bigint PRIMARY KEY,
    tenant_id uuid,
    owner_id uuid,
    umbrella_id uuid,
    created_at timestamptz NOT NULL,
    status text NOT NULL,
    payload text NOT NULL
);

INSERT INTO :schema.docs
SELECT i,
       CASE WHEN NOT personal THEN t.tenant_id END,
       t.user_id,
       CASE WHEN NOT personal THEN t.umbrella_id END,
       timestamptz '2025-01-01 00:00:00+00' + i * interval '1 second',
       (ARRAY['open', 'waiting', 'closed'])[1 + i % 3],
       repeat(md5(i::text), 2)
FROM (SELECT i,
             i % 51 = 0 AS personal,
             1 + CASE i % 51 WHEN 0 THEN i / 51 ELSE i / 51 * 50 + i % 51 END % :tenants AS n
      FROM generate_series(1, :rows + :rows / 50) AS i) AS s
JOIN bench.tenants AS t USING (n)
ORDER BY i;

CREATE INDEX ON :schema.docs (tenant_id, created_at);
CREATE INDEX ON :schema.docs (umbrella_id, created_at);
CREATE INDEX ON :schema.docs (owner_id, created_at);

GRANT SELECT ON :schema.docs TO bench_api;
