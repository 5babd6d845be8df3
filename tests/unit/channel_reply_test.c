/* How a response becomes a gRPC status, without a connection. */
#include "support/alloc.h"

#include <string.h>

#include "base/error.h"
#include "channel/reply.h"

#define GRPC_TYPE                                                                                  \
    { FL_STR("content-type"), FL_STR("application/grpc") }
#define HEAD(code, ...)                                                                            \
    &(struct fl_http_response) {                                                                   \
        (code), {                                                                                  \
            (const struct fl_http_header[]){__VA_ARGS__},                                          \
                sizeof((const struct fl_http_header[]){__VA_ARGS__}) /                             \
                    sizeof(struct fl_http_header)                                                  \
        }                                                                                          \
    }
#define TRAILERS(...)                                                                              \
    (struct fl_http_headers) {                                                                     \
        (const struct fl_http_header[]){__VA_ARGS__},                                              \
            sizeof((const struct fl_http_header[]){__VA_ARGS__}) / sizeof(struct fl_http_header)   \
    }
#define STATUS(text)                                                                               \
    { FL_STR("grpc-status"), FL_STR(text) }
#define MESSAGE(text)                                                                              \
    { FL_STR("grpc-message"), FL_STR(text) }

static const struct fl_error complete = {FL_OK, ""};

struct ended {
    struct fl_error cause;
    struct fl_call_result result;
};

/* Valid until the next one. */
static const struct ended *end(struct fl_reply *reply, int code, uint32_t h2_code) {
    static struct ended ended;
    struct fl_error why = {code, "why it ended"};
    fl_reply_result(reply, code ? &why : &complete, h2_code, &ended.cause, &ended.result);
    return &ended;
}

static int feed(struct fl_reply *reply, const char *bytes, size_t n) {
    struct fl_error err;
    return fl_reply_data(reply, fl_str_n(bytes, n), &err);
}

static void take_head(struct fl_reply *reply, const struct fl_http_response *head) {
    assert_int_equal(fl_reply_head(reply, head, NULL), 0);
}

static void take_trailers(struct fl_reply *reply, struct fl_http_headers trailers) {
    assert_int_equal(fl_reply_trailers(reply, trailers, NULL), 0);
}

static void test_ok_in_any_chunking(void **state) {
    FL_UNUSED(state);
    static const char body[] = "\0\0\0\0\5hello";
    for (size_t piece = 1; piece < sizeof(body); piece++) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        assert_false(fl_reply_heard(&reply));
        take_head(&reply, HEAD(200, GRPC_TYPE));
        assert_true(fl_reply_heard(&reply));
        for (size_t at = 0; at < sizeof(body) - 1; at += piece)
            assert_int_equal(feed(&reply, body + at, FL_MIN(piece, sizeof(body) - 1 - at)), 0);
        take_trailers(&reply, TRAILERS(STATUS("0")));
        const struct ended *ended = end(&reply, FL_OK, 0);
        assert_int_equal(ended->result.status, FL_STATUS_OK);
        assert_int_equal(ended->result.response_len, 5);
        assert_memory_equal(ended->result.response, "hello", 5);
        assert_string_equal(ended->result.message, "");
        assert_int_equal(ended->result.why->code, FL_OK);
        fl_reply_deinit(&reply);
    }
}

static void test_empty_message_is_a_message(void **state) {
    FL_UNUSED(state);
    struct fl_reply reply;
    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, {FL_STR("content-type"), FL_STR("application/grpc+proto")}));
    assert_int_equal(feed(&reply, "\0\0\0\0\0", 5), 0);
    take_trailers(&reply, TRAILERS(STATUS("0")));
    const struct ended *ended = end(&reply, FL_OK, 0);
    assert_int_equal(ended->result.status, FL_STATUS_OK);
    assert_non_null(ended->result.response);
    assert_int_equal(ended->result.response_len, 0);
    fl_reply_deinit(&reply);
}

