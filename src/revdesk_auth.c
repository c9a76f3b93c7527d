/*
 * revdesk_auth.c
 *		API-key authentication and tenant isolation inside PostgreSQL.
 *
 * Loading the library defines the settings and registers the callbacks; the
 * parts are initialized from the lowest layer up.  The Makefile lists the
 * layers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "brake.h"
#include "context.h"
#include "guc.h"
#include "hooks.h"
#include "key_hints.h"
#include "log_limit.h"
#include "relations.h"
#include "scope_pruning.h"
#include "scope_support.h"
#include "secret.h"
#include "shmem.h"
#include "usage.h"
#include "usage_worker.h"
#include "write_count.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	rda_guc_init();
	if (process_shared_preload_libraries_in_progress)
	{
		rda_secret_init();
		rda_shmem_init();
		rda_brake_init();
		rda_log_limit_init();
		rda_key_hints_init();
		rda_usage_table_init();
		rda_usage_worker_init();
		rda_write_count_init();
	}
	rda_relations_init();
	rda_context_init();
	rda_hooks_init();
	rda_scope_support_init();
	rda_scope_pruning_init();

	/* Last, when every setting of ours has its name. */
	MarkGUCPrefixReserved("revdesk");
}
