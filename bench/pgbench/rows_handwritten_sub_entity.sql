-- No row security: the application writes the condition itself, for a caller
-- of scope sub_entity.
\if :cold
SELECT bench.warm_up(:scope);
\set cold 0
\endif
\set n random(1, :actors)
SELECT tenant_id FROM bench.actors WHERE scope = :scope AND n = :n \gset
BEGIN;
\if :count
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE tenant_id = :tenant_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE tenant_id = :tenant_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE tenant_id = :tenant_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE tenant_id = :tenant_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE tenant_id = :tenant_id;
\else
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT 50;
\endif
COMMIT;
