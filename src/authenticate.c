/*
 * authenticate.c
 *		From a token to a context: the one place that orders look-up, checks
 *		and context.
 *
 * Nothing here writes to a table, so it works in READ ONLY transactions and on
 * a hot standby.  Nothing is set before every check has passed.
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/memutils.h"

#include "authenticate.h"
#include "brake.h"
#include "context.h"
#include "errors.h"
#include "guc.h"
#include "key_lookup.h"
#include "pg_compat.h"
#include "pool_guard.h"
#include "replay_lag.h"
#include "statement.h"
#include "tenancy.h"
#include "token.h"
#include "usage.h"

#define NOT_A_KEY "The text is not an API key."

PG_FUNCTION_INFO_V1(revdesk_authenticate);
PG_FUNCTION_INFO_V1(revdesk_deauthenticate);
PG_FUNCTION_INFO_V1(revdesk_context_holds);

/* What the server log says of a denial. */
static const char *const reasons[RDA_DENIALS] = {
	[RDA_DENIED_UNKNOWN] = "There is no such key.",
	[RDA_DENIED_REVOKED] = "The key is revoked.",
	[RDA_DENIED_EXPIRED] = "The key has expired.",
	[RDA_DENIED_ENVIRONMENT] = "Keys of this environment are not accepted here.",
	[RDA_DENIED_NETWORK] = "The client's address is outside the key's networks.",
	[RDA_DENIED_USER] = "The user of the key is disabled.",
	[RDA_DENIED_TENANT] = "The tenant of the key, or its umbrella, is suspended.",
	[RDA_DENIED_LIMIT] = "The key, or its organization, is over its limit.",
};

/*
 * The address that the connection comes from, as text; NULL for a unix socket
 * and where there is no connection.
 *
 * Asked for once, since it stays the same.  Not remote_host of the Port, which
 * is a name where log_hostname is on.
 */
const char *
rda_authenticate_connection_address(void)
{
	static bool asked = false;
	static char *address = NULL;
	LOCAL_FCINFO(fcinfo, 0);
	Datum		client;

	if (asked)
		return address;
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	client = inet_client_addr(fcinfo);
	if (!fcinfo->isnull)
		address = MemoryContextStrdup(TopMemoryContext,
									  TextDatumGetCString(DirectFunctionCall1(network_host, client)));
	asked = true;
	return address;
}

/*
 * Is this text an address, and nothing else?
 */
bool
rda_authenticate_is_address(const char *str)
{
	char		buffer[16];

	return inet_pton(AF_INET, str, buffer) == 1 ||
		inet_pton(AF_INET6, str, buffer) == 1;
}

/*
 * Does the client's address lie in one of these networks?  One that is not
 * known, or is no address, does not.
 */
static bool
client_is_in(ArrayType *networks, const char *address)
{
	Datum		client;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (address == NULL || !rda_authenticate_is_address(address))
		return false;
	client = DirectFunctionCall1(inet_in, CStringGetDatum(address));

	deconstruct_array(networks, CIDROID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] &&
			DatumGetBool(DirectFunctionCall2(network_subeq, client, elements[i])))
			return true;
	}
	return false;
}

/*
 * Is the user enabled, and the tenant not suspended, that are present?
 *
 * tenant: filled in if there is one.
 */
static RdaDenial
check_holder(const RdaId *user_id, const RdaId *tenant_id, RdaTenant *tenant)
{
	if (user_id->present && !rda_user_is_enabled(&user_id->value))
		return RDA_DENIED_USER;
	if (tenant_id->present &&
		(!rda_tenant_find(&tenant_id->value, tenant) || tenant->suspended))
		return RDA_DENIED_TENANT;
	return RDA_DENIALS;
}

/*
 * Make the context that a key stands for.  Returns why it is denied, or
 * RDA_DENIALS if it is not.
 *
 * tenant: filled in if the key has one.
 */
