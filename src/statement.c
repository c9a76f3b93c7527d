/*
 * statement.c
 *		The text of the running statement, where others can read it.
 *
 * The server shows it in pg_stat_activity, to all sessions of the same role,
 * and as the STATEMENT of log lines.  If there is a key in it, both get a
 * masked copy.  Nothing is executed from that text; it is for showing only.
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"

#include "mask.h"
#include "statement.h"

/*
 * The text that was looked at last, of the message that began then, and what it
 * is a masked copy of, if it is one.
 */
static const char *seen_text = NULL;
static const char *sent_text = NULL;
static TimestampTz seen_at = 0;
static RdaConcealed seen_as = RDA_NOTHING_TO_CONCEAL;

/*
 * A masked copy as long-lived as the text itself, which PostgreSQL sets anew
 * with each message; NULL if there is no memory, or no such context in this
 * process.
 */
static char *
copy_masked(const char *text)
{
	Size		size = strlen(text) + 1;
	char	   *copy;

	if (MessageContext == NULL)
		return NULL;
	copy = MemoryContextAllocExtended(MessageContext, size,
									  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy != NULL)
	{
		memcpy(copy, text, size);
		rda_mask(copy);
	}
	return copy;
}

/*
 * Have pg_stat_activity show this text, beside the query's id, which it would
 * forget with the old one.
 */
static void
show(const char *text)
{
	uint64		query_id = (uint64) pgstat_get_my_query_id();

	pgstat_report_activity(STATE_RUNNING, text);
	pgstat_report_query_id(query_id, true);
}

/*
 * Conceal the keys in the running statement's text from others.
 *
 * Says what became of it; the same for the whole statement.  Never raises, so
 * that a log hook may call it.
 */
RdaConcealed
rda_statement_conceal(void)
{
	const char *text = debug_query_string;
	char	   *copy;

	if (text == NULL)
		return RDA_NOTHING_TO_CONCEAL;
	if (text == seen_text && GetCurrentStatementStartTimestamp() == seen_at)
		return seen_as;

	seen_text = text;
	seen_at = GetCurrentStatementStartTimestamp();
	seen_as = RDA_NOTHING_TO_CONCEAL;
	if (!rda_mask_is_due(text))
		return seen_as;

	copy = copy_masked(text);
	if (copy == NULL)
		seen_as = RDA_NOT_CONCEALED;
	else if (strcmp(copy, text) != 0)
	{
		seen_as = RDA_CONCEALED;
		sent_text = text;
		seen_text = debug_query_string = copy;
		show(copy);
	}
	return seen_as;
}

/*
 * A text without the keys in it: the same one if it has none, else a palloc'd
 * copy.  The text of a message is not looked at again for each statement in it;
 * but it is copied, since a portal may outlive the message.
 */
const char *
rda_statement_masked(const char *text)
{
	char	   *copy;

	if (seen_as == RDA_CONCEALED && text == sent_text)
		return pstrdup(seen_text);
	if (text == NULL || !rda_mask_is_due(text))
		return text;
	copy = pstrdup(text);
	rda_mask(copy);
	return copy;
}
