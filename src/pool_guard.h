/*
 * pool_guard.h
 *		Keeps what outlives a transaction free of its rows.
 */
#ifndef RDA_POOL_GUARD_H
#define RDA_POOL_GUARD_H

#include "nodes/nodes.h"

extern void rda_pool_guard_check(Node *statement);
extern void rda_pool_guard_admit(void);

#endif							/* RDA_POOL_GUARD_H */
