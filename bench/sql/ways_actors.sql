-- Who asks: bench.actors, a line for each key, with what each of the ways needs
-- to know of the same caller.
--
-- scope sub_entity: key n of auth_revdesk.sql, and a user who is a member of its
-- tenant alone.  scope user: n is the number of sub-entities that the user is a
-- member of, for each n of :memberships.

CREATE TABLE bench.memberships (
    user_id uuid,
    tenant_id uuid,
    PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX ON bench.memberships (tenant_id);
INSERT INTO bench.memberships
SELECT md5('user' || n)::uuid, md5('sub_entity' || 1 + n % :tenants)::uuid
FROM generate_series(1, :tenants) AS n;
INSERT INTO bench.memberships
SELECT md5('member of ' || n)::uuid, md5('sub_entity' || i)::uuid
FROM unnest(:'memberships'::int[]) AS n, generate_series(1, n) AS i;

CREATE TABLE bench.actors (
    scope text,
    n int,
    token text NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    claims text NOT NULL,
    PRIMARY KEY (scope, n)
);
INSERT INTO bench.actors
SELECT 'sub_entity', n, 'revdesk_' || md5('k' || n), md5('sub_entity' || 1 + n % :tenants)::uuid, u,
       json_build_object('role', 'authenticated', 'sub', u)
FROM generate_series(1, least(:keys, :tenants)) AS n, LATERAL (SELECT md5('user' || n)::uuid) AS users (u);
INSERT INTO bench.actors
SELECT 'user', n, 'revdesk_' || md5('key of member of ' || n), md5('sub_entity1')::uuid, u,
       json_build_object('role', 'authenticated', 'sub', u)
FROM unnest(:'memberships'::int[]) AS n, LATERAL (SELECT md5('member of ' || n)::uuid) AS users (u);

SELECT count(revdesk_create_user('user ' || n, user_id)) FROM bench.actors WHERE scope = 'user';
INSERT INTO revdesk.memberships (user_id, tenant_id)
SELECT user_id, tenant_id FROM bench.memberships WHERE user_id IN (SELECT user_id FROM bench.actors WHERE scope = 'user');
SELECT count(revdesk_import_key('user ' || n, 'user', sha256(convert_to(token, 'UTF8')), user_id => user_id))
FROM bench.actors WHERE scope = 'user';

GRANT SELECT ON bench.actors, bench.memberships TO bench_api;
