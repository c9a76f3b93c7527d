-- expose.sql: the endpoints of an HTTP API, in a schema that PostgREST serves.

-- security_barrier: see revdesk_keys.
CREATE VIEW @extschema@.revdesk_sub_entities WITH (security_barrier = true) AS
SELECT tenants.id AS tenant_id, tenants.umbrella_id, tenants.name, tenants.suspended_at,
       tenants.created_at
FROM revdesk.tenants
WHERE tenants.umbrella_id = @extschema@.revdesk_scope_organization()
   OR (tenants.umbrella_id IS NOT NULL
       AND (tenants.id = @extschema@.revdesk_scope_sub_entity() OR tenants.id = ANY (@extschema@.revdesk_scope_user_tenants())));
COMMENT ON VIEW @extschema@.revdesk_sub_entities IS
  'The sub-entities inside the scope of the context. No row without a context.';

CREATE VIEW @extschema@.revdesk_members WITH (security_barrier = true) AS
SELECT memberships.tenant_id, memberships.user_id, users.subject, memberships.created_at
FROM revdesk.memberships
JOIN revdesk.users ON users.id = memberships.user_id
WHERE memberships.tenant_id = ANY (@extschema@.revdesk_scope_organization_tenants())
   OR memberships.tenant_id = @extschema@.revdesk_scope_sub_entity()
   OR memberships.user_id = @extschema@.revdesk_scope_user();
COMMENT ON VIEW @extschema@.revdesk_members IS
  'The members of the tenants inside the scope of the context; for scope user, its own memberships. No row without a context.';

CREATE FUNCTION revdesk.insert_sub_entity() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.umbrella_id := COALESCE(NEW.umbrella_id, @extschema@.revdesk_tenant_id());
  NEW.id := @extschema@.revdesk_create_sub_entity(NEW.umbrella_id, NEW.name, NEW.id);
  NEW.created_at := now();
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION revdesk.insert_sub_entity() IS
  'Trigger of the endpoint sub_entities: revdesk_create_sub_entity, of the caller''s own organization unless it says which.';

CREATE FUNCTION revdesk.insert_member() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.tenant_id := COALESCE(NEW.tenant_id, @extschema@.revdesk_tenant_id());
  PERFORM @extschema@.revdesk_add_member(NEW.tenant_id, NEW.user_id);
  SELECT members.subject, members.created_at INTO NEW.subject, NEW.created_at
  FROM @extschema@.revdesk_members AS members
  WHERE members.tenant_id = NEW.tenant_id AND members.user_id = NEW.user_id;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION revdesk.insert_member() IS
  'Trigger of the endpoint members: revdesk_add_member, of the caller''s own tenant unless it says which.';

CREATE FUNCTION revdesk.delete_member() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM @extschema@.revdesk_remove_member(OLD.tenant_id, OLD.user_id);
  RETURN OLD;
END
$$;
COMMENT ON FUNCTION revdesk.delete_member() IS
  'Trigger of the endpoint members: revdesk_remove_member.';

CREATE FUNCTION revdesk.forbid_caching() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT set_config('response.headers',
    (COALESCE(NULLIF(current_setting('response.headers', true), ''), '[]')::jsonb
     || jsonb_build_object('Cache-Control', 'no-store'))::text, true);
END;
COMMENT ON FUNCTION revdesk.forbid_caching() IS
  'Has PostgREST send Cache-Control: no-store, for responses that hold a key.';

CREATE FUNCTION revdesk.exposed_objects(schema name, OUT object text, OUT class oid, OUT id oid)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH ours AS (
    SELECT depend.classid, depend.objid
    FROM pg_depend AS depend JOIN pg_extension AS extension ON extension.oid = depend.refobjid
    WHERE depend.refclassid = 'pg_extension'::regclass AND depend.deptype = 'e'
      AND extension.extname = 'revdesk_auth'
  ), users AS (
    SELECT DISTINCT depend.classid, depend.objid
    FROM pg_depend AS depend JOIN ours ON ours.classid = depend.refclassid AND ours.objid = depend.refobjid
    WHERE depend.deptype = 'n'
  )
  SELECT 'VIEW ' || class.oid::regclass, 'pg_class'::regclass::oid, class.oid
  FROM users JOIN pg_rewrite AS rule ON users.classid = 'pg_rewrite'::regclass AND rule.oid = users.objid
  JOIN pg_class AS class ON class.oid = rule.ev_class
  WHERE class.relnamespace::regnamespace = quote_ident(schema)::regnamespace AND class.relkind = 'v'
    AND class.relname IN ('account', 'api_keys', 'sub_entities', 'members')
  UNION
  SELECT 'FUNCTION ' || proc.oid::regprocedure, 'pg_proc'::regclass::oid, proc.oid
  FROM users JOIN pg_proc AS proc ON users.classid = 'pg_proc'::regclass AND proc.oid = users.objid
  WHERE proc.pronamespace::regnamespace = quote_ident(schema)::regnamespace
    AND proc.proname IN ('create_api_key', 'rotate_api_key', 'revoke_api_key', 'auth_token');
