/*
 * key_lookup.c
 *		Find a key by the digest of its token: one probe of a unique index.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "key_lookup.h"
#include "relations.h"

/*
 * An attribute that has a NOT NULL constraint.
 */
static Datum
required(HeapTuple row, TupleDesc desc, AttrNumber column)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	if (isnull)
		elog(ERROR, "column %d of an API key is null", column);
	return value;
}

static RdaId
optional_id(HeapTuple row, TupleDesc desc, AttrNumber column)
{
	RdaId		id = {0};
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	if (!isnull)
	{
		id.present = true;
		id.value = *DatumGetUUIDP(value);
	}
	return id;
}

static void
unpack_key(HeapTuple row, TupleDesc desc, RdaKey *key)
{
	text	   *scope = DatumGetTextPP(required(row, desc, Anum_api_keys_scope));
	text	   *access = DatumGetTextPP(required(row, desc, Anum_api_keys_access));
	text	   *environment = DatumGetTextPP(required(row, desc, Anum_api_keys_environment));
	bool		isnull;
	Datum		value;

	key->id = *DatumGetUUIDP(required(row, desc, Anum_api_keys_id));
	key->scope = rda_scope_parse(VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope));
	key->access = rda_access_parse(VARDATA_ANY(access), VARSIZE_ANY_EXHDR(access));
	key->environment = rda_environment_parse(VARDATA_ANY(environment),
											 VARSIZE_ANY_EXHDR(environment));
	key->tenant_id = optional_id(row, desc, Anum_api_keys_tenant_id);
	key->user_id = optional_id(row, desc, Anum_api_keys_user_id);

	(void) heap_getattr(row, Anum_api_keys_revoked_at, desc, &isnull);
	key->revoked = !isnull;

	value = heap_getattr(row, Anum_api_keys_expires_at, desc, &isnull);
	if (isnull)
		TIMESTAMP_NOEND(key->expires_at);
	else
		key->expires_at = DatumGetTimestampTz(value);

	value = heap_getattr(row, Anum_api_keys_allowed_networks, desc, &isnull);
	key->allowed_networks = isnull ? NULL : DatumGetArrayTypePCopy(value);
	rda_relations_read_limits(row, desc, Anum_api_keys_rate_limit, &key->limits);
}

/*
 * Find the key whose token has this digest.
 *
 * Returns false, leaving *key as it was, if there is none.  allowed_networks
 * is palloc'd.  Sees what is committed now, whatever the transaction's
 * snapshot.
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
	HeapTuple	row;
	bool		found = false;

	SET_VARSIZE(&wanted, sizeof(wanted.data));
	memcpy(VARDATA(&wanted), digest, RDA_DIGEST_LEN);

	rda_scan_begin(&scan, RDA_API_KEYS_BY_HASH, F_BYTEAEQ,
				   PointerGetDatum(&wanted));
	row = rda_scan_next(&scan);
	if (row != NULL)
	{
		TupleDesc	desc = RelationGetDescr(scan.table);
		bytea	   *stored = DatumGetByteaPP(required(row, desc, Anum_api_keys_key_hash));

		/* The index has compared; this compares in constant time. */
		found = VARSIZE_ANY_EXHDR(stored) == RDA_DIGEST_LEN &&
			rda_secret_equal((const uint8 *) VARDATA_ANY(stored), digest,
							 RDA_DIGEST_LEN);
		if (found)
			unpack_key(row, desc, key);
	}
	rda_scan_end(&scan);
	return found;
}
