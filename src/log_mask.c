/*
 * log_mask.c
 *		No key in what is logged.
 *
 * Masks the messages that go to the server log, in every part of them in which
 * a statement, a parameter, a plan or a value can be quoted.  A message that
 * goes to the log and to the client reaches the client masked as well.
 */
#include "postgres.h"

#include "log_mask.h"
#include "mask.h"
#include "statement.h"

/*
 * Parts of a message are palloc'd, since elog.c frees them; and a masked text
 * is as long as it was.  So they are masked where they are, which takes no
 * memory and cannot fail.
 */
static void
mask_part(char *part)
{
	if (part != NULL)
		rda_mask(part);
}

/*
 * Mask the keys in a message that is about to be logged.  Never raises.
 */
void
rda_log_mask(ErrorData *edata)
{
	mask_part(edata->message);
	mask_part(edata->detail);
	mask_part(edata->detail_log);
	mask_part(edata->hint);
	mask_part(edata->context);
	mask_part(edata->internalquery);
	mask_part(edata->backtrace);

	/* The STATEMENT is not in the message; the logger takes it from elsewhere. */
	if (!edata->hide_stmt && rda_statement_conceal() == RDA_NOT_CONCEALED)
		edata->hide_stmt = true;
}
