-- lint_server.sql: findings about the server's settings, the extension itself
-- and its keys.

CREATE FUNCTION revdesk.stored_settings(wanted oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- Of two values of a name jsonb keeps the last.
  SELECT COALESCE(jsonb_object_agg(lower(split_part(entry, '=', 1)), substr(entry, strpos(entry, '=') + 1)
                                   ORDER BY setrole <> 0, setdatabase <> 0), '{}')
  FROM pg_db_role_setting CROSS JOIN LATERAL unnest(setconfig) AS entry
  WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND setrole IN (0, wanted);
END;
COMMENT ON FUNCTION revdesk.stored_settings(oid) IS
  'What ALTER ROLE and ALTER DATABASE have set for new sessions of a role in this database, 0 for a role without any of its own.';

-- The sessions that matter are those of the API.
CREATE FUNCTION revdesk.session_settings(
  held oid[], OUT role oid, OUT object text, OUT command text, OUT settings jsonb)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 5 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH logins AS (
    SELECT oid AS role FROM pg_roles WHERE rolcanlogin AND oid = ANY (held)
  ), sessions AS (
    SELECT logins.role FROM logins UNION ALL SELECT 0 WHERE NOT EXISTS (SELECT FROM logins)
  )
  SELECT sessions.role,
         CASE sessions.role WHEN 0 THEN format('database %I', current_database()) ELSE revdesk.role_name(sessions.role) END,
         CASE sessions.role WHEN 0 THEN format('ALTER DATABASE %I SET ', current_database())
                            ELSE format('ALTER ROLE %s SET ', revdesk.role_name(sessions.role)) END,
         (SELECT jsonb_object_agg(lower(name), reset_val) FROM pg_settings) || revdesk.stored_settings(sessions.role)
  FROM sessions;
END;
COMMENT ON FUNCTION revdesk.session_settings(oid[]) IS
  'The login roles of the API, or the database if none is known (role 0), what new sessions of theirs have set, and the command that sets something for them.';

CREATE FUNCTION revdesk.lint_settings(held oid[], OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
WITH sessions AS MATERIALIZED (SELECT * FROM revdesk.session_settings(held))
SELECT 'LOG_PARAMS' AS code, object,
       'statements are logged with their parameters, and the key of revdesk_authenticate($1) is one' AS message,
       command || 'log_parameter_max_length = 0; ' || command || 'log_parameter_max_length_on_error = 0;' AS fix
FROM sessions
WHERE settings->>'log_parameter_max_length_on_error' !~ '^0+[a-zA-Z]*$'
   OR (settings->>'log_parameter_max_length' !~ '^0+[a-zA-Z]*$'
       AND (settings->>'log_statement' = 'all'
            OR settings->>'log_min_duration_statement' !~ '^-'
            OR settings->>'log_min_duration_sample' !~ '^-'
            OR settings->>'log_transaction_sample_rate' !~ '^[0.]+$'))
UNION ALL
SELECT 'AUTO_EXPLAIN_NESTED', object, 'auto_explain logs the statements in functions, or parameters',
       command || 'auto_explain.log_nested_statements = off; ' || command || 'auto_explain.log_verbose = off;'
FROM sessions
WHERE settings->>'auto_explain.log_min_duration' !~ '^-'
  AND 'on' IN (settings->>'auto_explain.log_nested_statements', settings->>'auto_explain.log_verbose')
UNION ALL
SELECT 'PGSS_TRACK_UTILITY', object, 'pg_stat_statements keeps the text of DO, CALL and EXPLAIN, a key in it included',
       command || 'pg_stat_statements.track_utility = off;'
FROM sessions WHERE settings->>'pg_stat_statements.track_utility' = 'on'
UNION ALL
SELECT 'DEBUG_PRINT', object, 'query trees are logged, and keys are constants in them',
       command || 'debug_print_parse = off; ' || command || 'debug_print_rewritten = off; ' || command || 'debug_print_plan = off;'
FROM sessions
WHERE 'on' IN (settings->>'debug_print_parse', settings->>'debug_print_rewritten',
               settings->>'debug_print_plan')
UNION ALL
SELECT 'SESSION_REPLICATION_ROLE', object, 'triggers and foreign keys do not fire in these sessions',
       command || 'session_replication_role = origin;'
FROM sessions WHERE settings->>'session_replication_role' <> 'origin'
UNION ALL
SELECT 'NO_STATEMENT_TIMEOUT', object, 'a statement may run for ever, and so outlive the revocation of its key',
       command || 'statement_timeout = ''30s'';'
FROM sessions WHERE role <> 0 AND settings->>'statement_timeout' ~ '^0+[a-z]*$'
UNION ALL
SELECT 'NO_IDLE_TIMEOUT', object, 'a transaction may stay open for ever, and so outlive the revocation of its key',
       command || 'idle_in_transaction_session_timeout = ''30s'';'
FROM sessions WHERE role <> 0 AND settings->>'idle_in_transaction_session_timeout' ~ '^0+[a-z]*$';
END;
COMMENT ON FUNCTION revdesk.lint_settings IS 'Findings of revdesk_lint(): settings of the API''s sessions.';

-- A table's name as the extension made it, and the triggers that must fire.
CREATE FUNCTION revdesk.lint_extension(held oid[], OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
WITH triggers (relation, name, always) AS (
  SELECT tables.name, triggers.name, true
  FROM unnest(ARRAY['tenants', 'users', 'memberships']) AS tables (name),
       unnest(ARRAY['announce_change', 'announce_truncate']) AS triggers (name)
  UNION ALL
  SELECT name, 'audit', false FROM unnest(ARRAY['tenants', 'users', 'memberships', 'api_keys', 'protected_tables']) AS tables (name)
  UNION ALL
  VALUES ('audit_log', 'refuse_change', true), ('audit_log', 'refuse_truncate', true), ('tenants', 'check_tenant', false),
         ('tenants', 'keep_tenant', false), ('api_keys', 'check_api_key', false), ('noted_tables', 'check_noted_table', false)
), members AS (
  SELECT classid, objid, extowner
  FROM pg_depend JOIN pg_extension ON pg_extension.oid = refobjid
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'revdesk_auth'
)
SELECT 'EXT_TRIGGER_DISABLED' AS code, format('trigger %I on revdesk.%I', triggers.name, triggers.relation) AS object,
       'it is gone, or does not fire when it must' AS message,
       CASE WHEN tgname IS NULL THEN '-- dump the data, and make the extension anew'
            ELSE format('ALTER TABLE revdesk.%I ENABLE %sTRIGGER %I;', triggers.relation, CASE WHEN always THEN 'ALWAYS ' END, triggers.name)
       END AS fix
FROM triggers LEFT JOIN pg_trigger ON tgrelid = to_regclass('revdesk.' || triggers.relation) AND tgname = triggers.name
WHERE tgname IS NULL OR NOT (tgenabled = 'A' OR (tgenabled = 'O' AND NOT always))
UNION ALL
SELECT 'EVENT_TRIGGER_DISABLED', 'event trigger ' || name, 'it is gone or disabled: new partitions and tables go unseen',
       CASE WHEN evtname IS NULL THEN '-- make the extension anew' ELSE format('ALTER EVENT TRIGGER %I ENABLE;', name) END
FROM unnest(ARRAY['revdesk_protect_new_partitions', 'revdesk_forget_dropped_tables',
                  'revdesk_note_unprotected', 'revdesk_note_dropped']) AS name
LEFT JOIN pg_event_trigger ON evtname = name
WHERE evtname IS NULL OR evtenabled NOT IN ('O', 'A')
UNION ALL
SELECT 'EXT_OWNER_CHANGED', described.object, format('belongs to %s, who can change what isolates tenants', revdesk.role_name(described.owner)),
       format('ALTER %s OWNER TO %s;', described.object, revdesk.role_name(extowner))
FROM members CROSS JOIN LATERAL (
  SELECT format('%s %s', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, pg_class.oid::regclass), relowner
  FROM pg_class WHERE classid = 'pg_class'::regclass AND pg_class.oid = objid AND relkind IN ('r', 'v', 'S')
  UNION ALL
  SELECT format('FUNCTION %s', pg_proc.oid::regprocedure), proowner
  FROM pg_proc WHERE classid = 'pg_proc'::regclass AND pg_proc.oid = objid
  UNION ALL
  SELECT format('SCHEMA %I', nspname), nspowner
  FROM pg_namespace WHERE classid = 'pg_namespace'::regclass AND pg_namespace.oid = objid
) AS described (object, owner)
WHERE NOT COALESCE((SELECT rolsuper FROM pg_roles WHERE oid = described.owner), false)
UNION ALL
SELECT 'EXT_TABLE_GRANTED', format('%s to %s', class.oid::regclass, revdesk.role_name(grantee)),
       format('API roles may %s', string_agg(privilege_type, ', ')),
       format('REVOKE ALL ON TABLE %s FROM %s CASCADE;', class.oid::regclass, revdesk.role_name(grantee))
FROM pg_class AS class CROSS JOIN LATERAL aclexplode(relacl)
WHERE relnamespace = 'revdesk'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'protected_tables' AND grantee <> relowner
  AND (grantee = 0 OR EXISTS (SELECT FROM unnest(held) AS role WHERE pg_has_role(role, grantee, 'MEMBER')))
GROUP BY class.oid, grantee
UNION ALL
SELECT 'PUBLICATION_HAS_KEYS', format('publication %I', pubname), 'the hashes of all keys leave the server with it', published.fix
FROM pg_publication CROSS JOIN LATERAL (
  SELECT '-- a publication for all tables holds the schema revdesk: make one that lists tables' WHERE puballtables
  UNION ALL
  SELECT format('ALTER PUBLICATION %I DROP TABLE revdesk.api_keys;', pubname)
  FROM pg_publication_rel
  WHERE prpubid = pg_publication.oid AND prrelid = 'revdesk.api_keys'::regclass
    AND (prattrs IS NULL
         OR (SELECT attnum FROM pg_attribute WHERE attrelid = prrelid AND attname = 'key_hash') = ANY (prattrs))
  UNION ALL
  SELECT format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA revdesk;', pubname)
  FROM pg_publication_namespace WHERE pnpubid = pg_publication.oid AND pnnspid = 'revdesk'::regnamespace
) AS published (fix);
END;
COMMENT ON FUNCTION revdesk.lint_extension IS 'Findings of revdesk_lint(): the extension''s own objects.';

-- Minor releases with the fixes that isolation relies on, of which the last is
-- that ON CONFLICT does not look at hidden rows: seen in 15.20 and 17.12, and
-- missing in 17.11 and 18.6.  Releases of all series are made on one day.
CREATE FUNCTION revdesk.lacks_fixes(version integer) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM (VALUES (150020), (160016), (170012), (180007)) AS fixed (version)
                 WHERE fixed.version / 10000 = lacks_fixes.version / 10000 AND fixed.version > lacks_fixes.version);
END;
COMMENT ON FUNCTION revdesk.lacks_fixes(integer) IS
  'Is this server_version_num older than the minor release of its series that has the security fixes of November 2026?';

CREATE FUNCTION revdesk.lint_health(OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT 'SERVER_TOO_OLD' AS code, current_setting('server_version') AS object,
       'a minor release with known holes in row security or its surroundings' AS message,
       '-- install the latest minor release' AS fix
WHERE revdesk.lacks_fixes(current_setting('server_version_num')::integer)
UNION ALL
SELECT 'NOT_PRELOADED', 'shared_preload_libraries', 'the library is loaded by the first session that needs it: nothing is counted or limited, and until then settings of its names can be anything',
       '-- put revdesk_auth into shared_preload_libraries and restart the server'
WHERE revdesk.usage_dropped() IS NULL
UNION ALL
SELECT 'WORKER_MISSING', 'revdesk_auth usage launcher', 'the background worker does not run: counts stay in memory',
       '-- raise max_worker_processes, look into the server log, and restart the server'
WHERE revdesk.usage_dropped() IS NOT NULL AND NOT pg_is_in_recovery()
  AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'revdesk_auth usage launcher')
UNION ALL
SELECT 'SLOTS_FULL', 'revdesk.max_tracked_keys', format('%s requests were not counted: too many keys at a time', revdesk.usage_dropped()),
       '-- raise revdesk.max_tracked_keys and restart the server'
WHERE revdesk.usage_dropped() > 0
UNION ALL
SELECT 'KEY_NO_EXPIRY', 'revdesk.api_keys', format('%s live keys never expire', count(*)),
       '-- rotate them into keys with expires_at; revdesk_key_risks() lists them'
FROM revdesk.api_keys WHERE revoked_at IS NULL AND expires_at IS NULL HAVING count(*) > 0
UNION ALL
SELECT 'KEY_UNUSED', 'revdesk.api_keys', format('%s live keys were not used for 90 days', count(*)),
       '-- revoke what nobody needs; revdesk_key_risks() lists them'
FROM revdesk.api_keys AS keys
WHERE revoked_at IS NULL AND COALESCE(expires_at > now(), true) AND created_at < now() - interval '90 days'
  AND NOT EXISTS (SELECT FROM revdesk.key_usage WHERE key_usage.key_id = keys.id AND requests > 0
                  AND bucket > now() - interval '90 days')
HAVING count(*) > 0
UNION ALL
SELECT 'DEVELOPMENT_KEYS', format('database %I', current_database()), 'keys for development are accepted beside keys for production',
       format('ALTER DATABASE %I SET revdesk.accepted_environments = ''production'';', current_database())
WHERE COALESCE(revdesk.stored_settings(0)->>'revdesk.accepted_environments', revdesk.setting('accepted_environments')) ~ 'development'
  AND EXISTS (SELECT FROM revdesk.api_keys WHERE revoked_at IS NULL AND environment = 'development')
  AND EXISTS (SELECT FROM revdesk.api_keys WHERE revoked_at IS NULL AND environment = 'production')
UNION ALL
SELECT 'PROXY_ADDRESS', 'revdesk.trusted_proxies',
       format('%s keys were used in the last day, all from %s: this may be a proxy, and allowed networks and the brake then go by its address',
              count(DISTINCT key_id), min(last_address)),
       '-- set revdesk.trusted_proxies to the number of proxies in front that append to (or set) X-Forwarded-For'
FROM revdesk.key_usage
WHERE bucket > now() - interval '1 day' AND last_address IS NOT NULL AND revdesk.setting('trusted_proxies') = '0'
HAVING count(DISTINCT key_id) >= 10 AND count(DISTINCT last_address) = 1;
END;
COMMENT ON FUNCTION revdesk.lint_health IS 'Findings of revdesk_lint(): the server and the keys.';
