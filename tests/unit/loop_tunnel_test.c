/* loop_tunnel_test.c - dialling through proxies on loopback sockets: HTTP, the same over TLS, and
 * SOCKS5; to peers with TLS and without; and proxies that do not play along.
 *
 * The proxy here is a relay: it keeps what it was asked, answers as the test says, connects to the
 * peer that the test has, and carries bytes both ways. */
#include "support/alloc.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

#include <stdio.h>
#include <stdlib.h>

static struct fl_test_cert authority, good;

struct relay {
    struct fl_io *io;
    struct fl_listener *listener;
    uint16_t port, peer_port;
    const char *const *answers; /* each to what comes next, then the tunnel; NULL-terminated */
    const size_t *answer_sizes;
    size_t answered;
    bool silent, ends;         /* never answers; closes instead of answering */
    bool chop;                 /* answers byte by byte, a turn each */
    struct fl_timer next_byte; /* with `chop` */
    size_t chopped;
    struct fl_sock *near, *far;
    bool far_open;
    struct fl_buf asked, held; /* until it was answered; for the peer, until that is connected */
};

static const struct fl_sock_events near_events, far_events;

/* To one who has just closed nothing is carried, and without memory he will have. */
static void carry(struct relay *r, struct fl_sock *to, struct fl_str bytes) {
    if (to && fl_sock_write(r->io, to, bytes) < 0) return;
}

static void keep(struct relay *r, struct fl_buf *in, struct fl_str bytes) {
    if (fl_buf_append(in, bytes) < 0) fl_sock_abort(r->io, r->near);
}

static void connect_peer(struct relay *r) {
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"),
                           .port = r->peer_port,
                           .deadline_ms = fl_io_now_ms(r->io) + 30000};
    if (fl_io_dial(r->io, &dial, &far_events, r, &r->far, NULL) < 0) fl_sock_abort(r->io, r->near);
}

static struct fl_str answer_of(const struct relay *r, size_t i) {
    return r->answer_sizes ? fl_str_n(r->answers[i], r->answer_sizes[i]) : fl_str_of(r->answers[i]);
}

static void on_next_byte(struct fl_timer *timer) {
    struct relay *r = FL_CONTAINER(timer, struct relay, next_byte);
    struct fl_str answer = answer_of(r, r->answered);
    if (!r->near) return;
    carry(r, r->near, fl_str_n(answer.p + r->chopped++, 1));
    if (r->chopped < answer.n) {
        fl_io_timer_set(r->io, &r->next_byte, fl_io_now_ms(r->io) + 1);
        return;
    }
    r->chopped = 0;
    if (!r->answers[++r->answered]) connect_peer(r);
}

static void near_data(void *arg, struct fl_str bytes) {
    struct relay *r = arg;
    if (!r->answers[r->answered]) { /* the tunnel is there */
        if (r->far_open) {
            carry(r, r->far, bytes);
        } else {
            keep(r, &r->held, bytes);
        }
        return;
    }
    keep(r, &r->asked, bytes);
    if (r->silent) return;
    if (r->ends) {
        fl_sock_close(r->io, r->near);
    } else if (r->chop) {
        fl_io_timer_set(r->io, &r->next_byte, fl_io_now_ms(r->io) + 1);
    } else {
        carry(r, r->near, answer_of(r, r->answered));
        if (!r->answers[++r->answered]) connect_peer(r);
    }
}

static void near_close(void *arg, const struct fl_error *why) {
    struct relay *r = arg;
    (void)why;
    r->near = NULL;
    if (r->far) fl_sock_close(r->io, r->far);
}

static void near_eof(void *arg) {
    struct relay *r = arg;
    fl_sock_close(r->io, r->near);
}

static void far_open(void *arg, struct fl_str alpn) {
    struct relay *r = arg;
    (void)alpn;
    r->far_open = true;
    carry(r, r->far, fl_buf_str(&r->held));
}

static void far_data(void *arg, struct fl_str bytes) {
    struct relay *r = arg;
    carry(r, r->near, bytes);
}

static void far_close(void *arg, const struct fl_error *why) {
    struct relay *r = arg;
    (void)why;
    r->far = NULL;
    r->far_open = false;
    if (r->near) fl_sock_close(r->io, r->near);
}

