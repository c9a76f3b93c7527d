/*
 * scope_support.c
 *		The planner's side of the predicates: replace a call by a comparison
 *		that an index, a join or partition pruning can use.
 *
 *	scope			revdesk_scope_visible(tenant_id, owner_id, umbrella_id)
 *	sub_entity		tenant_id = revdesk_scope_sub_entity()
 *	organization	umbrella_id = revdesk_scope_organization(), or without that
 *					column revdesk_scope_in_organization(tenant_id)
 *	user			revdesk_scope_in_user_tenants(tenant_id)
 *					OR owner_id = revdesk_scope_user() AND tenant_id IS NULL
 *
 * No id of a context becomes a constant of a plan, since plans are cached and
 * serve many callers.  All functions here are STABLE, and NULL or false unless
 * the context has their scope, so a plan that is run under another scope than
 * it was made for returns too few rows, never too many.
 *
 * To be complete again, every plan that a scope went into depends on the
 * function revdesk_scope().  When a context of another scope becomes current,
 * we tell this backend's plan cache that this function changed, as a catalog
 * invalidation would, and those plans are made anew.  Without a context the
 * plans of the last scope stay, so that the gap between two transactions costs
 * no replanning.
 *
 * A comparison can be NULL where the predicate is false.  So it stands in only
 * where both mean the same: in the conjuncts and disjuncts of a WHERE, ON or
 * HAVING, and in those of a policy.  A query that holds a call anywhere else
 * keeps all its calls as they are.  (Except that a call inside an SQL function
 * cannot be seen before that is inlined; under NOT, a query that has further
 * calls in its WHERE may then lose rows.)
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "context.h"
#include "scope_sets.h"
#include "scope_support.h"

PG_FUNCTION_INFO_V1(revdesk_scope_support);

/* The scope of the context that was current last: plans are made for it. */
static RdaScope planned_scope = RDA_SCOPE_NONE;

/*
 * The plan cache's hash of revdesk_scope(), once a plan depends on it; 0
 * before.  Kept, since the observer below may not look it up.
 */
static uint32 dependency_hash = 0;

/* The call that is being replaced. */
typedef struct Call
{
	PlannerInfo *root;
	Oid			schema;			/* where the extension's functions are */
	Node	   *tenant_id;
	Node	   *owner_id;		/* NULL for none, as umbrella_id */
	Node	   *umbrella_id;
	bool		walk_up;
} Call;

/* What find_calls() looks for and counts. */
typedef struct CallCount
{
	Oid			visible;
	Oid			readable_up;
	int			found;
} CallCount;

/*
 * A context became current.  Runs at rollbacks too: no catalog access.
 */
static void
on_scope(RdaScope scope)
{
	if (scope == planned_scope)
		return;
	planned_scope = scope;
	if (dependency_hash != 0)
		CallSyscacheCallbacks(PROCOID, dependency_hash);
}

static bool
find_calls(Node *node, CallCount *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return false;			/* planned on its own */
	if (IsA(node, FuncExpr) &&
		(((FuncExpr *) node)->funcid == count->visible ||
		 ((FuncExpr *) node)->funcid == count->readable_up))
		count->found++;
	return expression_tree_walker(node, find_calls, count);
}

/*
 * Count the calls that are conjuncts or disjuncts of a condition.
 */
static void
find_conditions(Node *node, CallCount *count)
{
	ListCell   *cell;

	if (node == NULL)
		return;
	if (IsA(node, List))
	{
		foreach(cell, (List *) node)
			find_conditions(lfirst(cell), count);
	}
	else if (is_andclause(node) || is_orclause(node))
		find_conditions((Node *) ((BoolExpr *) node)->args, count);
	else if (IsA(node, FuncExpr) &&
			 (((FuncExpr *) node)->funcid == count->visible ||
			  ((FuncExpr *) node)->funcid == count->readable_up))
		count->found++;
}

/*
 * The same in all ON and WHERE clauses of a join tree.
 */
static void
find_join_conditions(Node *node, CallCount *count)
{
	ListCell   *cell;

	if (node == NULL)
		return;
	if (IsA(node, FromExpr))
	{
		find_conditions(((FromExpr *) node)->quals, count);
		foreach(cell, ((FromExpr *) node)->fromlist)
			find_join_conditions(lfirst(cell), count);
	}
	else if (IsA(node, JoinExpr))
	{
		find_conditions(((JoinExpr *) node)->quals, count);
		find_join_conditions(((JoinExpr *) node)->larg, count);
		find_join_conditions(((JoinExpr *) node)->rarg, count);
	}
}

/*
 * Does every call in this query stand where NULL means the same as false?
 */
static bool
only_conditions(PlannerInfo *root, Oid schema)
{
	Query	   *query = root->parse;
	CallCount	all = {
		.visible = rda_scope_function(schema, "revdesk_scope_visible", 3),
		.readable_up = rda_scope_function(schema, "revdesk_scope_readable_up", 2)
	};
	CallCount	conditions = all;
	ListCell   *cell;

	(void) query_tree_walker(query, find_calls, &all,
							 QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES);
	/* What the branches of a UNION ALL return, once they are pulled up. */
	(void) find_calls((Node *) root->append_rel_list, &all);

	find_join_conditions((Node *) query->jointree, &conditions);
	find_conditions(query->havingQual, &conditions);
	foreach(cell, query->withCheckOptions)
		find_conditions(lfirst_node(WithCheckOption, cell)->qual, &conditions);
	foreach(cell, query->rtable)
		find_conditions((Node *) lfirst_node(RangeTblEntry, cell)->securityQuals,
						&conditions);

	return conditions.found > 0 && conditions.found == all.found;
}

