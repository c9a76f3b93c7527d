-- lint_tables.sql: findings about tables, their policies, constraints, indexes
-- and triggers, and about what has changed since revdesk_protect().
--
-- The views of lint_*.sql have the same columns: code, object, message, fix.
-- They read catalogs only and take nothing for granted: what the registry
-- names may be gone.

CREATE FUNCTION revdesk.protect_call(target oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(
    (SELECT format('SELECT @extschema@.revdesk_protect(%L, tenant_column => %L, owner_column => %L, umbrella_column => %L, walk_up => %L);',
                   registered.root, registered.tenant_column, registered.owner_column,
                   registered.umbrella_column, registered.walk_up)
     FROM revdesk.protected_tables AS registered
     WHERE registered.relation = target),
    (SELECT format('SELECT @extschema@.revdesk_protect(%L, tenant_column => %L);', target::regclass, attname)
     FROM pg_attribute JOIN revdesk.tenant_columns ON tenant_columns.name = attname
     WHERE attrelid = target AND atttypid = 'uuid'::regtype AND NOT attisdropped AND attgenerated = ''
     ORDER BY attnum LIMIT 1),
    '-- call revdesk_protect() with the table''s columns of type uuid, or revdesk_exempt() with a reason');
END;
COMMENT ON FUNCTION revdesk.protect_call(oid) IS
  'The call of revdesk_protect() that protects the table as it was declared.';

-- What revdesk.create_policies() makes.
CREATE VIEW revdesk.expected_policies AS
WITH predicates AS (
  SELECT relation::oid AS relation, walk_up, owner_column IS NOT NULL AS has_owner,
         format('@extschema@.revdesk_scope_visible(%s, %s, %s)', COALESCE(quote_ident(tenant_column), 'NULL::uuid'),
                COALESCE(quote_ident(owner_column), 'NULL::uuid'), COALESCE(quote_ident(umbrella_column), 'NULL::uuid')) AS visible,
         format('@extschema@.revdesk_scope_readable_up(%s, %s)', COALESCE(quote_ident(tenant_column), 'NULL::uuid'),
                COALESCE(quote_ident(umbrella_column), 'NULL::uuid')) AS readable_up
  FROM revdesk.protected_tables
), declared AS (
  SELECT relation, walk_up, visible,
         CASE WHEN walk_up AND has_owner THEN format('(%s OR %s)', visible, readable_up)
              WHEN walk_up THEN readable_up ELSE visible END AS readable
  FROM predicates
)
SELECT declared.relation, policy.name, policy.permissive, policy.command, policy.reading, policy.writing
FROM declared CROSS JOIN LATERAL (VALUES
  (NULL::boolean, 'revdesk_permit', true, '*'::"char", declared.readable, 'true'),
  (false, 'revdesk_isolation', false, '*', declared.visible, declared.visible),
  (true, 'revdesk_isolation_select', false, 'r', declared.readable, NULL),
  (true, 'revdesk_isolation_insert', false, 'a', NULL, declared.visible),
  (true, 'revdesk_isolation_update', false, 'w', declared.visible, declared.visible),
  (true, 'revdesk_isolation_delete', false, 'd', declared.visible, NULL)
) AS policy (walk_up, name, permissive, command, reading, writing)
WHERE COALESCE(policy.walk_up = declared.walk_up, true);
COMMENT ON VIEW revdesk.expected_policies IS
  'The policies that each registered table should have.';

CREATE VIEW revdesk.lint_policies AS
SELECT 'TENANT_COLUMN_WITHOUT_POLICY' AS code, class.oid::regclass::text AS object,
       format('column %I holds tenants, and no policy of revdesk_auth holds the rows back', min(attname)) AS message,
       CASE WHEN bool_or(atttypid = 'uuid'::regtype AND attgenerated = '')
              THEN format('SELECT @extschema@.revdesk_protect(%L, tenant_column => %L);', class.oid::regclass,
                          min(attname) FILTER (WHERE atttypid = 'uuid'::regtype AND attgenerated = ''))
            ELSE '-- make the column one of type uuid and call revdesk_protect(), or call revdesk_exempt() with a reason' END AS fix
FROM pg_class AS class
JOIN pg_attribute ON attrelid = class.oid AND NOT attisdropped
JOIN revdesk.tenant_columns ON tenant_columns.name = attname
WHERE class.relkind IN ('r', 'p') AND class.relpersistence <> 't' AND class.oid >= 16384
  AND class.oid NOT IN (SELECT relation FROM revdesk.tenant_tables)
  AND NOT revdesk.is_of_extension('pg_class'::regclass, class.oid) AND NOT revdesk.is_exempt(class.oid)
GROUP BY class.oid
UNION ALL
SELECT 'RLS_DISABLED', relation::regclass::text, 'row security is disabled, so its policies hold nobody',
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', relation::regclass)
FROM revdesk.tenant_tables WHERE NOT relrowsecurity
UNION ALL
SELECT 'NO_FORCE', relation::regclass::text,
       format('row security does not hold the owner, %s, nor its views and SECURITY DEFINER functions', revdesk.role_name(relowner)),
       format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', relation::regclass)
FROM revdesk.tenant_tables WHERE NOT relforcerowsecurity
UNION ALL
SELECT CASE WHEN open.is_check THEN 'CHECK_NOT_ISOLATED' ELSE 'PERMISSIVE_SIBLING' END,
       format('policy %I on %s', open.policy, open.relation::regclass),
       format(CASE WHEN open.is_check THEN 'new rows of any tenant pass its check (%s)'
                   ELSE 'rows of every tenant pass it (%s), and no restrictive policy holds them back' END,
              string_agg(CASE open.command WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END,
                         ', ' ORDER BY open.command)),
       revdesk.protect_call(open.relation)
FROM revdesk.open_policies AS open
WHERE open.relation IN (SELECT relation FROM revdesk.tenant_tables)
GROUP BY open.relation, open.policy, open.is_check
UNION ALL
SELECT 'POLICY_DRIFT', relation::regclass::text,
       format('not as revdesk_protect() made it: policy %s',
              string_agg(quote_ident(name), ', ' ORDER BY name COLLATE "C")),
       revdesk.protect_call(relation)
FROM revdesk.expected_policies AS expected
WHERE relation IN (SELECT oid FROM pg_class)
  AND NOT EXISTS (
    SELECT FROM pg_policy
    WHERE polrelid = relation AND polname = name AND polpermissive = permissive AND polcmd = command AND polroles = '{0}'
      AND pg_get_expr(polqual, polrelid) IS NOT DISTINCT FROM reading
      AND pg_get_expr(polwithcheck, polrelid) IS NOT DISTINCT FROM writing)
GROUP BY relation
UNION ALL
SELECT 'POLICY_ADDED', format('policy %I on %s', polname, polrelid::regclass),
       'permissive, and not of revdesk_protect(): once the restrictive policy is gone it lets rows through',
       format('DROP POLICY %I ON %s;', polname, polrelid::regclass)
FROM pg_policy JOIN revdesk.tenant_tables ON relation = polrelid AND registered
WHERE polpermissive AND polname <> 'revdesk_permit' AND NOT revdesk.isolates(polqual)
UNION ALL
SELECT 'PREDICATE_WRAPPED', format('policy %I on %s', polname, polrelid::regclass),
       'the predicate is not on plain columns, or is inside an expression: no index can be used',
       '-- write the policy with revdesk_scope_visible(tenant_id, ...) itself, on columns alone; or use revdesk_protect()'
FROM pg_policy
WHERE NOT revdesk.compares_columns(polqual) OR NOT revdesk.compares_columns(polwithcheck)
UNION ALL
SELECT 'CTX_BY_CURRENT_SETTING', format('policy %I on %s', polname, polrelid::regclass),
       'reads a setting of revdesk_auth by current_setting(): where the library is not loaded yet, that is what the caller SET',
       '-- write the policy with revdesk_scope_visible() or revdesk_tenant_id() instead'
FROM pg_policy
WHERE concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ~* 'current_setting\(''revdesk\.';
COMMENT ON VIEW revdesk.lint_policies IS 'Findings of revdesk_lint(): row security and policies.';

CREATE VIEW revdesk.lint_tables AS
SELECT 'PARTITION_NO_RLS' AS code, child.oid::regclass::text AS object,
       format('read by its own name, it is without the row security of %s', inhparent::regclass) AS message,
       CASE WHEN child.relkind = 'f' THEN '-- a foreign table has no row security: detach it, or grant nobody anything on it'
            WHEN parent.registered THEN revdesk.protect_call(parent.relation)
            ELSE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;', child.oid::regclass) END AS fix
FROM revdesk.tenant_tables AS parent JOIN pg_inherits ON inhparent = parent.relation
JOIN pg_class AS child ON child.oid = inhrelid AND child.relkind IN ('r', 'p', 'f')
WHERE child.oid NOT IN (SELECT relation FROM revdesk.tenant_tables)
  AND NOT (child.relrowsecurity AND child.relforcerowsecurity
           AND child.oid NOT IN (SELECT relation FROM revdesk.open_policies))
UNION ALL
SELECT 'UMBRELLA_TRIGGER', relation::regclass::text,
       format('the trigger that keeps column %I right is gone, disabled or changed', umbrella_column), revdesk.protect_call(relation)
FROM revdesk.tenant_tables
WHERE umbrella_column IS NOT NULL AND tenant_column IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = relation AND tgname = 'zz_revdesk_umbrella' AND tgenabled = 'A' AND tgtype = 23
      AND tgfoid = 'revdesk.set_umbrella()'::regprocedure AND tgqual IS NULL AND tgattr::text = ''
      AND tgargs = convert_to(tenant_column, getdatabaseencoding()) || '\x00'::bytea
                   || convert_to(umbrella_column, getdatabaseencoding()) || '\x00'::bytea)
