/*
 * scope_sets.c
 *		The planner's side of the scopes that are sets of tenants.
 *
 *	revdesk_scope_in_organization(tenant_id)
 *	revdesk_scope_in_user_tenants(tenant_id)
 *
 * As filters they look into a hash table that the backend keeps, where a
 * comparison with ANY (array) would make the array for each row and search all
 * of it.  An index, however, wants that comparison, so it is derived here for
 * an index.  Its array comes from a STABLE function, at the begin of a scan: no
 * id is in a plan.
 *
 * Estimates are for the context that is current while the plan is made, as the
 * core's own are for "column = stable()", and count the caller's tenants alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "context.h"
#include "pg_compat.h"
#include "relations.h"
#include "scope_sets.h"
#include "tenancy.h"

PG_FUNCTION_INFO_V1(revdesk_scope_set_support);

/* As many ids the core takes to be in an array that it does not know. */
#define ASSUMED_COUNT 10

/*
 * What an index scan pays for one more id in its array, a descent through
 * three pages, at the core's price of 50 operators a page.
 */
#define DESCENT_OPERATORS 150

/* An array of so many ids is not offered to an index for so many rows. */
#define LARGE_COUNT 1000
#define LARGE_PART (1.0 / 3)

/* The functions of a scope that is a set of tenants. */
typedef struct ScopeSet
{
	RdaScope	scope;
	const char *member;			/* is this id in it? */
	const char *array;			/* all of it */
} ScopeSet;

static const ScopeSet scope_sets[] = {
	{RDA_SCOPE_ORGANIZATION, "revdesk_scope_in_organization", "revdesk_scope_organization_tenants"},
	{RDA_SCOPE_USER, "revdesk_scope_in_user_tenants", "revdesk_scope_user_tenants"},
};

/*
 * A function of the extension, by schema, name and number of uuid arguments;
 * InvalidOid if it is not there.
 */
Oid
rda_scope_function(Oid schema, const char *name, int nargs)
{
	static const Oid types[] = {UUIDOID, UUIDOID, UUIDOID};

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(types, nargs)),
						   ObjectIdGetDatum(schema));
}

/*
 * Which set is this function of?  NULL if of none.
 */
static const ScopeSet *
set_of_function(Oid function)
{
	char	   *name = get_func_name(function);

	for (Size i = 0; name != NULL && i < lengthof(scope_sets); i++)
		if (strcmp(name, scope_sets[i].member) == 0 ||
			strcmp(name, scope_sets[i].array) == 0)
			return &scope_sets[i];
	return NULL;
}

/*
 * Is this one of the member tests?  Not one of the same name only: a function
 * with planner support is a superuser's.
 */
bool
rda_scope_is_set_member_test(Oid function)
{
	const ScopeSet *set;

	if (!OidIsValid(get_func_support(function)))
		return false;
	set = set_of_function(function);
	return set != NULL && strcmp(get_func_name(function), set->member) == 0;
}

/*
 * column = ANY (array), of uuids
 */
Node *
rda_scope_equals_any(Node *column, Expr *array)
{
	ScalarArrayOpExpr *clause = makeNode(ScalarArrayOpExpr);

	clause->opno = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	clause->useOr = true;
	clause->args = list_make2(copyObject(column), array);
	clause->location = -1;
	set_sa_opfuncid(clause);
	return (Node *) clause;
}

/*
 * column = ANY (array()); NULL if that function is not there.
 */
static Node *
equals_any(Oid schema, const ScopeSet *set, Node *column)
{
	Oid			array = rda_scope_function(schema, set->array, 0);

	if (!OidIsValid(array))
		return NULL;
	return rda_scope_equals_any(column, (Expr *) makeFuncExpr(array, UUIDARRAYOID, NIL,
															  InvalidOid, InvalidOid,
															  COERCE_EXPLICIT_CALL));
}

/*
 * The condition that a column holds a tenant of the scope, one that is a set;
 * NULL if the extension's functions are not there.
 *
 * The library may be newer than the functions: until ALTER EXTENSION UPDATE
 * adds the member test, the array has to do.
 */
