/* candidate.h - an endpoint that may take calls by what discovery says, on the way to the choice of
 * those that the channel is connected to. */
#ifndef FL_BALANCE_CANDIDATE_H
#define FL_BALANCE_CANDIDATE_H

#include "base/def.h"

#define FL_SHARE_ALL 65536 /* parts of the calls */

struct fl_subchannel;

/* Where an endpoint is, seen from this client; zone.h. */
struct fl_place {
    uint64_t zone; /* hash of its zone's name; 0: none is known */
    bool same_zone;
    bool has_node_hints, for_node; /* it has hints of that kind; one names this client's node */
    bool has_zone_hints, for_zone;
};

struct fl_candidate {
    struct fl_subchannel *sub;
    uint64_t score; /* its place in this channel's own random order */
    struct fl_place place;
    bool ready;   /* it is connected */
    bool failed;  /* it was tried and could not be reached since it was last connected */
    bool ejected; /* it gets no calls for a while */
    bool wanted;  /* it was chosen before */
    bool far;     /* others are preferred */
    bool chosen;  /* the answer */
};

#endif
