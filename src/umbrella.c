/*
 * umbrella.c
 *		Keeps the umbrella column of protected tables right.
 *
 * An organization's rows are found through that column, so what a caller
 * writes into it never counts: the trigger overwrites it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "context.h"
#include "rehearse.h"
#include "tenancy.h"

PG_FUNCTION_INFO_V1(revdesk_set_umbrella);
PG_FUNCTION_INFO_V1(revdesk_is_umbrella_of);

/*
 * The number of a uuid column that a trigger argument names.
 */
static int
column_number(TriggerData *trigdata, int i)
{
	TupleDesc	desc = RelationGetDescr(trigdata->tg_relation);
	const char *name = trigdata->tg_trigger->tgargs[i];
	int			column = SPI_fnumber(desc, name);

	if (column <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Call revdesk_protect() again.")));
	if (SPI_gettypeid(desc, column) != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" is not of type uuid",
						name, RelationGetRelationName(trigdata->tg_relation))));
	return column;
}

/*
 * Does the context write rows of this tenant?
 */
static bool
in_context(const RdaTenant *tenant)
{
	const RdaContext *context = rda_context_current();

	if (context == NULL)
		return false;
	switch (context->scope)
	{
		case RDA_SCOPE_SUB_ENTITY:
			return rda_id_is(&context->tenant_id, &tenant->id);
		case RDA_SCOPE_ORGANIZATION:
			return rda_id_is(&context->tenant_id, &tenant->umbrella_id);
		case RDA_SCOPE_USER:
			return rda_id_set_contains(rda_user_tenants(&context->user_id.value),
									   &tenant->id);
		case RDA_SCOPE_NONE:
			break;
	}
	return false;
}

/*
 * Is the role trusted with rows of all tenants?  Those are that bypass row
 * security, and those that may protect tables.
 */
static bool
handles_all_tenants(Oid role)
{
	CatCList   *functions;
	Oid			extension;
	bool		found = false;

	if (has_bypassrls_privilege(role))
		return true;

	extension = get_extension_oid("revdesk_auth", true);
	functions = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum("revdesk_protect"));
	for (int i = 0; i < functions->n_members && !found; i++)
	{
		Oid			function = ((Form_pg_proc) GETSTRUCT(&functions->members[i]->tuple))->oid;

		found = OidIsValid(extension) &&
			getExtensionOfObject(ProcedureRelationId, function) == extension &&
			DatumGetBool(DirectFunctionCall3(has_function_privilege_id_id,
											 ObjectIdGetDatum(role),
											 ObjectIdGetDatum(function),
											 CStringGetTextDatum("EXECUTE")));
	}
	ReleaseSysCacheList(functions);
	return found;
}

/*
 * Find a tenant that the caller may know of.
 *
 * Anybody can put the trigger on a table of their own, so it answers for
 * tenants of the context only, or to roles that handle rows of all.  A foreign
 * key's action runs as the owner of the table: there the role behind it counts
 * as well, but not where PostgreSQL runs an owner's code for a superuser, unless
 * the superuser rehearses with rows of all tenants.
 */
static bool
find_known_tenant(const pg_uuid_t *id, RdaTenant *tenant)
{
	return rda_tenant_find(id, tenant) &&
		(in_context(tenant) ||
		 handles_all_tenants(GetUserId()) ||
		 (GetOuterUserId() != GetUserId() &&
		  (!InSecurityRestrictedOperation() || rda_rehearsal_is_past_policies()) &&
		  handles_all_tenants(GetOuterUserId())));
}

/*
 * Find the umbrella of a row's tenant.  Returns false if there is none.
 *
 * For a caller whom row security holds, a tenant that does not exist is left
 * to the policy, which refuses it in the same words as a tenant of others.
 */
static bool
find_umbrella(Relation table, const pg_uuid_t *tenant_id, pg_uuid_t *umbrella_id)
{
	RdaTenant	tenant;

	if (find_known_tenant(tenant_id, &tenant))
	{
		*umbrella_id = tenant.umbrella_id;
		return true;
	}
	if (check_enable_rls(RelationGetRelid(table), InvalidOid, true) != RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("tenant \"%s\" does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															UUIDPGetDatum(tenant_id)))),
				 errtable(table)));
	return false;
}

/*
 * Trigger function: BEFORE INSERT OR UPDATE FOR EACH ROW, with the names of
 * the tenant and the umbrella column as arguments.
 */
Datum
revdesk_set_umbrella(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	row;
	int			umbrella_column;
	Datum		tenant;
	Datum		umbrella = (Datum) 0;
	pg_uuid_t	umbrella_id;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ||
		trigdata->tg_trigger->tgnargs != 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired by a trigger that revdesk_protect() made",
						"revdesk_set_umbrella")));

	desc = RelationGetDescr(trigdata->tg_relation);
	row = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;
	umbrella_column = column_number(trigdata, 1);

	tenant = heap_getattr(row, column_number(trigdata, 0), desc, &isnull);
	if (!isnull)
	{
		isnull = !find_umbrella(trigdata->tg_relation, DatumGetUUIDP(tenant),
								&umbrella_id);
		umbrella = UUIDPGetDatum(&umbrella_id);
	}
	return PointerGetDatum(heap_modify_tuple_by_cols(row, desc, 1,
													 &umbrella_column,
													 &umbrella, &isnull));
}

/*
 * SQL: is umbrella_id what the umbrella column of a row of tenant_id must
 * hold?  NULL for no tenant that the caller may know of.  revdesk_protect() finds with it the rows that
 * were there before the trigger.
 */
Datum
revdesk_is_umbrella_of(PG_FUNCTION_ARGS)
{
	RdaTenant	tenant;

	if (PG_ARGISNULL(1) || !find_known_tenant(PG_GETARG_UUID_P(1), &tenant))
		PG_RETURN_BOOL(PG_ARGISNULL(0));
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   rda_uuid_equal(&tenant.umbrella_id, PG_GETARG_UUID_P(0)));
}
