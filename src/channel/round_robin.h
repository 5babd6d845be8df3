/* round_robin.h - whose turn it is among those that may take calls now. Pure; one thread.
 *
 * The round is ordered by `order` (older first), so that who stays keeps its place however others
 * come and go; who comes is reached within one round (C6). */
#ifndef FL_CHANNEL_ROUND_ROBIN_H
#define FL_CHANNEL_ROUND_ROBIN_H

#include "base/def.h"

/* Embedded in what is picked. `order` is unique and set once; `in` says whether it is in the round.
 */
struct fl_pick {
    uint64_t order;
    bool in;
};

struct fl_round_robin {
    struct fl_pick **picks;
    size_t count, cap;
    size_t next;    /* whose turn it is */
    uint64_t start; /* the first turn, before which nothing was picked: spreads many clients */
    bool started;
};

void fl_round_robin_init(struct fl_round_robin *round);
void fl_round_robin_deinit(struct fl_round_robin *round);
/* Makes room for `count` picks in all, so that adding cannot fail. FL_ENOMEM. */
FL_MUST int fl_round_robin_reserve(struct fl_round_robin *round, size_t count);
/* Twice is allowed, for both. */
void fl_round_robin_add(struct fl_round_robin *round, struct fl_pick *pick);
void fl_round_robin_remove(struct fl_round_robin *round, struct fl_pick *pick);
/* The next one that `may` take a call now; NULL: none of them. */
struct fl_pick *fl_round_robin_next(struct fl_round_robin *round,
                                    bool (*may)(const struct fl_pick *pick));

#endif
