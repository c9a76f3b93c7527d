/*
 * mask.h
 *		Blots out keys in texts.
 */
#ifndef RDA_MASK_H
#define RDA_MASK_H

extern bool rda_mask_is_due(const char *text);
extern void rda_mask(char *text);

#endif							/* RDA_MASK_H */
