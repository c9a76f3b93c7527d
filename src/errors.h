/*
 * errors.h
 *		What revdesk_authenticate(text) answers to those it does not let in.
 */
#ifndef RDA_ERRORS_H
#define RDA_ERRORS_H

#include "pg_compat.h"
#include "rate_limit.h"

pg_noreturn extern void rda_error_rejected(const char *reason);
pg_noreturn extern void rda_error_over_limit(const RdaBudget *budget,
											 const char *reason);
pg_noreturn extern void rda_error_unavailable(const char *reason);

#endif							/* RDA_ERRORS_H */
