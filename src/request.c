/*
 * request.c
 *		Authenticate a request that PostgREST, or what talks like it, describes
 *		in settings of the transaction.
 *
 * request.headers is a JSON object with lower-cased names.  A key comes as
 *
 *	X-Api-Key: <key>
 *	Authorization: Bearer <key>		from front ends that pass it on
 *	Authorization: ApiKey <key>
 *	Authorization: Basic base64(<key>:)
 *
 * Without a key, the session in request.jwt.claims counts, if the session role
 * is one whose settings are believed (revdesk.session_roles): whoever can run
 * SQL as that role can write any claims.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inet.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "authenticate.h"
#include "context.h"
#include "guc.h"
#include "http.h"
#include "json_pick.h"
#include "pg_compat.h"
#include "replay_lag.h"
#include "statement.h"
#include "tenancy.h"
#include "token.h"

PG_FUNCTION_INFO_V1(revdesk_authenticate_request);
PG_FUNCTION_INFO_V1(revdesk_client_address);

/* Longest Basic credentials that can hold a key. */
#define MAX_BASIC 256

/* What a request says, all palloc'd or NULL. */
typedef struct Request
{
	const char *path;
	const char *request_id;
	const char *forwarded_for;
	const char *key;			/* the text that was sent as a key */
	List	   *credentials;	/* texts that have or had keys in them */
	const char *subject;		/* of the session */
	const char *tenant;			/* that the session picks */
	const char *issued;			/* when it was, in seconds since 1970 */
	bool		has_token;		/* a bearer token that is no key */
} Request;

/*
 * A setting of the transaction; NULL if it is unset or empty, as it is in
 * transactions after the one that set it.
 */
static const char *
get_setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == NULL || *value == '\0' ? NULL : value;
}

static void
refuse(const Request *request, const RdaHttpError *error, const char *reason)
{
	rda_http_raise(error, request->request_id, reason);
}

/*
 * Take a text that was sent as a key.  Two that differ are refused: which of
 * them would count could be understood one way here and another in front.
 */
static void
take_key(Request *request, const char *key)
{
	if (request->key != NULL && strcmp(request->key, key) != 0)
		refuse(request, &rda_http_invalid_request, "The request has two keys.");
	request->key = key;
}

/*
 * The user name in Basic credentials (RFC 7617): palloc'd, empty if they are
 * malformed.
 *
 * PostgreSQL's decoder goes on after a padding, where a front end ends or
 * refuses: what the two could read differently is malformed.
 */
static char *
basic_user(Request *request, const char *credentials)
{
	char		decoded[MAX_BASIC];
	const char *padding = credentials + strcspn(credentials, "=");
	char	   *colon = NULL;
	char	   *user;
	int			len = -1;

	if (strlen(credentials) <= MAX_BASIC && padding[strspn(padding, "=")] == '\0')
		len = rda_base64_decode(credentials, strlen(credentials), decoded,
								MAX_BASIC);
	if (len > 0 && memchr(decoded, '\0', len) == NULL)
		colon = memchr(decoded, ':', len);
	user = colon == NULL ? pstrdup("") : pnstrdup(decoded, colon - decoded);
	explicit_bzero(decoded, sizeof(decoded));
	request->credentials = lappend(request->credentials, user);
	return user;
}

/*
 * A header that may have a key in it; empty, not NULL, if it is no text.
 */
static const char *
credential(Request *request, const RdaJsonMember *header)
{
	if (header->text == NULL)
		return "";
	request->credentials = lappend(request->credentials, unconstify(char *, header->text));
	return header->text;
}

/*
 * Overwrite the copies of keys that were made on the way.
 */
static void
wipe(Request *request)
{
	ListCell   *cell;

	foreach(cell, request->credentials)
	{
		char	   *text = lfirst(cell);

		explicit_bzero(text, strlen(text));
	}
	request->credentials = NIL;
}

/*
 * Take the value of an Authorization header (RFC 9110, section 11.4).
 */
static void
take_authorization(Request *request, const char *value)
{
	Size		scheme = strcspn(value, " ");
	const char *rest = value + scheme + strspn(value + scheme, " ");

	if (scheme == strlen("Bearer") && pg_strncasecmp(value, "Bearer", scheme) == 0)
	{
		if (strncmp(rest, RDA_TOKEN_PREFIX, RDA_TOKEN_PREFIX_LEN) == 0)
			take_key(request, rest);
		else
			request->has_token = true;
	}
	else if (scheme == strlen("ApiKey") && pg_strncasecmp(value, "ApiKey", scheme) == 0)
		take_key(request, rest);
	else if (scheme == strlen("Basic") && pg_strncasecmp(value, "Basic", scheme) == 0)
		take_key(request, basic_user(request, rest));
	else
		take_key(request, "");	/* a credential, and not a valid one */
}

