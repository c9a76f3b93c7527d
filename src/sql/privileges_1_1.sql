-- privileges_1_1.sql: who may use what came with 1.1, and what a dump holds of it.

-- PUBLIC may run policies, and what the planner makes of them.
GRANT EXECUTE ON FUNCTION
  @extschema@.revdesk_scope_in_organization(uuid), @extschema@.revdesk_scope_in_user_tenants(uuid),
  @extschema@.revdesk_scope_tenant(integer, integer, uuid)
TO PUBLIC;

-- A trigger calls it, for whoever may delete.
GRANT EXECUTE ON FUNCTION revdesk.is_usage_worker() TO PUBLIC;

-- Event triggers call them, for whoever makes partitions.
GRANT EXECUTE ON FUNCTION revdesk.changed_tables(), revdesk.has_permit(oid), revdesk.registered_since(oid), revdesk.check_registered() TO PUBLIC;

-- A restore that meets one name that is not there loses all rows: what was
-- dropped, or is of one session, and what a restore makes after the rows.
SELECT pg_catalog.pg_extension_config_dump('revdesk.protected_tables',
  'WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relkind IN (''r'', ''p'') AND relpersistence <> ''t'')'
  ' AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = root AND relkind IN (''r'', ''p'') AND relpersistence <> ''t'')');
SELECT pg_catalog.pg_extension_config_dump('revdesk.exempt_tables',
  'WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = relation AND relpersistence <> ''t'')');
