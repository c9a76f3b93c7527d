/*
 * scope_support.h
 *		The planner's side of the predicates.
 */
#ifndef RDA_SCOPE_SUPPORT_H
#define RDA_SCOPE_SUPPORT_H

extern void rda_scope_support_init(void);

#endif							/* RDA_SCOPE_SUPPORT_H */
