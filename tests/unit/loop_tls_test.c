/* loop_tls_test.c - TLS on loopback sockets, with certificates made here: what is agreed, what is
 * refused and in which words, and what peers do who do not play along. */
#include <netinet/in.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/sock.h"
#include "support/alloc.h"
#include "support/loop_certs.h"
#include "support/loop_peer.h"

#define NAMES "DNS:echo.test, IP:127.0.0.1"

static struct fl_test_cert authority, stranger, good, expired, elsewhere, user;

struct link {
    struct fl_runtime *runtime;
    struct fl_io *io;
    struct fl_tls *client_tls, *server_tls;
    struct fl_test_peer client;
    struct fl_test_server server;
};

static struct fl_tls *load(struct fl_io *io, const struct fl_tls_config *config) {
    struct fl_tls *tls = NULL;
    struct fl_error err = {0};
    int rc = fl_io_tls_new(io, config, &tls, &err);
    assert_string_equal(err.detail, "");
    assert_int_equal(rc, 0);
    return tls;
}

static struct fl_tls_config server_config(const struct fl_test_cert *cert) {
    return (struct fl_tls_config){
        .server = true, .cert_pem = fl_str_of(cert->cert_pem), .key_pem = fl_str_of(cert->key_pem)};
}

static struct fl_tls_config client_config(void) {
    return (struct fl_tls_config){.ca_pem = fl_str_of(authority.cert_pem)};
}

static void link_init(struct link *l, const struct fl_tls_config *client,
                      const struct fl_tls_config *server) {
    l->runtime = fl_test_loop_new();
    l->io = l->runtime->io;
    l->client_tls = load(l->io, client);
    l->server_tls = load(l->io, server);
    fl_test_peer_init(&l->client, l->runtime);
    fl_test_server_init(&l->server, l->runtime, "127.0.0.1", l->server_tls);
    l->server.peer.echo = true;
}

static void dial_as(struct link *l, uint16_t port, const char *name, uint64_t in_ms) {
    struct fl_error err;
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"),
                           .port = port,
                           .tls = l->client_tls,
                           .server_name = fl_str_of(name),
                           .deadline_ms = fl_io_now_ms(l->io) + in_ms};
    assert_int_equal(
        fl_io_dial(l->io, &dial, &fl_test_peer_events, &l->client, &l->client.sock, &err), 0);
}

static bool is_settled(void *arg) {
    struct link *l = arg;
    return l->client.closed || (l->client.open && l->server.peer.open);
}

static void link_dial(struct link *l, const char *name) {
    dial_as(l, l->server.port, name, 30000);
    fl_test_loop_until(l->runtime, is_settled, l);
}

static void link_end(struct link *l) {
    fl_tls_unref(l->io, l->client_tls); /* socks keep theirs */
    fl_tls_unref(l->io, l->server_tls);
    fl_test_loop_end(l->runtime, &l->client, &l->server);
}

static void assert_failed(struct link *l, int code, const char *words) {
    assert_true(l->client.closed);
    assert_int_equal(l->client.opens, 0);
    assert_int_equal(l->client.closes, 1);
    assert_string_equal(fl_error_name(l->client.why.code), fl_error_name(code));
    if (!strstr(l->client.why.detail, words)) fail_msg("detail: %s", l->client.why.detail);
    assert_memory_equal(l->client.why.detail, "127.0.0.1:", 10);
    fl_test_loop_settle(l->runtime);
    assert_int_equal(l->server.accepted, 0);
}

static void test_good(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_true(l.client.open);
    assert_string_equal(l.client.alpn, "");
    fl_test_peer_write(&l.client, "secret");
    fl_test_peer_expect(l.runtime, &l.client, "secret");
    fl_sock_close(l.io, l.client.sock);
    fl_test_loop_until_true(l.runtime, &l.server.peer.closed);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.server.peer.eofs, 1); /* a clean end: close_notify */
    assert_int_equal(l.server.peer.why.code, FL_OK);
    assert_int_equal(l.client.why.code, FL_OK);
    link_end(&l);
}

static void test_address_in_the_certificate(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    link_init(&l, &client, &server);
    link_dial(&l, NULL); /* 127.0.0.1, which was dialled */
    assert_true(l.client.open);
    link_end(&l);
}

static void test_alpn(void **state) {
    (void)state;
    static const char *const ours[] = {"h2", "http/1.1", NULL};
    static const char *const theirs[] = {"http/1.1", "h2", NULL};
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    client.alpn = ours;
    server.alpn = theirs;
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_string_equal(l.client.alpn, "http/1.1"); /* the server's wish decides */
    link_end(&l);
}

static void test_alpn_without_a_common_protocol(void **state) {
    (void)state;
    static const char *const ours[] = {"h2", NULL};
    static const char *const theirs[] = {"http/1.1", NULL};
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    client.alpn = ours;
    server.alpn = theirs;
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_failed(&l, FL_ETLS, "no application protocol");
    link_end(&l);
}

