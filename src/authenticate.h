/*
 * authenticate.h
 *		From a token to a context.
 */
#ifndef RDA_AUTHENTICATE_H
#define RDA_AUTHENTICATE_H

#include "context.h"
#include "rate_limit.h"

/* What became of a token. */
typedef struct RdaOutcome
{
	bool		accepted;
	RdaDenial	denial;			/* if not accepted */
	const char *reason;			/* a sentence for the server log alone */
	bool		limited;		/* is there a limit, which budget tells of? */
	RdaBudget	budget;
} RdaOutcome;

extern bool rda_authenticate_is_address(const char *str);
extern const char *rda_authenticate_connection_address(void);
extern void rda_authenticate_token(const char *token, Size len,
								   const char *address, RdaOutcome *outcome);
extern void rda_authenticate_act_for(const RdaContext *context);

#endif							/* RDA_AUTHENTICATE_H */
