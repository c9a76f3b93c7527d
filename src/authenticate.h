/*
 * authenticate.h
 *		From a token to a context.
 */
#ifndef RDA_AUTHENTICATE_H
#define RDA_AUTHENTICATE_H

#include "context.h"

extern const char *rda_authenticate_token(const char *token, Size len);
extern void rda_authenticate_act_for(const RdaContext *context);

#endif							/* RDA_AUTHENTICATE_H */
