/*
 * tenancy.c
 *		Who is under whom: tenants, users and memberships, cached in the
 *		backend.
 *
 * So an authentication reads the keys' table alone, and a policy that needs
 * the tenants of an organization or of a user reads them once, not once a row.
 *
 * The cache is dropped whole when rda_relations_generation() tells of a
 * change.  An entry read under one generation and finished under another is
 * returned but not trusted again, since its scan may have begun before the
 * change.  An error in the middle of a scan leaves a partial entry at most in
 * memory, never in the cache.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "relations.h"
#include "tenancy.h"

/* Entries beyond this many make the cache start over. */
#define MAX_CACHED 16384
#define INITIAL_SIZE 64

typedef struct HashedId
{
	pg_uuid_t	id;
	char		status;			/* simplehash's own */
} HashedId;

typedef struct HashedTenant
{
	RdaTenant	tenant;
	char		status;
} HashedTenant;

/*
 * Ids are random, or at least one of their halves is in part, so little is
 * left to do for a hash: this runs once a row.
 */
static inline uint32
hash_id(const pg_uuid_t *id)
{
	uint64		halves[2];

	memcpy(halves, id->data, UUID_LEN);
	halves[0] ^= halves[1];
	return murmurhash32((uint32) (halves[0] ^ (halves[0] >> 32)));
}

#define SH_PREFIX idtable
#define SH_ELEMENT_TYPE HashedId
#define SH_KEY_TYPE pg_uuid_t
#define SH_KEY id
#define SH_HASH_KEY(table, key) hash_id(&(key))
#define SH_EQUAL(table, a, b) rda_uuid_equal(&(a), &(b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define SH_PREFIX tenanttable
#define SH_ELEMENT_TYPE HashedTenant
#define SH_KEY_TYPE pg_uuid_t
#define SH_KEY tenant.id
#define SH_HASH_KEY(table, key) hash_id(&(key))
#define SH_EQUAL(table, a, b) rda_uuid_equal(&(a), &(b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The set that was asked for last. */
typedef struct CachedSet
{
	bool		valid;
	pg_uuid_t	of;
	RdaIdSet	set;
} CachedSet;

static MemoryContext cache_context = NULL;
static uint64 cache_generation = 0;
static tenanttable_hash *tenants = NULL;
static idtable_hash *enabled_users = NULL;
static CachedSet organization_tenants;
static CachedSet user_tenants;

/*
 * Make the cache ready for use: as of now, and with room.  Returns the
 * generation that it is of.
 */
static uint64
refresh_cache(void)
{
	uint64		generation = rda_relations_generation();

	if (cache_generation == generation &&
		tenants->members < MAX_CACHED && enabled_users->members < MAX_CACHED)
		return generation;

	cache_generation = 0;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(CacheMemoryContext,
											  "revdesk_auth tenancy",
											  ALLOCSET_SMALL_SIZES);
	organization_tenants = (CachedSet) {0};
	user_tenants = (CachedSet) {0};
	MemoryContextReset(cache_context);
	tenants = tenanttable_create(cache_context, INITIAL_SIZE, NULL);
	enabled_users = idtable_create(cache_context, INITIAL_SIZE, NULL);
	cache_generation = generation;
	return generation;
}

/*
 * May what was read since refresh_cache() returned this generation be kept?
 */
static bool
is_current(uint64 generation)
{
	return cache_generation == generation &&
		rda_relations_generation() == generation;
}

/*
 * Read one tenants row.  umbrella_id is absent for an organization.
 */
static bool
read_tenant(const pg_uuid_t *id, RdaId *umbrella_id, bool *suspended,
			RdaLimits *limits)
{
	RdaScan		scan;
	TupleTableSlot *row;

	rda_scan_begin(&scan, RDA_TENANTS_BY_ID, F_UUID_EQ, UUIDPGetDatum(id));
	row = rda_scan_next(&scan);
	if (row != NULL)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, Anum_tenants_umbrella_id, &isnull);

		umbrella_id->present = !isnull;
		if (!isnull)
			umbrella_id->value = *DatumGetUUIDP(value);
		*suspended = !slot_attisnull(row, Anum_tenants_suspended_at);
		rda_relations_read_limits(row, Anum_tenants_rate_limit, limits);
	}
	rda_scan_end(&scan);
	return row != NULL;
}

