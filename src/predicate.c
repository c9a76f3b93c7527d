/*
 * predicate.c
 *		Does the condition of a policy hold rows of others back?
 *
 * Read from the stored expression, so no spelling can deceive it.  What is
 * not understood does not isolate.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(revdesk_isolates);
PG_FUNCTION_INFO_V1(revdesk_compares_columns);

/*
 * Is it a call of a C function of this extension whose name begins so?  The
 * symbol tells: only superusers make functions of C.
 */
static bool
is_own_call(Node *node, const char *prefix)
{
	HeapTuple	tuple;
	Datum		symbol;
	bool		isnull;
	bool		own = false;

	if (node == NULL || !IsA(node, FuncExpr))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(((FuncExpr *) node)->funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (!isnull && ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
		own = strncmp(TextDatumGetCString(symbol), prefix, strlen(prefix)) == 0;
	ReleaseSysCache(tuple);
	return own;
}

static bool
is_predicate_call(Node *node)
{
	return is_own_call(node, "revdesk_scope_visible") ||
		is_own_call(node, "revdesk_scope_readable_up");
}

/*
 * Is it a column, or one cast to uuid?
 */
static bool
is_column(Node *node)
{
	while (IsA(node, RelabelType) || IsA(node, CoerceViaIO))
		node = IsA(node, RelabelType) ? (Node *) ((RelabelType *) node)->arg :
			(Node *) ((CoerceViaIO *) node)->arg;
	return IsA(node, Var);
}

/*
 * Is it a predicate of columns alone?  What stands for a column (a COALESCE, a
 * constant, a value of the context) may be the caller's in every row.  A
 * condition on no column says nothing of the row.
 */
static bool
is_predicate_of_columns(Node *node)
{
	ListCell   *cell;
	bool		column = false;

	if (!is_predicate_call(node))
		return false;
	foreach(cell, ((FuncExpr *) node)->args)
	{
		Node	   *arg = lfirst(cell);

		if (is_column(arg))
			column = true;
		else if (!IsA(arg, Const) || !((Const *) arg)->constisnull)
			return false;
	}
	return column;
}

/*
 * Is it what a function of ours says of the context, whatever the row?
 */
static bool
is_context_value(Node *node)
{
	return is_own_call(node, "revdesk_") && ((FuncExpr *) node)->args == NIL;
}

/*
 * Is it "column = function of ours" or "column = ANY (function of ours)"?
 */
static bool
compares_with_context(Node *node)
{
	Oid			function;
	List	   *args;

	if (IsA(node, OpExpr))
	{
		function = get_opcode(((OpExpr *) node)->opno);
		args = ((OpExpr *) node)->args;
	}
	else if (IsA(node, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) node)->useOr)
	{
		function = get_opcode(((ScalarArrayOpExpr *) node)->opno);
		args = ((ScalarArrayOpExpr *) node)->args;
	}
	else
		return false;
	return function == F_UUID_EQ &&
		((is_column(linitial(args)) && is_context_value(lsecond(args))) ||
		 (is_column(lsecond(args)) && is_context_value(linitial(args))));
}

/*
 * The expression of a scalar subquery without FROM and WHERE, or NULL.
 */
static Node *
trivial_subquery(Node *node)
{
	Query	   *query;

	if (!IsA(node, SubLink) || ((SubLink *) node)->subLinkType != EXPR_SUBLINK)
		return NULL;
	query = castNode(Query, ((SubLink *) node)->subselect);
	if (query->commandType != CMD_SELECT || query->setOperations != NULL ||
		query->jointree->fromlist != NIL || query->jointree->quals != NULL)
		return NULL;
	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

static bool isolates(Node *node);

static bool
all_isolate(List *nodes)
{
	ListCell   *cell;

	foreach(cell, nodes)
	{
		if (!isolates(lfirst(cell)))
			return false;
	}
	return true;
}

/*
 * Is the condition true for no row but those that the context may see?
 */
static bool
isolates(Node *node)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, Const))
		return ((Const *) node)->constisnull || !DatumGetBool(((Const *) node)->constvalue);
	if (IsA(node, CoalesceExpr))
		return all_isolate(((CoalesceExpr *) node)->args);
	if (IsA(node, SubLink))
		return isolates(trivial_subquery(node));
	if (!IsA(node, BoolExpr))
		return is_predicate_of_columns(node) || compares_with_context(node);
	if (((BoolExpr *) node)->boolop == OR_EXPR)
		return all_isolate(((BoolExpr *) node)->args);
	if (((BoolExpr *) node)->boolop == NOT_EXPR)
		return false;
	foreach(cell, ((BoolExpr *) node)->args)
	{
		if (isolates(lfirst(cell)))
			return true;
	}
	return false;
}

/*
 * Is a predicate called somewhere the planner cannot replace it: on anything
 * but plain columns, or anywhere but under AND and OR?
 */
static bool
hides_predicate(Node *node, void *under_expression)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, hides_predicate, under_expression, 0);
	if (is_predicate_call(node))
	{
		foreach(cell, ((FuncExpr *) node)->args)
		{
			if (!IsA(lfirst(cell), Var) && !IsA(lfirst(cell), Const))
				return true;
		}
		return *(bool *) under_expression;
	}
	if (!IsA(node, BoolExpr) && !IsA(node, List))
	{
		bool		under = true;

		return expression_tree_walker(node, hides_predicate, &under);
	}
	return expression_tree_walker(node, hides_predicate, under_expression);
}

/*
 * SQL: revdesk.isolates(condition pg_node_tree) returns boolean.  No
 * condition, NULL, lets everything through.
 */
Datum
revdesk_isolates(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(isolates(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0)))));
}

/*
 * SQL: revdesk.compares_columns(condition pg_node_tree) returns boolean: are
 * all calls of the predicates such that an index can answer them?
 */
Datum
revdesk_compares_columns(PG_FUNCTION_ARGS)
{
	bool		under = false;

	PG_RETURN_BOOL(!hides_predicate(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0))),
									&under));
}
