/* retry.c - see retry.h. */
#include "channel/retry.h"

struct fl_pushback fl_pushback_parse(struct fl_str value) {
    uint64_t ms;
    if (!value.p) return (struct fl_pushback){.kind = FL_PUSHBACK_NONE};
    if (!fl_str_u64(value, &ms) || ms > INT32_MAX)
        return (struct fl_pushback){.kind = FL_PUSHBACK_STOP};
    return (struct fl_pushback){.kind = FL_PUSHBACK_WAIT, .ms = (uint32_t)ms};
}

/* "min(initialBackoff * backoffMultiplier^(n-1), maxBackoff) * random(0.8, 1.2)" */
uint32_t fl_retry_delay_ms(const struct fl_retry_policy *policy, unsigned n,
                           struct fl_random *random) {
    double ms = policy->backoff_ms_min;
    for (unsigned i = 1; i < n; i++) ms = FL_MIN(ms * policy->multiplier, 1e9);
    ms = FL_MIN(ms, (double)policy->backoff_ms_max);
    double jitter = 0.8 + 0.4 * (double)fl_random_below(random, 1 << 20) / (1 << 20);
    return (uint32_t)FL_MIN(ms * jitter, (double)UINT32_MAX);
}
