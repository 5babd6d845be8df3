/* loop_sock_test.c - plain sockets on loopback: dial, listen, write, close, and what peers do. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/socket.h"
#include "support/alloc.h"
#include "support/loop_peer.h"

#define BIG ((size_t)3 * 1024 * 1024)

struct pair {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct fl_test_peer client;
    struct fl_test_server server;
};

static bool both_open(void *arg) {
    struct pair *p = arg;
    return p->client.open && p->server.peer.open;
}

static void pair_init(struct pair *p, const char *host) {
    struct fl_error err;
    p->runtime = fl_test_loop_new();
    p->io = p->runtime->io;
    fl_test_peer_init(&p->client, p->runtime);
    fl_test_server_init(&p->server, p->runtime, host, NULL);
    assert_int_equal(fl_test_peer_dial(&p->client, host, p->server.port, NULL, &err), 0);
    assert_false(p->client.open);
    fl_test_loop_until(p->runtime, both_open, p);
}

static void pair_end(struct pair *p) { fl_test_loop_end(p->runtime, &p->client, &p->server); }

static void test_echo(void **state) {
    (void)state;
    struct pair p;
    char peer[64], want[64];
    pair_init(&p, "127.0.0.1");
    p.server.peer.echo = true;
    fl_test_peer_write(&p.client, "hello, ");
    fl_test_peer_write(&p.client, "world");
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 12);
    fl_test_peer_expect(p.runtime, &p.client, "hello, world");
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 0);
    fl_sock_peer(p.io, p.client.sock, peer, sizeof(peer));
    snprintf(want, sizeof(want), "127.0.0.1:%u", p.server.port);
    assert_string_equal(peer, want);
    fl_sock_close(p.io, p.client.sock);
    fl_sock_close(p.io, p.client.sock); /* twice is allowed */
    assert_false(p.client.closed);
    fl_test_loop_until_true(p.runtime, &p.client.closed);
    fl_test_loop_until_true(p.runtime, &p.server.peer.closed);
    assert_int_equal(p.client.why.code, FL_OK);
    assert_int_equal(p.server.peer.eofs, 1);
    struct fl_metric *open = fl_metrics_get(p.io->metrics, FL_METRIC_GAUGE, "fairlead_socks_open",
                                            "connections, also those still being made", "");
    assert_int_equal(fl_metric_value(open), 0);
    pair_end(&p);
}

static bool has_ipv6(void) {
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (fd >= 0) close(fd);
    return has;
}

static void test_ipv6(void **state) {
    (void)state;
    struct pair p;
    char peer[64], want[64];
    if (!has_ipv6()) skip(); /* as in many containers */
    pair_init(&p, "::1");
    fl_sock_peer(p.io, p.client.sock, peer, sizeof(peer));
    snprintf(want, sizeof(want), "[::1]:%u", p.server.port);
    assert_string_equal(peer, want);
    pair_end(&p);
}

/* How many descriptors of this process have that TCP_USER_TIMEOUT. */
static unsigned with_user_timeout(unsigned ms) {
    unsigned count = 0;
    for (int fd = 3; fd < 1000; fd++) {
        unsigned value = 0;
        socklen_t size = sizeof(value);
        if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size) == 0 && value == ms)
            count++;
    }
    return count;
}

static void test_C11_user_timeout_is_set(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_io *io = runtime->io;
    struct fl_test_peer peer;
    uint16_t port;
    int listening = fl_test_raw_listen(1, &port);
    fl_test_peer_init(&peer, runtime);
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"),
                           .port = port,
                           .deadline_ms = fl_io_now_ms(io) + 10000,
                           .user_timeout_ms = 12345};
    assert_int_equal(fl_io_dial(io, &dial, &fl_test_peer_events, &peer, &peer.sock, NULL), 0);
    fl_test_loop_until_true(runtime, &peer.open);
    assert_int_equal(with_user_timeout(12345), 1);
    close(listening);
    fl_test_loop_end(runtime, &peer, NULL);
}

static void test_working_connection_allocates_nothing(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, "127.0.0.1");
    p.server.peer.echo = true;
    size_t before = 0;
    for (int i = 0; i < 100; i++) {
        if (i == 10) before = fl_test_alloc_count();
        fl_test_peer_write(&p.client, "ping");
        fl_test_peer_expect(p.runtime, &p.client, "ping");
        fl_buf_truncate(&p.server.peer.in, 0);
    }
    assert_int_equal(fl_test_alloc_count(), before);
    pair_end(&p);
}

