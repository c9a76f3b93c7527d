-- explain.sql: why a key sees a row, or does not.
--
-- Every policy is put to the row, as the role would put it, for the key; all of
-- it in a subtransaction that is rolled back.

CREATE FUNCTION revdesk.authorize_explanation(target regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  caller oid := revdesk.calling_role();
BEGIN
  IF @extschema@.revdesk_scope() IS NOT NULL
     OR EXISTS (SELECT FROM unnest('{tenants,users,memberships,api_keys}'::text[]) AS name
                WHERE NOT has_table_privilege(caller, 'revdesk.' || name, 'SELECT'))
     OR NOT (pg_has_role(caller, revdesk.owner_of(target), 'USAGE')
             OR EXISTS (SELECT FROM pg_roles WHERE oid = caller AND (rolsuper OR rolbypassrls))) THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('may not explain who sees the rows of %s', target),
      HINT = 'Be the owner of the table, or a role that bypasses row security, with SELECT on the tables of schema revdesk, in a transaction without a context.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.authorize_explanation(regclass) IS
  'Raises 42501 unless the caller could find out by itself: it sees all rows of the table, and all keys, tenants, users and members.';

CREATE FUNCTION revdesk.find_row(target regclass, row_key jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  unknown text;
  condition text;
  answer record;
BEGIN
  IF jsonb_typeof(row_key) IS DISTINCT FROM 'object' OR row_key = '{}' THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'a row key must be a JSON object of columns and their values',
      HINT = 'For example, {"id": 42}.';
  END IF;
  SELECT key INTO unknown FROM jsonb_object_keys(row_key) AS key
  WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = target AND attname::text = key AND attnum > 0 AND NOT attisdropped);
  IF FOUND THEN
    RAISE undefined_column USING MESSAGE = format('column "%s" of table %s does not exist', unknown, target);
  END IF;
  SELECT string_agg(CASE WHEN value IS NULL THEN format('%I IS NULL', key)
                         ELSE format('%I = %L::%s', key, value, format_type(atttypid, atttypmod)) END, ' AND ') INTO condition
  FROM jsonb_each_text(row_key) JOIN pg_attribute ON attrelid = target AND attname::text = key;
  answer := revdesk.run_as(revdesk.owner_of(target), format('SELECT (found.*)::text FROM %s AS found WHERE %s LIMIT 2', target, condition), true);
  IF answer.rows = 0 THEN
    RAISE SQLSTATE '02000' USING
      MESSAGE = format('table %s has no row with this key', target),
      HINT = 'The key is compared with all rows, whoever sees them.';
  ELSIF answer.rows > 1 THEN
    RAISE cardinality_violation USING
      MESSAGE = format('table %s has more than one row with this key', target),
      HINT = 'Give more columns, such as those of its primary key.';
  END IF;
  RETURN answer.value;
END
$$;
COMMENT ON FUNCTION revdesk.find_row(regclass, jsonb) IS
  'The one row of a table with these values, as text. 22023, 42703, 02000 or 21000 for a key that does not say which.';

-- Fenced by OFFSET 0, so that the columns stay columns: a predicate takes a
-- null that is none for a table without that column.
CREATE FUNCTION revdesk.ask_row(role oid, key_id uuid, target regclass, "row" text, expression text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tried record;
BEGIN
  tried := revdesk.attempt(role, key_id::text, (
    SELECT format('SELECT (%s)::text FROM (SELECT (one.value).* FROM (SELECT %L::%s AS value OFFSET 0) AS one OFFSET 0) AS %I',
                  expression, "row", format_type(reltype, NULL), relname)
    FROM pg_class WHERE oid = target));
  RETURN CASE tried.state WHEN '00000' THEN COALESCE(tried.value, 'null') ELSE format('error %s: %s', tried.state, tried.message) END;
END
$$;
COMMENT ON FUNCTION revdesk.ask_row(oid, uuid, regclass, text, text) IS
  'What an expression is for a row, to a role and a key: true, false, null or the error.';

-- The reasons in the order of authentication.
CREATE FUNCTION revdesk.key_problem(key revdesk.api_keys, OUT reason text, OUT change text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tenant revdesk.tenants;
  suspended uuid;
BEGIN
  SELECT * INTO tenant FROM revdesk.tenants WHERE id = key.tenant_id;
  SELECT id INTO suspended FROM revdesk.tenants
  WHERE id IN (tenant.id, tenant.umbrella_id) AND suspended_at IS NOT NULL ORDER BY umbrella_id NULLS FIRST LIMIT 1;
  CASE
    WHEN key.revoked_at IS NOT NULL THEN
      reason := format('the key is revoked since %s', key.revoked_at);
      change := CASE WHEN key.replaced_by IS NULL THEN 'make another key with revdesk_create_key()'
                     ELSE format('use the key in its place, %s', key.replaced_by) END;
    WHEN key.expires_at <= clock_timestamp() THEN
      reason := format('the key expired at %s', key.expires_at);
      change := 'make another key with revdesk_create_key()';
    WHEN NOT EXISTS (SELECT FROM regexp_split_to_table(lower(current_setting('revdesk.accepted_environments')), '[\s",]+') AS name
                     WHERE name = key.environment) THEN
      reason := format('keys of environment %s are not accepted here', key.environment);
      change := 'change revdesk.accepted_environments, or use a key of another environment';
    WHEN key.user_id IS NOT NULL
         AND NOT EXISTS (SELECT FROM revdesk.users WHERE id = key.user_id AND disabled_at IS NULL) THEN
      reason := format('the user of the key, %s, is disabled', key.user_id);
      change := format('SELECT revdesk_enable_user(%L)', key.user_id);
    WHEN suspended IS NOT NULL THEN
      reason := format('tenant %s is suspended', suspended);
      change := format('SELECT revdesk_resume_tenant(%L)', suspended);
    ELSE
      NULL;
  END CASE;
END
$$;
COMMENT ON FUNCTION revdesk.key_problem(revdesk.api_keys) IS
  'Why a key is rejected, wherever it comes from, and what would change that; null if it is not.';

CREATE FUNCTION revdesk.explain_tenant(
  key revdesk.api_keys, declared revdesk.protected_tables, tenant_id uuid, owner_id uuid, umbrella_id uuid,
  OUT reason text, OUT change text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  row_tenant revdesk.tenants;
  key_umbrella uuid := (SELECT COALESCE(tenants.umbrella_id, tenants.id) FROM revdesk.tenants WHERE tenants.id = key.tenant_id);
  row_umbrella uuid;
BEGIN
  SELECT * INTO row_tenant FROM revdesk.tenants WHERE tenants.id = explain_tenant.tenant_id;
  row_umbrella := COALESCE(row_tenant.umbrella_id, row_tenant.id);
  CASE
    WHEN tenant_id IS NULL AND key.scope = 'user' AND owner_id = key.user_id THEN
      reason := 'the row is the user''s own';
    WHEN tenant_id IS NULL AND owner_id IS NULL THEN
      reason := 'the row has neither a tenant nor an owner: no key sees it';
      change := format('give it a tenant: column %I', declared.tenant_column);
    WHEN tenant_id IS NULL THEN
      reason := format('the row is the own of user %s: only keys of scope user of that user see it', owner_id);
      change := format('a key of scope user for %s', owner_id);
    WHEN declared.umbrella_column IS NOT NULL AND umbrella_id IS DISTINCT FROM row_umbrella THEN
      reason := format('column %I holds %s, and the umbrella of the row''s tenant is %s', declared.umbrella_column,
                       COALESCE(umbrella_id::text, 'null'), COALESCE(row_umbrella::text, 'not known'));
      change := format('call revdesk_protect() again for %s: it sets the column right', declared.root);
    WHEN key.tenant_id = tenant_id THEN
      reason := 'the row is of the key''s tenant';
    WHEN row_tenant.id IS NULL THEN
      reason := format('the row''s tenant, %s, does not exist', tenant_id);
      change := 'give the row a tenant that exists';
    WHEN key.scope = 'user' AND NOT EXISTS (SELECT FROM revdesk.memberships AS members
                                            WHERE members.user_id = key.user_id AND members.tenant_id = row_tenant.id) THEN
      reason := format('user %s is not a member of the row''s tenant, %s', key.user_id, row_tenant.id);
      change := format('SELECT revdesk_add_member(%L, %L)', row_tenant.id, key.user_id);
    WHEN key.scope = 'user' AND EXISTS (SELECT FROM revdesk.tenants AS suspended
                                        WHERE suspended.id IN (row_tenant.id, row_umbrella) AND suspended.suspended_at IS NOT NULL) THEN
      reason := format('the row''s tenant, %s, or its umbrella is suspended', row_tenant.id);
      change := (SELECT string_agg(format('SELECT revdesk_resume_tenant(%L)', suspended.id), '; ') FROM revdesk.tenants AS suspended
                 WHERE suspended.id IN (row_tenant.id, row_umbrella) AND suspended.suspended_at IS NOT NULL);
    WHEN key.scope = 'user' THEN
      reason := format('the user is a member of the row''s tenant, %s', row_tenant.id);
    WHEN row_umbrella <> key_umbrella THEN
      reason := format('the row''s tenant, %s, belongs to another umbrella, %s', row_tenant.id, row_umbrella);
      change := format('a key of tenant %s, or of organization %s', row_tenant.id, row_umbrella);
    WHEN key.scope = 'organization' THEN
      reason := format('the row''s tenant, %s, is a sub-entity of the key''s organization', row_tenant.id);
    WHEN row_tenant.id = key_umbrella AND declared.walk_up THEN
      reason := 'the row is of the key''s umbrella: on a walk-up table a sub-entity reads it, and does not write it';
      change := format('to write, a key of organization %s', key_umbrella);
    WHEN row_tenant.id = key_umbrella THEN
      reason := 'the row is of the key''s umbrella, and the table is not declared walk-up';
      change := format('a key of organization %s; or revdesk_protect() with walk_up => true, to read', key_umbrella);
    ELSE
      reason := format('the row''s tenant, %s, is a sibling of the key''s', row_tenant.id);
      change := format('a key of tenant %s, or of organization %s', row_tenant.id, row_umbrella);
  END CASE;
END
$$;
COMMENT ON FUNCTION revdesk.explain_tenant(revdesk.api_keys, revdesk.protected_tables, uuid, uuid, uuid) IS
  'How a row''s tenant, owner and umbrella are to a key, and what would change that.';

-- An UPDATE that changes nothing still has the umbrella column set right.
CREATE FUNCTION revdesk.updated_row(declared revdesk.protected_tables, "row" text, tenant_id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF declared.umbrella_column IS NULL
     OR NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = declared.relation AND tgname = 'zz_revdesk_umbrella' AND tgenabled <> 'D') THEN
    RETURN "row";
  END IF;
  RETURN (revdesk.run_as(revdesk.owner_of(declared.relation), (
    SELECT format('SELECT jsonb_populate_record(%L::%s, %L)::text', "row", format_type(reltype, NULL),
                  jsonb_build_object(declared.umbrella_column, (
                    SELECT COALESCE(tenants.umbrella_id, tenants.id) FROM revdesk.tenants WHERE tenants.id = updated_row.tenant_id)))
    FROM pg_class WHERE oid = declared.relation))).value;
END
$$;
COMMENT ON FUNCTION revdesk.updated_row(revdesk.protected_tables, text, uuid) IS
  'A row as an UPDATE leaves it.';

CREATE FUNCTION revdesk.policies_for(target regclass, role oid, key_id uuid, "row" text, updated text) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(jsonb_agg(jsonb_build_object(
           'name', polname, 'permissive', polpermissive, 'command', polcmd, 'roles', roles.names,
           'applies', roles.applies, 'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid),
           'reads', CASE WHEN roles.applies AND polqual IS NOT NULL
                         THEN revdesk.ask_row(role, key_id, target, "row", pg_get_expr(polqual, polrelid)) END,
           'writes', CASE WHEN roles.applies AND COALESCE(polwithcheck, polqual) IS NOT NULL
                          THEN revdesk.ask_row(role, key_id, target, updated, pg_get_expr(COALESCE(polwithcheck, polqual), polrelid)) END)
           ORDER BY polname), '[]')
  FROM pg_policy CROSS JOIN LATERAL (
    SELECT string_agg(CASE member WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(member) END, ', ') AS names,
           bool_or(member = 0 OR pg_has_role(role, NULLIF(member, 0), 'USAGE')) AS applies
    FROM unnest(polroles) AS member) AS roles
  WHERE polrelid = target;
END;
COMMENT ON FUNCTION revdesk.policies_for(regclass, oid, uuid, text, text) IS
  'The policies of a table, and what each says to a row, to a role and a key.';

-- As PostgreSQL joins them: some permissive one, and all restrictive ones.
CREATE FUNCTION revdesk.policies_pass(policies jsonb, command "char", question text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(bool_or(policy->>question = 'true') FILTER (WHERE (policy->>'permissive')::boolean), false)
     AND COALESCE(bool_and(policy->>question = 'true') FILTER (WHERE NOT (policy->>'permissive')::boolean), true)
  FROM jsonb_array_elements(policies) AS policy
  WHERE policy->>question IS NOT NULL AND policy->>'command' IN (command::text, '*');
END;
COMMENT ON FUNCTION revdesk.policies_pass(jsonb, "char", text) IS
  'Do the policies let a row through? question: reads, for USING, or writes, for WITH CHECK.';

CREATE FUNCTION revdesk.explain_policies(policies jsonb, OUT subject text, OUT verdict text, OUT reason text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT 'policy ' || (policy->>'name'),
         CASE WHEN NOT (policy->>'applies')::boolean THEN 'does not apply'
              WHEN COALESCE(policy->>'reads', policy->>'writes') = 'true' THEN 'passes'
              WHEN COALESCE(policy->>'reads', policy->>'writes') IN ('false', 'null') THEN 'fails'
              ELSE COALESCE(policy->>'reads', policy->>'writes') END,
         format('%s, for %s, to %s', CASE WHEN (policy->>'permissive')::boolean THEN 'permissive' ELSE 'restrictive' END,
                CASE policy->>'command' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                policy->>'roles')
         || COALESCE('; USING ' || (policy->>'using'), '')
         || COALESCE('; WITH CHECK ' || (policy->>'check') || CASE WHEN policy->>'writes' <> 'true' THEN ', which fails' ELSE '' END, '')
         || CASE
              WHEN NOT (policy->>'applies')::boolean OR policy->>'command' NOT IN ('r', '*') THEN ''
              WHEN NOT (policy->>'permissive')::boolean AND policy->>'reads' <> 'true' THEN '; it decides: a restrictive policy that fails hides the row'
              WHEN (policy->>'permissive')::boolean AND policy->>'reads' <> 'true'
                   AND NOT EXISTS (SELECT FROM jsonb_array_elements(policies) AS other
                                   WHERE (other->>'permissive')::boolean AND other->>'command' IN ('r', '*') AND other->>'reads' = 'true')
                THEN '; it decides: no permissive policy passes'
              ELSE '' END
  FROM jsonb_array_elements(policies) AS policy;
END;
COMMENT ON FUNCTION revdesk.explain_policies(jsonb) IS
  'A line for each policy, and whether it decides that the row is not seen.';

-- How row security holds a role at a table: null for yes, else why not.
CREATE FUNCTION revdesk.not_held(target regclass, role oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE
    WHEN NOT class.relrowsecurity THEN 'row security is off for the table'
    WHEN roles.rolsuper OR roles.rolbypassrls THEN 'the role bypasses row security'
    WHEN pg_has_role(role, class.relowner, 'USAGE') AND NOT class.relforcerowsecurity THEN 'the role owns the table, and row security is not forced'
  END
  FROM pg_class AS class, pg_roles AS roles WHERE class.oid = target AND roles.oid = role;
END;
COMMENT ON FUNCTION revdesk.not_held(regclass, oid) IS
  'Why policies do not hold a role at a table; null if they do.';

CREATE FUNCTION revdesk.explain(
  target regclass, row_key jsonb, key revdesk.api_keys, declared revdesk.protected_tables, role oid,
  OUT subject text, OUT verdict text, OUT reason text, OUT change text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  "row" text := revdesk.find_row(target, row_key);
  owner oid := revdesk.owner_of(target);
  tenant_id uuid;
  owner_id uuid;
  umbrella_id uuid;
  unheld text := revdesk.not_held(target, role);
  policies jsonb := '[]';
  problem record := revdesk.key_problem(key);
  relation record;
  sees boolean;
  line record;
BEGIN
  tenant_id := NULLIF(revdesk.ask_row(owner, NULL, target, "row", COALESCE(quote_ident(declared.tenant_column), 'NULL')), 'null');
  owner_id := NULLIF(revdesk.ask_row(owner, NULL, target, "row", COALESCE(quote_ident(declared.owner_column), 'NULL')), 'null');
  umbrella_id := NULLIF(revdesk.ask_row(owner, NULL, target, "row", COALESCE(quote_ident(declared.umbrella_column), 'NULL')), 'null');
  IF unheld IS NULL THEN
    policies := revdesk.policies_for(target, role, key.id, "row", revdesk.updated_row(declared, "row", tenant_id));
  END IF;
  relation := revdesk.explain_tenant(key, declared, tenant_id, owner_id, umbrella_id);

  RETURN QUERY SELECT 'table ' || target, 'protected',
    concat_ws(', ', 'tenant ' || declared.tenant_column, 'owner ' || declared.owner_column, 'umbrella ' || declared.umbrella_column,
              CASE WHEN declared.walk_up THEN 'walk-up' END, CASE WHEN declared.root <> target THEN 'with ' || declared.root END), NULL::text;
  RETURN QUERY SELECT 'role ' || pg_get_userbyid(role), CASE WHEN unheld IS NULL THEN 'held by row security' ELSE 'not held' END, unheld, NULL::text;
  RETURN QUERY SELECT 'key ' || key.id, CASE WHEN problem.reason IS NULL THEN 'accepted' ELSE 'rejected' END,
    concat_ws('; ', problem.reason, format('scope %s, access %s', key.scope, key.access), 'tenant ' || key.tenant_id, 'user ' || key.user_id,
              'only from ' || array_to_string(key.allowed_networks, ', '),
              CASE key.scope WHEN 'user' THEN COALESCE('member of ' || (
                SELECT string_agg(members.tenant_id::text, ', ' ORDER BY members.tenant_id)
                FROM revdesk.memberships AS members WHERE members.user_id = key.user_id), 'member of no tenant') END), problem.change;
  RETURN QUERY SELECT 'row', NULL::text, concat_ws('; ', 'tenant ' || COALESCE(tenant_id::text, 'null'), 'owner ' || owner_id::text,
    'umbrella ' || umbrella_id::text, relation.reason), relation.change;
  RETURN QUERY SELECT explained.*, NULL::text FROM revdesk.explain_policies(policies) AS explained;

  sees := unheld IS NOT NULL OR revdesk.policies_pass(policies, 'r', 'reads');
  FOR line IN
    SELECT * FROM (VALUES
      ('SELECT', sees, true),
      ('UPDATE', unheld IS NOT NULL OR (sees AND revdesk.policies_pass(policies, 'w', 'reads') AND revdesk.policies_pass(policies, 'w', 'writes')), false),
      ('DELETE', unheld IS NOT NULL OR (sees AND revdesk.policies_pass(policies, 'd', 'reads')), false)) AS commands (name, passes, reads)
  LOOP
    subject := line.name;
    SELECT COALESCE(
      CASE WHEN NOT has_schema_privilege(role, relnamespace, 'USAGE') THEN 'the role has no USAGE on the table''s schema'
           WHEN line.name = 'DELETE' AND NOT has_table_privilege(role, target, line.name)
             OR line.name <> 'DELETE' AND NOT has_any_column_privilege(role, target, line.name) THEN format('the role has no %s on the table', line.name) END,
      problem.reason,
      CASE WHEN key.access = 'read' AND NOT line.reads THEN 'the key''s access is read' END) INTO reason
    FROM pg_class WHERE oid = target;
    verdict := CASE WHEN line.passes AND reason IS NULL THEN 'yes' ELSE 'no' END;
    change := CASE WHEN reason IS NOT NULL AND reason = problem.reason THEN problem.change
                   WHEN reason IS NULL AND NOT line.passes THEN relation.change END;
    reason := COALESCE(reason, unheld, CASE WHEN line.passes THEN 'the policies let it pass' ELSE 'the policies do not let it pass' END
                                       || ': ' || relation.reason);
    RETURN NEXT;
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.explain(regclass, jsonb, revdesk.api_keys, revdesk.protected_tables, oid) IS
  'The lines of revdesk_explain_visibility(). To be called in a subtransaction.';

-- The policies' code is the table owner's.  So that nobody has it run as a role
-- that is not theirs, the caller must be a member of the role.  A superuser is one
-- of all, so what the superuser has not named must be the owner's, if there is
-- code of others.
CREATE FUNCTION revdesk.role_to_ask(target regclass, role name) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owners_only boolean := role IS NULL AND EXISTS (SELECT FROM revdesk.dangers(target));
  asked oid;
BEGIN
  IF role IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
    RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', role);
  END IF;
  SELECT oid INTO asked FROM pg_roles
  WHERE CASE WHEN role IS NULL THEN oid IN (SELECT revdesk.roles_of(target) UNION SELECT revdesk.owner_of(target))
             ELSE rolname = role END
    AND pg_has_role(revdesk.calling_role(), oid, 'MEMBER')
    AND (NOT owners_only OR pg_has_role(revdesk.owner_of(target), oid, 'MEMBER'))
  ORDER BY oid = revdesk.owner_of(target), rolname LIMIT 1;
  IF NOT FOUND THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('must be member of a role that reads %s', target),
      HINT = 'Be a member of the role to explain for, or a superuser.';
  END IF;
  RETURN asked;
END
$$;
COMMENT ON FUNCTION revdesk.role_to_ask(regclass, name) IS
  'The role by its name, or else the first that was granted something on the table and that the caller is a member of (and the owner, if the table runs code of others), or else the owner. 42501 if there is none.';

-- SECURITY DEFINER, to act as the role and for the key.  What the policies call
-- runs as the role, which cannot come back.
CREATE FUNCTION @extschema@.revdesk_explain_visibility(
  target regclass, row_key jsonb, key_id uuid, role name DEFAULT NULL,
  OUT step integer, OUT subject text, OUT verdict text, OUT reason text, OUT change text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
  declared revdesk.protected_tables;
  asked oid;
  lines jsonb;
  done boolean := false;
BEGIN
  PERFORM revdesk.authorize_explanation(target);
  SELECT * INTO declared FROM revdesk.protected_tables WHERE relation = target;
  IF NOT FOUND THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = format('table %s is not protected', target),
      HINT = 'Protect it with revdesk_protect().';
  END IF;
  SELECT * INTO key FROM revdesk.api_keys WHERE id = key_id;
  IF NOT FOUND THEN
    RAISE undefined_object USING
      MESSAGE = format('key "%s" does not exist', key_id),
      HINT = 'Give the id of a key, as in revdesk.api_keys, never the key itself.';
  END IF;
  asked := revdesk.role_to_ask(target, role);

  BEGIN
    PERFORM set_config('row_security', 'on', true), set_config('jit', 'off', true);
    SELECT jsonb_agg(jsonb_build_array(line.subject, line.verdict, line.reason, line.change) ORDER BY line.ordinality) INTO lines
    FROM revdesk.explain(target, row_key, key, declared, asked) WITH ORDINALITY AS line;
    done := true;
    RAISE SQLSTATE 'RDS00';
  EXCEPTION WHEN SQLSTATE 'RDS00' THEN
    IF NOT done THEN
      RAISE;
    END IF;
  END;
  RETURN QUERY SELECT ordinality::integer, line->>0, line->>1, line->>2, line->>3
               FROM jsonb_array_elements(lines) WITH ORDINALITY AS numbered (line, ordinality);
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_explain_visibility(regclass, jsonb, uuid, name) IS
  'Why a role with a key may read, update and delete a row, or not, and what would change that: the table, the role, the key, the row, every policy, and the verdicts. row_key: an object of columns that tells the row, such as {"id": 42}. For roles that see all rows of the table and of the schema revdesk. 02000 for no such row, 21000 for more than one, 55000 for a table that is not protected.';
