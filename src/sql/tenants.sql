-- tenants.sql: organizations, sub-entities, users, memberships.

CREATE FUNCTION revdesk.check_name(what text, value text, longest integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF value IS NULL OR char_length(value) NOT BETWEEN 1 AND longest OR value ~ '[[:cntrl:]]' THEN
    RAISE invalid_parameter_value USING
      MESSAGE = format('%s must have 1 to %s characters, none of them a control character', what, longest);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_name(text, text, integer) IS
  'Raises 22023 unless the value fits the constraint on names.';

CREATE FUNCTION revdesk.insert_tenant(umbrella_id uuid, name text, id uuid) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.check_name('the name of a tenant', name, 200);
  id := COALESCE(id, gen_random_uuid());
  INSERT INTO revdesk.tenants (id, umbrella_id, name) VALUES (id, umbrella_id, name);
  RETURN id;
EXCEPTION WHEN unique_violation THEN
  RAISE unique_violation USING
    MESSAGE = format('tenant id "%s" is taken', id);
END
$$;
COMMENT ON FUNCTION revdesk.insert_tenant(uuid, text, uuid) IS
  'Makes a tenant and returns its id. 22023 for a bad name, 23505 for an id that is taken.';

CREATE FUNCTION @extschema@.revdesk_create_organization(name text, id uuid DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.require_privilege('revdesk.tenants', 'INSERT');
  RETURN revdesk.insert_tenant(NULL, name, id);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_create_organization(text, uuid) IS
  'Makes an organization (umbrella) and returns its id. Needs INSERT on revdesk.tenants and no context.';

CREATE FUNCTION @extschema@.revdesk_create_sub_entity(umbrella_id uuid, name text, id uuid DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.authorize_tenant(umbrella_id, 'revdesk.tenants', 'INSERT');
  IF NOT EXISTS (
    SELECT FROM revdesk.tenants
    WHERE tenants.id = revdesk_create_sub_entity.umbrella_id AND tenants.umbrella_id IS NULL)
  THEN
    RAISE check_violation USING
      MESSAGE = format('tenant "%s" is not an organization', umbrella_id),
      HINT = 'A sub-entity has no sub-entities: there are two levels only.';
  END IF;
  RETURN revdesk.insert_tenant(umbrella_id, name, id);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_create_sub_entity(uuid, text, uuid) IS
  'Makes a sub-entity of an organization and returns its id. For an admin key of the organization, or with INSERT on revdesk.tenants.';

CREATE FUNCTION revdesk.set_suspension(target uuid, since timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.require_privilege('revdesk.tenants', 'UPDATE'),
         revdesk.authorize_tenant(target, 'revdesk.tenants', 'UPDATE');
  UPDATE revdesk.tenants SET suspended_at = since
  WHERE tenants.id = target AND (tenants.suspended_at IS NULL) <> (since IS NULL);
END;
COMMENT ON FUNCTION revdesk.set_suspension(uuid, timestamptz) IS
  'Suspends a tenant, or resumes it with null.';

CREATE FUNCTION @extschema@.revdesk_suspend_tenant(tenant_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.set_suspension(tenant_id, now());
END;
COMMENT ON FUNCTION @extschema@.revdesk_suspend_tenant(uuid) IS
  'Rejects the keys of a tenant, and of its sub-entities, from the next authentication on. Needs UPDATE on revdesk.tenants and no context.';

CREATE FUNCTION @extschema@.revdesk_resume_tenant(tenant_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.set_suspension(tenant_id, NULL);
END;
COMMENT ON FUNCTION @extschema@.revdesk_resume_tenant(uuid) IS
  'Ends the suspension of a tenant. Needs UPDATE on revdesk.tenants and no context.';

CREATE FUNCTION @extschema@.revdesk_create_user(subject text, id uuid DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.require_privilege('revdesk.users', 'INSERT');
  PERFORM revdesk.check_name('the subject of a user', subject, 255);
  id := COALESCE(id, gen_random_uuid());
  INSERT INTO revdesk.users (id, subject) VALUES (id, subject);
  RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_create_user(text, uuid) IS
  'Makes a user, known to the identity provider as subject, and returns the id. Needs INSERT on revdesk.users and no context.';

CREATE FUNCTION revdesk.set_disablement(target uuid, since timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.require_privilege('revdesk.users', 'UPDATE');
  UPDATE revdesk.users SET disabled_at = since WHERE users.id = target;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('user "%s" does not exist', target);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.set_disablement(uuid, timestamptz) IS
  'Disables a user, or enables one with null.';

CREATE FUNCTION @extschema@.revdesk_disable_user(user_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.set_disablement(user_id, now());
END;
COMMENT ON FUNCTION @extschema@.revdesk_disable_user(uuid) IS
  'Rejects the keys of a user from the next authentication on. Needs UPDATE on revdesk.users and no context.';

CREATE FUNCTION @extschema@.revdesk_enable_user(user_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.set_disablement(user_id, NULL);
END;
COMMENT ON FUNCTION @extschema@.revdesk_enable_user(uuid) IS
  'Accepts the keys of a disabled user again. Needs UPDATE on revdesk.users and no context.';

CREATE FUNCTION @extschema@.revdesk_add_member(tenant_id uuid, user_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.authorize_tenant(tenant_id, 'revdesk.memberships', 'INSERT');
  INSERT INTO revdesk.memberships (tenant_id, user_id)
  VALUES (revdesk_add_member.tenant_id, revdesk_add_member.user_id)
  ON CONFLICT DO NOTHING;
END;
COMMENT ON FUNCTION @extschema@.revdesk_add_member(uuid, uuid) IS
  'Makes a user a member of a tenant; no effect if they are. For an admin key whose scope holds the tenant, or with INSERT on revdesk.memberships. 23503 for a user who does not exist.';

CREATE FUNCTION @extschema@.revdesk_remove_member(tenant_id uuid, user_id uuid, revoke_keys boolean DEFAULT false)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.authorize_tenant(tenant_id, 'revdesk.memberships', 'DELETE');
  SELECT revdesk.require_privilege('revdesk.api_keys', 'UPDATE')
  WHERE revoke_keys AND @extschema@.revdesk_scope() IS NULL;
  DELETE FROM revdesk.memberships
  WHERE memberships.tenant_id = revdesk_remove_member.tenant_id
    AND memberships.user_id = revdesk_remove_member.user_id;
  UPDATE revdesk.api_keys
  SET revoked_at = now(), revoked_by = @extschema@.revdesk_user_id(),
      revoked_reason = 'member removed'
  FROM revdesk.tenants
  WHERE revoke_keys
    AND tenants.id = api_keys.tenant_id
    AND revdesk_remove_member.tenant_id IN (tenants.id, tenants.umbrella_id)
    AND revdesk_remove_member.user_id IN (api_keys.created_by, api_keys.user_id)
    AND api_keys.revoked_at IS NULL;
END;
COMMENT ON FUNCTION @extschema@.revdesk_remove_member(uuid, uuid, boolean) IS
  'Ends a membership: the user''s keys of scope user lose the tenant at once. revoke_keys also revokes the keys of the tenant, and of its sub-entities, that the user made or is responsible for. For an admin key whose scope holds the tenant, or with DELETE on revdesk.memberships and, to revoke keys, UPDATE on revdesk.api_keys.';
