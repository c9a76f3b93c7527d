-- A role for each way of isolating tenants (ways.sh), and bench_any, which can
-- become each of them by turns.

CREATE ROLE bench_api NOLOGIN;
CREATE ROLE bench_revdesk LOGIN IN ROLE bench_api;
CREATE ROLE bench_handwritten LOGIN BYPASSRLS IN ROLE bench_api;
CREATE ROLE bench_setting LOGIN IN ROLE bench_api;
CREATE ROLE bench_array LOGIN IN ROLE bench_api;
CREATE ROLE bench_subselect LOGIN IN ROLE bench_api;
CREATE ROLE bench_exists LOGIN IN ROLE bench_api;
CREATE ROLE bench_any LOGIN IN ROLE
    bench_revdesk, bench_handwritten, bench_setting, bench_array, bench_subselect, bench_exists;

CREATE ROLE bench_auth LOGIN IN ROLE bench_api;
CREATE ROLE bench_tracked LOGIN IN ROLE bench_api;
ALTER ROLE bench_tracked SET pg_stat_statements.track = 'top';
