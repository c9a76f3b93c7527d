/*
 * usage.c
 *		What became of the requests of each key, counted in shared memory, and
 *		the buckets of the rate limits.
 *
 * A count is neither undone when its transaction rolls back nor needs one that
 * may write: it works on a GET and on a standby.
 *
 * Locking: a hash table in partitions, a lock each.  To add or remove an entry
 * hold its partition's lock exclusively; to find one, shared: that keeps the
 * entry in place.  Its numbers are atomics, its address has a spinlock.  Who goes
 * through the whole table (Walk) holds all locks, taken in order, but for a short
 * time only.  No lock is held across palloc, ereport(ERROR) or any catalog access.
 *
 * When the table is full, a key that has no entry yet is not counted ("dropped"
 * counts these), and one that has limits cannot be admitted: the caller must
 * refuse it.
 *
 * At a shutdown the table goes to a file and comes back at the start; at a
 * crash it is lost.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "record_file.h"
#include "shmem.h"
#include "usage.h"

#define PARTITIONS 64

/* After so many entries a walk lets others in, for so many microseconds. */
#define WALK_STEP 1000
#define WALK_PAUSE 100

#define LAST_USED_PRECISION 1000	/* microseconds */

typedef struct EntryKey
{
	Oid			database;
	pg_uuid_t	id;
} EntryKey;

typedef struct Entry
{
	EntryKey	key;			/* first, as dynahash wants it */
	pg_atomic_uint64 counts[RDA_COUNTS];
	pg_atomic_uint64 last_used;
	RdaBucket	bucket;
	slock_t		mutex;			/* of the address */
	char		address[RDA_ADDRESS_LEN];
} Entry;

typedef struct Shared
{
	LWLockPadded *locks;		/* PARTITIONS of them */
	pg_atomic_uint64 dropped;
	pg_atomic_uint32 flushing;	/* is a flush under way? */
} Shared;

/* A way through all entries. */
typedef struct Walk
{
	HASH_SEQ_STATUS status;
	LWLockMode	mode;
	int			passed;
} Walk;

/* An entry in the file. */
typedef struct Dumped
{
	RdaUsage	usage;
	RdaSavedBucket bucket;
} Dumped;

static const RdaRecordFile dump_file = {
	.path = "pg_stat/revdesk_auth.stat",
	.temporary = "pg_stat/revdesk_auth.stat.tmp",
	.magic = 0x52444133,
	.size = sizeof(Dumped)
};

static Shared *shared = NULL;
static HTAB *entries = NULL;

static Size
shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(Shared)),
					hash_estimate_size(rda_guc_max_tracked_keys, sizeof(Entry)));
}

static void
lock_all(LWLockMode mode)
{
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&shared->locks[i].lock, mode);
}

static void
unlock_all(void)
{
	for (int i = PARTITIONS; --i >= 0;)
		LWLockRelease(&shared->locks[i].lock);
}

static void
walk_begin(Walk *walk, LWLockMode mode)
{
	walk->mode = mode;
	walk->passed = 0;
	lock_all(mode);
	hash_seq_init(&walk->status, entries);
}

/*
 * The next entry, which stays in place until the one after it is asked for; in
 * exclusive mode it may be removed.  NULL, and no lock held, after the last.
 *
 * An entry is passed at most once, and those all are that stay there meanwhile.
 */
static Entry *
walk_next(Walk *walk)
{
	Entry	   *entry;

	/*
	 * Between two buckets the place is a number, which stays right: a table
	 * in partitions splits no bucket.
	 */
	if (walk->passed >= WALK_STEP && walk->status.curEntry == NULL)
	{
		unlock_all();
		pg_usleep(WALK_PAUSE);
		lock_all(walk->mode);
		walk->passed = 0;
	}
	walk->passed++;
	entry = hash_seq_search(&walk->status);
	if (entry == NULL)
		unlock_all();
	return entry;
}

static void
init_entry(Entry *entry)
{
	for (int i = 0; i < RDA_COUNTS; i++)
		pg_atomic_init_u64(&entry->counts[i], 0);
	pg_atomic_init_u64(&entry->last_used, 0);
	rda_bucket_init(&entry->bucket);
	SpinLockInit(&entry->mutex);
	entry->address[0] = '\0';
}

