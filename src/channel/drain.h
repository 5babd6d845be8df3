/* drain.h - how a connection leaves without losing a call. One loop's thread. */
#ifndef FL_CHANNEL_DRAIN_H
#define FL_CHANNEL_DRAIN_H

#include "channel/transport.h"

/* The endpoint is gone (or another one has its address): no new call; those with a deadline run to
 * it, those without have drain_ms; then it closes. Twice is allowed: the first deadline stays. */
void fl_drain_start(struct fl_transport *transport);
/* The endpoint stays but is not wanted now: no new call; closes after the last one, without a
 * deadline. `cause`, static, is counted unless it is ending already. fl_drain_start may follow. */
void fl_drain_rest(struct fl_transport *transport, const char *cause);
/* The timer of transport->drain. */
void fl_drain_expired(struct fl_timer *timer);

#endif
