/*
 * context_age.c
 *		Bounds how long a transaction acts for a caller, by
 *		revdesk.max_context_age: a key that was revoked meanwhile counts until
 *		the end of the transaction.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "context.h"
#include "context_age.h"
#include "guc.h"

/* transaction_timeout; core has a name for it from 17 on. */
#define ERRCODE_CONTEXT_TOO_OLD MAKE_SQLSTATE('2', '5', 'P', '0', '4')

/*
 * Refuse to go on under a context that is older than allowed.
 *
 * 25P04, transaction_timeout, and not 57014: no statement was canceled, and
 * repeating the statement will not do, but repeating the transaction will.
 */
void
rda_context_age_check(void)
{
	const RdaContext *context = rda_context_current();

	if (rda_guc_max_context_age == 0 || context == NULL ||
		!TimestampDifferenceExceeds(context->since, GetCurrentTimestamp(),
									rda_guc_max_context_age))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONTEXT_TOO_OLD),
			 errmsg("the transaction has acted for its caller for too long"),
			 errhint("Begin a new transaction and authenticate again; see \"revdesk.max_context_age\".")));
}
