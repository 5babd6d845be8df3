/* loop_tls_test.c - TLS on loopback sockets, with certificates made here: bytes, ends, and peers
 * who do not play along. */
#include "support/tls_bed.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG ((size_t)1024 * 1024)

static bool got_big(void *arg) { return ((struct fl_test_peer *)arg)->in.len == BIG; }

static void pause_at_data(struct fl_test_peer *peer, const char *event) {
    if (strcmp(event, "data") == 0 && peer->in.len < BIG) fl_sock_pause(peer->io, peer->sock, true);
}

static bool is_paused_or_done(void *arg) {
    struct link *l = arg;
    fl_sock_pause(l->io, l->client.sock, false);
    return l->client.in.len == BIG;
}

/* Pausing after every piece: what was read from the socket already must come later, in order. */
static void test_big_data_and_pauses(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    static char sent[BIG];
    for (size_t i = 0; i < BIG; i++) sent[i] = (char)(i % 253);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    l.client.then = pause_at_data;
    assert_int_equal(fl_sock_write(l.io, l.client.sock, fl_str_n(sent, BIG)), 0);
    fl_test_loop_until(l.runtime, got_big, &l.server.peer);
    fl_test_loop_until(l.runtime, is_paused_or_done, &l);
    assert_memory_equal(fl_buf_str(&l.client.in).p, sent, BIG);
    link_end(&l);
}

static void test_paused_says_nothing(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    static char sent[100 * 1024];
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    l.client.then = pause_at_data;
    assert_int_equal(fl_sock_write(l.io, l.client.sock, fl_str_n(sent, sizeof(sent))), 0);
    fl_test_loop_settle(l.runtime);
    size_t first = l.client.in.len;
    assert_in_range(first, 1, 16 * 1024); /* one record */
    fl_test_loop_settle(l.runtime);
    assert_int_equal(l.client.in.len, first);
    link_end(&l);
}

static void test_close_sends_what_is_queued(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    static char sent[BIG];
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    l.server.peer.echo = false;
    assert_int_equal(fl_sock_write(l.io, l.client.sock, fl_str_n(sent, BIG)), 0);
    fl_sock_close(l.io, l.client.sock);
    fl_test_loop_until_true(l.runtime, &l.server.peer.eof);
    assert_int_equal(l.server.peer.in.len, BIG);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    link_end(&l);
}

static bool has_caller(void *arg) {
    struct pollfd fd = {.fd = *(int *)arg, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* A peer that answers the ClientHello with `text` (NULL: nothing) and then, if asked to, ends. */
static void meet_stranger(const char *text, bool end, int code, const char *words) {
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    uint16_t port;
    int listening = fl_test_raw_listen(8, &port);
    char hello[4096];
    link_init(&l, &client, &server);
    dial_as(&l, port, "echo.test", text || end ? 30000 : 60);
    fl_test_loop_until(l.runtime, has_caller, &listening);
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    fl_test_loop_until(l.runtime, has_caller, &fd);
    assert_true(read(fd, hello, sizeof(hello)) > 0);
    if (text) assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    if (end) assert_int_equal(shutdown(fd, SHUT_WR), 0);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_failed(&l, code, words);
    close(fd);
    close(listening);
    link_end(&l);
}

static void test_peer_without_tls(void **state) {
    (void)state;
    meet_stranger("HTTP/1.1 400 Bad Request\r\n\r\n", false, FL_ETLS, "does not speak TLS here");
}

static void test_garbage(void **state) {
    (void)state;
    meet_stranger("\x16\x03\x03\x01\x01\xff\xff\xff\xff", true, FL_ETLS, "");
    meet_stranger("\xff\xfe\xfd", true, FL_ETLS, "closed by the peer during the TLS handshake");
}

static void test_end_in_the_handshake(void **state) {
    (void)state;
    meet_stranger(NULL, true, FL_ETLS, "closed by the peer during the TLS handshake");
}

static void test_silence(void **state) {
    (void)state;
    meet_stranger(NULL, false, FL_ETIMEOUT, "no answer to the TLS handshake in time");
}

/* A server by hand: its handshake on a raw socket, while the client's side is turned. */
static void shake_hands(struct link *l, struct fl_tls_session *session, int fd) {
    char bytes[4096];
    struct fl_error err;
    int rc;
    while ((rc = fl_tls_session_handshake(session, &err)) == 0) {
        fl_runtime_turn(l->runtime);
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0) assert_int_equal(fl_tls_session_feed(session, fl_str_n(bytes, (size_t)n)), 0);
        rc = fl_tls_session_handshake(session, &err);
        assert_true(rc >= 0);
        struct fl_str wire = fl_buf_str(&session->wire);
        if (wire.n) assert_int_equal(write(fd, wire.p, wire.n), wire.n);
        fl_buf_truncate(&session->wire, 0);
    }
    assert_int_equal(rc, 1);
}

/* The server ends as a killed process does, without a word of TLS. */
static void test_end_without_close_notify(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    struct fl_tls_session *session;
    uint16_t port;
    int listening = fl_test_raw_listen(8, &port);
    link_init(&l, &client, &server);
    dial_as(&l, port, "echo.test", 30000);
    fl_test_loop_until(l.runtime, has_caller, &listening);
    int fd = accept(listening, NULL, NULL);
    assert_int_equal(fl_tls_session_new(l.server_tls, FL_STR_NONE, &session), 0);
    shake_hands(&l, session, fd);
    fl_test_loop_until_true(l.runtime, &l.client.open);
    close(fd);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.client.why.code, FL_ERESET);
    assert_non_null(strstr(l.client.why.detail, "without a TLS close_notify"));
    assert_int_equal(l.client.eofs, 0);
    fl_tls_session_free(session);
    close(listening);
    link_end(&l);
}

