/*
 * guc.h
 *		Plain settings.
 */
#ifndef RDA_GUC_H
#define RDA_GUC_H

#include "terms.h"

extern bool rda_guc_http_errors;
extern char *rda_guc_tenant_claim;
extern int	rda_guc_session_access;
extern int	rda_guc_max_session_age;
extern int	rda_guc_max_tracked_keys;
extern int	rda_guc_flush_interval;
extern int	rda_guc_usage_retention;
extern int	rda_guc_audit_retention;
extern int	rda_guc_max_replay_lag;
extern int	rda_guc_trusted_proxies;
extern int	rda_guc_failures_per_minute;
extern int	rda_guc_log_rejections_per_minute;
extern bool rda_guc_rate_limit_headers;
extern bool rda_guc_pool_guard;
extern int	rda_guc_max_context_age;
extern bool rda_guc_warn_literal_keys;

extern bool rda_guc_role_has_sessions(const char *role);
extern bool rda_guc_path_is_public(const char *path);
extern bool rda_guc_environment_is_accepted(RdaEnvironment environment);
extern void rda_guc_init(void);

#endif							/* RDA_GUC_H */
