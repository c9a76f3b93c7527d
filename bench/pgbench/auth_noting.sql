-- One login of a random key by the PL/pgSQL function of sql/auth_keys.sql that
-- notes when the key was used.
\if :cold
SELECT bench.warm_up();
\set cold 0
\endif
\set i random(1, :keys)
SELECT 'revdesk_' || md5('k' || :i) AS token \gset
BEGIN;
/* measured */ SELECT bench.authenticate_noting(:token);
COMMIT;
