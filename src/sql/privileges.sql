-- privileges.sql: who may use what of 1.0, and what a dump holds of it.  What
-- has come since is in privileges_1_1.sql, since an upgrade must not undo what
-- administrators have granted and revoked.

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
SELECT pg_catalog.pg_extension_config_dump('revdesk.key_usage', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('revdesk.audit_log_id_seq', '');