static void test_peer_ends_first_and_is_still_answered(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    char got[16] = "";
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    server.peer.close_on_eof = false;
    int fd = fl_test_raw_connect(server.port);
    assert_int_equal(write(fd, "question", 8), 8);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    fl_test_loop_until_true(runtime, &server.peer.eof);
    assert_true(fl_str_eq(fl_buf_str(&server.peer.in), FL_STR("question")));
    fl_test_loop_settle(runtime);
    assert_int_equal(server.peer.eofs, 1);
    assert_false(server.peer.closed);
    fl_test_peer_write(&server.peer, "answer");
    fl_sock_close(runtime->io, server.peer.sock);
    fl_test_loop_until_true(runtime, &server.peer.closed);
    assert_int_equal(read(fd, got, sizeof(got)), 6);
    assert_string_equal(got, "answer");
    assert_int_equal(read(fd, got, sizeof(got)), 0);
    close(fd);
    fl_test_loop_end(runtime, NULL, &server);
}

/* Writes the numbers 0, 1, 2, … until the queue is high. */
static size_t written;

static void write_numbers(struct fl_test_peer *peer) {
    char block[4096];
    while (written < BIG && fl_sock_queued(peer->io, peer->sock) < FL_SOCK_QUEUE_HIGH) {
        for (size_t i = 0; i < sizeof(block); i++) block[i] = (char)((written + i) % 251);
        assert_int_equal(fl_sock_write(peer->io, peer->sock, fl_str_n(block, sizeof(block))), 0);
        written += sizeof(block);
    }
}

static void go_on_writing(struct fl_test_peer *peer, const char *event) {
    if (strcmp(event, "writable") == 0) write_numbers(peer);
}

static bool got_big(void *arg) { return ((struct fl_test_peer *)arg)->in.len >= BIG; }

static void assert_numbers(const struct fl_test_peer *peer) {
    struct fl_str got = fl_buf_str(&peer->in);
    assert_int_equal(got.n, BIG);
    for (size_t i = 0; i < got.n; i++) {
        if (got.p[i] != (char)(i % 251)) fail_msg("byte %zu is wrong", i);
    }
}

static void test_big_write_waits_for_the_reader(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, "127.0.0.1");
    written = 0;
    p.client.then = go_on_writing;
    fl_sock_pause(p.io, p.server.peer.sock, true);
    write_numbers(&p.client);
    fl_test_loop_settle(p.runtime);
    assert_int_equal(p.server.peer.in.len, 0); /* paused */
    fl_sock_pause(p.io, p.server.peer.sock, false);
    fl_test_loop_until(p.runtime, got_big, &p.server.peer);
    assert_numbers(&p.server.peer);
    assert_true(p.client.writables >= 1);
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 0);
    pair_end(&p);
}

/* Much goes out before the call returns, behind what waited; only the rest is kept. */
static void test_many_bytes_go_out_at_once(void **state) {
    (void)state;
    struct pair p;
    static char bytes[BIG];
    const struct fl_str parts[] = {fl_str_n(bytes + 100, 9), fl_str_n(bytes + 109, 0),
                                   fl_str_n(bytes + 109, 1000000),
                                   fl_str_n(bytes + 1000109, sizeof(bytes) - 1000109)};
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)(i % 251);
    pair_init(&p, "127.0.0.1");
    fl_sock_pause(p.io, p.server.peer.sock, true);
    fl_test_loop_settle(p.runtime);
    assert_int_equal(fl_sock_write(p.io, p.client.sock, fl_str_n(bytes, 100)), 0);
    assert_int_equal(fl_sock_write_parts(p.io, p.client.sock, parts, FL_COUNT(parts)), 0);
    assert_in_range(fl_sock_queued(p.io, p.client.sock), 0, sizeof(bytes) - 1000);
    memset(bytes, 0, sizeof(bytes));
    fl_sock_pause(p.io, p.server.peer.sock, false);
    fl_test_loop_until(p.runtime, got_big, &p.server.peer);
    assert_numbers(&p.server.peer);
    assert_int_equal(fl_sock_queued(p.io, p.client.sock), 0);
    pair_end(&p);
}

