-- Which conditions of policies hold rows of others back, and which of them an index can answer.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
BEGIN;
SET LOCAL search_path = public;
CREATE TABLE regress_rows (tenant_id uuid, umbrella_id uuid, label text, flag boolean);
CREATE FUNCTION revdesk_scope_visible(tenant_id text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
DO $$
DECLARE
  conditions text[] := ARRAY[
    'revdesk_scope_visible(tenant_id)',
    'revdesk_scope_visible(tenant_id, NULL, umbrella_id)',
    'revdesk_scope_readable_up(tenant_id, umbrella_id)',
    'revdesk_scope_visible(tenant_id) AND flag',
    'flag AND (label IS NULL AND revdesk_scope_visible(tenant_id))',
    'revdesk_scope_visible(tenant_id) OR revdesk_scope_readable_up(tenant_id)',
    'revdesk_scope_visible(tenant_id) OR false',
    'tenant_id = revdesk_tenant_id()',
    'revdesk_tenant_id() = tenant_id AND flag',
    'tenant_id = ANY (revdesk_scope_organization_tenants())',
    'false',
    -- wrapped
    '(SELECT revdesk_scope_visible(tenant_id))',
    'COALESCE(revdesk_scope_visible(tenant_id), false)',
    'revdesk_scope_visible(COALESCE(tenant_id, umbrella_id))',
    'revdesk_scope_visible(label::uuid)',
    'flag OR flag AND revdesk_scope_visible(label::uuid)',
    -- open
    'true',
    'flag',
    'revdesk_scope_visible(tenant_id) OR flag',
    'NOT revdesk_scope_visible(tenant_id)',
    'revdesk_scope_visible(tenant_id) IS NOT NULL',
    'revdesk_scope_visible(tenant_id) = flag',
    'COALESCE(revdesk_scope_visible(tenant_id), true)',
    'CASE WHEN flag THEN true ELSE revdesk_scope_visible(tenant_id) END',
    'EXISTS (SELECT FROM regress_rows AS r WHERE revdesk_scope_visible(r.tenant_id))',
    '(SELECT revdesk_scope_visible(r.tenant_id) FROM regress_rows AS r LIMIT 1)',
    'tenant_id <> revdesk_tenant_id()',
    'tenant_id = ALL (revdesk_scope_organization_tenants())',
    'tenant_id >= revdesk_tenant_id()',
    'tenant_id = umbrella_id',
    'revdesk_scope_visible(revdesk_tenant_id())',
    'revdesk_scope_visible(revdesk_tenant_id(), umbrella_id)',
    'revdesk_scope_visible(tenant_id, NULL, ''00000000-0000-0000-0000-000000000000'')',
    'COALESCE(tenant_id, revdesk_tenant_id()) = revdesk_tenant_id()',
    'tenant_id = revdesk_scope_tenant(1, 0, tenant_id)',
    'label::uuid = revdesk_tenant_id()',
    'revdesk_tenant_id() = revdesk_tenant_id()',
    'revdesk_scope_visible(label)',
    'label = ''revdesk_scope_visible(tenant_id)'''];
BEGIN
  FOR i IN 1 .. cardinality(conditions) LOOP
    EXECUTE format('CREATE POLICY %I ON regress_rows USING (%s)', to_char(i, 'FM00'), conditions[i]);
  END LOOP;
END
$$;
SELECT polname, revdesk.isolates(polqual), revdesk.compares_columns(polqual) AS indexable,
       replace(replace(pg_get_expr(polqual, polrelid), E'\n', ''), '  ', ' ') AS condition
FROM pg_policy WHERE polrelid = 'regress_rows'::regclass ORDER BY polname;
SELECT revdesk.isolates(NULL) AS no_condition;
ROLLBACK;