Node *
rda_scope_set_condition(Oid schema, RdaScope scope, Node *column)
{
	const ScopeSet *set = scope_sets;
	Oid			member;

	while (set->scope != scope)
		set++;
	member = rda_scope_function(schema, set->member, 1);
	if (!OidIsValid(member))
		return equals_any(schema, set, column);
	return (Node *) makeFuncExpr(member, BOOLOID, list_make1(copyObject(column)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * The tenants of the context; NULL if it has another scope, or there is none.
 */
static const RdaIdSet *
current_tenants(RdaScope scope)
{
	const RdaContext *context = rda_context_current();

	if (context == NULL || context->scope != scope)
		return NULL;
	return scope == RDA_SCOPE_USER ?
		rda_user_tenants(&context->user_id.value) :
		rda_organization_tenants(&context->tenant_id.value);
}

/*
 * The part of a column's values that are in a set: the frequencies of those
 * common values that are, and for each other id of the set the average of what
 * is not common.  (The core does the same in eqsel(), for each id anew.)  But
 * the column, of a partition say, may know some of all tenants only; the set
 * is taken to have the same part of them.
 */
static Selectivity
part_in_set(VariableStatData *column, const RdaIdSet *set)
{
	double		tenants = rda_relations_count_tenants();
	double		distinct;
	double		others = set ? set->count : ASSUMED_COUNT;
	double		found = 0;
	double		uncommon = 1;
	int			common = 0;
	bool		isdefault;
	AttStatsSlot slot;

	distinct = get_variable_numdistinct(column, &isdefault);
	if (!isdefault && distinct < tenants)
		others *= distinct / tenants;
	if (HeapTupleIsValid(column->statsTuple))
	{
		uncommon -= ((Form_pg_statistic) GETSTRUCT(column->statsTuple))->stanullfrac;
		if (get_attstatsslot(&slot, column->statsTuple, STATISTIC_KIND_MCV,
							 InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		{
			for (common = 0; common < slot.nvalues; common++)
			{
				uncommon -= slot.numbers[common];
				if (set == NULL ||
					!rda_id_set_contains(set, DatumGetUUIDP(slot.values[common])))
					continue;
				found += slot.numbers[common];
				others--;
			}
			free_attstatsslot(&slot);
		}
	}
	return found +
		Max(uncommon, 0) * Min(1, Max(others, 0) / Max(distinct - common, 1));
}

/*
 * The part of a relation's rows whose column, a uuid, is in the current set.
 */
static Selectivity
part_of_rows(PlannerInfo *root, Node *column, int relation, Oid function,
			 const RdaIdSet *set)
{
	Selectivity part = DEFAULT_EQ_SEL;
	VariableStatData statistics;

	examine_variable(root, column, relation, &statistics);
	if (statistic_proc_security_check(&statistics, function))
		part = part_in_set(&statistics, set);
	ReleaseVariableStats(statistics);
	CLAMP_PROBABILITY(part);
	return part;
}

static Node *
estimate_selectivity(SupportRequestSelectivity *req)
{
	const ScopeSet *set = set_of_function(req->funcid);

	if (set == NULL || list_length(req->args) != 1)
		return NULL;
	req->selectivity = part_of_rows(req->root, linitial(req->args), req->varRelid,
									req->funcid, current_tenants(set->scope));
	return (Node *) req;
}

/*
 * What the array costs.  For an index scan the core adds the descents of
 * ASSUMED_COUNT ids, however many the array has; the price of it has the rest.
 */
static Node *
estimate_cost(SupportRequestCost *req)
{
	const ScopeSet *set = set_of_function(req->funcid);
	const RdaIdSet *tenants = set ? current_tenants(set->scope) : NULL;

	if (tenants == NULL || tenants->count <= ASSUMED_COUNT)
		return NULL;
	if (strcmp(get_func_name(req->funcid), set->array) != 0)
		return NULL;
	req->startup = 0;
	req->per_tuple = cpu_operator_cost *
		(tenants->count - ASSUMED_COUNT) * DESCENT_OPERATORS;
	return (Node *) req;
}

/*
 * Does the query ask for one tenant anyway?  Then an index needs no array, and
 * its scan need not begin for each id of it.
 */
static bool
is_compared(const RelOptInfo *rel, Node *column, Oid equals)
{
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		Expr	   *clause = lfirst_node(RestrictInfo, cell)->clause;
		List	   *args;

		if (!IsA(clause, OpExpr) || ((OpExpr *) clause)->opno != equals ||
			contain_volatile_functions((Node *) clause))
			continue;
		args = ((OpExpr *) clause)->args;
		if ((equal(linitial(args), column) && !contain_var_clause(lsecond(args))) ||
			(equal(lsecond(args), column) && !contain_var_clause(linitial(args))))
			return true;
	}
	return false;
}

/*
 * Is the array too much of the table for an index?  To find that out, the core
 * would estimate each id on its own, which takes longer than most queries.
 */
static bool
is_most_of_table(SupportRequestIndexCondition *req, Node *column,
				 const RdaIdSet *tenants)
{
	return tenants != NULL && tenants->count > LARGE_COUNT &&
		part_of_rows(req->root, column, 0, req->funcid, tenants) > LARGE_PART;
}

/*
 * The comparison that an index can use, exactly the same.
 *
 * Not in a parallel scan of it: there each process makes the array by itself, as
 * tenants are then, and nbtree relies on theirs being equal.
 */
static Node *
derive_index_condition(SupportRequestIndexCondition *req)
{
	const ScopeSet *set = set_of_function(req->funcid);
	Node	   *column;
	Node	   *clause;
	Oid			equals = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;

	if (set == NULL || !IsA(req->node, FuncExpr) ||
		!req->index->amsearcharray ||
		!op_in_opfamily(equals, req->opfamily) ||
		!rda_array_keeps_order(req->root, req->index, req->indexcol))
		return NULL;
	column = list_nth(((FuncExpr *) req->node)->args, req->indexarg);
	if (is_compared(req->index->rel, column, equals) ||
		is_most_of_table(req, column, current_tenants(set->scope)))
		return NULL;
	clause = equals_any(get_func_namespace(req->funcid), set, column);
	if (clause == NULL)
		return NULL;
	req->index->amcanparallel = false;	/* for this query */
	req->lossy = false;
	return (Node *) list_make1(clause);
}

/*
 * Planner support function of revdesk_scope_in_...(), and as for the cost of
 * revdesk_scope_..._tenants().
 */
Datum
revdesk_scope_set_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *result = NULL;

	if (IsA(request, SupportRequestSelectivity))
		result = estimate_selectivity((SupportRequestSelectivity *) request);
	else if (IsA(request, SupportRequestCost))
		result = estimate_cost((SupportRequestCost *) request);
	else if (IsA(request, SupportRequestIndexCondition))
		result = derive_index_condition((SupportRequestIndexCondition *) request);
	PG_RETURN_POINTER(result);
}
