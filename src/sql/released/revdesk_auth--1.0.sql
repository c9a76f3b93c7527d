-- revdesk_auth: the install script, which the Makefile makes of the parts in src/sql

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION revdesk_auth CASCADE" to load this file. \quit

-- tables.sql: the data model.
--
-- The order of the leading columns is known to src/relations.h.

-- Whatever is named without a schema from here on is PostgreSQL's own: in the
-- schema that the extension goes to, anybody may have put functions and
-- operators that would suit better than those.
SET LOCAL search_path = pg_catalog, pg_temp;

-- CREATE SCHEMA, not "schema =" in the control file: that would install into
-- a schema of the same name that somebody else made before.
CREATE SCHEMA revdesk;
COMMENT ON SCHEMA revdesk IS
  'Tables of revdesk_auth. API roles get nothing here; they use the functions.';

CREATE TABLE revdesk.tenants (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  umbrella_id uuid REFERENCES revdesk.tenants (id),
  suspended_at timestamptz,
  rate_limit integer,
  rate_period text NOT NULL DEFAULT 'second',
  rate_burst integer,
  quota bigint,
  quota_period text NOT NULL DEFAULT 'day',
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT tenants_name_check
    CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]]'),
  CONSTRAINT tenants_rate_check CHECK (rate_limit BETWEEN 1 AND 1000000 AND rate_period IN ('second', 'minute')),
  CONSTRAINT tenants_burst_check CHECK (rate_burst BETWEEN 1 AND 1000000),
  CONSTRAINT tenants_quota_check CHECK (quota BETWEEN 1 AND 1000000000000 AND quota_period IN ('day', 'month')),
  CONSTRAINT tenants_not_own_umbrella CHECK (umbrella_id <> id)
);
CREATE INDEX tenants_umbrella_id_idx ON revdesk.tenants (umbrella_id);
COMMENT ON TABLE revdesk.tenants IS
  'Organizations (umbrellas) and their sub-entities: two levels, no more.';
COMMENT ON COLUMN revdesk.tenants.umbrella_id IS
  'The organization that a sub-entity belongs to; null for an organization. Never changes.';
COMMENT ON COLUMN revdesk.tenants.suspended_at IS
  'Since when keys of the tenant, and of its sub-entities, are rejected.';

CREATE TABLE revdesk.users (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  disabled_at timestamptz,
  subject text COLLATE "C" NOT NULL,  -- as src/tenancy.c looks it up
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT users_subject_key UNIQUE (subject),
  CONSTRAINT users_subject_check
    CHECK (pg_catalog.char_length(subject) BETWEEN 1 AND 255 AND subject !~ '[[:cntrl:]]')
);
COMMENT ON TABLE revdesk.users IS
  'Persons. A user may own personal rows and be a member of any number of tenants.';
COMMENT ON COLUMN revdesk.users.subject IS
  'The name of the user in the identity provider: the claim "sub" of its tokens.';
COMMENT ON COLUMN revdesk.users.disabled_at IS
  'Since when keys of the user are rejected.';

CREATE TABLE revdesk.memberships (
  user_id uuid NOT NULL REFERENCES revdesk.users (id),
  tenant_id uuid NOT NULL REFERENCES revdesk.tenants (id),
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX memberships_tenant_id_idx ON revdesk.memberships (tenant_id);
COMMENT ON TABLE revdesk.memberships IS
  'Which tenants a user is a member of, and so sees with a key of scope user.';

CREATE TABLE revdesk.api_keys (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  key_hash bytea NOT NULL,
  scope text NOT NULL,
  tenant_id uuid REFERENCES revdesk.tenants (id),
  user_id uuid REFERENCES revdesk.users (id),
  access text NOT NULL DEFAULT 'write',
  environment text NOT NULL DEFAULT 'production',
  revoked_at timestamptz,
  expires_at timestamptz,
  allowed_networks cidr[],
  rate_limit integer,
  rate_period text NOT NULL DEFAULT 'second',
  rate_burst integer,
  quota bigint,
  quota_period text NOT NULL DEFAULT 'day',
  name text NOT NULL,
  hint text,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  created_by uuid REFERENCES revdesk.users (id),
  revoked_by uuid REFERENCES revdesk.users (id),
  revoked_reason text,
  replaced_by uuid REFERENCES revdesk.api_keys (id),
  origin text NOT NULL DEFAULT 'created',
  metadata jsonb NOT NULL DEFAULT '{}',
  CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
  CONSTRAINT api_keys_key_hash_check CHECK (pg_catalog.octet_length(key_hash) = 32),
  CONSTRAINT api_keys_scope_check CHECK (scope IN ('user', 'organization', 'sub_entity')),
  CONSTRAINT api_keys_scope_tenant_check CHECK ((scope = 'user') = (tenant_id IS NULL)),
  CONSTRAINT api_keys_scope_user_check CHECK (scope <> 'user' OR user_id IS NOT NULL),
  CONSTRAINT api_keys_access_check CHECK (access IN ('read', 'write', 'admin')),
  CONSTRAINT api_keys_environment_check CHECK (environment IN ('production', 'development')),
  CONSTRAINT api_keys_name_check
    CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]]'),
  CONSTRAINT api_keys_rate_check CHECK (rate_limit BETWEEN 1 AND 1000000 AND rate_period IN ('second', 'minute')),
  CONSTRAINT api_keys_burst_check CHECK (rate_burst BETWEEN 1 AND 1000000),
  CONSTRAINT api_keys_quota_check CHECK (quota BETWEEN 1 AND 1000000000000 AND quota_period IN ('day', 'month')),
  CONSTRAINT api_keys_origin_check CHECK (origin IN ('created', 'imported', 'rotated')),
  CONSTRAINT api_keys_hint_check CHECK (pg_catalog.char_length(hint) = 4),
  CONSTRAINT api_keys_reason_check CHECK (pg_catalog.char_length(revoked_reason) <= 1000),
  CONSTRAINT api_keys_networks_check
    CHECK (pg_catalog.cardinality(allowed_networks) BETWEEN 1 AND 1000
           AND pg_catalog.array_position(allowed_networks, NULL) IS NULL),
  CONSTRAINT api_keys_metadata_check
    CHECK (pg_catalog.jsonb_typeof(metadata) = 'object'
           AND pg_catalog.octet_length(metadata::text) <= 16384)
);
-- What authentication probes; see src/key_lookup.c.
CREATE INDEX api_keys_key_hash_idx ON revdesk.api_keys USING hash (key_hash);
CREATE INDEX api_keys_tenant_id_idx ON revdesk.api_keys (tenant_id);
CREATE INDEX api_keys_user_id_idx ON revdesk.api_keys (user_id);
CREATE INDEX api_keys_created_by_idx ON revdesk.api_keys (created_by);
CREATE INDEX api_keys_expires_at_idx ON revdesk.api_keys (expires_at);
CREATE INDEX api_keys_replaced_by_idx ON revdesk.api_keys (replaced_by);
COMMENT ON TABLE revdesk.api_keys IS
  'API keys. The key itself is nowhere: only its SHA-256.';
COMMENT ON COLUMN revdesk.api_keys.key_hash IS
  'SHA-256 of the whole key, "revdesk_" included: 32 bytes.';
COMMENT ON COLUMN revdesk.api_keys.scope IS
  'What the key sees: user (user_id''s own rows and tenants), organization (tenant_id and its sub-entities), sub_entity (tenant_id alone).';
COMMENT ON COLUMN revdesk.api_keys.user_id IS
  'Scope user: the user that the key acts for. Else: the user responsible for the key, if any.';
COMMENT ON COLUMN revdesk.api_keys.access IS
  'read: transactions become READ ONLY. write. admin: may also manage keys, members and sub-entities in its scope.';
COMMENT ON COLUMN revdesk.api_keys.environment IS
  'production or development; see the setting revdesk.accepted_environments.';
COMMENT ON COLUMN revdesk.api_keys.allowed_networks IS
  'Networks that the client must connect from; null for anywhere.';
COMMENT ON COLUMN revdesk.api_keys.hint IS
  'Last 4 characters of the key, to tell keys apart; null if not known.';
COMMENT ON COLUMN revdesk.api_keys.created_by IS
  'User who made the key, if known.';
COMMENT ON COLUMN revdesk.api_keys.revoked_by IS
  'User who revoked the key, if known.';
