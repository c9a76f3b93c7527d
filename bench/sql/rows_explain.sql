-- The plans of the compared queries, for one :scope, as `bench/run --explain`
-- prints them: the generic plans of prepared statements, in their four ways.

SELECT token,
       coalesce(tenant_id::text, '') AS tenant_id,
       coalesce(umbrella_id::text, '') AS umbrella_id,
       coalesce(user_id::text, '') AS user_id,
       coalesce(tenant_ids::text, '') AS tenant_ids
FROM bench.actors WHERE scope = :'scope' AND n = 1 \gset

SELECT :'scope' = 'sub_entity' AS is_sub_entity,
       :'scope' = 'organization' AS is_organization \gset

\if :is_sub_entity
    \set parameters '(uuid)'
    \set arguments '(:\'tenant_id\')'
    \set filter 'tenant_id = $1'
\elif :is_organization
    \set parameters '(uuid)'
    \set arguments '(:\'umbrella_id\')'
    \set filter 'umbrella_id = $1'
\else
    \set parameters '(uuid[], uuid)'
    \set arguments '(:\'tenant_ids\', :\'user_id\')'
    \set filter 'tenant_id = ANY ($1) OR (tenant_id IS NULL AND owner_id = $2)'
\endif

\set count 'SELECT count(*) FROM'
\set newest 'SELECT id, created_at, status, payload FROM'
\set page 'ORDER BY created_at DESC LIMIT 50'

BEGIN;
SET LOCAL ROLE :"role";
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT set_config('app.tenant_id', :'tenant_id', true),
       set_config('app.umbrella_id', :'umbrella_id', true),
       set_config('app.tenant_ids', :'tenant_ids', true),
       set_config('app.user_id', :'user_id', true) \gset login_
SELECT revdesk_authenticate(:'token') \gset login_

PREPARE count_handwritten :parameters AS :count bench_plain.docs WHERE :filter;
PREPARE count_revdesk AS :count bench.docs;
PREPARE count_setting AS :count bench_setting.docs;
PREPARE count_opaque AS :count bench_opaque.docs;
PREPARE newest_handwritten :parameters AS :newest bench_plain.docs WHERE :filter :page;
PREPARE newest_revdesk AS :newest bench.docs :page;
PREPARE newest_setting AS :newest bench_setting.docs :page;
PREPARE newest_opaque AS :newest bench_opaque.docs :page;

\set explain 'EXPLAIN (COSTS OFF) EXECUTE'
\echo
\echo -- :scope, count, hand-written
:explain count_handwritten :arguments;
\echo -- :scope, count, revdesk_auth
:explain count_revdesk;
\echo -- :scope, count, current_setting
:explain count_setting;
\echo -- :scope, count, without the support function
:explain count_opaque;
\echo -- :scope, newest 50, hand-written
:explain newest_handwritten :arguments;
\echo -- :scope, newest 50, revdesk_auth
:explain newest_revdesk;
\echo -- :scope, newest 50, current_setting
:explain newest_setting;
\echo -- :scope, newest 50, without the support function
:explain newest_opaque;
COMMIT;
