/*
 * usage_table.h
 *		The table in shared memory of what is counted for each key.
 */
#ifndef RDA_USAGE_TABLE_H
#define RDA_USAGE_TABLE_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"
#include "storage/s_lock.h"
#include "utils/hsearch.h"

#include "rate_limit.h"
#include "terms.h"

/* Longest text of an address, its NUL included. */
#define RDA_ADDRESS_LEN 48

/*
 * What is counted: requests that were accepted, transactions of theirs that
 * wrote, and from RDA_COUNT_DENIED on, by RdaDenial, requests that were denied.
 */
typedef enum RdaCount
{
	RDA_COUNT_REQUESTS,
	RDA_COUNT_WRITES,
	RDA_COUNT_DENIED,
	RDA_COUNTS = RDA_COUNT_DENIED + RDA_DENIALS
} RdaCount;

/* The counts of one key of one database, as of one moment. */
typedef struct RdaUsage
{
	Oid			database;
	pg_uuid_t	id;				/* zeros: requests with no known key */
	uint64		counts[RDA_COUNTS];
	TimestampTz last_used;		/* 0 for never */
	char		last_address[RDA_ADDRESS_LEN];	/* empty if not known */
} RdaUsage;

/* The same in the table. */
typedef struct RdaUsageKey
{
	Oid			database;
	pg_uuid_t	id;
} RdaUsageKey;

typedef struct RdaUsageEntry
{
	RdaUsageKey key;			/* first, as dynahash wants it */
	slock_t		mutex;			/* of the address */
	pg_atomic_uint64 last_used;
	char		address[RDA_ADDRESS_LEN];
	pg_atomic_uint64 counts[RDA_COUNTS];
	RdaBucket	bucket;
} RdaUsageEntry;

/* A way through all entries. */
typedef struct RdaUsageWalk
{
	HASH_SEQ_STATUS status;
	LWLockMode	mode;
	int			passed;
} RdaUsageWalk;

extern bool rda_usage_table_exists(void);
extern RdaUsageEntry *rda_usage_entry_find(const pg_uuid_t *id, Oid database,
										   LWLock **lock);
extern RdaUsageEntry *rda_usage_entry_acquire(const pg_uuid_t *id,
											  LWLock **lock);
extern void rda_usage_entry_read(RdaUsageEntry *entry, RdaUsage *usage);
extern void rda_usage_entry_remove(RdaUsageEntry *entry);
extern void rda_usage_walk_begin(RdaUsageWalk *walk, LWLockMode mode);
extern RdaUsageEntry *rda_usage_walk_next(RdaUsageWalk *walk);
extern int64 rda_usage_table_entries(void);
extern uint64 rda_usage_table_dropped(void);
extern bool rda_usage_table_begin_flush(void);
extern void rda_usage_table_init(void);

#endif							/* RDA_USAGE_TABLE_H */
