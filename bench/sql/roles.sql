-- The roles that pgbench logs in as: the kinds of caller of the row-security
-- benchmark, and for logins one whose statements pg_stat_statements tracks and
-- one whose it does not.

CREATE ROLE bench_api NOLOGIN;
CREATE ROLE bench_sub_entity LOGIN IN ROLE bench_api;
CREATE ROLE bench_organization LOGIN IN ROLE bench_api;
CREATE ROLE bench_user LOGIN IN ROLE bench_api;
CREATE ROLE bench_auth LOGIN IN ROLE bench_api;
CREATE ROLE bench_tracked LOGIN IN ROLE bench_api;
ALTER ROLE bench_tracked SET pg_stat_statements.track = 'top';
