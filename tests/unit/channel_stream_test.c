/* Streaming calls on the virtual world: messages both ways, metadata, back-pressure, ends. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "support/bed.h"
#include "support/peer.h"
#include "wire/grpc.h"

#define METHOD "/grpc.testing.TestService/FullDuplexCall"
#define MIB    ((size_t)1024 * 1024)

/* --- a server that does what each test tells it to --- */

struct server {
    struct fl_peer peer;
    struct fl_http_stream *stream; /* the newest one, while it is open */
    bool echo, deaf;               /* deaf: gives nothing back to the client's window */
    unsigned refuse;               /* so many streams are refused first */
    bool refuse_late;              /* only when their first bytes came */
    size_t unread;
    uint64_t got;
    bool got_end;
    uint32_t h2_code; /* of the client's reset */
    int ended;        /* why, of the newest stream */
    struct fl_http_header headers[4];
    size_t header_count;
    char seen[512]; /* the request's custom metadata as "name=value;" */
};

static struct server server;

static void respond(struct fl_http_stream *stream) {
    struct fl_http_header list[8] = {{FL_STR("content-type"), FL_STR("application/grpc")}};
    memcpy(list + 1, server.headers, server.header_count * sizeof(*list));
    struct fl_http_response head = {200, {list, server.header_count + 1}};
    assert_int_equal(fl_http_stream_respond(stream, &head, false), 0);
}

static void finish(const char *status) {
    struct fl_http_header list[] = {{FL_STR("grpc-status"), fl_str_of(status)},
                                    {FL_STR("grpc-message"), FL_STR("the%20end")},
                                    {FL_STR("x-trailing-bin"), FL_STR("AP8")}};
    assert_int_equal(fl_http_stream_trailers(server.stream, (struct fl_http_headers){list, 3}), 0);
}

static void refuse(struct fl_http_stream *stream) {
    struct fl_error why = {FL_ESHUTDOWN, ""};
    server.refuse--;
    fl_http_stream_reset(stream, 7, &why);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    server.got += bytes.n;
    if (server.deaf)
        server.unread += bytes.n;
    else
        fl_http_stream_consume(stream, bytes.n);
    if (server.refuse > 0) {
        refuse(stream);
        return;
    }
    if (server.echo) assert_int_equal(fl_http_stream_write(stream, bytes, false), 0);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    server.got_end = true;
    if (server.echo) finish("0");
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(arg);
    if (server.stream != stream) return;
    server.stream = NULL;
    server.ended = why->code;
    server.h2_code = h2_code;
}

static const struct fl_http_stream_events stream_events = {
    .on_data = on_data, .on_end = on_end, .on_close = on_close};

static void on_request(struct fl_peer *peer, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(peer);
    fl_http_stream_attach(stream, &stream_events, NULL);
    server.got = 0;
    server.got_end = false;
    server.stream = stream;
    server.seen[0] = '\0';
    for (size_t i = 0; i < head->headers.count; i++) {
        const struct fl_http_header *h = &head->headers.list[i];
        size_t at = strlen(server.seen);
        if (fl_str_starts(h->name, FL_STR("x-")))
            snprintf(server.seen + at, sizeof(server.seen) - at, "%.*s=%.*s;", FL_STR_ARG(h->name),
                     FL_STR_ARG(h->value));
    }
    if (server.refuse > 0 && !server.refuse_late) {
        refuse(stream);
        return;
    }
    if (server.refuse == 0 && (server.echo || server.header_count > 0)) respond(stream);
}

/* --- a client that remembers --- */

struct client {
    struct fl_call *call;
    unsigned headers, messages, ended, writable;
    size_t bytes;
    bool in_order, cancel_at_message, pause_at_message;
    enum fl_status status;
    int why;
    unsigned attempts, retries;
    char message[256], metadata[512];
};

static void remember(struct client *client, const struct fl_metadata_list *metadata) {
    for (size_t i = 0; i < metadata->count; i++) {
        const struct fl_metadata *m = &metadata->list[i];
        size_t at = strlen(client->metadata);
        assert_int_equal(((const char *)m->value)[m->len], '\0');
        snprintf(client->metadata + at, sizeof(client->metadata) - at, "%s=", m->name);
        for (size_t k = 0; k < m->len; k++) {
            unsigned char c = ((const unsigned char *)m->value)[k];
            at = strlen(client->metadata);
            snprintf(client->metadata + at, sizeof(client->metadata) - at,
                     c < ' ' || c > '~' ? "\\%02x" : "%c", c);
        }
        at = strlen(client->metadata);
        snprintf(client->metadata + at, sizeof(client->metadata) - at, ";");
    }
}