UNION ALL
SELECT 'REGISTRY_STALE', relation::oid::text, 'the registry has a table that does not exist',
       format('DELETE FROM revdesk.protected_tables WHERE relation::oid = %s;', relation::oid)
FROM revdesk.protected_tables WHERE NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = relation)
UNION ALL
SELECT 'REGISTRY_COLUMN', relation::regclass::text,
       format('column %I, which it was protected by, is gone or is not of type uuid', declared.name),
       '-- call revdesk_protect() with the columns that the table has now'
FROM revdesk.tenant_tables
CROSS JOIN LATERAL (VALUES (tenant_column), (owner_column), (umbrella_column)) AS declared (name)
WHERE registered AND declared.name IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = declared.name
                  AND NOT attisdropped AND atttypid = 'uuid'::regtype)
UNION ALL
SELECT 'TENANT_NULLABLE', relation::regclass::text,
       format('column %I may be null, and such a row is nobody''s', tenant_column),
       format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', relation::regclass, tenant_column)
FROM revdesk.tenant_tables JOIN pg_attribute ON attrelid = relation AND attname = tenant_column AND NOT attisdropped
WHERE owner_column IS NULL AND NOT attnotnull AND relation = root
UNION ALL
SELECT 'TENANT_NOT_INDEXED', relation::regclass::text,
       format('no valid index is led by column %I', name),
       COALESCE((SELECT 'REINDEX INDEX ' || min(indexrelid::regclass::text) || ';' FROM pg_index
                 WHERE indrelid = relation AND indkey[0] = attnum AND NOT (indisvalid AND indisready)),
                format('CREATE INDEX ON %s (%I);', relation::regclass, name))
