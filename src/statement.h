/*
 * statement.h
 *		The text of the running statement, where others can read it.
 */
#ifndef RDA_STATEMENT_H
#define RDA_STATEMENT_H

typedef enum RdaConcealed
{
	RDA_NOTHING_TO_CONCEAL,
	RDA_CONCEALED,
	RDA_NOT_CONCEALED			/* for want of memory */
} RdaConcealed;

extern RdaConcealed rda_statement_conceal(void);
extern const char *rda_statement_masked(const char *text);

#endif							/* RDA_STATEMENT_H */