static void on_headers(void *arg, struct fl_call *call, const struct fl_metadata_list *headers) {
    struct client *client = arg;
    assert_ptr_equal(call, client->call);
    client->headers++;
    remember(client, headers);
}

/* The n-th message begins with the byte n. */
static void on_message(void *arg, struct fl_call *call, const void *bytes, size_t len) {
    struct client *client = arg;
    assert_int_equal(client->ended, 0);
    if (len > 0 && *(const unsigned char *)bytes != (client->messages & 0xff))
        client->in_order = false;
    client->messages++;
    client->bytes += len;
    if (client->cancel_at_message) fl_call_cancel(call);
    if (client->pause_at_message) fl_call_pause(call, true);
}

static void on_writable(void *arg, struct fl_call *call) {
    struct client *client = arg;
    FL_UNUSED(call);
    assert_int_equal(client->ended, 0);
    client->writable++;
}

static void on_call_end(void *arg, const struct fl_call_result *result) {
    struct client *client = arg;
    client->ended++;
    client->status = result->status;
    client->why = result->why->code;
    client->attempts = result->attempts;
    client->retries = result->transparent_retries;
    snprintf(client->message, sizeof(client->message), "%s", result->message);
    remember(client, &result->trailers);
    assert_null(result->response);
}

static const struct fl_call_events call_events = {.on_headers = on_headers,
                                                  .on_message = on_message,
                                                  .on_writable = on_writable,
                                                  .on_end = on_call_end};

static void open_call(struct fl_bed *bed, struct client *client,
                      const struct fl_call_options *options) {
    *client = (struct client){.in_order = true};
    int rc =
        fl_call_start(bed->channel, METHOD, options, &call_events, client, &client->call, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(client->ended, 0);
}

static void start(struct fl_bed *bed, const struct fl_world_options *world) {
    fl_bed_start(bed, world);
    server = (struct server){.echo = true};
    fl_peer_start(&server.peer, bed->io, "10.0.0.1", FL_BED_PORT, FL_PEER_HTTP);
    server.peer.on_request = on_request;
    fl_bed_open(bed, NULL);
    fl_bed_publish(bed, 1);
}

static void stop(struct fl_bed *bed) {
    fl_peer_stop(&server.peer);
    fl_bed_stop(bed);
}

static int write_message(struct client *client, unsigned char first, size_t len) {
    static unsigned char bytes[6 * 1024 * 1024];
    bytes[0] = first;
    return fl_call_write(client->call, bytes, len);
}

/* --- messages --- */

/* The interoperability case ping_pong, and messages written before anything is connected. */
static void test_messages_both_ways(void **state) {
    FL_UNUSED(state);
    static const size_t sizes[] = {27182, 8, 1828, 45904, 0, 1};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fl_bed bed;
        struct client client;
        start(&bed, &(struct fl_world_options){.seed = seed, .chop = true});
        open_call(&bed, &client, &(struct fl_call_options){.timeout_ms = 60000});
        for (size_t i = 0; i < FL_COUNT(sizes); i++) {
            assert_int_equal(write_message(&client, (unsigned char)i, sizes[i]), 0);
            if (seed % 2) fl_world_run_ms(bed.world, 1000);
        }
        fl_call_write_end(client.call);
        fl_call_write_end(client.call);
        assert_int_equal(write_message(&client, 0, 1), FL_ESHUTDOWN);
        fl_world_run_ms(bed.world, 2000);
        assert_int_equal(client.headers, 1);
        assert_int_equal(client.messages, FL_COUNT(sizes));
        assert_int_equal(client.bytes, 27182 + 8 + 1828 + 45904 + 1);
        assert_true(client.in_order);
        assert_int_equal(client.ended, 1);
        assert_int_equal(client.status, FL_STATUS_OK);
        assert_string_equal(client.message, "the end");
        assert_string_equal(client.metadata, "x-trailing-bin=\\00\\ff;");
        assert_int_equal(client.attempts, 1);
        stop(&bed);
    }
}

