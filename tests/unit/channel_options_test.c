/* What a call's options change on the wire and in its end: compression, limits, credentials, trace
 * context; and what a service config says of the same. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/trace.h"
#include "support/bed.h"
#include "support/peer.h"
#include "wire/grpc_compression.h"
#include "wire/grpc_frame.h"

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define PARENT   "00-" TRACE_ID "-b7ad6b7169203331-01"

/* --- compression --- */

static const enum fl_compression kinds[] = {FL_COMPRESSION_GZIP, FL_COMPRESSION_DEFLATE};

static void test_round_trip(void **state) {
    FL_UNUSED(state);
    static char bytes[100000];
    for (size_t k = 0; k < FL_COUNT(kinds); k++) {
        for (size_t n = 1; n <= sizeof(bytes); n = n * 3 + 1) {
            struct fl_buf packed, back;
            fl_buf_init(&packed, SIZE_MAX);
            fl_buf_init(&back, n);
            for (size_t i = 0; i < n; i++) bytes[i] = (char)(i * i >> 3);
            assert_int_equal(fl_compress(kinds[k], fl_str_n(bytes, n), &packed), 0);
            assert_int_equal(fl_decompress(kinds[k], fl_buf_str(&packed), &back, NULL), 0);
            assert_true(fl_str_eq(fl_buf_str(&back), fl_str_n(bytes, n)));
            fl_buf_deinit(&packed);
            fl_buf_deinit(&back);
        }
    }
}

/* A thousand times as much as came: memory stays at the bound. */
static void test_bomb_is_bounded(void **state) {
    FL_UNUSED(state);
    static char zeros[1000000];
    struct fl_buf packed, back;
    struct fl_error err;
    fl_buf_init(&packed, SIZE_MAX);
    fl_buf_init(&back, sizeof(zeros) - 1);
    int rc = fl_compress(FL_COMPRESSION_GZIP, fl_str_n(zeros, sizeof(zeros)), &packed);
    assert_int_equal(rc, 0);
    rc = fl_decompress(FL_COMPRESSION_GZIP, fl_buf_str(&packed), &back, &err);
    assert_int_equal(rc, FL_ETOO_LARGE);
    assert_true(back.cap <= sizeof(zeros));
    fl_buf_deinit(&back);
    fl_buf_init(&back, 0);
    rc = fl_decompress(FL_COMPRESSION_GZIP, fl_buf_str(&packed), &back, &err);
    assert_int_equal(rc, FL_ETOO_LARGE);
    fl_buf_deinit(&back);
    fl_buf_deinit(&packed);
}

static void test_broken_compression(void **state) {
    FL_UNUSED(state);
    struct fl_buf packed;
    fl_buf_init(&packed, SIZE_MAX);
    struct fl_str text = FL_STR("a message that is compressed");
    assert_int_equal(fl_compress(FL_COMPRESSION_GZIP, text, &packed), 0);
    struct fl_str whole = fl_buf_str(&packed);
    for (size_t n = 0; n < whole.n; n++) { /* cut anywhere */
        struct fl_buf back;
        fl_buf_init(&back, 100);
        assert_int_equal(fl_decompress(FL_COMPRESSION_GZIP, fl_str_n(whole.p, n), &back, NULL),
                         FL_EPROTO);
        fl_buf_deinit(&back);
    }
    struct fl_buf back;
    fl_buf_init(&back, text.n);
    assert_int_equal(fl_decompress(FL_COMPRESSION_DEFLATE, whole, &back, NULL), FL_EPROTO);
    assert_int_equal(fl_buf_byte(&packed, 'x'), 0);
    assert_int_equal(fl_decompress(FL_COMPRESSION_GZIP, fl_buf_str(&packed), &back, NULL),
                     FL_EPROTO);
    fl_buf_deinit(&back);
    fl_buf_deinit(&packed);
}

static void test_compression_without_memory(void **state) {
    FL_UNUSED(state);
    static char zeros[50000];
    FL_TEST_EACH_FAILURE(n) {
        struct fl_frame frame;
        int rc = fl_frame_init(&frame, FL_COMPRESSION_GZIP, fl_str_n(zeros, sizeof(zeros)));
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc != 0) continue;
        struct fl_buf back;
        fl_buf_init(&back, sizeof(zeros));
        rc = fl_decompress(FL_COMPRESSION_GZIP, frame.body, &back, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_buf_deinit(&back);
        fl_frame_deinit(&frame);
    }
}

