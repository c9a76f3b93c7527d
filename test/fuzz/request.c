/*
 * request.c
 *		Fuzz: what a request's settings say.  No credential and no address comes
 *		out that did not go in; no answer has a key in it; answers are JSON.
 *
 * The input: a byte of choices, then request.headers, request.jwt.claims and
 * request.path, separated by NUL.  With the choice PLAIN the first is the value
 * of X-Api-Key instead.  With NESTED what would be the headers is the value of a
 * header, and none of it counts.
 */
#include "../../src/http.c"
#include "../../src/json_pick.c"
#include "../../src/token.c"
#include "../../src/terms.c"
#include "../../src/request.c"

#include <arpa/inet.h>

#include "stubs.h"

#define PROXIES 0x03
#define SESSIONS 0x04
#define PLAIN 0x08
#define NESTED 0x10

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static PGPROC process;
PGPROC	   *MyProc = &process;

int			rda_guc_trusted_proxies;
int			rda_guc_session_access = RDA_ACCESS_WRITE;
bool		rda_guc_rate_limit_headers = true;
char	   *rda_guc_tenant_claim = "company_id";

static bool sessions_believed;
static const char *settings[3];
static char *response_headers;

/* What the request came to. */
static char *key_used;
static char *address_used;
static bool acted;

const char *
GetConfigOption(const char *name, bool missing_ok, bool restrict_privileged)
{
	static const char *const names[] = {"request.headers", "request.jwt.claims", "request.path"};

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return settings[i];
	}
	REQUIRE(strcmp(name, "response.headers") == 0);
	return response_headers;
}

int
set_config_option(const char *name, const char *value, GucContext context,
				  GucSource source, GucAction action, bool changeVal, int elevel,
				  bool is_reload)
{
	REQUIRE(strcmp(name, "response.headers") == 0);
	response_headers = pstrdup(value);
	return 1;
}

Oid
GetSessionUserId(void)
{
	return InvalidOid;
}

char *
GetUserNameFromId(Oid roleid, bool noerr)
{
	return "api";
}

bool
rda_guc_role_has_sessions(const char *role)
{
	return sessions_believed;
}

bool
rda_guc_environment_is_accepted(RdaEnvironment environment)
{
	return true;
}

bool
rda_guc_path_is_public(const char *path)
{
	return strcmp(path, "/public") == 0;
}

bool
rda_authenticate_is_address(const char *str)
{
	char		buffer[16];

	return inet_pton(AF_INET, str, buffer) == 1 || inet_pton(AF_INET6, str, buffer) == 1;
}

const char *
rda_authenticate_connection_address(void)
{
	return "192.0.2.1";
}

/* Keys that end in 0 are over their limit, others are unknown or accepted. */
void
rda_authenticate_token(const char *token, Size len, const char *address,
					   RdaOutcome *outcome)
{
	memset(outcome, 0, sizeof(RdaOutcome));
	key_used = pnstrdup(token, len);
	address_used = address ? pstrdup(address) : NULL;
	outcome->accepted = rda_token_is_valid(token, len) && token[len - 1] >= '8';
	outcome->limited = len > 0 && token[len - 1] <= '9';
	outcome->denial = outcome->limited ? RDA_DENIED_LIMIT : RDA_DENIED_UNKNOWN;
	outcome->reason = "A reason.";
}

void
rda_authenticate_act_for(const RdaContext *context)
{
	REQUIRE(sessions_believed);
	REQUIRE(context->user_id.present && !context->key_id.present);
	acted = true;
}

bool
rda_replay_lag_is_high(void)
{
	return false;
}

RdaConcealed
rda_statement_conceal(void)
{
	return RDA_CONCEALED;
}

const RdaContext *
rda_context_current(void)
{
	static const RdaContext context = {.scope = RDA_SCOPE_USER};

	return &context;
}

bool
rda_user_find(const char *subject, pg_uuid_t *id)
{
	memset(id, 1, sizeof(pg_uuid_t));
	return *subject != '\0';
}

bool
rda_user_is_enabled(const pg_uuid_t *id)
{
	return true;
}

const RdaIdSet *
rda_user_tenants(const pg_uuid_t *user_id)
{
	return NULL;
}

bool
rda_id_set_contains(const RdaIdSet *set, const pg_uuid_t *id)
{
	return id->data[0] != 0;
}

bool
rda_tenant_find(const pg_uuid_t *id, RdaTenant *tenant)
{
	memset(tenant, 0, sizeof(RdaTenant));
	return true;
}

Datum
inet_in(PG_FUNCTION_ARGS)
{
	REQUIRE(rda_authenticate_is_address(PG_GETARG_CSTRING(0)));
	return (Datum) 0;
}

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	LOCAL_FCINFO(fcinfo, 1);

	fcinfo->args[0].value = arg1;
	return func(fcinfo);
}

/*
 * A JSON text with its simple escapes undone wherever they stand, and so all
 * that a member of it can spell in ASCII: palloc'd.  The modules' own parser
 * has no part in it.
 */
static char *
unescape(const char *json)
{
	char	   *text = palloc(strlen(json) + 1);
	char	   *to = text;

	while (*json != '\0')
	{
		unsigned	code;

		if (json[0] == '\\' && json[1] == 'u' && sscanf(json + 2, "%4x", &code) == 1 && code < 128)
		{
			*to++ = code;
			json += strnlen(json, 6);
		}
		else if (json[0] == '\\' && json[1] != '\0')
		{
			const char *control = strchr("b\bf\fn\nr\rt\t", json[1]);

			*to++ = control != NULL ? control[1] : json[1];
			json += 2;
		}
		else
			*to++ = *json++;
	}
	*to = '\0';
	return text;
}

