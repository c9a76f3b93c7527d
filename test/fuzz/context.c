/*
 * context.c
 *		Fuzz: the setting that carries the context is refused from everybody but
 *		its writer and a leader, and what is accepted is whole: it is written
 *		back as it came.
 *
 * The input is the setting's text; where its length is that of a context, its
 * bytes, so that the fuzzer gets past the digits.
 */
#include "../../src/context.c"
#include "../../src/terms.c"

#include "stubs.h"

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

bool		InitializingParallelWorker = false;

void
DefineCustomStringVariable(const char *name, const char *short_desc,
						   const char *long_desc, char **valueAddr,
						   const char *bootValue, GucContext context, int flags,
						   GucStringCheckHook check_hook,
						   GucStringAssignHook assign_hook, GucShowHook show_hook)
{
}

#if PG_VERSION_NUM >= 160000
void *
guc_malloc(int elevel, size_t size)
{
	return malloc(size);
}

void
guc_free(void *ptr)
{
	free(ptr);
}
#endif

/* What rda_context_set() writes. */
static char written[CONTEXT_TEXT_LEN + 1];

int
set_config_option(const char *name, const char *value, GucContext context,
				  GucSource source, GucAction action, bool changeVal, int elevel,
				  bool is_reload)
{
	REQUIRE(writing && strcmp(name, CONTEXT_SETTING) == 0);
	strlcpy(written, value, sizeof(written));
	return 1;
}

static bool
is_sound_id(const RdaId *id)
{
	static const RdaId absent;
	uint8		present;

	memcpy(&present, &id->present, 1);
	return present == 1 || (present == 0 && memcmp(id, &absent, sizeof(RdaId)) == 0);
}

static void
check_accepted(const char *text)
{
	const RdaContext *context = rda_context_current();

	REQUIRE(context != NULL);
	REQUIRE(context->scope >= RDA_SCOPE_USER && context->scope <= RDA_SCOPE_SUB_ENTITY);
	REQUIRE(context->access >= RDA_ACCESS_READ && context->access <= RDA_ACCESS_ADMIN);
	REQUIRE(is_sound_id(&context->key_id) && is_sound_id(&context->tenant_id) &&
			is_sound_id(&context->umbrella_id) && is_sound_id(&context->user_id));
	REQUIRE(*show_scope() != '\0' && *show_access() != '\0');
	REQUIRE(strlen(show_key_id()) == (context->key_id.present ? 36 : 0));
	REQUIRE(strlen(show_tenant_id()) == (context->tenant_id.present ? 36 : 0));
	REQUIRE(strlen(show_umbrella_id()) == (context->umbrella_id.present ? 36 : 0));
	REQUIRE(strlen(show_user_id()) == (context->user_id.present ? 36 : 0));

	PG_TRY();
	{
		rda_context_set(context);
	}
	PG_CATCH();
	{
		REQUIRE(!"setting a context raises");
	}
	PG_END_TRY();
	REQUIRE(strcmp(written, text) == 0);
	REQUIRE(!writing);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text;
	void	   *extra = NULL;

	if (size == sizeof(RdaContext))
	{
		text = calloc(1, CONTEXT_TEXT_LEN + 1);
		hex_encode((const char *) data, size, text);
	}
	else
		text = strndup((const char *) data, size);

	/* From SET, a function's settings, a file, a startup option... */
	InitializingParallelWorker = false;
	REQUIRE(check_context(&text, &extra, PGC_S_SESSION) == (*text == '\0'));
	REQUIRE(extra == NULL);

	/* From the leader of a parallel query. */
	InitializingParallelWorker = true;
	if (check_context(&text, &extra, PGC_S_SESSION))
	{
		assign_context(text, extra);
		if (*text == '\0')
			REQUIRE(extra == NULL && rda_context_current() == NULL);
		else
			check_accepted(text);
		assign_context("", NULL);
	}
	rda_guc_free(extra);
	free(text);
	stub_free_all();
	return 0;
}