static Node *
constant_false(void)
{
	return makeBoolConst(false, false);
}

/*
 * One of the values of scope.c, as an expression; NULL if it is not there.
 */
static Expr *
scope_value(const Call *call, const char *name, Oid type)
{
	Oid			function = rda_scope_function(call->schema, name, 0);

	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, type, NIL, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * column = value()
 */
static Node *
equals(const Call *call, Node *column, const char *value)
{
	Oid			operator = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	Expr	   *right = scope_value(call, value, UUIDOID);
	OpExpr	   *clause;

	if (right == NULL)
		return NULL;
	clause = (OpExpr *) make_opclause(operator, BOOLOID, false,
									  (Expr *) copyObject(column), right,
									  InvalidOid, InvalidOid);
	set_opfuncid(clause);
	return (Node *) clause;
}

/*
 * column = ANY (values())
 */
static Node *
equals_any(const Call *call, Node *column, const char *values)
{
	Expr	   *right = scope_value(call, values, UUIDARRAYOID);

	return right == NULL ? NULL : rda_scope_equals_any(column, right);
}

static Node *
sub_entity_condition(const Call *call)
{
	if (call->tenant_id == NULL)
		return constant_false();
	if (call->walk_up)
		return equals_any(call, call->tenant_id, "revdesk_scope_walk_up");
	return equals(call, call->tenant_id, "revdesk_scope_sub_entity");
}

static Node *
organization_condition(const Call *call)
{
	if (call->umbrella_id != NULL)
		return equals(call, call->umbrella_id, "revdesk_scope_organization");
	if (call->tenant_id == NULL)
		return constant_false();
	return rda_scope_set_condition(call->schema, RDA_SCOPE_ORGANIZATION,
								   call->tenant_id);
}

static Node *
personal_condition(const Call *call)
{
	Node	   *owned = equals(call, call->owner_id, "revdesk_scope_user");
	NullTest   *no_tenant;

	if (call->tenant_id == NULL || owned == NULL)
		return owned;
	no_tenant = makeNode(NullTest);
	no_tenant->arg = copyObject((Expr *) call->tenant_id);
	no_tenant->nulltesttype = IS_NULL;
	no_tenant->location = -1;
	/* In the order that the planner's recheck of a bitmap scan has them. */
	return (Node *) make_andclause(list_make2(owned, no_tenant));
}

static Node *
user_condition(const Call *call)
{
	Node	   *shared;
	Node	   *personal;

	if (call->tenant_id == NULL)
		return call->owner_id ? personal_condition(call) : constant_false();
	shared = rda_scope_set_condition(call->schema, RDA_SCOPE_USER,
									 call->tenant_id);
	if (call->owner_id == NULL || shared == NULL)
		return shared;
	personal = personal_condition(call);
	if (personal == NULL)
		return NULL;
	return (Node *) make_orclause(list_make2(shared, personal));
}

/*
 * An argument of the call: a column, or the absence of one (*column is NULL
 * then).  Returns false for anything else: parameters and expressions are not
 * worth the replacing, and may be costly or volatile.
 */
static bool
get_column(List *args, int i, Node **column)
{
	Node	   *arg = list_nth(args, i);

	*column = NULL;
	if (IsA(arg, Const))
		return ((Const *) arg)->constisnull;
	*column = arg;
	return IsA(arg, Var);
}

static bool
unpack_call(SupportRequestSimplify *req, Call *call)
{
	List	   *args = req->fcall->args;

	memset(call, 0, sizeof(Call));
	call->root = req->root;
	call->schema = get_func_namespace(req->fcall->funcid);
	if (!get_column(args, 0, &call->tenant_id))
		return false;
	switch (list_length(args))
	{
		case 2:					/* revdesk_scope_readable_up */
			call->walk_up = true;
			return get_column(args, 1, &call->umbrella_id);
		case 3:					/* revdesk_scope_visible */
			return get_column(args, 1, &call->owner_id) &&
				get_column(args, 2, &call->umbrella_id);
		default:
			return false;
	}
}

/*
 * Make the plan depend on the scope.  Returns false if that is impossible.
 */
static bool
depend_on_scope(const Call *call)
{
	Oid			function = rda_scope_function(call->schema, "revdesk_scope", 0);

	if (!OidIsValid(function))
		return false;
	record_plan_function_dependency(call->root, function);
	dependency_hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	return true;
}

/*
 * Replace a call, or return NULL to leave it: outside of a query and in any
 * doubt.  A CHECK constraint has no root; GetCachedExpression() makes one
 * without a query.
 */
static Node *
simplify(SupportRequestSimplify *req)
{
	Call		call;

	if (req->root == NULL || req->root->parse == NULL ||
		!unpack_call(req, &call) ||
		!only_conditions(req->root, call.schema) ||
		!depend_on_scope(&call))
		return NULL;

	switch (planned_scope)
	{
		case RDA_SCOPE_SUB_ENTITY:
			return sub_entity_condition(&call);
		case RDA_SCOPE_ORGANIZATION:
			return organization_condition(&call);
		case RDA_SCOPE_USER:
			return user_condition(&call);
		case RDA_SCOPE_NONE:
			break;
	}
	return NULL;
}

/*
 * Planner support function of revdesk_scope_visible() and
 * revdesk_scope_readable_up().
 */
Datum
revdesk_scope_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	Node	   *result = NULL;

	if (IsA(request, SupportRequestSimplify))
		result = simplify((SupportRequestSimplify *) request);
	PG_RETURN_POINTER(result);
}

void
rda_scope_support_init(void)
{
	rda_context_observe_scope(on_scope);
}
