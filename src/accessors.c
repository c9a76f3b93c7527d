/*
 * accessors.c
 *		SQL functions that read the context, each NULL without one.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "context.h"

PG_FUNCTION_INFO_V1(revdesk_key_id);
PG_FUNCTION_INFO_V1(revdesk_tenant_id);
PG_FUNCTION_INFO_V1(revdesk_umbrella_id);
PG_FUNCTION_INFO_V1(revdesk_user_id);
PG_FUNCTION_INFO_V1(revdesk_scope);
PG_FUNCTION_INFO_V1(revdesk_access);
PG_FUNCTION_INFO_V1(revdesk_environment);
PG_FUNCTION_INFO_V1(revdesk_session_started);

/*
 * Return an id of the context, which the caller may keep, or NULL.
 */
static Datum
return_id(FunctionCallInfo fcinfo, const RdaId *id)
{
	if (id == NULL || !id->present)
		PG_RETURN_NULL();
	return rda_uuid_copy(&id->value);
}

static Datum
return_name(FunctionCallInfo fcinfo, const char *name)
{
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

Datum
revdesk_key_id(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_id(fcinfo, context ? &context->key_id : NULL);
}

Datum
revdesk_tenant_id(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_id(fcinfo, context ? &context->tenant_id : NULL);
}

Datum
revdesk_umbrella_id(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_id(fcinfo, context ? &context->umbrella_id : NULL);
}

Datum
revdesk_user_id(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_id(fcinfo, context ? &context->user_id : NULL);
}

Datum
revdesk_scope(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_name(fcinfo, context ? rda_scope_name(context->scope) : NULL);
}

Datum
revdesk_access(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_name(fcinfo, context ? rda_access_name(context->access) : NULL);
}

Datum
revdesk_environment(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	return return_name(fcinfo,
					   context ? rda_environment_name(context->environment) : NULL);
}

Datum
revdesk_session_started(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();

	if (context == NULL || context->session_started == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(context->session_started);
}
