-- Executor times of the measured statements of the auth scripts, by
-- pg_stat_statements, as lines of <script> TAB server TAB <microseconds>.

SELECT concat_ws(E'\t',
                 CASE WHEN query LIKE '%revdesk_authenticate(%' THEN 'auth_revdesk'
                      WHEN query LIKE '%bench.authenticate(%' THEN 'auth_plpgsql'
                      WHEN query LIKE '%bench.authenticate_noting(%' THEN 'auth_noting'
                      ELSE 'auth_lookup' END,
                 'server',
                 round((mean_exec_time * 1000)::numeric, 4))
FROM pg_stat_statements
WHERE query LIKE '/* measured */%'
  AND userid = 'bench_tracked'::regrole
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database());
