/* kube_client_test.c - requests of kube/client.h: heads, bodies and ends. */
#include "support/client_bed.h"

#include <fairlead/version.h>
#include <zlib.h>

/* --- tests --- */

static void test_what_a_request_carries(void **state) {
    struct client_bed f;
    char authority[32];
    FL_UNUSED(state);
    for (int http2 = 0; http2 < 2; http2++) {
        setup(&f);
        open_client(&f, http2);
        struct answer a = get(&f);
        snprintf(authority, sizeof(authority), "[::1]:%u", f.config.port);
        assert_int_equal(a.code, FL_OK);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "granted");
        assert_string_equal(f.path, "/prefix/api/v1/services?limit=500");
        assert_string_equal(f.authority, authority);
        assert_string_equal(f.authorization, "");
        assert_string_equal(f.user_agent, "fairlead/" FL_VERSION);
        assert_string_equal(f.accept, "application/json");
        assert_int_equal(f.http2, http2);
        teardown(&f);
    }
}

static void test_a_cancelled_request_says_no_more(void **state) {
    struct client_bed f;
    struct answer a;
    FL_UNUSED(state);
    setup_token_file(&f);
    start(&f, &a);
    fl_kube_request_cancel(a.request);
    fl_kube_request_cancel(a.request);
    assert_int_equal(a.closes, 0);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.heads, 0);
    assert_int_equal(a.code, FL_ECANCELLED);
    teardown(&f);
}

/* At every moment of a request that is retried. */
static void test_a_cancel_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (unsigned steps = 0; steps < 60; steps++) {
        struct client_bed f;
        struct answer a;
        setup_token_file(&f);
        token_file(&f, "second");
        want(&f, "Bearer second");
        start(&f, &a);
        for (unsigned i = 0; i < steps && !a.closes; i++) fl_world_step(f.world);
        if (!a.closes) fl_kube_request_cancel(a.request);
        fl_world_run_ms(f.world, 100);
        assert_int_equal(a.closes, 1);
        assert_true(a.code == FL_ECANCELLED || (a.code == FL_OK && a.status == 200));
        teardown(&f);
    }
}

static void test_closing_ends_requests(void **state) {
    struct client_bed f;
    struct answer a;
    FL_UNUSED(state);
    setup(&f);
    f.silent = true;
    open_client(&f, false);
    start(&f, &a);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.closes, 0);
    close_client(&f);
    assert_int_equal(a.closes, 1);
    assert_int_equal(a.code, FL_ESHUTDOWN);
    teardown(&f);
}

static void test_a_server_that_refuses_connections(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    fl_world_fault(f.world, FL_STR("::1"), FL_WORLD_REFUSE);
    open_client(&f, false);
    assert_int_equal(get(&f).code, FL_EREFUSED);
    teardown(&f);
}

/* --- bodies and heads --- */

static size_t gzip(const char *text, size_t n, char *out, size_t size) {
    z_stream z = {.zalloc = NULL};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    z.next_out = (unsigned char *)out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t used = z.total_out;
    deflateEnd(&z);
    return used;
}

static const struct fl_http_header packed_header = {FL_STR("content-encoding"), FL_STR("gzip")};

static void test_a_packed_list_is_unpacked(void **state) {
    static char large[300000], packed[2000];
    struct client_bed f;
    FL_UNUSED(state);
    for (int http2 = 0; http2 < 2; http2++) {
        setup(&f);
        memset(large, 'x', sizeof(large));
        f.body = fl_str_n(packed, gzip(large, sizeof(large), packed, sizeof(packed)));
        f.extra = (struct fl_http_headers){&packed_header, 1};
        f.config.compression = FL_KUBE_COMPRESSION_ON;
        open_client(&f, http2);
        struct answer a = get(&f);
        assert_int_equal(a.code, FL_OK);
        assert_int_equal(a.bytes, sizeof(large));
        assert_string_equal(f.accept_encoding, "gzip");
        f.body.n--; /* the end is missing */
        assert_int_equal(get(&f).code, FL_EPROTO);
        f.body = FL_STR("not packed at all");
        a = get(&f);
        assert_int_equal(a.code, FL_EPROTO);
        assert_int_equal(a.closes, 1);
        teardown(&f);
    }
}

static void test_nothing_is_packed_unless_asked_for(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    open_client(&f, false);
    expect_granted(&f);
    assert_string_equal(f.accept_encoding, "");
    f.extra = (struct fl_http_headers){&packed_header, 1};
    struct answer a = get(&f);
    assert_int_equal(a.code, FL_EPROTO);
    assert_int_equal(a.heads, 0);
    teardown(&f);
}

static void test_watches_are_not_packed(void **state) {
    struct client_bed f;
    struct answer a = {0};
    FL_UNUSED(state);
    setup(&f);
    f.config.compression = FL_KUBE_COMPRESSION_ON;
    open_client(&f, false);
    assert_int_equal(try_get(&f, "/x?watch=1", &a), FL_OK);
    fl_world_run_ms(f.world, 100);
    assert_int_equal(a.status, 200);
    assert_string_equal(f.accept_encoding, "");
    teardown(&f);
}

static void test_retry_after_comes_in_seconds(void **state) {
    static const struct {
        const char *retry_after, *date, *expected;
    } rows[] = {
        {"7", "", "7"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", "30"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT", "0"},
        {"Sun, 06 Nov 1994 08:49:37 GMT", "", "0"},
        {"soon", "", "soon"},
    };
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        const struct fl_http_header headers[] = {
            {FL_STR("retry-after"), fl_str_of(rows[i].retry_after)},
            {FL_STR("date"), fl_str_of(rows[i].date)},
        };
        struct client_bed f;
        setup(&f);
        f.extra = (struct fl_http_headers){headers, FL_COUNT(headers)};
        open_client(&f, false);
        struct answer a = get(&f);
        assert_string_equal(a.retry_after, rows[i].expected);
        teardown(&f);
    }
}

static void test_each_failed_allocation(void **state) {
    struct client_bed f;
    FL_UNUSED(state);
    setup(&f);
    f.config.token_file = fl_strdup(TOKEN_FILE);
    token_file(&f, "first");
    FL_TEST_EACH_FAILURE(n) {
        struct answer a = {0};
        int rc = try_open(&f, false, NULL);
        if (rc == FL_OK) {
            rc = try_get(&f, "/x", &a);
            f.client_closed = false;
            close_client(&f);
            assert_int_equal(a.closes, rc == FL_OK);
        }
        assert_true(rc == FL_OK || rc == FL_ENOMEM);
    }
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_request_carries),
        cmocka_unit_test(test_a_cancelled_request_says_no_more),
        cmocka_unit_test(test_a_cancel_at_any_moment),
        cmocka_unit_test(test_closing_ends_requests),
        cmocka_unit_test(test_a_server_that_refuses_connections),
        cmocka_unit_test(test_a_packed_list_is_unpacked),
        cmocka_unit_test(test_nothing_is_packed_unless_asked_for),
        cmocka_unit_test(test_watches_are_not_packed),
        cmocka_unit_test(test_retry_after_comes_in_seconds),
        cmocka_unit_test(test_each_failed_allocation),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
