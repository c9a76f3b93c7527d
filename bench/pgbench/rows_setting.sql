-- Policies on current_setting(): the application sets what it knows of the
-- caller, then the plain query runs under row security.
\if :cold
SELECT bench.warm_up(:scope);
\set cold 0
\endif
\set n random(1, :actors)
SELECT tenant_id, umbrella_id, tenant_ids, user_id FROM bench.actors WHERE scope = :scope AND n = :n \gset
BEGIN;
SELECT set_config('app.tenant_id', :tenant_id, true), set_config('app.umbrella_id', :umbrella_id, true), set_config('app.tenant_ids', :tenant_ids, true), set_config('app.user_id', :user_id, true);
\if :count
/* measured */ SELECT count(*) FROM bench_setting.docs;
/* measured */ SELECT count(*) FROM bench_setting.docs;
/* measured */ SELECT count(*) FROM bench_setting.docs;
/* measured */ SELECT count(*) FROM bench_setting.docs;
/* measured */ SELECT count(*) FROM bench_setting.docs;
\else
/* measured */ SELECT id, created_at, status, payload FROM bench_setting.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_setting.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_setting.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_setting.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_setting.docs ORDER BY created_at DESC LIMIT 50;
\endif
COMMIT;
