/*
 * log_limit.c
 *		A flood of rejected keys does not fill the server log.
 *
 * Rejections beyond so many a minute, of the whole server, are not logged.  The
 * next one that is says how many were left out; usage and audit log count all
 * of them anyway.
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "log_limit.h"
#include "rate_limit.h"
#include "shmem.h"

typedef struct Shared
{
	RdaBucket	bucket;
	pg_atomic_uint64 left_out;	/* since the last that was logged */
} Shared;

static Shared *shared = NULL;

/*
 * Was this error raised by one of the functions that reject?
 */
static bool
is_rejection(const ErrorData *edata)
{
	static const char *const functions[] = {
		"rda_error_rejected", "rda_error_over_limit", "rda_error_unavailable",
		"rda_http_raise"
	};

	for (int i = 0; edata->funcname != NULL && i < (int) lengthof(functions); i++)
	{
		if (strcmp(edata->funcname, functions[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Leave a message out of the server log if it is one rejection too many.
 */
void
rda_log_limit(ErrorData *edata)
{
	RdaLimits	limits = {
		.rate = rda_guc_log_rejections_per_minute,
		.rate_period = SECS_PER_MINUTE,
		.burst = rda_guc_log_rejections_per_minute
	};
	RdaBudget	budget;
	uint64		left_out;

	if (shared == NULL || rda_guc_log_rejections_per_minute == 0 ||
		!is_rejection(edata))
		return;
	if (!rda_bucket_take(&shared->bucket, &limits, &budget))
	{
		pg_atomic_fetch_add_u64(&shared->left_out, 1);
		edata->output_to_server = false;
		return;
	}
	left_out = pg_atomic_exchange_u64(&shared->left_out, 0);
	if (left_out > 0)
		edata->detail_log = psprintf("%s%s" UINT64_FORMAT " rejections before this one were not logged.",
									 edata->detail_log ? edata->detail_log : "",
									 edata->detail_log ? " " : "", left_out);
}

static Size
shmem_size(void)
{
	return sizeof(Shared);
}

static void
shmem_startup(LWLockPadded *locks)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("revdesk_auth log limit", shmem_size(), &found);
	if (!found)
	{
		rda_bucket_init(&shared->bucket);
		pg_atomic_init_u64(&shared->left_out, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Ask for the shared memory.  To be called while the library is preloaded.
 */
void
rda_log_limit_init(void)
{
	static const RdaShmemPart part = {
		.size = shmem_size,
		.tranche = "revdesk_auth log limit",
		.startup = shmem_startup
	};

	rda_shmem_add(&part);
}
