/* load_calls.h - unary calls at a steady rate, each accounted for. One thread. */
#ifndef FL_TEST_LOAD_CALLS_H
#define FL_TEST_LOAD_CALLS_H

#include "peers/driver/load_account.h"

struct load_calls {
    struct fl_channel *channel;
    struct fl_call_options options;
    unsigned rate; /* a second */
    struct load_account account;
    int64_t last_ms;
    unsigned rest; /* thousandths of a call that are due */
};

/* Starts what is due since the last step; `held_back`: lets it pass. */
void load_calls_step(struct load_calls *calls, bool held_back);
/* No call is under way. */
bool load_calls_ended(const struct load_calls *calls);

#endif
