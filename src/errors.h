/*
 * errors.h
 *		Errors that are raised in more than one place.
 */
#ifndef RDA_ERRORS_H
#define RDA_ERRORS_H

extern void rda_error_rejected(const char *reason) pg_attribute_noreturn();

#endif							/* RDA_ERRORS_H */