static RdaDenial
check_key(const RdaKey *key, const char *address, RdaTenant *tenant,
		  RdaContext *context)
{
	RdaDenial	denial;

	memset(context, 0, sizeof(RdaContext));
	context->scope = key->scope;
	context->access = key->access;
	context->environment = key->environment;
	context->key_id = (RdaId) {true, key->id};
	context->tenant_id = key->tenant_id;
	context->user_id = key->user_id;

	if (key->revoked)
		return RDA_DENIED_REVOKED;
	if (rda_key_has_expired(key))
		return RDA_DENIED_EXPIRED;
	if (!rda_guc_environment_is_accepted(key->environment))
		return RDA_DENIED_ENVIRONMENT;
	if (key->allowed_networks != NULL &&
		!client_is_in(key->allowed_networks, address))
		return RDA_DENIED_NETWORK;
	denial = check_holder(&key->user_id, &key->tenant_id, tenant);
	if (denial == RDA_DENIALS && key->tenant_id.present)
		context->umbrella_id = (RdaId) {true, tenant->umbrella_id};
	return denial;
}

/*
 * Take the request out of the budget of a key or an organization.  Returns
 * false if it is over the limit.
 */
static bool
take(const pg_uuid_t *id, const RdaLimits *limits, RdaOutcome *outcome)
{
	RdaBudget	budget;
	bool		within;

	if (!rda_limits_any(limits))
		return true;
	if (!rda_usage_table_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("keys with limits need revdesk_auth in shared_preload_libraries")));
	if (!rda_usage_take(id, limits, &budget, &within))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no room to hold a key to its limits"),
				 errhint("Increase \"revdesk.max_tracked_keys\".")));

	if (!outcome->limited || !within || budget.remaining < outcome->budget.remaining)
		outcome->budget = budget;
	outcome->limited = true;
	return within;
}

/*
 * Are these contexts of one key, or of one session?
 */
static bool
same_caller(const RdaContext *a, const RdaContext *b)
{
	if (a->key_id.present || b->key_id.present)
		return a->key_id.present && rda_id_is(&b->key_id, &a->key_id.value);
	return memcmp(a, b, offsetof(RdaContext, since)) == 0;
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
	RdaContext	dated;

	if (current != NULL)
	{
		if (same_caller(current, context))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("this transaction already acts for another key"),
				 errhint("Authenticate once per transaction, or call revdesk_deauthenticate() first.")));
	}

	rda_pool_guard_admit();
	if (context->access == RDA_ACCESS_READ)
		rda_set_read_only();
	memcpy(&dated, context, sizeof(RdaContext));
	dated.since = GetCurrentStatementStartTimestamp();
	rda_context_set(&dated);
}

static bool
is_current_key(const pg_uuid_t *id)
{
	const RdaContext *current = rda_context_current();

	return current != NULL && rda_id_is(&current->key_id, id);
}

/*
 * Deny a token, and count that.  key: NULL if it is of none.
 */
static void
deny(const RdaKey *key, RdaDenial denial, const char *address,
	 RdaOutcome *outcome)
{
	outcome->denial = denial;
	outcome->reason = reasons[denial];
	if (key != NULL)
		outcome->reason = psprintf("%s Key: %s.", reasons[denial],
								   DatumGetCString(DirectFunctionCall1(uuid_out,
																	   UUIDPGetDatum(&key->id))));
	rda_usage_add(key ? &key->id : NULL, RDA_COUNT_DENIED + denial);

	/* A valid key over its limit is no guess: its own limit holds it back. */
	if (denial != RDA_DENIED_LIMIT)
		rda_brake_count_failure(address);
}

/*
 * Admit a key that was found: check it, hold it to its limits, act for it.
 *
 * The key that the transaction acts for already is checked again, but neither
 * limited nor counted: it is one request.
 */
static void
admit(const RdaKey *key, const char *address, RdaOutcome *outcome)
{
	RdaContext	context;
	RdaTenant	tenant;
	bool		again = is_current_key(&key->id);
	RdaDenial	denial = check_key(key, address, &tenant, &context);

	if (denial == RDA_DENIALS && !again &&
		(!take(&key->id, &key->limits, outcome) ||
		 (key->tenant_id.present &&
		  !take(&tenant.umbrella_id, &tenant.limits, outcome))))
		denial = RDA_DENIED_LIMIT;
	if (denial != RDA_DENIALS)
	{
		deny(key, denial, address, outcome);
		return;
	}

	rda_authenticate_act_for(&context);
	outcome->accepted = true;
	if (!again)
		rda_usage_count(&key->id, address);
}

