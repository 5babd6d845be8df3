/* wire_grpc_test.c - gRPC frames, timeouts, percent-encoding, status mapping. */
#include <fairlead/call.h>
#include <stdio.h>
#include <string.h>

#include "support/alloc.h"
#include "wire/grpc.h"

#define S FL_STR

struct seen {
    char text[256];
    size_t n;
    int answer;
};

static int each(struct seen *seen, struct fl_str message) {
    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n, "(%.*s)",
                                FL_STR_ARG(message));
    return seen->answer;
}

/* What a reader does who accepts nothing compressed. */
static int feed(struct fl_grpc_reader *reader, struct fl_str bytes, struct seen *seen) {
    struct fl_grpc_message message = {FL_STR_NONE, false};
    struct fl_error err;
    int rc;
    while ((rc = fl_grpc_reader_next(reader, &bytes, &message, &err)) == 1) {
        if (message.compressed) return FL_EPROTO;
        rc = each(seen, message.bytes);
        if (rc) return rc;
    }
    return rc;
}

static int feed_split(struct fl_str bytes, size_t first, size_t piece, size_t max,
                      struct seen *seen) {
    struct fl_grpc_reader reader;
    int rc = 0;
    fl_grpc_reader_init(&reader, max);
    for (size_t at = 0; at < bytes.n && !rc;) {
        size_t n = FL_MIN(bytes.n - at, at == 0 && first ? first : piece);
        char *copy = fl_alloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes.p + at, n);
        rc = feed(&reader, fl_str_n(copy, n), seen);
        fl_free(copy);
        at += n;
        assert_true(rc || at < bytes.n || !fl_grpc_reader_partial(&reader));
    }
    fl_grpc_reader_deinit(&reader);
    return rc;
}

static void test_messages_in_any_chunking(void **state) {
    FL_UNUSED(state);
    struct fl_str bytes = S("\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1x");
    for (size_t first = 0; first <= bytes.n; first++) {
        struct seen seen = {0};
        assert_int_equal(feed_split(bytes, first, first ? SIZE_MAX : 1, 16, &seen), 0);
        assert_string_equal(seen.text, "(abc)()(x)");
    }
}

static void test_partial_message_is_known(void **state) {
    FL_UNUSED(state);
    struct fl_grpc_reader reader;
    struct seen seen = {0};
    fl_grpc_reader_init(&reader, 16);
    assert_false(fl_grpc_reader_partial(&reader));
    assert_int_equal(feed(&reader, S("\0\0\0"), &seen), 0);
    assert_true(fl_grpc_reader_partial(&reader));
    assert_int_equal(feed(&reader, S("\0\1a"), &seen), 0);
    assert_false(fl_grpc_reader_partial(&reader));
    fl_grpc_reader_deinit(&reader);
}

/* Gives the reader n bytes of a message, in pieces. */
static int feed_zeros(struct fl_grpc_reader *reader, size_t n) {
    static const char zeros[16384];
    struct fl_grpc_message message;
    struct fl_error err;
    int rc = 0;
    for (size_t at = 0; at < n && rc == 0; at += sizeof(zeros)) {
        struct fl_str bytes = fl_str_n(zeros, FL_MIN(sizeof(zeros), n - at));
        rc = fl_grpc_reader_next(reader, &bytes, &message, &err);
    }
    return rc;
}

