-- authenticate.sql: from a key to a context, and reading the context.

CREATE FUNCTION @extschema@.revdesk_authenticate(token text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revdesk_authenticate';
COMMENT ON FUNCTION @extschema@.revdesk_authenticate(text) IS
  'Makes the transaction act for the key: "revdesk_" and 32 lower-case hexadecimal digits. 28000 for any key that is not valid now, 53400 for one over its limit, 25001 if the transaction acts for another key, 57P03 on a standby that lags, 0A000 after DECLARE CURSOR WITH HOLD, 55000 for a key with limits without preloading.';

CREATE FUNCTION @extschema@.revdesk_authenticate() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revdesk_authenticate_request';
COMMENT ON FUNCTION @extschema@.revdesk_authenticate() IS
  'For PostgREST''s db-pre-request: makes the transaction act for the key in request.headers, or without one for the session in request.jwt.claims. Errors have SQLSTATE PGRST: 401 credentials_required, 401 invalid_token, 400 invalid_request, 403 insufficient_scope, 429 rate_limited, 503 temporarily_unavailable.';

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