static void refuse(const struct fl_test_cert *cert, const char *name, const char *words) {
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(cert);
    link_init(&l, &client, &server);
    link_dial(&l, name);
    assert_failed(&l, FL_ECERT, words);
    link_end(&l);
}

static void test_wrong_authority(void **state) {
    (void)state;
    struct fl_test_cert other;
    struct fl_test_cert_options options = {.issuer = &stranger, .names = NAMES};
    fl_test_cert_init(&other, "echo", &options);
    refuse(&other, "echo.test", "give the authority that signed it");
    fl_test_cert_deinit(&other);
}

static void test_self_signed(void **state) {
    (void)state;
    struct fl_test_cert self;
    struct fl_test_cert_options options = {.names = NAMES};
    fl_test_cert_init(&self, "echo", &options);
    refuse(&self, "echo.test", "give this certificate as a trusted one");
    fl_test_cert_deinit(&self);
}

static void test_wrong_name(void **state) {
    (void)state;
    refuse(&elsewhere, "echo.test",
           "certificate is not for \"echo.test\" but for elsewhere.test, 127.0.0.9, ::1");
}

static void test_wrong_address(void **state) {
    (void)state;
    refuse(&elsewhere, NULL, "certificate is not for \"127.0.0.1\" but for elsewhere.test");
}

static void test_address_is_no_name(void **state) { /* a DNS name that looks like the address */
    (void)state;
    struct fl_test_cert odd;
    struct fl_test_cert_options options = {.issuer = &authority, .names = "DNS:127.0.0.1"};
    fl_test_cert_init(&odd, "127.0.0.1", &options);
    refuse(&odd, NULL, "certificate is not for \"127.0.0.1\"");
    fl_test_cert_deinit(&odd);
}

static void test_subject_is_no_name(void **state) { /* as it was before there were others */
    (void)state;
    struct fl_test_cert odd;
    struct fl_test_cert_options options = {.issuer = &authority};
    fl_test_cert_init(&odd, "echo.test", &options);
    refuse(&odd, "echo.test", "certificate is not for \"echo.test\" but for no name");
    fl_test_cert_deinit(&odd);
}

static void test_part_of_a_label_is_no_wildcard(void **state) {
    (void)state;
    struct fl_test_cert wild;
    struct fl_test_cert_options options = {.issuer = &authority, .names = "DNS:e*.example.test"};
    fl_test_cert_init(&wild, "wild", &options);
    refuse(&wild, "echo.example.test", "certificate is not for \"echo.example.test\"");
    fl_test_cert_deinit(&wild);
}

static void test_expired(void **state) {
    (void)state;
    refuse(&expired, "echo.test", "certificate has expired; renew it");
}

static void test_not_yet_valid(void **state) {
    (void)state;
    struct fl_test_cert early;
    struct fl_test_cert_options options = {
        .issuer = &authority, .names = NAMES, .from_s = 3600, .until_s = 7200};
    fl_test_cert_init(&early, "echo", &options);
    refuse(&early, "echo.test", "not yet valid");
    fl_test_cert_deinit(&early);
}

static void test_system_authorities_do_not_know_ours(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = {0}, server = server_config(&good);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    assert_failed(&l, FL_ECERT, "certificate not trusted");
    link_end(&l);
}

/* The system's authorities are the stranger for a while. */
static void with_system_authorities(const struct fl_tls_config *client, bool good_peer) {
    struct fl_test_cert theirs;
    struct fl_test_cert_options options = {.issuer = &stranger, .names = NAMES};
    char path[] = "/tmp/loop_tls_test.XXXXXX";
    int fd = mkstemp(path);
    size_t n = strlen(stranger.cert_pem);
    assert_int_equal(write(fd, stranger.cert_pem, n), n);
    close(fd);
    fl_test_cert_init(&theirs, "echo", &options);
    setenv("SSL_CERT_FILE", path, 1);
    struct link l;
    struct fl_tls_config server = server_config(&theirs);
    link_init(&l, client, &server);
    unsetenv("SSL_CERT_FILE");
    unlink(path);
    link_dial(&l, "echo.test");
    if (good_peer) {
        assert_true(l.client.open);
    } else {
        assert_failed(&l, FL_ECERT, "certificate not trusted");
    }
    link_end(&l);
    fl_test_cert_deinit(&theirs);
}

static void test_system_authorities_only_without_others(void **state) {
    (void)state;
    struct fl_tls_config none = {0}, ours = client_config();
    with_system_authorities(&none, true);
    with_system_authorities(&ours, false);
}

static void test_verification_switched_off(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = {.insecure_skip_verify = true}, server = server_config(&expired);
    link_init(&l, &client, &server);
    link_dial(&l, "another.test");
    assert_true(l.client.open);
    link_end(&l);
}

static void test_client_certificate(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    server.ca_pem = fl_str_of(authority.cert_pem);
    client.cert_pem = fl_str_of(user.cert_pem);
    client.key_pem = fl_str_of(user.key_pem);
    link_init(&l, &client, &server);
    link_dial(&l, "echo.test");
    fl_test_peer_write(&l.client, "it is me");
    fl_test_peer_expect(l.runtime, &l.client, "it is me");
    link_end(&l);
}