static void far_eof(void *arg) {
    struct relay *r = arg;
    fl_sock_close(r->io, r->far);
}

static void on_writable(void *arg) { (void)arg; }

static const struct fl_sock_events near_events = {NULL, near_data, on_writable, near_eof,
                                                  near_close};
static const struct fl_sock_events far_events = {far_open, far_data, on_writable, far_eof,
                                                 far_close};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct relay *r = arg;
    r->near = sock;
    fl_sock_attach(r->io, sock, &near_events, r);
}

/* --- the bed --- */

struct bed {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct relay relay;
    struct fl_test_server server;
    struct fl_test_peer client;
    struct fl_tls *client_tls, *server_tls;
    struct fl_proxy proxy;
};

static const char *const established[] = {"HTTP/1.1 200 Connection established\r\n\r\n", NULL};

static struct fl_tls *load(struct fl_io *io, bool server) {
    struct fl_tls_config config = {.server = server};
    struct fl_tls *tls = NULL;
    if (server) {
        config.cert_pem = fl_str_of(good.cert_pem);
        config.key_pem = fl_str_of(good.key_pem);
    } else {
        config.ca_pem = fl_str_of(authority.cert_pem);
    }
    assert_int_equal(fl_io_tls_new(io, &config, &tls, NULL), 0);
    return tls;
}

static void bed_init(struct bed *b, bool peer_tls, bool proxy_tls) {
    *b = (struct bed){.runtime = fl_test_loop_new()};
    b->io = b->runtime->io;
    b->client_tls = load(b->io, false);
    b->server_tls = load(b->io, true);
    fl_test_peer_init(&b->client, b->runtime);
    fl_test_server_init(&b->server, b->runtime, "127.0.0.1", peer_tls ? b->server_tls : NULL);
    b->server.peer.echo = true;
    struct relay *r = &b->relay;
    r->io = b->io;
    r->answers = established;
    r->peer_port = b->server.port;
    fl_buf_init(&r->asked, 1 << 20);
    fl_buf_init(&r->held, 1 << 20);
    assert_int_equal(fl_io_timer_init(b->io, &r->next_byte, on_next_byte), 0);
    assert_int_equal(fl_io_listen(b->io, FL_STR("127.0.0.1"), 0, proxy_tls ? b->server_tls : NULL,
                                  on_accept, r, &r->listener, NULL),
                     0);
    r->port = fl_listener_port(b->io, r->listener);
    b->proxy = (struct fl_proxy){.kind = FL_PROXY_HTTP,
                                 .host = FL_STR("127.0.0.1"),
                                 .port = r->port,
                                 .tls = proxy_tls ? b->client_tls : NULL};
}

static bool is_quiet(void *arg) {
    const struct relay *r = arg;
    return !r->near && !r->far;
}

static void relay_end(struct bed *b) {
    struct relay *r = &b->relay;
    if (r->near) fl_sock_abort(b->io, r->near);
    if (r->far) fl_sock_abort(b->io, r->far);
    fl_listener_close(b->io, r->listener);
    fl_test_loop_until(b->runtime, is_quiet, r);
    fl_test_loop_settle(b->runtime); /* of a handshake that has failed, too */
    fl_io_timer_deinit(b->io, &r->next_byte);
    fl_buf_deinit(&r->asked);
    fl_buf_deinit(&r->held);
}

static void bed_end(struct bed *b) {
    relay_end(b);
    fl_tls_unref(b->io, b->client_tls);
    fl_tls_unref(b->io, b->server_tls);
    fl_test_loop_end(b->runtime, &b->client, &b->server);
}

static int dial(struct bed *b, const char *name, struct fl_tls *tls, uint64_t in_ms) {
    struct fl_dial d = {.host = fl_str_of(name),
                        .port = 443, /* the relay knows better */
                        .tls = tls,
                        .proxy = &b->proxy,
                        .deadline_ms = fl_io_now_ms(b->io) + in_ms};
    return fl_io_dial(b->io, &d, &fl_test_peer_events, &b->client, &b->client.sock, NULL);
}

static bool is_settled(void *arg) {
    struct bed *b = arg;
    return b->client.closed || b->client.open;
}

static void run(struct bed *b, const char *name, struct fl_tls *tls) {
    assert_int_equal(dial(b, name, tls, 30000), 0);
    fl_test_loop_until(b->runtime, is_settled, b);
}

