/*
 * error_rewrite.h
 *		PostgreSQL's own errors as HTTP.
 */
#ifndef RDA_ERROR_REWRITE_H
#define RDA_ERROR_REWRITE_H

extern void rda_error_rewrite(ErrorData *edata);

#endif							/* RDA_ERROR_REWRITE_H */
