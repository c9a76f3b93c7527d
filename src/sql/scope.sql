-- scope.sql: the predicates of row security.

CREATE FUNCTION @extschema@.revdesk_scope_support(internal) RETURNS internal
LANGUAGE c STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'revdesk_scope_support';
COMMENT ON FUNCTION @extschema@.revdesk_scope_support(internal) IS
  'Planner support of revdesk_scope_visible and revdesk_scope_readable_up.';

-- LEAKPROOF: the predicates compare ids and say nothing about them but their
-- result; what they may raise does not depend on their arguments.

CREATE FUNCTION @extschema@.revdesk_scope_visible(
  tenant_id uuid, owner_id uuid DEFAULT NULL, umbrella_id uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF COST 10 SUPPORT @extschema@.revdesk_scope_support
AS 'MODULE_PATHNAME', 'revdesk_scope_visible';
COMMENT ON FUNCTION @extschema@.revdesk_scope_visible(uuid, uuid, uuid) IS
  'May the context see and write a row with this tenant, owner and umbrella? False without a context. An owner counts for rows without a tenant only.';

CREATE FUNCTION @extschema@.revdesk_scope_readable_up(tenant_id uuid, umbrella_id uuid DEFAULT NULL)
RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF COST 10 SUPPORT @extschema@.revdesk_scope_support
AS 'MODULE_PATHNAME', 'revdesk_scope_readable_up';
COMMENT ON FUNCTION @extschema@.revdesk_scope_readable_up(uuid, uuid) IS
  'As revdesk_scope_visible without an owner, and a sub-entity also reads its umbrella''s rows. For SELECT policies of tables declared so.';

-- What plans compare columns with.  Each is null unless the context has the
-- scope in its name.  They run with the rights of whoever reads a protected
-- table, so PUBLIC may call them; LEAKPROOF: no argument.

CREATE FUNCTION @extschema@.revdesk_scope_sub_entity() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_scope_sub_entity';
COMMENT ON FUNCTION @extschema@.revdesk_scope_sub_entity() IS
  'Scope sub_entity: the tenant; else null.';

CREATE FUNCTION @extschema@.revdesk_scope_walk_up() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_scope_walk_up';
COMMENT ON FUNCTION @extschema@.revdesk_scope_walk_up() IS
  'Scope sub_entity: the tenant and its umbrella; else null.';

CREATE FUNCTION @extschema@.revdesk_scope_organization() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_scope_organization';
COMMENT ON FUNCTION @extschema@.revdesk_scope_organization() IS
  'Scope organization: the umbrella; else null.';

CREATE FUNCTION @extschema@.revdesk_scope_organization_tenants() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF COST 100
AS 'MODULE_PATHNAME', 'revdesk_scope_organization_tenants';
COMMENT ON FUNCTION @extschema@.revdesk_scope_organization_tenants() IS
  'Scope organization: the umbrella and its sub-entities, sorted; else null.';

CREATE FUNCTION @extschema@.revdesk_scope_user() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_scope_user';
COMMENT ON FUNCTION @extschema@.revdesk_scope_user() IS
  'Scope user: the user; else null.';

CREATE FUNCTION @extschema@.revdesk_scope_user_tenants() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF COST 100
AS 'MODULE_PATHNAME', 'revdesk_scope_user_tenants';
COMMENT ON FUNCTION @extschema@.revdesk_scope_user_tenants() IS
  'Scope user: the tenants that the user is a member of, but suspended ones, sorted; else null.';
