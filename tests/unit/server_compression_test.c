/* Compression on the gRPC server: what is agreed, what is sent, what is no compressed message. */
#include "support/server_bed.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "wire/grpc.h"
#include "wire/grpc_compression.h"

#define TEXT "all work and no play all work and no play all work and no play all work and no play"

#define ENCODING FL_STR("grpc-encoding")
#define ACCEPT   FL_STR("grpc-accept-encoding")

/* The frame of TEXT, compressed. */
static struct fl_str packed(enum fl_compression compression, struct fl_buf *out) {
    struct fl_buf bytes;
    uint8_t prefix[FL_GRPC_PREFIX];
    fl_buf_init(&bytes, 1024);
    fl_buf_init(out, 1024);
    assert_int_equal(fl_compress(compression, FL_STR(TEXT), &bytes), 0);
    fl_grpc_prefix((uint32_t)bytes.len, prefix);
    prefix[0] = 1;
    assert_int_equal(fl_buf_append(out, fl_str_n(prefix, sizeof(prefix))), 0);
    assert_int_equal(fl_buf_append(out, fl_buf_str(&bytes)), 0);
    fl_buf_deinit(&bytes);
    return fl_buf_str(out);
}

static void expect_text(const struct exchange *x, enum fl_compression compression) {
    struct fl_buf plain;
    fl_buf_init(&plain, 1024);
    assert_int_equal(x->body[0], 1);
    assert_true(x->body_len < sizeof(TEXT));
    assert_int_equal(fl_decompress(compression,
                                   fl_str_n(x->body + FL_GRPC_PREFIX, x->body_len - FL_GRPC_PREFIX),
                                   &plain, NULL),
                     0);
    assert_true(fl_str_eq(fl_buf_str(&plain), FL_STR(TEXT)));
    fl_buf_deinit(&plain);
}

/* Without a word from the method an answer is compressed as the question was, where it can be. */
static void test_answers_are_as_questions(void **state) {
    FL_UNUSED(state);
    static const struct {
        enum fl_compression compression;
        const char *name, *accept, *answer;
    } rows[] = {
        {FL_COMPRESSION_GZIP, "gzip", "identity,gzip", "gzip"},
        {FL_COMPRESSION_DEFLATE, "deflate", "snappy , deflate", "deflate"},
        {FL_COMPRESSION_GZIP, "gzip", "identity,deflate", ""}, /* it can read no gzip itself */
    };
    struct server_bed bed;
    server_bed_start(&bed, 1);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct exchange x;
        struct fl_buf body;
        server_bed_ask(&bed, &x,
                       &(struct request){.extra = {ENCODING, fl_str_of(rows[i].name)},
                                         .more = {ACCEPT, fl_str_of(rows[i].accept)},
                                         .body = packed(rows[i].compression, &body)});
        assert_string_equal(x.grpc_status, "0");
        assert_string_equal(x.encoding, rows[i].answer);
        if (rows[i].answer[0]) {
            expect_text(&x, rows[i].compression);
        } else {
            assert_int_equal(x.body_len, FL_GRPC_PREFIX + sizeof(TEXT) - 1);
            assert_memory_equal(x.body + FL_GRPC_PREFIX, TEXT, sizeof(TEXT) - 1);
        }
        fl_buf_deinit(&body);
    }
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

static void test_bad_compression(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *encoding;
        struct fl_str body;
        const char *grpc_status;
    } rows[] = {
        {"snappy", {"\0\0\0\0\0", 5}, "12"}, {"gzip", {"\1\0\0\0\3hey", 8}, "13"},
        {"gzip", {"\1\0\0\0\0", 5}, "13"},   {"identity", {"\1\0\0\0\1x", 6}, "13"},
        {"gzip", {"\0\0\0\0\1x", 6}, "0"}, /* a single message may be plain */
    };
    struct server_bed bed;
    server_bed_start(&bed, 2);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct exchange x;
        server_bed_ask(&bed, &x,
                       &(struct request){.extra = {ENCODING, fl_str_of(rows[i].encoding)},
                                         .body = rows[i].body});
        assert_string_equal(x.grpc_status, rows[i].grpc_status);
        assert_string_equal(x.accept, i == 0 ? "identity,deflate,gzip" : "");
    }
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
}