FROM revdesk.tenant_tables
CROSS JOIN LATERAL (VALUES (tenant_column), (owner_column), (umbrella_column)) AS declared (name)
JOIN pg_attribute ON attrelid = relation AND attname = declared.name AND NOT attisdropped
WHERE NOT EXISTS (
  SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
  WHERE indrelid = relation AND indkey[0] = attnum AND indisvalid AND indisready AND amname = 'btree'
    AND (indpred IS NULL OR name = owner_column))
UNION ALL
SELECT 'RULE_ON_TABLE', format('rule %I on %s', rulename, relation::regclass),
       'rules act with the rights of the table''s owner',
       format('ALTER TABLE %s DISABLE RULE %I;', relation::regclass, rulename)
FROM revdesk.tenant_tables JOIN pg_rewrite ON ev_class = relation AND ev_enabled <> 'D'
UNION ALL
SELECT 'FOREIGN_TRIGGER_OWNER', format('trigger %I on %s', tgname, relation::regclass),
       format('its function belongs to %s, who so sees every tenant''s new rows', revdesk.role_name(proowner)),
       format('ALTER TABLE %s DISABLE TRIGGER %I;', relation::regclass, tgname)
FROM revdesk.tenant_tables
JOIN pg_trigger ON tgrelid = relation AND NOT tgisinternal AND tgenabled <> 'D'
JOIN pg_proc ON pg_proc.oid = tgfoid
JOIN pg_roles ON pg_roles.oid = proowner
WHERE proowner <> relowner AND NOT rolsuper AND NOT pg_has_role(relowner, proowner, 'MEMBER')
UNION ALL
SELECT 'NOTIFY_IN_TRIGGER', format('trigger %I on %s', tgname, relation::regclass),
       'its function notifies, and every session of the database may listen',
       '-- leave rows and ids of tenants out of what it notifies'
