-- Every member of the extension: what kind of function it is, who may use it, and whether it is commented on.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
SET search_path = public;

SELECT member, lanname AS language, provolatile AS vol, proisstrict AS strict,
       proparallel AS par, proleakproof AS leak, prosecdef AS secdef,
       array_to_string(proconfig, '; ') AS config,
       (SELECT string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' WHEN proowner THEN 'owner' ELSE pg_get_userbyid(grantee) END, ', '
                          ORDER BY grantee DESC)
        FROM aclexplode(COALESCE(proacl, acldefault('f', proowner)))) AS execute,
       obj_description(pg_proc.oid, 'pg_proc') IS NOT NULL AS comment
FROM pg_depend
JOIN pg_proc ON pg_proc.oid = objid
JOIN pg_language ON pg_language.oid = prolang
CROSS JOIN LATERAL replace(pg_proc.oid::regprocedure::text, 'timestamp with time zone', 'timestamptz') AS member
WHERE classid = 'pg_proc'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
ORDER BY member COLLATE "C";

-- Tables, views and the schema.  Indexes, types, constraints and TOAST tables
-- belong to their tables.  MAINTAIN, which is there from 17 on, comes after.
SELECT member,
       (SELECT string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' WHEN owner THEN 'owner' ELSE pg_get_userbyid(grantee) END
                          || '=' || privileges, ', ' ORDER BY grantee DESC)
        FROM (SELECT grantee, string_agg(privilege_type, '+' ORDER BY privilege_type) AS privileges
              FROM aclexplode(acl) WHERE privilege_type <> 'MAINTAIN' GROUP BY grantee) AS by_grantee) AS acl,
       row_security, comment IS NOT NULL AS comment
FROM pg_depend
CROSS JOIN LATERAL pg_describe_object(classid, objid, 0) AS member
CROSS JOIN LATERAL (
  SELECT COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), relowner, obj_description(oid, 'pg_class'), relrowsecurity
  FROM pg_class WHERE classid = 'pg_class'::regclass AND oid = objid
  UNION ALL
  SELECT COALESCE(nspacl, acldefault('n', nspowner)), nspowner, obj_description(oid, 'pg_namespace'), NULL
  FROM pg_namespace WHERE classid = 'pg_namespace'::regclass AND oid = objid
) AS object (acl, owner, comment, row_security)
WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
ORDER BY member COLLATE "C";

-- MAINTAIN is the owner's alone.
SELECT relname, grantee
FROM pg_depend
JOIN pg_class ON pg_class.oid = objid
CROSS JOIN LATERAL aclexplode(relacl)
WHERE classid = 'pg_class'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
  AND privilege_type = 'MAINTAIN' AND grantee <> relowner;

-- Members of other kinds.
SELECT member
FROM pg_depend
CROSS JOIN LATERAL pg_describe_object(classid, objid, 0) AS member
WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
  AND classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass)
ORDER BY member COLLATE "C";

-- Triggers, and when they fire: A means always, in replication too.
SELECT tgrelid::regclass AS relation, tgname, tgenabled, tgdeferrable, tginitdeferred
FROM pg_trigger
JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'revdesk'::regnamespace AND NOT tgisinternal
ORDER BY tgrelid::regclass::text COLLATE "C", tgname;

-- What a dump holds of the tables.
SELECT dumped::regclass::text
FROM pg_extension CROSS JOIN unnest(extconfig) AS dumped
WHERE extname = 'revdesk_auth'
ORDER BY dumped::regclass::text COLLATE "C";

-- Nothing may be missing below: a function with SQL in it pins its
-- search_path with pg_temp last; one for everybody is in the list above.
SELECT objid::regprocedure AS unpinned
FROM pg_depend
JOIN pg_proc ON pg_proc.oid = objid
JOIN pg_language ON pg_language.oid = prolang
WHERE classid = 'pg_proc'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'revdesk_auth')
  AND (lanname NOT IN ('c', 'internal') OR prosecdef)
  AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (proconfig), false);

-- An API role reads none of the tables, by no privilege of PUBLIC's either.
SELECT relname, privilege
FROM pg_class
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE relnamespace = 'revdesk'::regnamespace AND relkind IN ('r', 'v')
  AND (has_table_privilege('regress_app', pg_class.oid, privilege)
       OR (privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
           AND has_any_column_privilege('regress_app', pg_class.oid, privilege)))
ORDER BY relname, privilege;
