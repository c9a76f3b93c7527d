-- revdesk_auth with :keys keys, of 1,000 sub-entities in 20 organizations.
-- Key i has the token 'revdesk_' || md5('k' || i).

SET client_min_messages = warning;
CREATE EXTENSION revdesk_auth CASCADE;

DO $$
BEGIN
    PERFORM revdesk_create_organization(
        'organization ' || n, md5('organization' || n)::uuid)
    FROM generate_series(1, 20) AS n;

    PERFORM revdesk_create_sub_entity(
        md5('organization' || 1 + n % 20)::uuid,
        'sub-entity ' || n, md5('sub_entity' || n)::uuid)
    FROM generate_series(1, 1000) AS n;
END
$$;

-- Past revdesk_import_key() and the deferred triggers, which would take minutes
-- for a million rows.
SET session_replication_role = replica;

INSERT INTO revdesk.api_keys (key_hash, scope, tenant_id, name)
SELECT sha256(convert_to('revdesk_' || md5('k' || i), 'UTF8')),
       'sub_entity', md5('sub_entity' || 1 + i % 1000)::uuid, 'key ' || i
FROM generate_series(1, :keys) AS i;
