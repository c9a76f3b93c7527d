-- The policies of the ways: bench.docs is protected by revdesk_auth, and read by
-- hand-written queries of a role that by-passes row security; bench_policies.docs
-- has the policies that are written in its stead, one for each role.

SELECT revdesk_protect('bench.docs');

-- As the guides of Supabase define it.
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO bench_api;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;

ALTER TABLE bench_policies.docs ENABLE ROW LEVEL SECURITY;

-- One setting, which the application sets to the tenant.
CREATE POLICY setting ON bench_policies.docs TO bench_setting
    USING (tenant_id = current_setting('app.tenant_id')::uuid);

-- What the guides teach: no join with the row, and the call in a SELECT.
CREATE POLICY subselect ON bench_policies.docs TO bench_subselect
    USING (tenant_id IN (SELECT tenant_id FROM bench.memberships WHERE user_id = (SELECT auth.uid())));

-- The same as an array, which an index can be searched for.
CREATE POLICY "array" ON bench_policies.docs TO bench_array
    USING (tenant_id = ANY (ARRAY(SELECT tenant_id FROM bench.memberships WHERE user_id = (SELECT auth.uid()))));

-- Memberships joined with the row.
CREATE POLICY "exists" ON bench_policies.docs TO bench_exists
    USING (EXISTS (SELECT FROM bench.memberships AS m
                   WHERE m.tenant_id = docs.tenant_id AND m.user_id = (SELECT auth.uid())));
