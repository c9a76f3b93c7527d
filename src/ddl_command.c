/*
 * ddl_command.c
 *		What a DDL command did, for event triggers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"

PG_FUNCTION_INFO_V1(revdesk_adds_child);

static bool
is_attachment(const CollectedATSubcmd *subcommand)
{
	AlterTableCmd *command = castNode(AlterTableCmd, subcommand->parsetree);

	return command->subtype == AT_AttachPartition ||
		command->subtype == AT_AddInherit;
}

/*
 * SQL: revdesk.adds_child(pg_ddl_command) returns boolean: did the command give
 * a table a partition or an inheritance child?
 */
Datum
revdesk_adds_child(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ListCell   *cell;

	if (command->type == SCT_Simple)
		PG_RETURN_BOOL(IsA(command->parsetree, CreateStmt) &&
					   ((CreateStmt *) command->parsetree)->inhRelations != NIL);
	if (command->type != SCT_AlterTable)
		PG_RETURN_BOOL(false);
	foreach(cell, command->d.alterTable.subcmds)
	{
		if (is_attachment(lfirst(cell)))
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}