/*
 * Find a tenant.  Returns false, with *tenant undefined, if there is none.
 */
bool
rda_tenant_find(const pg_uuid_t *id, RdaTenant *tenant)
{
	HashedTenant *entry;
	RdaId		umbrella_id;
	uint64		generation = refresh_cache();

	entry = tenanttable_lookup(tenants, *id);
	if (entry != NULL)
	{
		*tenant = entry->tenant;
		return true;
	}

	if (!read_tenant(id, &umbrella_id, &tenant->suspended, &tenant->limits))
		return false;
	tenant->id = *id;
	tenant->umbrella_id = umbrella_id.present ? umbrella_id.value : *id;
	if (umbrella_id.present)
	{
		RdaId		none;
		bool		umbrella_suspended;

		if (!read_tenant(&umbrella_id.value, &none, &umbrella_suspended,
						 &tenant->limits))
			return false;
		tenant->suspended |= umbrella_suspended;
	}

	if (is_current(generation))
	{
		bool		found;

		tenanttable_insert(tenants, *id, &found)->tenant = *tenant;
	}
	return true;
}

/*
 * Find a user by the name that the identity provider knows it by.  Returns
 * false, with *id as it was, if there is none.  Not cached: one probe.
 */
bool
rda_user_find(const char *subject, pg_uuid_t *id)
{
	RdaScan		scan;
	TupleTableSlot *row;

	rda_scan_begin(&scan, RDA_USERS_BY_SUBJECT, F_TEXTEQ,
				   CStringGetTextDatum(subject));
	row = rda_scan_next(&scan);
	if (row != NULL)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, Anum_users_id, &isnull);

		*id = *DatumGetUUIDP(value);
	}
	rda_scan_end(&scan);
	return row != NULL;
}

/*
 * Is there such a user, and not disabled?  Others are looked for each time.
 */
bool
rda_user_is_enabled(const pg_uuid_t *id)
{
	RdaScan		scan;
	TupleTableSlot *row;
	bool		enabled;
	uint64		generation = refresh_cache();

	if (idtable_lookup(enabled_users, *id) != NULL)
		return true;

	rda_scan_begin(&scan, RDA_USERS_BY_ID, F_UUID_EQ, UUIDPGetDatum(id));
	row = rda_scan_next(&scan);
	enabled = row != NULL && slot_attisnull(row, Anum_users_disabled_at);
	rda_scan_end(&scan);

	if (enabled && is_current(generation))
	{
		bool		found;

		(void) idtable_insert(enabled_users, *id, &found);
	}
	return enabled;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t));
}

static void
append_id(RdaIdSet *set, int *room, const pg_uuid_t *id)
{
	if (set->count == *room)
	{
		*room *= 2;
		set->ids = repalloc_huge(set->ids, *room * sizeof(pg_uuid_t));
	}
	set->ids[set->count++] = *id;
}

/*
 * Read the uuids that stand in one column of the rows that an index finds, as a
 * snapshot shows them; NULL stands for the latest committed state.  Returns
 * false if the set would have more than so many.
 */
static bool
read_ids(RdaIndex index, const pg_uuid_t *key, AttrNumber column,
		 Snapshot snapshot, int most, RdaIdSet *set, int *room)
{
	RdaScan		scan;
	TupleTableSlot *row;
	bool		complete = true;

	rda_scan_begin_at(&scan, index, F_UUID_EQ, UUIDPGetDatum(key), snapshot);
	while (complete && (row = rda_scan_next(&scan)) != NULL)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, column, &isnull);

		complete = set->count < most;
		if (complete && !isnull)
			append_id(set, room, DatumGetUUIDP(value));
	}
	rda_scan_end(&scan);
	return complete;
}

/*
 * Leave out of a set the tenants that are suspended.
 */
static void
remove_suspended(RdaIdSet *set)
{
	int			kept = 0;

	for (int i = 0; i < set->count; i++)
	{
		RdaTenant	tenant;

		if (rda_tenant_find(&set->ids[i], &tenant) && !tenant.suspended)
			set->ids[kept++] = set->ids[i];
	}
	set->count = kept;
}

static void
hash_ids(RdaIdSet *set, MemoryContext context)
{
	bool		found;

	/* Half empty, so that most ids that are not in it cost one probe. */
	set->hashed = idtable_create(context, 2 * set->count, NULL);
	for (int i = 0; i < set->count; i++)
		(void) idtable_insert(set->hashed, set->ids[i], &found);
}

