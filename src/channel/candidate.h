/* candidate.h - an endpoint that may take calls by what discovery says, on the way to the choice of
 * those that the channel is connected to. */
#ifndef FL_CHANNEL_CANDIDATE_H
#define FL_CHANNEL_CANDIDATE_H

#include "base/def.h"

struct fl_subchannel;

struct fl_candidate {
    struct fl_subchannel *sub;
    uint64_t score; /* its place in this channel's own random order */
    bool ready;     /* it is connected */
    bool failed;    /* it could not be reached since it was last connected */
    bool wanted;    /* it was chosen before */
    bool chosen;    /* the answer */
};

#endif