COMMENT ON COLUMN revdesk.api_keys.replaced_by IS
  'The key that revdesk_rotate_key() made in its place.';
COMMENT ON COLUMN revdesk.api_keys.metadata IS
  'A JSON object of the user''s own, at most 16384 bytes.';

CREATE TABLE revdesk.protected_tables (
  relation regclass PRIMARY KEY,
  root regclass NOT NULL,
  tenant_column name,
  owner_column name,
  umbrella_column name,
  walk_up boolean NOT NULL DEFAULT false,
  had_row_security boolean NOT NULL,
  had_forced_row_security boolean NOT NULL,
  created_indexes name[] NOT NULL DEFAULT '{}',
  protected_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE revdesk.protected_tables IS
  'Tables that are protected, and what revdesk_unprotect() restores. A table''s owner sees and changes its row.';
COMMENT ON COLUMN revdesk.protected_tables.root IS
  'The table that revdesk_protect() was called for: the table itself, or one that it is a partition or child of.';
-- integrity.sql: what no constraint of a single row can say, and news of
-- changes for the backends' caches.
--
-- What must look into another row is a DEFERRABLE INITIALLY DEFERRED
-- constraint trigger.  A BEFORE trigger would see the rows of a restore in
-- their physical order, a child before its parent, and refuse them.  They are
-- SECURITY DEFINER because they run at COMMIT, as whoever commits.

CREATE FUNCTION revdesk.check_tenant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM revdesk.tenants AS umbrella
  WHERE umbrella.id = NEW.umbrella_id AND umbrella.umbrella_id IS NOT NULL;
  IF FOUND THEN
    RAISE check_violation USING
      MESSAGE = format('tenant "%s" cannot be an umbrella', NEW.umbrella_id),
      DETAIL = 'It is a sub-entity itself, and there are two levels only.',
      TABLE = 'tenants', SCHEMA = 'revdesk';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.check_tenant() IS
  'Trigger: an umbrella is an organization. 23514 otherwise.';
CREATE CONSTRAINT TRIGGER check_tenant
  AFTER INSERT ON revdesk.tenants
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.umbrella_id IS NOT NULL)
  EXECUTE FUNCTION revdesk.check_tenant();

CREATE FUNCTION revdesk.keep_tenant() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE check_violation USING
    MESSAGE = format('the id and the umbrella of tenant "%s" cannot change', OLD.id),
    DETAIL = 'Rows of protected tables and API keys refer to them.',
    HINT = 'Create a new tenant and move the rows.',
    TABLE = 'tenants', SCHEMA = 'revdesk';
END
$$;
COMMENT ON FUNCTION revdesk.keep_tenant() IS
  'Trigger: a tenant stays where it is. 23514 otherwise.';
CREATE TRIGGER keep_tenant
  BEFORE UPDATE ON revdesk.tenants
  FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.umbrella_id IS DISTINCT FROM NEW.umbrella_id)
  EXECUTE FUNCTION revdesk.keep_tenant();

CREATE FUNCTION revdesk.check_api_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM revdesk.tenants
  WHERE tenants.id = NEW.tenant_id
    AND (NEW.scope = 'organization') = (tenants.umbrella_id IS NULL);
  IF NOT FOUND THEN
    RAISE check_violation USING
      MESSAGE = format('a key of scope "%s" cannot be for tenant "%s"', NEW.scope, NEW.tenant_id),
      DETAIL = 'Scope "organization" is for umbrellas, scope "sub_entity" for their sub-entities.',
      TABLE = 'api_keys', SCHEMA = 'revdesk';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.check_api_key() IS
  'Trigger: the scope of a key fits its kind of tenant. 23514 otherwise.';
CREATE CONSTRAINT TRIGGER check_api_key
  AFTER INSERT OR UPDATE ON revdesk.api_keys
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.tenant_id IS NOT NULL)
  EXECUTE FUNCTION revdesk.check_api_key();

CREATE FUNCTION revdesk.announce_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'revdesk_announce_change';
COMMENT ON FUNCTION revdesk.announce_change() IS
  'Trigger: makes every backend, on standbys too, forget what it has cached of the table.';

-- Row triggers, and ALWAYS, because a logical replication worker fires no
-- others.
DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['tenants', 'users', 'memberships'] LOOP
    EXECUTE format(
      'CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON revdesk.%I '
      'FOR EACH ROW EXECUTE FUNCTION revdesk.announce_change()', relation);
    EXECUTE format(
      'CREATE TRIGGER announce_truncate AFTER TRUNCATE ON revdesk.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION revdesk.announce_change()', relation);
    EXECUTE format(
      'ALTER TABLE revdesk.%I ENABLE ALWAYS TRIGGER announce_change, '
      'ENABLE ALWAYS TRIGGER announce_truncate', relation);
  END LOOP;
END
$$;
-- authenticate.sql: from a key to a context, and reading the context.

