/*
 * ddl_command.c
 *		What a DDL command did, for event triggers.
 */
#include "postgres.h"

#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "commands/policy.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(revdesk_changes_tree);
PG_FUNCTION_INFO_V1(revdesk_has_permit);
PG_FUNCTION_INFO_V1(revdesk_registered_since);

/*
 * Does the statement make a partition or child?  CreateForeignTableStmt begins
 * with a CreateStmt.
 */
static bool
makes_child(Node *statement)
{
	return (IsA(statement, CreateStmt) || IsA(statement, CreateForeignTableStmt)) &&
		((CreateStmt *) statement)->inhRelations != NIL;
}

static bool
moves_table(const CollectedATSubcmd *subcommand)
{
	switch (castNode(AlterTableCmd, subcommand->parsetree)->subtype)
	{
		case AT_AttachPartition:
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
		case AT_AddInherit:
		case AT_DropInherit:
			return true;
		default:
			return false;
	}
}

/*
 * SQL: revdesk.changes_tree(pg_ddl_command) returns boolean: did the command
 * give a table a partition or an inheritance child, or take one away?
 */
Datum
revdesk_changes_tree(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ListCell   *cell;

	if (command->type == SCT_Simple)
		PG_RETURN_BOOL(makes_child(command->parsetree));
	if (command->type != SCT_AlterTable)
		PG_RETURN_BOOL(false);
	foreach(cell, command->d.alterTable.subcmds)
	{
		if (moves_table(lfirst(cell)))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/*
 * SQL: revdesk.has_permit(oid) returns boolean: has the table the permissive
 * policy of revdesk_protect()?  By the catalog as it is now, which the
 * transaction's own snapshot may not show.
 */
Datum
revdesk_has_permit(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(OidIsValid(get_relation_policy_oid(PG_GETARG_OID(0),
													  "revdesk_permit", true)));
}

/*
 * SQL: revdesk.registered_since(oid) returns boolean: has the registry rows of
 * this root that the statement's snapshot does not show?
 */
Datum
revdesk_registered_since(PG_FUNCTION_ARGS)
{
	Oid			registry = get_relname_relid("protected_tables", get_namespace_oid("revdesk", false));
	Relation	relation = table_open(registry, AccessShareLock);
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	ScanKeyData key;
	TableScanDesc scan;
	bool		unseen = false;

	ScanKeyInit(&key, get_attnum(registry, "root"), BTEqualStrategyNumber, F_OIDEQ, PG_GETARG_DATUM(0));
	scan = table_beginscan(relation, latest, 1, &key);
	while (!unseen && table_scan_getnextslot(scan, ForwardScanDirection, slot))
		unseen = !table_tuple_satisfies_snapshot(relation, slot, GetActiveSnapshot());
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);
	table_close(relation, AccessShareLock);
	PG_RETURN_BOOL(unseen);
}