/* More than the connection's queue takes at once. */
static void test_message_larger_than_any_queue(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    server.echo = false;
    open_call(&bed, &client, NULL);
    assert_int_equal(write_message(&client, 0, 5 * MIB), 0);
    assert_int_equal(write_message(&client, 0, 1), FL_EFULL);
    fl_call_write_end(client.call);
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(server.got, 5 * MIB + 5);
    assert_true(server.got_end);
    assert_int_equal(client.writable, 0); /* nothing can be written any more */
    fl_bed_close(&bed);
    assert_int_equal(client.status, FL_STATUS_CANCELLED);
    stop(&bed);
}

static void test_call_without_messages(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    open_call(&bed, &client, NULL);
    fl_call_write_end(client.call);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.status, FL_STATUS_OK);
    assert_int_equal(client.messages, 0);
    stop(&bed);
}

/* The server has said all: what the client still wanted to say does not matter. */
static void test_server_ends_first(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    open_call(&bed, &client, NULL);
    assert_int_equal(write_message(&client, 0, 100), 0);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.messages, 1);
    finish("9");
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.status, FL_STATUS_FAILED_PRECONDITION);
    assert_null(server.stream); /* no half-open stream stays */
    stop(&bed);
}

static void test_stream_that_ends_in_the_middle_of_a_message(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    open_call(&bed, &client, NULL);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(fl_http_stream_write(server.stream, fl_str_n("\0\0\0\0\5hel", 8), false), 0);
    finish("0");
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.status, FL_STATUS_INTERNAL);
    assert_int_equal(client.why, FL_EPROTO);
    stop(&bed);
}

/* --- metadata --- */

#define TEXT(name, value)                                                                          \
    { name, value, sizeof(value) - 1 }

static void test_metadata_both_ways(void **state) {
    FL_UNUSED(state);
    static const struct fl_metadata sent[] = {TEXT("x-text", "a b"), TEXT("x-text", "again"),
                                              TEXT("x-empty", ""), TEXT("x-data-bin", "\0\377\1"),
                                              TEXT("x-none-bin", "")};
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    server.headers[0] = (struct fl_http_header){FL_STR("x-initial"), FL_STR("hello")};
    server.headers[1] = (struct fl_http_header){FL_STR("x-two-bin"), FL_STR("AA==,/w")};
    server.headers[2] = (struct fl_http_header){FL_STR("x-bad-bin"), FL_STR("A")};
    server.headers[3] = (struct fl_http_header){FL_STR("grpc-accept-encoding"), FL_STR("gzip")};
    server.header_count = 4;
    struct fl_call_options options = {.metadata = {sent, FL_COUNT(sent)}};
    open_call(&bed, &client, &options);
    fl_call_write_end(client.call);
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(server.seen,
                        "x-text=a b;x-text=again;x-empty=;x-data-bin=AP8B;x-none-bin=;");
    assert_string_equal(client.metadata,
                        "x-initial=hello;x-two-bin=\\00;x-two-bin=\\ff;x-trailing-bin=\\00\\ff;");
    stop(&bed);
}

static void expect_metadata(void *arg, const struct fl_call_result *result) {
    unsigned *ended = arg;
    ++*ended;
    assert_int_equal(result->status, FL_STATUS_OK);
    assert_int_equal(result->headers.count, 1);
    assert_string_equal(result->headers.list[0].name, "x-initial");
    assert_string_equal(result->headers.list[0].value, "hello");
    assert_int_equal(result->trailers.count, 1);
    assert_string_equal(result->trailers.list[0].name, "x-trailing-bin");
    assert_memory_equal(result->trailers.list[0].value, "\0\377", 3);
    assert_int_equal(result->attempts, 1);
}

static void test_metadata_of_a_unary_call(void **state) {
    FL_UNUSED(state);
    static struct fl_metadata many[40];
    struct fl_bed bed;
    unsigned ended = 0;
    start(&bed, NULL);
    server.headers[0] = (struct fl_http_header){FL_STR("x-initial"), FL_STR("hello")};
    server.header_count = 1;
    for (size_t i = 0; i < FL_COUNT(many); i++) many[i] = (struct fl_metadata)TEXT("x-m", "1");
    struct fl_call_options options = {.metadata = {many, FL_COUNT(many)}};
    int rc =
        fl_call_unary(bed.channel, METHOD, "hi", 2, &options, expect_metadata, &ended, NULL, NULL);
    assert_int_equal(rc, 0);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(ended, 1);
    assert_int_equal(strlen(server.seen), FL_COUNT(many) * strlen("x-m=1;"));
    stop(&bed);
}

