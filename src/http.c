/*
 * http.c
 *		Answers in the form that PostgREST sends on as HTTP: an error of SQLSTATE
 *		PGRST, whose message is the body and whose detail has status and headers,
 *		and the setting response.headers.
 *
 * Nothing of the caller's is in a header but a request id of harmless
 * characters.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"

#include "http.h"
#include "pg_compat.h"
#include "token.h"

#define REALM "Bearer realm=\"revdesk\""
#define MAX_REQUEST_ID 128

/* The id of the last request, and the transaction that served it. */
static char current_request_id[MAX_REQUEST_ID + 1];
static LocalTransactionId request_transaction = InvalidLocalTransactionId;

const RdaHttpError rda_http_unauthenticated = {
	401, "credentials_required", "authentication required",
	"Send the header \"Authorization: Bearer <API key>\".",
	REALM, NULL
};

const RdaHttpError rda_http_invalid_token = {
	401, "invalid_token", "API key or session rejected", NULL,
	REALM ", error=\"invalid_token\"", NULL
};

const RdaHttpError rda_http_invalid_request = {
	400, "invalid_request", "malformed request",
	"Send one credential, in the Authorization header, and none in the path.",
	REALM ", error=\"invalid_request\"", NULL
};

const RdaHttpError rda_http_forbidden = {
	403, "insufficient_scope", "not allowed for this API key or session", NULL,
	REALM ", error=\"insufficient_scope\"", NULL
};

const RdaHttpError rda_http_unavailable = {
	503, "temporarily_unavailable", "this server cannot check credentials now",
	"Try again, or another server.", NULL, NULL
};

/*
 * May this text of a caller be sent back in a header?  1 to 128 letters,
 * digits, and ._:- and no key among them, which a front end would log.
 */
bool
rda_http_is_request_id(const char *str)
{
	Size		len = strspn(str,
							 "0123456789abcdefghijklmnopqrstuvwxyz"
							 "ABCDEFGHIJKLMNOPQRSTUVWXYZ._:-");

	return len > 0 && len <= MAX_REQUEST_ID && str[len] == '\0' &&
		strstr(str, RDA_TOKEN_PREFIX) == NULL;
}

static void
append_member(StringInfo json, const char *name, const char *value)
{
	escape_json(json, name);
	appendStringInfoChar(json, ':');
	if (value == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, value);
}

/*
 * The MESSAGE that PostgREST makes the body of: palloc'd.
 *
 * details: NULL for none.
 */
char *
rda_http_message(const RdaHttpError *error, const char *details)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_member(&json, "code", error->code);
	appendStringInfoChar(&json, ',');
	append_member(&json, "message", error->message);
	appendStringInfoChar(&json, ',');
	append_member(&json, "details", details);
	appendStringInfoChar(&json, ',');
	append_member(&json, "hint", error->hint);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/*
 * The fields RateLimit-Policy and RateLimit (IETF draft
 * draft-ietf-httpapi-ratelimit-headers, 10): palloc'd.
 */
static char *
budget_policy(const RdaBudget *budget)
{
	return psprintf("\"default\";q=%lld;w=%lld", (long long) budget->limit,
					(long long) budget->window);
}

static char *
budget_state(const RdaBudget *budget)
{
	return psprintf("\"default\";r=%lld;t=%lld", (long long) budget->remaining,
					(long long) budget->reset);
}

/*
 * The DETAIL that PostgREST takes status and headers from: palloc'd.
 *
 * request_id: as rda_http_is_request_id() allows; NULL for none.
 */
char *
rda_http_detail(const RdaHttpError *error, const char *request_id)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"status\":%d,\"headers\":{", error->status);
	append_member(&json, "Cache-Control", "no-store");
	if (error->challenge != NULL)
	{
		appendStringInfoChar(&json, ',');
		append_member(&json, "WWW-Authenticate", error->challenge);
	}
	if (error->budget != NULL)
	{
		appendStringInfo(&json, ",\"Retry-After\":\"%lld\",",
						 (long long) error->budget->reset);
		append_member(&json, "RateLimit-Policy", budget_policy(error->budget));
		appendStringInfoChar(&json, ',');
		append_member(&json, "RateLimit", budget_state(error->budget));
	}
	if (request_id != NULL)
	{
		appendStringInfoChar(&json, ',');
		append_member(&json, "X-Request-Id", request_id);
	}
	appendStringInfoString(&json, "}}");
	return json.data;
}

/*
 * Raise an error that PostgREST answers with error's status.
 *
 * request_id: NULL for none.  reason: a sentence for the server log alone; NULL
 * for none.
 */
void
rda_http_raise(const RdaHttpError *error, const char *request_id,
			   const char *reason)
{
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
			 errmsg_internal("%s", rda_http_message(error, NULL)),
			 errdetail_internal("%s", rda_http_detail(error, request_id)),
			 reason ? errdetail_log("%s", reason) : 0,
			 errhidestmt(true),
			 errhidecontext(true)));
}

/*
 * Raise 429 with the fields that tell when to come back.
 */
void
rda_http_raise_limit(const RdaBudget *budget, const char *request_id,
					 const char *reason)
{
	RdaHttpError error = {
		429, "rate_limited", "too many requests",
		"Wait for as many seconds as the header Retry-After says.", NULL, budget
	};

	rda_http_raise(&error, request_id, reason);
}

/*
 * Have PostgREST send one more header with a successful response.
 *
 * Appends to the JSON array of objects in response.headers, if there is one.
 */
static void
add_header(const char *name, const char *value)
{
	const char *old = GetConfigOption("response.headers", true, false);
	int			length = old ? strlen(old) : 0;
	StringInfoData headers;

	/* Up to its last object, or to the opening bracket. */
	while (length > 0 && strchr(" \t\n\r]", old[length - 1]) != NULL)
		length--;

	initStringInfo(&headers);
	if (length == 0)
		appendStringInfoChar(&headers, '[');
	else
		appendBinaryStringInfo(&headers, old, length);
	if (headers.data[headers.len - 1] != '[')
		appendStringInfoChar(&headers, ',');
	appendStringInfoChar(&headers, '{');
	append_member(&headers, name, value);
	appendStringInfoString(&headers, "}]");
	(void) set_config_option("response.headers", headers.data,
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
}

/*
 * Have it send how much of a limit is left.
 */
void
rda_http_add_budget(const RdaBudget *budget)
{
	add_header("RateLimit-Policy", budget_policy(budget));
	add_header("RateLimit", budget_state(budget));
}

/*
 * Have it send the request id, with an error too.
 *
 * request_id: as rda_http_is_request_id() allows.
 */
void
rda_http_set_request_id(const char *request_id)
{
	Assert(rda_http_is_request_id(request_id));
	strlcpy(current_request_id, request_id, sizeof(current_request_id));
	request_transaction = rda_local_transaction_id();
	add_header("X-Request-Id", request_id);
}

/*
 * The id of the request that this transaction serves; NULL if not known.
 */
const char *
rda_http_request_id(void)
{
	return request_transaction == rda_local_transaction_id() ?
		current_request_id : NULL;
}
