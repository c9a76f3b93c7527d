/*
 * token.c
 *		Fuzz: a text is a key if, and only if, it matches the expression that
 *		the README tells.
 */
#include "../../src/token.c"

#include <regex.h>

#include "stubs.h"

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static bool
matches(const char *str)
{
	static regex_t expression;
	static bool compiled = false;

	if (!compiled)
		compiled = regcomp(&expression, "^revdesk_[0-9a-f]{32}$", REG_EXTENDED | REG_NOSUB) == 0;
	REQUIRE(compiled);
	return regexec(&expression, str, 0, NULL, 0) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *str = strndup((const char *) data, size);
	bool		expected = strlen(str) == size && matches(str);

	REQUIRE(rda_token_is_valid((const char *) data, size) == expected);
	free(str);
	return 0;
}
