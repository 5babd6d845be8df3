/* throttle.h - retry throttling (gRFC A6): when many calls of a channel fail, none is tried again.
 * Pure; one thread. */
#ifndef FL_CHANNEL_THROTTLE_H
#define FL_CHANNEL_THROTTLE_H

#include "base/def.h"

#define FL_THROTTLE_TOKENS_MAX 1000

/* In thousandths of a token. Zeroed: never throttles. */
struct fl_throttle {
    uint32_t max, ratio;
    uint32_t tokens;
};

/* Full: `max_tokens` 1 to 1000, `ratio` above 0; of both three decimal places count. */
void fl_throttle_init(struct fl_throttle *throttle, double max_tokens, double ratio);
/* A failure that a policy would try again. False: it must not be now. */
bool fl_throttle_failed(struct fl_throttle *throttle);
void fl_throttle_succeeded(struct fl_throttle *throttle);
/* Has so much failed that nothing is tried again? */
bool fl_throttle_is_low(const struct fl_throttle *throttle);

#endif