static void
read_headers(Request *request)
{
	enum
	{
		API_KEY, AUTHORIZATION, REQUEST_ID, FORWARDED_FOR, COUNT
	};
	RdaJsonMember headers[COUNT] = {
		[API_KEY].name = "x-api-key",
		[AUTHORIZATION].name = "authorization",
		[REQUEST_ID].name = "x-request-id",
		[FORWARDED_FOR].name = "x-forwarded-for",
	};
	const char *json = get_setting("request.headers");

	if (json == NULL)
		return;
	if (!rda_json_pick(json, headers, COUNT))
		refuse(request, &rda_http_invalid_request, "request.headers is not a JSON object.");

	if (headers[REQUEST_ID].text != NULL && rda_http_is_request_id(headers[REQUEST_ID].text))
		request->request_id = headers[REQUEST_ID].text;
	request->forwarded_for = headers[FORWARDED_FOR].text;
	if (headers[API_KEY].present)
		take_key(request, credential(request, &headers[API_KEY]));
	if (headers[AUTHORIZATION].present)
		take_authorization(request, credential(request, &headers[AUTHORIZATION]));
}

static void
read_claims(Request *request)
{
	enum
	{
		SUBJECT, ISSUED, TENANT, COUNT
	};
	RdaJsonMember claims[COUNT] = {
		[SUBJECT].name = "sub",
		[ISSUED].name = "iat",
		[TENANT].name = rda_guc_tenant_claim,
	};
	const char *json = get_setting("request.jwt.claims");

	if (json == NULL)
		return;
	if (!rda_json_pick(json, claims, COUNT))
		refuse(request, &rda_http_invalid_request, "request.jwt.claims is not a JSON object.");
	request->subject = claims[SUBJECT].text;
	request->issued = claims[ISSUED].text;
	if (claims[TENANT].present)
		request->tenant = claims[TENANT].text ? claims[TENANT].text : "";
}

/*
 * Refuse a request with a key in its path: it would be in every log on the way.
 */
static void
check_path(Request *request)
{
	const char *found;

	request->path = get_setting("request.path");
	if (request->path == NULL)
		return;
	for (found = strstr(request->path, RDA_TOKEN_PREFIX); found != NULL;
		 found = strstr(found + 1, RDA_TOKEN_PREFIX))
	{
		if (rda_token_is_valid(found, strnlen(found, RDA_TOKEN_LEN)))
			refuse(request, &rda_http_invalid_request, "The path has a key in it.");
	}
}

/*
 * Narrow a session's context to the tenant that it picks, of which the user
 * must be a member.
 */
static void
pick_tenant(const Request *request, RdaContext *context)
{
	RdaTenant	tenant;
	pg_uuid_t	id;

	if (!rda_uuid_parse(request->tenant, &id) ||
		!rda_id_set_contains(rda_user_tenants(&context->user_id.value), &id) ||
		!rda_tenant_find(&id, &tenant))
		refuse(request, &rda_http_forbidden,
			   "The session's user is not a member of the tenant that it picks, or that is suspended.");

	context->scope = rda_uuid_equal(&tenant.umbrella_id, &id) ?
		RDA_SCOPE_ORGANIZATION : RDA_SCOPE_SUB_ENTITY;
	context->tenant_id = (RdaId) {true, id};
	context->umbrella_id = (RdaId) {true, tenant.umbrella_id};
}

/*
 * The time that a claim "iat" tells (RFC 7519: seconds since 1970, maybe with
 * a fraction); 1970 if it tells none, which is too old for everything.
 */
static TimestampTz
parse_issued(const char *issued)
{
	double		seconds = issued ? strtod(issued, NULL) : 0;

	if (!(seconds > 0 && seconds < 1e11))
		seconds = 0;
	return (TimestampTz) ((seconds - ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)) * USECS_PER_SEC);
}

/*
 * Act for the session that the request's claims describe.
 */