static void assert_echoes(struct bed *b) {
    char peer[64];
    assert_string_equal(b->client.why.detail, "");
    assert_true(b->client.open);
    fl_sock_peer(b->io, b->client.sock, peer, sizeof(peer));
    assert_string_equal(peer, "echo.test:443");
    fl_test_peer_write(&b->client, "through");
    fl_test_peer_expect(b->runtime, &b->client, "through");
    fl_sock_close(b->io, b->client.sock);
    fl_test_loop_until_true(b->runtime, &b->client.closed);
    assert_int_equal(b->client.why.code, FL_OK);
    fl_test_loop_until_true(b->runtime, &b->server.peer.closed);
}

static void assert_failed(struct bed *b, int code, const char *words) {
    assert_true(b->client.closed);
    assert_int_equal(b->client.opens, 0);
    assert_int_equal(b->client.closes, 1);
    assert_string_equal(fl_error_name(b->client.why.code), fl_error_name(code));
    if (!strstr(b->client.why.detail, words)) fail_msg("detail: %s", b->client.why.detail);
}

static void echo_through(bool peer_tls, bool proxy_tls, bool chop) {
    struct bed b;
    bed_init(&b, peer_tls, proxy_tls);
    b.relay.chop = chop;
    run(&b, "echo.test", peer_tls ? b.client_tls : NULL);
    assert_echoes(&b);
    assert_true(fl_str_eq(fl_buf_str(&b.relay.asked),
                          FL_STR("CONNECT echo.test:443 HTTP/1.1\r\nHost: echo.test:443\r\n\r\n")));
    bed_end(&b);
}

static void test_http(void **state) {
    (void)state;
    echo_through(false, false, false);
    echo_through(true, false, false);
}

static void test_http_over_tls(void **state) {
    (void)state;
    echo_through(false, true, false);
    echo_through(true, true, false); /* TLS in TLS */
}

static void test_answer_byte_by_byte(void **state) {
    (void)state;
    echo_through(false, false, true);
    echo_through(true, false, true);
    echo_through(true, true, true);
}

static const size_t socks_sizes[] = {2, 2, 10};
static const char *const socks_answers[] = {"\5\2", "\1\0", "\5\0\0\1\0\0\0\0\0\0", NULL};

static void echo_through_socks(bool peer_tls, bool chop) {
    struct bed b;
    bed_init(&b, peer_tls, false);
    b.relay.answers = socks_answers;
    b.relay.answer_sizes = socks_sizes;
    b.relay.chop = chop;
    b.proxy.kind = FL_PROXY_SOCKS5;
    b.proxy.user = FL_STR("me");
    b.proxy.password = FL_STR("secret");
    run(&b, "echo.test", peer_tls ? b.client_tls : NULL);
    assert_echoes(&b);
    assert_true(fl_str_eq(fl_buf_str(&b.relay.asked), FL_STR("\5\2\0\2"
                                                             "\1\2me\6secret"
                                                             "\5\1\0\3\11echo.test\1\273")));
    bed_end(&b);
}

static void test_socks(void **state) {
    (void)state;
    echo_through_socks(false, false);
    echo_through_socks(true, false);
    echo_through_socks(true, true);
}

/* A peer that speaks first: what follows the proxy's answer is its. */
static void test_peer_speaks_first(void **state) {
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\n\r\nhello", NULL};
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, false, tls);
        b.relay.answers = answers;
        run(&b, "echo.test", NULL);
        fl_test_peer_expect(b.runtime, &b.client, "hello");
        assert_echoes(&b);
        bed_end(&b);
    }
}

/* More than all buffers between hold, both ways, with pauses. */
static void test_big_data_through_tls_in_tls(void **state) {
    (void)state;
    struct bed b;
    size_t n = (size_t)3 << 20;
    char *big = malloc(n);
    memset(big, 'x', n);
    bed_init(&b, true, true);
    run(&b, "echo.test", b.client_tls);
    fl_buf_deinit(&b.relay.held);
    assert_int_equal(fl_sock_write(b.io, b.client.sock, fl_str_n(big, n)), 0);
    assert_true(fl_sock_queued(b.io, b.client.sock) >= n);
    for (size_t got = 0; b.client.in.len < n;) {
        fl_sock_pause(b.io, b.client.sock, b.client.in.len > got);
        got = b.client.in.len;
        fl_runtime_turn(b.runtime);
        fl_sock_pause(b.io, b.client.sock, false);
        fl_runtime_turn(b.runtime);
        assert_false(b.client.closed);
    }
    assert_memory_equal(b.client.in.data + b.client.in.start, big, n);
    assert_int_equal(b.client.in.len, n);
    assert_true(b.client.writables > 0);
    free(big);
    bed_end(&b);
}

