/*
 * relations.c
 *		The extension's own tables: names to OIDs, scans by index, and news of
 *		changes.
 *
 * The tables are read by the table access layer, not by SPI: that is faster,
 * needs no change of role, and leaves nothing for auto_explain or
 * debug_print_plan to print.
 *
 * Every scan that decides something sees the latest committed state (and the
 * transaction's own changes), whatever the snapshot of the transaction: a key
 * that was revoked must not be accepted in a REPEATABLE READ transaction that
 * began before.  That is what the catalog snapshot gives: GetCatalogSnapshot()
 * takes a new one for each scan of a table that has no catcache, and unlike
 * GetLatestSnapshot() it works in parallel workers too.
 *
 * News of changes: row triggers on the tables (src/sql/integrity.sql) send a
 * relcache invalidation of their table.  It reaches this backend at the next
 * CommandCounterIncrement() after a change of its own, at a rollback of it,
 * and when it takes a lock after another backend or, on a standby, the
 * primary has committed one.  It raises the generation number here.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg_compat.h"
#include "relations.h"

#define EXTENSION_SCHEMA "revdesk"

static const char *const table_names[] = {
	[RDA_API_KEYS] = "api_keys",
	[RDA_TENANTS] = "tenants",
	[RDA_USERS] = "users",
	[RDA_MEMBERSHIPS] = "memberships",
};

static const struct
{
	RdaTable	table;
	StrategyNumber equality;	/* of the access method */
	const char *name;
}			indexes[] = {
	[RDA_API_KEYS_BY_HASH] = {RDA_API_KEYS, HTEqualStrategyNumber, "api_keys_key_hash_idx"},
	[RDA_API_KEYS_BY_ID] = {RDA_API_KEYS, BTEqualStrategyNumber, "api_keys_pkey"},
	[RDA_TENANTS_BY_ID] = {RDA_TENANTS, BTEqualStrategyNumber, "tenants_pkey"},
	[RDA_TENANTS_BY_UMBRELLA] = {RDA_TENANTS, BTEqualStrategyNumber, "tenants_umbrella_id_idx"},
	[RDA_USERS_BY_ID] = {RDA_USERS, BTEqualStrategyNumber, "users_pkey"},
	[RDA_USERS_BY_SUBJECT] = {RDA_USERS, BTEqualStrategyNumber, "users_subject_key"},
	[RDA_MEMBERSHIPS_BY_USER] = {RDA_MEMBERSHIPS, BTEqualStrategyNumber, "memberships_pkey"},
};

/* OIDs found so far; InvalidOid where not known. */
static Oid	table_oids[lengthof(table_names)];
static Oid	index_oids[lengthof(indexes)];

static uint64 generation = 1;

PG_FUNCTION_INFO_V1(revdesk_announce_change);

static Oid
find_relation(const char *name)
{
	Oid			schema = get_namespace_oid(EXTENSION_SCHEMA, true);
	Oid			relation = InvalidOid;

	if (OidIsValid(schema))
		relation = get_relname_relid(name, schema);
	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist",
						EXTENSION_SCHEMA, name),
				 errhint("Is the extension \"revdesk_auth\" installed in this database?")));
	return relation;
}

/*
 * Forget what is known of a relation that changed, or, for InvalidOid, of all.
 *
 * Runs wherever invalidations are received: no catalog access here.
 */
static void
on_relcache_invalidation(Datum arg, Oid relation)
{
	bool		ours = !OidIsValid(relation);

	for (int i = 0; i < (int) lengthof(table_oids); i++)
		ours = ours || table_oids[i] == relation;
	for (int i = 0; i < (int) lengthof(index_oids); i++)
		ours = ours || index_oids[i] == relation;
	if (!ours)
		return;

	memset(table_oids, 0, sizeof(table_oids));
	memset(index_oids, 0, sizeof(index_oids));
	generation++;
}

/*
 * snapshot: NULL for what is committed now.
 */
static void
open_table(RdaScan *scan, RdaTable table, Snapshot snapshot)
{
	memset(scan, 0, sizeof(RdaScan));
	if (!OidIsValid(table_oids[table]))
		table_oids[table] = find_relation(table_names[table]);
	scan->table = table_open(table_oids[table], AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	if (snapshot == NULL)
		snapshot = GetCatalogSnapshot(RelationGetRelid(scan->table));
	scan->snapshot = RegisterSnapshot(snapshot);
}

/*
 * Begin a scan for the rows whose indexed column equals key, as a snapshot
 * shows them; NULL stands for the latest committed state.
 *
 * equal: the equality function of the column's type.  The index may find rows
 * that differ (a hash index has collisions): compare.  End it with
 * rda_scan_end(); an error ends it by itself.
 */
void
rda_scan_begin_at(RdaScan *scan, RdaIndex index, RegProcedure equal, Datum key,
				  Snapshot snapshot)
{
	ScanKeyData scankey;

	open_table(scan, indexes[index].table, snapshot);
	if (!OidIsValid(index_oids[index]))
		index_oids[index] = find_relation(indexes[index].name);
	scan->index = index_open(index_oids[index], AccessShareLock);

	scan->scan = rda_index_beginscan(scan->table, scan->index, scan->snapshot, 1);
	ScanKeyInit(&scankey, 1, indexes[index].equality, equal, key);
	index_rescan(scan->scan, &scankey, 1, NULL, 0);
}

void
rda_scan_begin(RdaScan *scan, RdaIndex index, RegProcedure equal, Datum key)
{
	rda_scan_begin_at(scan, index, equal, key, NULL);
}

/*
 * The next row, or NULL.  It is valid until the next call for the same scan.
 */
TupleTableSlot *
rda_scan_next(RdaScan *scan)
{
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan->scan, ForwardScanDirection)) != NULL)
	{
		scan->place.tid = *tid; /* before the fetch follows a HOT chain */
		if (!index_fetch_heap(scan->scan, scan->slot))
			continue;
		scan->place.buffer = TTS_IS_BUFFERTUPLE(scan->slot) ?
			((BufferHeapTupleTableSlot *) scan->slot)->buffer : InvalidBuffer;
		return scan->slot;
	}
	return NULL;
}

