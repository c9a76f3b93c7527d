/*
 * secret.h
 *		Digests of secrets.
 */
#ifndef RDA_SECRET_H
#define RDA_SECRET_H

#include "common/sha2.h"

#define RDA_DIGEST_LEN PG_SHA256_DIGEST_LENGTH

extern void rda_secret_digest(const char *secret, Size len,
							  uint8 digest[RDA_DIGEST_LEN]);
extern bool rda_secret_equal(const uint8 *a, const uint8 *b, Size len);
extern void rda_secret_init(void);

#endif							/* RDA_SECRET_H */
