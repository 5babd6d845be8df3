/* idle.h - a channel without calls closes its sockets, and nothing else. See idle.c. The channel's
 * loop. */
#ifndef FL_CHANNEL_IDLE_H
#define FL_CHANNEL_IDLE_H

#include "base/timer.h"

struct fl_channel;

struct fl_idle {
    bool on;      /* nothing is connected, nothing is tried */
    bool started; /* the timer is registered */
    uint64_t quiet_since_ms;
    struct fl_timer timer;
};

/* Time begins to count; twice is allowed. Without memory for the timer a later call may have it. */
void fl_idle_start(struct fl_channel *channel);
void fl_idle_deinit(struct fl_channel *channel);
/* A call begins, or somebody wants connections: leaves idle, if it is on. */
void fl_idle_leave(struct fl_channel *channel);
/* The last call has ended: time counts from now. */
void fl_idle_quiet(struct fl_channel *channel, uint64_t now_ms);

#endif