/* A prefix is a claim; what came before is evidence. */
static void test_memory_follows_what_came(void **state) {
    FL_UNUSED(state);
    const size_t large = 1024 * 1024;
    struct fl_grpc_reader reader;
    struct fl_grpc_message message;
    struct fl_error err;
    fl_grpc_reader_init(&reader, 4 * large);
    for (int round = 0; round < 2; round++) {
        struct fl_str prefix = S("\0\0\x10\0\0");
        assert_int_equal(fl_grpc_reader_next(&reader, &prefix, &message, &err), 0);
        assert_int_equal(feed_zeros(&reader, 1000), 0);
        assert_in_range(reader.partial.cap, round ? large : 1000, round ? large + 5 : 4096);
        const char *at = reader.partial.data;
        assert_int_equal(feed_zeros(&reader, large - 1000), 1);
        if (round) assert_ptr_equal(reader.partial.data, at);
        struct fl_str none = FL_STR_NONE;
        assert_int_equal(fl_grpc_reader_next(&reader, &none, &message, &err), 0);
        assert_int_equal(reader.partial.cap, 0); /* between messages nothing is held */
    }
    struct fl_str claim = S("\0\0\x40\0\0abc");
    assert_int_equal(fl_grpc_reader_next(&reader, &claim, &message, &err), 0);
    assert_in_range(reader.partial.cap, large, large + 5); /* no more than was proven */
    fl_grpc_reader_deinit(&reader);
}

static void test_bad_messages(void **state) {
    FL_UNUSED(state);
    for (size_t piece = 1; piece <= 8; piece += 7) {
        struct seen seen = {0};
        assert_int_equal(feed_split(S("\1\0\0\0\1x"), 0, piece, 16, &seen), FL_EPROTO);
        assert_int_equal(feed_split(S("\2\0\0\0\1x"), 0, piece, 16, &seen), FL_EPROTO);
        assert_int_equal(feed_split(S("\0\0\0\0\21x"), 0, piece, 16, &seen), FL_ETOO_LARGE);
        assert_int_equal(feed_split(S("\0\377\377\377\377x"), 0, piece, 16, &seen), FL_ETOO_LARGE);
        assert_string_equal(seen.text, "");
        seen.answer = FL_ECANCELLED;
        assert_int_equal(feed_split(S("\0\0\0\0\1x\0\0\0\0\1y"), 0, piece, 16, &seen),
                         FL_ECANCELLED);
        assert_string_equal(seen.text, "(x)");
    }
    FL_TEST_EACH_FAILURE(n) {
        struct fl_grpc_reader reader;
        struct seen seen = {0};
        fl_grpc_reader_init(&reader, 16);
        int rc = feed(&reader, S("\0\0"), &seen);
        assert_int_equal(rc, fl_test_alloc_did_fail() ? FL_ENOMEM : 0);
        fl_grpc_reader_deinit(&reader);
    }
}

static void test_prefix(void **state) {
    FL_UNUSED(state);
    uint8_t out[FL_GRPC_PREFIX];
    fl_grpc_prefix(0x01020304, out);
    assert_memory_equal(out, "\0\1\2\3\4", FL_GRPC_PREFIX);
}

static void test_timeouts(void **state) {
    FL_UNUSED(state);
    static const struct {
        uint64_t ms;
        const char *text;
    } formats[] = {{0, "0m"},
                   {1500, "1500m"},
                   {99999999, "99999999m"},
                   {100000000, "100000S"},
                   {100000001, "100001S"},
                   {UINT64_C(99999999000), "99999999S"},
                   {UINT64_C(99999999001), "1666667M"},
                   {UINT64_MAX, "99999999H"}};
    static const struct {
        const char *text;
        uint64_t ms;
    } parses[] = {{"1H", 3600000}, {"2M", 120000},
                  {"3S", 3000},    {"4m", 4},
                  {"1u", 1},       {"1000u", 1},
                  {"1001u", 2},    {"1n", 1},
                  {"0n", 0},       {"99999999H", UINT64_C(359999996400000)}};
    static const char *const bad[] = {"",           "1",   "S",    "1s", "-1S",
                                      "123456789S", "1 S", "1.5S", "1SS"};
    for (size_t i = 0; i < FL_COUNT(formats); i++) {
        char text[FL_GRPC_TIMEOUT_MAX];
        fl_grpc_timeout_format(formats[i].ms, text);
        assert_string_equal(text, formats[i].text);
    }
    for (size_t i = 0; i < FL_COUNT(parses); i++) {
        uint64_t ms = 77;
        assert_true(fl_grpc_timeout_parse(fl_str_of(parses[i].text), &ms));
        assert_int_equal(ms, parses[i].ms);
    }
    for (size_t i = 0; i < FL_COUNT(bad); i++) {
        uint64_t ms;
        assert_false(fl_grpc_timeout_parse(fl_str_of(bad[i]), &ms));
    }
}

