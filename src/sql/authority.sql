-- authority.sql: who may manage what.
--
-- The functions that manage tenants and keys are SECURITY DEFINER, so that a
-- key's caller can use them without any privilege on the tables.  What they
-- allow is decided here.  Under a context it is decided by the key: access
-- admin, inside its scope, whatever the role.  Without one it is decided by
-- the role: what it may do to the tables by itself, it may do through the
-- functions.
--
-- An object outside the caller's scope is refused in the same words as one
-- that does not exist.

CREATE FUNCTION revdesk.calling_role() RETURNS oid
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_calling_role';
COMMENT ON FUNCTION revdesk.calling_role() IS
  'Role that called the SECURITY DEFINER function that asks. 42501 inside a security-restricted operation.';

CREATE FUNCTION revdesk.require_privilege(relation regclass, privilege text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_scope() IS NOT NULL THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'not for an API key',
      HINT = 'Only an administrator of the database may do this, in a transaction without a context.';
  END IF;
  IF NOT has_table_privilege(revdesk.calling_role(), relation, privilege) THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'authentication required',
      HINT = format('Authenticate with a key of access "admin", or be granted %s on %s.', privilege, relation);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.require_privilege(regclass, text) IS
  'Raises 42501 unless there is no context and the calling role has the privilege on the table.';

CREATE FUNCTION revdesk.context_holds() RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_context_holds';
COMMENT ON FUNCTION revdesk.context_holds() IS
  'Would the caller that the transaction acts for be let in now? False once the key is revoked or has expired, its user is disabled or its tenant suspended, whatever the transaction''s snapshot.';

-- A context lasts until the end of its transaction, which may be long after the
-- key was revoked.  What is made by it would last longer still.
CREATE FUNCTION revdesk.require_context_holds() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT revdesk.context_holds() THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'the key or session has ended',
      DETAIL = 'It was revoked, disabled or suspended, or has expired, since the transaction authenticated.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.require_context_holds() IS
  'Raises 42501 unless the caller that the transaction acts for would be let in now.';

CREATE FUNCTION revdesk.require_admin() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_access() IS DISTINCT FROM 'admin' THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'access "admin" required',
      DETAIL = format('The key has access "%s".', @extschema@.revdesk_access());
  END IF;
  PERFORM revdesk.require_context_holds();
END
$$;
COMMENT ON FUNCTION revdesk.require_admin() IS
  'Raises 42501 unless the context has access admin, and its key or session still holds.';

CREATE FUNCTION revdesk.tenant_is_managed(tenant_id uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(tenant_id = @extschema@.revdesk_scope_sub_entity(), false)
      OR COALESCE(tenant_id = ANY (@extschema@.revdesk_scope_organization_tenants()), false);
END;
COMMENT ON FUNCTION revdesk.tenant_is_managed(uuid) IS
  'Is the tenant inside the scope of the context? For scope user none is: a member does not manage a tenant.';

CREATE FUNCTION revdesk.authorize_tenant(tenant_id uuid, relation regclass, privilege text)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege(relation, privilege);
    IF EXISTS (SELECT FROM revdesk.tenants WHERE tenants.id = authorize_tenant.tenant_id) THEN
      RETURN;
    END IF;
  ELSE
    PERFORM revdesk.require_admin();
    IF revdesk.tenant_is_managed(tenant_id) THEN
      RETURN;
    END IF;
  END IF;
  RAISE insufficient_privilege USING
    MESSAGE = format('tenant "%s" does not exist, or is outside your scope', tenant_id);
END
$$;
COMMENT ON FUNCTION revdesk.authorize_tenant(uuid, regclass, text) IS
  'Raises 42501 unless the caller may manage the tenant: by an admin key whose scope holds it, or without a context by the privilege on the table.';
