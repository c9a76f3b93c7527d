/*
 * guc.c
 *		Plain settings, those that an administrator chooses.
 *
 * Those that hold callers back are PGC_SUSET: they can be set for a database
 * or a role, but never at the wish of a caller.
 *
 * The settings that carry and show the context are in context.c.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "guc.h"
#include "pg_compat.h"

bool		rda_guc_http_errors;
char	   *rda_guc_tenant_claim;
int			rda_guc_session_access;
int			rda_guc_max_session_age;
int			rda_guc_max_tracked_keys;
int			rda_guc_flush_interval;
int			rda_guc_usage_retention;
int			rda_guc_audit_retention;
int			rda_guc_max_replay_lag;
int			rda_guc_trusted_proxies;
int			rda_guc_failures_per_minute;
int			rda_guc_log_rejections_per_minute;
bool		rda_guc_rate_limit_headers;
bool		rda_guc_pool_guard;
int			rda_guc_max_context_age;
bool		rda_guc_warn_literal_keys;

static char *accepted_environments;
static char *session_roles;
static char *public_paths;

/* Read by name, in settings.c. */
static int	unprotected_tables;
static char *exposed_schemas;

/* The set of RdaEnvironment bits that accepted_environments spells. */
static int	accepted_mask;

static const struct config_enum_entry session_accesses[] = {
	{"read", RDA_ACCESS_READ, false},
	{"write", RDA_ACCESS_WRITE, false},
	{"admin", RDA_ACCESS_ADMIN, false},
	{NULL, 0, false}
};

static const struct config_enum_entry guard_modes[] = {
	{"off", 0, false},
	{"warn", 1, false},
	{"enforce", 2, false},
	{NULL, 0, false}
};

static bool
check_accepted_environments(char **newval, void **extra, GucSource source)
{
	char	   *names = pstrdup(*newval);
	List	   *elements;
	ListCell   *cell;
	int		   *mask;

	if (!SplitIdentifierString(names, ',', &elements))
	{
		GUC_check_errdetail("List syntax is invalid.");
		return false;
	}

	mask = rda_guc_malloc(LOG, sizeof(int));
	if (mask == NULL)
		return false;
	*mask = 0;
	foreach(cell, elements)
	{
		const char *name = lfirst(cell);
		RdaEnvironment environment = rda_environment_parse(name, strlen(name));

		if (environment == RDA_ENVIRONMENT_NONE)
		{
			GUC_check_errdetail("Unrecognized environment: \"%s\".", name);
			GUC_check_errhint("Environments are \"production\" and \"development\".");
			rda_guc_free(mask);
			return false;
		}
		*mask |= environment;
	}

	*extra = mask;
	return true;
}

static void
assign_accepted_environments(const char *newval, void *extra)
{
	accepted_mask = *(int *) extra;
}

/*
 * May keys of this environment authenticate here?
 */
bool
rda_guc_environment_is_accepted(RdaEnvironment environment)
{
	return (accepted_mask & environment) != 0;
}

static bool
check_identifiers(char **newval, void **extra, GucSource source)
{
	List	   *elements;

	if (SplitIdentifierString(pstrdup(*newval), ',', &elements))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	return false;
}

/*
 * Is request.jwt.claims believed in connections of this role?
 */
bool
rda_guc_role_has_sessions(const char *role)
{
	List	   *elements;
	ListCell   *cell;

	(void) SplitIdentifierString(pstrdup(session_roles), ',', &elements);
	foreach(cell, elements)
	{
		if (strcmp(lfirst(cell), role) == 0)
			return true;
	}
	return false;
}

/*
 * Is this path, exactly, one that needs no credentials?
 */
bool
rda_guc_path_is_public(const char *path)
{
	Size		len = strlen(path);
	const char *next = public_paths;

	while (*next != '\0')
	{
		Size		entry = strcspn(next, ", ");

		if (entry == len && strncmp(next, path, len) == 0)
			return true;
		next += entry;
		next += strspn(next, ", ");
	}
	return false;
}

