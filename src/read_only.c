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

#include "context.h"
#include "read_only.h"

/*
 * Make the transaction READ ONLY if its context asks for that.
 */
void
rda_read_only_enforce(void)
{
	const RdaContext *context = rda_context_current();

	if (context != NULL && context->access == RDA_ACCESS_READ)
		XactReadOnly = true;
}
