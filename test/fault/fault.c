/*
 * fault.c
 *		Functions that make the n-th allocation from now fail, as if memory were
 *		exhausted.  For tests alone.
 *
 * For palloc() the memory contexts that there are get methods of ours in front
 * of their own.  Contexts that are made later are not covered; those that
 * matter here, the transaction's, the caches' and the one of the running
 * expression, are there already.  ErrorContext is left out: PostgreSQL keeps
 * a reserve there for just this case.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 170000
#include "utils/memutils_internal.h"
#endif

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(fault_arm);
PG_FUNCTION_INFO_V1(fault_disarm);
PG_FUNCTION_INFO_V1(fault_forget_caches);

/* Of malloc.c, if that is preloaded. */
extern int	fault_malloc_countdown __attribute__((weak));
extern int	fault_malloc_failures __attribute__((weak));

static int	palloc_countdown = 0;
static int	palloc_failures = 0;

/* Method tables in front of which ours are. */
typedef struct Cover
{
	const MemoryContextMethods *original;
	MemoryContextMethods ours;
} Cover;

static Cover covers[8];

static Cover *
cover_of(MemoryContext context)
{
	for (int i = 0; i < (int) lengthof(covers); i++)
	{
		if (context->methods == &covers[i].ours)
			return &covers[i];
	}
	return NULL;
}

static bool
fails(void)
{
	if (palloc_countdown == 0 || CritSectionCount > 0 || --palloc_countdown > 0)
		return false;
	palloc_failures++;
	return true;
}

#if PG_VERSION_NUM >= 170000
static void *
alloc(MemoryContext context, Size size, int flags)
{
	if (fails())
		return MemoryContextAllocationFailure(context, size, flags);
	return cover_of(context)->original->alloc(context, size, flags);
}
#else
static void *
alloc(MemoryContext context, Size size)
{
	return fails() ? NULL : cover_of(context)->original->alloc(context, size);
}
#endif

static void
cover(MemoryContext context)
{
	for (int i = 0; i < (int) lengthof(covers); i++)
	{
		if (covers[i].original == NULL)
		{
			covers[i].original = context->methods;
			covers[i].ours = *context->methods;
			covers[i].ours.alloc = alloc;
		}
		if (covers[i].original == context->methods)
		{
			context->methods = &covers[i].ours;
			return;
		}
	}
	elog(ERROR, "more kinds of memory contexts than there is room for");
}

/* Put our methods in front of a context's and its descendants', or take them away. */
static void
cover_all(MemoryContext context, bool on)
{
	Cover	   *covered = cover_of(context);

	if (covered != NULL && !on)
		context->methods = covered->original;
	else if (covered == NULL && on && context != ErrorContext)
		cover(context);
	for (MemoryContext child = context->firstchild; child != NULL; child = child->nextchild)
		cover_all(child, on);
}

/*
 * SQL: fault_arm(kind text, n int) returns void; kind is palloc or malloc.
 */
Datum
fault_arm(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			n = PG_GETARG_INT32(1);

	if (strcmp(kind, "palloc") == 0)
	{
		cover_all(TopMemoryContext, true);
		palloc_countdown = n;
	}
	else if (&fault_malloc_countdown != NULL)
		fault_malloc_countdown = n;
	else
		elog(ERROR, "malloc.so is not preloaded");
	PG_RETURN_VOID();
}

/*
 * SQL: fault_disarm() returns boolean: has an allocation failed since the last
 * call?
 */
Datum
fault_disarm(PG_FUNCTION_ARGS)
{
	bool		failed = palloc_failures > 0;

	cover_all(TopMemoryContext, false);
	palloc_countdown = palloc_failures = 0;
	if (&fault_malloc_countdown != NULL)
	{
		failed = failed || fault_malloc_failures > 0;
		fault_malloc_countdown = fault_malloc_failures = 0;
	}
	PG_RETURN_BOOL(failed);
}

/*
 * SQL: fault_forget_caches() returns void: the next use of each of this
 * backend's caches is the first one.
 */
Datum
fault_forget_caches(PG_FUNCTION_ARGS)
{
	InvalidateSystemCaches();
	PG_RETURN_VOID();
}
