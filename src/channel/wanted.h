/* wanted.h - which endpoints of a channel should be connected. One loop's thread. */
#ifndef FL_CHANNEL_WANTED_H
#define FL_CHANNEL_WANTED_H

#include "balance/candidate.h"

struct fl_channel;

struct fl_wanted {
    struct fl_candidate *candidates; /* room for every endpoint */
    size_t cap;
    uint64_t seed; /* of this channel's own random order */
    bool due;      /* a state changed on which the choice may depend */
};

void fl_channel_wanted_init(struct fl_channel *channel);
void fl_channel_wanted_deinit(struct fl_channel *channel);
/* Makes room for `count` endpoints in all. FL_ENOMEM. */
FL_MUST int fl_channel_wanted_reserve(struct fl_channel *channel, size_t count);

/* Chooses anew: what is chosen connects, what is not any more lets its connection go when its calls
 * are done; what may not take calls keeps what it has. After every set, of all endpoints. */
void fl_channel_want(struct fl_channel *channel);
/* Does the choice of each endpoint depend on that endpoint alone? Then fl_channel_want_one does for
 * one that a set changed what fl_channel_want does for all. */
bool fl_channel_wants_alone(const struct fl_channel *channel);
void fl_channel_want_one(struct fl_channel *channel, struct fl_subchannel *sub);
/* The choice anew if a state changed since. */
void fl_channel_want_if_due(struct fl_channel *channel);

#endif
