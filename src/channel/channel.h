/* channel.h - the channel's own interface beneath the public one. */
#ifndef FL_CHANNEL_CHANNEL_H
#define FL_CHANNEL_CHANNEL_H

#include <fairlead/call.h>
#include <fairlead/handle.h>

#include "base/io.h"
#include "discovery/discovery.h"

/* fl_channel_new with the loop given as its io. */
FL_MUST int fl_channel_open(struct fl_io *io, struct fl_discovery *discovery, const char *target,
                            const struct fl_channel_options *options, struct fl_channel **out,
                            struct fl_error *err);

/* fl_channel_options.drain_ms, with its default filled in. Any thread. */
uint32_t fl_channel_drain_ms(const struct fl_channel *channel);

/* What a test or a picture wants to see; on the channel's loop. */
struct fl_channel_watcher { /* what is not wanted may be NULL */
    /* A call was given to an endpoint of the set with this version. */
    void (*on_pick)(void *arg, uint64_t set_version, const char *peer);
    /* A set was applied: picks from now on use it. */
    void (*on_applied)(void *arg, uint64_t set_version);
    /* Discovery told a set, which was applied, or why there is none that can be used. */
    void (*on_set)(void *arg, struct fl_set *set, const struct fl_error *trouble);
    void *arg;
};
void fl_channel_watch(struct fl_channel *channel, const struct fl_channel_watcher *watcher);

/* Every endpoint, in the channel's order, with why it failed since it was last READY (NULL: it did
 * not). On the channel's loop. */
void fl_channel_each_handle(const struct fl_channel *channel,
                            void (*each)(void *arg, struct fl_handle *handle,
                                         const struct fl_error *why),
                            void *arg);

#endif
