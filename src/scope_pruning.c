/*
 * scope_pruning.c
 *		Partitions and the scopes that are sets of tenants: leave out, when a
 *		plan is started, those that have no tenant of the caller's.
 *
 * PostgreSQL cannot prune by the member tests of scope_sets.c.  It can by
 *
 *		tenant_id = ANY (ARRAY[revdesk_scope_tenant(1, n, c1), ...
 *							   revdesk_scope_tenant(n, n, cn)])
 *
 * whose elements are evaluated at the start of the executor.  That condition is
 * for pruning alone: it is added to a partitioned table when the paths of its
 * partitions are made already, so no scan evaluates it, and estimates and
 * indexes do not know of it.
 *
 * Plans serve callers that they were not made for, with more tenants.  A scope
 * of more than n must find all partitions open.  In hash partitions that is
 * done by c1 to cn, uuids of no meaning of which each partition would hold one:
 * then they are the elements.  So n is the number of partitions, and no plan
 * depends on the caller, or on how many tenants there are.  For list and range
 * partitions it is enough to add
 *
 *		OR tenant_id >= revdesk_scope_tenant(n + 1, n, smallest)
 *
 * which is NULL for up to n tenants.
 *
 * Parallel workers prune on their own, and must come to the same result as
 * their leader even if the tenants change meanwhile.  So what is read for
 * pruning is what the snapshot of the statement shows, not the latest state:
 * that is in the filters, so rows are never too many.  A snapshot that is older
 * than the statement, in REPEATABLE READ, would hide a tenant from all
 * statements to come; there nothing is pruned.  (A STABLE function finds the
 * tenants as the statement had them that called it.)
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "partitioning/partbounds.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "context.h"
#include "pg_compat.h"
#include "scope_pruning.h"
#include "scope_sets.h"
#include "tenancy.h"

PG_FUNCTION_INFO_V1(revdesk_scope_tenant);

/* Tables of more partitions are not pruned. */
#define MAX_PLACES 8192

/* After so many uuids for each partition, one of them has a very small part. */
#define MAX_TRIES 32

/*
 * The tenants that were read for the first place, for the places after it.  As
 * the steps of pruning are evaluated one after the other, nothing can change
 * in between.
 */
static struct
{
	LocalTransactionId transaction;
	RdaScope	scope;			/* RDA_SCOPE_NONE: nothing was read */
	pg_uuid_t	of;
	int			places;
	int			count;
	pg_uuid_t  *ids;
	int			room;			/* in ids */
}			seen;

/* A table that is partitioned by hash of the tenant. */
typedef struct HashLevel
{
	RelOptInfo *rel;
	Bitmapset  *uncovered;		/* partitions */
} HashLevel;

/* How a table and its partitions are partitioned by a column. */
typedef struct Levels
{
	List	   *hash;			/* of HashLevel */
	bool		mixed_hash;		/* by hash of it and more */
	int			ordered;		/* by list or range: the most partitions */
} Levels;

static set_rel_pathlist_hook_type previous_set_rel_pathlist = NULL;

static const pg_uuid_t *
caller_id(const RdaContext *context)
{
	return context->scope == RDA_SCOPE_USER ?
		&context->user_id.value : &context->tenant_id.value;
}

static bool
is_seen(const RdaContext *context, int places)
{
	return seen.scope == context->scope && seen.places == places &&
		seen.transaction == rda_local_transaction_id() &&
		rda_uuid_equal(&seen.of, caller_id(context));
}

static void
see(const RdaContext *context, int places)
{
	const pg_uuid_t *of = caller_id(context);

	seen.scope = RDA_SCOPE_NONE;
	if (places > seen.room)
	{
		pg_uuid_t  *ids = MemoryContextAlloc(TopMemoryContext,
											 places * sizeof(pg_uuid_t));

		if (seen.ids != NULL)
			pfree(seen.ids);
		seen.ids = ids;
		seen.room = places;
	}
	seen.count = context->scope == RDA_SCOPE_USER ?
		rda_user_tenants_at(of, GetActiveSnapshot(), seen.ids, places) :
		rda_organization_tenants_at(of, GetActiveSnapshot(), seen.ids, places);
	seen.places = places;
	seen.of = *of;
	seen.transaction = rda_local_transaction_id();
	seen.scope = context->scope;
}

/*
 * SQL: revdesk_scope_tenant(place, places, otherwise) returns uuid.
 *
 * The tenant in this place, from 1, of the context's scope, suspended ones
 * among them; NULL if there are fewer, and in other scopes.  If there are more
 * tenants than places, otherwise.
 */
