/*
 * pool_guard.c
 *		Keeps what outlives a transaction free of its rows, where
 *		revdesk.pool_guard asks for it.
 *
 * The next transaction of a pooled connection acts for somebody else, and would
 * find cursors WITH HOLD, temporary tables and subscriptions of the one before.
 * So they are refused while the transaction acts for a caller, with 0A000: no
 * privilege would help, and PREPARE TRANSACTION refuses the same three so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "context.h"
#include "guc.h"
#include "pg_compat.h"
#include "pool_guard.h"

/* What a statement makes that outlives the transaction. */
static const char held_cursor[] = "a cursor WITH HOLD";
static const char temporary_table[] = "a temporary table without ON COMMIT DROP";
static const char subscription[] = "LISTEN";

/*
 * The last transaction that declared a cursor WITH HOLD before it acted for
 * anybody.  The cursor's rows are collected when it commits, for whomever it
 * acts for then.
 */
static LocalTransactionId holding_transaction = InvalidLocalTransactionId;

/*
 * Will a table of this name be made in the schema for temporary ones?  By the
 * word TEMPORARY, by its name or by the search path.
 */
static bool
is_temporary(const RangeVar *name)
{
	return name->relpersistence == RELPERSISTENCE_TEMP ||
		isTempNamespace(RangeVarGetCreationNamespace(name));
}

/*
 * What the statement makes that outlives the transaction, in words; NULL for
 * nothing.
 */
static const char *
remnant(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DeclareCursorStmt:
			return ((DeclareCursorStmt *) statement)->options & CURSOR_OPT_HOLD ?
				held_cursor : NULL;
		case T_CreateStmt:
			{
				CreateStmt *create = (CreateStmt *) statement;

				return create->oncommit != ONCOMMIT_DROP && is_temporary(create->relation) ?
					temporary_table : NULL;
			}
		case T_CreateTableAsStmt:
			{
				IntoClause *into = ((CreateTableAsStmt *) statement)->into;

				return into->onCommit != ONCOMMIT_DROP && is_temporary(into->rel) ?
					temporary_table : NULL;
			}
		case T_ExplainStmt:		/* ANALYZE makes the table */
			{
				Node	   *explained = castNode(Query, ((ExplainStmt *) statement)->query)->utilityStmt;

				return explained != NULL && IsA(explained, CreateTableAsStmt) ?
					remnant(explained) : NULL;
			}
		case T_ListenStmt:
			return subscription;
		default:
			return NULL;
	}
}

static void
refuse(const char *made)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not allowed in a transaction that acts for a caller", made),
			 errdetail("It would outlive the transaction, and the next one of the connection may act for another caller."),
			 errhint("Let it end with the transaction, or make it in a session that acts for nobody.")));
}

/*
 * Refuse a utility statement that makes what outlives the context.
 */
void
rda_pool_guard_check(Node *statement)
{
	const char *made;

	if (!rda_guc_pool_guard)
		return;
	if (rda_context_current() == NULL)
	{
		if (IsA(statement, DeclareCursorStmt) && remnant(statement) != NULL)
			holding_transaction = rda_local_transaction_id();
		return;
	}
	/* READ ONLY transactions make no tables; PostgreSQL says so itself, 25006. */
	if (XactReadOnly && (IsA(statement, CreateStmt) || IsA(statement, CreateTableAsStmt)))
		return;
	made = remnant(statement);
	if (made != NULL)
		refuse(made);
}

/*
 * Refuse to act for anybody in a transaction that has declared a cursor WITH
 * HOLD.
 */
void
rda_pool_guard_admit(void)
{
	if (rda_guc_pool_guard && holding_transaction == rda_local_transaction_id())
		refuse(held_cursor);
}
