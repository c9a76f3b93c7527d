/*
 * log_mask.h
 *		No key in what is logged.
 */
#ifndef RDA_LOG_MASK_H
#define RDA_LOG_MASK_H

extern void rda_log_mask(ErrorData *edata);

#endif							/* RDA_LOG_MASK_H */
