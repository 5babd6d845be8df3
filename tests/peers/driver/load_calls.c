/* load_calls.c - see load_calls.h. */
#include "peers/driver/load_calls.h"

#include <stdlib.h>

#include "base/def.h"
#include "peers/driver/load_loop.h"

#define IN_FLIGHT_MAX 9000
#define CATCH_UP_MS   100 /* what was due before that is not caught up with */

struct pending {
    struct load_calls *calls;
    uint64_t number;
};

static void on_end(void *arg, const struct fl_call_result *result) {
    struct pending *pending = arg;
    load_account_end(&pending->calls->account, pending->number, result, load_now_ms());
    free(pending);
}

static void start_call(struct load_calls *calls) {
    static const char request[] = {10, 4, 'a', 'h', 'o', 'y'}; /* EchoRequest */
    struct pending *pending = malloc(sizeof(*pending));
    struct fl_error err;
    if (!pending) abort();
    *pending = (struct pending){calls, calls->account.started++};
    if (fl_call_unary(calls->channel, "/grpc.examples.echo.Echo/UnaryEcho", request,
                      sizeof(request), &calls->options, on_end, pending, NULL, &err) != 0)
        abort();
}

void load_calls_step(struct load_calls *calls, bool held_back) {
    int64_t now = load_now_ms();
    int64_t passed = calls->last_ms ? FL_MIN(now - calls->last_ms, CATCH_UP_MS) : 0;
    int64_t due = passed * calls->rate + calls->rest;
    calls->last_ms = now;
    calls->rest = (unsigned)(due % 1000);
    if (held_back) return;
    for (int64_t i = 0; i < due / 1000; i++)
        if (calls->account.started - calls->account.ended < IN_FLIGHT_MAX) start_call(calls);
}

bool load_calls_ended(const struct load_calls *calls) {
    return calls->account.ended == calls->account.started;
}