/*
 * Where a key's entry is or would be.  id: NULL for that of no known key.
 */
static LWLock *
entry_lock(Oid database, const pg_uuid_t *id, EntryKey *key, uint32 *hash)
{
	memset(key, 0, sizeof(EntryKey));
	key->database = database;
	if (id != NULL)
		key->id = *id;
	*hash = get_hash_value(entries, key);
	return &shared->locks[*hash % PARTITIONS].lock;
}

/*
 * Find a key's entry, and keep it in place until *lock is released.  Returns
 * NULL, with nothing to release, when there is none.
 */
static Entry *
find_entry(Oid database, const pg_uuid_t *id, LWLock **lock)
{
	EntryKey	key;
	uint32		hash;
	Entry	   *entry;

	*lock = entry_lock(database, id, &key, &hash);
	LWLockAcquire(*lock, LW_SHARED);
	entry = hash_search_with_hash_value(entries, &key, hash, HASH_FIND, NULL);
	if (entry == NULL)
		LWLockRelease(*lock);
	return entry;
}

/*
 * Find a key's entry or make it, and keep it in place until *lock is released.
 * Returns NULL, with nothing to release, when the table is full, and without
 * preloading.
 */
static Entry *
acquire_entry(const pg_uuid_t *id, LWLock **lock)
{
	EntryKey	key;
	uint32		hash;
	Entry	   *entry;
	bool		found;

	if (shared == NULL)
		return NULL;
	entry = find_entry(MyDatabaseId, id, lock);
	if (entry != NULL)
		return entry;

	*lock = entry_lock(MyDatabaseId, id, &key, &hash);
	LWLockAcquire(*lock, LW_EXCLUSIVE);
	entry = hash_search_with_hash_value(entries, &key, hash, HASH_ENTER_NULL, &found);
	if (entry != NULL)
	{
		if (!found)
			init_entry(entry);
		return entry;
	}
	LWLockRelease(*lock);
	pg_atomic_fetch_add_u64(&shared->dropped, 1);
	return NULL;
}

/*
 * Is there shared memory, since the server preloads the library?
 */
bool
rda_usage_is_available(void)
{
	return shared != NULL;
}

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
	Entry	   *entry = acquire_entry(id, &lock);

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
	Entry	   *entry = acquire_entry(id, &lock);

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
	Entry	   *entry = acquire_entry(id, &lock);

	if (entry == NULL)
		return false;
	*within = rda_bucket_take(&entry->bucket, limits, budget);
	LWLockRelease(lock);
	return true;
}

/*
 * Requests that were not counted, since the table was full.
 */
uint64
rda_usage_dropped(void)
{
	return shared == NULL ? 0 : pg_atomic_read_u64(&shared->dropped);
}

static void
read_entry(Entry *entry, RdaUsage *usage)
{
	memset(usage, 0, sizeof(RdaUsage));
	usage->database = entry->key.database;
	usage->id = entry->key.id;
	for (int i = 0; i < RDA_COUNTS; i++)
		usage->counts[i] = pg_atomic_read_u64(&entry->counts[i]);
	usage->last_used = (TimestampTz) pg_atomic_read_u64(&entry->last_used);
	SpinLockAcquire(&entry->mutex);
	strlcpy(usage->last_address, entry->address, RDA_ADDRESS_LEN);
	SpinLockRelease(&entry->mutex);
}

bool
rda_usage_has_counts(const RdaUsage *usage)
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
	Walk		walk;
	Entry	   *entry;

	*count = 0;
	if (shared == NULL)
		return NULL;
	usages = palloc_extended(rda_guc_max_tracked_keys * sizeof(RdaUsage), MCXT_ALLOC_HUGE);
	walk_begin(&walk, LW_SHARED);
	while ((entry = walk_next(&walk)) != NULL)
	{
		if ((!OidIsValid(database) || entry->key.database == database) &&
			*count < rda_guc_max_tracked_keys)
			read_entry(entry, &usages[(*count)++]);
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
	Entry	   *entry = shared ? find_entry(MyDatabaseId, id, &lock) : NULL;

	if (entry == NULL)
		return false;
	read_entry(entry, usage);
	LWLockRelease(lock);
	return true;
}

static void
release_flush(int code, Datum arg)
{
	pg_atomic_write_u32(&shared->flushing, 0);
}