FROM revdesk.tenant_tables
JOIN pg_trigger ON tgrelid = relation AND NOT tgisinternal AND tgenabled <> 'D'
JOIN pg_proc ON pg_proc.oid = tgfoid AND prosrc ~* '\m(pg_)?notify\M'
UNION ALL
SELECT 'UNPROTECTED_TABLE', class.oid::regclass::text, 'unprotected in an exposed schema: ' || revdesk.exposure(class.oid),
       CASE WHEN class.relkind IN ('r', 'p') THEN revdesk.protect_call(class.oid)
            WHEN class.relkind = 'v' THEN format('ALTER VIEW %s SET (security_invoker = true);', class.oid::regclass)
            ELSE '-- move it to another schema, or call revdesk_exempt() with a reason' END
FROM pg_class AS class JOIN pg_namespace ON pg_namespace.oid = class.relnamespace
WHERE nspname = ANY (revdesk.setting_list('exposed_schemas')) AND class.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND revdesk.exposure(class.oid) IS NOT NULL
UNION ALL
SELECT 'TABLE_EXEMPT', relation::text,
       format('unprotected on purpose, by %s on %s: %s', quote_ident(exempted_by), exempted_at::date, reason),
       format('SELECT @extschema@.revdesk_unexempt(%s::oid::regclass);', relation::oid)
FROM revdesk.exempt_tables;
COMMENT ON VIEW revdesk.lint_tables IS 'Findings of revdesk_lint(): tables, and the registry of those that are protected.';