static void test_queue_has_a_bound(void **state) {
    (void)state;
    struct pair p;
    static char block[64 * 1024];
    pair_init(&p, "127.0.0.1");
    int rc = 0;
    size_t total = 0;
    while (rc == 0) { /* no turn in between: nothing can leave */
        rc = fl_sock_write(p.io, p.client.sock, fl_str_n(block, sizeof(block)));
        if (rc == 0) total += sizeof(block);
    }
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(total, FL_SOCK_QUEUE_MAX);
    assert_int_equal(fl_sock_write(p.io, p.client.sock, FL_STR("x")), FL_ESHUTDOWN);
    fl_test_loop_until_true(p.runtime, &p.client.closed);
    assert_int_equal(p.client.why.code, FL_EFULL);
    struct fl_metric *limited = fl_metrics_get(
        p.io->metrics, FL_METRIC_COUNTER, "fairlead_sock_limited_total", "", "limit=write_queue");
    assert_int_equal(fl_metric_value(limited), 1);
    pair_end(&p);
}

static void test_close_sends_what_is_queued(void **state) {
    (void)state;
    struct pair p;
    static char block[1024 * 1024];
    pair_init(&p, "127.0.0.1");
    p.server.peer.echo = true; /* what comes back is dropped, and must not cost us our bytes */
    assert_int_equal(fl_sock_write(p.io, p.client.sock, fl_str_n(block, sizeof(block))), 0);
    fl_sock_close(p.io, p.client.sock);
    assert_int_equal(fl_sock_write(p.io, p.client.sock, FL_STR("x")), FL_ESHUTDOWN);
    fl_test_loop_until_true(p.runtime, &p.server.peer.eof);
    assert_false(p.client.closed); /* it waits for our end */
    assert_int_equal(p.server.peer.in.len, sizeof(block));
    fl_test_loop_until_true(p.runtime, &p.client.closed);
    assert_int_equal(p.client.why.code, FL_OK);
    assert_int_equal(p.client.in.len, 0); /* nothing is told after close */
    pair_end(&p);
}

static void test_close_gives_up_on_a_peer_that_reads_nothing(void **state) {
    (void)state;
    uint16_t port;
    int listening = fl_test_raw_listen(8, &port);
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_peer client;
    struct fl_error err;
    static char block[4 * 1024 * 1024];
    fl_test_peer_init(&client, runtime);
    assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", port, NULL, &err), 0);
    fl_test_loop_until_true(runtime, &client.open);
    for (int i = 0; i < 4 && !client.closed; i++) { /* more than any socket buffer */
        size_t room = FL_SOCK_QUEUE_MAX - fl_sock_queued(runtime->io, client.sock);
        assert_int_equal(fl_sock_write(runtime->io, client.sock, fl_str_n(block, room)), 0);
        fl_test_loop_settle(runtime);
    }
    assert_true(fl_sock_queued(runtime->io, client.sock) > 0);
    fl_sock_close(runtime->io, client.sock);
    fl_test_loop_until_true(runtime, &client.closed);
    assert_int_equal(client.why.code, FL_OK);
    close(listening);
    fl_test_loop_end(runtime, &client, NULL);
}

static void test_abort_resets(void **state) {
    (void)state;
    struct pair p;
    char peer[64];
    pair_init(&p, "127.0.0.1");
    fl_sock_peer(p.io, p.server.peer.sock, peer, sizeof(peer));
    fl_sock_abort(p.io, p.client.sock);
    fl_sock_abort(p.io, p.client.sock);
    assert_false(p.client.closed);
    fl_test_loop_until_true(p.runtime, &p.server.peer.closed);
    fl_test_loop_until_true(p.runtime, &p.client.closed);
    assert_int_equal(p.client.why.code, FL_OK);
    assert_int_equal(p.server.peer.why.code, FL_ERESET);
    assert_int_equal(p.server.peer.eofs, 0);
    assert_memory_equal(p.server.peer.why.detail, peer, strlen(peer));
    pair_end(&p);
}

