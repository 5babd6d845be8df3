/* loop_peer.c - a loop that the test turns, and owners of socks that keep what they are told. */
#include "support/loop_peer.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/alloc.h"

#define HANGING_MS 30000 /* only a guard against a test that never ends */

struct fl_runtime *fl_test_loop_new(void) {
    struct fl_runtime_options options = {.mode = FL_RUNTIME_POLL};
    struct fl_runtime *runtime;
    struct fl_error err;
    assert_int_equal(fl_runtime_new(&options, &runtime, &err), 0);
    return runtime;
}

void fl_test_loop_until(struct fl_runtime *runtime, bool (*done)(void *arg), void *arg) {
    uint64_t limit_ms = fl_io_now_ms(runtime->io) + HANGING_MS;
    while (!done(arg)) {
        struct pollfd fd = {.fd = fl_runtime_fd(runtime), .events = POLLIN};
        int wait_ms = fl_runtime_deadline_ms(runtime);
        poll(&fd, 1, wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms);
        fl_runtime_turn(runtime);
        assert_true(fl_io_now_ms(runtime->io) < limit_ms);
    }
}

static bool is_true(void *arg) { return *(const bool *)arg; }

void fl_test_loop_until_true(struct fl_runtime *runtime, const bool *flag) {
    fl_test_loop_until(runtime, is_true, (void *)flag);
}

void fl_test_loop_settle(struct fl_runtime *runtime) {
    for (int i = 0; i < 50; i++) {
        poll(NULL, 0, 1);
        fl_runtime_turn(runtime);
    }
}

static void then(struct fl_test_peer *peer, const char *event) {
    if (peer->then) peer->then(peer, event);
}

static void on_open(void *arg, struct fl_str alpn) {
    struct fl_test_peer *peer = arg;
    assert_non_null(peer->sock); /* never before dial returned */
    assert_false(peer->closed);
    peer->open = true;
    peer->opens++;
    fl_str_copy(peer->alpn, sizeof(peer->alpn), alpn);
    then(peer, "open");
}

static void on_data(void *arg, struct fl_str bytes) {
    struct fl_test_peer *peer = arg;
    assert_false(peer->closed);
    assert_int_equal(fl_buf_append(&peer->in, bytes), 0);
    if (peer->echo) assert_int_equal(fl_sock_write(peer->io, peer->sock, bytes), 0);
    then(peer, "data");
}

static void on_writable(void *arg) {
    struct fl_test_peer *peer = arg;
    peer->writables++;
    then(peer, "writable");
}

static void on_eof(void *arg) {
    struct fl_test_peer *peer = arg;
    peer->eof = true;
    peer->eofs++;
    if (peer->close_on_eof) fl_sock_close(peer->io, peer->sock);
    then(peer, "eof");
}

static void on_close(void *arg, const struct fl_error *why) {
    struct fl_test_peer *peer = arg;
    assert_non_null(peer->sock);
    peer->closed = true;
    peer->closes++;
    peer->why = *why;
    then(peer, "close");
    peer->sock = NULL;
}

const struct fl_sock_events fl_test_peer_events = {on_open, on_data, on_writable, on_eof, on_close};

void fl_test_peer_init(struct fl_test_peer *peer, struct fl_runtime *runtime) {
    *peer = (struct fl_test_peer){.io = runtime->io, .close_on_eof = true};
    fl_buf_init(&peer->in, (size_t)64 << 20);
}

void fl_test_peer_deinit(struct fl_test_peer *peer) { fl_buf_deinit(&peer->in); }

int fl_test_peer_dial(struct fl_test_peer *peer, const char *host, uint16_t port,
                      struct fl_tls *tls, struct fl_error *err) {
    struct fl_dial dial = {.host = fl_str_of(host),
                           .port = port,
                           .tls = tls,
                           .deadline_ms = fl_io_now_ms(peer->io) + HANGING_MS};
    return fl_io_dial(peer->io, &dial, &fl_test_peer_events, peer, &peer->sock, err);
}

void fl_test_peer_write(struct fl_test_peer *peer, const char *text) {
    assert_int_equal(fl_sock_write(peer->io, peer->sock, fl_str_of(text)), 0);
}

struct expectation {
    struct fl_test_peer *peer;
    struct fl_str text;
};

static bool has_all(void *arg) {
    struct expectation *e = arg;
    return e->peer->in.len >= e->text.n;
}

void fl_test_peer_expect(struct fl_runtime *runtime, struct fl_test_peer *peer, const char *text) {
    struct expectation e = {peer, fl_str_of(text)};
    fl_test_loop_until(runtime, has_all, &e);
    assert_true(fl_str_eq(fl_buf_str(&peer->in), e.text));
    fl_buf_truncate(&peer->in, 0);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_test_server *server = arg;
    if (server->accepted++) {
        fl_sock_abort(server->peer.io, sock);
        return;
    }
    server->peer.sock = sock;
    server->peer.open = true;
    fl_sock_attach(server->peer.io, sock, &fl_test_peer_events, &server->peer);
}

void fl_test_server_init(struct fl_test_server *server, struct fl_runtime *runtime,
                         const char *host, struct fl_tls *tls) {
    struct fl_error err = {0};
    *server = (struct fl_test_server){0};
    fl_test_peer_init(&server->peer, runtime);
    int rc = fl_io_listen(runtime->io, fl_str_of(host), 0, tls, on_accept, server,
                          &server->listener, &err);
    assert_string_equal(err.detail, "");
    assert_int_equal(rc, 0);
    server->port = fl_listener_port(runtime->io, server->listener);
}

void fl_test_server_deinit(struct fl_test_server *server) {
    if (server->listener) fl_listener_close(server->peer.io, server->listener);
    server->listener = NULL;
    fl_test_peer_deinit(&server->peer);
}

static bool is_closed(void *arg) { return ((struct fl_test_peer *)arg)->sock == NULL; }

static void end_peer(struct fl_runtime *runtime, struct fl_test_peer *peer) {
    if (peer->sock) fl_sock_abort(peer->io, peer->sock);
    fl_test_loop_until(runtime, is_closed, peer);
    assert_true(peer->closes <= 1);
    fl_test_peer_deinit(peer);
}

void fl_test_loop_end(struct fl_runtime *runtime, struct fl_test_peer *client,
                      struct fl_test_server *server) {
    if (client) end_peer(runtime, client);
    if (server) {
        end_peer(runtime, &server->peer);
        fl_test_server_deinit(server);
    }
    fl_runtime_free(runtime);
}

int fl_test_raw_connect(uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

int fl_test_raw_listen(int backlog, uint16_t *port) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}
