/*
 * usage_table.c
 *		The table in shared memory of what is counted for each key, with the
 *		buckets of the rate limits.
 *
 * Locking: a hash table in partitions, a lock each.  To add or remove an entry
 * hold its partition's lock exclusively; to find one, shared: that keeps the
 * entry in place.  Its numbers are atomics, its address has a spinlock.  Who goes
 * through the whole table holds all locks, taken in order, but for a short time
 * only.  No lock is held across palloc, ereport(ERROR) or any catalog access.
 *
 * When the table is full a key that has no entry yet gets none; such requests
 * are counted together ("dropped").
 *
 * At a shutdown the table goes to a file and comes back at the start; at a
 * crash it is lost.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "record_file.h"
#include "shmem.h"
#include "usage_table.h"

#define PARTITIONS 64

/* After so many entries a walk lets others in, for so many microseconds. */
#define WALK_STEP 1000
#define WALK_PAUSE 100

typedef struct Shared
{
	LWLockPadded *locks;		/* PARTITIONS of them */
	uint64		removals;		/* entries removed; under the same locks */
	pg_atomic_uint64 dropped;
	pg_atomic_uint32 flushing;	/* is a flush under way? */
} Shared;

/* Where an entry was found.  It is there until any entry is removed. */
typedef struct Known
{
	RdaUsageEntry *entry;
	uint64		removals;
} Known;

#define KNOWN 4096

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
static Known known[KNOWN];

static Size
shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(Shared)),
					hash_estimate_size(rda_guc_max_tracked_keys, sizeof(RdaUsageEntry)));
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

/*
 * Is there such a table, since the server preloads the library?
 */
bool
rda_usage_table_exists(void)
{
	return shared != NULL;
}

/*
 * Begin a walk, holding all locks in this mode.
 */
void
rda_usage_walk_begin(RdaUsageWalk *walk, LWLockMode mode)
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
RdaUsageEntry *
rda_usage_walk_next(RdaUsageWalk *walk)
{
	RdaUsageEntry *entry;

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
init_entry(RdaUsageEntry *entry)
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
entry_lock(Oid database, const pg_uuid_t *id, RdaUsageKey *key, uint32 *hash)
{
	memset(key, 0, sizeof(RdaUsageKey));
	key->database = database;
	if (id != NULL)
		key->id = *id;
	*hash = get_hash_value(entries, key);
	return &shared->locks[*hash % PARTITIONS].lock;
}

/*
 * Look in the table, but first where this backend found the key lately: a walk
 * through the hash table's memory is a large part of what a login costs.
 */
static RdaUsageEntry *
look_up(const RdaUsageKey *key, uint32 hash)
{
	Known	   *place = &known[hash % KNOWN];

	if (place->entry == NULL || place->removals != shared->removals ||
		memcmp(&place->entry->key, key, sizeof(RdaUsageKey)) != 0)
	{
		place->entry = hash_search_with_hash_value(entries, key, hash, HASH_FIND, NULL);
		place->removals = shared->removals;
	}
	return place->entry;
}

/*
 * Find a key's entry, and keep it in place until *lock is released.  Returns
 * NULL, with nothing to release, when there is none, and without preloading.
 */
RdaUsageEntry *
rda_usage_entry_find(const pg_uuid_t *id, Oid database, LWLock **lock)
{
	RdaUsageKey key;
	uint32		hash;
	RdaUsageEntry *entry;

	if (shared == NULL)
		return NULL;
	*lock = entry_lock(database, id, &key, &hash);
	LWLockAcquire(*lock, LW_SHARED);
	entry = look_up(&key, hash);
	if (entry == NULL)
		LWLockRelease(*lock);
	return entry;
}

/*
 * Find a key's entry in this database or make it, and keep it in place until *lock is released.
 * Returns NULL, with nothing to release, when the table is full, and without
 * preloading.
 */
RdaUsageEntry *
rda_usage_entry_acquire(const pg_uuid_t *id, LWLock **lock)
{
	RdaUsageKey key;
	uint32		hash;
	RdaUsageEntry *entry;
	bool		found;

	entry = rda_usage_entry_find(id, MyDatabaseId, lock);
	if (entry != NULL || shared == NULL)
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
 * Remove an entry that a walk in exclusive mode is at.
 */
void
rda_usage_entry_remove(RdaUsageEntry *entry)
{
	hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	shared->removals++;
}

/*
 * What an entry says now.
 */
void
rda_usage_entry_read(RdaUsageEntry *entry, RdaUsage *usage)
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

int64
rda_usage_table_entries(void)
{
	return hash_get_num_entries(entries);
}

/*
 * Requests for which there was no entry to be had.
 */
uint64
rda_usage_table_dropped(void)
{
	return shared == NULL ? 0 : pg_atomic_read_u64(&shared->dropped);
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
rda_usage_table_begin_flush(void)
{
	uint32		idle = 0;

	if (!pg_atomic_compare_exchange_u32(&shared->flushing, &idle, 1))
		return false;
	on_shmem_exit(release_flush, (Datum) 0);
	return true;
}

static bool
next_dumped(void *record, void *state)
{
	RdaUsageEntry *entry = hash_seq_search((HASH_SEQ_STATUS *) state);
	Dumped	   *dumped = record;

	if (entry == NULL)
		return false;
	memset(dumped, 0, sizeof(Dumped));
	rda_usage_entry_read(entry, &dumped->usage);
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
	RdaUsageKey key;
	uint32		hash;
	RdaUsageEntry *entry;

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
		.keysize = sizeof(RdaUsageKey),
		.entrysize = sizeof(RdaUsageEntry),
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
		shared->removals = 0;
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
rda_usage_table_init(void)
{
	static const RdaShmemPart part = {
		.size = shmem_size,
		.tranche = "revdesk_auth usage",
		.locks = PARTITIONS,
		.startup = shmem_startup
	};

	rda_shmem_add(&part);
}
