/*
 * terms.h
 *		The words that keys and contexts are described in.
 */
#ifndef RDA_TERMS_H
#define RDA_TERMS_H

#include "utils/uuid.h"

/* What a key can see. RDA_SCOPE_NONE stands for the absence of a context. */
typedef enum RdaScope
{
	RDA_SCOPE_NONE = 0,
	RDA_SCOPE_USER,
	RDA_SCOPE_ORGANIZATION,
	RDA_SCOPE_SUB_ENTITY
} RdaScope;

/* What a key may do, each level including the ones before it. */
typedef enum RdaAccess
{
	RDA_ACCESS_NONE = 0,
	RDA_ACCESS_READ,
	RDA_ACCESS_WRITE,
	RDA_ACCESS_ADMIN
} RdaAccess;

/* Bits, so that a set of environments is an int. */
typedef enum RdaEnvironment
{
	RDA_ENVIRONMENT_NONE = 0,
	RDA_ENVIRONMENT_PRODUCTION = 1,
	RDA_ENVIRONMENT_DEVELOPMENT = 2
} RdaEnvironment;

/* Why a key was rejected. */
typedef enum RdaDenial
{
	RDA_DENIED_UNKNOWN,			/* or malformed; there is no key to count for */
	RDA_DENIED_REVOKED,
	RDA_DENIED_EXPIRED,
	RDA_DENIED_ENVIRONMENT,
	RDA_DENIED_NETWORK,
	RDA_DENIED_USER,
	RDA_DENIED_TENANT,
	RDA_DENIED_LIMIT,
	RDA_DENIALS					/* how many there are; also: not denied */
} RdaDenial;

/* A uuid that may be absent; value is all zeros then. */
typedef struct RdaId
{
	bool		present;
	pg_uuid_t	value;
} RdaId;

extern const char *rda_scope_name(RdaScope scope);
extern const char *rda_access_name(RdaAccess access);
extern const char *rda_environment_name(RdaEnvironment environment);
extern RdaScope rda_scope_parse(const char *str, Size len);
extern RdaAccess rda_access_parse(const char *str, Size len);
extern RdaEnvironment rda_environment_parse(const char *str, Size len);

extern bool rda_uuid_parse(const char *str, pg_uuid_t *uuid);

static inline bool
rda_uuid_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN) == 0;
}

static inline bool
rda_id_is(const RdaId *id, const pg_uuid_t *uuid)
{
	return id->present && rda_uuid_equal(&id->value, uuid);
}

/*
 * A copy, palloc'd, as SQL functions return them.
 */
static inline Datum
rda_uuid_copy(const pg_uuid_t *uuid)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *uuid;
	return UUIDPGetDatum(copy);
}

#endif							/* RDA_TERMS_H */