/* In TLS 1.3 the client hears of it after its own handshake is done. */
static void test_no_client_certificate(void **state) {
    (void)state;
    struct link l;
    struct fl_tls_config client = client_config(), server = server_config(&good);
    server.ca_pem = fl_str_of(authority.cert_pem);
    link_init(&l, &client, &server);
    dial_as(&l, l.server.port, "echo.test", 30000);
    fl_test_loop_until_true(l.runtime, &l.client.closed);
    assert_int_equal(l.client.why.code, FL_ETLS);
    assert_non_null(strstr(l.client.why.detail, "did not accept this side's certificate"));
    assert_int_equal(l.server.accepted, 0);
    struct fl_metric *dropped =
        fl_metrics_get(l.io->metrics, FL_METRIC_COUNTER, "fairlead_accepts_dropped_total", "", "");
    assert_int_equal(fl_metric_value(dropped), 1);
    link_end(&l);
}

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

static void assert_config_error(const struct fl_tls_config *config, const char *words) {
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_tls *tls;
    struct fl_error err;
    assert_int_equal(fl_io_tls_new(runtime->io, config, &tls, &err), FL_ECONFIG);
    if (!strstr(err.detail, words)) fail_msg("detail: %s", err.detail);
    fl_runtime_free(runtime);
}

static void test_wrong_configurations(void **state) {
    (void)state;
    struct fl_tls_config config = {.ca_pem = FL_STR("not a certificate")};
    assert_config_error(&config, "TLS authorities: no certificate in PEM form");
    config.ca_pem = FL_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_config_error(&config, "TLS authorities: ");
    config = (struct fl_tls_config){.server = true};
    assert_config_error(&config, "a server needs a certificate");
    config = (struct fl_tls_config){.cert_pem = fl_str_of(user.cert_pem)};
    assert_config_error(&config, "certificate without its private key");
    config = (struct fl_tls_config){.key_pem = fl_str_of(user.key_pem)};
    assert_config_error(&config, "private key without its certificate");
    config.cert_pem = fl_str_of(good.cert_pem);
    assert_config_error(&config, "private key");
    config.cert_pem = fl_str_of(user.cert_pem);
    config.key_pem = FL_STR("garbage");
    assert_config_error(&config, "private key");
    static const char *const alpn[] = {"", NULL};
    config = (struct fl_tls_config){.alpn = alpn};
    assert_config_error(&config, "ALPN");
}

/* Nobody is asked for a password on the terminal. */
static void test_encrypted_key_is_an_error(void **state) {
    (void)state;
    BIO *clear = BIO_new_mem_buf(user.key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(clear, NULL, NULL, NULL);
    BIO_free(clear);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    EVP_PKEY_free(key);
    long n = BIO_get_mem_data(bio, &pem);
    struct fl_tls_config config = {.cert_pem = fl_str_of(user.cert_pem),
                                   .key_pem = fl_str_n(pem, (size_t)n)};
    assert_config_error(&config, "private key");
    BIO_free(bio);
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

static void make_certificates(void) {
    struct fl_test_cert_options options = {0};
    fl_test_cert_init(&authority, "test authority", &options);
    fl_test_cert_init(&stranger, "another authority", &options);
    options.issuer = &authority;
    options.client = true;
    fl_test_cert_init(&user, "user", &options);
    options.client = false;
    options.names = NAMES;
    fl_test_cert_init(&good, "echo", &options);
    options.names = "DNS:elsewhere.test, IP:127.0.0.9, IP:::1";
    fl_test_cert_init(&elsewhere, "elsewhere", &options);
    options = (struct fl_test_cert_options){
        .issuer = &authority, .names = NAMES, .from_s = -7200, .until_s = -3600};
    fl_test_cert_init(&expired, "echo", &options);
}

static void free_certificates(void) {
    struct fl_test_cert *all[] = {&authority, &stranger, &good, &expired, &elsewhere, &user};
    for (size_t i = 0; i < FL_COUNT(all); i++) fl_test_cert_deinit(all[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_address_in_the_certificate),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_alpn_without_a_common_protocol),
        cmocka_unit_test(test_wrong_authority),
        cmocka_unit_test(test_self_signed),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_wrong_address),
        cmocka_unit_test(test_address_is_no_name),
        cmocka_unit_test(test_subject_is_no_name),
        cmocka_unit_test(test_part_of_a_label_is_no_wildcard),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_not_yet_valid),
        cmocka_unit_test(test_system_authorities_do_not_know_ours),
        cmocka_unit_test(test_system_authorities_only_without_others),
        cmocka_unit_test(test_verification_switched_off),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_no_client_certificate),
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
        cmocka_unit_test(test_wrong_configurations),
        cmocka_unit_test(test_encrypted_key_is_an_error),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_every_failed_allocation),
        cmocka_unit_test(test_exchange_survives_every_failed_allocation),
    };
    make_certificates();
    int rc = fl_test_run(tests, FL_COUNT(tests));
    free_certificates();
    return rc;
}
