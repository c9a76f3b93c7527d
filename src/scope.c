/*
 * scope.c
 *		The predicates of row security, and the values that they compare rows
 *		with.
 *
 * revdesk_scope_visible() and revdesk_scope_readable_up() decide about one row.
 * In a query the planner replaces them (scope_support.c) by a comparison of
 * the row's columns with one of the revdesk_scope_...() values below, of which
 * each is NULL unless the context has the scope that it is for.  So a plan
 * that was made for one scope finds no row under another one.
 *
 * All are LEAKPROOF: they say nothing about their arguments but their result.
 * What they may raise (out of memory, a damaged table) does not depend on them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "context.h"
#include "tenancy.h"

PG_FUNCTION_INFO_V1(revdesk_scope_visible);
PG_FUNCTION_INFO_V1(revdesk_scope_readable_up);
PG_FUNCTION_INFO_V1(revdesk_scope_sub_entity);
PG_FUNCTION_INFO_V1(revdesk_scope_walk_up);
PG_FUNCTION_INFO_V1(revdesk_scope_organization);
PG_FUNCTION_INFO_V1(revdesk_scope_organization_tenants);
PG_FUNCTION_INFO_V1(revdesk_scope_in_organization);
PG_FUNCTION_INFO_V1(revdesk_scope_user);
PG_FUNCTION_INFO_V1(revdesk_scope_user_tenants);
PG_FUNCTION_INFO_V1(revdesk_scope_in_user_tenants);

/* The columns of a row that decide about it; NULL where absent. */
typedef struct Row
{
	const pg_uuid_t *tenant_id;
	const pg_uuid_t *owner_id;
	const pg_uuid_t *umbrella_id;
	bool		has_umbrella;	/* there is such a column, even if NULL */
} Row;

static const pg_uuid_t *
uuid_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_UUID_P(i);
}

/*
 * Is argument i a column of a table?
 */
static bool
is_column(FunctionCallInfo fcinfo, int i)
{
	Node	   *call = fcinfo->flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) &&
		i < list_length(((FuncExpr *) call)->args) &&
		IsA(list_nth(((FuncExpr *) call)->args, i), Var);
}

static bool
visible_to_organization(const RdaContext *context, const Row *row)
{
	if (row->has_umbrella)
		return row->umbrella_id != NULL &&
			rda_id_is(&context->tenant_id, row->umbrella_id);
	return row->tenant_id != NULL &&
		rda_id_set_contains(rda_organization_tenants(&context->tenant_id.value),
							row->tenant_id);
}

static bool
visible_to_user(const RdaContext *context, const Row *row)
{
	if (row->tenant_id == NULL)
		return row->owner_id != NULL && rda_id_is(&context->user_id, row->owner_id);
	return rda_id_set_contains(rda_user_tenants(&context->user_id.value),
							   row->tenant_id);
}

static bool
is_visible(const RdaContext *context, const Row *row)
{
	if (context == NULL)
		return false;
	switch (context->scope)
	{
		case RDA_SCOPE_SUB_ENTITY:
			return row->tenant_id != NULL &&
				rda_id_is(&context->tenant_id, row->tenant_id);
		case RDA_SCOPE_ORGANIZATION:
			return visible_to_organization(context, row);
		case RDA_SCOPE_USER:
			return visible_to_user(context, row);
		case RDA_SCOPE_NONE:
			break;
	}
	return false;
}

/*
 * SQL: revdesk_scope_visible(tenant_id, owner_id, umbrella_id) returns boolean.
 *
 * A NULL umbrella_id that is not a table's column stands for a table without
 * one: then an organization's rows are told by their tenant.
 */
Datum
revdesk_scope_visible(PG_FUNCTION_ARGS)
{
	Row			row = {
		.tenant_id = uuid_arg(fcinfo, 0),
		.owner_id = uuid_arg(fcinfo, 1),
		.umbrella_id = uuid_arg(fcinfo, 2),
	};

	row.has_umbrella = row.umbrella_id != NULL || is_column(fcinfo, 2);
	PG_RETURN_BOOL(is_visible(rda_context_current(), &row));
}

