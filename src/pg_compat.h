/*
 * pg_compat.h
 *		Differences between PostgreSQL major versions, each as a typed inline
 *		function written in the newest form.
 *
 * This is the only file that looks at PG_VERSION_NUM.
 */
#ifndef RDA_PG_COMPAT_H
#define RDA_PG_COMPAT_H

#include "access/genam.h"
#include "common/base64.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/rel.h"

#if PG_VERSION_NUM < 150000
#error "revdesk_auth needs PostgreSQL 15 or newer"
#endif

/*
 * Before a declaration: the function does not return.
 */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/*
 * Memory for a setting's "extra", which the GUC machinery frees itself: with
 * free() before 16, with guc_free() from 16 on.
 *
 * Returns NULL when elevel is below ERROR and memory is exhausted.
 */
static inline void *
rda_guc_malloc(int elevel, size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(elevel, size);
#else
	void	   *data = malloc(size ? size : 1);

	if (data == NULL)
		ereport(elevel,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	return data;
#endif
}

/*
 * The same for a setting whose "extra" was not handed over after all.
 */
static inline void
rda_guc_free(void *data)
{
#if PG_VERSION_NUM >= 160000
	guc_free(data);
#else
	free(data);
#endif
}

/*
 * Pin a buffer if it still holds this block of a relation, whose file is a
 * member of another name before 16.
 */
static inline bool
rda_read_recent_buffer(Relation relation, BlockNumber block, Buffer buffer)
{
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(relation->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

/*
 * What an action of the JSON parser returns: from 16 on, whether to go on.
 */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType RdaJsonResult;
#define RDA_JSON_CONTINUE return JSON_SUCCESS
#else
typedef void RdaJsonResult;
#define RDA_JSON_CONTINUE return
#endif

/*
 * A lexer of a NUL-terminated text in the server's encoding, which
 * unescapes strings.
 */
static inline JsonLexContext *
rda_json_lexer(const char *json)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, strlen(json),
										GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, json), strlen(json),
										GetDatabaseEncoding(), true);
#endif
}

/*
 * Decode base64 (RFC 4648), srclen bytes, into dst; the number of bytes, or a
 * negative number when src is not base64 or dst, dstlen bytes, is too small.
 */
static inline int
rda_base64_decode(const char *src, int srclen, char *dst, int dstlen)
{
#if PG_VERSION_NUM >= 180000
	return pg_b64_decode(src, srclen, (uint8 *) dst, dstlen);
#else
	return pg_b64_decode(src, srclen, dst, dstlen);
#endif
}

/*
 * A number that no other transaction of this backend has had lately.
 */
static inline LocalTransactionId
rda_local_transaction_id(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/*
 * Begin a scan of an index, without instrumentation.
 */
static inline IndexScanDesc
rda_index_beginscan(Relation table, Relation index, Snapshot snapshot,
					int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(table, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(table, index, snapshot, nkeys, 0);
#endif
}

/*
 * Make the rest of the transaction, or of the subtransaction, READ ONLY.
 *
 * PostgreSQL lets nobody SET that back.  Before 16, RESET did, so there the
 * value to reset to is made the same; it stays so for the session, which
 * matters only to a later RESET of transaction_read_only.
 */
static inline void
rda_set_read_only(void)
{
	(void) set_config_option("transaction_read_only", "on",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
#if PG_VERSION_NUM < 160000
	(void) set_config_option("transaction_read_only", "on",
							 PGC_USERSET, PGC_S_OVERRIDE, GUC_ACTION_LOCAL,
							 true, 0, false);
#endif
}

/*
 * Let the transactions of this process last: 17 has a setting that ends them.
 */
static inline void
rda_unlimit_transactions(void)
{
#if PG_VERSION_NUM >= 170000
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
#endif
}

/*
 * Does an index return rows in its order when it is searched for an array in
 * this column?  Before 17 only in the first one, and where a support function
 * made the condition the planner does not find out, so then nobody must want
 * an order.
 */
static inline bool
rda_array_keeps_order(PlannerInfo *root, IndexOptInfo *index, int column)
{
#if PG_VERSION_NUM >= 170000
	return true;
#else
	return column == 0 || !has_useful_pathkeys(root, index->rel);
#endif
}

#endif							/* RDA_PG_COMPAT_H */
