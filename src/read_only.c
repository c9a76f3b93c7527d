/*
 * read_only.c
 *		Keeps the transactions of keys with access read READ ONLY.
 *
 * Authentication sets transaction_read_only, but PostgreSQL gives each
 * subtransaction a state of its own, and at RELEASE restores that of the one
 * around it, while the context stays.  So every statement begins by looking
 * whether the context asks for READ ONLY.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/utility.h"

#include "context.h"
#include "read_only.h"

static ExecutorStart_hook_type previous_executor_start = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;

static void
enforce(void)
{
	const RdaContext *context = rda_context_current();

	if (context != NULL && context->access == RDA_ACCESS_READ)
		XactReadOnly = true;
}

static void
start_executor(QueryDesc *query, int eflags)
{
	enforce();
	if (previous_executor_start != NULL)
		previous_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

static void
process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *destination,
				QueryCompletion *completion)
{
	enforce();
	if (previous_process_utility != NULL)
		previous_process_utility(statement, text, read_only_tree, context,
								 params, environment, destination, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context,
								params, environment, destination, completion);
}

void
rda_read_only_init(void)
{
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
