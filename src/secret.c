/*
 * secret.c
 *		Digests of secrets, by core's cryptohash layer (OpenSSL's SHA-256 where
 *		the server is built with OpenSSL, PostgreSQL's own elsewhere).
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "utils/resowner.h"

#include "secret.h"

/*
 * The backend's hashing context, made once, since that takes half as long as
 * hashing a key.
 *
 * The cryptohash layer binds it to the current resource owner, to free it at
 * the end of the transaction; so it gets an owner that has no end.
 */
static pg_cryptohash_ctx *
hashing_context(void)
{
	static ResourceOwner owner = NULL;
	static pg_cryptohash_ctx *context = NULL;
	ResourceOwner saved = CurrentResourceOwner;

	if (context != NULL)
		return context;
	if (owner == NULL)
		owner = ResourceOwnerCreate(NULL, "revdesk_auth");
	PG_TRY();
	{
		CurrentResourceOwner = owner;
		context = pg_cryptohash_create(PG_SHA256);
	}
	PG_FINALLY();
	{
		CurrentResourceOwner = saved;
	}
	PG_END_TRY();
	return context;
}

/*
 * SHA-256 (FIPS 180-4) of secret, len bytes, into digest.
 *
 * Raises an internal error when the cryptographic library fails, with nothing
 * of the secret in it.
 */
void
rda_secret_digest(const char *secret, Size len, uint8 digest[RDA_DIGEST_LEN])
{
	pg_cryptohash_ctx *hash = hashing_context();

	if (pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) secret, len) < 0 ||
		pg_cryptohash_final(hash, digest, RDA_DIGEST_LEN) < 0)
		elog(ERROR, "could not compute SHA-256: %s",
			 pg_cryptohash_error(hash));
}

/*
 * Are a and b, len bytes each, equal?  Takes the same time for every content.
 *
 * Core's timingsafe_bcmp() would do, but older minor releases of the supported
 * servers do not export it.
 */
bool
rda_secret_equal(const uint8 *a, const uint8 *b, Size len)
{
	volatile uint8 difference = 0;

	for (Size i = 0; i < len; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/*
 * Hash once, in a server that preloads the library: its backends inherit the
 * hashing context, and an OpenSSL that has found its SHA-256.  One that runs out
 * of memory while it looks does not look again, and would leave a connection
 * that can hash nothing.
 */
void
rda_secret_init(void)
{
	uint8		digest[RDA_DIGEST_LEN];

	rda_secret_digest("", 0, digest);
}