CREATE FUNCTION @extschema@.revdesk_authenticate(token text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revdesk_authenticate';
COMMENT ON FUNCTION @extschema@.revdesk_authenticate(text) IS
  'Makes the transaction act for the key: "revdesk_" and 32 lower-case hexadecimal digits. 28000 for any key that is not valid now, 25001 if the transaction acts for another key.';

CREATE FUNCTION @extschema@.revdesk_authenticate() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revdesk_authenticate_request';
COMMENT ON FUNCTION @extschema@.revdesk_authenticate() IS
  'For PostgREST''s db-pre-request: makes the transaction act for the key in request.headers, or without one for the session in request.jwt.claims. Errors have SQLSTATE PGRST: 401 credentials_required, 401 invalid_token, 400 invalid_request, 403 insufficient_scope.';

CREATE FUNCTION @extschema@.revdesk_deauthenticate() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revdesk_deauthenticate';
COMMENT ON FUNCTION @extschema@.revdesk_deauthenticate() IS
  'Makes the transaction act for nobody.';

-- The functions that read the context are STABLE, not IMMUTABLE: their values
-- change from one transaction to the next.  LEAKPROOF is provable: they have
-- no argument.

CREATE FUNCTION @extschema@.revdesk_key_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_key_id';
COMMENT ON FUNCTION @extschema@.revdesk_key_id() IS
  'Key that the transaction acts for; null without one.';

CREATE FUNCTION @extschema@.revdesk_tenant_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_tenant_id';
COMMENT ON FUNCTION @extschema@.revdesk_tenant_id() IS
  'Tenant that the transaction acts for; null in scope user and without a context.';

CREATE FUNCTION @extschema@.revdesk_umbrella_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_umbrella_id';
COMMENT ON FUNCTION @extschema@.revdesk_umbrella_id() IS
  'Umbrella of revdesk_tenant_id(), in scope organization that tenant itself; null in scope user and without a context.';

CREATE FUNCTION @extschema@.revdesk_user_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_user_id';
COMMENT ON FUNCTION @extschema@.revdesk_user_id() IS
  'User of the key that the transaction acts for; null if it has none, and without a context.';

CREATE FUNCTION @extschema@.revdesk_scope() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_scope';
COMMENT ON FUNCTION @extschema@.revdesk_scope() IS
  'Scope of the context: user, organization or sub_entity; null without one. Plans of policies depend on it.';

CREATE FUNCTION @extschema@.revdesk_access() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_access';
COMMENT ON FUNCTION @extschema@.revdesk_access() IS
  'Access level of the context: read, write or admin; null without one.';

CREATE FUNCTION @extschema@.revdesk_environment() RETURNS text
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_environment';
COMMENT ON FUNCTION @extschema@.revdesk_environment() IS
  'Environment of the context''s key: production or development; null without one.';

CREATE FUNCTION @extschema@.revdesk_session_started() RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE LEAKPROOF
AS 'MODULE_PATHNAME', 'revdesk_session_started';
COMMENT ON FUNCTION @extschema@.revdesk_session_started() IS
  'When the user of a session signed in: the claim "iat" of its token. Null for a key, and without a context.';

CREATE FUNCTION @extschema@.revdesk_context(
  OUT key_id uuid, OUT scope text, OUT tenant_id uuid, OUT umbrella_id uuid,
  OUT user_id uuid, OUT access text, OUT environment text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT @extschema@.revdesk_key_id(), @extschema@.revdesk_scope(),
         @extschema@.revdesk_tenant_id(), @extschema@.revdesk_umbrella_id(),
         @extschema@.revdesk_user_id(), @extschema@.revdesk_access(),
         @extschema@.revdesk_environment()
  WHERE @extschema@.revdesk_scope() IS NOT NULL;
END;
COMMENT ON FUNCTION @extschema@.revdesk_context() IS
  'Who the transaction acts for: one row, or none without a context.';
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

CREATE FUNCTION revdesk.require_admin() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_access() IS DISTINCT FROM 'admin' THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'access "admin" required',
      DETAIL = format('The key has access "%s".', @extschema@.revdesk_access());
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.require_admin() IS
  'Raises 42501 unless the context has access admin.';

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
-- audit.sql: who changed what.

CREATE TABLE revdesk.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY,
  logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  action text NOT NULL,
  target text NOT NULL,
  tenant_id uuid,
  user_id uuid,
  by_role name NOT NULL DEFAULT session_user,
  by_key uuid,
  by_user uuid,
  address inet DEFAULT inet_client_addr(),
  details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_tenant_id_idx ON revdesk.audit_log (tenant_id, logged_at);
CREATE INDEX audit_log_target_idx ON revdesk.audit_log (target, logged_at);
COMMENT ON TABLE revdesk.audit_log IS
  'Changes of keys, tenants, users, members and protected tables, written in the transaction of the change; and rejected and expired keys, written by the background worker. Rows can only be added.';
COMMENT ON COLUMN revdesk.audit_log.action IS 'key.created, key.revoked, tenant.suspended, member.added, table.protected and so on.';
COMMENT ON COLUMN revdesk.audit_log.target IS 'What was changed: an id, or the name of a table.';
COMMENT ON COLUMN revdesk.audit_log.tenant_id IS 'The tenant that it concerns.';
COMMENT ON COLUMN revdesk.audit_log.user_id IS 'The user that it concerns.';
COMMENT ON COLUMN revdesk.audit_log.by_role IS 'The role that logged in.';
COMMENT ON COLUMN revdesk.audit_log.by_key IS 'The key that the transaction acted for.';
COMMENT ON COLUMN revdesk.audit_log.by_user IS 'The user that the transaction acted for.';
COMMENT ON COLUMN revdesk.audit_log.details IS 'What was, for a change, and what is now; never a key or a hash.';

CREATE FUNCTION revdesk.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE insufficient_privilege USING MESSAGE = 'rows of the audit log can only be added';
END
$$;
COMMENT ON FUNCTION revdesk.refuse_change() IS 'Trigger: 42501 for everybody.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON revdesk.audit_log
  FOR EACH ROW EXECUTE FUNCTION revdesk.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON revdesk.audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION revdesk.refuse_change();
ALTER TABLE revdesk.audit_log ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE FUNCTION revdesk.changed_columns(old jsonb, new jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(jsonb_object_agg(
           now.key,
           CASE now.key WHEN 'key_hash' THEN '"changed"'::jsonb
                        ELSE jsonb_build_object('from', old->now.key, 'to', now.value) END), '{}')
  FROM jsonb_each(new) AS now
  WHERE old->now.key IS DISTINCT FROM now.value;
END;
COMMENT ON FUNCTION revdesk.changed_columns(jsonb, jsonb) IS
  'The columns in which two rows differ, without hashes.';

CREATE FUNCTION revdesk.audit_action(relation name, operation text, old jsonb, new jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE relation
      WHEN 'api_keys' THEN 'key.' WHEN 'tenants' THEN 'tenant.' WHEN 'users' THEN 'user.'
      WHEN 'memberships' THEN 'member.' ELSE 'table.' END
    || CASE
      WHEN relation = 'memberships' THEN
        CASE operation WHEN 'INSERT' THEN 'added' WHEN 'DELETE' THEN 'removed' ELSE 'changed' END
      WHEN relation = 'protected_tables' THEN
        CASE operation WHEN 'DELETE' THEN 'unprotected' ELSE 'protected' END
      WHEN operation = 'INSERT' THEN COALESCE(new->>'origin', 'created')
      WHEN operation = 'DELETE' THEN 'deleted'
      WHEN old->>'replaced_by' IS NULL AND new->>'replaced_by' IS NOT NULL THEN 'rotated'
      WHEN old->>'revoked_at' IS NULL AND new->>'revoked_at' IS NOT NULL THEN 'revoked'
      WHEN old->>'suspended_at' IS NULL AND new->>'suspended_at' IS NOT NULL THEN 'suspended'
      WHEN old->>'suspended_at' IS NOT NULL AND new->>'suspended_at' IS NULL THEN 'resumed'
      WHEN old->>'disabled_at' IS NULL AND new->>'disabled_at' IS NOT NULL THEN 'disabled'
      WHEN old->>'disabled_at' IS NOT NULL AND new->>'disabled_at' IS NULL THEN 'enabled'
      ELSE 'changed' END;
END;
COMMENT ON FUNCTION revdesk.audit_action(name, text, jsonb, jsonb) IS
  'What the audit log calls a change of a row.';

CREATE FUNCTION revdesk.client_address() RETURNS inet
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_client_address';
COMMENT ON FUNCTION revdesk.client_address() IS
  'Where the client is: of the connection or, in a request through trusted proxies, the address that they tell.';

-- SECURITY DEFINER: whoever may change the tables must not be able to write the
-- log by hand.
CREATE FUNCTION revdesk.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
  new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
  affected jsonb := COALESCE(new_row, old_row);
  details jsonb := CASE TG_OP WHEN 'UPDATE' THEN revdesk.changed_columns(old_row, new_row) - 'created_indexes'
                              ELSE affected - 'key_hash' END;
BEGIN
  IF details = '{}' THEN
    RETURN NULL;                -- nothing changed but what is noted for later
  END IF;
  -- A superuser's pg_restore brings the log with the rows.
  IF current_setting('check_function_bodies') = 'off' AND current_setting('row_security') = 'off'
     AND (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
    RETURN NULL;
  END IF;
  INSERT INTO revdesk.audit_log (action, target, tenant_id, user_id, by_key, by_user, address, details)
  VALUES (
    revdesk.audit_action(TG_TABLE_NAME, TG_OP, old_row, new_row),
    COALESCE(affected->>'id', affected->>'relation', affected->>'user_id'),
    CASE TG_TABLE_NAME WHEN 'tenants' THEN affected->>'id' ELSE affected->>'tenant_id' END::uuid,
    CASE TG_TABLE_NAME WHEN 'users' THEN affected->>'id' ELSE affected->>'user_id' END::uuid,
    @extschema@.revdesk_key_id(), @extschema@.revdesk_user_id(), revdesk.client_address(),
    details);
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.audit() IS
  'Trigger: writes the change of a row to revdesk.audit_log.';

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['tenants', 'users', 'memberships', 'api_keys', 'protected_tables'] LOOP
    EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON revdesk.%I '
                   'FOR EACH ROW EXECUTE FUNCTION revdesk.audit()', relation);
  END LOOP;
END
$$;

CREATE FUNCTION revdesk.audit_denials(wanted uuid, denied bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.audit_log (action, target, tenant_id, user_id, by_role, address, details)
  SELECT CASE WHEN keys.id IS NULL THEN 'unknown.rejected' ELSE 'key.rejected' END,
         wanted, keys.tenant_id, keys.user_id, 'background worker', NULL,
         (SELECT jsonb_object_agg(reason.name, counts.denied)
          FROM unnest(ARRAY['unknown', 'revoked', 'expired', 'environment', 'network', 'user', 'tenant', 'limit'],
                      audit_denials.denied) AS counts (name, denied),
               LATERAL (SELECT counts.name) AS reason
          WHERE counts.denied > 0)
  FROM (SELECT) AS one LEFT JOIN revdesk.api_keys AS keys ON keys.id = wanted
  WHERE EXISTS (SELECT FROM unnest(audit_denials.denied) AS count WHERE count > 0);
END;
COMMENT ON FUNCTION revdesk.audit_denials(uuid, bigint[]) IS
  'Logs how often a key was rejected since the last time, by reason. For the background worker.';

CREATE FUNCTION revdesk.audit_expiries() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.audit_log (logged_at, action, target, tenant_id, user_id, by_role, address, details)
  SELECT keys.expires_at, 'key.expired', keys.id, keys.tenant_id, keys.user_id, 'background worker', NULL,
         jsonb_build_object('name', keys.name)
  FROM revdesk.api_keys AS keys
  WHERE keys.expires_at BETWEEN now() - interval '1 day' AND now() AND keys.revoked_at IS NULL
    AND NOT EXISTS (SELECT FROM revdesk.audit_log AS log
                    WHERE log.target = keys.id::text AND log.action = 'key.expired'
                      AND log.logged_at = keys.expires_at);
END;
COMMENT ON FUNCTION revdesk.audit_expiries() IS
  'Logs the keys that have expired in the last day. For the background worker.';

-- security_barrier: see revdesk_keys.
CREATE VIEW @extschema@.revdesk_audit WITH (security_barrier = true) AS
SELECT log.id, log.logged_at, log.action, log.target, log.tenant_id, log.user_id, log.by_role,
       log.by_key, log.by_user, log.address, log.details
FROM revdesk.audit_log AS log
WHERE @extschema@.revdesk_access() = 'admin'
  AND (log.tenant_id = ANY (@extschema@.revdesk_scope_organization_tenants())
       OR log.tenant_id = @extschema@.revdesk_scope_sub_entity()
       OR (log.tenant_id IS NULL AND log.user_id = @extschema@.revdesk_scope_user()));
COMMENT ON VIEW @extschema@.revdesk_audit IS
  'The audit log inside the scope of an admin key. No row without one.';

CREATE FUNCTION @extschema@.revdesk_key_risks(unused_for interval DEFAULT '90 days', OUT key_id uuid, OUT name text, OUT risk text, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege('revdesk.api_keys', 'SELECT');
  END IF;
  RETURN QUERY
  WITH live AS (
    SELECT keys.*, revdesk.last_use_of(keys.id) AS last_used_at, successor.created_at AS replaced_at
    FROM revdesk.api_keys AS keys
    LEFT JOIN revdesk.api_keys AS successor ON successor.id = keys.replaced_by
    WHERE keys.revoked_at IS NULL AND COALESCE(keys.expires_at > now(), true)
      AND (@extschema@.revdesk_scope() IS NULL
           OR EXISTS (SELECT FROM revdesk.managed_keys AS managed WHERE managed.key_id = keys.id))
  )
  SELECT live.id, live.name, found.risk, found.detail
  FROM live CROSS JOIN LATERAL (VALUES
    (live.last_used_at IS NULL AND live.created_at < now() - unused_for, 'never used',
     format('made at %s', live.created_at)),
    (live.last_used_at < now() - unused_for, 'not used lately', format('last used at %s', live.last_used_at)),
    (live.expires_at < now() + interval '14 days', 'expires soon', format('at %s', live.expires_at)),
    (live.expires_at IS NULL, 'no expiry', 'rotate it, or make keys with expires_at'),
    (live.last_used_at > live.replaced_at, 'used after rotation', format('last used at %s', live.last_used_at)),
    (live.access = 'admin' AND live.created_at < now() - unused_for
     AND NOT EXISTS (SELECT FROM revdesk.audit_log AS log WHERE log.by_key = live.id),
     'wider than used', 'access admin, and managed nothing')
  ) AS found (applies, risk, detail)
  WHERE found.applies
  ORDER BY live.name, live.id, found.risk;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_key_risks(interval) IS
  'Live keys that want a look: never used, not used lately, expires soon, no expiry, used after rotation, wider than used. Those that the context may manage, or without one, with SELECT on revdesk.api_keys, all. What is not counted, since the server does not preload the library, counts as not used.';
-- usage.sql: how keys are used, and how much they may be.

CREATE TABLE revdesk.key_usage (
  key_id uuid NOT NULL,
  bucket timestamptz NOT NULL,
  requests bigint NOT NULL DEFAULT 0,
  denied_unknown bigint NOT NULL DEFAULT 0,
  denied_revoked bigint NOT NULL DEFAULT 0,
  denied_expired bigint NOT NULL DEFAULT 0,
  denied_environment bigint NOT NULL DEFAULT 0,
  denied_network bigint NOT NULL DEFAULT 0,
  denied_user bigint NOT NULL DEFAULT 0,
  denied_tenant bigint NOT NULL DEFAULT 0,
  denied_limit bigint NOT NULL DEFAULT 0,
  last_used_at timestamptz,
  last_address text,
  PRIMARY KEY (key_id, bucket)
);
COMMENT ON TABLE revdesk.key_usage IS
  'Requests of each key by hour, written by the background worker. A key_id of zeros: requests with no known key.';
COMMENT ON COLUMN revdesk.key_usage.bucket IS 'The hour, by its beginning.';
CREATE INDEX key_usage_bucket_idx ON revdesk.key_usage (bucket);

CREATE FUNCTION revdesk.add_usage(
  key_id uuid, requests bigint, last_used_at timestamptz, last_address text, denied bigint[])
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.key_usage AS usage
  VALUES (add_usage.key_id, date_trunc('hour', now(), 'UTC'), add_usage.requests,
          denied[1], denied[2], denied[3], denied[4], denied[5], denied[6], denied[7], denied[8],
          add_usage.last_used_at, add_usage.last_address)
  ON CONFLICT (key_id, bucket) DO UPDATE
  SET requests = usage.requests + excluded.requests,
      denied_unknown = usage.denied_unknown + excluded.denied_unknown,
      denied_revoked = usage.denied_revoked + excluded.denied_revoked,
      denied_expired = usage.denied_expired + excluded.denied_expired,
      denied_environment = usage.denied_environment + excluded.denied_environment,
      denied_network = usage.denied_network + excluded.denied_network,
      denied_user = usage.denied_user + excluded.denied_user,
      denied_tenant = usage.denied_tenant + excluded.denied_tenant,
      denied_limit = usage.denied_limit + excluded.denied_limit,
      last_used_at = GREATEST(usage.last_used_at, excluded.last_used_at),
      last_address = COALESCE(excluded.last_address, usage.last_address);
  SELECT revdesk.audit_denials(add_usage.key_id, denied);
END;
COMMENT ON FUNCTION revdesk.add_usage(uuid, bigint, timestamptz, text, bigint[]) IS
  'Adds counts to the row of the current hour; denied in the order of the columns. For the background worker.';

CREATE FUNCTION revdesk.expire_usage(minutes integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM revdesk.key_usage
  WHERE minutes > 0 AND key_usage.bucket < now() - make_interval(mins => minutes);
END;
COMMENT ON FUNCTION revdesk.expire_usage(integer) IS
  'Deletes rows older than so many minutes; none for 0. For the background worker.';

CREATE FUNCTION revdesk.usage_in_memory(
  wanted uuid DEFAULT NULL, OUT key_id uuid, OUT requests bigint, OUT last_used_at timestamptz, OUT last_address text,
  OUT denied bigint[])
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_usage_in_memory';
COMMENT ON FUNCTION revdesk.usage_in_memory(uuid) IS
  'What is counted for this database, or for one key, and not yet in revdesk.key_usage. No row without preloading.';

CREATE FUNCTION revdesk.usage_dropped() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_usage_dropped';
COMMENT ON FUNCTION revdesk.usage_dropped() IS
  'Requests that were not counted since the table in shared memory was full; null where the server does not preload the library, and so counts nothing.';

CREATE FUNCTION revdesk.last_use_of(wanted uuid) RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT GREATEST(
    (SELECT usage.last_used_at FROM revdesk.key_usage AS usage
     WHERE usage.key_id = wanted AND usage.last_used_at IS NOT NULL ORDER BY usage.bucket DESC LIMIT 1),
    (SELECT memory.last_used_at FROM revdesk.usage_in_memory(wanted) AS memory));
END;
COMMENT ON FUNCTION revdesk.last_use_of(uuid) IS
  'When a key was accepted last, as far as it was counted; null for never.';

-- What is written and what is in memory, as one.
CREATE FUNCTION revdesk.usage_of(wanted uuid, since timestamptz, until timestamptz)
RETURNS SETOF revdesk.key_usage
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT usage.* FROM revdesk.key_usage AS usage
  WHERE usage.key_id = wanted AND usage.bucket >= since AND usage.bucket < until
  UNION ALL
  SELECT wanted, date_trunc('hour', now(), 'UTC'), memory.requests,
         memory.denied[1], memory.denied[2], memory.denied[3], memory.denied[4],
         memory.denied[5], memory.denied[6], memory.denied[7], memory.denied[8],
         memory.last_used_at, memory.last_address
  FROM revdesk.usage_in_memory(wanted) AS memory
  WHERE now() >= since AND now() < until
    AND (memory.requests > 0 OR EXISTS (SELECT FROM unnest(memory.denied) AS count WHERE count > 0));
END;
COMMENT ON FUNCTION revdesk.usage_of(uuid, timestamptz, timestamptz) IS
  'Rows of a key, and its counts in memory as of the current hour.';

CREATE FUNCTION revdesk.require_usage(wanted uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege('revdesk.key_usage', 'SELECT');
  ELSIF NOT EXISTS (SELECT FROM revdesk.managed_keys AS managed WHERE managed.key_id = wanted) THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('key "%s" does not exist, or is outside your scope', wanted);
  END IF;
  IF revdesk.usage_dropped() IS NULL THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = 'usage is not counted',
      HINT = 'Put revdesk_auth into shared_preload_libraries and restart the server.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.require_usage(uuid) IS
  'Raises 42501 unless the caller may see the key''s usage, and 55000 where nothing is counted.';

CREATE FUNCTION @extschema@.revdesk_usage(
  key_id uuid, since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity',
  unit text DEFAULT 'day', OUT bucket timestamptz, OUT requests bigint, OUT denied bigint,
  OUT denied_by_reason jsonb, OUT last_used_at timestamptz, OUT last_address text)
RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.require_usage(revdesk_usage.key_id);
  SELECT date_trunc(unit, usage.bucket, 'UTC'), sum(usage.requests)::bigint,
         sum(usage.denied_unknown + usage.denied_revoked + usage.denied_expired + usage.denied_environment + usage.denied_network
             + usage.denied_user + usage.denied_tenant + usage.denied_limit)::bigint,
         jsonb_strip_nulls(jsonb_build_object(
           'unknown', NULLIF(sum(usage.denied_unknown), 0),
           'revoked', NULLIF(sum(usage.denied_revoked), 0), 'expired', NULLIF(sum(usage.denied_expired), 0),
           'environment', NULLIF(sum(usage.denied_environment), 0),
           'network', NULLIF(sum(usage.denied_network), 0), 'user', NULLIF(sum(usage.denied_user), 0),
           'tenant', NULLIF(sum(usage.denied_tenant), 0), 'limit', NULLIF(sum(usage.denied_limit), 0))),
         max(usage.last_used_at),
         (array_agg(usage.last_address ORDER BY usage.last_used_at DESC NULLS LAST))[1]
  FROM revdesk.usage_of(revdesk_usage.key_id, since, until) AS usage
  GROUP BY 1 ORDER BY 1;
END;
COMMENT ON FUNCTION @extschema@.revdesk_usage(uuid, timestamptz, timestamptz, text) IS
  'Requests of a key, by hour, day or month (UTC), up to this moment: what is written and what is still in memory. For a key that the context may manage, or with SELECT on revdesk.key_usage, any; the key_id of zeros stands for requests with no known key. 55000 where nothing is counted.';

CREATE FUNCTION revdesk.check_limits(
  rate_limit integer, rate_period text, rate_burst integer, quota bigint, quota_period text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF rate_limit NOT BETWEEN 1 AND 1000000 OR rate_burst NOT BETWEEN 1 AND 1000000
     OR quota NOT BETWEEN 1 AND 1000000000000
     OR rate_period IS NULL OR rate_period NOT IN ('second', 'minute')
     OR quota_period IS NULL OR quota_period NOT IN ('day', 'month') THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'invalid limit',
      HINT = 'Rates are 1 to 1000000 requests a "second" or "minute", quotas 1 to 10^12 a "day" or "month"; null is no limit.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_limits(integer, text, integer, bigint, text) IS
  'Raises 22023 unless the values fit the constraints on limits.';

CREATE FUNCTION @extschema@.revdesk_limit_key(
  key_id uuid, rate_limit integer DEFAULT NULL, rate_period text DEFAULT 'second',
  rate_burst integer DEFAULT NULL, quota bigint DEFAULT NULL, quota_period text DEFAULT 'day')
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
BEGIN
  -- Never under a context: a key must not lift its own limits.
  PERFORM revdesk.require_privilege('revdesk.api_keys', 'UPDATE');
  PERFORM revdesk.check_limits(rate_limit, rate_period, rate_burst, quota, quota_period);
  key := revdesk.lock_key(key_id);
  UPDATE revdesk.api_keys AS keys
  SET rate_limit = revdesk_limit_key.rate_limit, rate_period = revdesk_limit_key.rate_period,
      rate_burst = revdesk_limit_key.rate_burst, quota = revdesk_limit_key.quota,
      quota_period = revdesk_limit_key.quota_period
  WHERE keys.id = key.id;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_limit_key(uuid, integer, text, integer, bigint, text) IS
  'Limits a key to rate_limit requests a second or minute, of which rate_burst (by default as many) may come at once, and to quota requests a day or month (UTC); null for no limit. Needs UPDATE on revdesk.api_keys, no context, and a server that preloads the library.';

CREATE FUNCTION @extschema@.revdesk_limit_organization(
  organization_id uuid, rate_limit integer DEFAULT NULL, rate_period text DEFAULT 'second',
  rate_burst integer DEFAULT NULL, quota bigint DEFAULT NULL, quota_period text DEFAULT 'day')
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.require_privilege('revdesk.tenants', 'UPDATE');
  PERFORM revdesk.check_limits(rate_limit, rate_period, rate_burst, quota, quota_period);
  UPDATE revdesk.tenants
  SET rate_limit = revdesk_limit_organization.rate_limit,
      rate_period = revdesk_limit_organization.rate_period,
      rate_burst = revdesk_limit_organization.rate_burst, quota = revdesk_limit_organization.quota,
      quota_period = revdesk_limit_organization.quota_period
  WHERE tenants.id = organization_id AND tenants.umbrella_id IS NULL;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('organization "%s" does not exist', organization_id);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_limit_organization(uuid, integer, text, integer, bigint, text) IS
  'Limits all keys of an organization and its sub-entities together, as revdesk_limit_key does one. Needs UPDATE on revdesk.tenants, no context, and a server that preloads the library.';
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
  'Ends a membership: the user''s keys of scope user lose the tenant at once. revoke_keys also revokes the keys of the tenant, and of its sub-entities, that the user made or is responsible for.';
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
  key_id := revdesk.insert_key(key);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_create_key(text, text, uuid, uuid, text, text, timestamptz, cidr[], jsonb) IS
  'Makes a key and returns it, this once. Scope user needs a user, the others a tenant of their kind. For an admin key or a session at least as wide, or with INSERT on revdesk.api_keys. 22023 for bad values, 42501 for a key that the caller may not make.';

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
  made record;
BEGIN
  IF tied_to IS NULL THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'a token is tied to one tenant',
      HINT = 'Say which by tenant_id, or pick one in the session.';
  END IF;
  SELECT * INTO made FROM @extschema@.revdesk_create_key(
    name,
    CASE WHEN EXISTS (SELECT FROM revdesk.tenants
                      WHERE tenants.id = tied_to AND tenants.umbrella_id IS NULL)
         THEN 'organization' ELSE 'sub_entity' END,
    tied_to,
    user_id => @extschema@.revdesk_user_id(), access => access, expires_at => expires_at);
  key_id := made.key_id;
  token := made.token;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_issue_token(text, uuid, text, timestamptz) IS
  'Makes a named, long-lived key from a session or an admin key and returns it, this once. It is tied to one tenant: tenant_id, or the one that the caller acts for. As revdesk_create_key.';

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
-- protect.sql: one call makes a table safe.
--
-- All of it runs with the rights of the caller, who must own the table: the
-- rows that were there before are updated, and so the table's own triggers
-- fire.

ALTER TABLE revdesk.protected_tables ENABLE ROW LEVEL SECURITY;
CREATE POLICY owners ON revdesk.protected_tables
  USING (EXISTS (SELECT FROM pg_catalog.pg_class
                 WHERE pg_class.oid = relation
                   AND pg_catalog.pg_has_role(pg_class.relowner, 'USAGE')));
COMMENT ON POLICY owners ON revdesk.protected_tables IS
  'The owner of a table sees and changes its row.';

CREATE FUNCTION revdesk.set_umbrella() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'revdesk_set_umbrella';
COMMENT ON FUNCTION revdesk.set_umbrella() IS
  'Trigger: fills a table''s umbrella column from its tenant column, whatever the caller wrote. 23503 for a tenant that does not exist.';

CREATE FUNCTION revdesk.is_umbrella_of(umbrella_id uuid, tenant_id uuid) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'revdesk_is_umbrella_of';
COMMENT ON FUNCTION revdesk.is_umbrella_of(uuid, uuid) IS
  'Is this what the umbrella column of a row of the tenant must hold? Null for no tenant.';

CREATE FUNCTION revdesk.relation_tree(root regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH RECURSIVE tree (relation) AS (
    SELECT root::oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.relation
  )
  SELECT tree.relation::regclass FROM tree;
END;
COMMENT ON FUNCTION revdesk.relation_tree(regclass) IS
  'A table and all its partitions or inheritance children, at any depth.';

CREATE FUNCTION revdesk.check_relation(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  class pg_class;
  problem text;
BEGIN
  SELECT * INTO class FROM pg_class WHERE oid = target;
  problem := CASE
    WHEN NOT FOUND THEN 'it does not exist'
    WHEN class.relkind NOT IN ('r', 'p') THEN
      CASE class.relkind WHEN 'v' THEN 'it is a view' WHEN 'm' THEN 'it is a materialized view'
                         WHEN 'f' THEN 'it is a foreign table' ELSE 'it is not a table' END
    WHEN class.relpersistence = 't' THEN 'it is a temporary table'
    WHEN class.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                                'pg_toast'::regnamespace) THEN 'it is a system catalog'
    WHEN class.relnamespace = 'revdesk'::regnamespace THEN 'it belongs to revdesk_auth'
  END;
  IF problem IS NOT NULL THEN
    RAISE wrong_object_type USING
      MESSAGE = format('cannot protect "%s"', target),
      DETAIL = format('Reason: %s.', problem),
      HINT = 'Only ordinary and partitioned tables can be protected. A view of one is safe with security_invoker = true.';
  END IF;
  IF NOT pg_has_role(class.relowner, 'USAGE') THEN
    RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', target);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_relation(regclass) IS
  'Raises 42809 for what cannot be protected, 42501 for a table that the caller does not own.';

CREATE FUNCTION revdesk.check_column(target regclass, name name) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  attribute pg_attribute;
BEGIN
  IF name IS NULL THEN
    RETURN;
  END IF;
  SELECT * INTO attribute FROM pg_attribute
  WHERE attrelid = target AND attname = name AND attnum > 0 AND NOT attisdropped;
  IF NOT FOUND THEN
    RAISE undefined_column USING
      MESSAGE = format('column "%s" of table %s does not exist', name, target);
  END IF;
  IF attribute.atttypid <> 'uuid'::regtype THEN
    RAISE datatype_mismatch USING
      MESSAGE = format('column "%s" of table %s is of type %s, not uuid', name, target,
                       format_type(attribute.atttypid, attribute.atttypmod));
  END IF;
  IF attribute.attgenerated <> '' THEN
    RAISE wrong_object_type USING
      MESSAGE = format('column "%s" of table %s is generated', name, target);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_column(regclass, name) IS
  'Raises 42703, 42804 or 42809 unless the name is null or an ordinary uuid column of the table.';

-- TRUNCATE ignores row security, a trigger sees every tenant's new rows, and a
-- foreign key tells which hidden rows exist: no privilege for API roles.
CREATE FUNCTION revdesk.revoke_dangerous(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    WITH acls AS (
      SELECT relacl AS acl, relowner AS owner, NULL::name AS name FROM pg_class WHERE oid = target
      UNION ALL
      SELECT attacl, relowner, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE attrelid = target AND attacl IS NOT NULL
    )
    SELECT DISTINCT item.privilege_type AS privilege,
           CASE WHEN acls.name IS NULL THEN '' ELSE format('(%I)', acls.name) END AS columns,
           CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END AS grantee
    FROM acls, aclexplode(acls.acl) AS item
    LEFT JOIN pg_roles ON pg_roles.oid = item.grantee
    WHERE item.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES')
      AND item.grantee <> acls.owner
      AND NOT COALESCE(pg_roles.rolsuper OR pg_roles.rolbypassrls, false)
  LOOP
    EXECUTE format('REVOKE %s %s ON TABLE %s FROM %s CASCADE',
                   granted.privilege, granted.columns, target, granted.grantee);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.revoke_dangerous(regclass) IS
  'Revokes TRUNCATE, TRIGGER and REFERENCES on the table from every role but its owner and roles that bypass row security.';

CREATE FUNCTION revdesk.drop_policies(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  policy name;
BEGIN
  FOR policy IN
    SELECT polname FROM pg_policy
    WHERE polrelid = target
      AND polname IN ('revdesk_isolation', 'revdesk_isolation_select', 'revdesk_isolation_insert',
                      'revdesk_isolation_update', 'revdesk_isolation_delete', 'revdesk_permit')
  LOOP
    EXECUTE format('DROP POLICY %I ON %s', policy, target);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.drop_policies(regclass) IS
  'Drops the policies that revdesk_protect() made.';

CREATE FUNCTION revdesk.create_policies(target regclass, declared revdesk.protected_tables) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tenant_column text := COALESCE(quote_ident(declared.tenant_column), 'NULL::uuid');
  umbrella_column text := COALESCE(quote_ident(declared.umbrella_column), 'NULL::uuid');
  visible text := format('@extschema@.revdesk_scope_visible(%s, %s, %s)', tenant_column,
                         COALESCE(quote_ident(declared.owner_column), 'NULL::uuid'), umbrella_column);
  readable text := format('@extschema@.revdesk_scope_readable_up(%s, %s)', tenant_column, umbrella_column);
BEGIN
  IF declared.walk_up AND declared.owner_column IS NOT NULL THEN
    readable := format('%s OR %s', visible, readable);
  END IF;
  -- A restrictive policy holds whatever permissive ones are added later; the
  -- permissive one lets through what it leaves.  It has the same condition, so
  -- that DROP EXTENSION takes both; PostgreSQL sees that and evaluates one.
  EXECUTE format('CREATE POLICY revdesk_permit ON %s USING (%s) WITH CHECK (true)', target,
                 CASE WHEN declared.walk_up THEN readable ELSE visible END);
  IF NOT declared.walk_up THEN
    EXECUTE format('CREATE POLICY revdesk_isolation ON %s AS RESTRICTIVE USING (%s) WITH CHECK (%s)',
                   target, visible, visible);
    RETURN;
  END IF;

  EXECUTE format('CREATE POLICY revdesk_isolation_select ON %s AS RESTRICTIVE FOR SELECT USING (%s)',
                 target, readable);
  EXECUTE format('CREATE POLICY revdesk_isolation_insert ON %s AS RESTRICTIVE FOR INSERT WITH CHECK (%s)',
                 target, visible);
  EXECUTE format('CREATE POLICY revdesk_isolation_update ON %s AS RESTRICTIVE FOR UPDATE USING (%s) WITH CHECK (%s)',
                 target, visible, visible);
  EXECUTE format('CREATE POLICY revdesk_isolation_delete ON %s AS RESTRICTIVE FOR DELETE USING (%s)',
                 target, visible);
END
$$;
COMMENT ON FUNCTION revdesk.create_policies(regclass, revdesk.protected_tables) IS
  'Makes the policies of a table: one restrictive for all commands, or with walk-up one a command, and one permissive.';

-- The name sorts last, so the trigger has the last word among BEFORE triggers.
CREATE FUNCTION revdesk.create_umbrella_trigger(target regclass, declared revdesk.protected_tables) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  existing pg_trigger;
BEGIN
  SELECT * INTO existing FROM pg_trigger WHERE tgrelid = target AND tgname = 'zz_revdesk_umbrella';
  IF FOUND AND existing.tgparentid <> 0 THEN
    RETURN;                     -- a partition's, which comes and goes with its parent's
  END IF;
  IF FOUND THEN
    EXECUTE format('DROP TRIGGER zz_revdesk_umbrella ON %s', target);
  END IF;
  IF declared.umbrella_column IS NOT NULL THEN
    EXECUTE format(
      'CREATE TRIGGER zz_revdesk_umbrella BEFORE INSERT OR UPDATE ON %s '
      'FOR EACH ROW EXECUTE FUNCTION revdesk.set_umbrella(%L, %L)',
      target, declared.tenant_column, declared.umbrella_column);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zz_revdesk_umbrella', target);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.create_umbrella_trigger(regclass, revdesk.protected_tables) IS
  'Makes the trigger that keeps the umbrella column right, or drops it where there is no such column.';

-- The rows that were there before the trigger.  An update of them fires the
-- table's own triggers with the caller's rights, so it needs a caller who asked
-- for it: who merely attaches a partition, maybe of somebody else, gets an error.
CREATE FUNCTION revdesk.fill_umbrella_column(
  target regclass, declared revdesk.protected_tables, may_update boolean)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  wrong text := format('NOT revdesk.is_umbrella_of(%I, %I)', declared.umbrella_column, declared.tenant_column);
  found boolean;
BEGIN
  IF may_update THEN
    EXECUTE format('UPDATE ONLY %1$s SET %2$I = %2$I WHERE %3$s', target, declared.umbrella_column, wrong);
    RETURN;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %s)', target, wrong) INTO found;
  IF found THEN
    RAISE check_violation USING
      MESSAGE = format('column "%s" of table %s must hold the umbrella of each row''s tenant',
                       declared.umbrella_column, target),
      HINT = format('Call revdesk_protect() for %s, then revdesk_unprotect(), and try again.', target);
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.fill_umbrella_column(regclass, revdesk.protected_tables, boolean) IS
  'Makes the umbrella column right in all rows, or raises 23514 where it is not and may_update is false.';

CREATE FUNCTION revdesk.protect_relation(
  target regclass, declared revdesk.protected_tables, may_update boolean)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.check_relation(target);
  PERFORM revdesk.register_relation(target, declared);
  -- From here to the end of the transaction nobody else reads the table.
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', target);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', target);
  PERFORM revdesk.create_umbrella_trigger(target, declared);
  IF declared.umbrella_column IS NOT NULL THEN
    PERFORM revdesk.fill_umbrella_column(target, declared, may_update);
  END IF;
  PERFORM revdesk.drop_policies(target);
  PERFORM revdesk.create_policies(target, declared);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  PERFORM revdesk.revoke_dangerous(target);
END
$$;
COMMENT ON FUNCTION revdesk.protect_relation(regclass, revdesk.protected_tables, boolean) IS
  'What revdesk_protect() does to one table of a tree. may_update: rows with a wrong umbrella column may be updated.';

-- An owner counts for rows without a tenant only, so an index of those will do.
CREATE FUNCTION revdesk.create_index(target regclass, name name, condition text DEFAULT NULL) RETURNS name
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  created name;
BEGIN
  IF name IS NULL OR EXISTS (
    SELECT FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = target AND attname = name AND indisvalid AND amname = 'btree'
      AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) = format('(%s)', condition)))
  THEN
    RETURN NULL;
  END IF;
  -- PostgreSQL chooses the name; what is new afterwards is it.
  EXECUTE format('CREATE INDEX ON %s (%I) %s', target, name, 'WHERE ' || condition);
  SELECT relname INTO created FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
  WHERE indrelid = target ORDER BY indexrelid::oid DESC LIMIT 1;
  RETURN created;
END
$$;
COMMENT ON FUNCTION revdesk.create_index(regclass, name, text) IS
  'Makes an index led by the column, of the rows of a condition if one is given, and returns its name; null if there is one already.';

-- What revdesk_unprotect() has to restore is noted once, when the table is
-- protected first.
CREATE FUNCTION revdesk.register_relation(target regclass, declared revdesk.protected_tables) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.protected_tables AS registered
  SELECT target, declared.root, declared.tenant_column, declared.owner_column, declared.umbrella_column,
         declared.walk_up, relrowsecurity, relforcerowsecurity, '{}', now()
  FROM pg_class WHERE oid = target
  ON CONFLICT (relation) DO UPDATE
  SET root = excluded.root, tenant_column = excluded.tenant_column,
      owner_column = excluded.owner_column, umbrella_column = excluded.umbrella_column,
      walk_up = excluded.walk_up;
END;
COMMENT ON FUNCTION revdesk.register_relation(regclass, revdesk.protected_tables) IS
  'Notes in the registry that a table is protected, as declared.';

CREATE FUNCTION revdesk.check_declaration(target regclass, declared revdesk.protected_tables) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.check_column(target, declared.tenant_column);
  PERFORM revdesk.check_column(target, declared.owner_column);
  PERFORM revdesk.check_column(target, declared.umbrella_column);
  IF declared.tenant_column IS NULL
     AND (declared.owner_column IS NULL OR declared.umbrella_column IS NOT NULL OR declared.walk_up) THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'a table without a tenant column needs an owner column, and has neither an umbrella column nor walk-up';
  END IF;
  IF declared.tenant_column IN (declared.owner_column, declared.umbrella_column)
     OR declared.owner_column = declared.umbrella_column THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'the tenant, owner and umbrella columns must be different ones';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_declaration(regclass, revdesk.protected_tables) IS
  'Raises 22023, 42703, 42804 or 42809 for columns that a table cannot be protected by.';

CREATE FUNCTION @extschema@.revdesk_protect(
  target regclass, tenant_column name DEFAULT 'tenant_id', owner_column name DEFAULT NULL,
  umbrella_column name DEFAULT NULL, walk_up boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  declared revdesk.protected_tables;
  member regclass;
BEGIN
  PERFORM revdesk.check_relation(target);
  declared.root := target;
  declared.tenant_column := tenant_column;
  declared.owner_column := owner_column;
  declared.umbrella_column := umbrella_column;
  declared.walk_up := COALESCE(walk_up, false);
  PERFORM revdesk.check_declaration(target, declared);

  FOR member IN SELECT revdesk.relation_tree(target) LOOP
    PERFORM revdesk.protect_relation(member, declared, true);
  END LOOP;
  declared.created_indexes := array_remove(ARRAY[
    revdesk.create_index(target, tenant_column),
    revdesk.create_index(target, owner_column, quote_ident(tenant_column) || ' IS NULL'),
    revdesk.create_index(target, umbrella_column)], NULL);
  UPDATE revdesk.protected_tables AS registered
  SET created_indexes = registered.created_indexes || declared.created_indexes
  WHERE registered.relation = target;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_protect(regclass, name, name, name, boolean) IS
  'Makes a table safe, with its partitions and children, existing and future: row security enabled and forced, restrictive policies, dangerous privileges revoked, indexes, the umbrella column kept right. Columns are of type uuid; a null tenant_column means personal rows only. For the table''s owner. Calling it again changes the declaration. 42703, 42804, 42809 or 22023 for what cannot be protected.';

CREATE FUNCTION revdesk.drop_indexes(target regclass, names name[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  index regclass;
BEGIN
  FOR index IN
    SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = target AND relname = ANY (names)
  LOOP
    EXECUTE format('DROP INDEX %s', index);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.drop_indexes(regclass, name[]) IS
  'Drops indexes of a table by name; those that are gone already do not matter.';

CREATE FUNCTION revdesk.unprotect_relation(declared revdesk.protected_tables) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  declared.umbrella_column := NULL;
  PERFORM revdesk.create_umbrella_trigger(declared.relation, declared);
  PERFORM revdesk.drop_policies(declared.relation);
  IF NOT declared.had_row_security THEN
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', declared.relation);
  END IF;
  IF NOT declared.had_forced_row_security THEN
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', declared.relation);
  END IF;
  PERFORM revdesk.drop_indexes(declared.relation, declared.created_indexes);
END
$$;
COMMENT ON FUNCTION revdesk.unprotect_relation(revdesk.protected_tables) IS
  'What revdesk_unprotect() does to one table of a tree.';

CREATE FUNCTION @extschema@.revdesk_unprotect(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  declared revdesk.protected_tables;
BEGIN
  PERFORM revdesk.check_relation(target);
  IF NOT EXISTS (SELECT FROM revdesk.protected_tables AS registered
                 WHERE registered.relation = target AND registered.root = target) THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = format('table %s is not protected', target),
      HINT = 'A partition is protected and unprotected with its parent.';
  END IF;
  -- The root first: with it go the triggers that its partitions have from it.
  FOR declared IN
    SELECT * FROM revdesk.protected_tables AS registered WHERE registered.root = target
    ORDER BY registered.relation <> target
  LOOP
    PERFORM revdesk.unprotect_relation(declared);
  END LOOP;
  DELETE FROM revdesk.protected_tables AS registered WHERE registered.root = target;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_unprotect(regclass) IS
  'Undoes revdesk_protect(): its policies, trigger and indexes go, row security is as it was before. Privileges that were revoked stay so. For the table''s owner. 55000 for a table that is not protected.';

CREATE FUNCTION revdesk.changes_tree(command pg_ddl_command) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'revdesk_changes_tree';
COMMENT ON FUNCTION revdesk.changes_tree(pg_ddl_command) IS
  'Did the command give a table a partition or an inheritance child, or take one away?';

-- A partition that was detached has its policies, but not the trigger, which
-- was its parent's.  From now on it is protected by itself.
CREATE FUNCTION revdesk.protect_detached() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  detached revdesk.protected_tables;
BEGIN
  FOR detached IN
    SELECT * FROM revdesk.protected_tables AS registered
    WHERE registered.relation NOT IN (SELECT revdesk.relation_tree(registered.root))
  LOOP
    detached.root := detached.relation;
    PERFORM revdesk.protect_relation(detached.relation, detached, false);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.protect_detached() IS
  'Protects what has left the tree that it was protected with.';

-- A partition read by its own name has only its own policies, so one that
-- appears later needs them at once.  Only the commands that add one count: a
-- restore alters partitions, too, after the registry is filled and before it
-- makes the policies itself.
CREATE FUNCTION revdesk.protect_new_partitions() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  FOR found IN
    WITH RECURSIVE changed AS (
      SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands()
      WHERE classid = 'pg_class'::regclass AND object_type = 'table' AND revdesk.changes_tree(command)
    ), ancestors (objid, ancestor) AS (
      SELECT objid, objid FROM changed
      UNION
      SELECT ancestors.objid, inhparent
      FROM ancestors JOIN pg_inherits ON inhrelid = ancestors.ancestor
    )
    SELECT DISTINCT member AS relation, registered AS declared
    FROM ancestors
    JOIN revdesk.protected_tables AS registered
      ON registered.relation = ancestors.ancestor AND registered.root = registered.relation
    CROSS JOIN LATERAL revdesk.relation_tree(ancestors.objid) AS member
    WHERE NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = member AND polname = 'revdesk_permit')
  LOOP
    PERFORM revdesk.protect_relation(found.relation, found.declared, false);
  END LOOP;
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
             WHERE classid = 'pg_class'::regclass AND revdesk.changes_tree(command)) THEN
    PERFORM revdesk.protect_detached();
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.protect_new_partitions() IS
  'Event trigger: protects partitions and children of protected tables as they are created, attached or detached.';
CREATE EVENT TRIGGER revdesk_protect_new_partitions
  ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE')
  EXECUTE FUNCTION revdesk.protect_new_partitions();

CREATE FUNCTION revdesk.forget_dropped_tables() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  DELETE FROM revdesk.protected_tables
  USING pg_event_trigger_dropped_objects() AS dropped
  WHERE dropped.classid = 'pg_class'::regclass AND dropped.objsubid = 0
    AND protected_tables.relation = dropped.objid;
END
$$;
COMMENT ON FUNCTION revdesk.forget_dropped_tables() IS
  'Event trigger: a table that is dropped leaves the registry. SECURITY DEFINER, since its owner is known no more.';
CREATE EVENT TRIGGER revdesk_forget_dropped_tables
  ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED', 'DROP EXTENSION')
  EXECUTE FUNCTION revdesk.forget_dropped_tables();
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
-- privileges.sql: who may use what, and what a dump holds.  The last part: it
-- looks at all that the parts before have made.

-- ALTER DEFAULT PRIVILEGES may have granted anything on the new objects, and
-- PostgreSQL itself grants EXECUTE on functions to PUBLIC.  Take all back.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    WITH members AS (
      SELECT depend.classid, depend.objid
      FROM pg_depend AS depend
      JOIN pg_extension AS extension ON extension.oid = depend.refobjid
      WHERE depend.refclassid = 'pg_extension'::regclass AND depend.deptype = 'e'
        AND extension.extname = 'revdesk_auth'
    ), acls AS (
      SELECT format('TABLE %s', class.oid::regclass) AS object, class.relacl AS acl, class.relowner AS owner
      FROM members JOIN pg_class AS class ON class.oid = members.objid
      WHERE members.classid = 'pg_class'::regclass
      UNION ALL
      SELECT format('FUNCTION %s', proc.oid::regprocedure),
             COALESCE(proc.proacl, acldefault('f', proc.proowner)), proc.proowner
      FROM members JOIN pg_proc AS proc ON proc.oid = members.objid
      WHERE members.classid = 'pg_proc'::regclass
      UNION ALL
      SELECT format('SCHEMA %I', namespace.nspname), namespace.nspacl, namespace.nspowner
      FROM members JOIN pg_namespace AS namespace ON namespace.oid = members.objid
      WHERE members.classid = 'pg_namespace'::regclass
    )
    SELECT DISTINCT acls.object,
           CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END AS grantee
    FROM acls, aclexplode(acls.acl) AS item
    WHERE item.grantee <> acls.owner
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', granted.object, granted.grantee);
  END LOOP;
END
$$;

-- PUBLIC may authenticate and read its own context.
GRANT EXECUTE ON FUNCTION
  @extschema@.revdesk_authenticate(text), @extschema@.revdesk_authenticate(), @extschema@.revdesk_deauthenticate(), @extschema@.revdesk_context(),
  @extschema@.revdesk_key_id(), @extschema@.revdesk_tenant_id(), @extschema@.revdesk_umbrella_id(), @extschema@.revdesk_user_id(),
  @extschema@.revdesk_scope(), @extschema@.revdesk_access(), @extschema@.revdesk_environment(), @extschema@.revdesk_session_started()
TO PUBLIC;

-- Readers of the view revdesk_keys call it; see there.
GRANT EXECUTE ON FUNCTION revdesk.last_used(uuid) TO PUBLIC;

-- PUBLIC may run policies: what they call is called with the reader's rights.
GRANT EXECUTE ON FUNCTION
  @extschema@.revdesk_scope_visible(uuid, uuid, uuid), @extschema@.revdesk_scope_readable_up(uuid, uuid),
  @extschema@.revdesk_scope_sub_entity(), @extschema@.revdesk_scope_walk_up(),
  @extschema@.revdesk_scope_organization(), @extschema@.revdesk_scope_organization_tenants(),
  @extschema@.revdesk_scope_user(), @extschema@.revdesk_scope_user_tenants()
TO PUBLIC;

-- Owners of tables protect them with their own rights, so what
-- revdesk_protect() calls is open to all, and harmless: the registry holds
-- itself to the rows of tables that one owns.
GRANT USAGE ON SCHEMA revdesk TO PUBLIC;
GRANT EXECUTE ON FUNCTION
  revdesk.check_relation(regclass), revdesk.check_column(regclass, name),
  revdesk.relation_tree(regclass), revdesk.protect_relation(regclass, revdesk.protected_tables, boolean),
  revdesk.fill_umbrella_column(regclass, revdesk.protected_tables, boolean),
  revdesk.unprotect_relation(revdesk.protected_tables),
  revdesk.register_relation(regclass, revdesk.protected_tables),
  revdesk.check_declaration(regclass, revdesk.protected_tables), revdesk.drop_indexes(regclass, name[]),
  revdesk.protect_detached(),
  revdesk.create_umbrella_trigger(regclass, revdesk.protected_tables),
  revdesk.set_umbrella(), revdesk.is_umbrella_of(uuid, uuid),
  revdesk.create_policies(regclass, revdesk.protected_tables), revdesk.drop_policies(regclass),
  revdesk.revoke_dangerous(regclass), revdesk.create_index(regclass, name, text),
  revdesk.changes_tree(pg_ddl_command)
TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON revdesk.protected_tables TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('revdesk.tenants', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.users', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.memberships', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.api_keys', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.protected_tables', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.key_usage', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.audit_log_id_seq', '');
