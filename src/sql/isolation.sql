-- isolation.sql: what holds rows back, and from whom, as the catalogs tell it.
-- The guard and the lint build on it.
--
-- Text that these views make of names is qualified and quoted under the
-- search_path pg_catalog, pg_temp, which the functions that read them set.

CREATE FUNCTION revdesk.setting(name text) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'revdesk_setting';
COMMENT ON FUNCTION revdesk.setting(text) IS
  'The value of a setting of revdesk_auth, by its name without the prefix. Unlike current_setting() it loads the library first.';

CREATE FUNCTION revdesk.setting_list(name text) RETURNS name[]
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'revdesk_setting_list';
COMMENT ON FUNCTION revdesk.setting_list(text) IS
  'The names that a setting of revdesk_auth lists.';

CREATE FUNCTION revdesk.isolates(condition pg_node_tree) RETURNS boolean
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'revdesk_isolates';
COMMENT ON FUNCTION revdesk.isolates(pg_node_tree) IS
  'Is a policy''s condition true for no row but those that the context may see? False for what is not understood.';

CREATE FUNCTION revdesk.compares_columns(condition pg_node_tree) RETURNS boolean
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'revdesk_compares_columns';
COMMENT ON FUNCTION revdesk.compares_columns(pg_node_tree) IS
  'Does a policy''s condition call the predicates on plain columns only, so that an index can be used?';

