-- protect.sql: one call makes a table safe.
--
-- All of it runs with the rights of the caller, who must own the table: the
-- rows that were there before are updated, and so the table's own triggers
-- fire.

ALTER TABLE revdesk.protected_tables ENABLE ROW LEVEL SECURITY;
CREATE POLICY owners ON revdesk.protected_tables
  USING (EXISTS (SELECT FROM pg_catalog.pg_class
                 WHERE pg_class.oid IN (relation, root)
                   AND pg_catalog.pg_has_role(pg_class.relowner, 'USAGE')))
  WITH CHECK (EXISTS (SELECT FROM pg_catalog.pg_class
                      WHERE pg_class.oid = relation
                        AND relkind IN ('r', 'p') AND relpersistence <> 't'
                        AND pg_catalog.pg_has_role(pg_class.relowner, 'USAGE'))
              AND EXISTS (SELECT FROM pg_catalog.pg_class
                          WHERE pg_class.oid = root
                            AND relkind IN ('r', 'p') AND relpersistence <> 't'
                            AND pg_catalog.pg_has_role(pg_class.relowner, 'USAGE')));
COMMENT ON POLICY owners ON revdesk.protected_tables IS
  'The owner of a table sees and changes its row, whose root must be theirs, too; the owner of the root sees and deletes it.';

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
  -- Whoever owns a table can write anything about it into the registry, and
  -- the event trigger works for others: a cast of a column's type would run
  -- that owner's code with their rights.
  PERFORM revdesk.check_declaration(target, declared);
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

  -- The whole tree at once, and only then is it looked at: what others have
  -- committed while this waited is in it.  A snapshot of the transaction's own
  -- would not show that.
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    RAISE active_sql_transaction USING
      MESSAGE = format('cannot protect %s in a transaction of isolation level %s', target,
                       upper(current_setting('transaction_isolation'))),
      HINT = 'Partitions that others have committed since it began would stay open. Use READ COMMITTED.';
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', target);
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
  'Makes a table safe, with its partitions and children, existing and future: row security enabled and forced, restrictive policies, dangerous privileges revoked, indexes, the umbrella column kept right. Columns are of type uuid; a null tenant_column means personal rows only. For the table''s owner. Calling it again changes the declaration. 42703, 42804, 42809 or 22023 for what cannot be protected, 25001 in REPEATABLE READ and SERIALIZABLE transactions.';

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

CREATE FUNCTION revdesk.changed_tables() RETURNS SETOF oid
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT DISTINCT objid FROM pg_event_trigger_ddl_commands()
  WHERE classid = 'pg_class'::regclass AND revdesk.changes_tree(command);
END;
COMMENT ON FUNCTION revdesk.changed_tables() IS
  'The tables that the event trigger''s command made a partition or child, or that it gave one or took one from.';

