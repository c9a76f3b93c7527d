-- No row security: the application writes the condition itself, for a caller
-- of scope organization.
\if :cold
SELECT bench.warm_up(:scope);
\set cold 0
\endif
\set n random(1, :actors)
SELECT umbrella_id FROM bench.actors WHERE scope = :scope AND n = :n \gset
BEGIN;
\if :count
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE umbrella_id = :umbrella_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE umbrella_id = :umbrella_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE umbrella_id = :umbrella_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE umbrella_id = :umbrella_id;
/* measured */ SELECT count(*) FROM bench_plain.docs WHERE umbrella_id = :umbrella_id;
\else
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE umbrella_id = :umbrella_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE umbrella_id = :umbrella_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE umbrella_id = :umbrella_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE umbrella_id = :umbrella_id ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench_plain.docs WHERE umbrella_id = :umbrella_id ORDER BY created_at DESC LIMIT 50;
\endif
COMMIT;
