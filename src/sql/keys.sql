-- keys.sql: making, listing, rotating and revoking keys.

-- The two functions that touch a key in clear.  pgcrypto may be in any schema:
-- they are bound to its functions here, once, whatever search_path says later.
DO $$
DECLARE
  pgcrypto text := (SELECT extnamespace::regnamespace::text FROM pg_catalog.pg_extension
                    WHERE extname = 'pgcrypto');
BEGIN
  EXECUTE format($sql$
    CREATE FUNCTION revdesk.new_token() RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT 'revdesk_' || encode(%1$s.gen_random_bytes(16), 'hex');
    END;

    CREATE FUNCTION revdesk.token_hash(token text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      SELECT %1$s.digest(token, 'sha256');
    END;
  $sql$, pgcrypto);
END
$$;
COMMENT ON FUNCTION revdesk.new_token() IS
  'A new key: "revdesk_" and 128 random bits in hexadecimal.';
COMMENT ON FUNCTION revdesk.token_hash(text) IS
  'SHA-256 of a key, 32 bytes: what revdesk.api_keys keeps of it.';

-- security_barrier, since the view's owner reads the table past the caller:
-- no function of a caller's query may see a row before the condition has.
CREATE VIEW revdesk.managed_keys WITH (security_barrier = true) AS
SELECT keys.id AS key_id, keys.name, keys.scope, keys.tenant_id, keys.user_id,
       keys.access, keys.environment, keys.hint, keys.created_at, keys.created_by,
       keys.expires_at, keys.revoked_at, keys.revoked_by, keys.revoked_reason,
       keys.replaced_by, keys.allowed_networks, keys.rate_limit, keys.rate_period,
       keys.rate_burst, keys.quota, keys.quota_period, keys.metadata
FROM revdesk.api_keys AS keys
WHERE keys.id = @extschema@.revdesk_key_id()
   OR (@extschema@.revdesk_session_started() IS NOT NULL AND keys.created_by = @extschema@.revdesk_user_id()
       AND (keys.tenant_id = @extschema@.revdesk_tenant_id() OR @extschema@.revdesk_scope() = 'user'))
   OR (@extschema@.revdesk_access() = 'admin'
       AND (keys.tenant_id = ANY (@extschema@.revdesk_scope_organization_tenants())
            OR (keys.scope = 'sub_entity' AND keys.tenant_id = @extschema@.revdesk_scope_sub_entity())
            OR (keys.scope = 'user' AND keys.user_id = @extschema@.revdesk_scope_user())
            OR (keys.scope = 'sub_entity' AND keys.created_by = @extschema@.revdesk_scope_user()
                AND keys.tenant_id = ANY (@extschema@.revdesk_scope_user_tenants()))));
COMMENT ON VIEW revdesk.managed_keys IS
  'revdesk_keys, without the last use.';

-- SECURITY DEFINER, since a view calls functions with the reader's rights; so
-- PUBLIC may call this one, and it answers only for what the reader may manage.
CREATE FUNCTION revdesk.last_used(wanted uuid) RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.last_use_of(managed.key_id) FROM revdesk.managed_keys AS managed
  WHERE managed.key_id = wanted;
END;
COMMENT ON FUNCTION revdesk.last_used(uuid) IS
  'When a key was accepted last; null if never, or if the context may not manage the key.';

CREATE VIEW @extschema@.revdesk_keys WITH (security_barrier = true) AS
SELECT managed.*, revdesk.last_used(managed.key_id) AS last_used_at
FROM revdesk.managed_keys AS managed;
COMMENT ON VIEW @extschema@.revdesk_keys IS
  'The keys that the context may manage: with access admin those of its scope, for a session those that its user made; and its own key. No row without a context; never a hash.';
COMMENT ON COLUMN @extschema@.revdesk_keys.key_id IS 'Identifies the key; not a secret.';
COMMENT ON COLUMN @extschema@.revdesk_keys.hint IS 'Last 4 characters of the key.';

-- Refuse what the constraints of the table would refuse, and say it better:
-- their DETAIL would show the failing row with the hash.
CREATE FUNCTION revdesk.check_key(key revdesk.api_keys) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  problem text;
  advice text;
BEGIN
  PERFORM revdesk.check_name('the name of a key', key.name, 200);
  CASE
    WHEN key.scope IS NULL OR key.scope NOT IN ('user', 'organization', 'sub_entity') THEN
      problem := format('invalid scope "%s"', key.scope);
      advice := 'Scopes are "user", "organization" and "sub_entity".';
    WHEN key.access IS NULL OR key.access NOT IN ('read', 'write', 'admin') THEN
      problem := format('invalid access "%s"', key.access);
      advice := 'Access levels are "read", "write" and "admin".';
    WHEN key.environment IS NULL OR key.environment NOT IN ('production', 'development') THEN
      problem := format('invalid environment "%s"', key.environment);
      advice := 'Environments are "production" and "development".';
    WHEN key.scope = 'user' AND (key.tenant_id IS NOT NULL OR key.user_id IS NULL) THEN
      problem := 'a key of scope "user" needs a user and no tenant';
      advice := 'It sees the user''s own rows and every tenant that the user is a member of.';
    WHEN key.scope <> 'user' AND key.tenant_id IS NULL THEN
      problem := format('a key of scope "%s" needs a tenant', key.scope);
      advice := 'An organization for scope "organization", a sub-entity for scope "sub_entity".';
    WHEN key.expires_at <= clock_timestamp() THEN
      problem := 'the expiry of a key must be in the future';
      advice := 'Leave expires_at out for a key that does not expire.';
    WHEN key.key_hash IS NULL OR octet_length(key.key_hash) <> 32 THEN
      problem := 'a key hash must have 32 bytes';
      advice := 'It is the SHA-256 of the whole key, prefix included.';
    WHEN key.allowed_networks IS NOT NULL
         AND (cardinality(key.allowed_networks) NOT BETWEEN 1 AND 1000
              OR array_position(key.allowed_networks, NULL) IS NOT NULL) THEN
      problem := 'allowed networks must be 1 to 1000 networks, none of them null';
      advice := 'Leave allowed_networks out for a key that is accepted from anywhere.';
    WHEN key.metadata IS NULL OR jsonb_typeof(key.metadata) <> 'object'
         OR octet_length(key.metadata::text) > 16384 THEN
      problem := 'metadata must be a JSON object of at most 16384 bytes';
      advice := 'Leave metadata out for an empty one.';
    ELSE
      RETURN;
  END CASE;
  RAISE invalid_parameter_value USING MESSAGE = problem, HINT = advice;
END
$$;
COMMENT ON FUNCTION revdesk.check_key(revdesk.api_keys) IS
  'Raises 22023 unless the row fits the constraints of revdesk.api_keys.';

CREATE FUNCTION revdesk.key_is_within_scope(key revdesk.api_keys) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE (key).scope
    WHEN 'user' THEN COALESCE((key).user_id = @extschema@.revdesk_scope_user(), false)
    WHEN 'organization' THEN COALESCE((key).tenant_id = @extschema@.revdesk_scope_organization(), false)
    WHEN 'sub_entity' THEN
      revdesk.tenant_is_managed((key).tenant_id)
      OR COALESCE((key).tenant_id = ANY (@extschema@.revdesk_scope_user_tenants()), false)
    ELSE false
  END
  AND ((key).user_id IS NULL
       OR COALESCE((key).user_id = @extschema@.revdesk_user_id(), false)
       OR EXISTS (SELECT FROM revdesk.memberships
                  WHERE memberships.user_id = (key).user_id
                    AND revdesk.tenant_is_managed(memberships.tenant_id)));
END;
COMMENT ON FUNCTION revdesk.key_is_within_scope(revdesk.api_keys) IS
  'Does the key see no more than the context, and is its user, if any, the context''s own or a member of a tenant in its scope?';

CREATE FUNCTION revdesk.authorize_session(key revdesk.api_keys) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  levels text[] := ARRAY['read', 'write', 'admin'];
  oldest timestamptz := clock_timestamp() - current_setting('revdesk.max_session_age')::interval;
BEGIN
  IF @extschema@.revdesk_session_started() < oldest THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'the session is too old to make a key',
      HINT = 'Sign in again.';
  END IF;
  PERFORM revdesk.require_context_holds();
  IF NOT revdesk.key_is_within_scope(key)
     OR array_position(levels, key.access) > array_position(levels, @extschema@.revdesk_access())
  THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'a session cannot make a key wider than itself';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.authorize_session(revdesk.api_keys) IS
  'Raises 42501 unless the session may make this key: it is not older than revdesk.max_session_age, and at least as wide.';

-- A key never makes a key wider than itself: not in scope or access, not for
-- another environment, not for longer, not for more networks.
CREATE FUNCTION revdesk.authorize_key(key revdesk.api_keys) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  own revdesk.api_keys;
  wider text;
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege('revdesk.api_keys', 'INSERT');
    RETURN;
  END IF;
  IF @extschema@.revdesk_session_started() IS NOT NULL THEN
    PERFORM revdesk.authorize_session(key);
    RETURN;
  END IF;

  PERFORM revdesk.require_admin();
  SELECT * INTO own FROM revdesk.api_keys WHERE api_keys.id = @extschema@.revdesk_key_id();
  wider := CASE
    WHEN NOT revdesk.key_is_within_scope(key) THEN 'The tenant or user does not exist, or is outside your scope.'
    WHEN key.access = 'admin' AND key.scope <> 'user' AND NOT revdesk.tenant_is_managed(key.tenant_id)
      THEN 'A member does not manage a tenant.'
    WHEN own.environment = 'development' AND key.environment <> 'development' THEN 'Your key is for development.'
    WHEN own.expires_at < COALESCE(key.expires_at, 'infinity') THEN 'Your key expires earlier.'
    WHEN own.allowed_networks IS NOT NULL
         AND (key.allowed_networks IS NULL
              OR EXISTS (SELECT FROM unnest(key.allowed_networks) AS network
                         WHERE NOT network <<= ANY (own.allowed_networks)))
      THEN 'Your key is allowed from fewer networks.'
  END;
  IF wider IS NOT NULL THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'a key cannot make a key wider than itself',
      DETAIL = wider;
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.authorize_key(revdesk.api_keys) IS
  'Raises 42501 unless the caller may make this key: by an admin key or a session at least as wide, or without a context with INSERT on revdesk.api_keys.';

CREATE FUNCTION revdesk.insert_key(key revdesk.api_keys) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  key.id := COALESCE(key.id, gen_random_uuid());
  key.created_at := now();
  key.created_by := COALESCE(@extschema@.revdesk_user_id(), key.created_by, key.user_id);
  -- A row type has none of the table's defaults.
  key.rate_period := COALESCE(key.rate_period, 'second');
  key.quota_period := COALESCE(key.quota_period, 'day');
  PERFORM revdesk.check_key(key);
  PERFORM revdesk.authorize_key(key);
  INSERT INTO revdesk.api_keys VALUES ((key).*);
  -- Now, not at COMMIT: the caller learns of it with the call.
  SET CONSTRAINTS revdesk.check_api_key IMMEDIATE;
  SET CONSTRAINTS revdesk.check_api_key DEFERRED;
  RETURN key.id;
EXCEPTION WHEN unique_violation THEN
  RAISE unique_violation USING MESSAGE = 'a key with this hash exists already';
END
$$;
COMMENT ON FUNCTION revdesk.insert_key(revdesk.api_keys) IS
  'Makes a key, checked and authorized, and returns its id.';

CREATE FUNCTION @extschema@.revdesk_create_key(
  name text, scope text, tenant_id uuid DEFAULT NULL, user_id uuid DEFAULT NULL,
  access text DEFAULT 'write', environment text DEFAULT 'production',
  expires_at timestamptz DEFAULT NULL, allowed_networks cidr[] DEFAULT NULL,
  metadata jsonb DEFAULT '{}', OUT key_id uuid, OUT token text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
BEGIN
  token := revdesk.new_token();
  key.name := name;
  key.scope := scope;
  key.tenant_id := tenant_id;
  key.user_id := user_id;
  key.access := access;
  key.environment := environment;
  key.expires_at := expires_at;
  key.allowed_networks := allowed_networks;
  key.metadata := metadata;
  key.key_hash := revdesk.token_hash(token);
  key.hint := right(token, 4);
  key.origin := 'created';
  -- A key with limits makes no key without them.
  SELECT own.rate_limit, own.rate_period, own.rate_burst, own.quota, own.quota_period
  INTO key.rate_limit, key.rate_period, key.rate_burst, key.quota, key.quota_period
  FROM revdesk.api_keys AS own WHERE own.id = @extschema@.revdesk_key_id();
  key_id := revdesk.insert_key(key);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_create_key(text, text, uuid, uuid, text, text, timestamptz, cidr[], jsonb) IS
  'Makes a key and returns it, this once. Scope user needs a user, the others a tenant of their kind. For an admin key or a session at least as wide, or with INSERT on revdesk.api_keys. A key that a key makes has its limits. 22023 for bad values, 42501 for a key that the caller may not make.';

CREATE FUNCTION @extschema@.revdesk_import_key(
  name text, scope text, key_hash bytea, tenant_id uuid DEFAULT NULL, user_id uuid DEFAULT NULL,
  access text DEFAULT 'write', environment text DEFAULT 'production',
  expires_at timestamptz DEFAULT NULL, allowed_networks cidr[] DEFAULT NULL,
  metadata jsonb DEFAULT '{}', hint text DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
BEGIN
  PERFORM revdesk.require_privilege('revdesk.api_keys', 'INSERT');
  IF char_length(hint) <> 4 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'the hint of a key must have 4 characters';
  END IF;
  key.name := name;
  key.scope := scope;
  key.tenant_id := tenant_id;
  key.user_id := user_id;
  key.access := access;
  key.environment := environment;
  key.expires_at := expires_at;
  key.allowed_networks := allowed_networks;
  key.metadata := metadata;
  key.key_hash := key_hash;
  key.hint := hint;
  key.origin := 'imported';
  RETURN revdesk.insert_key(key);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_import_key(text, text, bytea, uuid, uuid, text, text, timestamptz, cidr[], jsonb, text) IS
  'Takes over a key of an existing system by its SHA-256 (32 bytes, of the whole key, "revdesk_" included) and returns its id. Needs INSERT on revdesk.api_keys and no context. 23505 for a hash that is there already.';

-- Find a key that the caller may manage, and lock it against a rotation or
-- revocation at the same time.
CREATE FUNCTION revdesk.lock_key(wanted uuid) RETURNS revdesk.api_keys
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege('revdesk.api_keys', 'UPDATE');
    SELECT * INTO key FROM revdesk.api_keys WHERE api_keys.id = wanted FOR UPDATE;
  ELSE
    IF @extschema@.revdesk_session_started() IS NULL THEN
      PERFORM revdesk.require_admin();
    ELSE
      PERFORM revdesk.require_context_holds();
    END IF;
    SELECT * INTO key FROM revdesk.api_keys
    WHERE api_keys.id = wanted
      AND EXISTS (SELECT FROM revdesk.managed_keys AS managed WHERE managed.key_id = wanted)
    FOR UPDATE;
  END IF;
  IF NOT FOUND THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('key "%s" does not exist, or is outside your scope', wanted);
  END IF;
  RETURN key;
END
$$;
COMMENT ON FUNCTION revdesk.lock_key(uuid) IS
  'A key''s row, locked. 42501 unless the caller may manage it.';

CREATE FUNCTION @extschema@.revdesk_revoke_key(key_id uuid, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys := revdesk.lock_key(key_id);
BEGIN
  IF char_length(reason) > 1000 THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'the reason of a revocation must have at most 1000 characters';
  END IF;
  IF key.revoked_at IS NOT NULL THEN
    RETURN false;
  END IF;
  UPDATE revdesk.api_keys
  SET revoked_at = now(), revoked_by = @extschema@.revdesk_user_id(), revoked_reason = reason
  WHERE api_keys.id = key.id;
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_revoke_key(uuid, text) IS
  'Rejects a key from the next authentication on; a transaction that acts for it ends as it began. True if this call revoked it, false if it was revoked before. For an admin key whose scope holds it, a session of the user who made it, or with UPDATE on revdesk.api_keys.';

CREATE FUNCTION revdesk.rotate_key(
  old_key_id uuid, grace interval, OUT new_key_id uuid, OUT token text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  old revdesk.api_keys := revdesk.lock_key(old_key_id);
  new revdesk.api_keys := old;
  ends timestamptz := clock_timestamp() + grace;
BEGIN
  IF grace IS NULL OR grace < '0' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'the grace of a rotation must not be negative';
  END IF;
  IF old.revoked_at IS NOT NULL OR old.replaced_by IS NOT NULL OR old.expires_at <= clock_timestamp() THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = format('key "%s" is revoked, expired or already rotated', old.id),
      HINT = 'Make a new key with revdesk_create_key().';
  END IF;

  token := revdesk.new_token();
  new.id := NULL;
  new.origin := 'rotated';
  new.key_hash := revdesk.token_hash(token);
  new.hint := right(token, 4);
  new_key_id := revdesk.insert_key(new);

  IF grace = '0' THEN
    UPDATE revdesk.api_keys
    SET replaced_by = new_key_id, revoked_at = now(),
        revoked_by = @extschema@.revdesk_user_id(), revoked_reason = 'rotated'
    WHERE api_keys.id = old.id;
  ELSE
    UPDATE revdesk.api_keys
    SET replaced_by = new_key_id, expires_at = LEAST(api_keys.expires_at, ends)
    WHERE api_keys.id = old.id;
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.rotate_key(uuid, interval) IS
  'revdesk_rotate_key(), whose parameter and result have one name, which PL/pgSQL does not take.';

CREATE FUNCTION @extschema@.revdesk_rotate_key(
  key_id uuid, grace interval DEFAULT '0', OUT key_id uuid, OUT token text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT made.new_key_id, made.token FROM revdesk.rotate_key($1, $2) AS made;
END;
COMMENT ON FUNCTION @extschema@.revdesk_rotate_key(uuid, interval) IS
  'Makes a key with all properties of another and returns it, this once. The old one ends now, or with a grace, expires after it; revoking the new one does not end it. Rights as for revdesk_create_key and revdesk_revoke_key. 55000 for a key that has ended or been rotated.';

CREATE FUNCTION @extschema@.revdesk_issue_token(
  name text, tenant_id uuid DEFAULT NULL, access text DEFAULT 'write',
  expires_at timestamptz DEFAULT NULL, OUT key_id uuid, OUT token text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tied_to uuid := COALESCE(tenant_id, @extschema@.revdesk_tenant_id());
  own revdesk.api_keys;
  made record;
BEGIN
  IF tied_to IS NULL THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'a token is tied to one tenant',
      HINT = 'Say which by tenant_id, or pick one in the session.';
  END IF;
  SELECT * INTO own FROM revdesk.api_keys WHERE api_keys.id = @extschema@.revdesk_key_id();
  SELECT * INTO made FROM @extschema@.revdesk_create_key(
    name,
    CASE WHEN EXISTS (SELECT FROM revdesk.tenants
                      WHERE tenants.id = tied_to AND tenants.umbrella_id IS NULL)
         THEN 'organization' ELSE 'sub_entity' END,
    tied_to,
    user_id => @extschema@.revdesk_user_id(), access => access,
    environment => COALESCE(@extschema@.revdesk_environment(), 'production'),
    expires_at => COALESCE(expires_at, own.expires_at), allowed_networks => own.allowed_networks);
  key_id := made.key_id;
  token := made.token;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_issue_token(text, uuid, text, timestamptz) IS
  'Makes a named, long-lived key from a session or an admin key and returns it, this once. It is tied to one tenant: tenant_id, or the one that the caller acts for, and has the environment, the networks and, unless expires_at says so, the end of the key that makes it. As revdesk_create_key.';

CREATE FUNCTION @extschema@.revdesk_provision_account(
  organization_name text, subject text,
  OUT organization_id uuid, OUT user_id uuid, OUT key_id uuid, OUT token text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  made record;
BEGIN
  organization_id := @extschema@.revdesk_create_organization(organization_name);
  SELECT users.id INTO user_id FROM revdesk.users
  WHERE users.subject = revdesk_provision_account.subject;
  IF NOT FOUND THEN
    user_id := @extschema@.revdesk_create_user(subject);
  END IF;
  PERFORM @extschema@.revdesk_add_member(organization_id, user_id);
  made := @extschema@.revdesk_create_key(
    'first key', 'organization', organization_id, user_id, 'admin');
  key_id := made.key_id;
  token := made.token;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_provision_account(text, text) IS
  'Sets an account up: an organization, its first user (made unless the subject is known), the membership, and the organization''s first key, of access admin, which is returned this once. Needs INSERT on the tables of schema revdesk and no context.';

CREATE FUNCTION @extschema@.revdesk_account() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'scope', context.scope,
    'access', context.access,
    'environment', context.environment,
    'key', (SELECT jsonb_build_object(
              'id', keys.key_id, 'name', keys.name, 'hint', keys.hint,
              'created_at', keys.created_at, 'expires_at', keys.expires_at,
              'replaced_by', keys.replaced_by, 'metadata', keys.metadata)
            FROM revdesk.managed_keys AS keys WHERE keys.key_id = context.key_id),
    'tenant', (SELECT jsonb_build_object('id', tenants.id, 'name', tenants.name,
                                         'umbrella_id', tenants.umbrella_id)
               FROM revdesk.tenants WHERE tenants.id = context.tenant_id),
    'user', (SELECT jsonb_build_object('id', users.id, 'subject', users.subject)
             FROM revdesk.users WHERE users.id = context.user_id),
    'usage', (SELECT jsonb_build_object(
                'last_used_at', revdesk.last_use_of(context.key_id),
                'requests_today', COALESCE(sum(usage.requests) FILTER (
                  WHERE usage.bucket >= date_trunc('day', now(), 'UTC')), 0),
                'requests_this_month', COALESCE(sum(usage.requests), 0),
                'denied_this_month', COALESCE(sum(
                  usage.denied_revoked + usage.denied_expired + usage.denied_environment + usage.denied_network
                  + usage.denied_user + usage.denied_tenant + usage.denied_limit), 0))
              FROM revdesk.usage_of(context.key_id, date_trunc('month', now(), 'UTC'), 'infinity') AS usage
              HAVING context.key_id IS NOT NULL AND revdesk.usage_dropped() IS NOT NULL),
    'teams', (SELECT jsonb_agg(jsonb_build_object('id', tenants.id, 'name', tenants.name)
                               ORDER BY tenants.name, tenants.id)
              FROM revdesk.tenants WHERE tenants.id = ANY (@extschema@.revdesk_scope_user_tenants())))
  FROM @extschema@.revdesk_context() AS context;
END;
COMMENT ON FUNCTION @extschema@.revdesk_account() IS
  'The caller''s own key, scope, tenant and user, as a JSON object: scope, access, environment, key, tenant, user, usage, teams. usage is null for a session, and where nothing is counted, since the server does not preload the library. Null without a context.';
