-- rehearse.sql: acting as somebody else to see what would happen, and leaving
-- no trace of it.
--
-- For revdesk_selftest() and revdesk_explain_visibility(), within a block that
-- always ends with an error, and so a rollback.

CREATE FUNCTION revdesk.impersonate(key_id uuid) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revdesk_impersonate';
COMMENT ON FUNCTION revdesk.impersonate(uuid) IS
  'Makes the transaction act for a key, whatever its state, unchecked and uncounted; for nobody with null. For superusers, in a subtransaction.';

CREATE FUNCTION revdesk.run_as(
  role oid, statement text, past_policies boolean DEFAULT false, OUT rows bigint, OUT value text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'revdesk_run_as';
COMMENT ON FUNCTION revdesk.run_as(oid, text, boolean) IS
  'Runs a statement as a role, which it cannot leave; past_policies lets a table''s owner past forced row security. The number of rows, and the first column of the first. For superusers, in a subtransaction.';

CREATE FUNCTION revdesk.owner_of(target regclass) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT relowner FROM pg_class WHERE oid = target;
END;
COMMENT ON FUNCTION revdesk.owner_of(regclass) IS
  'The role that owns a relation.';

-- Roles that row security is there for.  The owner is none of them: it may do
-- anything to the table anyway.  Nor are predefined ones, as whom nobody works:
-- an owner may grant to any role, and has code run by whoever acts as it.
CREATE FUNCTION revdesk.roles_of(target regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH acls (acl, owner) AS (
    SELECT relacl, relowner FROM pg_class WHERE oid = target
    UNION ALL
    SELECT attacl, relowner FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attrelid = target AND NOT attisdropped
  )
  SELECT DISTINCT item.grantee
  FROM acls, aclexplode(acls.acl) AS item LEFT JOIN pg_roles ON pg_roles.oid = item.grantee
  WHERE item.grantee <> acls.owner
    AND NOT COALESCE(rolsuper OR rolbypassrls OR rolname ~ '^pg_', false);
END;
COMMENT ON FUNCTION revdesk.roles_of(regclass) IS
  'Roles that were granted something on a table, 0 for PUBLIC; without its owner, those that row security does not hold, and predefined ones.';

CREATE FUNCTION revdesk.reaches_server(role oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT role <> 0 AND EXISTS (
    SELECT FROM pg_roles
    WHERE (rolsuper OR rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files'))
      AND pg_has_role(role, pg_roles.oid, 'MEMBER'));
END;
COMMENT ON FUNCTION revdesk.reaches_server(oid) IS
  'Can code that runs as the role get at files and programs of the server?';
