/*
 * token.h
 *		The text form of an API key.
 */
#ifndef RDA_TOKEN_H
#define RDA_TOKEN_H

#define RDA_TOKEN_PREFIX "revdesk_"
#define RDA_TOKEN_PREFIX_LEN (sizeof(RDA_TOKEN_PREFIX) - 1)
#define RDA_TOKEN_SECRET_LEN 32
#define RDA_TOKEN_LEN (RDA_TOKEN_PREFIX_LEN + RDA_TOKEN_SECRET_LEN)

extern bool rda_token_is_valid(const char *str, Size len);

#endif							/* RDA_TOKEN_H */