END;
COMMENT ON FUNCTION revdesk.exposed_objects(name) IS
  'What revdesk_expose() made in a schema: views and functions of its names that use this extension.';

CREATE FUNCTION @extschema@.revdesk_unexpose(schema name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  exposed text;
BEGIN
  FOR exposed IN SELECT objects.object FROM revdesk.exposed_objects(schema) AS objects LOOP
    EXECUTE 'DROP ' || exposed;
  END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_unexpose(name) IS
  'Drops the endpoints that revdesk_expose() made in a schema. Privileges on the functions behind them stay.';

CREATE FUNCTION revdesk.expose_views(schema name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE replace($sql$
    CREATE VIEW {schema}.account WITH (security_invoker = true) AS
    SELECT account->>'scope' AS scope, account->>'access' AS access,
           account->>'environment' AS environment, account->'key' AS key,
           account->'tenant' AS tenant, account->'user' AS "user", account->'teams' AS teams,
           account->'usage' AS usage
    FROM @extschema@.revdesk_account() AS account
    WHERE account IS NOT NULL;
    COMMENT ON VIEW {schema}.account IS
      'The caller''s own key or session, its scope, tenant and user, and how the key was used.';

    CREATE VIEW {schema}.api_keys WITH (security_invoker = true) AS
    SELECT key_id AS id, name, scope, tenant_id, user_id, access, environment, hint,
           created_at, created_by, expires_at, revoked_at, revoked_reason, replaced_by,
           allowed_networks, metadata, last_used_at
    FROM @extschema@.revdesk_keys;
    COMMENT ON VIEW {schema}.api_keys IS
      'The API keys that the caller may manage. Never the key itself: make, rotate and revoke keys with rpc/create_api_key, rpc/rotate_api_key and rpc/revoke_api_key.';
    COMMENT ON COLUMN {schema}.api_keys.hint IS 'The last 4 characters of the key.';

    CREATE VIEW {schema}.sub_entities WITH (security_invoker = true) AS
    SELECT tenant_id AS id, umbrella_id, name, suspended_at, created_at
    FROM @extschema@.revdesk_sub_entities;
    COMMENT ON VIEW {schema}.sub_entities IS
      'The sub-entities in the caller''s scope. An organization''s admin key makes one with POST: name, and if wanted id.';
    CREATE TRIGGER insert_sub_entity INSTEAD OF INSERT ON {schema}.sub_entities
      FOR EACH ROW EXECUTE FUNCTION revdesk.insert_sub_entity();

    CREATE VIEW {schema}.members WITH (security_invoker = true) AS
    SELECT tenant_id, user_id, subject, created_at FROM @extschema@.revdesk_members;
    COMMENT ON VIEW {schema}.members IS
      'The members of the tenants in the caller''s scope. An admin key adds one with POST (tenant_id, user_id) and removes one with DELETE.';
    CREATE TRIGGER insert_member INSTEAD OF INSERT ON {schema}.members
      FOR EACH ROW EXECUTE FUNCTION revdesk.insert_member();
    CREATE TRIGGER delete_member INSTEAD OF DELETE ON {schema}.members
      FOR EACH ROW EXECUTE FUNCTION revdesk.delete_member();
  $sql$, '{schema}', quote_ident(schema));
END
$$;
COMMENT ON FUNCTION revdesk.expose_views(name) IS
  'The views of revdesk_expose().';

CREATE FUNCTION revdesk.expose_functions(schema name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  EXECUTE replace($sql$
    CREATE FUNCTION {schema}.create_api_key(
      name text, scope text, tenant_id uuid DEFAULT NULL, user_id uuid DEFAULT NULL,
      access text DEFAULT 'write', environment text DEFAULT 'production',
      expires_at timestamptz DEFAULT NULL, allowed_networks cidr[] DEFAULT NULL,
      metadata jsonb DEFAULT '{}', OUT key_id uuid, OUT token text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT revdesk.forbid_caching();
      SELECT made.key_id, made.token FROM @extschema@.revdesk_create_key(
        name, scope, tenant_id, user_id, access, environment, expires_at, allowed_networks, metadata) AS made;
    END;
    COMMENT ON FUNCTION {schema}.create_api_key IS
      'Make an API key; the response is the only one that shows it. Scope "organization" and "sub_entity" need a tenant_id, scope "user" a user_id. Never wider than the caller''s own.';

    CREATE FUNCTION {schema}.rotate_api_key(
      id uuid, grace interval DEFAULT '0', OUT key_id uuid, OUT token text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT revdesk.forbid_caching();
      SELECT made.key_id, made.token FROM @extschema@.revdesk_rotate_key(id, grace) AS made;
    END;
    COMMENT ON FUNCTION {schema}.rotate_api_key IS
      'Replace an API key by a new one with the same properties; the response is the only one that shows it. The old one ends now, or after the grace.';

    CREATE FUNCTION {schema}.revoke_api_key(id uuid, reason text DEFAULT NULL) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT @extschema@.revdesk_revoke_key(id, reason);
    END;
    COMMENT ON FUNCTION {schema}.revoke_api_key IS
      'Revoke an API key at once. True if this call did it, false if it was revoked before.';

    CREATE FUNCTION {schema}.auth_token(
      name text, tenant_id uuid DEFAULT NULL, access text DEFAULT 'write',
      expires_at timestamptz DEFAULT NULL, OUT key_id uuid, OUT token text)
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT revdesk.forbid_caching();
      SELECT made.key_id, made.token
      FROM @extschema@.revdesk_issue_token(name, tenant_id, access, expires_at) AS made;
    END;
    COMMENT ON FUNCTION {schema}.auth_token IS
      'Issue a long-lived, named token from a session or an admin key, tied to one company; the response is the only one that shows it.';
  $sql$, '{schema}', quote_ident(schema));
END
$$;
COMMENT ON FUNCTION revdesk.expose_functions(name) IS
  'The functions of revdesk_expose().';

CREATE FUNCTION @extschema@.revdesk_expose(schema name, roles name[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  grantees text := (SELECT string_agg(quote_ident(role), ', ') FROM unnest(roles) AS role);
  exposed record;
BEGIN
  IF grantees IS NULL THEN
    RAISE invalid_parameter_value USING MESSAGE = 'at least one role is needed';
  END IF;
  PERFORM @extschema@.revdesk_unexpose(schema);
  PERFORM revdesk.expose_views(schema);
  PERFORM revdesk.expose_functions(schema);

  FOR exposed IN SELECT * FROM revdesk.exposed_objects(schema) LOOP
    IF exposed.class = 'pg_proc'::regclass THEN
      EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', exposed.object);
      EXECUTE format('GRANT EXECUTE ON %s TO %s', exposed.object, grantees);
    ELSE
      EXECUTE format('GRANT SELECT ON %s TO %s', exposed.id::regclass, grantees);
    END IF;
  END LOOP;
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema, grantees);
  EXECUTE format('GRANT INSERT ON %1$I.sub_entities, %1$I.members TO %2$s', schema, grantees);
  EXECUTE format('GRANT DELETE ON %I.members TO %s', schema, grantees);

  -- The endpoints run with the rights of their callers.
  EXECUTE format(
    'GRANT SELECT ON @extschema@.revdesk_keys, @extschema@.revdesk_sub_entities, '
    '@extschema@.revdesk_members TO %s', grantees);
  EXECUTE format(
    'GRANT EXECUTE ON FUNCTION revdesk.forbid_caching(), '
    '@extschema@.revdesk_account, @extschema@.revdesk_create_key, @extschema@.revdesk_rotate_key, '
    '@extschema@.revdesk_revoke_key, @extschema@.revdesk_issue_token, @extschema@.revdesk_create_sub_entity, '
    '@extschema@.revdesk_add_member, @extschema@.revdesk_remove_member TO %s', grantees);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_expose(name, name[]) IS
  'Makes the endpoints of an HTTP API in a schema, for API roles: the views account, api_keys, sub_entities and members and the functions create_api_key, rotate_api_key, revoke_api_key and auth_token. For a superuser. Calling it again makes them anew. 42P07 or 42723 where an object of another kind has one of the names.';