/*
 * Claim the flush for this process, until it ends.  Returns false while another
 * one has it: two would write the same counts.
 */
bool
rda_usage_begin_flush(void)
{
	uint32		idle = 0;

	if (!pg_atomic_compare_exchange_u32(&shared->flushing, &idle, 1))
		return false;
	on_shmem_exit(release_flush, (Datum) 0);
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
		Entry	   *entry = find_entry(flushed[i].database, &flushed[i].id, &lock);

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
	Walk		walk;
	Entry	   *entry;
	RdaUsage	usage;

	if (!OidIsValid(database) &&
		hash_get_num_entries(entries) <= rda_guc_max_tracked_keys / 4 * 3)
		return;
	walk_begin(&walk, LW_EXCLUSIVE);
	while ((entry = walk_next(&walk)) != NULL)
	{
		read_entry(entry, &usage);
		if (OidIsValid(database) ? usage.database == database :
			!rda_usage_has_counts(&usage) && rda_bucket_is_idle(&entry->bucket))
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
}

static bool
next_dumped(void *record, void *state)
{
	Entry	   *entry = hash_seq_search((HASH_SEQ_STATUS *) state);
	Dumped	   *dumped = record;

	if (entry == NULL)
		return false;
	memset(dumped, 0, sizeof(Dumped));
	read_entry(entry, &dumped->usage);
	rda_bucket_save(&entry->bucket, &dumped->bucket);
	return true;
}

/*
 * Write the table to the file, when the postmaster ends and no other process
 * is left.  Not if one was killed in a flush: what that wrote would come back.
 */
static void
dump_entries(int code, Datum arg)
{
	HASH_SEQ_STATUS status;

	if (code != 0 || pg_atomic_read_u32(&shared->flushing) != 0)
		return;
	hash_seq_init(&status, entries);
	rda_record_file_write(&dump_file, next_dumped, &status);
}

static void
restore_entry(const void *record)
{
	const Dumped *dumped = record;
	EntryKey	key;
	uint32		hash;
	Entry	   *entry;

	(void) entry_lock(dumped->usage.database, &dumped->usage.id, &key, &hash);
	entry = hash_search_with_hash_value(entries, &key, hash, HASH_ENTER_NULL, NULL);
	if (entry == NULL)
	{
		/* revdesk.max_tracked_keys is smaller than it was */
		pg_atomic_fetch_add_u64(&shared->dropped, dumped->usage.counts[RDA_COUNT_REQUESTS]);
		return;
	}
	init_entry(entry);
	for (int i = 0; i < RDA_COUNTS; i++)
		pg_atomic_write_u64(&entry->counts[i], Min(dumped->usage.counts[i], (uint64) PG_INT64_MAX));
	pg_atomic_write_u64(&entry->last_used, (uint64) dumped->usage.last_used);
	rda_bucket_restore(&entry->bucket, &dumped->bucket);
	strlcpy(entry->address, dumped->usage.last_address, RDA_ADDRESS_LEN);
}

static void
shmem_startup(LWLockPadded *locks)
{
	HASHCTL		ctl = {
		.keysize = sizeof(EntryKey),
		.entrysize = sizeof(Entry),
		.num_partitions = PARTITIONS
	};
	bool		found;

	shared = NULL;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("revdesk_auth usage", sizeof(Shared), &found);
	entries = ShmemInitHash("revdesk_auth usage entries",
							rda_guc_max_tracked_keys, rda_guc_max_tracked_keys, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_PARTITION | HASH_FIXED_SIZE);
	if (!found)
	{
		shared->locks = locks;
		pg_atomic_init_u64(&shared->dropped, 0);
		pg_atomic_init_u32(&shared->flushing, 0);
	}
	LWLockRelease(AddinShmemInitLock);

	if (!found && !IsUnderPostmaster)
	{
		rda_record_file_read(&dump_file, restore_entry);
		on_shmem_exit(dump_entries, (Datum) 0);
	}
}

/*
 * Ask for the shared memory.  To be called while the library is preloaded.
 */
void
rda_usage_init(void)
{
	static const RdaShmemPart part = {
		.size = shmem_size,
		.tranche = "revdesk_auth usage",
		.locks = PARTITIONS,
		.startup = shmem_startup
	};

	rda_shmem_add(&part);
}
