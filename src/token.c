/*
 * token.c
 *		The text form of an API key: "revdesk_" and 32 lower-case hexadecimal
 *		digits, that is 128 random bits.
 *
 * Pure: no catalog access, no allocation, never raises.
 */
#include "postgres.h"

#include "token.h"

/*
 * Does str have the form of a key?
 *
 * str: len bytes, not necessarily NUL-terminated.  No other spelling of a key
 * is accepted: no upper case, no surrounding space.  Random digits are no
 * branches, which a processor could not foresee.
 */
bool
rda_token_is_valid(const char *str, Size len)
{
	bool		valid = true;

	if (len != RDA_TOKEN_LEN ||
		memcmp(str, RDA_TOKEN_PREFIX, RDA_TOKEN_PREFIX_LEN) != 0)
		return false;

	for (Size i = RDA_TOKEN_PREFIX_LEN; i < RDA_TOKEN_LEN; i++)
		valid &= (str[i] >= '0' && str[i] <= '9') |
			(str[i] >= 'a' && str[i] <= 'f');
	return valid;
}
