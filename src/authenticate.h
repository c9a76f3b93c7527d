/*
 * authenticate.h
 *		From a token to a context.
 */
#ifndef RDA_AUTHENTICATE_H
#define RDA_AUTHENTICATE_H

extern void rda_authenticate_token(const char *token, Size len);

#endif							/* RDA_AUTHENTICATE_H */