/* --- a server that notes what it is asked, and answers what the test says --- */

struct server {
    struct fl_peer peer;
    char encoding[32], accepts[64], traceparent[64], tracestate[64], token[64], timeout[32];
    char body[256];
    size_t body_len;
    const char *answer_encoding;
    const char *answer;
    size_t answer_len;
};

static struct server server;

static void keep(char *out, size_t size, const struct fl_http_request *head, const char *name) {
    fl_str_copy(out, size, fl_http_header_get(head->headers, fl_str_of(name)));
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    FL_UNUSED(arg);
    fl_http_stream_consume(stream, bytes.n);
    size_t n = FL_MIN(bytes.n, sizeof(server.body) - server.body_len);
    memcpy(server.body + server.body_len, bytes.p, n);
    server.body_len += n;
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(arg);
    struct fl_http_header list[2] = {{FL_STR("content-type"), FL_STR("application/grpc")},
                                     {FL_STR("grpc-encoding"), FL_STR_NONE}};
    list[1].value = fl_str_of(server.answer_encoding);
    struct fl_http_response head = {200, {list, server.answer_encoding ? 2 : 1}};
    struct fl_http_header trailer = {FL_STR("grpc-status"), FL_STR("0")};
    assert_int_equal(fl_http_stream_respond(stream, &head, false), 0);
    assert_int_equal(
        fl_http_stream_write(stream, fl_str_n(server.answer, server.answer_len), false), 0);
    assert_int_equal(fl_http_stream_trailers(stream, (struct fl_http_headers){&trailer, 1}), 0);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
}

static const struct fl_http_stream_events stream_events = {
    .on_data = on_data, .on_end = on_end, .on_close = on_close};

static void on_request(struct fl_peer *peer, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(peer);
    fl_http_stream_attach(stream, &stream_events, NULL);
    server.body_len = 0;
    keep(server.encoding, sizeof(server.encoding), head, "grpc-encoding");
    keep(server.accepts, sizeof(server.accepts), head, "grpc-accept-encoding");
    keep(server.traceparent, sizeof(server.traceparent), head, "traceparent");
    keep(server.tracestate, sizeof(server.tracestate), head, "tracestate");
    keep(server.token, sizeof(server.token), head, "authorization");
    keep(server.timeout, sizeof(server.timeout), head, "grpc-timeout");
}

static void start(struct fl_bed *bed, const struct fl_channel_options *options) {
    fl_bed_start(bed, NULL);
    server = (struct server){.answer = "\0\0\0\0\4\12\2hi", .answer_len = 9};
    fl_peer_start(&server.peer, bed->io, "10.0.0.1", FL_BED_PORT, FL_PEER_HTTP);
    server.peer.on_request = on_request;
    fl_bed_open(bed, options);
    fl_bed_publish(bed, 1);
}

static void stop(struct fl_bed *bed) {
    fl_peer_stop(&server.peer);
    fl_bed_stop(bed);
}

struct ended {
    unsigned count;
    enum fl_status status;
    int why;
    size_t len;
    char message[256];
};

static void on_call_end(void *arg, const struct fl_call_result *result) {
    struct ended *ended = arg;
    ended->count++;
    ended->status = result->status;
    ended->why = result->why->code;
    ended->len = result->response_len;
    snprintf(ended->message, sizeof(ended->message), "%s", result->message);
}

