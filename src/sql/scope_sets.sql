-- scope_sets.sql: tests for the scopes that are sets of tenants.  Plans have
-- them as filters; their planner support makes conditions for an index of
-- them.

CREATE FUNCTION @extschema@.revdesk_scope_set_support(internal) RETURNS internal
LANGUAGE c STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'revdesk_scope_set_support';
COMMENT ON FUNCTION @extschema@.revdesk_scope_set_support(internal) IS
  'Planner support of revdesk_scope_in_organization and revdesk_scope_in_user_tenants, and of their arrays.';

-- LEAKPROOF: they say nothing about their argument but their result; what they
-- may raise does not depend on it.

CREATE FUNCTION @extschema@.revdesk_scope_in_organization(tenant_id uuid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT @extschema@.revdesk_scope_set_support
AS 'MODULE_PATHNAME', 'revdesk_scope_in_organization';
COMMENT ON FUNCTION @extschema@.revdesk_scope_in_organization(uuid) IS
  'Scope organization: is this the umbrella or one of its sub-entities? Else false.';

CREATE FUNCTION @extschema@.revdesk_scope_in_user_tenants(tenant_id uuid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT @extschema@.revdesk_scope_set_support
AS 'MODULE_PATHNAME', 'revdesk_scope_in_user_tenants';
COMMENT ON FUNCTION @extschema@.revdesk_scope_in_user_tenants(uuid) IS
  'Scope user: is the user a member of this tenant, and that not suspended? Else false.';

ALTER FUNCTION @extschema@.revdesk_scope_organization_tenants() SUPPORT @extschema@.revdesk_scope_set_support;
ALTER FUNCTION @extschema@.revdesk_scope_user_tenants() SUPPORT @extschema@.revdesk_scope_set_support;

-- For the planner, which asks for each of them on its own (scope_pruning.c).
CREATE FUNCTION @extschema@.revdesk_scope_tenant(place integer, places integer, otherwise uuid) RETURNS uuid
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'revdesk_scope_tenant';
COMMENT ON FUNCTION @extschema@.revdesk_scope_tenant(integer, integer, uuid) IS
  'Scopes organization and user: the tenant in this place, null if there is none; otherwise, if there are more tenants than places. For the pruning of partitions.';
