/*
 * usage_worker.c
 *		Background workers that write the counters of usage.c to
 *		revdesk.key_usage.
 *
 * One launcher runs as long as the server does.  Every revdesk.flush_interval
 * it starts a short-lived worker for each database that has something to
 * write, one after the other, since a connection is to one database.  What
 * cannot be written now (a lock on the table, no free worker slot) stays
 * counted in memory for the next time.  On a standby all waits for promotion.
 * The launcher also commits for standbys to see (replay_lag.c), while it waits
 * for a worker, too.
 *
 * Everything is taken off the counters right after its COMMIT, with interrupts
 * held, so nothing is written twice or lost but by a crash of the server.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/int.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "guc.h"
#include "pg_compat.h"
#include "relations.h"
#include "replay_lag.h"
#include "usage.h"
#include "usage_worker.h"

#define WORKER "revdesk_auth usage worker"
#define WORKER_MAIN "rda_usage_worker_main"
#define LAUNCHER "revdesk_auth usage launcher"

/* Longer than this a worker does not wait for a lock. */
#define LOCK_TIMEOUT "1s"

/* So many keys are written by one statement. */
#define BATCH 1000

PG_FUNCTION_INFO_V1(revdesk_is_usage_worker);
PG_FUNCTION_INFO_V1(revdesk_add_counts);

pg_noreturn PGDLLEXPORT void rda_usage_launcher_main(Datum arg);
PGDLLEXPORT void rda_usage_worker_main(Datum arg);

/* When the launcher is to start a flush, and to commit for standbys. */
static TimestampTz next_flush = 0;
static TimestampTz next_beat = 0;

static void
fill_worker(BackgroundWorker *worker, const char *name, const char *function)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_ConsistentState;
	strlcpy(worker->bgw_library_name, "revdesk_auth", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker->bgw_name, name, BGW_MAXLEN);
	strlcpy(worker->bgw_type, name, BGW_MAXLEN);
}

/*
 * The databases that have something to write.
 */
static List *
pending_databases(void)
{
	List	   *databases = NIL;
	int			count;
	RdaUsage   *usages = rda_usage_read(InvalidOid, &count);

	for (int i = 0; i < count; i++)
		databases = list_append_unique_oid(databases, usages[i].database);
	pfree(usages);
	return databases;
}

static bool
database_exists(Oid database)
{
	bool		exists;

	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	exists = get_database_name(database) != NULL;
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return exists;
}

/*
 * Milliseconds until something that is done every so many milliseconds.
 */
static long
time_left(TimestampTz *next, int interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz latest = TimestampTzPlusMilliseconds(now, interval);

	/* At first, after the clock was set back, or with a shorter interval. */
	if (*next == 0 || *next > latest)
		*next = latest;
	return TimestampDifferenceMilliseconds(now, *next);
}

/*
 * Is it time for it?  If so, sets the next time.
 */
static bool
is_due(TimestampTz *next, int interval)
{
	if (interval == 0 || time_left(next, interval) > 0)
		return false;
	*next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval);
	return true;
}

/*
 * Let standbys see that the primary is there.
 */
static void
beat_if_due(void)
{
	if (is_due(&next_beat, rda_replay_lag_interval()))
		rda_replay_lag_beat();
}

/*
 * Wait for the latch, but not longer than until the next commit for standbys is
 * due, nor than so many milliseconds; -1: however long.
 */
static void
wait_for_latch(long pause)
{
	if (rda_replay_lag_interval() > 0)
	{
		long		beat = time_left(&next_beat, rda_replay_lag_interval());

		pause = pause < 0 ? beat : Min(pause, beat);
	}
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (pause < 0 ? 0 : WL_TIMEOUT),
					 pause, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Flush one database by a worker of its own, and wait for that.
 */
static void
flush_database(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	pid_t		pid;

	if (!database_exists(database))
	{
		rda_usage_forget(database);
		return;
	}
	fill_worker(&worker, WORKER, WORKER_MAIN);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		return;
	while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
	{
		wait_for_latch(-1);
		beat_if_due();
	}
}

static void
flush_all(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "revdesk_auth flush",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ListCell   *cell;

	foreach(cell, pending_databases())
	{
		flush_database(lfirst_oid(cell));
		CHECK_FOR_INTERRUPTS();
	}
	rda_usage_forget(InvalidOid);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * The launcher: runs until the server stops.  A reload of the configuration
 * flushes at once.
 */
void
rda_usage_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	for (;;)
	{
		wait_for_latch(time_left(&next_flush, rda_guc_flush_interval * 1000));
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			next_flush = GetCurrentTimestamp();
		}
		if (RecoveryInProgress())
		{
			/* Not due here, or the wait would be none. */
			next_flush = next_beat = 0;
			continue;
		}
		beat_if_due();
		if (is_due(&next_flush, rda_guc_flush_interval * 1000))
			flush_all();
	}
}

/*
 * Add the counts of up to BATCH keys to their rows of the current hour.
 */