static void test_what_is_no_metadata(void **state) {
    FL_UNUSED(state);
    static char large[64 * 1024 + 1];
    static const struct {
        struct fl_metadata entry;
        int rc;
    } rows[] = {
        {TEXT("X-Upper", "v"), FL_EUSAGE},
        {TEXT("", "v"), FL_EUSAGE},
        {TEXT(":path", "v"), FL_EUSAGE},
        {TEXT("a b", "v"), FL_EUSAGE},
        {TEXT("grpc-timeout", "v"), FL_EUSAGE},
        {TEXT("grpc-new", "v"), FL_EUSAGE},
        {TEXT("te", "v"), FL_EUSAGE},
        {TEXT("content-type", "v"), FL_EUSAGE},
        {TEXT("connection", "v"), FL_EUSAGE},
        {TEXT("host", "v"), FL_EUSAGE},
        {TEXT("content-length", "1"), FL_EUSAGE},
        {TEXT("user-agent", "v"), FL_EUSAGE},
        {TEXT("transfer-encoding", "v"), FL_EUSAGE},
        {TEXT("x", "a\n"), FL_EUSAGE},
        {TEXT("x", "\303\251"), FL_EUSAGE},
        {TEXT("x", " v"), FL_EUSAGE},
        {TEXT("x", "v "), FL_EUSAGE},
        {{NULL, "v", 1}, FL_EUSAGE},
        {{"x", NULL, 1}, FL_EUSAGE},
        {{"x-bin", large, 60000}, FL_ETOO_LARGE},
        {{"x-bin", large, sizeof(large)}, FL_EUSAGE},
    };
    struct fl_bed bed;
    struct fl_call *call = NULL;
    struct fl_error err;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_call_options options = {.metadata = {&rows[i].entry, 1}};
        int rc = fl_call_start(bed.channel, METHOD, &options, &call_events, NULL, &call, &err);
        assert_int_equal(rc, rows[i].rc);
        assert_null(call);
        if (rc == FL_EUSAGE && rows[i].entry.name) /* the key is named */
            assert_non_null(strstr(err.detail, rows[i].entry.name));
    }
    fl_bed_stop(&bed);
}

/* --- back-pressure --- */

static void test_writer_is_held_back(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    server.echo = false;
    server.deaf = true;
    open_call(&bed, &client, NULL);
    fl_world_run_ms(bed.world, 100);
    unsigned taken = 0;
    int rc;
    while ((rc = write_message(&client, 0, 64 * 1024)) == 0) {
        taken++;
        fl_world_run_ms(bed.world, 10);
    }
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(client.writable, 0);
    size_t window = (size_t)server.got;
    assert_true(taken * (64 * 1024 + 5) - window < FL_CALL_QUEUE_BYTES_MAX + 64 * 1024 + 5);
    server.deaf = false;
    fl_http_stream_consume(server.stream, server.unread);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.writable, 1);
    assert_int_equal(server.got, taken * (64 * 1024 + 5));
    assert_int_equal(write_message(&client, 0, 1), 0);
    fl_call_cancel(client.call);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.status, FL_STATUS_CANCELLED);
    assert_int_equal(server.h2_code, 8);
    stop(&bed);
}

/* What is written before there is anybody to send it to has the same bound. */
static void test_writer_is_held_back_while_waiting(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    server.echo = false;
    fl_hand_publish(bed.hand, FL_SET_UNKNOWN, NULL, 0);
    open_call(&bed, &client, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    unsigned taken = 0;
    while (write_message(&client, 0, 64 * 1024) == 0) taken++;
    assert_int_equal(taken, 32);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(server.got, 32 * (64 * 1024 + 5));
    assert_int_equal(client.writable, 1);
    fl_call_cancel(client.call);
    fl_world_run_ms(bed.world, 100);
    stop(&bed);
}

static void send_messages(unsigned count, size_t len) {
    static unsigned char frame[70000];
    for (unsigned i = 0; i < count; i++) {
        fl_grpc_prefix((uint32_t)len, frame);
        frame[FL_GRPC_PREFIX] = (unsigned char)i;
        int rc = fl_http_stream_write(server.stream, fl_str_n(frame, FL_GRPC_PREFIX + len), false);
        assert_int_equal(rc, 0);
    }
}

static void test_paused_reader_holds_the_server_back(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, &(struct fl_world_options){.seed = 3, .chop = true});
    open_call(&bed, &client, NULL);
    fl_world_run_ms(bed.world, 100);
    fl_call_pause(client.call, true);
    send_messages(60, 65000);
    finish("0");
    fl_world_run_ms(bed.world, 10000);
    assert_int_equal(client.messages, 0);
    assert_int_equal(client.ended, 0);
    assert_true(fl_http_stream_queued(server.stream) > 2 * MIB);
    fl_call_pause(client.call, false);
    assert_int_equal(client.messages, 0); /* never from within the call */
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(client.messages, 60);
    assert_true(client.in_order);
    assert_int_equal(client.status, FL_STATUS_OK);
    stop(&bed);
}