static void pause_on_data(struct fl_test_peer *peer, const char *event) {
    if (strcmp(event, "data") == 0) fl_sock_pause(peer->io, peer->sock, true);
}

/* Data, the peer's end and the proxy's come at once, and the owner pauses at the first piece. */
static void test_end_waits_behind_paused_data(void **state) {
    (void)state;
    struct bed b;
    static char bytes[40000];
    bed_init(&b, true, true);
    run(&b, "echo.test", b.client_tls);
    fl_test_peer_write(&b.client, "go");
    fl_test_peer_expect(b.runtime, &b.client, "go");
    fl_sock_pause(b.io, b.client.sock, true);
    assert_int_equal(fl_sock_write(b.io, b.server.peer.sock, fl_str_n(bytes, sizeof(bytes))), 0);
    fl_sock_close(b.io, b.server.peer.sock);
    fl_test_loop_settle(b.runtime);
    assert_int_equal(b.client.in.len, 0);
    b.client.then = pause_on_data;
    while (!b.client.eof) {
        assert_false(b.client.closed);
        fl_sock_pause(b.io, b.client.sock, false);
        fl_test_loop_settle(b.runtime);
    }
    assert_int_equal(b.client.in.len, sizeof(bytes));
    fl_test_loop_until_true(b.runtime, &b.client.closed);
    assert_int_equal(b.client.why.code, FL_OK); /* he closes on the end */
    bed_end(&b);
}

static void test_wrong_peer_behind_the_proxy(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, true, tls);
        run(&b, "other.test", b.client_tls);
        assert_failed(&b, FL_ECERT, "other.test:443 through proxy 127.0.0.1:");
        assert_non_null(strstr(b.client.why.detail, "certificate is not for \"other.test\""));
        bed_end(&b);
    }
}

static void test_wrong_proxy(void **state) {
    (void)state;
    struct bed b;
    bed_init(&b, true, true);
    b.proxy.host = FL_STR("localhost"); /* its certificate says 127.0.0.1 */
    run(&b, "echo.test", b.client_tls);
    assert_failed(&b, FL_ECERT, "proxy localhost:");
    assert_non_null(strstr(b.client.why.detail, "certificate is not for \"localhost\""));
    assert_int_equal(b.relay.asked.len, 0); /* and so it has not seen credentials */
    bed_end(&b);
}

static void test_proxy_refuses(void **state) {
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n\r\n", ""};
    char words[64];
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, true, tls);
        b.relay.answers = answers;
        run(&b, "echo.test", b.client_tls);
        snprintf(words, sizeof(words), "proxy 127.0.0.1:%u answered 407 Proxy", b.relay.port);
        assert_failed(&b, FL_ECONFIG, words);
        bed_end(&b);
    }
}

static void test_proxy_ends_or_is_garbage(void **state) {
    (void)state;
    static const char *const garbage[] = {"220 smtp.test ready\r\n", ""};
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, true, tls);
        b.relay.ends = true;
        run(&b, "echo.test", b.client_tls);
        assert_failed(&b, FL_ERESET, "closed the connection without an answer");
        bed_end(&b);
        bed_init(&b, true, tls);
        b.relay.answers = garbage;
        run(&b, "echo.test", b.client_tls);
        assert_failed(&b, FL_EPROTO, "does not speak HTTP");
        bed_end(&b);
    }
}

static void test_silent_proxy_ends_at_the_deadline(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, true, tls);
        b.relay.silent = true;
        assert_int_equal(dial(&b, "echo.test", b.client_tls, 200), 0);
        fl_test_loop_until_true(b.runtime, &b.client.closed);
        assert_failed(&b, FL_ETIMEOUT, "proxy 127.0.0.1:");
        assert_true(b.relay.asked.len > 0);
        bed_end(&b);
    }
}

