/*
 * replay_lag.c
 *		Is this a standby that may not know yet of a revocation?
 *
 * The measure is the commit that was replayed last: what the primary did until
 * then is known here.  So that a primary without work is not taken for a lost
 * one, it commits an empty transaction from time to time (usage_worker.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "replay_lag.h"

/* So many commits are to reach a standby before it would be held to lag. */
#define BEATS 3

/*
 * Has the standby replayed nothing for longer than revdesk.max_replay_lag?
 */
bool
rda_replay_lag_is_high(void)
{
	if (rda_guc_max_replay_lag == 0 || !RecoveryInProgress())
		return false;

	/* 0, before the first commit since the start, is long ago. */
	return TimestampDifferenceExceeds(GetLatestXTime(), GetCurrentTimestamp(),
									  rda_guc_max_replay_lag * 1000);
}

/*
 * How often a primary commits, in milliseconds; 0 for never.
 */
int
rda_replay_lag_interval(void)
{
	return rda_guc_max_replay_lag * 1000 / BEATS;
}

/*
 * Commit an empty transaction that standbys see.  Its having an id is enough.
 */
void
rda_replay_lag_beat(void)
{
	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	(void) GetTopTransactionId();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}
