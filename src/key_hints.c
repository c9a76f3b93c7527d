/*
 * key_hints.c
 *		Where keys were found lately, so that a key in use costs no index probe.
 *
 * A hint is where a row was, and no more: who takes it looks at what is there
 * now, compares the whole digest, and asks the index if that differs.  So no
 * change of the table need be told to the hints, and nothing locks them: one
 * that two have written to is wrong, as an old one is.
 *
 * In shared memory, where the server preloads the library: what one backend has
 * found the others need not look for.  Else each backend has some of its own.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "guc.h"
#include "key_hints.h"
#include "shmem.h"

/* Each number is read and written as a whole, but not all of them at once. */
typedef volatile struct Hint
{
	uint32		tag;			/* a part of the digest, to tell whose hint it is */
	Buffer		buffer;			/* InvalidBuffer for no hint */
	BlockNumber block;
	OffsetNumber offset;
} Hint;

/* 128 kB, of which a backend has the pages that it has written to. */
#define OWN_HINTS 8192

static Hint own_hints[OWN_HINTS];
static Hint *hints = own_hints;
static uint32 hint_count = OWN_HINTS;	/* a power of two */

/*
 * Where a digest's hint is or would be, and its tag.
 */
static Hint *
hint_of(const uint8 digest[RDA_DIGEST_LEN], uint32 *tag)
{
	uint32		slot;

	memcpy(&slot, digest, sizeof(slot));
	memcpy(tag, digest + sizeof(slot), sizeof(*tag));
	slot ^= murmurhash32(MyDatabaseId); /* copies of a database have the same keys */
	return &hints[slot & (hint_count - 1)];
}

/*
 * Where was the key of this digest lately?  Returns false if nothing tells.
 */
bool
rda_key_hint_get(const uint8 digest[RDA_DIGEST_LEN], RdaPlace *place)
{
	uint32		tag;
	Hint	   *hint = hint_of(digest, &tag);

	if (hint->tag != tag)
		return false;
	place->buffer = hint->buffer;
	ItemPointerSet(&place->tid, hint->block, hint->offset);
	return BufferIsValid(place->buffer) && ItemPointerIsValid(&place->tid);
}

/*
 * Note where the key of this digest is.
 */
void
rda_key_hint_set(const uint8 digest[RDA_DIGEST_LEN], const RdaPlace *place)
{
	uint32		tag;
	Hint	   *hint = hint_of(digest, &tag);

	hint->tag = tag;
	hint->buffer = place->buffer;
	hint->block = ItemPointerGetBlockNumber(&place->tid);
	hint->offset = ItemPointerGetOffsetNumber(&place->tid);
}

/*
 * Forget where the key of this digest was.
 */
void
rda_key_hint_forget(const uint8 digest[RDA_DIGEST_LEN])
{
	uint32		tag;

	hint_of(digest, &tag)->buffer = InvalidBuffer;
}

/* Twice as many as there are keys in use: two that meet lose theirs by turns. */
static uint32
shared_count(void)
{
	return pg_nextpower2_32(2 * (uint32) rda_guc_max_tracked_keys);
}

static Size
shmem_size(void)
{
	return mul_size(shared_count(), sizeof(Hint));
}

static void
shmem_startup(LWLockPadded *locks)
{
	void	   *shared;
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	hints = shared = ShmemInitStruct("revdesk_auth key hints", shmem_size(), &found);
	hint_count = shared_count();
	if (!found)
		memset(shared, 0, shmem_size());
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Ask for the shared memory.  To be called while the library is preloaded.
 */
void
rda_key_hints_init(void)
{
	static const RdaShmemPart part = {
		.size = shmem_size,
		.tranche = "revdesk_auth key hints",
		.startup = shmem_startup
	};

	rda_shmem_add(&part);
}