static void
authenticate_session(const Request *request)
{
	RdaContext	context;

	if (!rda_guc_role_has_sessions(GetUserNameFromId(GetSessionUserId(), false)))
		refuse(request, &rda_http_invalid_token,
			   "The session role is not one of revdesk.session_roles.");

	memset(&context, 0, sizeof(RdaContext));
	context.scope = RDA_SCOPE_USER;
	context.access = (RdaAccess) rda_guc_session_access;
	context.environment = rda_guc_environment_is_accepted(RDA_ENVIRONMENT_PRODUCTION) ?
		RDA_ENVIRONMENT_PRODUCTION : RDA_ENVIRONMENT_DEVELOPMENT;
	context.session_started = parse_issued(request->issued);
	context.user_id.present = rda_user_find(request->subject, &context.user_id.value);
	if (!context.user_id.present ||
		!rda_user_is_enabled(&context.user_id.value))
		refuse(request, &rda_http_invalid_token,
			   "There is no user with the session's subject, or it is disabled.");
	if (request->tenant != NULL)
		pick_tenant(request, &context);
	rda_authenticate_act_for(&context);
}

/*
 * The client's address: of the connection or, behind proxies that are trusted,
 * the one that the outermost of them saw.  NULL if not known, and so for what
 * is no address.
 */
static const char *
client_address(const Request *request)
{
	char	   *list;
	char	   *address = NULL;

	if (rda_guc_trusted_proxies == 0)
		return rda_authenticate_connection_address();
	if (request->forwarded_for == NULL)
		return NULL;

	list = pstrdup(request->forwarded_for);
	for (int i = 0; i < rda_guc_trusted_proxies; i++)
	{
		if (address != NULL && address == list)
			return NULL;		/* fewer addresses than proxies */
		if (address != NULL)
			address[-1] = '\0';
		address = strrchr(list, ',');
		address = address == NULL ? list : address + 1;
	}
	address += strspn(address, " \t");
	address = pnstrdup(address, strcspn(address, " \t"));
	return rda_authenticate_is_address(address) ? address : NULL;
}

/*
 * SQL: revdesk.client_address() returns inet.
 *
 * Headers are believed only under a context, where they have been before.
 */
Datum
revdesk_client_address(PG_FUNCTION_ARGS)
{
	RdaJsonMember header = {.name = "x-forwarded-for"};
	Request		request = {0};
	const char *json = get_setting("request.headers");
	const char *address;

	if (rda_context_current() != NULL && json != NULL &&
		rda_json_pick(json, &header, 1))
	{
		request.forwarded_for = header.text;
		address = client_address(&request);
	}
	else
		address = rda_authenticate_connection_address();
	if (address == NULL || !rda_authenticate_is_address(address))
		PG_RETURN_NULL();
	return DirectFunctionCall1(inet_in, CStringGetDatum(address));
}

static void
authenticate_key(const Request *request)
{
	RdaOutcome	outcome;

	rda_authenticate_token(request->key, strlen(request->key),
						   client_address(request), &outcome);
	if (!outcome.accepted && outcome.denial == RDA_DENIED_LIMIT)
		rda_http_raise_limit(&outcome.budget, request->request_id, outcome.reason);
	if (!outcome.accepted)
		refuse(request, &rda_http_invalid_token, outcome.reason);
	if (outcome.limited && rda_guc_rate_limit_headers)
		rda_http_add_budget(&outcome.budget);
}

static void
authenticate_request(Request *request)
{
	read_headers(request);
	check_path(request);
	read_claims(request);
	if (request->request_id != NULL)
		rda_http_set_request_id(request->request_id);

	if (request->key != NULL && (request->subject != NULL || request->has_token))
		refuse(request, &rda_http_invalid_request, "The request has a key and a session.");
	if ((request->key != NULL || request->subject != NULL) && rda_replay_lag_is_high())
		refuse(request, &rda_http_unavailable, RDA_REPLAY_LAG_REASON);
	if (request->key != NULL)
		authenticate_key(request);
	else if (request->subject != NULL)
		authenticate_session(request);
	else if (request->has_token)
		refuse(request, &rda_http_invalid_token, "The bearer token has no subject.");
	else if (request->path == NULL || !rda_guc_path_is_public(request->path))
		refuse(request, &rda_http_unauthenticated, NULL);
}

/*
 * SQL: revdesk_authenticate() returns void.
 *
 * For PostgREST's db-pre-request.  Errors have SQLSTATE PGRST; see http.c.
 */
Datum
revdesk_authenticate_request(PG_FUNCTION_ARGS)
{
	/* Not in a register, since the wiping may follow an error. */
	Request    *request = palloc0(sizeof(Request));

	(void) rda_statement_conceal();
	PG_TRY();
	{
		authenticate_request(request);
	}
	PG_FINALLY();
	{
		wipe(request);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}
