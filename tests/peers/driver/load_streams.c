/* load_streams.c - see load_streams.h. */
#include "peers/driver/load_streams.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/def.h"

/* EchoRequest { string message = 1; } with the number in digits. */
#define DIGITS 12
#define LENGTH (2 + DIGITS)

static void encode(uint64_t number, char out[LENGTH + 1]) {
    out[0] = 10;
    out[1] = DIGITS;
    snprintf(out + 2, DIGITS + 1, "%0*" PRIu64, DIGITS, number % 1000000000000);
}

static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    FL_UNUSED(call);
    struct load_stream *stream = arg;
    char wanted[LENGTH + 1];
    encode(stream->number, wanted);
    if (stream->wants_message || len != LENGTH || memcmp(bytes, wanted, LENGTH) != 0) {
        stream->all->wrong++;
        return;
    }
    stream->all->echoes++;
    stream->number++;
    stream->wants_message = true;
}

static void on_end(void *arg, const struct fl_call_result *result) {
    struct load_stream *stream = arg;
    stream->call = NULL;
    stream->all->ends[result->status]++;
}

static void open_stream(struct load_stream *stream) {
    static const struct fl_call_events events = {.on_message = on_message, .on_end = on_end};
    const struct fl_call_options options = {.wait_for_ready = FL_WAIT_YES};
    struct fl_error err;
    if (fl_call_start(stream->all->channel, "/grpc.examples.echo.Echo/BidirectionalStreamingEcho",
                      &options, &events, stream, &stream->call, &err) != 0)
        abort();
    stream->all->opened++;
    stream->wants_message = true;
}

void load_streams_step(struct load_streams *all) {
    for (size_t i = 0; i < all->count; i++) {
        struct load_stream *stream = &all->list[i];
        char message[LENGTH + 1];
        stream->all = all;
        if (!stream->call) open_stream(stream);
        if (!stream->wants_message) continue;
        encode(stream->number, message);
        stream->wants_message = fl_call_write(stream->call, message, LENGTH) != 0;
    }
}

bool load_streams_stop(struct load_streams *all) {
    bool running = false;
    for (size_t i = 0; i < all->count; i++) {
        running |= all->list[i].call != NULL;
        if (all->list[i].call) fl_call_cancel(all->list[i].call);
    }
    return !running;
}

void load_streams_print(const struct load_streams *all, FILE *out) {
    const char *separator = "";
    fprintf(out,
            "\"streams\":{\"echoes\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"opened\":%" PRIu64
            ",\"ends\":{",
            all->echoes, all->wrong, all->opened);
    for (size_t i = 0; i < FL_COUNT(all->ends); i++) {
        if (!all->ends[i]) continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, fl_status_name((enum fl_status)i),
                all->ends[i]);
        separator = ",";
    }
    fprintf(out, "}}");
}
