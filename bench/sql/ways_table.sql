-- One copy of the table, in :schema: :rows rows of :tenants sub-entities, in the
-- order of their creation, each tenant's spread over the whole table.

SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS :schema;
GRANT USAGE ON SCHEMA :schema TO bench_api;

-- In one transaction, so that the rows need no log.
BEGIN;
CREATE TABLE :schema.docs (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    status text NOT NULL,
    payload text NOT NULL
);
INSERT INTO :schema.docs
SELECT i,
       md5('sub_entity' || 1 + i % :tenants)::uuid,
       timestamptz '2025-01-01 00:00:00+00' + i * interval '1 second',
       (ARRAY['open', 'waiting', 'closed'])[1 + i % 3],
       repeat(md5(i::text), 2)
FROM generate_series(1, :rows) AS i;
COMMIT;

ALTER TABLE :schema.docs ADD PRIMARY KEY (id);
CREATE INDEX ON :schema.docs (tenant_id, created_at);
CREATE INDEX ON :schema.docs (created_at);
GRANT SELECT ON :schema.docs TO bench_api;