Datum
revdesk_scope_tenant(PG_FUNCTION_ARGS)
{
	int			place = PG_GETARG_INT32(0);
	int			places = PG_GETARG_INT32(1);
	const RdaContext *context = rda_context_current();

	if (context == NULL || (context->scope != RDA_SCOPE_USER &&
							context->scope != RDA_SCOPE_ORGANIZATION))
		PG_RETURN_NULL();
	if (places < 1 || places > MAX_PLACES || IsolationUsesXactSnapshot())
		PG_RETURN_DATUM(PG_GETARG_DATUM(2));

	if (place == 1 || !is_seen(context, places))
		see(context, places);
	if (seen.count > places)
		PG_RETURN_DATUM(PG_GETARG_DATUM(2));
	if (place < 1 || place > seen.count)
		PG_RETURN_NULL();
	return rda_uuid_copy(&seen.ids[place - 1]);
}

/*
 * Note how a table is partitioned by a column of it.
 */
static void
find_level(RelOptInfo *rel, Node *column, Levels *levels)
{
	PartitionScheme scheme = rel->part_scheme;
	HashLevel  *level;

	for (int i = 0; i < scheme->partnatts; i++)
	{
		if (!list_member(rel->partexprs[i], column))
			continue;
		if (scheme->strategy != PARTITION_STRATEGY_HASH)
		{
			levels->ordered = Max(levels->ordered, rel->nparts);
			continue;
		}
		if (scheme->partnatts > 1 || scheme->partopcintype[0] != UUIDOID)
		{
			levels->mixed_hash = true;
			continue;
		}
		level = palloc(sizeof(HashLevel));
		level->rel = rel;
		level->uncovered = bms_add_range(NULL, 0, rel->nparts - 1);
		levels->hash = lappend(levels->hash, level);
	}
}

/*
 * The same for the table and its partitions, all the way down.
 */
static void
find_levels(PlannerInfo *root, RelOptInfo *rel, Node *column, Levels *levels)
{
	find_level(rel, column, levels);
	for (int i = 0; i < rel->nparts; i++)
	{
		RelOptInfo *child = rel->part_rels[i];

		if (child != NULL && IS_PARTITIONED_REL(child))
			find_levels(root, child,
						adjust_appendrel_attrs(root, column, 1,
											   &root->append_rel_array[child->relid]),
						levels);
	}
}

/*
 * Which of its partitions would hold this tenant?  -1 if none.
 */
static int
partition_of(const HashLevel *level, const pg_uuid_t *id)
{
	PartitionScheme scheme = level->rel->part_scheme;
	PartitionBoundInfo bounds = level->rel->boundinfo;
	Datum		value = UUIDPGetDatum(id);
	bool		isnull = false;
	uint64		hash = compute_partition_hash_value(1, scheme->partsupfunc,
													scheme->partcollation,
													&value, &isnull);

	return bounds->indexes[hash % bounds->nindexes];
}

/*
 * Uuids of which each partition would hold one; NIL if that takes too many.
 * They are numbers, and of no tenant.
 */
static List *
find_covers(List *levels)
{
	List	   *covers = NIL;
	ListCell   *cell;
	int			uncovered = 0;

	foreach(cell, levels)
		uncovered += ((HashLevel *) lfirst(cell))->rel->nparts;
	if (uncovered > MAX_PLACES)
		return NIL;
	for (int tries = MAX_TRIES * uncovered; tries > 0 && uncovered > 0; tries--)
	{
		pg_uuid_t	id = {0};
		int			before = uncovered;

		memcpy(id.data, &tries, sizeof(tries));
		foreach(cell, levels)
		{
			HashLevel  *level = lfirst(cell);
			int			partition = partition_of(level, &id);

			if (partition < 0 || !bms_is_member(partition, level->uncovered))
				continue;
			level->uncovered = bms_del_member(level->uncovered, partition);
			uncovered--;
		}
		if (uncovered < before)
			covers = lappend(covers, memcpy(palloc(sizeof(id)), &id, sizeof(id)));
	}
	return uncovered == 0 ? covers : NIL;
}

/*
 * revdesk_scope_tenant(place, places, otherwise)
 */
