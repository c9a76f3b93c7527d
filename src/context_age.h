/*
 * context_age.h
 *		Bounds how long a transaction acts for a caller.
 */
#ifndef RDA_CONTEXT_AGE_H
#define RDA_CONTEXT_AGE_H

extern void rda_context_age_check(void);

#endif							/* RDA_CONTEXT_AGE_H */
