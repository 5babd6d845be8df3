/* widen.c - another connection when calls wait at the peer's limit of streams (C13).
 *
 * A server's MAX_CONCURRENT_STREAMS bounds a connection, not a client. When calls wait although
 * endpoints are READY, one of these gets another connection, up to connections_max each. One at the
 * end of a turn, to one with the fewest: what it brings is seen before the next is opened. */
#include "channel/state.h"

static bool is_full(const struct fl_subchannel *sub) {
    return sub->wanted && sub->state == FL_CHANNEL_READY && !fl_subchannel_usable(sub);
}

void fl_channel_widen(struct fl_channel *channel) {
    struct fl_subchannel *best = NULL;
    size_t width_min = SIZE_MAX, equals = 0;
    FL_LIST_EACH (&channel->loop_data.sub_list, item, next) {
        struct fl_subchannel *sub = FL_CONTAINER(item, struct fl_subchannel, link);
        if (!is_full(sub) || !fl_subchannel_may_widen(sub)) continue;
        size_t width = fl_subchannel_width(sub);
        if (width > width_min) continue;
        equals = width == width_min ? equals + 1 : 1;
        width_min = width;
        /* One of equals by chance: many clients must not all choose the first. */
        if (fl_random_below(&channel->io->jitter, equals) == 0) best = sub;
    }
    if (best) fl_subchannel_widen(best);
}
