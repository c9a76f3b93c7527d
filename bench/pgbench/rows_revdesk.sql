-- revdesk_auth: the key logs in, then the plain query runs under row security.
\if :cold
SELECT bench.warm_up(:scope);
\set cold 0
\endif
\set n random(1, :actors)
SELECT token FROM bench.actors WHERE scope = :scope AND n = :n \gset
BEGIN;
SELECT revdesk_authenticate(:token);
\if :count
/* measured */ SELECT count(*) FROM bench.docs;
/* measured */ SELECT count(*) FROM bench.docs;
/* measured */ SELECT count(*) FROM bench.docs;
/* measured */ SELECT count(*) FROM bench.docs;
/* measured */ SELECT count(*) FROM bench.docs;
\else
/* measured */ SELECT id, created_at, status, payload FROM bench.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench.docs ORDER BY created_at DESC LIMIT 50;
/* measured */ SELECT id, created_at, status, payload FROM bench.docs ORDER BY created_at DESC LIMIT 50;
\endif
COMMIT;