/*
 * Keep a set, sorted, as the one asked for last; in the cache's memory, or if
 * the tables have changed meanwhile, for this one answer alone.
 */
static const RdaIdSet *
keep_set(CachedSet *cached, const pg_uuid_t *of, RdaIdSet set,
		 uint64 generation)
{
	Size		size;

	qsort(set.ids, set.count, sizeof(pg_uuid_t), compare_ids);
	if (!is_current(generation))
	{
		RdaIdSet   *passing = palloc(sizeof(RdaIdSet));

		*passing = set;
		hash_ids(passing, CurrentMemoryContext);
		return passing;
	}

	cached->valid = false;
	if (cached->set.hashed != NULL)
		idtable_destroy(cached->set.hashed);
	cached->set.hashed = NULL;
	if (cached->set.ids != NULL)
		pfree(cached->set.ids);
	cached->set.ids = NULL;
	size = Max(set.count, 1) * sizeof(pg_uuid_t);
	cached->set.ids = MemoryContextAllocHuge(cache_context, size);
	memcpy(cached->set.ids, set.ids, set.count * sizeof(pg_uuid_t));
	cached->set.count = set.count;
	hash_ids(&cached->set, cache_context);
	cached->of = *of;
	cached->valid = true;
	pfree(set.ids);
	return &cached->set;
}

/*
 * An organization and all its sub-entities.
 *
 * The set belongs to the cache: use it before the next call of this module.
 */
const RdaIdSet *
rda_organization_tenants(const pg_uuid_t *umbrella_id)
{
	RdaIdSet	set = {0};
	int			room = 64;
	uint64		generation = refresh_cache();

	if (organization_tenants.valid &&
		rda_uuid_equal(&organization_tenants.of, umbrella_id))
		return &organization_tenants.set;

	set.ids = palloc(room * sizeof(pg_uuid_t));
	append_id(&set, &room, umbrella_id);
	(void) read_ids(RDA_TENANTS_BY_UMBRELLA, umbrella_id, Anum_tenants_id,
					NULL, INT_MAX, &set, &room);
	return keep_set(&organization_tenants, umbrella_id, set, generation);
}

/*
 * The tenants that a user is a member of, without the suspended ones.
 *
 * The set belongs to the cache: use it before the next call of this module.
 */
const RdaIdSet *
rda_user_tenants(const pg_uuid_t *user_id)
{
	RdaIdSet	set = {0};
	int			room = 64;
	uint64		generation = refresh_cache();

	if (user_tenants.valid && rda_uuid_equal(&user_tenants.of, user_id))
		return &user_tenants.set;

	set.ids = palloc(room * sizeof(pg_uuid_t));
	(void) read_ids(RDA_MEMBERSHIPS_BY_USER, user_id, Anum_memberships_tenant_id,
					NULL, INT_MAX, &set, &room);
	remove_suspended(&set);
	return keep_set(&user_tenants, user_id, set, generation);
}

/*
 * An organization and all its sub-entities as a snapshot shows them, read anew.
 *
 * ids has room for room > 0.  Returns how many there are, or a number beyond
 * room, when ids is undefined.
 */
int
rda_organization_tenants_at(const pg_uuid_t *umbrella_id, Snapshot snapshot,
							pg_uuid_t *ids, int room)
{
	RdaIdSet	set = {.ids = ids};

	append_id(&set, &room, umbrella_id);
	return read_ids(RDA_TENANTS_BY_UMBRELLA, umbrella_id, Anum_tenants_id,
					snapshot, room, &set, &room) ? set.count : room + 1;
}

/*
 * The same for the tenants that a user is a member of, with suspended ones.
 */
int
rda_user_tenants_at(const pg_uuid_t *user_id, Snapshot snapshot,
					pg_uuid_t *ids, int room)
{
	RdaIdSet	set = {.ids = ids};

	return read_ids(RDA_MEMBERSHIPS_BY_USER, user_id, Anum_memberships_tenant_id,
					snapshot, room, &set, &room) ? set.count : room + 1;
}

bool
rda_id_set_contains(const RdaIdSet *set, const pg_uuid_t *id)
{
	return idtable_lookup(set->hashed, *id) != NULL;
}
