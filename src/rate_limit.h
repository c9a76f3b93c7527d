/*
 * rate_limit.h
 *		Rate limits and quotas over one atomic number each.
 */
#ifndef RDA_RATE_LIMIT_H
#define RDA_RATE_LIMIT_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

/* What a key or an organization may use; 0 for no limit. */
typedef struct RdaLimits
{
	int32		rate;			/* requests in rate_period */
	int32		rate_period;	/* seconds: 1 or 60 */
	int32		burst;			/* requests at once; at least 1 if rate is set */
	int64		quota;			/* requests in a day or a month */
	bool		quota_is_monthly;
} RdaLimits;

/* What has been used. Zeroed when new. */
typedef struct RdaBucket
{
	pg_atomic_uint64 arrival;
	pg_atomic_uint64 quota;
} RdaBucket;

/* The same as it can be kept while the server is down. */
typedef struct RdaSavedBucket
{
	int64		lead;			/* microseconds until it would be full */
	uint64		quota;
} RdaSavedBucket;

/* How a request fared. */
typedef struct RdaBudget
{
	bool		exceeded;
	int64		remaining;		/* requests that would pass now */
	int64		reset;			/* seconds until the next would pass, if
								 * exceeded; else until all would */
	int64		limit;			/* burst or quota, whichever binds */
	int64		window;			/* in which it fills up, in seconds */
} RdaBudget;

extern bool rda_limits_any(const RdaLimits *limits);
extern void rda_bucket_init(RdaBucket *bucket);
extern bool rda_bucket_take(RdaBucket *bucket, const RdaLimits *limits,
							RdaBudget *budget);
extern bool rda_bucket_is_empty(RdaBucket *bucket, const RdaLimits *limits);
extern bool rda_bucket_is_idle(RdaBucket *bucket);
extern void rda_bucket_save(RdaBucket *bucket, RdaSavedBucket *saved);
extern void rda_bucket_restore(RdaBucket *bucket, const RdaSavedBucket *saved);

#endif							/* RDA_RATE_LIMIT_H */