/*
 * SQL: revdesk_scope_readable_up(tenant_id, umbrella_id) returns boolean.
 *
 * The same for a row without an owner; and a sub-entity also reads the rows of
 * its umbrella.
 */
Datum
revdesk_scope_readable_up(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();
	Row			row = {
		.tenant_id = uuid_arg(fcinfo, 0),
		.umbrella_id = uuid_arg(fcinfo, 1),
	};

	if (context != NULL && context->scope == RDA_SCOPE_SUB_ENTITY &&
		row.tenant_id != NULL && rda_id_is(&context->umbrella_id, row.tenant_id))
		PG_RETURN_BOOL(true);

	row.has_umbrella = row.umbrella_id != NULL || is_column(fcinfo, 1);
	PG_RETURN_BOOL(is_visible(context, &row));
}

/*
 * The context, if it has this scope; else NULL.
 */
static const RdaContext *
context_of(RdaScope scope)
{
	const RdaContext *context = rda_context_current();

	return context != NULL && context->scope == scope ? context : NULL;
}

/*
 * Return ids as uuid[].  A copy: the planner and the executor keep the value
 * for as long as a scan lasts, the cache does not.
 */
static Datum
return_uuids(FunctionCallInfo fcinfo, const pg_uuid_t *ids, int count)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + count * sizeof(pg_uuid_t);
	ArrayType  *array;

	if (count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many tenants in one scope")));

	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = UUIDOID;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), ids, count * sizeof(pg_uuid_t));
	PG_RETURN_ARRAYTYPE_P(array);
}

Datum
revdesk_scope_sub_entity(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_SUB_ENTITY);

	if (context == NULL)
		PG_RETURN_NULL();
	return rda_uuid_copy(&context->tenant_id.value);
}

Datum
revdesk_scope_walk_up(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_SUB_ENTITY);
	pg_uuid_t	ids[2];

	if (context == NULL)
		PG_RETURN_NULL();
	ids[0] = context->tenant_id.value;
	ids[1] = context->umbrella_id.value;
	return return_uuids(fcinfo, ids, 2);
}

Datum
revdesk_scope_organization(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_ORGANIZATION);

	if (context == NULL)
		PG_RETURN_NULL();
	return rda_uuid_copy(&context->tenant_id.value);
}

Datum
revdesk_scope_organization_tenants(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_ORGANIZATION);
	const RdaIdSet *set;

	if (context == NULL)
		PG_RETURN_NULL();
	set = rda_organization_tenants(&context->tenant_id.value);
	return return_uuids(fcinfo, set->ids, set->count);
}

/*
 * SQL: tenant_id = ANY (revdesk_scope_organization_tenants()), at the cost of
 * a look into a hash table; false instead of NULL under another scope.
 */
Datum
revdesk_scope_in_organization(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_ORGANIZATION);

	PG_RETURN_BOOL(context != NULL &&
				   rda_id_set_contains(rda_organization_tenants(&context->tenant_id.value),
									   PG_GETARG_UUID_P(0)));
}

Datum
revdesk_scope_user(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_USER);

	if (context == NULL)
		PG_RETURN_NULL();
	return rda_uuid_copy(&context->user_id.value);
}

Datum
revdesk_scope_user_tenants(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_USER);
	const RdaIdSet *set;

	if (context == NULL)
		PG_RETURN_NULL();
	set = rda_user_tenants(&context->user_id.value);
	return return_uuids(fcinfo, set->ids, set->count);
}

/*
 * SQL: the same for tenant_id = ANY (revdesk_scope_user_tenants()).
 */
Datum
revdesk_scope_in_user_tenants(PG_FUNCTION_ARGS)
{
	const RdaContext *context = context_of(RDA_SCOPE_USER);

	PG_RETURN_BOOL(context != NULL &&
				   rda_id_set_contains(rda_user_tenants(&context->user_id.value),
									   PG_GETARG_UUID_P(0)));
}
