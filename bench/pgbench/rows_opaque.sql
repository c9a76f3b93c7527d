-- As rows_revdesk.sql, under policies whose function the planner cannot see
-- through.  One query a transaction is enough: it is slow.
\if :cold
SELECT bench.warm_up(:scope);
\set cold 0
\endif
\set n random(1, :actors)
SELECT token FROM bench.actors WHERE scope = :scope AND n = :n \gset
BEGIN;
SELECT revdesk_authenticate(:token);
\if :count
/* measured */ SELECT count(*) FROM bench_opaque.docs;
\else
/* measured */ SELECT id, created_at, status, payload FROM bench_opaque.docs ORDER BY created_at DESC LIMIT 50;
\endif
COMMIT;
