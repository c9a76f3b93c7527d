/*
 * rehearse.h
 *		Acting for a key, or as a role, to see what would happen.
 */
#ifndef RDA_REHEARSE_H
#define RDA_REHEARSE_H

extern bool rda_rehearsal_is_past_policies(void);

#endif							/* RDA_REHEARSE_H */