static void test_trailers_only(void **state) {
    FL_UNUSED(state);
    struct fl_reply reply;
    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, GRPC_TYPE, STATUS("5"), MESSAGE("no%20such%0athing")));
    const struct ended *ended = end(&reply, FL_OK, 0);
    assert_int_equal(ended->result.status, FL_STATUS_NOT_FOUND);
    assert_string_equal(ended->result.message, "no such\nthing");
    assert_null(ended->result.response);
    fl_reply_deinit(&reply);
}

/* The server said how it ended; that it then reset the stream changes nothing. */
static void test_status_stands_against_a_reset(void **state) {
    FL_UNUSED(state);
    struct fl_reply reply;
    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, GRPC_TYPE, STATUS("8")));
    assert_int_equal(end(&reply, FL_ESTREAM_RESET, 0)->result.status, FL_STATUS_RESOURCE_EXHAUSTED);
    fl_reply_deinit(&reply);
}

static void test_bad_status(void **state) {
    FL_UNUSED(state);
    static const char *const bad[] = {"", "x", "-1", "17", "4294967296", "0 "};
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        take_head(&reply, HEAD(200, GRPC_TYPE));
        take_trailers(&reply, TRAILERS({FL_STR("grpc-status"), fl_str_of(bad[i])}));
        assert_int_equal(end(&reply, FL_OK, 0)->result.status, FL_STATUS_UNKNOWN);
        fl_reply_deinit(&reply);
    }
}

static void test_ok_without_one_whole_message(void **state) {
    FL_UNUSED(state);
    static const struct fl_str bodies[] = {{"", 0}, {"\0\0\0\0\5hell", 9}, {"\0\0\0\0\1a\0", 7}};
    for (size_t i = 0; i < FL_COUNT(bodies); i++) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        take_head(&reply, HEAD(200, GRPC_TYPE, STATUS("0")));
        assert_int_equal(feed(&reply, bodies[i].p, bodies[i].n), 0);
        const struct ended *ended = end(&reply, FL_OK, 0);
        assert_int_equal(ended->result.status, FL_STATUS_INTERNAL);
        assert_int_equal(ended->result.why->code, FL_EPROTO);
        assert_null(ended->result.response);
        fl_reply_deinit(&reply);
    }
}

static void test_more_than_one_message(void **state) {
    FL_UNUSED(state);
    struct fl_reply reply;
    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, GRPC_TYPE));
    assert_int_equal(feed(&reply, "\0\0\0\0\1a\0\0\0\0\1b", 12), FL_EPROTO);
    fl_reply_deinit(&reply);
}

static void test_limit_and_compression(void **state) {
    FL_UNUSED(state);
    struct fl_reply reply;
    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, GRPC_TYPE));
    int rc = feed(&reply, "\0\0\0\0\145", 5);
    assert_int_equal(rc, FL_ETOO_LARGE);
    assert_int_equal(fl_status_of_error(rc), FL_STATUS_RESOURCE_EXHAUSTED);
    fl_reply_deinit(&reply);

    fl_reply_init(&reply, 100, true);
    take_head(&reply, HEAD(200, GRPC_TYPE, {FL_STR("grpc-encoding"), FL_STR("gzip")}));
    rc = feed(&reply, "\1\0\0\0\1x", 6);
    assert_int_equal(rc, FL_EPROTO);
    assert_int_equal(fl_status_of_error(rc), FL_STATUS_INTERNAL);
    fl_reply_deinit(&reply);
}

