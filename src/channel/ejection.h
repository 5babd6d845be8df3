/* ejection.h - passive health: a channel's endpoints that fail more than the others get no calls
 * for a while. One loop's thread. */
#ifndef FL_CHANNEL_EJECTION_H
#define FL_CHANNEL_EJECTION_H

#include "balance/candidate.h"
#include "balance/outlier.h"
#include "base/metrics.h"
#include "base/timer.h"

struct fl_channel;

struct fl_ejection {
    struct fl_outlier_host **hosts; /* room for every endpoint */
    size_t cap;
    struct fl_timer timer; /* the next inspection */
    bool panic;            /* too few are left: ejected ones get calls like the others */
};

void fl_channel_ejection_deinit(struct fl_channel *channel);
/* Makes room for `count` endpoints in all. FL_ENOMEM. */
FL_MUST int fl_channel_ejection_reserve(struct fl_channel *channel, size_t count);
/* After each choice of endpoints: inspections go on while there are any, and panic begins or ends.
 */
void fl_channel_eject(struct fl_channel *channel, const struct fl_candidate *list, size_t count);

#endif
