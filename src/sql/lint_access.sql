-- lint_access.sql: findings about what API roles may reach besides the rows of
-- tables: views, functions, schemas, sequences, and privileges that row
-- security does not cover.
--
-- held: the API roles that row security holds.  What others may do is no
-- finding of its own.

CREATE FUNCTION revdesk.grantees(acl aclitem[], owner oid, privileges text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT string_agg(DISTINCT revdesk.role_name(grantee), ', ')
  FROM aclexplode(acl) WHERE grantee <> owner AND privilege_type = ANY (privileges);
END;
COMMENT ON FUNCTION revdesk.grantees(aclitem[], oid, text[]) IS
  'Whom to revoke the privileges from, as SQL lists them; null if nobody but the owner has them.';

CREATE FUNCTION revdesk.lint_grants(held oid[], OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
WITH grants AS MATERIALIZED (SELECT * FROM revdesk.reader_grants)
SELECT 'GRANT_' || privilege AS code, format('%s to %s', relation::regclass, revdesk.role_name(grantee)) AS object,
       CASE privilege WHEN 'TRUNCATE' THEN 'TRUNCATE ignores row security: it empties the table for every tenant'
                      WHEN 'TRIGGER' THEN 'a trigger of theirs would receive every tenant''s new rows'
                      ELSE 'a foreign key of theirs would tell which hidden rows exist' END AS message,
       string_agg(format('REVOKE %s%s ON TABLE %s FROM %s CASCADE;', privilege, ' (' || quote_ident(column_name) || ')',
                         relation::regclass, revdesk.role_name(grantee)), ' ') AS fix
FROM grants
WHERE privilege IN ('TRUNCATE', 'TRIGGER', 'REFERENCES') AND relkind IN ('r', 'p')
  AND NOT COALESCE(revdesk.bypasses_row_security(grantee), false)
GROUP BY relation, grantee, privilege
UNION ALL
SELECT 'GRANT_PUBLIC', relation::regclass::text,
       format('everybody who can connect may %s', string_agg(DISTINCT privilege, ', ')),
       format('REVOKE ALL ON TABLE %s FROM PUBLIC;', relation::regclass)
FROM grants
WHERE grantee = 0 AND relkind IN ('r', 'p') AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
GROUP BY relation
UNION ALL
SELECT 'GRANT_OPTION', format('%s to %s', relation::regclass, revdesk.role_name(grantee)),
       format('may grant %s on', string_agg(DISTINCT privilege, ', ')),
       string_agg(format('REVOKE GRANT OPTION FOR %s%s ON TABLE %s FROM %s CASCADE;', privilege, ' (' || quote_ident(column_name) || ')',
                         relation::regclass, revdesk.role_name(grantee)), ' ')
FROM grants
WHERE is_grantable AND grantee = ANY (held)
GROUP BY relation, grantee
UNION ALL
SELECT 'DEFAULT_PRIVILEGES',
       format('%s for %s', COALESCE('schema ' || quote_ident(nspname), 'all schemas'), revdesk.role_name(defaclrole)),
       format('new tables are open to %s before they are protected', revdesk.role_name(grantee)),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE ALL ON TABLES FROM %s;', revdesk.role_name(defaclrole),
              ' IN SCHEMA ' || quote_ident(nspname), revdesk.role_name(grantee))
FROM pg_default_acl LEFT JOIN pg_namespace ON pg_namespace.oid = defaclnamespace
CROSS JOIN LATERAL (SELECT DISTINCT grantee FROM aclexplode(defaclacl) WHERE grantee <> defaclrole) AS item
WHERE defaclobjtype = 'r' AND (grantee = 0 OR grantee = ANY (held))
UNION ALL
SELECT CASE WHEN pg_namespace.oid = 'revdesk'::regnamespace
              OR pg_namespace.oid IN (SELECT extnamespace FROM pg_extension WHERE extname = 'revdesk_auth') THEN 'EXT_SCHEMA_CREATE'
            WHEN nspname = 'public' THEN 'CREATE_ON_PUBLIC' ELSE 'CREATE_ON_SCHEMA' END,
       'schema ' || quote_ident(nspname), 'API roles may put functions, operators and tables there that others'' statements find',
       COALESCE(format('REVOKE CREATE ON SCHEMA %I FROM ', nspname) || revdesk.grantees(nspacl, nspowner, '{CREATE}') || ';',
                '-- it belongs to an API role: give it another owner')
FROM pg_namespace
WHERE nspname !~ '^pg_'
  AND (EXISTS (SELECT FROM unnest(held) AS role WHERE has_schema_privilege(role, pg_namespace.oid, 'CREATE'))
       OR EXISTS (SELECT FROM aclexplode(nspacl) WHERE grantee = 0 AND privilege_type = 'CREATE'))
UNION ALL
SELECT 'TEMP_PRIVILEGE', 'database ' || quote_ident(datname),
       'API roles may make temporary tables, which outlive the transaction on a pooled connection',
       format('REVOKE TEMPORARY ON DATABASE %I FROM ', datname)
       || revdesk.grantees(COALESCE(datacl, acldefault('d', datdba)), datdba, '{TEMPORARY}') || ';'
FROM pg_database
WHERE datname = current_database()
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_database_privilege(role, pg_database.oid, 'TEMPORARY'))
UNION ALL
SELECT 'SEQUENCE_SHARED', class.oid::regclass::text, 'API roles may read or set what it counts for all tenants',
       format('REVOKE SELECT, UPDATE ON SEQUENCE %s FROM ', class.oid::regclass)
       || revdesk.grantees(relacl, relowner, '{SELECT,UPDATE}') || ';'
