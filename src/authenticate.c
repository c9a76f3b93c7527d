/*
 * authenticate.c
 *		From a token to a context: the one place that orders look-up, checks
 *		and context.
 *
 * Nothing here writes to a table, so it works in READ ONLY transactions and on
 * a hot standby.  Nothing is set before every check has passed.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

#include "authenticate.h"
#include "context.h"
#include "errors.h"
#include "guc.h"
#include "key_lookup.h"
#include "pg_compat.h"
#include "tenancy.h"
#include "token.h"

#define NOT_A_KEY "The text is not an API key."

PG_FUNCTION_INFO_V1(revdesk_authenticate);
PG_FUNCTION_INFO_V1(revdesk_deauthenticate);

/*
 * Does the client's address lie in one of these networks?  Without an address
 * (unix socket) it does not.
 */
static bool
client_is_in(ArrayType *networks)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum		address;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_client_addr(fcinfo);
	if (fcinfo->isnull)
		return false;

	deconstruct_array(networks, CIDROID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] &&
			DatumGetBool(DirectFunctionCall2(network_subeq, address, elements[i])))
			return true;
	}
	return false;
}

/*
 * Check the tenant of a key and complete the context from it.  Returns the
 * reason for a rejection, or NULL.
 */
static const char *
check_tenant(const RdaKey *key, RdaContext *context)
{
	RdaTenant	tenant;

	if (!key->tenant_id.present)
		return NULL;
	if (!rda_tenant_find(&key->tenant_id.value, &tenant))
		return "The tenant of the key does not exist.";
	if (tenant.suspended)
		return "The tenant of the key, or its umbrella, is suspended.";
	context->umbrella_id.present = true;
	context->umbrella_id.value = tenant.umbrella_id;
	return NULL;
}

/*
 * Make the context that a key stands for.  Returns the reason for a rejection,
 * for the server log alone, or NULL.
 *
 * Expiry is held against the wall clock: now() would accept an expired key in
 * a transaction that began before.
 */
static const char *
check_key(const RdaKey *key, RdaContext *context)
{
	memset(context, 0, sizeof(RdaContext));
	context->scope = key->scope;
	context->access = key->access;
	context->environment = key->environment;
	context->key_id = (RdaId) {true, key->id};
	context->tenant_id = key->tenant_id;
	context->user_id = key->user_id;

	if (key->revoked)
		return "The key is revoked.";
	if (!TIMESTAMP_IS_NOEND(key->expires_at) &&
		key->expires_at <= GetCurrentTimestamp())
		return "The key has expired.";
	if (!rda_guc_environment_is_accepted(key->environment))
		return "Keys of this environment are not accepted here.";
	if (key->allowed_networks != NULL && !client_is_in(key->allowed_networks))
		return "The client's address is outside the key's networks.";
	if (key->user_id.present && !rda_user_is_enabled(&key->user_id.value))
		return "The user of the key is disabled.";
	return check_tenant(key, context);
}

/*
 * Are these contexts of one key, or of one session?
 */
static bool
same_caller(const RdaContext *a, const RdaContext *b)
{
	if (a->key_id.present || b->key_id.present)
		return a->key_id.present && rda_id_is(&b->key_id, &a->key_id.value);
	return memcmp(a, b, sizeof(RdaContext)) == 0;
}

/*
 * Act for a context until the end of the transaction.
 *
 * Acting for the same caller again changes nothing; for another one while a
 * context is set raises 25001, so that no cursor and no plan of one statement
 * can meet the rows of two tenants.
 */
void
rda_authenticate_act_for(const RdaContext *context)
{
	const RdaContext *current = rda_context_current();

	if (current != NULL)
	{
		if (same_caller(current, context))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("this transaction already acts for another key"),
				 errhint("Authenticate once per transaction, or call revdesk_deauthenticate() first.")));
	}

	if (context->access == RDA_ACCESS_READ)
		rda_set_read_only();
	rda_context_set(context);
}

/*
 * Set the transaction's context from a token.
 *
 * token: len bytes, not necessarily NUL-terminated.  Returns NULL, or if the
 * token is rejected, the reason, palloc'd or static, for the server log alone:
 * the caller must answer all reasons alike.  Raises 25001 when the transaction
 * acts for another key.
 */
const char *
rda_authenticate_token(const char *token, Size len)
{
	uint8		digest[RDA_DIGEST_LEN];
	RdaKey		key;
	RdaContext	context;
	const char *reason;

	if (!rda_token_is_valid(token, len))
		return NOT_A_KEY;

	rda_secret_digest(token, len, digest);
	if (!rda_key_find(digest, &key))
		return "There is no such key.";

	reason = check_key(&key, &context);
	if (reason != NULL)
		return psprintf("%s Key: %s.", reason,
						DatumGetCString(DirectFunctionCall1(uuid_out,
															UUIDPGetDatum(&key.id))));
	rda_authenticate_act_for(&context);
	return NULL;
}

/*
 * SQL: revdesk_authenticate(token text) returns void.
 *
 * A value that cannot be a key by its length alone is refused before it is
 * detoasted, however large it is.
 */
Datum
revdesk_authenticate(PG_FUNCTION_ARGS)
{
	text	   *token;
	const char *reason;

	if (PG_ARGISNULL(0) ||
		toast_raw_datum_size(PG_GETARG_DATUM(0)) != RDA_TOKEN_LEN + VARHDRSZ)
		rda_error_rejected(NOT_A_KEY);

	token = PG_GETARG_TEXT_PP(0);
	reason = rda_authenticate_token(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token));
	if (reason != NULL)
		rda_error_rejected(reason);
	PG_RETURN_VOID();
}

/*
 * SQL: revdesk_deauthenticate() returns void.
 */
Datum
revdesk_deauthenticate(PG_FUNCTION_ARGS)
{
	rda_context_clear();
	PG_RETURN_VOID();
}
