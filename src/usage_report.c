/*
 * usage_report.c
 *		SQL functions that read the counters in memory.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "usage.h"

PG_FUNCTION_INFO_V1(revdesk_usage_in_memory);
PG_FUNCTION_INFO_V1(revdesk_usage_dropped);

static void
put_usage(ReturnSetInfo *result, const RdaUsage *usage)
{
	static const pg_uuid_t no_key;
	Datum		values[5];
	bool		nulls[5] = {0};
	Datum		denied[RDA_DENIALS];

	for (int i = 0; i < RDA_DENIALS; i++)
		denied[i] = rda_usage_count_datum(usage->counts[RDA_COUNT_DENIED + i]);
	values[0] = UUIDPGetDatum(&usage->id);
	nulls[0] = rda_uuid_equal(&usage->id, &no_key);
	values[1] = rda_usage_count_datum(usage->counts[RDA_COUNT_REQUESTS]);
	values[2] = TimestampTzGetDatum(usage->last_used);
	nulls[2] = usage->last_used == 0;
	values[3] = CStringGetTextDatum(usage->last_address);
	nulls[3] = usage->last_address[0] == '\0';
	values[4] = PointerGetDatum(construct_array(denied, RDA_DENIALS, INT8OID, 8,
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * SQL: revdesk.usage_in_memory(wanted uuid) returns setof (key_id uuid, requests
 * bigint, last_used_at timestamptz, last_address text, denied bigint[]): what
 * is counted for this database, or if wanted is not null, for one key, and not
 * yet in revdesk.key_usage.  A null key_id: requests with no known key.
 */
Datum
revdesk_usage_in_memory(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			count;
	RdaUsage   *usages;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0))
	{
		RdaUsage	usage;

		if (rda_usage_read_one(PG_GETARG_UUID_P(0), &usage))
			put_usage(result, &usage);
		return (Datum) 0;
	}
	usages = rda_usage_read(MyDatabaseId, &count);
	for (int i = 0; i < count; i++)
		put_usage(result, &usages[i]);
	return (Datum) 0;
}

/*
 * SQL: revdesk.usage_dropped() returns bigint: requests of keys that were not
 * counted since the table in shared memory was full; null without preloading.
 */
Datum
revdesk_usage_dropped(PG_FUNCTION_ARGS)
{
	if (!rda_usage_table_exists())
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) rda_usage_table_dropped());
}
