/* state_watch.h - who is told of a channel's connectivity state. See state_watch.c. The channel's
 * loop. */
#ifndef FL_CHANNEL_STATE_WATCH_H
#define FL_CHANNEL_STATE_WATCH_H

#include "base/list.h"
#include "base/task.h"

struct fl_channel;

struct fl_state_watches {
    struct fl_list list; /* struct fl_state_watch */
    struct fl_task tell; /* deferred */
};

void fl_state_watches_init(struct fl_channel *channel);
/* The state has changed. After SHUTDOWN was told nobody is watching any more. */
void fl_state_watches_tell(struct fl_channel *channel);

#endif
