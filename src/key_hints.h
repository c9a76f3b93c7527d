/*
 * key_hints.h
 *		Where keys were found lately.
 */
#ifndef RDA_KEY_HINTS_H
#define RDA_KEY_HINTS_H

#include "relations.h"
#include "secret.h"

extern bool rda_key_hint_get(const uint8 digest[RDA_DIGEST_LEN], RdaPlace *place);
extern void rda_key_hint_set(const uint8 digest[RDA_DIGEST_LEN], const RdaPlace *place);
extern void rda_key_hint_forget(const uint8 digest[RDA_DIGEST_LEN]);
extern void rda_key_hints_init(void);

#endif							/* RDA_KEY_HINTS_H */
