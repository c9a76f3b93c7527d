/*
 * errors.c
 *		What revdesk_authenticate(text) answers to those it does not let in.
 *
 * reason: a sentence for the server log alone; must not hold any part of the
 * key.  The callers' context lines and the statement are left out, since
 * PL/pgSQL and the log would quote the key from them.
 *
 * log_limit.c knows these functions by their names.
 */
#include "postgres.h"

#include "errors.h"

/*
 * Reject the caller's key, with 28000 and one text for every reason.
 */
void
rda_error_rejected(const char *reason)
{
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("API key rejected"),
			 errdetail_log("%s", reason),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/*
 * Put the caller off until there is something in the budget again: 53400.
 */
void
rda_error_over_limit(const RdaBudget *budget, const char *reason)
{
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("API key is over its limit"),
			 errdetail("Retry after %lld seconds.", (long long) budget->reset),
			 errdetail_log("%s", reason),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/*
 * Turn all callers away from a server that cannot know which keys hold: 57P03.
 */
void
rda_error_unavailable(const char *reason)
{
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_CANNOT_CONNECT_NOW),
			 errmsg("this standby cannot check API keys now"),
			 errdetail_log("%s", reason),
			 errhint("Try again, or another server."),
			 errhidestmt(true),
			 errhidecontext(true)));
}