static void
define_request_settings(void)
{
	DefineCustomStringVariable("revdesk.session_roles",
							   "Roles in whose connections request.jwt.claims is believed.",
							   "A comma-separated list. Whoever can run SQL as such a role can act for any user.",
							   &session_roles, "",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_identifiers, NULL, NULL);

	DefineCustomStringVariable("revdesk.tenant_claim",
							   "Claim of a session that picks the tenant to act for.",
							   "Its value is a tenant's id. Without the claim a session sees what its user sees.",
							   &rda_guc_tenant_claim, "company_id",
							   PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("revdesk.session_access",
							 "Access level of sessions.",
							 NULL,
							 &rda_guc_session_access, RDA_ACCESS_WRITE, session_accesses,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.max_session_age",
							"How long after signing in a session may issue tokens.",
							NULL,
							&rda_guc_max_session_age, 3600, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomStringVariable("revdesk.public_paths",
							   "Request paths that need no credentials.",
							   "A comma-separated list, compared exactly. No context is set for them.",
							   &public_paths, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("revdesk.http_errors",
							 "Answers refusals to callers with a context in PostgREST's form, as 403.",
							 "For row security, missing privileges (42501) and writes of read keys (25006).",
							 &rda_guc_http_errors, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_usage_settings(void)
{
	DefineCustomIntVariable("revdesk.trusted_proxies",
							"How many proxies in front append to X-Forwarded-For.",
							"The client's address is the one that the outermost of them saw. 0: it is the connection's.",
							&rda_guc_trusted_proxies, 0, 0, 16,
							PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.failures_per_minute",
							"How many failed attempts from one address are let through in a minute.",
							"More are refused unseen, valid keys too. 0: no brake.",
							&rda_guc_failures_per_minute, 0, 0, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.log_rejections_per_minute",
							"How many rejected requests of the server are logged in a minute.",
							"0: all.",
							&rda_guc_log_rejections_per_minute, 600, 0, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("revdesk.rate_limit_headers",
							 "Sends the remaining budget of limited keys with successful responses.",
							 NULL,
							 &rda_guc_rate_limit_headers, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	/* The worker's settings are the server's: PGC_SIGHUP. */
	DefineCustomIntVariable("revdesk.flush_interval",
							"How often counts are written to revdesk.key_usage.",
							NULL,
							&rda_guc_flush_interval, 10, 1, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.usage_retention",
							"How long rows of revdesk.key_usage are kept.",
							"0: for ever.",
							&rda_guc_usage_retention, 400 * 24 * 60, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.audit_retention",
							"How long rows of revdesk.audit_log are kept.",
							"0: for ever.",
							&rda_guc_audit_retention, 0, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.max_replay_lag",
							"How old the last replayed commit may be on a standby that accepts keys.",
							"0: any age.  A primary with this setting commits three times as often.",
							&rda_guc_max_replay_lag, 0, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * PGC_POSTMASTER, since it sizes shared memory.  That cannot be defined
	 * later; there it means nothing, but may still be in the configuration.
	 */
	DefineCustomIntVariable("revdesk.max_tracked_keys",
							"How many keys are counted and limited at a time.",
							"About 250 bytes of shared memory each.",
							&rda_guc_max_tracked_keys, 20000, 100, 100000000,
							process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							0, NULL, NULL, NULL);
}

static void
define_guard_settings(void)
{
	DefineCustomEnumVariable("revdesk.unprotected_tables",
							 "What becomes of a transaction that leaves an unprotected table in an exposed schema.",
							 "off: nothing; warn: a warning; enforce: it is refused.",
							 &unprotected_tables, 0, guard_modes,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomStringVariable("revdesk.exposed_schemas",
							   "Schemas whose tables API roles can reach.",
							   "A comma-separated list.",
							   &exposed_schemas, "",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_identifiers, NULL, NULL);

	DefineCustomBoolVariable("revdesk.pool_guard",
							 "Refuses what would outlive a transaction that acts for a caller.",
							 "Cursors WITH HOLD, temporary tables without ON COMMIT DROP, and LISTEN.",
							 &rda_guc_pool_guard, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("revdesk.max_context_age",
							"How long a transaction may act for a caller.",
							"Statements that begin later are refused. 0: without end.",
							&rda_guc_max_context_age, 0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomBoolVariable("revdesk.warn_literal_keys",
							 "Warns of keys that are written in the text of a statement.",
							 NULL,
							 &rda_guc_warn_literal_keys, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * Define the settings.
 */
void
rda_guc_init(void)
{
	DefineCustomStringVariable("revdesk.accepted_environments",
							   "Environments whose keys are accepted.",
							   "A comma-separated list of \"production\" and \"development\".",
							   &accepted_environments,
							   "production,development",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_accepted_environments,
							   assign_accepted_environments,
							   NULL);
	define_request_settings();
	define_usage_settings();
	define_guard_settings();
}