/* A server's peers: cleartext, and one that says nothing; neither keeps the next one out. */
/* Until the system takes no more from this side. */
static void fill_socket(int fd) {
    static const char bytes[64 * 1024];
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    while (send(fd, bytes, 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
}

/* A server by hand whose side only reads, if at all; returns its descriptor. */
static int dial_reader(struct link *l) {
    struct fl_tls_session *session;
    uint16_t port;
    int listening = fl_test_raw_listen(8, &port);
    dial_as(l, port, "echo.test", 30000);
    fl_test_loop_until(l->runtime, has_caller, &listening);
    int fd = accept(listening, NULL, NULL);
    assert_int_equal(fl_tls_session_new(l->server_tls, FL_STR_NONE, &session), 0);
    shake_hands(l, session, fd);
    fl_test_loop_until_true(l->runtime, &l->client.open);
    fl_tls_session_free(session);
    close(listening);
    return fd;
}

/* The peer is dead, and its system takes no more bytes: the close ends by its own deadline. */
static void test_close_gives_up_on_a_dead_peer(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    static char bytes[FL_SOCK_QUEUE_MAX - 1];
    link_init(&l, &client, &server);
    int fd = dial_reader(&l);
    fill_socket(l.client.sock->poll.fd);
    assert_int_equal(fl_sock_write(l.io, l.client.sock, fl_str_n(bytes, sizeof(bytes))), 0);
    fl_sock_close(l.io, l.client.sock);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.client.why.code, FL_OK);
    close(fd);
    link_end(&l);
}

/* The owner stays below the bound, and TLS' own bytes reach it: he sees that he must wait, so he
 * must be told when to go on. */
static void test_bound_reached_by_encryption(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    static char bytes[FL_SOCK_QUEUE_HIGH - 10];
    link_init(&l, &client, &server);
    int fd = dial_reader(&l);
    fill_socket(l.client.sock->poll.fd);
    assert_int_equal(fl_sock_write(l.io, l.client.sock, fl_str_n(bytes, sizeof(bytes))), 0);
    assert_true(fl_sock_queued(l.io, l.client.sock) < FL_SOCK_QUEUE_HIGH);
    fl_runtime_turn(l.runtime);
    assert_true(fl_sock_queued(l.io, l.client.sock) >= FL_SOCK_QUEUE_HIGH);
    while (fl_sock_queued(l.io, l.client.sock)) {
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0) poll(NULL, 0, 1);
        fl_runtime_turn(l.runtime);
    }
    fl_runtime_turn(l.runtime);
    assert_int_equal(l.client.writables, 1);
    close(fd);
    link_end(&l);
}

