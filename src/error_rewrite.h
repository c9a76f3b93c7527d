/*
 * error_rewrite.h
 *		PostgreSQL's own errors as HTTP.
 */
#ifndef RDA_ERROR_REWRITE_H
#define RDA_ERROR_REWRITE_H

extern void rda_error_rewrite_init(void);

#endif							/* RDA_ERROR_REWRITE_H */
