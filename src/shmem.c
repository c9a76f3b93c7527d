/*
 * shmem.c
 *		Shared memory, where the server preloads the library: the only installer
 *		of hooks for it.
 *
 * Without preloading the parts are never started up, and their modules say so
 * to whoever needs them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "shmem.h"

#define MAX_PARTS 5

static const RdaShmemPart *parts[MAX_PARTS];
static int	part_count = 0;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
request(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();
	for (int i = 0; i < part_count; i++)
	{
		RequestAddinShmemSpace(parts[i]->size());
		RequestNamedLWLockTranche(parts[i]->tranche, parts[i]->locks);
	}
}

static void
startup(void)
{
	if (previous_startup_hook != NULL)
		previous_startup_hook();
	for (int i = 0; i < part_count; i++)
		parts[i]->startup(GetNamedLWLockTranche(parts[i]->tranche));
}

/*
 * Have a part set up with the server.  To be called while the library is
 * preloaded; part must live on.
 */
void
rda_shmem_add(const RdaShmemPart *part)
{
	Assert(part_count < MAX_PARTS);
	parts[part_count++] = part;
}

/*
 * Install the hooks.  To be called while the library is preloaded.
 */
void
rda_shmem_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}
