/*
 * context.c
 *		Who the current transaction acts for.
 *
 * The context is carried by one custom setting, revdesk.context.  PostgreSQL's
 * own machinery then restores what was before at COMMIT, ROLLBACK and ROLLBACK
 * TO SAVEPOINT, and sends the value to parallel workers.  Reading it costs a
 * pointer: the check hook makes a struct that the setting keeps as its "extra",
 * of the one that is being written or, in a parallel worker, of the text; and
 * the assign hook points "current" at it.  There is no second copy that could
 * disagree.
 *
 * The check hook is the lock.  The setting's PGC_SUSET alone would be opened
 * by GRANT SET ON PARAMETER, by a superuser's SECURITY DEFINER function and by
 * settings stored for a role.  The hook accepts the empty text (no context), a
 * value that rda_context_set() below is writing, and the leader's value in a
 * starting parallel worker; nothing else, from nobody.
 *
 * The settings that show the context (revdesk.scope and so on) are
 * PGC_INTERNAL and hold no value: their show hooks read the struct.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "context.h"
#include "pg_compat.h"

#define CONTEXT_SETTING "revdesk.context"

/* The setting's text: the bytes of the struct in hexadecimal. */
#define CONTEXT_TEXT_LEN (2 * sizeof(RdaContext))

static const RdaContext *current = NULL;

/* What rda_context_set() is writing right now; NULL for nothing. */
static const RdaContext *writing = NULL;

static RdaScopeObserver scope_observer = NULL;

/* The settings' variables, needed by the GUC machinery and read by nobody. */
static char *context_text;
static char *shown_key_id;
static char *shown_scope;
static char *shown_tenant_id;
static char *shown_umbrella_id;
static char *shown_user_id;
static char *shown_access;

/*
 * Is this an id as they are made?  present is looked at as a byte, since a bool
 * of another value is no bool.
 */
static bool
is_sound(const RdaId *id)
{
	static const RdaId absent = {0};
	uint8		present;

	memcpy(&present, &id->present, sizeof(present));
	return present == 1 || memcmp(id, &absent, sizeof(RdaId)) == 0;
}

/*
 * Make the context that the setting's text is of: the one that is being written,
 * or else the one that the text tells.  Returns false for anything that
 * rda_context_set() must not write; never raises.
 */
static bool
read_context(const char *text, RdaContext *context)
{
	if (writing != NULL)
		memcpy(context, writing, sizeof(RdaContext));
	else if (strlen(text) == CONTEXT_TEXT_LEN &&
			 strspn(text, "0123456789abcdef") == CONTEXT_TEXT_LEN)
		hex_decode(text, CONTEXT_TEXT_LEN, (char *) context);
	else
		return false;
	return rda_scope_name(context->scope) != NULL &&
		rda_access_name(context->access) != NULL &&
		rda_environment_name(context->environment) != NULL &&
		is_sound(&context->key_id) && is_sound(&context->tenant_id) &&
		is_sound(&context->umbrella_id) && is_sound(&context->user_id);
}

static bool
check_context(char **newval, void **extra, GucSource source)
{
	RdaContext *context;

	if (**newval == '\0')
		return true;

	if (writing == NULL && !InitializingParallelWorker)
	{
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("parameter \"%s\" cannot be set", CONTEXT_SETTING);
		GUC_check_errhint("Use revdesk_authenticate().");
		return false;
	}

	context = rda_guc_malloc(LOG, sizeof(RdaContext));
	if (context == NULL)
	{
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
		GUC_check_errmsg("out of memory");
		return false;
	}
	if (!read_context(*newval, context))
	{
		rda_guc_free(context);
		GUC_check_errmsg("invalid value for parameter \"%s\"", CONTEXT_SETTING);
		return false;
	}

	*extra = context;
	return true;
}

/*
 * Runs at ROLLBACK TO and at the end of the transaction as well, so neither
 * this nor the observer may read a catalog or raise.
 */
static void
assign_context(const char *newval, void *extra)
{
	current = extra;
	if (current != NULL && scope_observer != NULL)
		scope_observer(current->scope);
}

static const char *
show_name(const char *name)
{
	return name == NULL ? "" : name;
}

