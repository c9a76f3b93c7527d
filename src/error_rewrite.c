/*
 * error_rewrite.c
 *		PostgreSQL's own errors as HTTP, where revdesk.http_errors asks for it.
 *
 * PostgREST answers 42501 by the role in the request's JWT.  A caller with a
 * key has none, so it says 401 "authenticate", where 403 is right; and for a
 * write of a key of access read it says 405.  Neither a pre-request function
 * nor a policy can catch these errors, since they arise in PostgREST's own
 * statement.  So the hook of the logger (hooks.c) has them turned into the form
 * of http.c just before they are sent.
 *
 * The hook runs while the failed transaction's context still stands.  It sees
 * only errors that go to the server log, as all do unless log_min_messages is
 * above ERROR.  The log gets the original text, as the DETAIL.
 *
 * Not in a parallel worker, whose errors are raised again by its leader: they may
 * be caught there, by their SQLSTATE.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "utils/memutils.h"

#include "context.h"
#include "error_rewrite.h"
#include "guc.h"
#include "http.h"

/*
 * What an error that a caller with a context caused is for HTTP; NULL for
 * nothing special.
 */
static const RdaHttpError *
http_error(const ErrorData *edata)
{
	switch (edata->sqlerrcode)
	{
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
			return &rda_http_forbidden;
		default:
			return NULL;
	}
}

/*
 * Turn an error that is about to be logged and sent into the form of http.c,
 * where it asks for that.
 */
void
rda_error_rewrite(ErrorData *edata)
{
	const RdaHttpError *error = NULL;

	if (rda_guc_http_errors && edata->elevel == ERROR && !IsParallelWorker() &&
		rda_context_current() != NULL)
		error = http_error(edata);
	if (error != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(ErrorContext);

		edata->detail_log = edata->message;
		edata->message = rda_http_message(error, edata->message);
		edata->detail = rda_http_detail(error, rda_http_request_id());
		edata->hint = NULL;
		edata->sqlerrcode = MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T');
		MemoryContextSwitchTo(old);
	}
}