-- RI checks and unique indexes look past row security.
CREATE VIEW revdesk.lint_constraints AS
WITH keys AS (
  SELECT keys.*, parent.relation AS parent, parent.tenant_column,
         (SELECT child.tenant_column FROM revdesk.tenant_tables AS child WHERE child.relation = keys.conrelid) AS child_column,
         (SELECT string_agg(quote_ident(attname), ', ' ORDER BY place)
          FROM unnest(keys.conkey) WITH ORDINALITY AS columns (number, place)
          JOIN pg_attribute ON attrelid = keys.conrelid AND attnum = number) AS from_columns,
         (SELECT string_agg(quote_ident(attname), ', ' ORDER BY place)
          FROM unnest(keys.confkey) WITH ORDINALITY AS columns (number, place)
          JOIN pg_attribute ON attrelid = keys.confrelid AND attnum = number) AS to_columns
  FROM pg_constraint AS keys
  JOIN revdesk.tenant_tables AS parent ON parent.relation = keys.confrelid
  JOIN pg_attribute AS tenant ON tenant.attrelid = keys.confrelid AND tenant.attname = parent.tenant_column
  WHERE keys.contype = 'f' AND keys.conparentid = 0 AND NOT tenant.attnum = ANY (keys.confkey)
)
SELECT 'FK_WITHOUT_TENANT' AS code, format('constraint %I on %s', conname, conrelid::regclass) AS object,
       format('refers to rows of every tenant in %s: it tells which ids exist, and ON DELETE reaches other tenants'' rows', parent::regclass) AS message,
       CASE WHEN child_column IS NOT NULL AND confupdtype IN ('a', 'r', 'c') THEN
         format('ALTER TABLE %1$s ADD UNIQUE (%2$I, %3$s); ALTER TABLE %4$s DROP CONSTRAINT %5$I, ADD CONSTRAINT %5$I FOREIGN KEY (%6$I, %7$s) REFERENCES %1$s (%2$I, %3$s)%8$s%9$s%10$s;',
                parent::regclass, tenant_column, to_columns, conrelid::regclass, conname, child_column, from_columns,
                CASE confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' END,
                CASE confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
                                 WHEN 'n' THEN format(' ON DELETE SET NULL (%s)', from_columns)
                                 WHEN 'd' THEN format(' ON DELETE SET DEFAULT (%s)', from_columns) END,
                CASE WHEN condeferrable THEN ' DEFERRABLE' || CASE WHEN condeferred THEN ' INITIALLY DEFERRED' ELSE '' END END)
       ELSE '-- give both tables the tenant, and the foreign key the columns (tenant, id)' END AS fix
FROM keys
UNION ALL
SELECT 'UNIQUE_WITHOUT_TENANT', format('index %s', indexrelid::regclass),
       format('unique across tenants, so it tells that a hidden row of %s has a value', indrelid::regclass),
       CASE WHEN constraints.contype = 'u' AND indexprs IS NULL
             AND NOT EXISTS (SELECT FROM pg_constraint AS users WHERE users.contype = 'f' AND users.conindid = indexrelid) THEN
         format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I UNIQUE (%3$I, %4$s)%5$s;',
                indrelid::regclass, constraints.conname, tenant_column,
                (SELECT string_agg(quote_ident(attname), ', ' ORDER BY place)
                 FROM unnest(constraints.conkey) WITH ORDINALITY AS columns (number, place)
                 JOIN pg_attribute ON attrelid = indrelid AND attnum = number),
                CASE WHEN constraints.condeferrable THEN ' DEFERRABLE' END)
       ELSE '-- make it unique over the tenant column and its own, or use a random uuid' END
FROM revdesk.tenant_tables
JOIN pg_index ON indrelid = relation AND (indisunique OR indisexclusion)
JOIN pg_attribute AS tenant ON tenant.attrelid = relation AND tenant.attname = tenant_column AND NOT tenant.attisdropped
JOIN pg_class AS index ON index.oid = indexrelid AND NOT index.relispartition
LEFT JOIN pg_constraint AS constraints ON constraints.conindid = indexrelid AND constraints.contype IN ('p', 'u', 'x')
LEFT JOIN pg_attribute AS first ON first.attrelid = relation AND first.attnum = indkey[0]
WHERE NOT tenant.attnum = ANY (indkey)
  -- A random uuid cannot be guessed.
  AND NOT (indnkeyatts = 1 AND COALESCE(first.atttypid = 'uuid'::regtype, false));
COMMENT ON VIEW revdesk.lint_constraints IS 'Findings of revdesk_lint(): foreign keys and unique constraints without the tenant.';