static void test_refused(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_peer client;
    struct fl_error err;
    uint16_t port;
    char want[64];
    close(fl_test_raw_listen(1, &port));
    fl_test_peer_init(&client, runtime);
    assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", port, NULL, &err), 0);
    assert_false(client.closed);
    fl_test_loop_until_true(runtime, &client.closed);
    snprintf(want, sizeof(want), "127.0.0.1:%u: connection refused", port);
    assert_int_equal(client.why.code, FL_EREFUSED);
    assert_string_equal(client.why.detail, want);
    assert_int_equal(client.opens, 0);
    fl_test_loop_end(runtime, &client, NULL);
}

/* Connections that nobody accepts, until the system lets no more wait. */
static size_t fill_backlog(uint16_t port, int *fds, size_t max) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t count = 0;
    while (count < max) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        fds[count++] = fd;
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && poll(&poll_fd, 1, 300) == 0) {
            return count;
        }
    }
    return 0;
}

static void test_dial_ends_at_its_deadline(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_peer client;
    struct fl_error err;
    uint16_t port;
    int fds[64], listening = fl_test_raw_listen(0, &port);
    size_t count = fill_backlog(port, fds, 64);
    if (count == 0) skip();
    fl_test_peer_init(&client, runtime);
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"), .port = port};
    dial.deadline_ms = fl_io_now_ms(runtime->io) + 30;
    assert_int_equal(
        fl_io_dial(runtime->io, &dial, &fl_test_peer_events, &client, &client.sock, &err), 0);
    fl_test_loop_until_true(runtime, &client.closed);
    assert_int_equal(client.why.code, FL_ETIMEOUT);
    assert_non_null(strstr(client.why.detail, "127.0.0.1:"));
    for (size_t i = 0; i < count; i++) close(fds[i]);
    close(listening);
    fl_test_loop_end(runtime, &client, NULL);
}

static void test_close_during_dial(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct fl_error err;
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    for (int i = 0; i < 2; i++) {
        struct fl_test_peer client;
        fl_test_peer_init(&client, runtime);
        assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", server.port, NULL, &err), 0);
        assert_int_equal(fl_sock_write(runtime->io, client.sock, FL_STR("x")), FL_ESHUTDOWN);
        if (i == 0)
            fl_sock_close(runtime->io, client.sock);
        else
            fl_sock_abort(runtime->io, client.sock);
        assert_false(client.closed);
        fl_test_loop_until_true(runtime, &client.closed);
        assert_int_equal(client.opens, 0);
        assert_int_equal(client.why.code, FL_OK);
        fl_test_peer_deinit(&client);
    }
    fl_test_loop_settle(runtime);
    fl_test_loop_end(runtime, NULL, &server);
}

static void abort_at_open(struct fl_test_peer *peer, const char *event) {
    if (strcmp(event, "open") == 0) fl_sock_abort(peer->io, peer->sock);
}

static void abort_at_data(struct fl_test_peer *peer, const char *event) {
    if (strcmp(event, "data") == 0) fl_sock_abort(peer->io, peer->sock);
}

static void test_abort_within_callbacks(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, "127.0.0.1");
    p.server.peer.then = abort_at_data;
    fl_test_peer_write(&p.client, "x");
    fl_test_loop_until_true(p.runtime, &p.server.peer.closed);
    fl_test_loop_until_true(p.runtime, &p.client.closed);
    assert_int_equal(p.server.peer.why.code, FL_OK);
    struct fl_test_peer second;
    struct fl_error err;
    fl_test_peer_init(&second, p.runtime);
    second.then = abort_at_open;
    assert_int_equal(fl_test_peer_dial(&second, "127.0.0.1", p.server.port, NULL, &err), 0);
    fl_test_loop_until_true(p.runtime, &second.closed);
    assert_int_equal(second.closes, 1);
    fl_test_peer_deinit(&second);
    pair_end(&p);
}

/* A client that stays when the other end goes, and that end, which is not ours. */
static struct fl_runtime *dial_bare(struct fl_test_peer *client, int *listening) {
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_error err;
    uint16_t port;
    *listening = fl_test_raw_listen(8, &port);
    fl_test_peer_init(client, runtime);
    client->close_on_eof = false;
    assert_int_equal(fl_test_peer_dial(client, "127.0.0.1", port, NULL, &err), 0);
    fl_test_loop_until_true(runtime, &client->open);
    return runtime;
}

