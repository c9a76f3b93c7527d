-- revdesk_auth: the tenants, users and keys of bench.actors, and the table
-- bench.docs protected by its one call.

SET client_min_messages = warning;
CREATE EXTENSION revdesk_auth CASCADE;

DO $$
BEGIN
    PERFORM revdesk_create_organization('organization ' || n, umbrella_id)
    FROM bench.actors WHERE scope = 'organization';

    PERFORM revdesk_create_sub_entity(umbrella_id, 'sub-entity ' || n, tenant_id)
    FROM bench.actors WHERE scope = 'sub_entity';

    PERFORM revdesk_create_user('user ' || n, user_id)
    FROM bench.actors WHERE scope = 'user';

    PERFORM revdesk_add_member(member_of, user_id)
    FROM bench.actors, unnest(tenant_ids) AS member_of WHERE scope = 'user';

    PERFORM revdesk_import_key(
        'key ' || n, scope, sha256(convert_to(token, 'UTF8')),
        tenant_id => CASE scope WHEN 'organization' THEN umbrella_id ELSE tenant_id END,
        user_id => user_id)
    FROM bench.actors;
END
$$;

SELECT revdesk_protect('bench.docs', 'tenant_id', 'owner_id', 'umbrella_id');