static void test_no_proxy_there(void **state) {
    (void)state;
    struct bed b;
    bed_init(&b, true, false);
    fl_listener_close(b.io, b.relay.listener);
    run(&b, "echo.test", b.client_tls);
    assert_failed(&b, FL_EREFUSED, "proxy: 127.0.0.1:");
    assert_int_equal(fl_io_listen(b.io, FL_STR("127.0.0.1"), 0, NULL, on_accept, &b.relay,
                                  &b.relay.listener, NULL),
                     0);
    bed_end(&b);
}

static void test_close_while_waiting_for_the_proxy(void **state) {
    (void)state;
    struct bed b;
    bed_init(&b, true, false);
    b.relay.silent = true;
    assert_int_equal(dial(&b, "echo.test", b.client_tls, 30000), 0);
    while (!b.relay.asked.len) fl_runtime_turn(b.runtime);
    fl_sock_close(b.io, b.client.sock);
    fl_test_loop_until_true(b.runtime, &b.client.closed);
    assert_int_equal(b.client.why.code, FL_OK);
    bed_end(&b);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct bed b;
    bed_init(&b, false, false);
    b.proxy.kind = FL_PROXY_SOCKS5;
    b.proxy.tls = b.client_tls;
    assert_int_equal(dial(&b, "echo.test", NULL, 1000), FL_EUSAGE);
    b.proxy.tls = NULL;
    b.proxy.port = 0;
    assert_int_equal(dial(&b, "echo.test", NULL, 1000), FL_EUSAGE);
    b.proxy.port = 1;
    b.proxy.host = FL_STR("no host");
    assert_int_equal(dial(&b, "echo.test", NULL, 1000), FL_EUSAGE);
    b.proxy.host = FL_STR("127.0.0.1");
    b.proxy.password = FL_STR("secret");
    assert_int_equal(dial(&b, "echo.test", NULL, 1000), FL_EUSAGE);
    bed_end(&b);
}

/* Each allocation of dialler, relay and peer: it works or it ends, cleanly. */
static void test_every_failed_allocation(void **state) {
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct bed b;
        bed_init(&b, true, tls);
        b.server.accepted = 1000; /* what is accepted is aborted */
        fl_test_peer_deinit(&b.client);
        FL_TEST_EACH_FAILURE(n) {
            fl_test_peer_init(&b.client, b.runtime);
            b.relay.answered = 0;
            int rc = dial(&b, "echo.test", b.client_tls, 30000);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            if (rc == 0) fl_test_loop_settle(b.runtime);
            if (rc == 0 && b.client.sock) fl_sock_abort(b.io, b.client.sock);
            if (rc == 0) fl_test_loop_until_true(b.runtime, &b.client.closed);
            assert_int_equal(b.client.closes, rc == 0);
            fl_test_loop_settle(b.runtime);
            fl_buf_truncate(&b.relay.held, 0);
            fl_test_peer_deinit(&b.client);
        }
        fl_test_peer_init(&b.client, b.runtime);
        bed_end(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_over_tls),
        cmocka_unit_test(test_answer_byte_by_byte),
        cmocka_unit_test(test_socks),
        cmocka_unit_test(test_peer_speaks_first),
        cmocka_unit_test(test_big_data_through_tls_in_tls),
        cmocka_unit_test(test_end_waits_behind_paused_data),
        cmocka_unit_test(test_wrong_peer_behind_the_proxy),
        cmocka_unit_test(test_wrong_proxy),
        cmocka_unit_test(test_proxy_refuses),
        cmocka_unit_test(test_proxy_ends_or_is_garbage),
        cmocka_unit_test(test_silent_proxy_ends_at_the_deadline),
        cmocka_unit_test(test_no_proxy_there),
        cmocka_unit_test(test_close_while_waiting_for_the_proxy),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_every_failed_allocation),
    };
    fl_test_cert_init(&authority, "authority", &(struct fl_test_cert_options){0});
    fl_test_cert_init(&good, "good",
                      &(struct fl_test_cert_options){.issuer = &authority,
                                                     .names = "DNS:echo.test, IP:127.0.0.1"});
    int rc = fl_test_run(tests, FL_COUNT(tests));
    fl_test_cert_deinit(&good);
    fl_test_cert_deinit(&authority);
    return rc;
}
