-- revdesk_auth: from 1.0 to 1.1, which the Makefile completes with what is new

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION revdesk_auth UPDATE" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- What is there before keeps its privileges; see revoke.sql.
SELECT pg_catalog.set_config('revdesk_auth.members_before', pg_catalog.string_agg(pg_catalog.format('%s:%s', depend.classid, depend.objid), ' '), true)
FROM pg_catalog.pg_depend AS depend
JOIN pg_catalog.pg_extension AS extension ON extension.oid = depend.refobjid
WHERE depend.refclassid = 'pg_catalog.pg_extension'::regclass AND depend.deptype = 'e' AND extension.extname = 'revdesk_auth';

-- Usage: writes are counted.
ALTER TABLE revdesk.key_usage ADD COLUMN writes bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN revdesk.key_usage.writes IS 'Transactions among the requests that wrote.';
DROP FUNCTION revdesk.add_usage(uuid, bigint, timestamptz, text, bigint[]);
DROP FUNCTION revdesk.audit_denials(uuid, bigint[]);
-- replace revdesk.audit_denials
-- replace revdesk.add_counts
-- replace revdesk.add_usage
-- replace revdesk.usage_of
-- (and what knows the columns of its rows)
-- replace @extschema@.revdesk_usage
-- replace @extschema@.revdesk_account

-- Audit log: its retention, and late expiries.
-- replace revdesk.is_usage_worker
-- replace revdesk.refuse_change
CREATE INDEX audit_log_logged_at_idx ON revdesk.audit_log (logged_at);
CREATE INDEX audit_log_expired_idx ON revdesk.audit_log (logged_at) WHERE action = 'key.expired';
DROP FUNCTION revdesk.audit_expiries();
-- replace revdesk.audit_expiries
-- replace revdesk.expire_audit
-- And what it did not tell: dropped tables by their names, and TRUNCATE.
-- replace revdesk.name_dropped
-- replace revdesk.audit
-- replace revdesk.refuse_truncate
DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['tenants', 'users', 'memberships', 'api_keys', 'protected_tables'] LOOP
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON revdesk.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION revdesk.refuse_truncate()', relation);
  END LOOP;
END
$$;
-- replace @extschema@.revdesk_key_risks

-- Registry of protected tables: what others write there is not believed.
ALTER POLICY owners ON revdesk.protected_tables
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
-- replace revdesk.protect_relation
-- replace @extschema@.revdesk_protect
-- replace revdesk.changed_tables
-- replace revdesk.protect_detached

-- What the registry's reader cannot see is refused.
-- replace revdesk.has_permit
-- replace revdesk.registered_since
-- replace revdesk.check_registered
-- replace revdesk.protect_new_partitions

-- CREATE SCHEMA can create partitions, too, and foreign tables are refused.
DROP EVENT TRIGGER revdesk_protect_new_partitions;
CREATE EVENT TRIGGER revdesk_protect_new_partitions
  ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA', 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE')
  EXECUTE FUNCTION revdesk.protect_new_partitions();

-- A table can be dropped with others of every kind.
DROP EVENT TRIGGER revdesk_forget_dropped_tables;
CREATE EVENT TRIGGER revdesk_forget_dropped_tables
  ON sql_drop EXECUTE FUNCTION revdesk.forget_dropped_tables();

-- Keys: what they may make, and for how long.
-- replace @extschema@.revdesk_authenticate
-- replace revdesk.context_holds
-- replace revdesk.require_context_holds
-- replace revdesk.require_admin
-- replace revdesk.authorize_session
-- replace revdesk.authorize_key
-- replace revdesk.lock_key
-- replace @extschema@.revdesk_create_key
-- replace @extschema@.revdesk_issue_token
-- replace @extschema@.revdesk_remove_member
