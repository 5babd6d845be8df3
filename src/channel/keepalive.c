/* keepalive.c - see keepalive.h.
 *
 * Servers count PINGs as strikes unless they permitted them, and end the connection after a few
 * (C10). So there is none by default, none more often than every 10 s, and each complaint doubles
 * the time: from what the connection complained of had, for many endpoints may complain at once. */
#include "channel/keepalive.h"

#include "base/def.h"

#define AFTER_MS_MIN  10000
#define BEFORE_USE_MS 30000

void fl_keepalive_of(const struct fl_channel_options *options, struct fl_keepalive_times *out) {
    static const struct fl_keepalive_times profiles[] = {
        [FL_KEEPALIVE_DEFAULT] = {.after_ms = 0, .timeout_ms = 20000},
        [FL_KEEPALIVE_EAGER] = {.after_ms = 10000, .timeout_ms = 3000, .without_calls = true},
    };
    *out = profiles[options->keepalive == FL_KEEPALIVE_EAGER ? FL_KEEPALIVE_EAGER : 0];
    if (options->keepalive_ms) out->after_ms = FL_MAX(options->keepalive_ms, AFTER_MS_MIN);
    if (options->keepalive_timeout_ms) out->timeout_ms = options->keepalive_timeout_ms;
    if (options->keepalive_without_calls) out->without_calls = true;
    out->before_use_ms = options->ping_before_use_ms ? options->ping_before_use_ms : BEFORE_USE_MS;
}

static uint32_t twice(uint32_t now, uint32_t used) {
    uint32_t doubled = used > UINT32_MAX / 2 ? UINT32_MAX : 2 * used;
    return FL_MAX(now, doubled);
}

void fl_keepalive_calm(struct fl_keepalive_times *times, const struct fl_keepalive_times *used) {
    times->after_ms = twice(times->after_ms, used->after_ms);
    times->before_use_ms = twice(times->before_use_ms, used->before_use_ms);
}
