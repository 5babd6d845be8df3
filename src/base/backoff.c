/* backoff.c - exponential backoff with jitter.
 *
 * Pure: no clock, no thread. A failure multiplies the delay by `factor_percent`, up to `max_ms`,
 * and the delay stays there until a success has lasted `reset_ms`: a peer that accepts and at once
 * fails again is not asked more often than one that refuses (see W12). Jitter comes on top and is
 * not part of what grows. */
#include "base/backoff.h"

const struct fl_backoff_policy fl_backoff_client_go = {
    .min_ms = 800,
    .max_ms = 30000,
    .factor_percent = 200,
    .jitter_percent = 100,
    .jitter_upward = true,
    .reset_ms = 120000,
};

void fl_backoff_init(struct fl_backoff *b, const struct fl_backoff_policy *policy) {
    *b = (struct fl_backoff){.policy = policy};
}

void fl_backoff_success(struct fl_backoff *b, uint64_t now_ms) {
    if (b->succeeded) return;
    b->succeeded = true;
    b->success_at_ms = now_ms;
}

static uint32_t next_delay(const struct fl_backoff *b) {
    if (b->delay_ms == 0) return FL_MIN(b->policy->min_ms, b->policy->max_ms);
    uint64_t grown = ((uint64_t)b->delay_ms * b->policy->factor_percent + 99) / 100;
    return (uint32_t)FL_MIN(grown, b->policy->max_ms);
}

uint64_t fl_backoff_failure(struct fl_backoff *b, uint64_t now_ms, struct fl_random *random) {
    if (b->succeeded && now_ms - b->success_at_ms >= b->policy->reset_ms) b->delay_ms = 0;
    b->succeeded = false;
    b->delay_ms = next_delay(b);
    uint64_t spread = (uint64_t)b->delay_ms * b->policy->jitter_percent / 100;
    if (b->policy->jitter_upward) return b->delay_ms + fl_random_below(random, spread + 1);
    uint64_t least = b->delay_ms - FL_MIN(spread, b->delay_ms);
    return least + fl_random_below(random, 2 * spread + 1);
}