static struct ended call(struct fl_bed *bed, const char *request, size_t len,
                         const struct fl_call_options *options) {
    struct ended ended = {0};
    int rc = fl_call_unary(bed->channel, FL_BED_METHOD, request, len, options, on_call_end, &ended,
                           NULL, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(ended.count, 0);
    fl_world_run_ms(bed->world, 100);
    assert_int_equal(ended.count, 1);
    return ended;
}

static void test_request_is_compressed(void **state) {
    FL_UNUSED(state);
    static char zeros[1000];
    struct fl_bed bed;
    start(&bed, &(struct fl_channel_options){.compression = FL_COMPRESSION_GZIP});
    assert_int_equal(call(&bed, zeros, sizeof(zeros), NULL).status, FL_STATUS_OK);
    assert_string_equal(server.encoding, "gzip");
    assert_string_equal(server.accepts, "identity,deflate,gzip");
    assert_true(server.body_len < 100);
    assert_int_equal(server.body[0], 1);
    struct fl_buf back;
    fl_buf_init(&back, sizeof(zeros));
    assert_int_equal(fl_decompress(FL_COMPRESSION_GZIP,
                                   fl_str_n(server.body + 5, server.body_len - 5), &back, NULL),
                     0);
    assert_int_equal(back.len, sizeof(zeros));
    fl_buf_deinit(&back);
    /* What would not become smaller goes as it is. */
    assert_int_equal(call(&bed, "hi", 2, NULL).status, FL_STATUS_OK);
    assert_string_equal(server.encoding, "gzip");
    assert_int_equal(server.body_len, 7);
    assert_int_equal(server.body[0], 0);
    struct fl_call_options options = {.compression = FL_COMPRESSION_IDENTITY};
    assert_int_equal(call(&bed, zeros, sizeof(zeros), &options).status, FL_STATUS_OK);
    assert_string_equal(server.encoding, "");
    options.compression = (enum fl_compression)99;
    assert_int_equal(
        fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, on_call_end, NULL, NULL, NULL),
        FL_EUSAGE);
    stop(&bed);
}