/* A small message that would be a large one. */
static void test_a_message_that_swells_is_too_large(void **state) {
    FL_UNUSED(state);
    enum { SIZE = 8 * 1024 * 1024 };
    struct fl_buf bytes, body;
    struct server_bed bed;
    struct exchange x;
    char *zeros = fl_calloc(1, SIZE);
    uint8_t prefix[FL_GRPC_PREFIX];
    fl_buf_init(&bytes, SIZE);
    fl_buf_init(&body, SIZE);
    assert_int_equal(fl_compress(FL_COMPRESSION_GZIP, fl_str_n(zeros, SIZE), &bytes), 0);
    fl_grpc_prefix((uint32_t)bytes.len, prefix);
    prefix[0] = 1;
    assert_int_equal(fl_buf_append(&body, fl_str_n(prefix, sizeof(prefix))), 0);
    assert_int_equal(fl_buf_append(&body, fl_buf_str(&bytes)), 0);
    server_bed_start(&bed, 3);
    struct fl_echo *echo = server_bed_echo(&bed, 0);
    server_bed_dial(&bed);
    server_bed_ask(
        &bed, &x,
        &(struct request){.extra = {ENCODING, FL_STR("gzip")}, .body = fl_buf_str(&body)});
    assert_string_equal(x.grpc_status, "8");
    server_bed_kill_echo(&bed, echo);
    server_bed_stop(&bed);
    fl_buf_deinit(&bytes);
    fl_buf_deinit(&body);
    fl_free(zeros);
}

/* --- what a method says --- */

static void answer_all_ways(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(message);
    assert_int_equal(fl_grpc_call_compressed(call), *(bool *)arg);
    fl_grpc_call_compress(call, FL_COMPRESSION_GZIP);
    assert_int_equal(fl_grpc_call_send(call, FL_STR(TEXT)), 0);
    fl_grpc_call_compress(call, FL_COMPRESSION_DEFLATE); /* gzip was said */
    assert_int_equal(fl_grpc_call_send(call, FL_STR(TEXT)), 0);
    fl_grpc_call_compress(call, FL_COMPRESSION_IDENTITY);
    assert_int_equal(fl_grpc_call_send(call, FL_STR(TEXT)), 0);
    fl_grpc_call_compress(call, FL_COMPRESSION_GZIP);
    assert_int_equal(fl_grpc_call_send(call, FL_STR("x")), 0); /* gzip does not make it smaller */
    fl_grpc_call_finish(call, FL_STATUS_OK, FL_STR_NONE, FL_HTTP_HEADERS_NONE);
}

static void test_a_method_chooses_message_by_message(void **state) {
    FL_UNUSED(state);
    static const struct fl_grpc_call_events events = {.on_message = answer_all_ways};
    static const struct fl_grpc_method method = {.name = "Answer", .events = &events};
    bool compressed = false;
    const struct fl_grpc_service services[] = {{"test.Service", &method, 1, &compressed}};
    struct server_bed bed;
    struct exchange x;
    server_bed_start(&bed, 4);
    struct fl_grpc_server *server = server_bed_serve(
        &bed, (struct fl_grpc_server_options){.services = services, .service_count = 1});
    server_bed_dial(&bed);
    server_bed_ask(&bed, &x,
                   &(struct request){.path = "/test.Service/Answer",
                                     .extra = {ACCEPT, FL_STR("gzip")},
                                     .body = FL_STR("\0\0\0\0\0")});
    assert_string_equal(x.encoding, "gzip");
    struct fl_grpc_reader reader;
    struct fl_grpc_message message;
    struct fl_str bytes = fl_str_n(x.body, x.body_len);
    fl_grpc_reader_init(&reader, 1024);
    static const bool ways[] = {true, false, false, false};
    for (size_t i = 0; i < FL_COUNT(ways); i++) {
        assert_int_equal(fl_grpc_reader_next(&reader, &bytes, &message, NULL), 1);
        assert_int_equal(message.compressed, ways[i]);
    }
    assert_int_equal(bytes.n, 0);
    fl_grpc_reader_deinit(&reader);
    server_bed_ask(&bed, &x,
                   &(struct request){.path = "/test.Service/Answer", /* reads nothing packed */
                                     .body = FL_STR("\0\0\0\0\0")});
    assert_string_equal(x.encoding, "");
    assert_int_equal(x.body_len, 3 * (FL_GRPC_PREFIX + sizeof(TEXT) - 1) + FL_GRPC_PREFIX + 1);
    struct fl_buf body;
    compressed = true;
    server_bed_ask(&bed, &x,
                   &(struct request){.path = "/test.Service/Answer",
                                     .extra = {ENCODING, FL_STR("deflate")},
                                     .body = packed(FL_COMPRESSION_DEFLATE, &body)});
    assert_string_equal(x.grpc_status, "0");
    fl_buf_deinit(&body);
    server_bed_kill(&bed, server);
    server_bed_stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_as_questions),
        cmocka_unit_test(test_bad_compression),
        cmocka_unit_test(test_a_message_that_swells_is_too_large),
        cmocka_unit_test(test_a_method_chooses_message_by_message),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
