/*
 * shmem.h
 *		Shared memory, where the server preloads the library.
 */
#ifndef RDA_SHMEM_H
#define RDA_SHMEM_H

#include "storage/lwlock.h"

/* Part of shared memory: a module tells its needs and sets itself up. */
typedef struct RdaShmemPart
{
	Size		(*size) (void);
	const char *tranche;		/* of its locks */
	int			locks;
	void		(*startup) (LWLockPadded *locks);
} RdaShmemPart;

extern void rda_shmem_add(const RdaShmemPart *part);
extern void rda_shmem_init(void);

#endif							/* RDA_SHMEM_H */
