-- lint_roles.sql: findings about API roles, what they can become, and settings
-- that were granted or stored.

CREATE FUNCTION revdesk.revoke_membership(target oid, granted oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT string_agg(DISTINCT format('REVOKE %s FROM %s;', revdesk.role_name(roleid), revdesk.role_name(member)), ' ')
  FROM pg_auth_members WHERE roleid = granted AND pg_has_role(target, member, 'MEMBER');
END;
COMMENT ON FUNCTION revdesk.revoke_membership(oid, oid) IS
  'The command that takes membership in a role from another, also where it has that by a third one.';

CREATE FUNCTION revdesk.lint_roles(held oid[], OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
-- Of superusers pg_has_role() says that they can become anybody; none is held.
WITH reach AS MATERIALIZED (
  SELECT role, target.oid AS target, target.rolname, target.rolsuper OR target.rolbypassrls AS bypasses,
         (SELECT rolcanlogin FROM pg_roles WHERE oid = role) AS can_login, revdesk.revoke_membership(role, target.oid) AS fix
  FROM unnest(held) AS role JOIN pg_roles AS target ON target.oid <> role AND pg_has_role(role, target.oid, 'MEMBER')
), owners AS MATERIALIZED (
  SELECT relowner AS owner, min(relation::regclass::text) AS owns FROM revdesk.tenant_tables GROUP BY relowner
)
SELECT 'TENANT_ROLE_BYPASS' AS code, revdesk.role_name(role) AS object,
       'an API role that is a superuser or has BYPASSRLS: no policy holds it' AS message,
       CASE WHEN role = 10 THEN '-- take it off revdesk.session_roles: let the API connect as a role of its own'
            ELSE format('ALTER ROLE %s NOSUPERUSER NOBYPASSRLS;', revdesk.role_name(role)) END AS fix
FROM revdesk.api_roles WHERE bypasses
UNION ALL
SELECT CASE WHEN can_login THEN 'AUTHENTICATOR_ROLES' ELSE 'TENANT_ROLE_BYPASS' END, revdesk.role_name(role),
       format('can become %s, whom row security does not hold', revdesk.role_name(target)), fix
FROM reach WHERE bypasses
UNION ALL
SELECT 'TENANT_ROLE_OWNS', revdesk.role_name(role),
       format('can become %s, who owns protected tables and so can switch row security off', revdesk.role_name(target)), fix
FROM reach WHERE target IN (SELECT owner FROM owners) AND NOT bypasses
UNION ALL
SELECT 'TENANT_ROLE_OWNS', revdesk.role_name(role),
       format('an API role that owns the protected table %s, and so can switch row security off', owns),
       '-- give its tables another owner, and grant it SELECT, INSERT, UPDATE and DELETE'
FROM unnest(held) AS role JOIN owners ON owner = role
UNION ALL
SELECT 'OWNER_LOGS_IN', revdesk.role_name(oid), 'owns protected tables and can log in: the application must not connect as it',
       format('ALTER ROLE %s NOLOGIN;', revdesk.role_name(oid))
FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND oid IN (SELECT owner FROM owners)
UNION ALL
SELECT 'REPLICATION_ROLE', revdesk.role_name(role), 'an API role with REPLICATION: logical decoding knows no row security',
       format('ALTER ROLE %s NOREPLICATION;', revdesk.role_name(role))
FROM unnest(held) AS role JOIN pg_roles ON oid = role WHERE rolreplication
UNION ALL
SELECT 'TENANT_ROLE_CREATEROLE', revdesk.role_name(role), 'an API role with CREATEROLE: it can grant itself other roles',
       format('ALTER ROLE %s NOCREATEROLE;', revdesk.role_name(role))
FROM unnest(held) AS role JOIN pg_roles ON oid = role WHERE rolcreaterole
UNION ALL
SELECT CASE WHEN rolname IN ('pg_read_all_data', 'pg_write_all_data') THEN 'ROLE_ALL_DATA'
            WHEN rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') THEN 'ROLE_SERVER_FILES'
            ELSE 'ROLE_MONITORS' END,
       revdesk.role_name(role), format('is a member of %s', revdesk.role_name(target)), fix
FROM reach
WHERE rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                  'pg_execute_server_program', 'pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings',
                  'pg_stat_scan_tables', 'pg_signal_backend', 'pg_maintain', 'pg_create_subscription')
UNION ALL
SELECT 'SESSION_ROLE_MISSING', quote_ident(name), 'revdesk.session_roles names a role that does not exist: whoever makes it gets its trust',
       '-- take it off revdesk.session_roles'
FROM unnest(revdesk.setting_list('session_roles')) AS name WHERE name NOT IN (SELECT rolname FROM pg_roles)
UNION ALL
SELECT 'PARAM_GRANTED', format('%s to %s', parname, revdesk.role_name(grantee)), 'API roles may set what is to hold them',
       format('REVOKE %s ON PARAMETER %s FROM %s;', string_agg(privilege_type, ', '), parname, revdesk.role_name(grantee))
FROM pg_parameter_acl CROSS JOIN LATERAL aclexplode(paracl)
WHERE (parname LIKE 'revdesk.%' OR parname IN ('session_replication_role', 'session_preload_libraries', 'dynamic_library_path',
                                              'log_statement', 'debug_print_plan'))
  AND (grantee = 0 OR EXISTS (SELECT FROM unnest(held) AS role WHERE pg_has_role(role, grantee, 'MEMBER')))
GROUP BY parname, grantee
UNION ALL
SELECT 'PARAM_STORED', format('%s for %s', setting.name, CASE setrole WHEN 0 THEN 'all roles' ELSE revdesk.role_name(setrole) END),
       CASE setting.name WHEN 'session_replication_role' THEN 'triggers and foreign keys do not fire in their sessions'
                         ELSE 'somebody has tried to store a context; it is ignored' END,
       CASE WHEN setting.name NOT IN ('session_replication_role', 'revdesk.context')
              THEN '-- delete the entry from pg_db_role_setting, or RESET ALL and set the rest again'
            WHEN setrole = 0 THEN format('ALTER DATABASE %I RESET %s;', datname, setting.name)
            ELSE format('ALTER ROLE %s%s RESET %s;', revdesk.role_name(setrole), ' IN DATABASE ' || quote_ident(datname), setting.name) END
FROM pg_db_role_setting LEFT JOIN pg_database ON pg_database.oid = setdatabase
CROSS JOIN LATERAL (SELECT lower(split_part(entry, '=', 1)) AS name, substr(entry, strpos(entry, '=') + 1) AS value
                    FROM unnest(setconfig) AS entry) AS setting
WHERE (setting.name IN ('revdesk.context', 'revdesk.scope', 'revdesk.tenant_id', 'revdesk.user_id', 'revdesk.key_id', 'revdesk.umbrella_id', 'revdesk.access')
       OR (setting.name = 'session_replication_role' AND setting.value <> 'origin'))
  AND (setdatabase = 0 OR datname = current_database());
END;
COMMENT ON FUNCTION revdesk.lint_roles IS 'Findings of revdesk_lint(): roles, and parameters that were granted or stored.';