/* The text without what base64 may be broken by: palloc'd. */
static char *
without_space(const char *str)
{
	char	   *text = palloc(strlen(str) + 1);
	char	   *to = text;

	for (; *str != '\0'; str++)
	{
		if (strchr(" \t\r\n", *str) == NULL)
			*to++ = *str;
	}
	*to = '\0';
	return text;
}

static bool
is_ascii(const char *str)
{
	while (*str != '\0' && !IS_HIGHBIT_SET(*str))
		str++;
	return *str == '\0';
}

/*
 * Is this key in the headers, as it is or in base64?  Of that the last bits
 * depend on what follows the key, so they are left out.
 */
static bool
is_in_headers(const char *key)
{
	char	   *text = unescape(settings[0]);
	char		encoded[1024];
	int			len;

	if (strstr(text, key) != NULL)
		return true;
	len = pg_b64_encode((const void *) key, strlen(key) / 3 * 3, encoded, sizeof(encoded) - 1);
	if (len < 0)
		return false;
	encoded[len] = '\0';
	return strstr(without_space(text), encoded) != NULL;
}

static bool
has_key(const char *str)
{
	for (; (str = strstr(str, RDA_TOKEN_PREFIX)) != NULL; str++)
	{
		if (strlen(str) >= RDA_TOKEN_LEN && rda_token_is_valid(str, RDA_TOKEN_LEN))
			return true;
	}
	return false;
}

static bool
is_json(const char *text)
{
	JsonSemAction nothing = {0};

	return pg_parse_json(rda_json_lexer(text), &nothing) == JSON_SUCCESS;
}

static void
check_success(void)
{
	bool		public = settings[2] != NULL && rda_guc_path_is_public(settings[2]);

	REQUIRE(key_used != NULL || acted || public);
	REQUIRE(key_used == NULL || rda_token_is_valid(key_used, strlen(key_used)));
	REQUIRE(response_headers == NULL || (is_json(response_headers) && !has_key(response_headers)));
}

static void
check_error(void)
{
	REQUIRE(stub_error.sqlstate == MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T'));
	REQUIRE(is_json(stub_error.message) && is_json(stub_error.detail));
	REQUIRE(!has_key(stub_error.message) && !has_key(stub_error.log_detail));
	REQUIRE(!acted);
}

/* Authenticate; returns whether it succeeds. */
static bool
authenticate(void)
{
	volatile bool accepted = true;

	PG_TRY();
	{
		(void) revdesk_authenticate_request(NULL);
		(void) revdesk_client_address((FunctionCallInfo) &(FunctionCallInfoBaseData) {0});
	}
	PG_CATCH();
	{
		accepted = false;
	}
	PG_END_TRY();
	return accepted;
}

/* Split the input. The settings are palloc'd, and NULL where nothing is left. */
static void
take_settings(const uint8 *data, size_t size)
{
	const char *from = (const char *) data;
	const char *end = from + size;

	for (int i = 0; i < 3; i++)
	{
		settings[i] = NULL;
		if (from >= end)
			continue;
		settings[i] = pnstrdup(from, end - from);
		from += strlen(settings[i]) + 1;
	}
}

/* Make headers of a key; returns the key. */
static const char *
plain_headers(void)
{
	const char *key = settings[0];
	StringInfoData json;

	if (key == NULL || pg_encoding_verifymbstr(PG_UTF8, key, strlen(key)) != (int) strlen(key))
		return NULL;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"x-api-key\": ");
	escape_json(&json, key);
	appendStringInfoChar(&json, '}');
	settings[0] = json.data;
	return key;
}

/* Make the headers the value of one; returns whether they are JSON at all. */
static bool
nest_headers(void)
{
	StringInfoData json;

	if (settings[0] == NULL || !is_json(settings[0]))
		return false;
	initStringInfo(&json);
	appendStringInfo(&json, "{\"x\": %s}", settings[0]);
	settings[0] = json.data;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	const char *sent = NULL;
	bool		nested = false;

	if (size == 0)
		return 0;
	rda_guc_trusted_proxies = data[0] & PROXIES;
	sessions_believed = (data[0] & SESSIONS) != 0;
	take_settings(data + 1, size - 1);
	if (data[0] & PLAIN)
		sent = plain_headers();
	if (data[0] & NESTED)
		nested = nest_headers();
	key_used = address_used = response_headers = NULL;
	acted = false;
#if PG_VERSION_NUM >= 170000
	process.vxid.lxid++;
#else
	process.lxid++;
#endif

	if (authenticate())
		check_success();
	else
		check_error();
	if (key_used != NULL)
		REQUIRE(!is_ascii(key_used) || is_in_headers(key_used));
	if (key_used != NULL && sent != NULL)
		REQUIRE(strcmp(key_used, sent) == 0);
	if (address_used != NULL && rda_guc_trusted_proxies > 0)
		REQUIRE(rda_authenticate_is_address(address_used) &&
				strstr(unescape(settings[0]), address_used) != NULL);
	REQUIRE(key_used == NULL || !acted);
	REQUIRE(key_used == NULL || !nested);
	stub_free_all();
	return 0;
}
