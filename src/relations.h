/*
 * relations.h
 *		The extension's own tables.
 */
#ifndef RDA_RELATIONS_H
#define RDA_RELATIONS_H

#include "access/genam.h"
#include "executor/tuptable.h"
#include "storage/buf.h"
#include "utils/rel.h"

#include "rate_limit.h"

typedef enum RdaTable
{
	RDA_API_KEYS,
	RDA_TENANTS,
	RDA_USERS,
	RDA_MEMBERSHIPS
} RdaTable;

typedef enum RdaIndex
{
	RDA_API_KEYS_BY_HASH,
	RDA_API_KEYS_BY_ID,
	RDA_TENANTS_BY_ID,
	RDA_TENANTS_BY_UMBRELLA,
	RDA_USERS_BY_ID,
	RDA_USERS_BY_SUBJECT,
	RDA_MEMBERSHIPS_BY_USER
} RdaIndex;

/* Column numbers, as src/sql/tables.sql has them. */
#define Anum_tenants_id 1
#define Anum_tenants_umbrella_id 2
#define Anum_tenants_suspended_at 3
#define Anum_tenants_rate_limit 4

#define Anum_users_id 1
#define Anum_users_disabled_at 2
#define Anum_users_subject 3

#define Anum_memberships_user_id 1
#define Anum_memberships_tenant_id 2

#define Anum_api_keys_id 1
#define Anum_api_keys_key_hash 2
#define Anum_api_keys_scope 3
#define Anum_api_keys_tenant_id 4
#define Anum_api_keys_user_id 5
#define Anum_api_keys_access 6
#define Anum_api_keys_environment 7
#define Anum_api_keys_revoked_at 8
#define Anum_api_keys_expires_at 9
#define Anum_api_keys_allowed_networks 10
#define Anum_api_keys_rate_limit 11 /* the first of the limits' columns */
#define Anum_api_keys_last_read 15

/* Where a row was found: where its HOT chain begins, and the page's buffer. */
typedef struct RdaPlace
{
	ItemPointerData tid;
	Buffer		buffer;			/* InvalidBuffer if the table is no heap */
} RdaPlace;

/* A scan of one of the tables; see rda_scan_begin() and rda_scan_at(). */
typedef struct RdaScan
{
	Relation	table;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	Relation	index;			/* NULL for one place, as scan is */
	IndexScanDesc scan;
	RdaPlace	place;			/* where rda_scan_next() found its last row */
} RdaScan;

extern void rda_scan_begin(RdaScan *scan, RdaIndex index, RegProcedure equal,
						   Datum key);
extern void rda_scan_begin_at(RdaScan *scan, RdaIndex index, RegProcedure equal,
							  Datum key, Snapshot snapshot);
extern TupleTableSlot *rda_scan_next(RdaScan *scan);
extern TupleTableSlot *rda_scan_at(RdaScan *scan, RdaTable table,
								   const RdaPlace *place);
extern void rda_scan_end(RdaScan *scan);
extern void rda_relations_read_limits(TupleTableSlot *row, AttrNumber first,
									  RdaLimits *limits);
extern bool rda_relations_hold(void);
extern uint64 rda_relations_generation(void);
extern double rda_relations_count_tenants(void);
extern void rda_relations_init(void);

#endif							/* RDA_RELATIONS_H */
