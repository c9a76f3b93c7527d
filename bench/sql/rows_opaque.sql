-- The same predicate as an opaque function: what revdesk_auth would cost if
-- the planner could not see through it.  bench_scope_visible is the C function
-- of revdesk_scope_visible without the support function.

CREATE FUNCTION bench.bench_scope_visible(uuid, uuid, uuid) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS '$libdir/revdesk_auth', 'revdesk_scope_visible';

ALTER TABLE bench_opaque.docs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY everyone ON bench_opaque.docs USING (true);

CREATE POLICY scope ON bench_opaque.docs AS RESTRICTIVE
    USING (bench.bench_scope_visible(tenant_id, owner_id, umbrella_id));
