/*
 * usage.h
 *		What became of the requests of each key, counted in usage_table.h.
 */
#ifndef RDA_USAGE_H
#define RDA_USAGE_H

#include "rate_limit.h"
#include "usage_table.h"

/*
 * A count as SQL has it, a bigint: no more than the largest.
 */
static inline Datum
rda_usage_count_datum(uint64 count)
{
	return Int64GetDatum((int64) Min(count, (uint64) PG_INT64_MAX));
}

extern void rda_usage_count(const pg_uuid_t *id, const char *address);
extern void rda_usage_add(const pg_uuid_t *id, int count);
extern bool rda_usage_take(const pg_uuid_t *id, const RdaLimits *limits,
						   RdaBudget *budget, bool *within);
extern RdaUsage *rda_usage_read(Oid database, int *count);
extern bool rda_usage_read_one(const pg_uuid_t *id, RdaUsage *usage);
extern void rda_usage_end_flush(const RdaUsage *flushed, int count);
extern void rda_usage_forget(Oid database);

#endif							/* RDA_USAGE_H */
