/*
 * usage.c
 *		What became of the requests of each key, counted in shared memory, and
 *		held to rate limits there.
 *
 * A count is neither undone when its transaction rolls back nor needs one that
 * may write: it works on a GET and on a standby.
 *
 * When the table is full, a key that has no entry yet is not counted, and one
 * that has limits cannot be admitted: the caller must refuse it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "usage.h"

/* A time of last use that is not older is left as it is, in microseconds. */
#define LAST_USED_PRECISION 1000

/*
 * Count a request that was accepted.
 *
 * address: of the client, as text; NULL if not known.
 */
void
rda_usage_count(const pg_uuid_t *id, const char *address)
{
	TimestampTz now = GetCurrentTimestamp();
	LWLock	   *lock;
	RdaUsageEntry *entry = rda_usage_entry_acquire(id, &lock);

	if (entry == NULL)
		return;
	if (address == NULL)
		address = "";

	/* All processors write to a busy key: write no more than is new. */
	pg_atomic_fetch_add_u64(&entry->counts[RDA_COUNT_REQUESTS], 1);
	if (now - (TimestampTz) pg_atomic_read_u64(&entry->last_used) >= LAST_USED_PRECISION)
		pg_atomic_write_u64(&entry->last_used, (uint64) now);
	if (strncmp(entry->address, address, RDA_ADDRESS_LEN) != 0)
	{
		SpinLockAcquire(&entry->mutex);
		strlcpy(entry->address, address, RDA_ADDRESS_LEN);
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(lock);
}

/*
 * Count one thing more that is not an accepted request.  Never raises.
 *
 * id: NULL if the request had no known key.  count: an RdaCount.
 */
void
rda_usage_add(const pg_uuid_t *id, int count)
{
	LWLock	   *lock;
	RdaUsageEntry *entry = rda_usage_entry_acquire(id, &lock);

	if (entry == NULL)
		return;
	pg_atomic_fetch_add_u64(&entry->counts[count], 1);
	LWLockRelease(lock);
}

/*
 * Take a request out of the budget of a key or an organization; *within says
 * whether it was within the limits.  Returns false, with *within and *budget
 * undefined, if there is no room to hold it to them.
 */
bool
rda_usage_take(const pg_uuid_t *id, const RdaLimits *limits,
			   RdaBudget *budget, bool *within)
{
	LWLock	   *lock;
	RdaUsageEntry *entry = rda_usage_entry_acquire(id, &lock);

	if (entry == NULL)
		return false;
	*within = rda_bucket_take(&entry->bucket, limits, budget);
	LWLockRelease(lock);
	return true;
}

static bool
has_counts(const RdaUsage *usage)
{
	for (int i = 0; i < RDA_COUNTS; i++)
	{
		if (usage->counts[i] > 0)
			return true;
	}
	return false;
}

/*
 * What is counted and not yet flushed: an array, palloc'd, in no order.
 *
 * database: InvalidOid for all of them.
 */
RdaUsage *
rda_usage_read(Oid database, int *count)
{
	RdaUsage   *usages;
	RdaUsageWalk walk;
	RdaUsageEntry *entry;
	int64		room;

	*count = 0;
	if (!rda_usage_table_exists())
		return NULL;
	/* Entries that come while this walks are left for the next time. */
	room = rda_usage_table_entries();
	usages = palloc_extended((room + 1) * sizeof(RdaUsage), MCXT_ALLOC_HUGE);
	rda_usage_walk_begin(&walk, LW_SHARED);
	while ((entry = rda_usage_walk_next(&walk)) != NULL)
	{
		if ((!OidIsValid(database) || entry->key.database == database) &&
			*count < room)
		{
			rda_usage_entry_read(entry, &usages[*count]);
			if (has_counts(&usages[*count]))
				(*count)++;
		}
	}
	return usages;
}

/*
 * The same of one key of this database.  Returns false if nothing is counted.
 */
bool
rda_usage_read_one(const pg_uuid_t *id, RdaUsage *usage)
{
	LWLock	   *lock;
	RdaUsageEntry *entry = rda_usage_entry_find(id, MyDatabaseId, &lock);

	if (entry == NULL)
		return false;
	rda_usage_entry_read(entry, usage);
	LWLockRelease(lock);
	return true;
}

/*
 * Take off the counters what was flushed.
 */
void
rda_usage_end_flush(const RdaUsage *flushed, int count)
{
	for (int i = 0; i < count; i++)
	{
		LWLock	   *lock;
		RdaUsageEntry *entry = rda_usage_entry_find(&flushed[i].id,
													flushed[i].database, &lock);

		if (entry == NULL)
			continue;
		for (int j = 0; j < RDA_COUNTS; j++)
			pg_atomic_fetch_sub_u64(&entry->counts[j], flushed[i].counts[j]);
		LWLockRelease(lock);
	}
}

/*
 * Forget a database that is gone, or has the extension no more; or with
 * InvalidOid, if more than three quarters of the table are taken, entries of
 * any that hold nothing that must be kept.
 */
void
rda_usage_forget(Oid database)
{
	RdaUsageWalk walk;
	RdaUsageEntry *entry;
	RdaUsage	usage;

	if (!OidIsValid(database) &&
		rda_usage_table_entries() <= rda_guc_max_tracked_keys / 4 * 3)
		return;
	rda_usage_walk_begin(&walk, LW_EXCLUSIVE);
	while ((entry = rda_usage_walk_next(&walk)) != NULL)
	{
		rda_usage_entry_read(entry, &usage);
		if (OidIsValid(database) ? usage.database == database :
			!has_counts(&usage) && rda_bucket_is_idle(&entry->bucket))
			rda_usage_entry_remove(entry);
	}
}
