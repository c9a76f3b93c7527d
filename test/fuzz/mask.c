/*
 * mask.c
 *		Fuzz: texts with keys in them.  A masked text is as long as it was, and
 *		only stars are new; no key is in it, in any form and whatever stands
 *		beside it.
 *
 * The input: bytes, each of which stands for a piece of the text.
 */
#include "../../src/mask.c"
#include "../../src/token.c"

#include "stubs.h"

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

/*
 * The digits of a key but for its hint, as text and in other forms.  Of each the
 * second part is looked for.
 */
#define SECRET_END "cdef0123456789ab"
#define SECRET "0123456789ab" SECRET_END
#define HEX_SECRET_END "63646566303132333435363738396162"
#define HEX_SECRET "303132333435363738396162" HEX_SECRET_END
#define BASE64_SECRET_END "JjZGVmMDEyMzQ1Njc4OWFi"
#define BASE64_SECRET "8wMTIzNDU2Nzg5YW" BASE64_SECRET_END

/*
 * What a text is made of.  Of whole keys none has a neighbour that its form
 * could take for more of it.
 */
static const char *const pieces[] = {
	"[", "]", ":", "\"", "'", " ", "\n", "\t", "...", ".", "1", "49 ", "a", "9", "_", "=",
	"               ", "\n \n", ",,,,,,,,,,,,,,,",
	":constvalue ", ":constvalue 40 [ ", ":stmt_len ", "\"x-api-key\":", "\"authorization\": \"", "Bearer ",
	"revdesk", "revdesk_", "REVDESK_", "7265766465736b5f", "cmV2ZGVza1", "JldmRlc2tf", "yZXZkZXNrX",
	"114 101 118 100 101 115 107 95 ", "11410111810010111510795",
	"(" RDA_TOKEN_PREFIX SECRET "cdef)",
	"(REVDESK_" SECRET "cdef)",
	"\"x-api-key\": \"" RDA_TOKEN_PREFIX SECRET "cdef\" ",
	"\"authorization\": \"Bearer " RDA_TOKEN_PREFIX SECRET "cdef\" ",
	"(" RDA_TOKEN_PREFIX SECRET "...",
	"...sk_" SECRET "cdef)",
	":stmt_len (" RDA_TOKEN_PREFIX "0123456789ab\n\t" SECRET_END "cdef)",
	":stmt_len (7265766465736b5f3031323334353637383961\n   62" HEX_SECRET_END "63646566)",
	"(7265766465736b5f" HEX_SECRET "63646566)",
	"(cmV2ZGVza1" BASE64_SECRET "Y2RlZjo=)",
};

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = calloc(size + 1, 128);
	char	   *masked;
	Size		len = 0;

	for (size_t i = 0; i < size; i++)
		len += sprintf(text + len, "%s", pieces[data[i] % lengthof(pieces)]);
	masked = strdup(text);
	rda_mask(masked);

	REQUIRE(strlen(masked) == len);
	for (Size i = 0; i < len; i++)
		REQUIRE(masked[i] == text[i] || masked[i] == '*');
	REQUIRE(rda_mask_is_due(text) || strcmp(masked, text) == 0);
	REQUIRE(strstr(masked, SECRET_END) == NULL);
	REQUIRE(strstr(masked, HEX_SECRET_END) == NULL);
	REQUIRE(strstr(masked, BASE64_SECRET_END) == NULL);
	free(text);
	free(masked);
	return 0;
}
