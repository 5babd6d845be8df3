/* backoff.h - exponential backoff with jitter.
 *
 * Pure: no clock, no thread. The delay grows by `factor` up to `max_ms` and holds there until a
 * success has lasted `reset_ms`, so a long outage costs one attempt per cap and not a fresh burst
 * (see W12). */
#ifndef FL_BASE_BACKOFF_H
#define FL_BASE_BACKOFF_H

#include "base/random.h"

struct fl_backoff_policy {
    uint32_t min_ms, max_ms;
    uint32_t factor_percent; /* 160: x1.6 */
    uint32_t jitter_percent; /* 20: between x0.8 and x1.2; with `upward`: between x1.0 and x1.2 */
    bool jitter_upward;      /* client-go's jitter 1.0 is {100, upward} */
    uint32_t reset_ms;       /* how long a success must last to start anew; 0: any success does */
};

/* client-go's reflector: 800 ms doubled to 30 s, jitter 1.0, and two quiet minutes to start anew.
 * Unlike there the cap holds in a long outage. */
extern const struct fl_backoff_policy fl_backoff_client_go;

struct fl_backoff {
    const struct fl_backoff_policy *policy;
    uint64_t success_at_ms;
    uint32_t delay_ms; /* before jitter; 0: no failure yet */
    bool succeeded;
};

/* The policy outlives it. */
void fl_backoff_init(struct fl_backoff *b, const struct fl_backoff_policy *policy);
void fl_backoff_success(struct fl_backoff *b, uint64_t now_ms); /* works from now on */
/* A failure at now_ms: milliseconds to wait before the next attempt. */
uint64_t fl_backoff_failure(struct fl_backoff *b, uint64_t now_ms, struct fl_random *random);

#endif
