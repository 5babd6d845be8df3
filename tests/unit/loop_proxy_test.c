/* loop_proxy_test.c - the machine that speaks with a proxy: each answer whole, byte by byte, wrong
 * and too long. */
#include "support/alloc.h"

#include "loop/proxy.h"

static struct fl_proxy http(const char *user, const char *password) {
    return (struct fl_proxy){.kind = FL_PROXY_HTTP,
                             .host = FL_STR("127.0.0.1"),
                             .port = 3128,
                             .user = fl_str_of(user),
                             .password = fl_str_of(password)};
}

static struct fl_proxy socks(const char *user, const char *password) {
    struct fl_proxy proxy = http(user, password);
    proxy.kind = FL_PROXY_SOCKS5;
    proxy.port = 1080;
    return proxy;
}

static struct fl_proxy_session *begin(const struct fl_proxy *proxy, const char *host) {
    struct fl_proxy_session *s = NULL;
    assert_int_equal(fl_proxy_session_new(proxy, fl_str_of(host), 6443, &s, NULL), 0);
    return s;
}

static void assert_says(struct fl_proxy_session *s, const void *bytes, size_t n) {
    assert_int_equal(s->out.len, n);
    assert_memory_equal(fl_buf_str(&s->out).p, bytes, n);
    fl_buf_truncate(&s->out, 0);
}

#define SAYS(s, literal) assert_says(s, literal, sizeof(literal) - 1)

/* Feeds `bytes` in pieces; *used over all of them. */
static int feed(struct fl_proxy_session *s, struct fl_str bytes, size_t piece, size_t *used,
                struct fl_error *err) {
    int rc = 0;
    *used = 0;
    while (rc == 0 && *used < bytes.n) {
        size_t n;
        rc = fl_proxy_session_feed(s, fl_str_n(bytes.p + *used, FL_MIN(piece, bytes.n - *used)), &n,
                                   err);
        if (rc >= 0) assert_true(n > 0);
        *used += n;
    }
    return rc;
}

static void expect_tunnel(const struct fl_proxy *proxy, struct fl_str answer, size_t beyond) {
    for (size_t piece = 1; piece <= answer.n; piece++) {
        struct fl_proxy_session *s = begin(proxy, "api.test");
        size_t used;
        assert_int_equal(feed(s, answer, piece, &used, NULL), 1);
        assert_int_equal(used, answer.n - beyond); /* the rest is the peer's */
        fl_proxy_session_free(s);
    }
}

static void expect_failure(const struct fl_proxy *proxy, struct fl_str answer, int code,
                           const char *detail) {
    for (size_t piece = 1; piece <= answer.n; piece++) {
        struct fl_proxy_session *s = begin(proxy, "api.test");
        struct fl_error err = {0};
        size_t used;
        int rc = feed(s, answer, piece, &used, &err);
        if (rc != code) fail_msg("%s: %s", fl_error_name(rc), err.detail);
        assert_int_equal(err.code, code);
        assert_string_equal(err.detail, detail);
        fl_proxy_session_free(s);
    }
}

