/*
 * key_lookup.c
 *		Find a key, by the digest of its token or by its id: one index probe at
 *		most.
 *
 * The digests are unique by a constraint, and found by a hash index beside it,
 * which touches fewer pages than the constraint's own: with a million keys that
 * is a quarter of the whole authentication.
 *
 * Where a key was found lately is looked at first (key_hints.c).  The row that
 * is there now, if it has the digest, is the key as it is now, since digests are
 * unique; and else the index is asked.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "key_hints.h"
#include "key_lookup.h"
#include "relations.h"

/*
 * An attribute of a row, deformed, that has a NOT NULL constraint.
 */
static Datum
required(TupleTableSlot *row, AttrNumber column)
{
	if (row->tts_isnull[column - 1])
		elog(ERROR, "column %d of an API key is null", column);
	return row->tts_values[column - 1];
}

static RdaId
optional_id(TupleTableSlot *row, AttrNumber column)
{
	RdaId		id = {0};

	if (!row->tts_isnull[column - 1])
	{
		id.present = true;
		id.value = *DatumGetUUIDP(row->tts_values[column - 1]);
	}
	return id;
}

static void
unpack_key(TupleTableSlot *row, RdaKey *key)
{
	text	   *scope = DatumGetTextPP(required(row, Anum_api_keys_scope));
	text	   *access = DatumGetTextPP(required(row, Anum_api_keys_access));
	text	   *environment = DatumGetTextPP(required(row, Anum_api_keys_environment));

	key->id = *DatumGetUUIDP(required(row, Anum_api_keys_id));
	key->scope = rda_scope_parse(VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope));
	key->access = rda_access_parse(VARDATA_ANY(access), VARSIZE_ANY_EXHDR(access));
	key->environment = rda_environment_parse(VARDATA_ANY(environment),
											 VARSIZE_ANY_EXHDR(environment));
	key->tenant_id = optional_id(row, Anum_api_keys_tenant_id);
	key->user_id = optional_id(row, Anum_api_keys_user_id);
	key->revoked = !row->tts_isnull[Anum_api_keys_revoked_at - 1];
	if (row->tts_isnull[Anum_api_keys_expires_at - 1])
		TIMESTAMP_NOEND(key->expires_at);
	else
		key->expires_at = DatumGetTimestampTz(row->tts_values[Anum_api_keys_expires_at - 1]);
	key->allowed_networks = row->tts_isnull[Anum_api_keys_allowed_networks - 1] ? NULL :
		DatumGetArrayTypePCopy(row->tts_values[Anum_api_keys_allowed_networks - 1]);
	rda_relations_read_limits(row, Anum_api_keys_rate_limit, &key->limits);
}

/*
 * Has the row this digest?  In constant time; the index has compared no more
 * than a hash of it.
 */
static bool
has_digest(TupleTableSlot *row, const uint8 digest[RDA_DIGEST_LEN])
{
	bytea	   *stored = DatumGetByteaPP(required(row, Anum_api_keys_key_hash));

	return VARSIZE_ANY_EXHDR(stored) == RDA_DIGEST_LEN &&
		rda_secret_equal((const uint8 *) VARDATA_ANY(stored), digest,
						 RDA_DIGEST_LEN);
}

/*
 * Take the row if it is the key that has this digest.
 */
static bool
take_row(TupleTableSlot *row, const uint8 digest[RDA_DIGEST_LEN], RdaKey *key)
{
	slot_getsomeattrs(row, Anum_api_keys_last_read);
	if (!has_digest(row, digest))
		return false;
	unpack_key(row, key);
	return true;
}

static bool
find_at(const RdaPlace *place, const uint8 digest[RDA_DIGEST_LEN], RdaKey *key)
{
	RdaScan		scan;
	TupleTableSlot *row = rda_scan_at(&scan, RDA_API_KEYS, place);
	bool		found = row != NULL && take_row(row, digest, key);

	rda_scan_end(&scan);
	return found;
}

/*
 * Held against the wall clock: now() would accept an expired key in a
 * transaction that began before.
 */
bool
rda_key_has_expired(const RdaKey *key)
{
	return !TIMESTAMP_IS_NOEND(key->expires_at) &&
		key->expires_at <= GetCurrentTimestamp();
}

/*
 * Is the key neither revoked nor expired?
 */
bool
rda_key_is_live(const RdaKey *key)
{
	return !key->revoked && !rda_key_has_expired(key);
}

/*
 * Find the key whose token has this digest.
 *
 * Returns false, leaving *key as it was, if there is none.  allowed_networks
 * is palloc'd.  Sees what is committed now, whatever the transaction's
 * snapshot.
 *
 * Keys that are to be rejected are looked for in the index each time, as unknown
 * ones are, so that time does not tell them apart.
 */
bool
rda_key_find(const uint8 digest[RDA_DIGEST_LEN], RdaKey *key)
{
	union
	{
		bytea		header;
		char		data[VARHDRSZ + RDA_DIGEST_LEN];
	}			wanted;
	RdaScan		scan;
	TupleTableSlot *row;
	RdaPlace	place;
	bool		found = false;

	if (rda_key_hint_get(digest, &place))
	{
		if (find_at(&place, digest, key) && rda_key_is_live(key))
			return true;
		rda_key_hint_forget(digest);
	}

	SET_VARSIZE(&wanted, sizeof(wanted.data));
	memcpy(VARDATA(&wanted), digest, RDA_DIGEST_LEN);

	rda_scan_begin(&scan, RDA_API_KEYS_BY_HASH, F_BYTEAEQ,
				   PointerGetDatum(&wanted));
	while (!found && (row = rda_scan_next(&scan)) != NULL)
		found = take_row(row, digest, key);
	if (found && rda_key_is_live(key))
		rda_key_hint_set(digest, &scan.place);
	rda_scan_end(&scan);
	return found;
}

/*
 * Find a key by its id: for administrators, who have no token of it.
 *
 * As rda_key_find() otherwise.
 */
bool
rda_key_find_by_id(const pg_uuid_t *id, RdaKey *key)
{
	RdaScan		scan;
	TupleTableSlot *row;

	rda_scan_begin(&scan, RDA_API_KEYS_BY_ID, F_UUID_EQ, UUIDPGetDatum(id));
	row = rda_scan_next(&scan);
	if (row != NULL)
	{
		slot_getsomeattrs(row, Anum_api_keys_last_read);
		unpack_key(row, key);
	}
	rda_scan_end(&scan);
	return row != NULL;
}
