/* throttle.c - a failure costs a token, a success gives `ratio` of one; at half of them or below
 * nothing is tried again. */
#include "channel/throttle.h"

#define TOKEN 1000u

void fl_throttle_init(struct fl_throttle *throttle, double max_tokens, double ratio) {
    throttle->max = throttle->tokens = (uint32_t)(max_tokens * TOKEN);
    throttle->ratio = (uint32_t)FL_MAX(FL_MIN(ratio, max_tokens) * TOKEN, 1.0);
}

bool fl_throttle_is_low(const struct fl_throttle *throttle) {
    return throttle->max > 0 && throttle->tokens <= throttle->max / 2;
}

bool fl_throttle_failed(struct fl_throttle *throttle) {
    throttle->tokens -= FL_MIN(throttle->tokens, TOKEN);
    return !fl_throttle_is_low(throttle);
}

void fl_throttle_succeeded(struct fl_throttle *throttle) {
    throttle->tokens = FL_MIN(throttle->tokens + throttle->ratio, throttle->max);
}
