/* http_loop_test.c - connections over the real loop: cleartext and TLS, and who speaks what by
 * ALPN.
 */
#include "support/alloc.h"

#include "http/conn.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

struct side {
    struct fl_http_conn *conn; /* NULL after on_close */
    bool ready, closed, h2;
    struct fl_error why;
};

struct bench {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct fl_test_cert cert;
    struct fl_tls *server_tls, *client_tls;
    struct fl_listener *listener;
    struct side client, server;
    struct fl_http_options options; /* of the client */
    bool answered;
    size_t received, sent;
    int status;
};

#define BODY ((size_t)3000000)

/* --- the server answers with a large body --- */

static void feed_body(struct bench *b, struct fl_http_stream *stream) {
    static const char piece[65536] = "x";
    while (b->sent < BODY) {
        size_t n = FL_MIN(sizeof piece, BODY - b->sent);
        bool end = b->sent + n == BODY;
        if (fl_http_stream_write(stream, fl_str_n(piece, n), end) != 0) return;
        b->sent += n;
    }
}

static void server_writable(void *arg, struct fl_http_stream *stream) { feed_body(arg, stream); }

static void server_end(void *arg, struct fl_http_stream *stream) {
    const struct fl_http_response head = {.status = 200};
    assert_int_equal(fl_http_stream_respond(stream, &head, false), 0);
    feed_body(arg, stream);
}

static void server_stream_close(void *arg, struct fl_http_stream *stream,
                                const struct fl_error *why, uint32_t h2_code) {
    FL_UNUSED(arg), FL_UNUSED(stream), FL_UNUSED(h2_code);
    assert_int_equal(why->code, FL_OK);
}

static const struct fl_http_stream_events server_stream_events = {
    .on_writable = server_writable,
    .on_end = server_end,
    .on_close = server_stream_close,
};

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct bench *b = arg;
    FL_UNUSED(head);
    b->server.h2 = fl_http_conn_is_h2(conn);
    fl_http_stream_attach(stream, &server_stream_events, b);
}

static void server_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct bench *b = arg;
    FL_UNUSED(conn), FL_UNUSED(why);
    b->server.conn = NULL;
    b->server.closed = true;
}

static const struct fl_http_conn_events server_events = {
    .on_request = on_request,
    .on_close = server_close,
};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct bench *b = arg;
    const struct fl_http_options options = {.version = FL_HTTP_BY_ALPN};
    assert_int_equal(
        fl_http_conn_take_accepted(b->io, sock, &options, &server_events, b, &b->server.conn, NULL),
        0);
}

/* --- the client --- */

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    ((struct bench *)arg)->status = head->status;
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    ((struct bench *)arg)->received += bytes.n;
    fl_http_stream_consume(stream, bytes.n);
}

static void client_stream_close(void *arg, struct fl_http_stream *stream,
                                const struct fl_error *why, uint32_t h2_code) {
    FL_UNUSED(stream), FL_UNUSED(h2_code);
    assert_string_equal(fl_error_name(why->code), "OK");
    ((struct bench *)arg)->answered = true;
}

static const struct fl_http_stream_events client_stream_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_close = client_stream_close,
};

static void client_ready(void *arg, struct fl_http_conn *conn) {
    struct bench *b = arg;
    b->client.ready = true;
    b->client.h2 = fl_http_conn_is_h2(conn);
}

static void client_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct bench *b = arg;
    FL_UNUSED(conn);
    b->client.conn = NULL;
    b->client.closed = true;
    b->client.why = *why;
}

static const struct fl_http_conn_events client_events = {
    .on_ready = client_ready,
    .on_close = client_close,
};

/* --- the bench --- */

static void bench_init(struct bench *b, bool tls, const char *const *server_alpn,
                       const char *const *client_alpn) {
    *b = (struct bench){.runtime = fl_test_loop_new()};
    b->io = b->runtime->io;
    if (tls) {
        const struct fl_test_cert_options options = {.names = "IP:127.0.0.1"};
        fl_test_cert_init(&b->cert, "http", &options);
        const struct fl_tls_config server = {.cert_pem = fl_str_of(b->cert.cert_pem),
                                             .key_pem = fl_str_of(b->cert.key_pem),
                                             .server = true,
                                             .alpn = server_alpn};
        const struct fl_tls_config client = {.ca_pem = fl_str_of(b->cert.cert_pem),
                                             .alpn = client_alpn};
        assert_int_equal(fl_io_tls_new(b->io, &server, &b->server_tls, NULL), 0);
        assert_int_equal(fl_io_tls_new(b->io, &client, &b->client_tls, NULL), 0);
    }
    assert_int_equal(fl_io_listen(b->io, FL_STR("127.0.0.1"), 0, b->server_tls, on_accept, b,
                                  &b->listener, NULL),
                     0);
}