/* The peer answers early and resets, as a server does that refuses an upload. What we write then
 * fails, and the answer is there to be read. */
static void test_answer_before_reset_is_read(void **state) {
    (void)state;
    struct fl_test_peer client;
    int listening;
    struct fl_runtime *runtime = dial_bare(&client, &listening);
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    fl_sock_pause(runtime->io, client.sock, true);
    fl_test_peer_write(&client, "upload");
    fl_test_loop_settle(runtime);
    assert_int_equal(write(fd, "too large", 9), 9);
    close(fd); /* with unread bytes: RST follows the answer */
    fl_test_loop_settle(runtime);
    fl_sock_pause(runtime->io, client.sock, false);
    fl_test_peer_write(&client, "more of it");
    fl_test_loop_until_true(runtime, &client.closed);
    assert_int_equal(client.why.code, FL_ERESET);
    assert_true(fl_str_eq(fl_buf_str(&client.in), FL_STR("too large")));
    close(listening);
    fl_test_loop_end(runtime, &client, NULL);
}

/* Writing to a connection that is gone raises SIGPIPE in programs that do not take care. */
static void test_write_to_a_gone_peer_is_an_error_only(void **state) {
    (void)state;
    struct fl_test_peer client;
    int listening;
    struct fl_runtime *runtime = dial_bare(&client, &listening);
    close(accept(listening, NULL, NULL));
    fl_test_loop_until_true(runtime, &client.eof);
    for (int i = 0; i < 100 && !client.closed; i++) {
        if (fl_sock_write(runtime->io, client.sock, FL_STR("anybody there?")) < 0) break;
        fl_test_loop_settle(runtime);
    }
    assert_true(client.closed);
    assert_int_equal(client.why.code, FL_ERESET);
    close(listening);
    fl_test_loop_end(runtime, &client, NULL);
}

static void no_accept(void *arg, struct fl_sock *sock) {
    (void)arg;
    (void)sock;
    fail();
}

static void test_small_writes_are_not_delayed(void **state) {
    (void)state;
    int on = 0, fd = fl_socket_open(FL_ADDRESS_V4);
    socklen_t size = sizeof(on);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_true(on);
    fl_socket_close(fd);
    uint16_t port;
    struct fl_endpoint_address from;
    int listening = fl_test_raw_listen(1, &port), caller = fl_test_raw_connect(port);
    fd = fl_socket_accept(listening, &from);
    assert_true(fd >= 0);
    on = 0;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_true(on);
    fl_socket_close(fd);
    close(caller);
    close(listening);
}

static void test_wrong_use(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_io *io = runtime->io;
    struct fl_test_server server;
    struct fl_test_peer client;
    struct fl_listener *listener;
    struct fl_error err;
    char want[64];
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    fl_test_peer_init(&client, runtime);
    assert_int_equal(fl_test_peer_dial(&client, "not a host", 1, NULL, &err), FL_EUSAGE);
    assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", 0, NULL, &err), FL_EUSAGE);
    assert_int_equal(fl_test_peer_dial(&client, "", 1, NULL, &err), FL_EUSAGE);
    assert_int_equal(
        fl_io_listen(io, FL_STR("localhost"), 0, NULL, no_accept, NULL, &listener, &err),
        FL_EUSAGE);
    assert_int_equal(
        fl_io_listen(io, FL_STR("127.0.0.1"), server.port, NULL, no_accept, NULL, &listener, &err),
        FL_ESYS);
    snprintf(want, sizeof(want), "127.0.0.1:%u: address already in use", server.port);
    assert_string_equal(err.detail, want);
    fl_test_loop_end(runtime, &client, &server);
}

static void test_closed_listener_refuses_and_accepted_socks_live(void **state) {
    (void)state;
    struct pair p;
    struct fl_error err;
    pair_init(&p, "127.0.0.1");
    fl_listener_close(p.io, p.server.listener);
    p.server.listener = NULL;
    struct fl_test_peer second;
    fl_test_peer_init(&second, p.runtime);
    assert_int_equal(fl_test_peer_dial(&second, "127.0.0.1", p.server.port, NULL, &err), 0);
    fl_test_loop_until_true(p.runtime, &second.closed);
    assert_int_equal(second.why.code, FL_EREFUSED);
    fl_test_peer_deinit(&second);
    p.server.peer.echo = true;
    fl_test_peer_write(&p.client, "still here");
    fl_test_peer_expect(p.runtime, &p.client, "still here");
    pair_end(&p);
}

