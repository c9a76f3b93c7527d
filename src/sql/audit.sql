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
CREATE INDEX audit_log_logged_at_idx ON revdesk.audit_log (logged_at);
CREATE INDEX audit_log_expired_idx ON revdesk.audit_log (logged_at) WHERE action = 'key.expired';
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

CREATE FUNCTION revdesk.is_usage_worker() RETURNS boolean
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_is_usage_worker';
COMMENT ON FUNCTION revdesk.is_usage_worker() IS
  'Is this the background worker, which alone may delete what revdesk.audit_retention has outlived?';

CREATE FUNCTION revdesk.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF TG_OP = 'DELETE' AND revdesk.is_usage_worker() THEN
    RETURN OLD;
  END IF;
  RAISE insufficient_privilege USING MESSAGE = 'rows of the audit log can only be added';
END
$$;
COMMENT ON FUNCTION revdesk.refuse_change() IS
  'Trigger: 42501 for everybody, except that the background worker deletes old rows.';
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

-- When the row of a dropped table goes, the number alone is left of the name;
-- PostgreSQL has it while the event trigger runs that deletes the row.
CREATE FUNCTION revdesk.name_dropped(deleted jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF deleted->>'relation' IS NULL OR deleted->>'relation' !~ '^[0-9]+$' THEN
    RETURN deleted;
  END IF;
  BEGIN
    RETURN deleted || (
      SELECT COALESCE(jsonb_object_agg(columns.name, dropped.object_identity), '{}')
      FROM (VALUES ('relation'), ('root')) AS columns (name)
      JOIN pg_event_trigger_dropped_objects() AS dropped
        ON dropped.classid = 'pg_class'::regclass AND dropped.objsubid = 0
       AND dropped.objid::text = deleted->>columns.name);
  EXCEPTION WHEN event_trigger_protocol_violated THEN
    RETURN deleted;             -- deleted by hand, long after
  END;
END
$$;
COMMENT ON FUNCTION revdesk.name_dropped(jsonb) IS
  'A deleted row of the registry with the names that its tables had, if they are being dropped.';

-- SECURITY DEFINER: whoever may change the tables must not be able to write the
-- log by hand.
CREATE FUNCTION revdesk.audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  old_row jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) WHEN 'DELETE' THEN revdesk.name_dropped(to_jsonb(OLD)) END;
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

CREATE FUNCTION revdesk.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE insufficient_privilege USING
    MESSAGE = format('TRUNCATE of %s is refused, since the audit log would not show it', TG_RELID::regclass),
    HINT = 'Use DELETE.';
END
$$;
COMMENT ON FUNCTION revdesk.refuse_truncate() IS
  'Trigger: 42501 for everybody.';

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['tenants', 'users', 'memberships', 'api_keys', 'protected_tables'] LOOP
    EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON revdesk.%I '
                   'FOR EACH ROW EXECUTE FUNCTION revdesk.audit()', relation);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON revdesk.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION revdesk.refuse_truncate()', relation);
  END LOOP;
END
$$;

CREATE FUNCTION revdesk.audit_denials(key_ids uuid[], counts bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.audit_log (action, target, tenant_id, user_id, by_role, address, details)
  SELECT CASE WHEN keys.id IS NULL THEN 'unknown.rejected' ELSE 'key.rejected' END,
         used.key_id, keys.tenant_id, keys.user_id, 'background worker', NULL,
         (SELECT jsonb_object_agg(reason.name, counts[n][2 + reason.number])
          FROM unnest(ARRAY['unknown', 'revoked', 'expired', 'environment', 'network', 'user', 'tenant', 'limit'])
               WITH ORDINALITY AS reason (name, number)
          WHERE counts[n][2 + reason.number] > 0)
  FROM unnest(key_ids) WITH ORDINALITY AS used (key_id, n)
       LEFT JOIN revdesk.api_keys AS keys ON keys.id = used.key_id
  WHERE 0 < ANY (counts[n:n][3:]);
END;
COMMENT ON FUNCTION revdesk.audit_denials(uuid[], bigint[]) IS
  'Logs how often keys were rejected since the last time, by reason. counts: as of revdesk.add_usage(). For the background worker.';

-- From a day before the last expiry that is logged on, so that none is missed
-- however long nothing was written.
CREATE FUNCTION revdesk.audit_expiries(retention_minutes integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.audit_log (logged_at, action, target, tenant_id, user_id, by_role, address, details)
  SELECT keys.expires_at, 'key.expired', keys.id, keys.tenant_id, keys.user_id, 'background worker', NULL,
         jsonb_build_object('name', keys.name)
  FROM revdesk.api_keys AS keys
  WHERE keys.expires_at <= now() AND keys.revoked_at IS NULL
    AND keys.expires_at > GREATEST(
      COALESCE((SELECT max(log.logged_at) FROM revdesk.audit_log AS log WHERE log.action = 'key.expired'), '-infinity')
        - interval '1 day',
      CASE WHEN retention_minutes > 0 THEN now() - make_interval(mins => retention_minutes) END)
    AND NOT EXISTS (SELECT FROM revdesk.audit_log AS log
                    WHERE log.target = keys.id::text AND log.action = 'key.expired'
                      AND log.logged_at = keys.expires_at);
END;
COMMENT ON FUNCTION revdesk.audit_expiries(integer) IS
  'Logs the keys that have expired. For the background worker.';

CREATE FUNCTION revdesk.expire_audit(minutes integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM revdesk.audit_log
  WHERE minutes > 0 AND audit_log.logged_at < now() - make_interval(mins => minutes);
END;
COMMENT ON FUNCTION revdesk.expire_audit(integer) IS
  'Deletes rows older than so many minutes; none for 0. For the background worker.';

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
     'wider than used', 'access admin, and managed nothing'),
    (live.access = 'write' AND live.created_at < now() - unused_for AND live.last_used_at >= now() - unused_for
     AND NOT EXISTS (SELECT FROM revdesk.key_usage AS usage
                     WHERE usage.key_id = live.id AND usage.writes > 0 AND usage.bucket >= now() - unused_for),
     'wider than used', format('access write, and wrote nothing in %s', unused_for))
  ) AS found (applies, risk, detail)
  WHERE found.applies
  ORDER BY live.name, live.id, found.risk;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_key_risks(interval) IS
  'Live keys that want a look: never used, not used lately, expires soon, no expiry, used after rotation, wider than used. Those that the context may manage, or without one, with SELECT on revdesk.api_keys, all. What is not counted, since the server does not preload the library, counts as not used.';