static void test_compressed_stream_messages(void **state) {
    FL_UNUSED(state);
    static char zeros[1000];
    struct fl_bed bed;
    struct ended ended = {0};
    struct fl_call *stream;
    start(&bed, NULL);
    struct fl_call_options options = {.compression = FL_COMPRESSION_DEFLATE,
                                      .send_bytes_max = sizeof(zeros)};
    struct fl_call_events events = {.on_end = on_call_end};
    int rc = fl_call_start(bed.channel, FL_BED_METHOD, &options, &events, &ended, &stream, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(fl_call_write(stream, zeros, sizeof(zeros)), 0);
    assert_int_equal(fl_call_write(stream, zeros, sizeof(zeros) + 1), FL_ETOO_LARGE);
    fl_call_write_end(stream);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(ended.status, FL_STATUS_OK);
    assert_string_equal(server.encoding, "deflate");
    assert_true(server.body_len < 100);
    stop(&bed);
}

static void test_compressed_answers(void **state) {
    FL_UNUSED(state);
    static char zeros[5000];
    static const struct {
        const char *encoding;
        bool gzip;
        uint32_t max;
        enum fl_status status;
        int why;
    } rows[] = {
        {"gzip", true, 0, FL_STATUS_OK, FL_OK},
        {"gzip", true, 5000, FL_STATUS_OK, FL_OK},
        {"gzip", true, 4999, FL_STATUS_RESOURCE_EXHAUSTED, FL_ETOO_LARGE},
        {"gzip", false, 0, FL_STATUS_INTERNAL, FL_EPROTO},
        {"snappy", true, 0, FL_STATUS_INTERNAL, FL_EPROTO},
        {"identity", true, 0, FL_STATUS_INTERNAL, FL_EPROTO},
        {NULL, true, 0, FL_STATUS_INTERNAL, FL_EPROTO},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_bed bed;
        struct fl_frame frame;
        char answer[200];
        start(&bed, NULL);
        assert_int_equal(fl_frame_init(&frame,
                                       rows[i].gzip ? FL_COMPRESSION_GZIP : FL_COMPRESSION_DEFLATE,
                                       fl_str_n(zeros, sizeof(zeros))),
                         0);
        memcpy(answer, frame.prefix, FL_GRPC_PREFIX);
        memcpy(answer + FL_GRPC_PREFIX, frame.body.p, frame.body.n);
        server.answer = answer;
        server.answer_len = fl_frame_len(&frame);
        server.answer_encoding = rows[i].encoding;
        struct fl_call_options options = {.receive_bytes_max = rows[i].max};
        struct ended ended = call(&bed, "", 0, &options);
        assert_int_equal(ended.status, rows[i].status);
        assert_int_equal(ended.why, rows[i].why);
        if (ended.status == FL_STATUS_OK) assert_int_equal(ended.len, sizeof(zeros));
        fl_frame_deinit(&frame);
        stop(&bed);
    }
}

/* --- limits --- */

static void test_limits(void **state) {
    FL_UNUSED(state);
    static const char config[] = "{\"methodConfig\":[{\"name\":[{}],\"maxRequestMessageBytes\":10,"
                                 "\"maxResponseMessageBytes\":3,\"timeout\":\"2s\"}]}";
    struct fl_bed bed;
    start(&bed, &(struct fl_channel_options){.send_bytes_max = 5, .receive_bytes_max = 4});
    assert_int_equal(call(&bed, "12345", 5, NULL).status, FL_STATUS_OK);
    struct ended ended = call(&bed, "123456", 6, NULL);
    assert_int_equal(ended.status, FL_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(ended.why, FL_ETOO_LARGE);
    struct fl_call_options options = {.send_bytes_max = 6, .receive_bytes_max = 3};
    assert_int_equal(call(&bed, "123456", 6, &options).status, FL_STATUS_RESOURCE_EXHAUSTED);
    stop(&bed);
    start(&bed, &(struct fl_channel_options){.service_config = config});
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(call(&bed, "", 0, NULL).status, FL_STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(server.timeout, "2000m");
    server.answer = "\0\0\0\0\3abc";
    server.answer_len = 8;
    options = (struct fl_call_options){.timeout_ms = 5000, .send_bytes_max = 100};
    assert_int_equal(call(&bed, "1234567890", 10, &options).status, FL_STATUS_OK);
    assert_string_equal(server.timeout, "2000m");
    assert_int_equal(call(&bed, "1234567890x", 11, &options).status, FL_STATUS_RESOURCE_EXHAUSTED);
    options.timeout_ms = 1000;
    call(&bed, "", 0, &options);
    assert_string_equal(server.timeout, "1000m");
    stop(&bed);
}

/* A config can be larger than the default, where nobody said otherwise. */
static void test_config_goes_before_the_default(void **state) {
    FL_UNUSED(state);
    static const char config[] =
        "{\"methodConfig\":[{\"name\":[{}],\"maxResponseMessageBytes\":10000000}]}";
    static char zeros[5 * 1024 * 1024], answer[20000];
    struct fl_bed bed;
    struct fl_frame frame;
    start(&bed, &(struct fl_channel_options){.service_config = config});
    int rc = fl_frame_init(&frame, FL_COMPRESSION_GZIP, fl_str_n(zeros, sizeof(zeros)));
    assert_int_equal(rc, 0);
    memcpy(answer, frame.prefix, FL_GRPC_PREFIX);
    memcpy(answer + FL_GRPC_PREFIX, frame.body.p, frame.body.n);
    server.answer = answer;
    server.answer_len = fl_frame_len(&frame);
    server.answer_encoding = "gzip";
    fl_frame_deinit(&frame);
    assert_int_equal(call(&bed, "", 0, NULL).status, FL_STATUS_OK);
    stop(&bed);
    struct fl_channel *none = NULL;
    struct fl_error err;
    fl_bed_start(&bed, NULL);
    struct fl_channel_options wrong = {.service_config = "{\"methodConfig\":1}"};
    assert_int_equal(fl_channel_open(bed.io, bed.discovery, "hand:///echo", &wrong, &none, &err),
                     FL_ECONFIG);
    assert_non_null(strstr(err.detail, "methodConfig"));
    assert_null(none);
    fl_bed_stop(&bed);
}

/* What the caller's options point to stays the caller's, whatever fails. */
static void test_open_with_a_config_without_memory(void **state) {
    FL_UNUSED(state);
    static const char config[] =
        "{\"methodConfig\":[{\"name\":[{},{\"service\":\"a\"}],\"waitForReady\":true}],"
        "\"healthCheckConfig\":{\"serviceName\":\"db\"}}";
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_channel_options options = {.service_config = config, .authority = "echo.example"};
        int rc =
            fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &bed.channel, NULL);
        fl_test_alloc_fail_at(0);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_bed_close(&bed);
        bed.channel = NULL;
    }
    fl_bed_stop(&bed);
}

static void test_config_waits_for_ready(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call waiting;
    fl_bed_start(&bed, NULL);
    fl_bed_open(
        &bed, &(struct fl_channel_options){
                  .service_config = "{\"methodConfig\":[{\"name\":[{}],\"waitForReady\":true}]}"});
    fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
    fl_bed_call(&bed, &waiting, NULL);
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(waiting.ended, 0);
    fl_bed_stop(&bed);
    assert_int_equal(waiting.status, FL_STATUS_CANCELLED);
}

/* What the application says goes before its service config, either way. */
static void test_call_goes_before_the_config(void **state) {
    FL_UNUSED(state);
    static const char waits[] =
        "{\"methodConfig\":[{\"name\":[{}],\"waitForReady\":true,\"timeout\":\"1s\"}]}";
    static const struct {
        enum fl_wait_for_ready wait;
        const char *config;
        enum fl_status status;
    } rows[] = {
        {FL_WAIT_DEFAULT, NULL, FL_STATUS_UNAVAILABLE},
        {FL_WAIT_DEFAULT, waits, FL_STATUS_DEADLINE_EXCEEDED},
        {FL_WAIT_NO, waits, FL_STATUS_UNAVAILABLE},
        {FL_WAIT_YES, NULL, FL_STATUS_DEADLINE_EXCEEDED},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_bed bed;
        struct fl_bed_call one;
        fl_bed_start(&bed, NULL);
        fl_bed_open(&bed, &(struct fl_channel_options){.service_config = rows[i].config});
        fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
        fl_world_run_ms(bed.world, 10);
        fl_bed_call(&bed, &one,
                    &(struct fl_call_options){.timeout_ms = 1000, .wait_for_ready = rows[i].wait});
        fl_world_run_ms(bed.world, 1100);
        assert_int_equal(one.status, rows[i].status);
        fl_bed_stop(&bed);
    }
}

/* --- credentials --- */

struct keyring {
    unsigned asked;
    int rc;
    const char *name, *value;
};

static int credentials(void *arg, const char *method, fl_credentials_give *give, void *to,
                       struct fl_error *err) {
    struct keyring *ring = arg;
    assert_string_equal(method, FL_BED_METHOD);
    ring->asked++;
    struct fl_metadata entry = {ring->name, ring->value, strlen(ring->value)};
    give(to, &entry);
    give(to, &(struct fl_metadata){"x-more-bin", "\1", 1});
    if (ring->rc != 0) fl_fail(err, ring->rc, "the keyring is locked");
    return ring->rc;
}

static void test_credentials_of_each_attempt(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct keyring ring = {.name = "authorization", .value = "Bearer abc"};
    struct fl_call_options options = {.credentials = credentials, .credentials_arg = &ring};
    start(&bed, &(struct fl_channel_options){.allow_cleartext_credentials = true});
    assert_int_equal(call(&bed, "", 0, &options).status, FL_STATUS_OK);
    assert_string_equal(server.token, "Bearer abc");
    assert_int_equal(ring.asked, 1);
    ring.rc = FL_ESYS;
    struct ended ended = call(&bed, "", 0, &options);
    assert_int_equal(ended.status, FL_STATUS_UNAUTHENTICATED);
    assert_int_equal(ended.why, FL_EUNAUTHORIZED);
    assert_non_null(strstr(ended.message, "the keyring is locked"));
    ring = (struct keyring){.name = "grpc-own", .value = "secret\n"};
    ended = call(&bed, "", 0, &options);
    assert_int_equal(ended.status, FL_STATUS_UNAUTHENTICATED);
    assert_null(strstr(ended.message, "secret"));
    stop(&bed);
}

static void test_no_credentials_over_cleartext(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_error err;
    struct keyring ring = {.name = "authorization", .value = "Bearer abc"};
    struct fl_call_options options = {.credentials = credentials, .credentials_arg = &ring};
    start(&bed, NULL);
    int rc =
        fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, on_call_end, NULL, NULL, &err);
    assert_int_equal(rc, FL_EUSAGE);
    assert_int_equal(ring.asked, 0);
    stop(&bed);
}

