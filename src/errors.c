/*
 * errors.c
 *		Errors that are raised in more than one place.
 */
#include "postgres.h"

#include "errors.h"

/*
 * Reject the caller's key, with 28000 and one text for every reason.
 *
 * reason: a sentence for the server log alone; must not hold any part of the
 * key.
 *
 * The callers' context lines and the statement are left out, since PL/pgSQL
 * and the log would quote the key from them.
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
