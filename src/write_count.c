/*
 * write_count.c
 *		Counts the transactions of each key that wrote, to tell keys that may
 *		write and never do.
 *
 * A transaction that wrote, or locked rows in order to, has a transaction id.
 */
#include "postgres.h"

#include "access/xact.h"

#include "context.h"
#include "usage.h"
#include "write_count.h"

static void
on_transaction_end(XactEvent event, void *arg)
{
	const RdaContext *context;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE)
		return;
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	context = rda_context_current();
	if (context != NULL && context->key_id.present)
		rda_usage_add(&context->key_id.value, RDA_COUNT_WRITES);
}

void
rda_write_count_init(void)
{
	RegisterXactCallback(on_transaction_end, NULL);
}