static void test_credentials_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct keyring ring = {.name = "authorization", .value = "Bearer abc"};
    struct fl_call_options options = {
        .timeout_ms = 500, .credentials = credentials, .credentials_arg = &ring};
    start(&bed, &(struct fl_channel_options){.allow_cleartext_credentials = true});
    fl_world_run_ms(bed.world, 100);
    FL_TEST_EACH_FAILURE(n) {
        struct ended ended = {0};
        int rc = fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, on_call_end, &ended,
                               NULL, NULL);
        if (rc == 0) fl_world_run_ms(bed.world, 0);
        fl_test_alloc_fail_at(0);
        fl_world_run_ms(bed.world, 5000);
        assert_int_equal(ended.count, rc == 0);
    }
    stop(&bed);
}

/* --- trace context --- */

static void test_each_attempt_is_a_child(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    char first[64];
    struct fl_call_options options = {.traceparent = PARENT, .tracestate = "a=1,b=2"};
    start(&bed, NULL);
    assert_int_equal(call(&bed, "", 0, &options).status, FL_STATUS_OK);
    snprintf(first, sizeof(first), "%s", server.traceparent);
    assert_int_equal(strlen(first), FL_TRACE_PARENT_LEN);
    assert_memory_equal(first, PARENT, 36);
    assert_string_equal(first + 52, "-01");
    assert_true(memcmp(first + 36, PARENT + 36, 16) != 0);
    assert_true(fl_trace_parent_fits(fl_str_of(first)));
    assert_string_equal(server.tracestate, "a=1,b=2");
    call(&bed, "", 0, &options);
    assert_string_not_equal(server.traceparent, first);
    call(&bed, "", 0, NULL);
    assert_string_equal(server.traceparent, "");
    stop(&bed);
    char out[FL_TRACE_PARENT_LEN];
    static const uint8_t zero[FL_TRACE_PARENT_ID];
    fl_trace_child(FL_STR(PARENT), zero, out);
    assert_true(fl_trace_parent_fits(fl_str_n(out, sizeof(out))));
}

