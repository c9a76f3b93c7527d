/*
 * key_lookup.h
 *		Find a key by the digest of its token, or by its id.
 */
#ifndef RDA_KEY_LOOKUP_H
#define RDA_KEY_LOOKUP_H

#include "datatype/timestamp.h"
#include "utils/array.h"

#include "rate_limit.h"
#include "secret.h"
#include "terms.h"

typedef struct RdaKey
{
	pg_uuid_t	id;
	RdaScope	scope;
	RdaAccess	access;
	RdaEnvironment environment;
	RdaId		tenant_id;
	RdaId		user_id;
	bool		revoked;
	TimestampTz expires_at;		/* DT_NOEND for never */
	ArrayType  *allowed_networks;	/* of cidr; NULL for any network */
	RdaLimits	limits;
} RdaKey;

extern bool rda_key_find(const uint8 digest[RDA_DIGEST_LEN], RdaKey *key);
extern bool rda_key_has_expired(const RdaKey *key);
extern bool rda_key_is_live(const RdaKey *key);
extern bool rda_key_find_by_id(const pg_uuid_t *id, RdaKey *key);

#endif							/* RDA_KEY_LOOKUP_H */
