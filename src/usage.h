/*
 * usage.h
 *		What became of the requests of each key, counted in shared memory.
 */
#ifndef RDA_USAGE_H
#define RDA_USAGE_H

#include "datatype/timestamp.h"

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

/*
 * A count as SQL has it, a bigint: no more than the largest.
 */
static inline Datum
rda_usage_count_datum(uint64 count)
{
	return Int64GetDatum((int64) Min(count, (uint64) PG_INT64_MAX));
}

extern bool rda_usage_is_available(void);
extern void rda_usage_count(const pg_uuid_t *id, const char *address);
extern void rda_usage_add(const pg_uuid_t *id, int count);
extern bool rda_usage_take(const pg_uuid_t *id, const RdaLimits *limits,
						   RdaBudget *budget, bool *within);
extern uint64 rda_usage_dropped(void);
extern RdaUsage *rda_usage_read(Oid database, int *count);
extern bool rda_usage_has_counts(const RdaUsage *usage);
extern bool rda_usage_read_one(const pg_uuid_t *id, RdaUsage *usage);
extern bool rda_usage_begin_flush(void);
extern void rda_usage_end_flush(const RdaUsage *flushed, int count);
extern void rda_usage_forget(Oid database);
extern void rda_usage_init(void);

#endif							/* RDA_USAGE_H */
