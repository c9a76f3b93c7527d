/*
 * mask.c
 *		Blots out keys in texts that are to be read by others.
 *
 * A key is known by its prefix, in every form in which the server itself
 * writes a text: plain, as bytea in hexadecimal, in base64 (of an Authorization
 * header), and as the decimal bytes of a constant in a node dump
 * (debug_print_plan).  In the request headers of PostgREST the whole value of
 * x-api-key and authorization is taken for a secret.  Where a text was cut
 * short, its "..." tells.
 *
 * A masked text has the length that it had, so positions in it stay right.  Of
 * a key in full the last four digits remain, which is the hint that is stored
 * with it.
 *
 * The time that it takes is linear in the text, whatever that is: callers choose
 * what messages quote, and nothing can interrupt the logger.
 *
 * Pure: no catalog access, no allocation, never raises.
 */
#include "postgres.h"

#include "mask.h"
#include "token.h"

#define HINT_LEN 4
#define CUT "..."
#define CUT_LEN (sizeof(CUT) - 1)
#define CONSTANT ":constvalue"
#define NODE_DUMP ":stmt_len"

/* The longest sign, and its bytes as decimal numbers without space. */
#define SIGN_LEN 20
#define DECIMAL_LEN (3 * SIGN_LEN)

#define HEX "0123456789abcdefABCDEF"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="

/* The longest form of a key is the hexadecimal one. */
#define FORM_LEN (2 * RDA_TOKEN_LEN)

/* So many digits after the prefix are part of a key and of no name. */
#define CUT_DIGITS 8

typedef enum Form
{
	FORM_KEY,
	FORM_CODED,					/* all that is of the same alphabet is secret */
	FORM_HEADER					/* the JSON text that follows is */
} Form;

typedef struct Sign
{
	const char *text;
	Form		form;
	const char *alphabet;
} Sign;

/*
 * What secrets are known by.  In base64 the prefix looks different at each of
 * three offsets; of the first and the last of its characters a neighbour has
 * a share.  Headers come first, while keys in them are still to be seen.
 */
static const Sign signs[] = {
	{"7265766465736b5f", FORM_CODED, HEX},
	{"cmV2ZGVza1", FORM_CODED, BASE64},
	{"JldmRlc2tf", FORM_CODED, BASE64},
	{"yZXZkZXNrX", FORM_CODED, BASE64},
	{"\"x-api-key\"", FORM_HEADER, NULL},
	{"\"authorization\"", FORM_HEADER, NULL},
	{RDA_TOKEN_PREFIX, FORM_KEY, HEX},
	{"REVDESK_", FORM_KEY, HEX},
};

static bool
is_cut(const char *text)
{
	return strncmp(text, CUT, CUT_LEN) == 0;
}

/*
 * How many of the digits after the prefix are secret: none if they are no key
 * and not the beginning of one.
 */
static Size
secret_digits(const char *digits)
{
	Size		len = strspn(digits, HEX);

	if (len == RDA_TOKEN_SECRET_LEN)
		return len - HINT_LEN;
	return len >= CUT_DIGITS || is_cut(digits + len) ? len : 0;
}

static bool
has_key(const char *text, const Sign *prefix)
{
	while ((text = strstr(text, prefix->text)) != NULL)
	{
		text += RDA_TOKEN_PREFIX_LEN;
		if (secret_digits(text) > 0)
			return true;
	}
	return false;
}

/*
 * May there be something to mask?  Quick; a text of which this is false is one
 * that rda_mask() leaves as it is.
 */
bool
rda_mask_is_due(const char *text)
{
	for (Size i = 0; i < lengthof(signs); i++)
	{
		if (signs[i].form == FORM_KEY ? has_key(text, &signs[i]) :
			strstr(text, signs[i].text) != NULL)
			return true;
	}
	return strstr(text, CUT) != NULL || strstr(text, CONSTANT) != NULL ||
		strstr(text, NODE_DUMP) != NULL;
}

static void
blot(char *from, Size len)
{
	memset(from, '*', len);
}

/*
 * Mask the text that is the value of a JSON member, but for the scheme of an
 * Authorization header.  What is a key is left to the sign of keys.
 *
 * after: what follows the member's name.
 */
static void
mask_header(char *after)
{
	char	   *value = after + strspn(after, " \t\r\n:");
	char	   *end;
	char	   *scheme_end;

	if (value == after || *value != '"')
		return;
	value++;
	end = value + strcspn(value, "\"'\n");
	scheme_end = memchr(value, ' ', end - value);
	if (scheme_end != NULL)
		value = scheme_end + 1;
	if (!rda_token_is_valid(value, end - value))
		blot(value, end - value);
}

/*
 * Mask the secrets that begin before limit.
 */