/* Instrumentation that writes it as metadata is let have its way, but not two ways at once. */
static void test_own_trace_context_as_metadata(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_error err;
    const struct fl_metadata parent = {"traceparent", PARENT, strlen(PARENT)};
    struct fl_call_options options = {.metadata = {&parent, 1}};
    start(&bed, NULL);
    assert_int_equal(call(&bed, "", 0, &options).status, FL_STATUS_OK);
    assert_string_equal(server.traceparent, PARENT);
    options.traceparent = PARENT;
    assert_int_equal(
        fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, on_call_end, NULL, NULL, &err),
        FL_EUSAGE);
    assert_non_null(strstr(err.detail, "\"traceparent\""));
    stop(&bed);
}

static void test_what_is_no_trace_context(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *parent, *state;
    } rows[] = {
        {"", NULL},
        {"00-" TRACE_ID "-b7ad6b7169203331-0", NULL},
        {"01-" TRACE_ID "-b7ad6b7169203331-01", NULL},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", NULL},
        {"00-" TRACE_ID "-0000000000000000-01", NULL},
        {"00-" TRACE_ID "-B7ad6b7169203331-01", NULL},
        {"00-" TRACE_ID "_b7ad6b7169203331-01", NULL},
        {"00-" TRACE_ID "-b7ad6b7169203331-0g", NULL},
        {NULL, "a=1"},
        {PARENT, "a=1\n"},
    };
    struct fl_bed bed;
    start(&bed, NULL);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_call_options options = {.traceparent = rows[i].parent,
                                          .tracestate = rows[i].state};
        assert_int_equal(fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, on_call_end,
                                       NULL, NULL, NULL),
                         FL_EUSAGE);
    }
    stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bomb_is_bounded),
        cmocka_unit_test(test_broken_compression),
        cmocka_unit_test(test_compression_without_memory),
        cmocka_unit_test(test_request_is_compressed),
        cmocka_unit_test(test_compressed_stream_messages),
        cmocka_unit_test(test_compressed_answers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_config_goes_before_the_default),
        cmocka_unit_test(test_open_with_a_config_without_memory),
        cmocka_unit_test(test_config_waits_for_ready),
        cmocka_unit_test(test_call_goes_before_the_config),
        cmocka_unit_test(test_credentials_of_each_attempt),
        cmocka_unit_test(test_no_credentials_over_cleartext),
        cmocka_unit_test(test_credentials_without_memory),
        cmocka_unit_test(test_each_attempt_is_a_child),
        cmocka_unit_test(test_own_trace_context_as_metadata),
        cmocka_unit_test(test_what_is_no_trace_context),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