FROM pg_class AS class
WHERE relkind = 'S' AND relacl IS NOT NULL AND NOT revdesk.is_of_extension('pg_class'::regclass, class.oid)
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_sequence_privilege(role, class.oid, 'SELECT, UPDATE'))
UNION ALL
SELECT 'LARGE_OBJECTS_OF_TENANT_ROLE', revdesk.role_name(lomowner),
       format('%s large objects are every tenant''s that works as this role', count(*)),
       '-- keep such data in a protected table, as bytea'
FROM pg_largeobject_metadata WHERE lomowner = ANY (held)
GROUP BY lomowner;
END;
COMMENT ON FUNCTION revdesk.lint_grants IS 'Findings of revdesk_lint(): privileges.';

CREATE VIEW revdesk.lint_relations AS
SELECT 'VIEW_NOT_INVOKER' AS code, readers.relation::regclass::text AS object,
       format('reads protected tables as %s, whom row security does not hold', revdesk.role_name(readers.relowner)) AS message,
       format('ALTER VIEW %s SET (security_invoker = true);', readers.relation::regclass) AS fix
FROM revdesk.tenant_readers AS readers
WHERE relkind = 'v' AND NOT security_invoker AND revdesk.bypasses_row_security(relowner)
  AND EXISTS (SELECT FROM revdesk.reader_grants AS item
              WHERE item.relation = readers.relation AND item.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
                AND NOT COALESCE(revdesk.bypasses_row_security(item.grantee), false))
  AND NOT revdesk.is_exempt(readers.relation)
UNION ALL
SELECT 'MATVIEW_OVER_TENANT', readers.relation::regclass::text, 'holds what its owner saw, and has no row security',
       format('REVOKE ALL ON TABLE %s FROM ', readers.relation::regclass)
       || revdesk.grantees(relacl, readers.relowner, '{SELECT}') || ';'
FROM revdesk.tenant_readers AS readers JOIN pg_class ON pg_class.oid = readers.relation
WHERE readers.relkind = 'm'
  AND EXISTS (SELECT FROM revdesk.reader_grants AS item
              WHERE item.relation = readers.relation AND item.privilege = 'SELECT'
                AND NOT COALESCE(revdesk.bypasses_row_security(item.grantee), false))
  AND NOT revdesk.is_exempt(readers.relation)
UNION ALL
SELECT 'FOREIGN_TABLE', class.oid::regclass::text, 'holds rows of tenants, and a foreign table has no row security',
       format('REVOKE ALL ON TABLE %s FROM ', class.oid::regclass)
       || revdesk.grantees(relacl, relowner, '{SELECT,INSERT,UPDATE,DELETE}') || ';'
FROM pg_class AS class
WHERE relkind = 'f' AND NOT revdesk.is_exempt(class.oid)
  AND EXISTS (SELECT FROM pg_attribute JOIN revdesk.tenant_columns ON name = attname WHERE attrelid = class.oid AND NOT attisdropped)
  AND EXISTS (SELECT FROM aclexplode(relacl)
              WHERE grantee <> relowner AND NOT COALESCE(revdesk.bypasses_row_security(grantee), false));
COMMENT ON VIEW revdesk.lint_relations IS 'Findings of revdesk_lint(): views, materialized views and foreign tables.';

CREATE VIEW revdesk.user_functions AS
SELECT proc.oid, proc.proowner, proc.prosecdef, proc.proleakproof, proc.provolatile, proc.prosrc, lanname,
       format('%s %s', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, proc.oid::regprocedure) AS command,
       proc.oid::regprocedure::text AS signature, proc.pronamespace, proc.prosqlbody IS NOT NULL AS is_parsed,
       (SELECT substr(entry, 13) FROM unnest(proconfig) AS entry WHERE entry LIKE 'search\_path=%') AS search_path
