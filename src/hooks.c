/*
 * hooks.c
 *		What is done at the start of statements and to messages: the only
 *		installer of the hooks of the parser, the executor, utility commands and
 *		the logger.
 *
 * Hooks that were installed before ours are called after it, with texts that
 * are masked already: pg_stat_statements and pgaudit, if they stand before
 * revdesk_auth in shared_preload_libraries.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "parser/analyze.h"
#include "tcop/utility.h"

#include "context_age.h"
#include "error_rewrite.h"
#include "hooks.h"
#include "log_limit.h"
#include "log_mask.h"
#include "pool_guard.h"
#include "read_only.h"
#include "statement.h"

static post_parse_analyze_hook_type previous_post_parse_analyze = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;
static emit_log_hook_type previous_emit_log = NULL;

/*
 * The text of a statement that has been read; the same one unless there are
 * keys in what the client sent.
 */
static const char *
shown(const char *text)
{
	return rda_statement_conceal() == RDA_NOTHING_TO_CONCEAL ? text :
		rda_statement_masked(text);
}

static void
post_parse_analyze(ParseState *state, Query *query, JumbleState *jumble)
{
	state->p_sourcetext = shown(state->p_sourcetext);
	if (previous_post_parse_analyze != NULL)
		previous_post_parse_analyze(state, query, jumble);
}

static void
start_executor(QueryDesc *query, int eflags)
{
	query->sourceText = shown(query->sourceText);
	rda_read_only_enforce();
	if (!IsParallelWorker())
		rda_context_age_check();

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
	text = shown(text);
	rda_read_only_enforce();
	if (!IsA(statement->utilityStmt, TransactionStmt))
		rda_context_age_check();
	rda_pool_guard_check(statement->utilityStmt);

	if (previous_process_utility != NULL)
		previous_process_utility(statement, text, read_only_tree, context,
								 params, environment, destination, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context,
								params, environment, destination, completion);
}

/*
 * Masked last, since the rewriting puts one part of a message into another.
 */
static void
emit_log(ErrorData *edata)
{
	rda_error_rewrite(edata);
	rda_log_mask(edata);
	rda_log_limit(edata);
	if (previous_emit_log != NULL)
		previous_emit_log(edata);
}

void
rda_hooks_init(void)
{
	previous_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	previous_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
}