/*
 * Set the transaction's context from a token.
 *
 * token: len bytes, not necessarily NUL-terminated.  address: of the client, as
 * text, or NULL.  If *outcome is not accepted nothing was set, and the caller
 * must answer all denials but RDA_DENIED_LIMIT alike.  Raises 25001 when the
 * transaction acts for another key, and an error when the key has limits that
 * it cannot be held to.
 */
void
rda_authenticate_token(const char *token, Size len, const char *address,
					   RdaOutcome *outcome)
{
	uint8		digest[RDA_DIGEST_LEN];
	RdaKey		key;
	bool		found;

	memset(outcome, 0, sizeof(RdaOutcome));
	if (rda_brake_is_on(address))
	{
		outcome->denial = RDA_DENIED_UNKNOWN;
		outcome->reason = "Too many attempts from this address have failed.";
		return;
	}
	if (!rda_token_is_valid(token, len))
	{
		deny(NULL, RDA_DENIED_UNKNOWN, address, outcome);
		outcome->reason = NOT_A_KEY;
		return;
	}

	rda_secret_digest(token, len, digest);
	found = rda_key_find(digest, &key);
	explicit_bzero(digest, sizeof(digest));
	if (found)
		admit(&key, address, outcome);
	else
		deny(NULL, RDA_DENIED_UNKNOWN, address, outcome);
}

/*
 * Set the context from the SQL function's argument.
 *
 * A value that cannot be a key by its length alone is refused before it is
 * detoasted, however large it is.
 */
static void
authenticate_argument(FunctionCallInfo fcinfo, RdaOutcome *outcome)
{
	const char *address = rda_authenticate_connection_address();
	text	   *token;

	if (rda_replay_lag_is_high())
		rda_error_unavailable(RDA_REPLAY_LAG_REASON);
	if (PG_ARGISNULL(0) ||
		toast_raw_datum_size(PG_GETARG_DATUM(0)) != RDA_TOKEN_LEN + VARHDRSZ)
	{
		rda_authenticate_token("", 0, address, outcome);
		return;
	}

	token = PG_GETARG_TEXT_PP(0);
	rda_authenticate_token(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token),
						   address, outcome);
	if ((Pointer) token != PG_GETARG_POINTER(0))
		explicit_bzero(token, VARSIZE_ANY(token));
}

static void
warn_of_literal(void)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("an API key is written in the text of the statement"),
			 errhint("Pass the key as a parameter.")));
}

/*
 * SQL: revdesk_authenticate(token text) returns void.
 *
 * No error or cancel in here tells what it was called by, since PL/pgSQL would
 * quote the key.  (Who catches an error restores the stack himself.)
 */
Datum
revdesk_authenticate(PG_FUNCTION_ARGS)
{
	ErrorContextCallback *callers = error_context_stack;
	RdaOutcome	outcome;

	error_context_stack = NULL;
	if (rda_statement_conceal() != RDA_NOTHING_TO_CONCEAL &&
		rda_guc_warn_literal_keys)
		warn_of_literal();
	authenticate_argument(fcinfo, &outcome);
	if (!outcome.accepted && outcome.denial == RDA_DENIED_LIMIT)
		rda_error_over_limit(&outcome.budget, outcome.reason);
	if (!outcome.accepted)
		rda_error_rejected(outcome.reason);
	error_context_stack = callers;
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

/*
 * SQL: revdesk.context_holds() returns boolean: would the caller that the
 * transaction acts for be let in now, as far as key, user and tenant tell?
 *
 * By what is committed now, whatever the transaction's snapshot.
 */
Datum
revdesk_context_holds(PG_FUNCTION_ARGS)
{
	const RdaContext *context = rda_context_current();
	RdaKey		key;
	RdaTenant	tenant;

	if (context == NULL)
		PG_RETURN_BOOL(false);
	if (context->key_id.present &&
		(!rda_key_find_by_id(&context->key_id.value, &key) || !rda_key_is_live(&key)))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(check_holder(&context->user_id, &context->tenant_id, &tenant) == RDA_DENIALS);
}
