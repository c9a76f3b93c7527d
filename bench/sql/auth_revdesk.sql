-- revdesk_auth with :keys keys, of :tenants sub-entities in 20 organizations.
-- Key i has the token 'revdesk_' || md5('k' || i).

SET client_min_messages = warning;
CREATE EXTENSION revdesk_auth CASCADE;

SELECT count(revdesk_create_organization('organization ' || n, md5('organization' || n)::uuid))
FROM generate_series(1, 20) AS n;

SELECT count(revdesk_create_sub_entity(md5('organization' || 1 + n % 20)::uuid,
                                       'sub-entity ' || n, md5('sub_entity' || n)::uuid))
FROM generate_series(1, :tenants) AS n;

-- Past revdesk_import_key(), the deferred triggers and the maintenance of a
-- dozen indexes, which together would take an hour for ten million rows:
-- indexes that are not ready are not maintained, and REINDEX makes them so.
SET session_replication_role = replica;
UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indrelid = 'revdesk.api_keys'::regclass;

INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(convert_to('revdesk_' || md5('k' || i), 'UTF8')),
       'sub_entity', md5('sub_entity' || 1 + i % :tenants)::uuid, 'key ' || i
FROM generate_series(1, :keys) AS i;

REINDEX TABLE revdesk.api_keys;
