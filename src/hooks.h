/*
 * hooks.h
 *		What is done at the start of statements and to messages.
 */
#ifndef RDA_HOOKS_H
#define RDA_HOOKS_H

extern void rda_hooks_init(void);

#endif							/* RDA_HOOKS_H */
