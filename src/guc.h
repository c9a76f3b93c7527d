/*
 * guc.h
 *		Plain settings.
 */
#ifndef RDA_GUC_H
#define RDA_GUC_H

#include "terms.h"

extern bool rda_guc_environment_is_accepted(RdaEnvironment environment);
extern void rda_guc_init(void);

#endif							/* RDA_GUC_H */
