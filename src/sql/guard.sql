-- guard.sql: no transaction leaves an unprotected table where API roles can
-- reach it, if revdesk.unprotected_tables says so.
--
-- A table cannot be protected before it is there, so the command that makes
-- it is not refused: the table is noted, and looked at again at COMMIT, by a
-- deferred constraint trigger.  PostgreSQL's own queue of those keeps step with
-- savepoints and PREPARE TRANSACTION, and nobody but a superuser can empty it.

CREATE TABLE revdesk.exempt_tables (
  relation regclass PRIMARY KEY,
  reason text NOT NULL CHECK (reason ~ '[^[:space:]]'),
  exempted_by name NOT NULL DEFAULT session_user,
  exempted_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE revdesk.exempt_tables IS
  'Tables and views that are left unprotected on purpose, with the reason.';

-- Empty outside of transactions.  UNLOGGED: nothing of it is for replicas.
CREATE UNLOGGED TABLE revdesk.noted_tables (relation oid NOT NULL);
COMMENT ON TABLE revdesk.noted_tables IS
  'Tables that the running transaction has to protect before it commits.';

CREATE FUNCTION @extschema@.revdesk_exempt(target regclass, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF target IS NULL OR reason IS NULL OR reason !~ '[^[:space:]]' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'an exemption needs a table and a reason';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_class WHERE oid = target AND relkind IN ('r', 'p', 'f', 'v', 'm')) THEN
    RAISE wrong_object_type USING MESSAGE = format('"%s" is not a table or view', target);
  END IF;
  INSERT INTO revdesk.exempt_tables AS exempt (relation, reason) VALUES (target, revdesk_exempt.reason)
  ON CONFLICT (relation) DO UPDATE
  SET reason = excluded.reason, exempted_by = excluded.exempted_by, exempted_at = excluded.exempted_at;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_exempt(regclass, text) IS
  'Leaves a table, foreign table or view unprotected on purpose: the guard lets it be, and the lint tells the reason. Partitions go with their parent. For a superuser, or with EXECUTE and with SELECT, INSERT and UPDATE on revdesk.exempt_tables.';

CREATE FUNCTION @extschema@.revdesk_unexempt(target regclass) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH gone AS (DELETE FROM revdesk.exempt_tables AS exempt WHERE exempt.relation = target RETURNING 1)
  SELECT EXISTS (SELECT FROM gone);
END;
COMMENT ON FUNCTION @extschema@.revdesk_unexempt(regclass) IS
  'Undoes revdesk_exempt(): true if there was an exemption. For a superuser, or with EXECUTE and with SELECT and DELETE on revdesk.exempt_tables.';

CREATE FUNCTION revdesk.is_exempt(target oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM revdesk.exempt_tables AS exempt
                 WHERE exempt.relation = target
                    OR exempt.relation IN (SELECT ancestor FROM pg_partition_ancestors(target) AS ancestor));
END;
COMMENT ON FUNCTION revdesk.is_exempt(oid) IS
  'Is the table, or one that it is a partition of, unprotected on purpose?';

CREATE FUNCTION revdesk.is_of_extension(class oid, object oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = object AND deptype = 'e');
END;
COMMENT ON FUNCTION revdesk.is_of_extension(oid, oid) IS
  'Is the object a member of an extension?';

CREATE FUNCTION revdesk.bypasses_row_security(role oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE oid = role;
END;
COMMENT ON FUNCTION revdesk.bypasses_row_security(oid) IS
  'Is the role a superuser, or has it BYPASSRLS?';

CREATE FUNCTION revdesk.exposure(target oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE
    WHEN relkind = 'f' THEN 'A foreign table has no row security.'
    WHEN relkind = 'm' THEN 'A materialized view has no row security.'
    WHEN relkind = 'v' THEN
      CASE WHEN (SELECT NOT security_invoker AND revdesk.bypasses_row_security(relowner)
                 FROM revdesk.tenant_readers WHERE relation = target)
        THEN 'The view reads protected tables as its owner, whom row security does not hold.' END
    WHEN NOT relrowsecurity THEN 'Row security is not enabled.'
    WHEN NOT relforcerowsecurity THEN 'Row security is not forced.'
    WHEN EXISTS (SELECT FROM revdesk.open_policies WHERE relation = target)
      THEN 'A policy lets rows of every tenant through.'
  END
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE pg_class.oid = target AND relkind IN ('r', 'p', 'f', 'v', 'm') AND relpersistence <> 't'
    AND nspname = ANY (revdesk.setting_list('exposed_schemas'))
    AND NOT revdesk.is_of_extension('pg_class'::regclass, target)
    AND NOT revdesk.is_exempt(target);
END;
COMMENT ON FUNCTION revdesk.exposure(oid) IS
  'Why a table or view in an exposed schema counts as unprotected; null if it does not.';

-- A superuser's pg_restore makes tables first and protects them later.
CREATE FUNCTION revdesk.guard_is_on() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.setting('unprotected_tables') <> 'off'
     AND NOT (current_setting('check_function_bodies') = 'off' AND current_setting('row_security') = 'off'
              AND (SELECT rolsuper FROM pg_roles WHERE rolname = session_user));
END;
COMMENT ON FUNCTION revdesk.guard_is_on() IS
  'Are unprotected tables to be noted?';

CREATE FUNCTION revdesk.check_noted_table() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  mode text := revdesk.setting('unprotected_tables');
  problem text;
  message text := format('table "%s" is not protected', NEW.relation::regclass);
  hint text := format('Call revdesk_protect() in the same transaction, or have an administrator call revdesk_exempt(%L, ''reason'').',
                      NEW.relation::regclass);
BEGIN
  DELETE FROM revdesk.noted_tables WHERE relation = NEW.relation;
  IF NOT FOUND THEN
    RETURN NULL;                -- noted twice, and looked at already
  END IF;
  problem := revdesk.exposure(NEW.relation);
  IF problem IS NOT NULL AND mode = 'enforce' THEN
    RAISE object_not_in_prerequisite_state USING MESSAGE = message, DETAIL = problem, HINT = hint;
  ELSIF problem IS NOT NULL AND mode = 'warn' THEN
    RAISE WARNING USING MESSAGE = message, DETAIL = problem, HINT = hint;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.check_noted_table() IS
  'Trigger: at COMMIT, 55000 or a warning for a table that is unprotected still. SECURITY DEFINER, since it runs as whoever commits.';
CREATE CONSTRAINT TRIGGER check_noted_table
  AFTER INSERT ON revdesk.noted_tables
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION revdesk.check_noted_table();

CREATE FUNCTION revdesk.note_unprotected() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT revdesk.guard_is_on() THEN
    RETURN;
  END IF;
  INSERT INTO revdesk.noted_tables
  SELECT touched.relation
  FROM (
    SELECT objid AS relation FROM pg_event_trigger_ddl_commands()
    WHERE classid = 'pg_class'::regclass AND NOT in_extension
      AND (command_tag ~ '^(CREATE|ALTER|IMPORT) ' OR command_tag = 'SELECT INTO')
    UNION
    SELECT polrelid FROM pg_event_trigger_ddl_commands() JOIN pg_policy ON pg_policy.oid = objid
    WHERE classid = 'pg_policy'::regclass
    UNION                       -- a schema that gets the name of an exposed one
    SELECT pg_class.oid FROM pg_event_trigger_ddl_commands() JOIN pg_class ON relnamespace = objid
    WHERE classid = 'pg_namespace'::regclass
  ) AS touched
  WHERE revdesk.exposure(touched.relation) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION revdesk.note_unprotected() IS
  'Event trigger: notes what a command left unprotected in an exposed schema. SECURITY DEFINER, to write the note.';
CREATE EVENT TRIGGER revdesk_note_unprotected
  ON ddl_command_end EXECUTE FUNCTION revdesk.note_unprotected();

CREATE FUNCTION revdesk.note_dropped() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  DELETE FROM revdesk.exempt_tables USING pg_event_trigger_dropped_objects() AS dropped
  WHERE dropped.classid = 'pg_class'::regclass AND dropped.objsubid = 0 AND exempt_tables.relation = dropped.objid;
  IF NOT revdesk.guard_is_on() THEN
    RETURN;
  END IF;
  INSERT INTO revdesk.noted_tables
  SELECT DISTINCT class.oid
  FROM pg_event_trigger_dropped_objects() AS dropped
  JOIN pg_namespace AS namespace ON namespace.nspname = dropped.address_names[1]
  JOIN pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = dropped.address_names[2]
  WHERE dropped.classid = 'pg_policy'::regclass AND revdesk.exposure(class.oid) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION revdesk.note_dropped() IS
  'Event trigger: notes tables that lost a policy, and forgets exemptions of what is dropped. SECURITY DEFINER, to write the note.';
CREATE EVENT TRIGGER revdesk_note_dropped
  ON sql_drop EXECUTE FUNCTION revdesk.note_dropped();