/* Without descriptors accepting rests, and goes on when there are some again. */
static void test_no_descriptor_left(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct rlimit before, none;
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    fl_test_loop_settle(runtime);
    int fd = fl_test_raw_connect(server.port);
    int next = dup(fd);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fl_test_loop_settle(runtime);
    unsigned accepted = server.accepted;
    int wait_ms = fl_runtime_deadline_ms(runtime);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted, 0);
    assert_true(wait_ms >= 0); /* it is going to try again */
    fl_test_loop_until_true(runtime, &server.peer.open);
    close(fd);
    fl_test_loop_end(runtime, NULL, &server);
}

static void test_port_is_free_again_at_once(void **state) {
    (void)state;
    struct pair p;
    struct fl_listener *again;
    struct fl_error err;
    pair_init(&p, "127.0.0.1");
    fl_sock_close(p.io, p.server.peer.sock); /* the listening side's port is in TIME_WAIT then */
    fl_test_loop_until_true(p.runtime, &p.server.peer.closed);
    fl_listener_close(p.io, p.server.listener);
    p.server.listener = NULL;
    assert_int_equal(
        fl_io_listen(p.io, FL_STR("127.0.0.1"), p.server.port, NULL, no_accept, NULL, &again, &err),
        0);
    fl_listener_close(p.io, again);
    pair_end(&p);
}

static void test_dial_survives_every_failed_allocation(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    uint16_t port;
    int listening = fl_test_raw_listen(512, &port);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_test_peer client;
        struct fl_error err;
        fl_test_peer_init(&client, runtime);
        int rc = fl_test_peer_dial(&client, "127.0.0.1", port, NULL, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) {
            fl_test_loop_settle(runtime);
            assert_true(client.open || client.why.code == FL_ENOMEM);
            if (client.sock) fl_sock_abort(runtime->io, client.sock);
            fl_test_loop_until_true(runtime, &client.closed);
        }
        fl_test_loop_settle(runtime);
        assert_int_equal(client.closes, rc == 0);
        fl_test_peer_deinit(&client);
    }
    close(listening);
    fl_runtime_free(runtime);
}

static void test_listen_survives_every_failed_allocation(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    FL_TEST_EACH_FAILURE(n) {
        struct fl_listener *listener;
        struct fl_error err;
        int rc = fl_io_listen(runtime->io, FL_STR("127.0.0.1"), 0, NULL, no_accept, NULL, &listener,
                              &err);
        assert_true(rc == 0 || (rc == FL_ENOMEM && err.code == FL_ENOMEM));
        if (rc == 0) fl_listener_close(runtime->io, listener);
        fl_test_loop_settle(runtime);
    }
    fl_runtime_free(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_C11_user_timeout_is_set),
        cmocka_unit_test(test_working_connection_allocates_nothing),
        cmocka_unit_test(test_peer_ends_first_and_is_still_answered),
        cmocka_unit_test(test_big_write_waits_for_the_reader),
        cmocka_unit_test(test_many_bytes_go_out_at_once),
        cmocka_unit_test(test_queue_has_a_bound),
        cmocka_unit_test(test_close_sends_what_is_queued),
        cmocka_unit_test(test_close_gives_up_on_a_peer_that_reads_nothing),
        cmocka_unit_test(test_abort_resets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_dial_ends_at_its_deadline),
        cmocka_unit_test(test_close_during_dial),
        cmocka_unit_test(test_abort_within_callbacks),
        cmocka_unit_test(test_answer_before_reset_is_read),
        cmocka_unit_test(test_write_to_a_gone_peer_is_an_error_only),
        cmocka_unit_test(test_small_writes_are_not_delayed),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_closed_listener_refuses_and_accepted_socks_live),
        cmocka_unit_test(test_no_descriptor_left),
        cmocka_unit_test(test_port_is_free_again_at_once),
        cmocka_unit_test(test_dial_survives_every_failed_allocation),
        cmocka_unit_test(test_listen_survives_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