static void
write_batch(SPIPlanPtr plan, const RdaUsage *usages, int count)
{
	Datum		ids[BATCH];
	Datum		counts[BATCH * RDA_COUNTS];
	Datum		last_used[BATCH];
	Datum		addresses[BATCH];
	bool		not_used[BATCH];
	bool		not_known[BATCH];
	int			dims[2] = {count, RDA_COUNTS};
	int			lower_bounds[2] = {1, 1};
	Datum		values[4];

	for (int i = 0; i < count; i++)
	{
		ids[i] = UUIDPGetDatum(&usages[i].id);
		for (int j = 0; j < RDA_COUNTS; j++)
			counts[i * RDA_COUNTS + j] = rda_usage_count_datum(usages[i].counts[j]);
		last_used[i] = TimestampTzGetDatum(usages[i].last_used);
		not_used[i] = usages[i].last_used == 0;
		addresses[i] = CStringGetTextDatum(usages[i].last_address);
		not_known[i] = usages[i].last_address[0] == '\0';
	}
	values[0] = PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN,
												false, TYPALIGN_CHAR));
	values[1] = PointerGetDatum(construct_md_array(counts, NULL, 2, dims, lower_bounds,
												   INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(construct_md_array(last_used, not_used, 1, dims, lower_bounds,
												   TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = PointerGetDatum(construct_md_array(addresses, not_known, 1, dims, lower_bounds,
												   TEXTOID, -1, false, TYPALIGN_INT));
	if (SPI_execute_plan(plan, values, NULL, false, 0) < 0)
		elog(ERROR, "could not write usage");
}

/*
 * Write what is counted for this database, in one transaction.
 */
static void
flush_here(void)
{
	static Oid	types[] = {UUIDARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID};
	int			count;
	RdaUsage   *usages;
	SPIPlanPtr	plan;
	MemoryContext batch;
	MemoryContext old;

	usages = rda_usage_read(MyDatabaseId, &count);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	plan = SPI_prepare("SELECT revdesk.add_usage($1, $2, $3, $4)", lengthof(types), types);
	batch = AllocSetContextCreate(CurrentMemoryContext, "revdesk_auth batch",
								  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(batch);
	for (int i = 0; i < count; i += BATCH)
	{
		write_batch(plan, &usages[i], Min(BATCH, count - i));
		MemoryContextReset(batch);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	PopActiveSnapshot();

	HOLD_INTERRUPTS();
	CommitTransactionCommand();
	rda_usage_end_flush(usages, count);
	RESUME_INTERRUPTS();
}

/*
 * Log what has expired, and delete what is old enough, in a transaction of its
 * own: however long that takes, or if it fails, the counts are written.
 */
static void
expire_here(void)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_execute(psprintf("SELECT revdesk.audit_expiries(%d), revdesk.expire_usage(%d), revdesk.expire_audit(%d)",
						 rda_guc_audit_retention, rda_guc_usage_retention,
						 rda_guc_audit_retention),
				false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Begin a transaction for one of these.  Returns false if there is no extension
 * here to keep counts for; else there is as long as it lasts.
 */
static bool
begin_here(MemoryContext context)
{
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	return rda_relations_hold();
}

/* What the database's or the server's configuration must not decide here. */
static const struct
{
	const char *name;
	const char *value;
}			settings[] = {
	{"search_path", "pg_catalog"},
	{"lock_timeout", LOCK_TIMEOUT},
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	/* What is taken off the counters is on disk, and waits for no standby. */
	{"synchronous_commit", "local"},
};

/*
 * The worker of one database.
 */
void
rda_usage_worker_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!rda_usage_table_begin_flush())
		return;					/* one that a launcher before this one started */
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	rda_unlimit_transactions();

	/* What was read must outlive the transaction that writes it. */
	context = AllocSetContextCreate(TopMemoryContext, "revdesk_auth flush",
									ALLOCSET_DEFAULT_SIZES);
	pgstat_report_activity(STATE_RUNNING, "writing revdesk.key_usage");
	if (begin_here(context))
	{
		flush_here();
		if (begin_here(context))
			expire_here();
		else
			CommitTransactionCommand();
	}
	else
	{
		CommitTransactionCommand();
		rda_usage_forget(MyDatabaseId);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * SQL: revdesk.is_usage_worker() returns boolean: does this process write usage?
 */
Datum
revdesk_is_usage_worker(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(MyBgworkerEntry != NULL &&
				   strcmp(MyBgworkerEntry->bgw_function_name, WORKER_MAIN) == 0);
}

/*
 * SQL: revdesk.add_counts(a bigint, b bigint) returns bigint: their sum, or the
 * largest bigint.
 */
Datum
revdesk_add_counts(PG_FUNCTION_ARGS)
{
	int64		sum;

	if (pg_add_s64_overflow(PG_GETARG_INT64(0), PG_GETARG_INT64(1), &sum))
		sum = PG_INT64_MAX;
	PG_RETURN_INT64(sum);
}

/*
 * Register the launcher.  To be called while the library is preloaded.
 */
void
rda_usage_worker_init(void)
{
	BackgroundWorker worker;

	fill_worker(&worker, LAUNCHER, "rda_usage_launcher_main");
	worker.bgw_restart_time = 5;
	RegisterBackgroundWorker(&worker);
}