/*
 * Text form of an id, in a static buffer that the next call overwrites, as
 * show hooks may return.
 */
static const char *
show_id(const RdaId *id)
{
	static char shown[2 * UUID_LEN + 5];
	char	   *to = shown;

	if (id == NULL || !id->present)
		return "";
	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		to += hex_encode((const char *) &id->value.data[i], 1, to);
	}
	*to = '\0';
	return shown;
}

static const char *
show_key_id(void)
{
	return show_id(current ? &current->key_id : NULL);
}

static const char *
show_scope(void)
{
	return show_name(current ? rda_scope_name(current->scope) : NULL);
}

static const char *
show_tenant_id(void)
{
	return show_id(current ? &current->tenant_id : NULL);
}

static const char *
show_umbrella_id(void)
{
	return show_id(current ? &current->umbrella_id : NULL);
}

static const char *
show_user_id(void)
{
	return show_id(current ? &current->user_id : NULL);
}

static const char *
show_access(void)
{
	return show_name(current ? rda_access_name(current->access) : NULL);
}

/*
 * The context of the current transaction, or NULL.  Owned by the setting: it
 * is gone with the next change of the context.
 */
const RdaContext *
rda_context_current(void)
{
	return current;
}

/*
 * context: the one that the text is of, for the check hook; NULL for none.
 */
static void
write_setting(const char *text, const RdaContext *context)
{
	PG_TRY();
	{
		writing = context;
		(void) set_config_option(CONTEXT_SETTING, text,
								 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		writing = NULL;
	}
	PG_END_TRY();
}

/*
 * Set the context until the end of the transaction, or until a rollback to a
 * savepoint before now.
 *
 * Raises 25000 (invalid_transaction_state) in a parallel operation; then, as
 * after any error, nothing has changed.
 */
void
rda_context_set(const RdaContext *context)
{
	char		text[CONTEXT_TEXT_LEN + 1];

	hex_encode((const char *) context, sizeof(RdaContext), text);
	text[CONTEXT_TEXT_LEN] = '\0';
	write_setting(text, context);
}

/*
 * Drop the context; no effect without one.
 */
void
rda_context_clear(void)
{
	if (current != NULL)
		write_setting("", NULL);
}

/*
 * Have observer called with the scope of every context that becomes current,
 * also when a rollback brings it back.
 */
void
rda_context_observe_scope(RdaScopeObserver observer)
{
	scope_observer = observer;
}

static void
define_shown(const char *name, const char *description, char **variable,
			 GucShowHook show)
{
	DefineCustomStringVariable(name, description,
							   "Set by revdesk_authenticate(), by nothing else; empty without a context.",
							   variable, "",
							   PGC_INTERNAL,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, show);
}

/*
 * Define the settings.
 */
void
rda_context_init(void)
{
	/*
	 * PGC_SUSET, not PGC_INTERNAL, because only then does it reach parallel
	 * workers.  Never GUC_NO_RESET_ALL: RESET ALL and DISCARD ALL must leave
	 * no context behind.
	 */
	DefineCustomStringVariable(CONTEXT_SETTING,
							   "Who the current transaction acts for.",
							   "Written by revdesk_authenticate(), by nothing else.",
							   &context_text, "",
							   PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE |
							   GUC_DISALLOW_IN_FILE | GUC_SUPERUSER_ONLY,
							   check_context, assign_context, NULL);

	define_shown("revdesk.key_id", "Key that the transaction acts for.",
				 &shown_key_id, show_key_id);
	define_shown("revdesk.scope", "Scope of the transaction's context.",
				 &shown_scope, show_scope);
	define_shown("revdesk.tenant_id", "Tenant that the transaction acts for.",
				 &shown_tenant_id, show_tenant_id);
	define_shown("revdesk.umbrella_id", "Umbrella of the transaction's tenant.",
				 &shown_umbrella_id, show_umbrella_id);
	define_shown("revdesk.user_id", "User that the transaction acts for.",
				 &shown_user_id, show_user_id);
	define_shown("revdesk.access", "Access level of the transaction's context.",
				 &shown_access, show_access);
}
