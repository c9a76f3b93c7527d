-- Before anything is measured: the four ways show the same rows to the same
-- caller.  :scope and :n choose the caller; a difference is an error.

SELECT token,
       coalesce(tenant_id::text, '') AS tenant_id,
       coalesce(umbrella_id::text, '') AS umbrella_id,
       coalesce(user_id::text, '') AS user_id,
       coalesce(tenant_ids::text, '') AS tenant_ids
FROM bench.actors WHERE scope = :'scope' AND n = :n \gset

SELECT :'scope' = 'sub_entity' AS is_sub_entity,
       :'scope' = 'organization' AS is_organization \gset

BEGIN;
SET LOCAL ROLE :"role";

SELECT set_config('app.tenant_id', :'tenant_id', true),
       set_config('app.umbrella_id', :'umbrella_id', true),
       set_config('app.tenant_ids', :'tenant_ids', true),
       set_config('app.user_id', :'user_id', true) \gset login_

SELECT revdesk_authenticate(:'token') \gset login_

\set fingerprint 'count(*) AS rows, md5(string_agg(id::text, \',\' ORDER BY id)) AS ids'

SELECT :fingerprint FROM bench_plain.docs
\if :is_sub_entity
    WHERE tenant_id = :'tenant_id' \gset handwritten_
\elif :is_organization
    WHERE umbrella_id = :'umbrella_id' \gset handwritten_
\else
    WHERE tenant_id = ANY (:'tenant_ids')
       OR (tenant_id IS NULL AND owner_id = :'user_id') \gset handwritten_
\endif
SELECT :fingerprint FROM bench.docs \gset revdesk_
SELECT :fingerprint FROM bench_setting.docs \gset setting_
SELECT :fingerprint FROM bench_opaque.docs \gset opaque_

SELECT :handwritten_rows > 0
       AND :'revdesk_ids' = :'handwritten_ids'
       AND :'setting_ids' = :'handwritten_ids'
       AND :'opaque_ids' = :'handwritten_ids' AS same \gset
COMMIT;

\if :same
\else
    \warn :scope :n 'sees different rows: by hand' :handwritten_rows ', revdesk_auth' :revdesk_rows ', setting' :setting_rows ', opaque' :opaque_rows
    DO $$ BEGIN RAISE 'the compared queries do not return the same rows'; END $$;
\endif
