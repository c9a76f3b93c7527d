-- lint.sql: every way, as far as the catalogs and settings tell, in which this
-- database lets rows or keys out.

CREATE FUNCTION @extschema@.revdesk_lint_checks(OUT code text, OUT severity text, OUT what text, OUT why text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 80 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
VALUES
  -- tables and policies
  ('TENANT_COLUMN_WITHOUT_POLICY', 'critical', 'table with a tenant column and no policy of revdesk_auth', 'Whoever may read it reads the rows of all tenants.'),
  ('RLS_DISABLED', 'critical', 'row security is disabled on a protected table', 'Policies hold nobody while it is.'),
  ('NO_FORCE', 'high', 'row security is not forced on a protected table', 'The owner, and views and SECURITY DEFINER functions of the owner, pass it.'),
  ('PERMISSIVE_SIBLING', 'critical', 'permissive policy that lets rows of every tenant through', 'Permissive policies add up; only a restrictive one holds them.'),
  ('CHECK_NOT_ISOLATED', 'critical', 'policy that lets new rows of any tenant in', 'A caller could write into other tenants, or move rows there.'),
  ('POLICY_DRIFT', 'critical', 'policies of revdesk_protect() are gone or changed', 'What the registry promises is not what holds.'),
  ('POLICY_ADDED', 'low', 'permissive policy beside those of revdesk_protect()', 'It waits for the restrictive one to go.'),
  ('PREDICATE_WRAPPED', 'medium', 'policy whose predicate the planner cannot replace', 'Every query reads the whole table.'),
  ('CTX_BY_CURRENT_SETTING', 'medium', 'policy that reads the context by current_setting()', 'Before the library is loaded, the caller may have set that name.'),
  ('PARTITION_NO_RLS', 'critical', 'partition or child without row security', 'Read by its own name it ignores its parent''s policies.'),
  ('UMBRELLA_TRIGGER', 'high', 'trigger of the umbrella column is gone, disabled or changed', 'Organizations see the rows whose umbrella column says so, whatever it says.'),
  ('REGISTRY_STALE', 'low', 'the registry names a table that does not exist', 'Another table may get its number.'),
  ('REGISTRY_COLUMN', 'high', 'a column that a table is protected by is gone', 'Policies went with it, or the trigger fails.'),
  ('TENANT_NULLABLE', 'medium', 'tenant column that may be null', 'Such rows are nobody''s, and composite foreign keys do not check them.'),
  ('TENANT_NOT_INDEXED', 'medium', 'no valid index led by a column of the predicate', 'Every query reads the whole table.'),
  ('RULE_ON_TABLE', 'medium', 'rule on a protected table', 'It acts with the owner''s rights.'),
  ('FOREIGN_TRIGGER_OWNER', 'medium', 'trigger function of another owner on a protected table', 'It receives every tenant''s new rows.'),
  ('NOTIFY_IN_TRIGGER', 'low', 'trigger that notifies', 'Every session may listen.'),
  ('UNPROTECTED_TABLE', 'high', 'unprotected table or view in an exposed schema', 'revdesk.exposed_schemas says that API roles can reach it.'),
  ('TABLE_EXEMPT', 'low', 'table that is unprotected on purpose', 'So that somebody looks at the reason again.'),
  ('FK_WITHOUT_TENANT', 'high', 'foreign key without the tenant column', 'It sees hidden rows: tells that they exist, links to them, and deletes through ON DELETE.'),
  ('UNIQUE_WITHOUT_TENANT', 'medium', 'unique constraint without the tenant column', 'A violation tells that a hidden row has the value.'),
  -- privileges, views and functions
  ('GRANT_TRUNCATE', 'critical', 'TRUNCATE granted on a protected table', 'It ignores row security.'),
  ('GRANT_TRIGGER', 'high', 'TRIGGER granted on a protected table', 'A trigger receives every tenant''s new rows.'),
  ('GRANT_REFERENCES', 'high', 'REFERENCES granted on a protected table', 'A foreign key tells which hidden rows exist.'),
  ('GRANT_PUBLIC', 'medium', 'privileges of PUBLIC on a protected table', 'Every role that ever connects has them.'),
  ('GRANT_OPTION', 'medium', 'API role that may grant on privileges', 'It decides who is an API role.'),
  ('DEFAULT_PRIVILEGES', 'medium', 'default privileges that open new tables to API roles', 'A table is readable before it is protected.'),
  ('EXT_SCHEMA_CREATE', 'critical', 'API roles may create in a schema of the extension', 'Their objects could stand in for the extension''s.'),
  ('CREATE_ON_PUBLIC', 'medium', 'API roles may create in schema public', 'Their functions and operators are found by the statements of others.'),
  ('CREATE_ON_SCHEMA', 'medium', 'API roles may create in a schema', 'Their functions and operators are found by the statements of others.'),
  ('TEMP_PRIVILEGE', 'low', 'API roles may make temporary tables', 'Those outlive the transaction on a pooled connection.'),
  ('SEQUENCE_SHARED', 'low', 'API roles may read or set a sequence', 'It counts the rows of all tenants.'),
  ('LARGE_OBJECTS_OF_TENANT_ROLE', 'low', 'large objects of an API role', 'They know no row security.'),
  ('VIEW_NOT_INVOKER', 'critical', 'view that reads protected tables as a role that bypasses row security', 'Whoever may read it reads the rows of all tenants.'),
  ('MATVIEW_OVER_TENANT', 'high', 'materialized view of protected tables, readable by others', 'It has no row security.'),
  ('FOREIGN_TABLE', 'high', 'foreign table with a tenant column, open to others', 'It has no row security.'),
  ('SECDEF_BYPASS', 'high', 'SECURITY DEFINER function of a role that bypasses row security, open to API roles', 'What it reads it reads of all tenants.'),
  ('SECDEF_NO_SEARCH_PATH', 'high', 'SECURITY DEFINER function without a fixed search_path that ends in pg_temp', 'The caller chooses what the names in it mean.'),
  ('POLICY_HELPER_NO_SEARCH_PATH', 'high', 'function of a policy without a fixed search_path', 'The caller chooses what the names in it mean.'),
  ('CTX_IMMUTABLE', 'critical', 'IMMUTABLE function that reads the context', 'Cached plans keep one tenant''s id and use it for others.'),
  ('LEAKPROOF_FUNCTION', 'high', 'LEAKPROOF function of your own', 'It may see rows before the policy has refused them.'),
  ('FILE_ACCESS', 'critical', 'function that reads or writes the server''s files, open to API roles', 'The files hold the rows of all tenants.'),
  ('DBLINK', 'medium', 'dblink, open to API roles', 'It opens connections as the server''s host.'),
  -- roles and parameters
  ('TENANT_ROLE_BYPASS', 'critical', 'API role that is, or can become, one that bypasses row security', 'No policy holds it.'),
  ('TENANT_ROLE_OWNS', 'high', 'API role that owns protected tables, or can become their owner', 'It can switch row security off.'),
  ('AUTHENTICATOR_ROLES', 'high', 'login role of the API that can become one that bypasses row security', 'SET ROLE is all it takes.'),
  ('OWNER_LOGS_IN', 'medium', 'owner of protected tables that can log in', 'An application that connects as it can switch row security off.'),
  ('REPLICATION_ROLE', 'high', 'API role with REPLICATION', 'Logical decoding shows the rows of all tenants.'),
  ('TENANT_ROLE_CREATEROLE', 'high', 'API role with CREATEROLE', 'It can grant itself other roles.'),
  ('ROLE_SERVER_FILES', 'critical', 'API role that may read or write files, or run programs, on the server', 'The files hold the rows of all tenants.'),
  ('ROLE_ALL_DATA', 'high', 'API role that may read or write all data', 'That includes the tables of revdesk_auth.'),
  ('ROLE_MONITORS', 'medium', 'API role that may watch or signal other sessions', 'It sees the statements of all tenants.'),
  ('SESSION_ROLE_MISSING', 'low', 'revdesk.session_roles names a role that does not exist', 'Whoever makes it can act for any user.'),
  ('PARAM_GRANTED', 'critical', 'API role that may set a protected parameter', 'It can lift what is to hold it.'),
  ('PARAM_STORED', 'high', 'stored value of a context, or of session_replication_role', 'Somebody tried to forge a context, or triggers do not fire.'),
  -- the extension
  ('EXT_TABLE_GRANTED', 'critical', 'privileges of API roles on tables of the extension', 'They hold hashes, memberships and the registry.'),
  ('EXT_OWNER_CHANGED', 'critical', 'object of the extension that is not a superuser''s', 'Its owner can change what isolates tenants.'),
  ('EXT_TRIGGER_DISABLED', 'high', 'trigger of the extension that does not fire', 'Caches, checks or the audit log miss changes.'),
  ('EVENT_TRIGGER_DISABLED', 'high', 'event trigger of the extension that does not fire', 'New partitions and tables go unseen.'),
  ('PUBLICATION_HAS_KEYS', 'high', 'publication with revdesk.api_keys', 'The hashes leave the server.'),
  -- settings and health
  ('LOG_PARAMS', 'high', 'parameters of statements are logged', 'A key that is passed as a parameter is one of them.'),
  ('AUTO_EXPLAIN_NESTED', 'high', 'auto_explain logs nested statements or parameters', 'Keys and their hashes are among them.'),
  ('PGSS_TRACK_UTILITY', 'medium', 'pg_stat_statements keeps the text of utility statements', 'It does not take out constants there.'),
  ('DEBUG_PRINT', 'high', 'query trees are logged', 'Keys are constants in them.'),
  ('SESSION_REPLICATION_ROLE', 'high', 'sessions of the API in which triggers do not fire', 'Foreign keys and checks do not hold.'),
  ('NO_STATEMENT_TIMEOUT', 'medium', 'login role of the API without statement_timeout', 'A revoked key goes on until the statement ends.'),
  ('NO_IDLE_TIMEOUT', 'medium', 'login role of the API without idle_in_transaction_session_timeout', 'A revoked key goes on until the transaction ends.'),
  ('SERVER_TOO_OLD', 'critical', 'minor release without security fixes', 'Known holes are open.'),
  ('NOT_PRELOADED', 'medium', 'the library is not in shared_preload_libraries', 'Nothing is counted or limited, and current_setting() of its names can be forged.'),
  ('WORKER_MISSING', 'high', 'the background worker does not run', 'Usage and rejections are not written.'),
  ('SLOTS_FULL', 'medium', 'requests that were not counted', 'revdesk.max_tracked_keys is too low.'),
  ('KEY_NO_EXPIRY', 'low', 'keys that never expire', 'A key that leaks is good for ever.'),
  ('KEY_UNUSED', 'low', 'keys that nobody uses', 'They can only be misused.'),
  ('DEVELOPMENT_KEYS', 'low', 'keys for development beside those for production', 'A production database should not accept them.'),
  ('PROXY_ADDRESS', 'medium', 'all keys are used from one address', 'Allowed networks and the brake on failures go by the proxy''s address.');
END;
COMMENT ON FUNCTION @extschema@.revdesk_lint_checks() IS
  'What revdesk_lint() checks: a code, its severity (critical, high, medium or low), what is found and why it matters.';

-- SECURITY DEFINER: an administrator who is no superuser may be granted it, and
-- it looks at the keys and at settings that only superusers see.
--
-- Names in the database are chosen by whoever made the objects.  In fix they
-- are quoted.  A comment ends at the end of the line, so a name must not bring
-- another one into it; nor is a finding more than one line to read.
CREATE FUNCTION @extschema@.revdesk_lint(
  OUT code text, OUT severity text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET jit = off
BEGIN ATOMIC
  WITH held AS MATERIALIZED (
    SELECT COALESCE(array_agg(role), '{}') AS roles FROM revdesk.api_roles WHERE NOT bypasses
  ), findings AS (
    SELECT * FROM revdesk.lint_policies
    UNION ALL SELECT * FROM revdesk.lint_tables
    UNION ALL SELECT * FROM revdesk.lint_constraints
    UNION ALL SELECT found.* FROM held, revdesk.lint_grants(held.roles) AS found
    UNION ALL SELECT * FROM revdesk.lint_relations
    UNION ALL SELECT found.* FROM held, revdesk.lint_functions(held.roles) AS found
    UNION ALL SELECT found.* FROM held, revdesk.lint_roles(held.roles) AS found
    UNION ALL SELECT found.* FROM held, revdesk.lint_settings(held.roles) AS found
    UNION ALL SELECT found.* FROM held, revdesk.lint_extension(held.roles) AS found
    UNION ALL SELECT * FROM revdesk.lint_health()
  )
  SELECT findings.code, checks.severity, regexp_replace(findings.object, '[[:cntrl:]]', ' ', 'g'),
         regexp_replace(findings.message, '[[:cntrl:]]', ' ', 'g'),
         CASE WHEN findings.fix IS NULL THEN '-- see what is found, and decide'
              WHEN findings.fix LIKE '-- %' THEN regexp_replace(findings.fix, '[[:cntrl:]]', ' ', 'g')
              ELSE findings.fix END
  FROM findings LEFT JOIN @extschema@.revdesk_lint_checks() AS checks USING (code)
  ORDER BY array_position(ARRAY['critical', 'high', 'medium', 'low'], checks.severity),
           findings.code COLLATE "C", findings.object COLLATE "C", findings.message COLLATE "C";
END;
COMMENT ON FUNCTION @extschema@.revdesk_lint() IS
  'Every way, as far as catalogs and settings tell, in which this database lets rows or keys out. fix is SQL that ends the finding, or a comment where only people can. Its names are quoted; read it before you run it. For administrators.';

CREATE FUNCTION @extschema@.revdesk_lint_sarif() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH levels (severity, level, score) AS (
    VALUES ('critical', 'error', '9.5'), ('high', 'error', '8.0'), ('medium', 'warning', '5.0'), ('low', 'note', '2.0')
  ), rules AS (
    SELECT checks.*, levels.level, levels.score, row_number() OVER (ORDER BY checks.code COLLATE "C") - 1 AS index
    FROM @extschema@.revdesk_lint_checks() AS checks JOIN levels USING (severity)
  )
  SELECT jsonb_build_object(
    '$schema', 'https://json.schemastore.org/sarif-2.1.0.json',
    'version', '2.1.0',
    'runs', jsonb_build_array(jsonb_build_object(
      'tool', jsonb_build_object('driver', jsonb_build_object(
        'name', 'revdesk_lint',
        'version', (SELECT extversion FROM pg_extension WHERE extname = 'revdesk_auth'),
        'rules', (SELECT jsonb_agg(jsonb_build_object(
                    'id', rules.code,
                    'shortDescription', jsonb_build_object('text', rules.what),
                    'fullDescription', jsonb_build_object('text', rules.why),
                    'defaultConfiguration', jsonb_build_object('level', rules.level),
                    'properties', jsonb_build_object('security-severity', rules.score, 'tags', jsonb_build_array('security')))
                    ORDER BY rules.index) FROM rules))),
      'results', (SELECT COALESCE(jsonb_agg(jsonb_build_object(
                    'ruleId', found.code,
                    'ruleIndex', rules.index,
                    'level', rules.level,
                    'message', jsonb_build_object('text', format('%s: %s', found.object, found.message)),
                    'locations', jsonb_build_array(jsonb_build_object(
                      'logicalLocations', jsonb_build_array(jsonb_build_object('fullyQualifiedName', found.object)))),
                    'partialFingerprints', jsonb_build_object('finding/v1', md5(found.code || ' ' || found.object)),
                    'properties', jsonb_build_object('severity', found.severity, 'fix', found.fix))), '[]')
                  FROM @extschema@.revdesk_lint() AS found JOIN rules USING (code)))));
END;
COMMENT ON FUNCTION @extschema@.revdesk_lint_sarif() IS
  'The findings of revdesk_lint() as SARIF 2.1.0, for continuous integration. critical and high are of level error, medium is warning, low is note.';
