/*
 * usage_worker.h
 *		Background workers that write the counters to a table.
 */
#ifndef RDA_USAGE_WORKER_H
#define RDA_USAGE_WORKER_H

extern void rda_usage_worker_init(void);

#endif							/* RDA_USAGE_WORKER_H */
