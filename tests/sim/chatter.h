/* chatter.h - somebody who talks to a channel in both directions, one streaming call at a time.
 *
 * Each message is written a moment after the last one and must come back as it was, in its order,
 * once; a call that ends OK has brought back all of them. One world; its thread. */
#ifndef FL_TEST_CHATTER_H
#define FL_TEST_CHATTER_H

#include "oracle.h"

struct chatter {
    struct fl_io *io;
    struct fl_random *random;
    struct oracle *oracle;
    struct fl_channel *channel;
    void (*on_end)(struct chatter *chatter, const struct fl_call_result *result);
    unsigned number, round;
    unsigned count, written, heard; /* messages: of this call, and of them */
    struct fl_timer timer;          /* the next message */
    struct fl_call *call;
    struct oracle_call judged;
};

/* All but the timer was set by its owner. FL_ENOMEM. */
FL_MUST int chatter_init(struct chatter *chatter);
void chatter_deinit(struct chatter *chatter);
/* None of its calls is open. */
void chatter_start(struct chatter *chatter);

#endif