CREATE FUNCTION revdesk.has_permit(target oid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'revdesk_has_permit';
COMMENT ON FUNCTION revdesk.has_permit(oid) IS
  'Has the table the permissive policy of revdesk_protect()? As it is now, whatever the transaction''s snapshot shows.';

CREATE FUNCTION revdesk.registered_since(root oid) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'revdesk_registered_since';
COMMENT ON FUNCTION revdesk.registered_since(oid) IS
  'Has the registry rows of this root that the transaction''s snapshot does not show?';

-- The registry tells how a new partition is to be protected, and which one has
-- left, so the command is refused where its rows are not to be seen as they are:
-- of a table that is not the role's own, or changed after the snapshot.  A
-- restore makes partitions before any policy.
CREATE FUNCTION revdesk.check_registered() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  isolated boolean := current_setting('transaction_isolation') IN ('repeatable read', 'serializable');
  target regclass;
  missing boolean;
BEGIN
  WITH RECURSIVE tree (relation) AS (
    SELECT revdesk.changed_tables()
    UNION
    SELECT inhparent FROM tree JOIN pg_inherits ON inhrelid = tree.relation
  )
  SELECT tree.relation, registered.relation IS NULL INTO target, missing
  FROM tree LEFT JOIN revdesk.protected_tables AS registered ON registered.relation = tree.relation
  WHERE CASE WHEN registered.relation IS NULL THEN revdesk.has_permit(tree.relation)
             ELSE isolated AND revdesk.registered_since(registered.root) END
  ORDER BY 2 DESC, tree.relation::oid
  LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  ELSIF missing AND row_security_active('revdesk.protected_tables')
        AND EXISTS (SELECT FROM pg_class WHERE oid = target AND NOT pg_has_role(relowner, 'USAGE')) THEN
    RAISE insufficient_privilege USING MESSAGE = format('must be owner of protected table %s', target);
  ELSIF isolated THEN
    RAISE serialization_failure USING
      MESSAGE = format('the protection of table %s has changed since this transaction began', target),
      HINT = 'Try again in a new transaction.';
  END IF;
  RAISE object_not_in_prerequisite_state USING
    MESSAGE = format('table %s has policies of revdesk_protect(), but is not in revdesk.protected_tables', target),
    HINT = 'Call revdesk_protect() again, for it or for the table that it is a partition of.';
END
$$;
COMMENT ON FUNCTION revdesk.check_registered() IS
  'Raises 42501, 40001 or 55000 if the event trigger''s command changed a protected tree of which the role or its snapshot does not see in the registry all that is above, as it is now.';

-- A partition that was detached has its policies, but not the trigger, which
-- was its parent's.  From now on it is protected by itself.  The command was on
-- the tree that it left or on the table that left; other rows of the registry,
-- whoever wrote them, are none of the command's business.  The table's own rows
-- are right, and are not read: a query would run code of its owner.  Who
-- detaches a table of somebody else cannot give it the trigger, and is refused.
CREATE FUNCTION revdesk.protect_detached() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  detached revdesk.protected_tables;
BEGIN
  FOR detached IN
    SELECT registered.*
    FROM revdesk.protected_tables AS registered JOIN pg_class ON pg_class.oid = registered.relation
    WHERE pg_class.relkind IN ('r', 'p')
      AND registered.relation NOT IN (SELECT revdesk.relation_tree(registered.root))
      AND EXISTS (
        SELECT FROM revdesk.changed_tables() AS changed (objid)
        WHERE objid IN (SELECT revdesk.relation_tree(registered.root))
           OR registered.relation IN (SELECT revdesk.relation_tree(objid)))
  LOOP
    PERFORM revdesk.check_relation(detached.relation);
    UPDATE revdesk.protected_tables AS registered SET root = registered.relation
    WHERE registered.relation = detached.relation;
    PERFORM revdesk.create_umbrella_trigger(detached.relation, detached);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.protect_detached() IS
  'Protects what has left, by the command of the event trigger, the tree that it was protected with.';

-- A partition read by its own name has only its own policies, so one that
-- appears later needs them at once.  Only the commands that add one count: a
-- restore alters partitions, too, after the registry is filled and before it
-- makes the policies itself.  A foreign table cannot be protected, and is refused.
CREATE FUNCTION revdesk.protect_new_partitions() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
BEGIN
  FOR found IN
    WITH RECURSIVE ancestors (objid, ancestor) AS (
      SELECT objid, objid FROM revdesk.changed_tables() AS changed (objid)
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
  IF EXISTS (SELECT FROM revdesk.changed_tables()) THEN
    PERFORM revdesk.protect_detached();
    PERFORM revdesk.check_registered();
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.protect_new_partitions() IS
  'Event trigger: protects partitions and children of protected tables as they are created, attached or detached.';
CREATE EVENT TRIGGER revdesk_protect_new_partitions
  ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE')
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
  ON sql_drop EXECUTE FUNCTION revdesk.forget_dropped_tables();
