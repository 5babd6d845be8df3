/* chatter.c - see chatter.h. */
#include "chatter.h"

#include <stdio.h>

#include "plan.h"

#define METHOD       "/grpc.examples.echo.Echo/BidirectionalStreamingEcho"
#define MESSAGES_MAX 12
#define GAP_MS_MAX   200
#define TIMEOUT_MS   10000
#define TEXT_MAX     64

/* EchoRequest and EchoResponse {string message = 1}. */
static struct fl_str message_of(const struct chatter *chatter, unsigned number,
                                char out[TEXT_MAX]) {
    int n = snprintf(out + 2, TEXT_MAX - 2, "chatter %u round %u message %u", chatter->number,
                     chatter->round, number);
    out[0] = 0x0a;
    out[1] = (char)n;
    return fl_str_n(out, (size_t)n + 2);
}

static void say_next(struct chatter *chatter) {
    char text[TEXT_MAX];
    struct fl_str message = message_of(chatter, chatter->written, text);
    if (fl_call_write(chatter->call, message.p, message.n) != 0) return; /* its end is on its way */
    if (++chatter->written == chatter->count)
        fl_call_write_end(chatter->call);
    else
        fl_io_timer_set(chatter->io, &chatter->timer,
                        fl_io_now_ms(chatter->io) + fl_random_below(chatter->random, GAP_MS_MAX));
}

static void run_timer(struct fl_timer *timer) {
    say_next(FL_CONTAINER(timer, struct chatter, timer));
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct chatter *chatter = arg;
    char text[TEXT_MAX];
    FL_UNUSED(call);
    struct fl_str expected = message_of(chatter, chatter->heard, text);
    if (!fl_str_eq(expected, fl_str_n(bytes, len)))
        verdict_broken(chatter->oracle->verdict, BREACH_CALL,
                       "a stream brought something else than message %u of chatter %u",
                       chatter->heard, chatter->number);
    chatter->heard++;
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct chatter *chatter = arg;
    if (result->status == FL_STATUS_OK && chatter->heard != chatter->count)
        verdict_broken(chatter->oracle->verdict, BREACH_CALL,
                       "a stream ended OK with %u of %u messages", chatter->heard, chatter->count);
    fl_io_timer_clear(chatter->io, &chatter->timer);
    chatter->call = NULL;
    oracle_call_ended(chatter->oracle, &chatter->judged, result);
    chatter->on_end(chatter, result);
}

static const struct fl_call_events events = {.on_message = on_message, .on_end = on_end};

void chatter_start(struct chatter *chatter) {
    static const struct fl_call_options options = {.timeout_ms = TIMEOUT_MS};
    chatter->round++;
    chatter->count = (unsigned)plan_draw(chatter->random, 1, MESSAGES_MAX);
    chatter->written = chatter->heard = 0;
    oracle_call_started(chatter->oracle, &chatter->judged);
    chatter->judged.excused = true;
    int rc =
        fl_call_start(chatter->channel, METHOD, &options, &events, chatter, &chatter->call, NULL);
    FL_ASSERT(rc == 0);
    say_next(chatter);
}

int chatter_init(struct chatter *chatter) {
    return fl_io_timer_init(chatter->io, &chatter->timer, run_timer);
}

void chatter_deinit(struct chatter *chatter) { fl_io_timer_deinit(chatter->io, &chatter->timer); }
