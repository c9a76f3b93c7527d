/*
 * tenancy.h
 *		Who is under whom: tenants, users and memberships.
 */
#ifndef RDA_TENANCY_H
#define RDA_TENANCY_H

#include "utils/snapshot.h"

#include "rate_limit.h"
#include "terms.h"

typedef struct RdaTenant
{
	pg_uuid_t	id;
	pg_uuid_t	umbrella_id;	/* its own id, if it is an organization */
	bool		suspended;		/* it or its umbrella */
	RdaLimits	limits;			/* of the umbrella */
} RdaTenant;

/* Tenants' ids: a list, sorted as memcmp() does, and the same hashed. */
typedef struct RdaIdSet
{
	int			count;
	pg_uuid_t  *ids;
	struct idtable_hash *hashed;
} RdaIdSet;

extern bool rda_tenant_find(const pg_uuid_t *id, RdaTenant *tenant);
extern bool rda_user_find(const char *subject, pg_uuid_t *id);
extern bool rda_user_is_enabled(const pg_uuid_t *id);
extern const RdaIdSet *rda_organization_tenants(const pg_uuid_t *umbrella_id);
extern const RdaIdSet *rda_user_tenants(const pg_uuid_t *user_id);
extern int	rda_organization_tenants_at(const pg_uuid_t *umbrella_id,
										Snapshot snapshot, pg_uuid_t *ids, int room);
extern int	rda_user_tenants_at(const pg_uuid_t *user_id, Snapshot snapshot,
								pg_uuid_t *ids, int room);
extern bool rda_id_set_contains(const RdaIdSet *set, const pg_uuid_t *id);

#endif							/* RDA_TENANCY_H */
