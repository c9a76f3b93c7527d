/*
 * brake.c
 *		A brake on failed attempts from one address, for all databases together.
 *
 * A table of buckets by hash of the address: no number of addresses fills it.
 * Two that share a bucket share its brake, which is as short as a minute.
 * No locks; see rate_limit.c.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "brake.h"
#include "guc.h"
#include "rate_limit.h"
#include "shmem.h"

#define BRAKES 65536

static RdaBucket *brakes = NULL;

/*
 * The bucket of an address, and what it is held to; NULL if there is no brake.
 */
static RdaBucket *
find_brake(const char *address, RdaLimits *limits)
{
	if (brakes == NULL || address == NULL || rda_guc_failures_per_minute == 0)
		return NULL;
	*limits = (RdaLimits) {
		.rate = rda_guc_failures_per_minute,
		.rate_period = SECS_PER_MINUTE,
		.burst = rda_guc_failures_per_minute
	};
	return &brakes[hash_bytes((const unsigned char *) address,
							  strlen(address)) % BRAKES];
}

/*
 * Have so many attempts from this address failed that the next ones are to be
 * refused unseen?
 *
 * address: as text; NULL if not known, which is never braked.
 */
bool
rda_brake_is_on(const char *address)
{
	RdaLimits	limits;
	RdaBucket  *brake = find_brake(address, &limits);

	return brake != NULL && rda_bucket_is_empty(brake, &limits);
}

/*
 * Count an attempt from this address that failed.
 */
void
rda_brake_count_failure(const char *address)
{
	RdaLimits	limits;
	RdaBudget	budget;
	RdaBucket  *brake = find_brake(address, &limits);

	if (brake != NULL)
		(void) rda_bucket_take(brake, &limits, &budget);
}

static Size
shmem_size(void)
{
	return BRAKES * sizeof(RdaBucket);
}

static void
shmem_startup(LWLockPadded *locks)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	brakes = ShmemInitStruct("revdesk_auth brakes", shmem_size(), &found);
	for (int i = 0; !found && i < BRAKES; i++)
		rda_bucket_init(&brakes[i]);
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Ask for the shared memory.  To be called while the library is preloaded.
 */
void
rda_brake_init(void)
{
	static const RdaShmemPart part = {
		.size = shmem_size,
		.tranche = "revdesk_auth brakes",
		.startup = shmem_startup
	};

	rda_shmem_add(&part);
}