CREATE FUNCTION revdesk.role_name(role oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END;
END;
COMMENT ON FUNCTION revdesk.role_name(oid) IS
  'A grantee, as SQL writes it.';

-- A restrictive policy for all roles holds for whatever permissive ones let
-- through.  Without any permissive policy nothing passes.
CREATE VIEW revdesk.open_policies AS
WITH policies AS NOT MATERIALIZED (
  SELECT polrelid, polname, polcmd, polpermissive, polroles = '{0}' AS for_all,
         revdesk.isolates(polqual) AS reading,
         revdesk.isolates(COALESCE(polwithcheck, polqual)) AS writing
  FROM pg_policy
), clauses (command, is_check) AS (
  VALUES ('r'::"char", false), ('w', false), ('d', false), ('a', true), ('w', true)
)
SELECT open.polrelid AS relation, open.polname AS policy, clauses.command, clauses.is_check
FROM policies AS open JOIN clauses ON open.polcmd IN ('*', clauses.command)
WHERE open.polpermissive
  AND NOT CASE WHEN clauses.is_check THEN open.writing ELSE open.reading END
  AND NOT EXISTS (
    SELECT FROM policies AS held
    WHERE held.polrelid = open.polrelid AND NOT held.polpermissive AND held.for_all
      AND held.polcmd IN ('*', clauses.command)
      AND CASE WHEN clauses.is_check THEN held.writing ELSE held.reading END);
COMMENT ON VIEW revdesk.open_policies IS
  'Permissive policies that let rows through which no predicate of revdesk_auth holds back, by command; is_check: in new rows.';

CREATE VIEW revdesk.tenant_columns AS
SELECT 'tenant_id'::name AS name
UNION
SELECT tenant_column FROM revdesk.protected_tables WHERE tenant_column IS NOT NULL;
COMMENT ON VIEW revdesk.tenant_columns IS
  'What columns of tenants are called here.';

-- Those with policies of somebody's own count, too.
CREATE VIEW revdesk.tenant_tables AS
WITH others AS MATERIALIZED (
  SELECT polrelid, polqual, polwithcheck FROM pg_policy
  WHERE NOT EXISTS (SELECT FROM revdesk.protected_tables AS registered WHERE registered.relation = polrelid)
)
SELECT class.oid AS relation, class.relname, class.relkind, class.relowner, class.relrowsecurity, class.relforcerowsecurity,
       true AS registered, registered.root::oid AS root, registered.tenant_column, registered.owner_column,
       registered.umbrella_column, registered.walk_up
FROM revdesk.protected_tables AS registered JOIN pg_class AS class ON class.oid = registered.relation
UNION ALL
SELECT class.oid, class.relname, class.relkind, class.relowner, class.relrowsecurity, class.relforcerowsecurity,
       false, class.oid,
       (SELECT attname FROM pg_attribute JOIN revdesk.tenant_columns ON tenant_columns.name = attname
        WHERE attrelid = class.oid AND NOT attisdropped ORDER BY attnum LIMIT 1),
       NULL, NULL, false
FROM pg_class AS class
WHERE class.oid IN (SELECT polrelid FROM others WHERE revdesk.isolates(polqual) OR revdesk.isolates(polwithcheck));
COMMENT ON VIEW revdesk.tenant_tables IS
  'Tables that revdesk_protect() protects, or policies with the predicates of revdesk_auth do.';

CREATE VIEW revdesk.tenant_readers AS
WITH RECURSIVE readers (relation) AS (
  SELECT tenant_tables.relation FROM revdesk.tenant_tables
  UNION
  SELECT class.oid
  FROM readers
  JOIN pg_depend AS depend ON depend.refclassid = 'pg_class'::regclass AND depend.refobjid = readers.relation
                          AND depend.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite AS rule ON rule.oid = depend.objid
  JOIN pg_class AS class ON class.oid = rule.ev_class AND class.relkind IN ('v', 'm')
)
SELECT class.oid AS relation, class.relkind, class.relowner,
       COALESCE((SELECT option_value::boolean FROM pg_options_to_table(class.reloptions)
                 WHERE option_name = 'security_invoker'), false) AS security_invoker
FROM readers JOIN pg_class AS class ON class.oid = readers.relation;
COMMENT ON VIEW revdesk.tenant_readers IS
  'Protected tables, and the views and materialized views that read them, directly or not.';

CREATE VIEW revdesk.reader_grants AS
WITH readers AS MATERIALIZED (
  SELECT * FROM revdesk.tenant_readers
), acls AS (
  SELECT readers.relation, readers.relkind, readers.relowner, class.relacl AS acl, NULL::name AS name
  FROM readers JOIN pg_class AS class ON class.oid = readers.relation
  UNION ALL
  SELECT readers.relation, readers.relkind, readers.relowner, attacl, attname
  FROM readers JOIN pg_attribute ON attrelid = readers.relation
  WHERE attacl IS NOT NULL AND NOT attisdropped
)
SELECT acls.relation, acls.relkind, acls.name AS column_name, item.grantee, item.privilege_type AS privilege,
       item.is_grantable
FROM acls, aclexplode(acls.acl) AS item
WHERE item.grantee NOT IN (acls.relowner, 10);
COMMENT ON VIEW revdesk.reader_grants IS
  'Who was granted what on protected tables and on what reads them, the owner and the first superuser aside.';

-- Who the lint takes for an API role.  Logins that administrate are not meant:
-- those who may make roles or pass row security, and owners of the tables.
CREATE VIEW revdesk.api_roles AS
WITH RECURSIVE granted AS (
  SELECT DISTINCT grantee AS role FROM revdesk.reader_grants
  WHERE privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND grantee <> 0
), pools AS (
  SELECT oid AS role FROM pg_roles WHERE rolname = ANY (revdesk.setting_list('session_roles'))
  UNION
  SELECT pg_roles.oid FROM pg_roles JOIN granted ON pg_has_role(pg_roles.oid, granted.role, 'MEMBER')
  WHERE rolcanlogin AND NOT rolsuper AND NOT rolcreaterole AND NOT rolbypassrls
    AND pg_roles.oid NOT IN (SELECT relowner FROM revdesk.tenant_tables)
), reachable AS (
  SELECT oid AS role FROM pg_roles WHERE rolname = ANY (revdesk.setting_list('session_roles'))
  UNION
  SELECT roleid FROM pg_auth_members JOIN reachable ON member = reachable.role
)
SELECT pg_roles.oid AS role, pg_roles.rolcanlogin AS can_login, pg_roles.rolsuper OR pg_roles.rolbypassrls AS bypasses
FROM pg_roles
WHERE pg_roles.oid IN (SELECT role FROM granted UNION SELECT role FROM pools UNION SELECT role FROM reachable)
  AND pg_roles.rolname !~ '^pg_';
COMMENT ON VIEW revdesk.api_roles IS
  'API roles: those with privileges on protected tables or on views of them, the login roles that can become one, those in revdesk.session_roles, and what these can become. Not the owner of the table, nor the first superuser.';
