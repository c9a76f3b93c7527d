/*
 * guc.c
 *		Plain settings, those that an administrator chooses.
 *
 * The settings that carry and show the context are in context.c.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "guc.h"
#include "pg_compat.h"

static char *accepted_environments;

/* The set of RdaEnvironment bits that accepted_environments spells. */
static int	accepted_mask;

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

/*
 * Define the settings.
 */
void
rda_guc_init(void)
{
	/*
	 * PGC_SUSET: per database or role, but never at the wish of a caller that
	 * holds a development key.
	 */
	DefineCustomStringVariable("revdesk.accepted_environments",
							   "Environments whose keys are accepted.",
							   "A comma-separated list of \"production\" and \"development\".",
							   &accepted_environments,
							   "production,development",
							   PGC_SUSET, GUC_LIST_INPUT,
							   check_accepted_environments,
							   assign_accepted_environments,
							   NULL);
}
