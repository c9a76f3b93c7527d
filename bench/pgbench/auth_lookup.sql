-- One random row by its primary key: the least that any look-up costs.
\if :cold
SELECT bench.warm_up();
\set cold 0
\endif
\set i random(1, :keys)
SELECT md5('k' || :i)::uuid AS id \gset
BEGIN;
/* measured */ SELECT payload FROM bench.rows WHERE id = :id;
COMMIT;