/*
 * Look, without an index, at a place where a scan found a row before.  Returns
 * the row that is there now, which may be another one, or NULL: also if the
 * page has left its buffer since.  End with rda_scan_end() in any case.
 *
 * A page that is still in that buffer is one of the table as it is now, so
 * neither the table's size nor the buffer table need be asked.
 */
TupleTableSlot *
rda_scan_at(RdaScan *scan, RdaTable table, const RdaPlace *place)
{
	HeapTuple	row;
	ItemPointerData tid = place->tid;
	bool		found;

	open_table(scan, table, NULL);
	if (!BufferIsValid(place->buffer) || !TTS_IS_BUFFERTUPLE(scan->slot) ||
		!rda_read_recent_buffer(scan->table, ItemPointerGetBlockNumber(&tid),
								place->buffer))
		return NULL;

	row = &((BufferHeapTupleTableSlot *) scan->slot)->base.tupdata;
	LockBuffer(place->buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, scan->table, place->buffer,
								   scan->snapshot, row, NULL, true);
	LockBuffer(place->buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
	{
		ReleaseBuffer(place->buffer);
		return NULL;
	}
	return ExecStorePinnedBufferHeapTuple(row, scan->slot, place->buffer);
}

void
rda_scan_end(RdaScan *scan)
{
	if (scan->index != NULL)
	{
		index_endscan(scan->scan);
		index_close(scan->index, AccessShareLock);
	}
	UnregisterSnapshot(scan->snapshot);
	ExecDropSingleTupleTableSlot(scan->slot);
	table_close(scan->table, AccessShareLock);
}

/*
 * Is the extension installed in this database?  If so, it stays while this
 * transaction lasts: DROP EXTENSION waits here, before it locks the first table
 * in an order of its own, which would make a deadlock.
 */
bool
rda_relations_hold(void)
{
	Oid			extension = get_extension_oid("revdesk_auth", true);

	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return get_extension_oid("revdesk_auth", true) == extension;
}

/*
 * Read the columns rate_limit, rate_period, rate_burst, quota, quota_period,
 * of which the first has this number.
 */
void
rda_relations_read_limits(TupleTableSlot *row, AttrNumber first,
						  RdaLimits *limits)
{
	Datum		values[5];
	bool		nulls[5];

	memset(limits, 0, sizeof(RdaLimits));
	for (int i = 0; i < 5; i++)
		values[i] = slot_getattr(row, first + i, &nulls[i]);
	if (!nulls[0])
	{
		limits->rate = DatumGetInt32(values[0]);
		limits->rate_period = strcmp(TextDatumGetCString(values[1]), "minute") == 0 ?
			SECS_PER_MINUTE : 1;
		limits->burst = nulls[2] ? limits->rate : DatumGetInt32(values[2]);
	}
	if (!nulls[3])
	{
		limits->quota = DatumGetInt64(values[3]);
		limits->quota_is_monthly = strcmp(TextDatumGetCString(values[4]), "month") == 0;
	}
}

/*
 * A number that grows whenever rows of tenants, users or memberships may have
 * changed.  What was read under an older number must not be used any more.
 *
 * Takes in the news that have arrived up to now.
 */
uint64
rda_relations_generation(void)
{
	AcceptInvalidationMessages();
	return generation;
}

/*
 * How many tenants there are by the statistics, 0 if they do not tell.
 */
double
rda_relations_count_tenants(void)
{
	HeapTuple	row = SearchSysCache1(RELOID,
									  ObjectIdGetDatum(find_relation(table_names[RDA_TENANTS])));
	double		count = 0;

	if (HeapTupleIsValid(row))
	{
		count = Max(((Form_pg_class) GETSTRUCT(row))->reltuples, 0);
		ReleaseSysCache(row);
	}
	return count;
}

/*
 * Trigger function: tell every backend that the table's rows changed.
 */
Datum
revdesk_announce_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"revdesk_announce_change")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

void
rda_relations_init(void)
{
	CacheRegisterRelcacheCallback(on_relcache_invalidation, (Datum) 0);
}
