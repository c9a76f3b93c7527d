/*
 * terms.c
 *		The words that keys and contexts are described in, as SQL spells them.
 *
 * Pure: no catalog access, no allocation, never raises.
 */
#include "postgres.h"

#include "terms.h"

typedef struct Term
{
	const char *name;
	int			value;
} Term;

/* Each list ends with a NULL name. */
static const Term scopes[] = {
	{"user", RDA_SCOPE_USER},
	{"organization", RDA_SCOPE_ORGANIZATION},
	{"sub_entity", RDA_SCOPE_SUB_ENTITY},
	{NULL, RDA_SCOPE_NONE}
};

static const Term accesses[] = {
	{"read", RDA_ACCESS_READ},
	{"write", RDA_ACCESS_WRITE},
	{"admin", RDA_ACCESS_ADMIN},
	{NULL, RDA_ACCESS_NONE}
};

static const Term environments[] = {
	{"production", RDA_ENVIRONMENT_PRODUCTION},
	{"development", RDA_ENVIRONMENT_DEVELOPMENT},
	{NULL, RDA_ENVIRONMENT_NONE}
};

static const char *
term_name(const Term *terms, int value)
{
	while (terms->name != NULL && terms->value != value)
		terms++;
	return terms->name;
}

static int
term_value(const Term *terms, const char *str, Size len)
{
	while (terms->name != NULL &&
		   (strlen(terms->name) != len || memcmp(terms->name, str, len) != 0))
		terms++;
	return terms->value;
}

/*
 * The name of a term; NULL for a value that stands for none.
 */
const char *
rda_scope_name(RdaScope scope)
{
	return term_name(scopes, scope);
}

const char *
rda_access_name(RdaAccess access)
{
	return term_name(accesses, access);
}

const char *
rda_environment_name(RdaEnvironment environment)
{
	return term_name(environments, environment);
}

/*
 * The term that str, len bytes and not necessarily NUL-terminated, names; the
 * value that stands for none if it names no such term.
 */
RdaScope
rda_scope_parse(const char *str, Size len)
{
	return (RdaScope) term_value(scopes, str, len);
}

RdaAccess
rda_access_parse(const char *str, Size len)
{
	return (RdaAccess) term_value(accesses, str, len);
}

RdaEnvironment
rda_environment_parse(const char *str, Size len)
{
	return (RdaEnvironment) term_value(environments, str, len);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Read a uuid in its usual form (RFC 9562, section 4), NUL-terminated.  Unlike
 * uuid_in() it returns false, with *uuid undefined, for any other text.
 */
bool
rda_uuid_parse(const char *str, pg_uuid_t *uuid)
{
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			high;
		int			low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *str++ != '-')
			return false;
		high = hex_value(str[0]);
		low = high < 0 ? -1 : hex_value(str[1]);
		if (low < 0)
			return false;
		uuid->data[i] = high << 4 | low;
		str += 2;
	}
	return *str == '\0';
}
