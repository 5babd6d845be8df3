/* weights.h - how much each endpoint of a channel takes: what the program says, and less of it
 * while the endpoint warms up. One loop's thread. */
#ifndef FL_CHANNEL_WEIGHTS_H
#define FL_CHANNEL_WEIGHTS_H

#include "base/timer.h"

struct fl_channel;
struct fl_endpoint;
struct fl_subchannel;

/* Embedded in the subchannel. */
struct fl_warmth {
    uint32_t weight; /* once it is warm; percent */
    bool known;      /* it was connected since it was new or could not be reached */
    bool warming;
    uint64_t since_ms;
};

/* What an endpoint of `weight` takes `since_ms` after it was connected. Pure. */
uint32_t fl_slow_start_weight(uint32_t weight, uint64_t since_ms, uint32_t window_ms);

/* What the program says that an endpoint takes. */
uint32_t fl_channel_weight_of(const struct fl_channel *channel, const struct fl_endpoint *endpoint);
/* The endpoint is new or was changed. */
void fl_channel_weigh(struct fl_channel *channel, struct fl_subchannel *sub, uint32_t weight);
/* Its state changed; before it is placed in the round. */
void fl_channel_warm(struct fl_channel *channel, struct fl_subchannel *sub);
void fl_channel_weights_deinit(struct fl_channel *channel);

#endif
