-- Who asks in the row-security benchmark: bench.actors, which the pgbench
-- scripts draw from: one line for each key, with what the other ways of
-- isolating tenants need to know about the same caller.
--
-- tenants sub-entities are spread evenly over umbrellas organizations; there
-- is one user for each sub-entity, member of three of them.

CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO bench_api;

CREATE TABLE bench.tenants AS
SELECT n,
       md5('sub_entity' || n)::uuid AS tenant_id,
       md5('organization' || 1 + n % :umbrellas)::uuid AS umbrella_id,
       md5('user' || n)::uuid AS user_id
FROM generate_series(1, :tenants) AS n;

CREATE TABLE bench.actors (
    scope text,
    n integer,
    token text NOT NULL,
    tenant_id uuid,
    umbrella_id uuid,
    user_id uuid,
    tenant_ids uuid[],
    PRIMARY KEY (scope, n)
);

INSERT INTO bench.actors
SELECT 'sub_entity', n, 'revdesk_' || md5('key of sub_entity' || n),
       tenant_id, umbrella_id, NULL, NULL
FROM bench.tenants;

INSERT INTO bench.actors
SELECT 'organization', n, 'revdesk_' || md5('key of organization' || n),
       NULL, md5('organization' || n)::uuid, NULL, NULL
FROM generate_series(1, :umbrellas) AS n;

INSERT INTO bench.actors
SELECT 'user', t.n, 'revdesk_' || md5('key of user' || t.n),
       NULL, NULL, t.user_id,
       ARRAY(SELECT m.tenant_id
             FROM bench.tenants AS m
             WHERE (m.n - t.n + :tenants) % :tenants
                   IN (0, :tenants / 3, 2 * :tenants / 3)
             ORDER BY m.n)
FROM bench.tenants AS t;

GRANT SELECT ON bench.actors TO bench_api;
VACUUM ANALYZE bench.tenants, bench.actors;