static void test_connect_request(void **state) {
    (void)state;
    struct fl_proxy plain = http(NULL, NULL), user = http("Aladdin", "open sesame");
    struct fl_proxy_session *s = begin(&plain, "api.test");
    SAYS(s, "CONNECT api.test:6443 HTTP/1.1\r\nHost: api.test:6443\r\n\r\n");
    fl_proxy_session_free(s);
    s = begin(&plain, "::1");
    SAYS(s, "CONNECT [::1]:6443 HTTP/1.1\r\nHost: [::1]:6443\r\n\r\n");
    fl_proxy_session_free(s);
    s = begin(&user, "10.0.0.1"); /* the example of RFC 7617, section 2 */
    SAYS(s, "CONNECT 10.0.0.1:6443 HTTP/1.1\r\nHost: 10.0.0.1:6443\r\n"
            "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    fl_proxy_session_free(s);
}

static void test_connect_answers(void **state) {
    (void)state;
    struct fl_proxy proxy = http(NULL, NULL);
    expect_tunnel(&proxy, FL_STR("HTTP/1.1 200 Connection established\r\n\r\n"), 0);
    expect_tunnel(&proxy, FL_STR("HTTP/1.0 200\r\nVia: x\r\nContent-Length: 5\r\n\r\nhello"), 5);
    expect_tunnel(&proxy, FL_STR("HTTP/1.1 299 fine\n\n"), 0);
    expect_tunnel(&proxy, FL_STR("HTTP/1.1 103 \r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n"), 1);
}

static void test_connect_refusals(void **state) {
    (void)state;
    struct fl_proxy proxy = http(NULL, NULL);
    expect_failure(&proxy,
                   FL_STR("HTTP/1.1 407 Proxy Authentication Required\r\n"
                          "Proxy-Authenticate: Basic\r\n\r\n"),
                   FL_ECONFIG, "proxy 127.0.0.1:3128 answered 407 Proxy Authentication Required");
    expect_failure(&proxy, FL_STR("HTTP/1.1 503\r\n\r\n"), FL_EUNREACHABLE,
                   "proxy 127.0.0.1:3128 answered 503");
    expect_failure(&proxy, FL_STR("HTTP/1.1 302 \x1b[2J\r\n\r\n"), FL_EUNREACHABLE,
                   "proxy 127.0.0.1:3128 answered 302 \\x1b[2J");
}

static void test_what_is_no_http(void **state) {
    (void)state;
    static const char *const lines[] = {
        "SSH-2.0-OpenSSH\n",  "\n",
        "HTTP/2 200 OK\n",    "HTTP/1.1 20 OK\n",
        "HTTP/1.1 2000\n",    "HTTP/1.x 200\n",
        "HTTP/1.1  200 OK\n", "HTTP/1.1 099 no\n",
    };
    struct fl_proxy proxy = http(NULL, NULL);
    for (size_t i = 0; i < FL_COUNT(lines); i++) {
        expect_failure(&proxy, fl_str_of(lines[i]), FL_EPROTO,
                       "proxy 127.0.0.1:3128 does not speak HTTP");
    }
}

static void test_head_without_end(void **state) {
    (void)state;
    struct fl_proxy proxy = http(NULL, NULL);
    for (int lines = 0; lines < 2; lines++) {
        struct fl_proxy_session *s = begin(&proxy, "api.test");
        struct fl_error err;
        size_t used, fed = 0;
        int rc = fl_proxy_session_feed(s, FL_STR("HTTP/1.1 200 OK\r\nX: "), &used, &err);
        while (rc == 0) {
            rc = fl_proxy_session_feed(s, lines ? FL_STR("x\r\n") : FL_STR("xxx"), &used, &err);
            fed += 3;
            assert_true(fed <= FL_PROXY_HEAD_MAX + 3);
        }
        assert_int_equal(rc, FL_ETOO_LARGE);
        assert_non_null(strstr(err.detail, "proxy 127.0.0.1:3128 answered with more than 16384"));
        fl_proxy_session_free(s);
    }
}

static void answer(struct fl_proxy_session *s, struct fl_str bytes, int expected) {
    size_t used;
    assert_int_equal(feed(s, bytes, 1, &used, NULL), expected);
    assert_int_equal(used, bytes.n);
}

static void test_socks(void **state) {
    (void)state;
    struct fl_proxy proxy = socks(NULL, NULL);
    struct fl_proxy_session *s = begin(&proxy, "api.test");
    SAYS(s, "\5\1\0");
    answer(s, FL_STR("\5\0"), 0);
    SAYS(s, "\5\1\0\3\10api.test\x19\x2b"); /* the name, as it is */
    answer(s, FL_STR("\5\0\0\1\177\0\0\1\0\120"), 1);
    fl_proxy_session_free(s);
    s = begin(&proxy, "10.1.2.3");
    fl_buf_truncate(&s->out, 0);
    answer(s, FL_STR("\5\0"), 0);
    SAYS(s, "\5\1\0\1\12\1\2\3\x19\x2b");
    answer(s, FL_STR("\5\0\0\3\3abc\0\120"), 1);
    fl_proxy_session_free(s);
    s = begin(&proxy, "::1");
    fl_buf_truncate(&s->out, 0);
    answer(s, FL_STR("\5\0"), 0);
    SAYS(s, "\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x19\x2b");
    answer(s, FL_STR("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 1);
    fl_proxy_session_free(s);
}

static void test_socks_with_a_user(void **state) {
    (void)state;
    struct fl_proxy proxy = socks("me", "secret");
    struct fl_proxy_session *s = begin(&proxy, "api.test");
    SAYS(s, "\5\2\0\2");
    answer(s, FL_STR("\5\2"), 0);
    SAYS(s, "\1\2me\6secret");
    answer(s, FL_STR("\1\0"), 0);
    SAYS(s, "\5\1\0\3\10api.test\x19\x2b");
    answer(s, FL_STR("\5\0\0\1\0\0\0\0\0\0"), 1);
    fl_proxy_session_free(s);
    s = begin(&proxy, "api.test");
    fl_buf_truncate(&s->out, 0);
    answer(s, FL_STR("\5\0"), 0); /* it does not want to know */
    SAYS(s, "\5\1\0\3\10api.test\x19\x2b");
    fl_proxy_session_free(s);
}

static void test_socks_in_pieces(void **state) {
    (void)state;
    struct fl_proxy plain = socks(NULL, NULL), user = socks("me", "secret");
    expect_tunnel(&plain, FL_STR("\5\0\5\0\0\1\0\0\0\0\0\0hello"), 5);
    expect_tunnel(&plain, FL_STR("\5\0\5\0\0\3\0\0\0"), 0); /* an empty name */
    expect_tunnel(&user, FL_STR("\5\2\1\0\5\0\0\4................\0\120\5"), 1);
}

static void test_socks_refusals(void **state) {
    (void)state;
    struct fl_proxy plain = socks(NULL, NULL), user = socks("me", "secret");
    expect_failure(&plain, FL_STR("\5\xff"), FL_ECONFIG,
                   "proxy 127.0.0.1:1080 wants a user name and a password");
    expect_failure(&user, FL_STR("\5\xff"), FL_ECONFIG,
                   "proxy 127.0.0.1:1080 takes no user name and password");
    expect_failure(&user, FL_STR("\5\2\1\1"), FL_ECONFIG,
                   "proxy 127.0.0.1:1080 did not accept the user name and the password");
    expect_failure(&plain, FL_STR("\5\0\5\5\0\1\0"), FL_EREFUSED,
                   "proxy 127.0.0.1:1080 answered 5 connection refused");
    expect_failure(&plain, FL_STR("\5\0\5\4\0\1\0"), FL_EUNREACHABLE,
                   "proxy 127.0.0.1:1080 answered 4 host unreachable");
    expect_failure(&plain, FL_STR("\5\0\5\x63\0\1\0"), FL_EPROTO,
                   "proxy 127.0.0.1:1080 answered 99");
}

static void test_what_is_no_socks(void **state) {
    (void)state;
    static const struct fl_str answers[] = {
        {"HTTP", 4},           {"\4\0", 2},           {"\5\1", 2}, {"\5\2", 2},
        {"\5\0\4\0\0\1\0", 7}, {"\5\0\5\0\0\2\0", 7}, {"\5\3", 2},
    };
    struct fl_proxy plain = socks(NULL, NULL), user = socks("me", "secret");
    for (size_t i = 0; i < FL_COUNT(answers); i++) {
        expect_failure(&plain, answers[i], FL_EPROTO, "proxy 127.0.0.1:1080 does not speak SOCKS5");
    }
    expect_failure(&user, FL_STR("\5\2\5\0"), FL_EPROTO,
                   "proxy 127.0.0.1:1080 does not speak SOCKS5");
}

static void test_credentials_that_cannot_be_sent(void **state) {
    (void)state;
    char longer[2050];
    memset(longer, 'x', 2049);
    longer[2049] = '\0';
    struct fl_proxy wrong[] = {http("a:b", "c"), http(longer, "c"), socks("a", longer),
                               socks(NULL, "c"), http("a", "b")};
    wrong[2].password.n = 256;
    wrong[4].user = FL_STR("a\0b");
    for (size_t i = 0; i < FL_COUNT(wrong); i++) {
        struct fl_proxy_session *s;
        struct fl_error err;
        assert_int_equal(fl_proxy_session_new(&wrong[i], FL_STR("api.test"), 1, &s, &err),
                         FL_EUSAGE);
        assert_null(strstr(err.detail, "xxx")); /* no secret in it */
    }
    struct fl_proxy most = http("", "");
    most.user = most.password = fl_str_n(longer, 2048);
    struct fl_proxy_session *s = begin(&most, "api.test");
    assert_true(fl_buf_str(&s->out).n > 4097 / 3 * 4);
    assert_non_null(memmem(s->out.data, s->out.len, "Basic eHh4", 10));
    fl_proxy_session_free(s);
    most = socks(longer, longer);
    most.user.n = most.password.n = 255;
    fl_proxy_session_free(begin(&most, "api.test"));
    most = http("", "pw"); /* only a token, as some proxies take it */
    s = begin(&most, "api.test");
    assert_non_null(memmem(s->out.data, s->out.len, "Basic OnB3\r", 11));
    fl_proxy_session_free(s);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    struct fl_proxy proxies[] = {http("me", "secret"), socks("me", "secret")};
    for (size_t i = 0; i < FL_COUNT(proxies); i++) {
        FL_TEST_EACH_FAILURE(n) {
            struct fl_proxy_session *s;
            int rc = fl_proxy_session_new(&proxies[i], FL_STR("api.test"), 1, &s, NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            if (rc == 0) fl_proxy_session_free(s);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_request),
        cmocka_unit_test(test_connect_answers),
        cmocka_unit_test(test_connect_refusals),
        cmocka_unit_test(test_what_is_no_http),
        cmocka_unit_test(test_head_without_end),
        cmocka_unit_test(test_socks),
        cmocka_unit_test(test_socks_with_a_user),
        cmocka_unit_test(test_socks_in_pieces),
        cmocka_unit_test(test_socks_refusals),
        cmocka_unit_test(test_what_is_no_socks),
        cmocka_unit_test(test_credentials_that_cannot_be_sent),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
