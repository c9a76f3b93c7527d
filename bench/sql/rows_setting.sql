-- The usual way: policies that compare with a setting which the application
-- sets at the start of each transaction.  One policy for each kind of caller.

ALTER TABLE bench_setting.docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY sub_entity ON bench_setting.docs TO bench_sub_entity
    USING (tenant_id = current_setting('app.tenant_id')::uuid);

CREATE POLICY organization ON bench_setting.docs TO bench_organization
    USING (umbrella_id = current_setting('app.umbrella_id')::uuid);

CREATE POLICY "user" ON bench_setting.docs TO bench_user
    USING (tenant_id = ANY (current_setting('app.tenant_ids')::uuid[])
           OR (tenant_id IS NULL AND owner_id = current_setting('app.user_id')::uuid));
