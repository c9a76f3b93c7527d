-- revoke.sql: nobody may use anything.  It looks at all that the parts before
-- have made, and at an upgrade leaves alone what was there before.

-- ALTER DEFAULT PRIVILEGES may have granted anything on the new objects, and
-- PostgreSQL itself grants EXECUTE on functions to PUBLIC.  Take all back.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    WITH members AS (
      SELECT depend.classid, depend.objid
      FROM pg_depend AS depend
      JOIN pg_extension AS extension ON extension.oid = depend.refobjid
      WHERE depend.refclassid = 'pg_extension'::regclass AND depend.deptype = 'e'
        AND extension.extname = 'revdesk_auth'
        AND format('%s:%s', depend.classid, depend.objid)
          <> ALL (string_to_array(current_setting('revdesk_auth.members_before'), ' '))
    ), acls AS (
      SELECT format('TABLE %s', class.oid::regclass) AS object, class.relacl AS acl, class.relowner AS owner
      FROM members JOIN pg_class AS class ON class.oid = members.objid
      WHERE members.classid = 'pg_class'::regclass
      UNION ALL
      SELECT format('FUNCTION %s', proc.oid::regprocedure),
             COALESCE(proc.proacl, acldefault('f', proc.proowner)), proc.proowner
      FROM members JOIN pg_proc AS proc ON proc.oid = members.objid
      WHERE members.classid = 'pg_proc'::regclass
      UNION ALL
      SELECT format('SCHEMA %I', namespace.nspname), namespace.nspacl, namespace.nspowner
      FROM members JOIN pg_namespace AS namespace ON namespace.oid = members.objid
      WHERE members.classid = 'pg_namespace'::regclass
    )
    SELECT DISTINCT acls.object,
           CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END AS grantee
    FROM acls, aclexplode(acls.acl) AS item
    WHERE item.grantee <> acls.owner
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', granted.object, granted.grantee);
  END LOOP;
END
$$;