static void bench_dial(struct bench *b, enum fl_http_version version) {
    const struct fl_dial dial = {.host = FL_STR("127.0.0.1"),
                                 .port = fl_listener_port(b->io, b->listener),
                                 .tls = b->client_tls};
    b->options.version = version;
    assert_int_equal(
        fl_http_conn_dial(b->io, &dial, &b->options, &client_events, b, &b->client.conn, NULL), 0);
}

static void bench_exchange(struct bench *b) {
    const struct fl_http_request head = {.method = FL_STR("GET"),
                                         .scheme = FL_STR("https"),
                                         .authority = FL_STR("h"),
                                         .path = FL_STR("/"),
                                         .headers = {NULL, 0}};
    struct fl_http_stream *stream;
    fl_test_loop_until_true(b->runtime, &b->client.ready);
    assert_int_equal(
        fl_http_conn_request(b->client.conn, &head, true, &client_stream_events, b, &stream, NULL),
        0);
    fl_test_loop_until_true(b->runtime, &b->answered);
    assert_int_equal(b->status, 200);
    assert_int_equal(b->received, BODY);
}

static bool all_closed(void *arg) {
    const struct bench *b = arg;
    return !b->client.conn && !b->server.conn;
}

static void bench_deinit(struct bench *b) {
    if (b->client.conn) fl_http_conn_close(b->client.conn);
    if (b->server.conn) fl_http_conn_close(b->server.conn);
    fl_test_loop_until(b->runtime, all_closed, b);
    fl_listener_close(b->io, b->listener);
    fl_tls_unref(b->io, b->server_tls);
    fl_tls_unref(b->io, b->client_tls);
    if (b->cert.key_pem) fl_test_cert_deinit(&b->cert);
    fl_runtime_free(b->runtime);
}

static const char *const both[] = {"h2", "http/1.1", NULL};
static const char *const only_1[] = {"http/1.1", NULL};

static void test_cleartext(void **state) {
    FL_UNUSED(state);
    for (int h2 = 0; h2 < 2; h2++) {
        struct bench b;
        bench_init(&b, false, NULL, NULL);
        bench_dial(&b, h2 ? FL_HTTP_2 : FL_HTTP_BY_ALPN);
        bench_exchange(&b);
        assert_int_equal(b.client.h2, h2);
        assert_int_equal(b.server.h2, h2);
        bench_deinit(&b);
    }
}

static void test_alpn_decides(void **state) {
    FL_UNUSED(state);
    for (int h2 = 0; h2 < 2; h2++) {
        struct bench b;
        bench_init(&b, true, h2 ? both : only_1, both);
        bench_dial(&b, FL_HTTP_BY_ALPN);
        bench_exchange(&b);
        assert_int_equal(b.client.h2, h2);
        assert_int_equal(b.server.h2, h2);
        bench_deinit(&b);
    }
}

/* A server that knows no ALPN at all speaks HTTP/1.1. */
static void test_no_alpn(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_init(&b, true, NULL, both);
    bench_dial(&b, FL_HTTP_BY_ALPN);
    bench_exchange(&b);
    assert_false(b.client.h2);
    bench_deinit(&b);
}

static void test_http_2_wanted_and_not_agreed(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_init(&b, true, only_1, both);
    bench_dial(&b, FL_HTTP_2);
    fl_test_loop_until_true(b.runtime, &b.client.closed);
    assert_int_equal(b.client.why.code, FL_ETLS);
    assert_string_equal(b.client.why.detail, "the peer agreed to \"http/1.1\" by ALPN, not to h2");
    assert_false(b.client.ready);
    bench_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cleartext),
        cmocka_unit_test(test_alpn_decides),
        cmocka_unit_test(test_no_alpn),
        cmocka_unit_test(test_http_2_wanted_and_not_agreed),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