static void expect_encoded(struct fl_str text, const char *encoded) {
    struct fl_buf out;
    fl_buf_init(&out, 256);
    assert_int_equal(fl_grpc_message_encode(&out, text), 0);
    assert_true(fl_str_eq(fl_buf_str(&out), fl_str_of(encoded)));
    fl_buf_truncate(&out, 0);
    assert_int_equal(fl_grpc_message_decode(&out, fl_str_of(encoded)), 0);
    assert_true(fl_str_eq(fl_buf_str(&out), text));
    fl_buf_deinit(&out);
}

static void test_message_encoding(void **state) {
    FL_UNUSED(state);
    expect_encoded(S(""), "");
    expect_encoded(S("plain ~text!"), "plain ~text!");
    /* special_status_message of the interoperability cases */
    expect_encoded(S("\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP "
                     "\xf0\x9f\x98\x88\t\n"),
                   "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP "
                   "%F0%9F%98%88%09%0A");
    expect_encoded(S("100%\x7f"), "100%25%7F");
    struct fl_buf out;
    fl_buf_init(&out, 256);
    assert_int_equal(fl_grpc_message_decode(&out, S("%zz%4%e2%41%")), 0);
    assert_true(fl_str_eq(fl_buf_str(&out), S("%zz%4\xe2"
                                              "A%")));
    fl_buf_deinit(&out);
    fl_buf_init(&out, 4);
    assert_int_equal(fl_buf_append(&out, S("ab")), 0);
    assert_int_equal(fl_grpc_message_encode(&out, S("\n")), FL_EFULL);
    assert_int_equal(fl_grpc_message_decode(&out, S("xyz")), FL_EFULL);
    assert_true(fl_str_eq(fl_buf_str(&out), S("ab")));
    fl_buf_deinit(&out);
}

static void test_status_mapping(void **state) {
    FL_UNUSED(state);
    static const int http[][2] = {
        {400, FL_STATUS_INTERNAL},          {401, FL_STATUS_UNAUTHENTICATED},
        {403, FL_STATUS_PERMISSION_DENIED}, {404, FL_STATUS_UNIMPLEMENTED},
        {429, FL_STATUS_UNAVAILABLE},       {502, FL_STATUS_UNAVAILABLE},
        {503, FL_STATUS_UNAVAILABLE},       {504, FL_STATUS_UNAVAILABLE},
        {500, FL_STATUS_UNKNOWN},           {200, FL_STATUS_UNKNOWN},
    };
    static const int h2[][2] = {
        {0, FL_STATUS_INTERNAL},
        {3, FL_STATUS_INTERNAL},
        {7, FL_STATUS_UNAVAILABLE},
        {8, FL_STATUS_CANCELLED},
        {11, FL_STATUS_RESOURCE_EXHAUSTED},
        {12, FL_STATUS_PERMISSION_DENIED},
        {99, FL_STATUS_INTERNAL},
    };
    for (size_t i = 0; i < FL_COUNT(http); i++)
        assert_int_equal(fl_grpc_status_of_http(http[i][0]), http[i][1]);
    for (size_t i = 0; i < FL_COUNT(h2); i++)
        assert_int_equal(fl_grpc_status_of_h2((uint32_t)h2[i][0]), h2[i][1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_in_any_chunking),
        cmocka_unit_test(test_partial_message_is_known),
        cmocka_unit_test(test_memory_follows_what_came),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_message_encoding),
        cmocka_unit_test(test_status_mapping),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
