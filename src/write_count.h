/*
 * write_count.h
 *		Counts the transactions of each key that wrote.
 */
#ifndef RDA_WRITE_COUNT_H
#define RDA_WRITE_COUNT_H

extern void rda_write_count_init(void);

#endif							/* RDA_WRITE_COUNT_H */
