/*
 * context.h
 *		Who the current transaction acts for.
 */
#ifndef RDA_CONTEXT_H
#define RDA_CONTEXT_H

#include "datatype/timestamp.h"

#include "terms.h"

/* Padding must be zeros: contexts are compared and sent as bytes. */
typedef struct RdaContext
{
	RdaScope	scope;
	RdaAccess	access;
	RdaEnvironment environment;
	RdaId		key_id;
	RdaId		tenant_id;		/* absent in scope user */
	RdaId		umbrella_id;	/* of tenant_id; tenant_id itself in scope
								 * organization */
	RdaId		user_id;		/* always present in scope user */
	TimestampTz session_started;	/* of a session; 0 for a key */
	TimestampTz since;			/* when the transaction began to act; last, as
								 * it does not tell callers apart */
} RdaContext;

typedef void (*RdaScopeObserver) (RdaScope scope);

extern const RdaContext *rda_context_current(void);
extern void rda_context_set(const RdaContext *context);
extern void rda_context_clear(void);
extern void rda_context_observe_scope(RdaScopeObserver observer);
extern void rda_context_init(void);

#endif							/* RDA_CONTEXT_H */
