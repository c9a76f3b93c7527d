/*
 * errors.h
 *		Errors that are raised in more than one place.
 */
#ifndef RDA_ERRORS_H
#define RDA_ERRORS_H

#include "pg_compat.h"

pg_noreturn extern void rda_error_rejected(const char *reason);

#endif							/* RDA_ERRORS_H */
