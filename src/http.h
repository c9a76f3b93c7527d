/*
 * http.h
 *		Answers in the form that PostgREST sends on as HTTP.
 */
#ifndef RDA_HTTP_H
#define RDA_HTTP_H

#include "pg_compat.h"
#include "rate_limit.h"

/* An error as the caller of an API sees it; RFC 6750 has the codes. */
typedef struct RdaHttpError
{
	int			status;
	const char *code;			/* stable; in the body */
	const char *message;
	const char *hint;			/* NULL for none */
	const char *challenge;		/* of WWW-Authenticate; NULL for no such header */
	const RdaBudget *budget;	/* that was exceeded, for 429; else NULL */
} RdaHttpError;

extern const RdaHttpError rda_http_unauthenticated;
extern const RdaHttpError rda_http_invalid_token;
extern const RdaHttpError rda_http_invalid_request;
extern const RdaHttpError rda_http_forbidden;
extern const RdaHttpError rda_http_unavailable;

extern bool rda_http_is_request_id(const char *str);
extern void rda_http_set_request_id(const char *request_id);
extern const char *rda_http_request_id(void);
pg_noreturn extern void rda_http_raise(const RdaHttpError *error,
									   const char *request_id, const char *reason);
extern char *rda_http_message(const RdaHttpError *error, const char *details);
extern char *rda_http_detail(const RdaHttpError *error, const char *request_id);
pg_noreturn extern void rda_http_raise_limit(const RdaBudget *budget,
											 const char *request_id, const char *reason);
extern void rda_http_add_budget(const RdaBudget *budget);

#endif							/* RDA_HTTP_H */