static void
mask_sign(char *text, const char *limit, const Sign *sign)
{
	Size		len = strlen(sign->text);

	for (char *found = strstr(text, sign->text); found != NULL && found < limit;
		 found = strstr(found + len, sign->text))
	{
		char	   *after = found + len;

		switch (sign->form)
		{
			case FORM_KEY:
				blot(after, secret_digits(after));
				break;
			case FORM_CODED:
				blot(after, strspn(after, sign->alphabet));
				break;
			case FORM_HEADER:
				mask_header(after);
				break;
		}
	}
}

/*
 * Mask the end of a key whose beginning was cut off, up to within the prefix,
 * as the context of JSON errors does.
 */
static void
mask_remainders(char *text)
{
	for (char *found = strstr(text, CUT); found != NULL;
		 found = strstr(found + 1, CUT))
	{
		char	   *digits = found + CUT_LEN;

		for (Size i = 1; i < RDA_TOKEN_PREFIX_LEN; i++)
		{
			Size		rest = RDA_TOKEN_PREFIX_LEN - i;

			if (strncmp(digits, &RDA_TOKEN_PREFIX[i], rest) == 0)
			{
				digits += rest;
				break;
			}
		}
		if (strspn(digits, HEX) >= CUT_DIGITS)
			blot(digits, strspn(digits, HEX));
	}
}

/*
 * The signs as they are in a list of bytes, without its space.
 */
static void
spell_in_decimal(char decimals[][DECIMAL_LEN + 1])
{
	for (Size i = 0; i < lengthof(signs); i++)
	{
		char	   *end = decimals[i];

		Assert(strlen(signs[i].text) <= SIGN_LEN);
		for (const char *c = signs[i].text; *c != '\0'; c++)
			end += sprintf(end, "%d", *c);
	}
}

/*
 * Are the bytes of a sign among the decimal numbers in this text?  Space is
 * ignored: the dump breaks its lines where they are full, within numbers too.
 *
 * numbers: up to end.
 */
static bool
has_sign(const char *numbers, const char *end, char decimals[][DECIMAL_LEN + 1])
{
	char		packed[1024];
	Size		len = 0;

	while (numbers < end)
	{
		for (; numbers < end && len < sizeof(packed) - 1; numbers++)
		{
			if (!isspace((unsigned char) *numbers))
				packed[len++] = *numbers;
		}
		packed[len] = '\0';
		for (Size i = 0; i < lengthof(signs); i++)
		{
			if (strstr(packed, decimals[i]) != NULL)
				return true;
		}

		/* A sign may go on in the next piece. */
		if (len > DECIMAL_LEN)
		{
			memmove(packed, packed + len - DECIMAL_LEN, DECIMAL_LEN);
			len = DECIMAL_LEN;
		}
	}
	return false;
}

/*
 * Mask the constants of a node dump that have a secret in them.
 */
static void
mask_constants(char *text)
{
	char		decimals[lengthof(signs)][DECIMAL_LEN + 1];
	char	   *numbers;
	char	   *end = text;

	spell_in_decimal(decimals);
	for (char *found = strstr(text, CONSTANT); found != NULL;
		 found = strstr(numbers, CONSTANT))
	{
		numbers = found + strcspn(found, "[");
		if (numbers < end)
			continue;			/* part of the one before */
		end = numbers + strcspn(numbers, "]");
		if (!has_sign(numbers, end, decimals))
			continue;
		for (char *c = numbers; c < end; c++)
		{
			if (isdigit((unsigned char) *c))
				*c = '*';
		}
	}
}

/*
 * Mask keys in which a node dump breaks its line, as those of utility statements
 * do from PostgreSQL 16 on.  Those that begin in the next line may be cut here;
 * they are masked as all others.
 */
static void
mask_wrapped(char *text)
{
	char	   *next;

	for (char *eol = strchr(text, '\n'); eol != NULL; eol = strchr(next, '\n'))
	{
		char		joined[2 * FORM_LEN + 1];
		char	   *places[2 * FORM_LEN];
		char	   *limit;
		Size		len = 0;
		char	   *c = eol;

		while (c > text && (Size) (eol - c) < FORM_LEN && !isspace((unsigned char) c[-1]))
			c--;
		limit = joined + (eol - c);
		next = eol + strspn(eol, " \t\n");
		for (; *c != '\0' && len < lengthof(places); c++)
		{
			if (c == eol)
				c = next;
			if (*c == '\0' || isspace((unsigned char) *c))
				break;
			places[len] = c;
			joined[len++] = *c;
		}
		joined[len] = '\0';

		for (Size i = 0; i < lengthof(signs); i++)
			mask_sign(joined, limit, &signs[i]);
		for (Size i = 0; i < len; i++)
			*places[i] = joined[i];
	}
}

/*
 * Mask the keys in a text.
 */
void
rda_mask(char *text)
{
	const char *end = text + strlen(text);	/* masking does not move it */

	if (!rda_mask_is_due(text))
		return;
	if (strstr(text, NODE_DUMP) != NULL)
		mask_wrapped(text);
	for (Size i = 0; i < lengthof(signs); i++)
		mask_sign(text, end, &signs[i]);
	mask_remainders(text);
	mask_constants(text);
}
