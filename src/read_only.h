/*
 * read_only.h
 *		Keeps the transactions of keys with access read READ ONLY.
 */
#ifndef RDA_READ_ONLY_H
#define RDA_READ_ONLY_H

extern void rda_read_only_enforce(void);

#endif							/* RDA_READ_ONLY_H */