/* What slow readers have not taken does not use up the window of the connection they share. */
static void test_paused_readers_do_not_hold_others_back(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client paused[6], other;
    start(&bed, NULL);
    for (size_t i = 0; i < FL_COUNT(paused); i++) {
        open_call(&bed, &paused[i], NULL);
        fl_call_pause(paused[i].call, true);
        fl_world_run_ms(bed.world, 100);
        send_messages(40, 65000);
        fl_world_run_ms(bed.world, 1000);
        assert_true(fl_http_stream_queued(server.stream) > MIB); /* its own window is used up */
    }
    open_call(&bed, &other, NULL);
    fl_world_run_ms(bed.world, 100);
    send_messages(10, 65000);
    finish("0");
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(other.messages, 10);
    assert_int_equal(other.status, FL_STATUS_OK);
    for (size_t i = 0; i < FL_COUNT(paused); i++) fl_call_pause(paused[i].call, false);
    fl_world_run_ms(bed.world, 1000);
    for (size_t i = 0; i < FL_COUNT(paused); i++) {
        assert_int_equal(paused[i].messages, 40);
        assert_true(paused[i].in_order);
    }
    stop(&bed);
}

/* Each message pauses the call, which goes on when its owner says so; the end waits its turn. */
static void test_one_message_at_a_time(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    open_call(&bed, &client, NULL);
    client.pause_at_message = true;
    fl_world_run_ms(bed.world, 100);
    send_messages(20, 100);
    finish("0");
    for (unsigned i = 1; i <= 20; i++) {
        fl_world_run_ms(bed.world, 100);
        assert_int_equal(client.messages, i);
        assert_int_equal(client.ended, i == 20);
        if (i < 20) fl_call_pause(client.call, false);
    }
    assert_true(client.in_order);
    assert_int_equal(client.status, FL_STATUS_OK);
    stop(&bed);
}

static void test_paused_call_ends_by_deadline_cancel_and_close(void **state) {
    FL_UNUSED(state);
    for (int how = 0; how < 3; how++) {
        struct fl_bed bed;
        struct client client;
        start(&bed, NULL);
        open_call(&bed, &client, &(struct fl_call_options){.timeout_ms = 500});
        fl_world_run_ms(bed.world, 100);
        fl_call_pause(client.call, true);
        send_messages(3, 100);
        finish("0");
        fl_world_run_ms(bed.world, 100);
        assert_int_equal(client.ended, 0);
        if (how == 0) fl_world_run_ms(bed.world, 1000);
        if (how == 1) {
            fl_call_pause(client.call, false); /* not yet resumed when the end comes */
            fl_call_cancel(client.call);
        }
        if (how == 2) fl_bed_close(&bed);
        fl_world_run_ms(bed.world, 10);
        assert_int_equal(client.ended, 1);
        assert_int_equal(client.messages, 0);
        assert_int_equal(client.status,
                         how == 0 ? FL_STATUS_DEADLINE_EXCEEDED : FL_STATUS_CANCELLED);
        stop(&bed);
    }
}

/* --- ends --- */

static void test_refused_stream_is_sent_again_whole(void **state) {
    FL_UNUSED(state);
    for (int late = 0; late < 2; late++) {
        struct fl_bed bed;
        struct client client;
        start(&bed, NULL);
        server.refuse = 1;
        server.refuse_late = late;
        open_call(&bed, &client, NULL);
        for (unsigned char i = 0; i < 10; i++) {
            assert_int_equal(write_message(&client, i, 1000), 0);
            fl_world_run_ms(bed.world, 1);
        }
        fl_call_write_end(client.call);
        fl_world_run_ms(bed.world, 100);
        assert_int_equal(client.messages, 10);
        assert_true(client.in_order);
        assert_int_equal(client.status, FL_STATUS_OK);
        assert_int_equal(client.attempts, 2);
        assert_int_equal(client.retries, 1);
        stop(&bed);
    }
}

