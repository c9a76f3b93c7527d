/*
 * brake.h
 *		A brake on failed attempts from one address.
 */
#ifndef RDA_BRAKE_H
#define RDA_BRAKE_H

extern bool rda_brake_is_on(const char *address);
extern void rda_brake_count_failure(const char *address);
extern void rda_brake_init(void);

#endif							/* RDA_BRAKE_H */
