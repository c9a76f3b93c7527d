/*
 * replay_lag.h
 *		Is this a standby that may not know yet of a revocation?
 */
#ifndef RDA_REPLAY_LAG_H
#define RDA_REPLAY_LAG_H

/* For the server log. */
#define RDA_REPLAY_LAG_REASON \
	"The last commit that was replayed is older than revdesk.max_replay_lag."

extern bool rda_replay_lag_is_high(void);
extern int	rda_replay_lag_interval(void);
extern void rda_replay_lag_beat(void);

#endif							/* RDA_REPLAY_LAG_H */