/* Beyond the replay buffer the call is bound to the attempt that has it. */
static void test_large_stream_is_not_sent_again(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    server.refuse = 1;
    server.refuse_late = true;
    open_call(&bed, &client, NULL);
    for (unsigned char i = 0; i < 5; i++) assert_int_equal(write_message(&client, i, 64 * 1024), 0);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(client.why, FL_ESTREAM_REFUSED);
    assert_int_equal(client.attempts, 1);
    stop(&bed);
}

static void test_cancel_from_within_a_message(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    open_call(&bed, &client, NULL);
    client.cancel_at_message = true;
    fl_world_run_ms(bed.world, 100);
    send_messages(3, 100);
    finish("0");
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(client.messages, 1);
    assert_int_equal(client.ended, 1);
    assert_int_equal(client.status, FL_STATUS_CANCELLED);
    stop(&bed);
}

static void test_close_at_every_step_ends_the_stream(void **state) {
    FL_UNUSED(state);
    for (int steps = 0; steps < 60; steps++) {
        struct fl_bed bed;
        struct client client;
        start(&bed, &(struct fl_world_options){.seed = (uint64_t)steps, .chop = true});
        open_call(&bed, &client, NULL);
        assert_int_equal(write_message(&client, 0, 5000), 0);
        for (int i = 0; i < steps; i++) fl_world_step(bed.world);
        fl_bed_close(&bed);
        assert_int_equal(client.ended, 1);
        assert_int_equal(client.status, FL_STATUS_CANCELLED);
        stop(&bed);
    }
}

static void test_unary_calls_cannot_write(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_bed_call(&bed, &call, NULL);
    assert_int_equal(fl_call_write(call.call, "x", 1), FL_EUSAGE);
    fl_bed_stop(&bed);
    assert_int_equal(call.status, FL_STATUS_CANCELLED);
}

/* Whatever allocation fails: the call is refused, or ends once; nothing leaks. */
static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    static const struct fl_metadata sent[] = {TEXT("x-data-bin", "\0\377\1")};
    struct fl_bed bed;
    struct client client;
    start(&bed, NULL);
    fl_world_run_ms(bed.world, 100);
    FL_TEST_EACH_FAILURE(n) {
        client = (struct client){.in_order = true};
        struct fl_call_options options = {.timeout_ms = 1000, .metadata = {sent, 1}};
        int rc =
            fl_call_start(bed.channel, METHOD, &options, &call_events, &client, &client.call, NULL);
        if (rc == 0) {
            rc = write_message(&client, 0, 300);
            if (rc != FL_ENOMEM && rc != FL_ESHUTDOWN) assert_int_equal(rc, 0);
            fl_call_write_end(client.call);
            fl_world_run_ms(bed.world, 1);
            fl_test_alloc_fail_at(0); /* what the server does without memory is not the matter */
            fl_world_run_ms(bed.world, 5000);
            assert_int_equal(client.ended, 1);
        } else {
            assert_int_equal(rc, FL_ENOMEM);
            assert_null(client.call);
        }
    }
    stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_both_ways),
        cmocka_unit_test(test_message_larger_than_any_queue),
        cmocka_unit_test(test_call_without_messages),
        cmocka_unit_test(test_server_ends_first),
        cmocka_unit_test(test_stream_that_ends_in_the_middle_of_a_message),
        cmocka_unit_test(test_metadata_both_ways),
        cmocka_unit_test(test_metadata_of_a_unary_call),
        cmocka_unit_test(test_what_is_no_metadata),
        cmocka_unit_test(test_writer_is_held_back),
        cmocka_unit_test(test_writer_is_held_back_while_waiting),
        cmocka_unit_test(test_paused_reader_holds_the_server_back),
        cmocka_unit_test(test_paused_readers_do_not_hold_others_back),
        cmocka_unit_test(test_one_message_at_a_time),
        cmocka_unit_test(test_paused_call_ends_by_deadline_cancel_and_close),
        cmocka_unit_test(test_refused_stream_is_sent_again_whole),
        cmocka_unit_test(test_large_stream_is_not_sent_again),
        cmocka_unit_test(test_cancel_from_within_a_message),
        cmocka_unit_test(test_close_at_every_step_ends_the_stream),
        cmocka_unit_test(test_unary_calls_cannot_write),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
