/*
 * log_limit.h
 *		A flood of rejected keys does not fill the server log.
 */
#ifndef RDA_LOG_LIMIT_H
#define RDA_LOG_LIMIT_H

extern void rda_log_limit(ErrorData *edata);
extern void rda_log_limit_init(void);

#endif							/* RDA_LOG_LIMIT_H */
