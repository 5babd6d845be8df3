/* caller.h - somebody who calls a channel, one call at a time, and sometimes loses patience.
 *
 * Every answer must be the one to its own question. One world; its thread. */
#ifndef FL_TEST_CALLER_H
#define FL_TEST_CALLER_H

#include "oracle.h"

struct caller {
    struct fl_io *io;
    struct fl_random *random;
    struct oracle *oracle;
    struct fl_channel *channel;
    /* After each call, of which it tells the oracle. */
    void (*on_end)(struct caller *caller, const struct fl_call_result *result);
    unsigned number, round;
    bool plain;            /* some questions are plain HTTP requests */
    struct fl_timer timer; /* the next call, or the cancelling of this one */
    struct fl_call *call;
    struct oracle_call judged;
    char request[32];
    size_t request_len;
};

/* All but the timer was set by its owner. FL_ENOMEM. */
FL_MUST int caller_init(struct caller *caller);
void caller_deinit(struct caller *caller);
/* Calls within so many ms, unless a call is open. */
void caller_go_on(struct caller *caller, uint32_t pause_ms_max);
/* No more calls; one that is open goes on. */
void caller_stop(struct caller *caller);

#endif
