/*
 * scope_pruning.h
 *		Partitions and the scopes that are sets of tenants.
 */
#ifndef RDA_SCOPE_PRUNING_H
#define RDA_SCOPE_PRUNING_H

extern void rda_scope_pruning_init(void);

#endif							/* RDA_SCOPE_PRUNING_H */