FROM pg_proc AS proc JOIN pg_language ON pg_language.oid = prolang
WHERE proc.oid >= 16384 AND prokind IN ('f', 'p', 'w') AND NOT revdesk.is_of_extension('pg_proc'::regclass, proc.oid);
COMMENT ON VIEW revdesk.user_functions IS 'Functions and procedures that are not PostgreSQL''s nor an extension''s.';

CREATE FUNCTION revdesk.lint_functions(held oid[], OUT code text, OUT object text, OUT message text, OUT fix text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT 'SECDEF_BYPASS' AS code, signature AS object,
       format('runs as %s, whom row security does not hold, and API roles may call it', revdesk.role_name(proowner)) AS message,
       format('ALTER %s SECURITY INVOKER;', command) AS fix
FROM revdesk.user_functions
WHERE prosecdef AND revdesk.bypasses_row_security(proowner)
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_function_privilege(role, user_functions.oid, 'EXECUTE'))
UNION ALL
SELECT 'SECDEF_NO_SEARCH_PATH', signature,
       'runs with the rights of its owner, and names in it can mean the caller''s temporary tables and functions',
       CASE WHEN search_path IS NULL THEN format('ALTER %s SET search_path = %s, pg_temp;', command, pronamespace::regnamespace)
            ELSE format('ALTER %s SET search_path = %s, pg_temp;', command, search_path) END
FROM revdesk.user_functions
WHERE prosecdef AND NOT is_parsed AND lanname NOT IN ('c', 'internal')
  AND (search_path IS NULL OR (search_path <> '""' AND search_path !~ '\mpg_temp\M'))
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_function_privilege(role, user_functions.oid, 'EXECUTE'))
UNION ALL
SELECT 'POLICY_HELPER_NO_SEARCH_PATH', signature,
       'a policy calls it, and names in it mean what the caller''s search_path makes of them',
       format('ALTER %s SET search_path = %s, pg_temp;', command, pronamespace::regnamespace)
FROM revdesk.user_functions
WHERE search_path IS NULL AND NOT is_parsed AND lanname NOT IN ('c', 'internal')
  AND oid IN (SELECT refobjid FROM pg_depend WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_proc'::regclass)
UNION ALL
SELECT 'CTX_IMMUTABLE', signature, 'reads the context and is IMMUTABLE: cached plans keep one tenant''s id for others',
       format('ALTER %s STABLE;', command)
FROM revdesk.user_functions
WHERE provolatile = 'i'
  AND (prosrc ~* '\mrevdesk_(key_id|tenant_id|umbrella_id|user_id|scope\w*|access|environment|context|account)\M|current_setting\(''revdesk\.'
       OR EXISTS (SELECT FROM pg_depend JOIN pg_depend AS own
                    ON own.classid = 'pg_proc'::regclass AND own.objid = pg_depend.refobjid AND own.deptype = 'e'
                  JOIN pg_extension ON pg_extension.oid = own.refobjid AND extname = 'revdesk_auth'
                  WHERE pg_depend.classid = 'pg_proc'::regclass AND pg_depend.objid = user_functions.oid
                    AND pg_depend.refclassid = 'pg_proc'::regclass))
UNION ALL
SELECT 'LEAKPROOF_FUNCTION', signature, 'LEAKPROOF: in a query it may see rows before the policy has refused them',
       format('ALTER %s NOT LEAKPROOF;', command)
FROM revdesk.user_functions WHERE proleakproof
UNION ALL
SELECT 'FILE_ACCESS', proc.oid::regprocedure::text, 'API roles may read or write files of the server with it',
       format('REVOKE EXECUTE ON FUNCTION %s FROM ', proc.oid::regprocedure) || revdesk.grantees(proacl, proowner, '{EXECUTE}') || ';'
FROM pg_proc AS proc
WHERE pronamespace = 'pg_catalog'::regnamespace
  AND proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export')
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_function_privilege(role, proc.oid, 'EXECUTE'))
UNION ALL
SELECT 'DBLINK', format('extension %I', extname), 'API roles may open connections from the server, to itself too',
       string_agg(format('REVOKE EXECUTE ON FUNCTION %s FROM %s;', proc.oid::regprocedure,
                         revdesk.grantees(COALESCE(proacl, acldefault('f', proowner)), proowner, '{EXECUTE}')), ' ')
FROM pg_extension
JOIN pg_depend ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid AND classid = 'pg_proc'::regclass AND deptype = 'e'
JOIN pg_proc AS proc ON proc.oid = objid
WHERE extname = 'dblink'
  AND EXISTS (SELECT FROM unnest(held) AS role WHERE has_function_privilege(role, proc.oid, 'EXECUTE'))
GROUP BY extname;
END;
COMMENT ON FUNCTION revdesk.lint_functions IS 'Findings of revdesk_lint(): functions.';
