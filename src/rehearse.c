/*
 * rehearse.c
 *		Acting for a key, or as a role, to see what would happen: for
 *		revdesk_selftest() and revdesk_explain_visibility().
 *
 * Both functions are for superusers, whatever EXECUTE has been granted, and
 * whoever calls them rolls back to a savepoint afterwards.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "context.h"
#include "key_lookup.h"
#include "rehearse.h"
#include "tenancy.h"

PG_FUNCTION_INFO_V1(revdesk_impersonate);
PG_FUNCTION_INFO_V1(revdesk_run_as);

/* Does a superuser's rehearsal make or look at rows of all tenants right now? */
static bool past_policies = false;

bool
rda_rehearsal_is_past_policies(void)
{
	return past_policies;
}

static void
require_rehearsal(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to act for others")));
	if (!IsSubTransaction())
		ereport(ERROR,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("acting for others needs a subtransaction to roll back")));
}

/*
 * SQL: revdesk.impersonate(key_id uuid) returns void.
 *
 * Acts for a key in whatever state it is, or for NULL, for nobody.  Neither
 * checked, limited nor counted, since it is no request; and access read is
 * left to read_only.c, so that nothing of it survives the rollback.
 */
Datum
revdesk_impersonate(PG_FUNCTION_ARGS)
{
	RdaContext	context = {0};
	RdaKey		key;
	RdaTenant	tenant;

	require_rehearsal();
	rda_context_clear();
	if (PG_ARGISNULL(0))
		PG_RETURN_VOID();

	if (!rda_key_find_by_id(PG_GETARG_UUID_P(0), &key))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("key \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(0))))));
	context.scope = key.scope;
	context.access = key.access;
	context.environment = key.environment;
	context.key_id = (RdaId) {true, key.id};
	context.tenant_id = key.tenant_id;
	context.user_id = key.user_id;
	if (key.tenant_id.present && rda_tenant_find(&key.tenant_id.value, &tenant))
		context.umbrella_id = (RdaId) {true, tenant.umbrella_id};
	rda_context_set(&context);
	PG_RETURN_VOID();
}

static void
execute(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

static void
execute_past_policies(const char *statement)
{
	past_policies = true;
	PG_TRY();
	{
		execute(statement);
	}
	PG_FINALLY();
	{
		past_policies = false;
	}
	PG_END_TRY();
}

/*
 * SQL: revdesk.run_as(role oid, statement text, past_policies boolean,
 * OUT rows bigint, OUT value text).
 *
 * Runs a statement as a role, as PostgreSQL runs the code of tables' owners for
 * others: what it calls (policies, triggers, casts of somebody else's making)
 * cannot get back to the superuser by SET ROLE, which is why SET LOCAL ROLE
 * would not do; it leaves no prepared statement behind, and manages nothing by
 * the superuser's rights (see authority.c).  past_policies: row security does
 * not hold the owner of a table, even where it is forced.  Returns the number of
 * rows, and the first column of the first one.
 *
 * An error leaves the role to the abort of the subtransaction, which resets it.
 */
Datum
revdesk_run_as(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false};
	char	   *value = NULL;
	Oid			save_role;
	int			save_context;

	require_rehearsal();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	GetUserIdAndSecContext(&save_role, &save_context);
	SetUserIdAndSecContext(PG_GETARG_OID(0),
						   save_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION |
						   (PG_GETARG_BOOL(2) ? SECURITY_NOFORCE_RLS : 0));
	SPI_connect();
	if (PG_GETARG_BOOL(2))
		execute_past_policies(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	else
		execute(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	values[0] = Int64GetDatum((int64) SPI_processed);
	if (SPI_tuptable != NULL && SPI_tuptable->numvals > 0)
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value != NULL)
	{
		Size		size = strlen(value) + 1;

		value = memcpy(SPI_palloc(size), value, size);
	}
	SPI_finish();
	SetUserIdAndSecContext(save_role, save_context);

	nulls[1] = value == NULL;
	values[1] = nulls[1] ? (Datum) 0 : PointerGetDatum(cstring_to_text(value));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