static Node *
tenant(Oid function, int place, int places, pg_uuid_t *otherwise)
{
	List	   *args = list_make3(makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
											Int32GetDatum(place), false, true),
								  makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
											Int32GetDatum(places), false, true),
								  makeConst(UUIDOID, -1, InvalidOid, UUID_LEN,
											UUIDPGetDatum(otherwise), false, false));

	return (Node *) makeFuncExpr(function, UUIDOID, args, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * column = ANY (ARRAY[the tenants])
 */
static Node *
equals_any(Oid function, Node *column, int places, List *covers)
{
	ArrayExpr  *array = makeNode(ArrayExpr);

	array->array_typeid = UUIDARRAYOID;
	array->element_typeid = UUIDOID;
	array->location = -1;
	for (int i = 0; i < places; i++)
		array->elements = lappend(array->elements,
								  tenant(function, i + 1, places,
										 list_nth(covers, i % list_length(covers))));
	return rda_scope_equals_any(column, (Expr *) array);
}

/*
 * column >= smallest, if there are more tenants than places
 */
static Node *
overflows(Oid function, Node *column, int places, pg_uuid_t *smallest)
{
	Oid			family = lookup_type_cache(UUIDOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	Oid			operator = get_opfamily_member(family, UUIDOID, UUIDOID,
											   BTGreaterEqualStrategyNumber);
	Expr	   *clause = make_opclause(operator, BOOLOID, false,
									   (Expr *) copyObject(column),
									   (Expr *) tenant(function, places + 1, places, smallest),
									   InvalidOid, InvalidOid);

	set_opfuncid((OpExpr *) clause);
	return (Node *) clause;
}

/*
 * The condition that prunes as this member test of a column would; NULL if
 * the table has no partitions by it.
 *
 * The one with covers is false of rows that are visible, so it must not meet
 * partitions that it does not cover.
 */
static Node *
pruning_condition(PlannerInfo *root, RelOptInfo *rel, Oid function, Node *column)
{
	static pg_uuid_t smallest;
	Levels		levels = {0};
	List	   *covers;

	find_levels(root, rel, column, &levels);
	if (levels.ordered > 0 && levels.ordered <= MAX_PLACES)
		return (Node *) make_orclause(list_make2(equals_any(function, column, levels.ordered,
															list_make1(&smallest)),
												 overflows(function, column, levels.ordered,
														   &smallest)));
	if (levels.ordered > 0 || levels.mixed_hash || levels.hash == NIL)
		return NULL;
	covers = find_covers(levels.hash);
	return covers == NIL ? NULL :
		equals_any(function, column, list_length(covers), covers);
}

/*
 * Is this a member test of a column?  Returns the function that gives the
 * tenants one by one, or InvalidOid.
 */
static Oid
function_for(Node *node)
{
	static const Oid types[] = {INT4OID, INT4OID, UUIDOID};
	FuncExpr   *call = (FuncExpr *) node;

	if (!IsA(node, FuncExpr) || list_length(call->args) != 1 ||
		!IsA(linitial(call->args), Var) ||
		!rda_scope_is_set_member_test(call->funcid))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("revdesk_scope_tenant"),
						   PointerGetDatum(buildoidvector(types, lengthof(types))),
						   ObjectIdGetDatum(get_func_namespace(call->funcid)));
}

/*
 * A condition with its member tests replaced, where that helps; else NULL.
 */
static Node *
replace_tests(PlannerInfo *root, RelOptInfo *rel, Node *node)
{
	List	   *args = NIL;
	bool		replaced = false;
	ListCell   *cell;
	Oid			function;

	if (is_andclause(node) || is_orclause(node))
	{
		foreach(cell, ((BoolExpr *) node)->args)
		{
			Node	   *arg = replace_tests(root, rel, lfirst(cell));

			replaced |= arg != NULL;
			args = lappend(args, arg ? arg : lfirst(cell));
		}
		if (!replaced)
			return NULL;
		return (Node *) makeBoolExpr(((BoolExpr *) node)->boolop, args, -1);
	}
	function = function_for(node);
	if (!OidIsValid(function))
		return NULL;
	record_plan_function_dependency(root, function);
	return pruning_condition(root, rel, function,
							 linitial(((FuncExpr *) node)->args));
}

/*
 * The paths of a table have been made: add to its conditions what its
 * partitions are to be pruned by.
 */
static void
set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti,
				 RangeTblEntry *rte)
{
	List	   *added = NIL;
	ListCell   *cell;

	if (previous_set_rel_pathlist != NULL)
		previous_set_rel_pathlist(root, rel, rti, rte);
	if (rel->reloptkind != RELOPT_BASEREL || !IS_PARTITIONED_REL(rel))
		return;
	foreach(cell, rel->baserestrictinfo)
	{
		Expr	   *clause = lfirst_node(RestrictInfo, cell)->clause;
		Node	   *pruning = replace_tests(root, rel, (Node *) clause);

		if (pruning != NULL)
			added = lappend(added, make_simple_restrictinfo(root, (Expr *) pruning));
	}
	rel->baserestrictinfo = list_concat_copy(rel->baserestrictinfo, added);
}

void
rda_scope_pruning_init(void)
{
	previous_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = set_rel_pathlist;
}
