-- All that :caller is measured with, in one transaction.

BEGIN;
SET LOCAL ROLE bench_api;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT revdesk_authenticate('revdesk_' || md5(:'caller'));

CREATE TEMP TABLE ids AS SELECT array_agg(id ORDER BY random()) AS ids FROM (SELECT id FROM bench.docs LIMIT 2000) AS own;
CREATE TEMP TABLE forms AS
SELECT queries.n, queries.name AS query, queries.loops, queries.samples, forms.form, forms.bypass,
       bench.statement(queries.statement, docs, condition, (SELECT tenant_id FROM bench.docs LIMIT 1)) AS statement
FROM bench.queries, bench.forms(:'caller') AS forms
WHERE queries.name <> 'insert' OR forms.form <> 'join';

SELECT bench.estimate(:'caller', relation) FROM (VALUES ('docs'), ('docs_u'), ('docs_hash'), ('docs_time')) AS relations (relation);
SELECT bench.planning(:'caller', query, form, replace(statement, '$id', '1'), :rounds)
FROM forms WHERE query IN ('count', 'newest 50', 'by key') AND NOT bypass;
RESET ROLE;
SELECT bench.planning(:'caller', query, form, replace(statement, '$id', '1'), :rounds)
FROM forms WHERE query IN ('count', 'newest 50', 'by key') AND bypass;
SET LOCAL ROLE bench_api;
SELECT bench.measure('query', :'caller', query, loops, ARRAY['empty'] || array_agg(form), ARRAY['NULL'] || array_agg(statement), ARRAY[false] || array_agg(bypass),
                     (SELECT ids FROM ids), :rounds * samples)
FROM forms GROUP BY n, query, loops, samples ORDER BY n;

SELECT bench.measure(
    kind, :'caller', query, 1, ARRAY['empty', 'revdesk', 'by hand'],
    ARRAY['NULL', replace(replace(statement, '$docs', 'bench.docs_' || kind), '$where(d)', 'true'),
          replace(replace(statement, '$docs', 'bench.docs_' || kind), '$where(d)', replace(condition, '$row', 'd'))],
    ARRAY[false, false, true],
    (SELECT ids FROM ids), :rounds)
FROM bench.forms(:'caller') AS forms, (VALUES ('hash'), ('time')) AS kinds (kind),
     (VALUES ('count', 'SELECT count(*) FROM $docs AS d WHERE $where(d)'),
             ('last day', 'SELECT count(d.payload) FROM $docs AS d WHERE d.created_at > (SELECT max(created_at) - interval ''1 day'' FROM bench.docs_newest) AND $where(d)'))
         AS queries (query, statement)
WHERE forms.form = 'array';
COMMIT;
VACUUM;