static void test_by_http_status(void **state) {
    FL_UNUSED(state);
    static const struct {
        int http;
        enum fl_status status;
    } rows[] = {
        {400, FL_STATUS_INTERNAL},          {401, FL_STATUS_UNAUTHENTICATED},
        {403, FL_STATUS_PERMISSION_DENIED}, {404, FL_STATUS_UNIMPLEMENTED},
        {429, FL_STATUS_UNAVAILABLE},       {502, FL_STATUS_UNAVAILABLE},
        {503, FL_STATUS_UNAVAILABLE},       {504, FL_STATUS_UNAVAILABLE},
        {500, FL_STATUS_UNKNOWN},           {200, FL_STATUS_UNKNOWN},
        {301, FL_STATUS_UNKNOWN},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        take_head(&reply, HEAD(rows[i].http, {FL_STR("content-type"), FL_STR("text/html")}));
        assert_int_equal(feed(&reply, "<html>", 6), 0);
        const struct ended *ended = end(&reply, i % 2 ? FL_OK : FL_ESTREAM_RESET, 2);
        assert_int_equal(ended->result.status, rows[i].status);
        assert_int_equal(ended->result.why->code, FL_EHTTP);
        assert_non_null(strstr(ended->result.message, "HTTP status"));
        fl_reply_deinit(&reply);
    }
}

static void test_by_reset_and_cause(void **state) {
    FL_UNUSED(state);
    static const struct {
        int code;
        uint32_t h2_code;
        enum fl_status status;
    } rows[] = {
        {FL_ESTREAM_RESET, 8, FL_STATUS_CANCELLED},
        {FL_ESTREAM_RESET, 11, FL_STATUS_RESOURCE_EXHAUSTED},
        {FL_ESTREAM_RESET, 12, FL_STATUS_PERMISSION_DENIED},
        {FL_ESTREAM_RESET, 7, FL_STATUS_UNAVAILABLE},
        {FL_ESTREAM_RESET, 2, FL_STATUS_INTERNAL},
        {FL_ESTREAM_RESET, 3, FL_STATUS_INTERNAL},
        {FL_ERESET, 0, FL_STATUS_UNAVAILABLE},
        {FL_ECLOSED, 0, FL_STATUS_UNAVAILABLE},
        {FL_ETIMEOUT, 0, FL_STATUS_UNAVAILABLE},
        {FL_EPROTO, 0, FL_STATUS_INTERNAL},
        {FL_ETOO_LARGE, 0, FL_STATUS_RESOURCE_EXHAUSTED},
        {FL_EDEADLINE, 0, FL_STATUS_DEADLINE_EXCEEDED},
        {FL_ECANCELLED, 0, FL_STATUS_CANCELLED},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        if (i % 2) take_head(&reply, HEAD(200, GRPC_TYPE));
        const struct ended *ended = end(&reply, rows[i].code, rows[i].h2_code);
        assert_int_equal(ended->result.status, rows[i].status);
        assert_int_equal(ended->result.why->code, rows[i].code);
        assert_string_equal(ended->result.message, "why it ended");
        fl_reply_deinit(&reply);
    }
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_reply reply;
        fl_reply_init(&reply, 100, true);
        take_head(&reply, HEAD(200, GRPC_TYPE));
        int rc = feed(&reply, "\0\0\0\0\5he", 7);
        if (rc == 0) rc = feed(&reply, "llo", 3);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        take_trailers(&reply, TRAILERS(STATUS("0"), MESSAGE("fine")));
        const struct ended *ended = end(&reply, FL_OK, 0);
        if (rc == 0) assert_int_equal(ended->result.status, FL_STATUS_OK);
        fl_reply_deinit(&reply);
    }
}

static void test_names(void **state) {
    FL_UNUSED(state);
    assert_string_equal(fl_status_name(FL_STATUS_OK), "OK");
    assert_string_equal(fl_status_name(FL_STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(fl_status_name((enum fl_status)99), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok_in_any_chunking),
        cmocka_unit_test(test_empty_message_is_a_message),
        cmocka_unit_test(test_trailers_only),
        cmocka_unit_test(test_status_stands_against_a_reset),
        cmocka_unit_test(test_bad_status),
        cmocka_unit_test(test_ok_without_one_whole_message),
        cmocka_unit_test(test_more_than_one_message),
        cmocka_unit_test(test_limit_and_compression),
        cmocka_unit_test(test_by_http_status),
        cmocka_unit_test(test_by_reset_and_cause),
        cmocka_unit_test(test_each_allocation_failing),
        cmocka_unit_test(test_names),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