static void test_server_survives_strangers(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    char answer[64];
    link_init(&l, &client, &server);
    int silent = fl_test_raw_connect(l.server.port);
    int plain = fl_test_raw_connect(l.server.port);
    assert_int_equal(write(plain, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    fl_test_loop_until(l.runtime, has_caller, &plain);
    assert_true(read(plain, answer, sizeof(answer)) >= 0); /* an alert, then the end */
    link_dial(&l, "echo.test");
    fl_test_peer_write(&l.client, "me too");
    fl_test_peer_expect(l.runtime, &l.client, "me too");
    assert_int_equal(l.server.accepted, 1);
    fl_listener_close(l.io, l.server.listener); /* with a handshake unfinished */
    l.server.listener = NULL;
    fl_test_loop_settle(l.runtime);
    assert_true(read(silent, answer, sizeof(answer)) <= 0);
    close(silent);
    close(plain);
    link_end(&l);
}

#define UNFINISHED_MAX 1000 /* of listener.c */

/* Peers that connect and say nothing: the oldest are dropped, and the next one gets in. */
static void test_unfinished_handshakes_are_bounded(void **state) {
    (void)state;
    static int silent[UNFINISHED_MAX + 1];
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 3 * UNFINISHED_MAX) skip();
    limit.rlim_cur = FL_MAX(limit.rlim_cur, 3 * UNFINISHED_MAX);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    link_init(&l, &client, &server);
    for (int i = 0; i <= UNFINISHED_MAX; i++) {
        silent[i] = fl_test_raw_connect(l.server.port);
        fl_runtime_turn(l.runtime);
    }
    fl_test_loop_until(l.runtime, has_caller, &silent[0]); /* its end */
    assert_false(has_caller(&silent[2]));
    link_dial(&l, "echo.test");
    assert_true(l.client.open);
    for (int i = 0; i <= UNFINISHED_MAX; i++) close(silent[i]);
    fl_listener_close(l.io, l.server.listener);
    l.server.listener = NULL;
    link_end(&l);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_tls_config config = client_config();
    struct fl_tls *tls = load(runtime->io, &config);
    struct fl_listener *listener;
    struct fl_error err;
    assert_int_equal(
        fl_io_listen(runtime->io, FL_STR("127.0.0.1"), 0, tls, NULL, NULL, &listener, &err),
        FL_EUSAGE);
    fl_tls_unref(runtime->io, tls);
    fl_runtime_free(runtime);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    static const char *const alpn[] = {"h2", NULL};
    struct fl_tls_config client = client_config(), server = server_config(&good);
    client.alpn = server.alpn = alpn;
    FL_TEST_EACH_FAILURE(n) {
        struct fl_runtime *runtime;
        struct fl_runtime_options options = {.mode = FL_RUNTIME_POLL};
        struct fl_tls *tls;
        struct fl_error err;
        int rc = fl_runtime_new(&options, &runtime, &err);
        if (rc < 0) continue;
        const struct fl_tls_config *configs[] = {&client, &server};
        for (int i = 0; i < 2; i++) {
            rc = fl_io_tls_new(runtime->io, configs[i], &tls, &err);
            assert_true(rc == 0 || (rc == FL_ENOMEM && err.code == FL_ENOMEM));
            if (rc == 0) fl_tls_unref(runtime->io, tls);
        }
        fl_runtime_free(runtime);
    }
}

/* A whole exchange with each allocation of either side failing: it works or it ends, cleanly. */
static void test_exchange_survives_every_failed_allocation(void **state) {
    (void)state;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    struct link l;
    link_init(&l, &client, &server);
    fl_test_peer_deinit(&l.client);
    l.server.accepted = 1000; /* what is accepted is aborted */
    FL_TEST_EACH_FAILURE(n) {
        struct fl_error err;
        fl_test_peer_init(&l.client, l.runtime);
        int rc = fl_test_peer_dial(&l.client, "127.0.0.1", l.server.port, l.client_tls, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_test_loop_settle(l.runtime);
        if (rc == 0 && l.client.sock) fl_sock_abort(l.io, l.client.sock);
        if (rc == 0) fl_test_loop_until_true(l.runtime, &l.client.closed);
        assert_int_equal(l.client.closes, rc == 0);
        fl_test_peer_deinit(&l.client);
    }
    fl_test_peer_init(&l.client, l.runtime);
    link_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_big_data_and_pauses),
        cmocka_unit_test(test_paused_says_nothing),
        cmocka_unit_test(test_close_sends_what_is_queued),
        cmocka_unit_test(test_peer_without_tls),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_end_in_the_handshake),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_end_without_close_notify),
        cmocka_unit_test(test_close_gives_up_on_a_dead_peer),
        cmocka_unit_test(test_bound_reached_by_encryption),
        cmocka_unit_test(test_server_survives_strangers),
        cmocka_unit_test(test_unfinished_handshakes_are_bounded),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_every_failed_allocation),
        cmocka_unit_test(test_exchange_survives_every_failed_allocation),
    };
    make_certificates();
    int rc = fl_test_run(tests, FL_COUNT(tests));
    free_certificates();
    return rc;
}
