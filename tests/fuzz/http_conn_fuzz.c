/* http_conn_fuzz.c - a peer's bytes against a server's and a client's connection, in a simulated
 * world that cuts them as a seed says.
 *
 * The first byte says what is attacked and how its owner behaves, the second is the seed, the rest
 * is what the peer sends. Whatever it is, every stream and the connection must end once, and the
 * world must be empty at the end. */
#include "http/conn.h"
#include "sim/world.h"

#define PORT    80
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_CLIENT = 1, HTTP_2 = 2, HOARD = 4, RESET = 8, DRAIN = 16, CLOSE = 32, GREET = 64 };

struct bench {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_listener *listener;
    struct fl_http_conn *conn;
    struct fl_sock *peer;
    struct fl_str bytes;
    struct fl_http_options options;
    size_t streams; /* whose on_close is awaited */
    uint8_t how;
};

/* --- the owner --- */

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct bench *b = arg;
    if (!(b->how & HOARD)) fl_http_stream_consume(stream, bytes.n);
}

static void respond(struct bench *b, struct fl_http_stream *stream) {
    const struct fl_http_header trailer = {FL_STR("x-end"), FL_STR("1")};
    int rc = fl_http_stream_respond(stream, &(struct fl_http_response){.status = 200}, false);
    if (!rc) rc = fl_http_stream_write(stream, FL_STR("answer"), false);
    if (!rc) rc = fl_http_stream_trailers(stream, (struct fl_http_headers){&trailer, 1});
    FL_ASSERT(rc == 0 || rc == FL_ESHUTDOWN);
    if (b->how & CLOSE) fl_http_conn_close(b->conn);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    struct bench *b = arg;
    struct fl_error why = {FL_ECANCELLED, "enough"};
    if (b->how & RESET)
        fl_http_stream_reset(stream, 8, &why);
    else if (!(b->how & AS_CLIENT))
        respond(b, stream);
}

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    struct bench *b = arg;
    FL_UNUSED(stream), FL_UNUSED(why), FL_UNUSED(h2_code);
    FL_ASSERT(b->streams-- > 0);
}

static const struct fl_http_stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_stream_close,
};

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct bench *b = arg;
    FL_ASSERT(head->method.n > 0);
    fl_http_stream_attach(stream, &stream_events, b);
    b->streams++;
    if (b->how & DRAIN) fl_http_conn_drain(conn);
}

static void on_ready(void *arg, struct fl_http_conn *conn) {
    struct bench *b = arg;
    const struct fl_http_request head = {.method = b->how & DRAIN ? FL_STR("HEAD") : FL_STR("GET"),
                                         .scheme = FL_STR("http"),
                                         .authority = FL_STR("h"),
                                         .path = FL_STR("/")};
    struct fl_http_stream *stream;
    for (int i = 0; i < 3 && fl_http_conn_room(conn) > 0; i++) {
        int rc = fl_http_conn_request(conn, &head, true, &stream_events, b, &stream, NULL);
        FL_ASSERT(rc == 0);
        b->streams++;
    }
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct bench *b = arg;
    FL_UNUSED(conn), FL_UNUSED(why);
    FL_ASSERT(b->streams == 0);
    b->conn = NULL;
}

static const struct fl_http_conn_events conn_events = {
    .on_ready = on_ready,
    .on_request = on_request,
    .on_room = on_ready,
    .on_close = on_conn_close,
};

/* --- the peer --- */

static void peer_send(struct bench *b) {
    int rc = 0;
    if (b->how & GREET)
        rc = fl_sock_write(b->io, b->peer,
                           b->how & AS_CLIENT ? fl_str_n(&PREFACE[24], 9)
                                              : fl_str_n(PREFACE, sizeof PREFACE - 1));
    if (!rc) rc = fl_sock_write(b->io, b->peer, b->bytes);
    FL_ASSERT(rc == 0);
}

static void peer_open(void *arg, struct fl_str alpn) {
    FL_UNUSED(alpn);
    peer_send(arg);
}
static void peer_data(void *arg, struct fl_str bytes) { FL_UNUSED(arg), FL_UNUSED(bytes); }
static void peer_writable(void *arg) { FL_UNUSED(arg); }
static void peer_eof(void *arg) {
    struct bench *b = arg;
    fl_sock_close(b->io, b->peer);
}
static void peer_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(why);
    ((struct bench *)arg)->peer = NULL;
}
static const struct fl_sock_events peer_events = {peer_open, peer_data, peer_writable, peer_eof,
                                                  peer_close};

/* --- a run --- */

static void on_accept(void *arg, struct fl_sock *sock) {
    struct bench *b = arg;
    if (b->how & AS_CLIENT) {
        b->peer = sock;
        fl_sock_attach(b->io, sock, &peer_events, b);
        peer_send(b);
        return;
    }
    int rc = fl_http_conn_take_accepted(b->io, sock, &b->options, &conn_events, b, &b->conn, NULL);
    FL_ASSERT(rc == 0);
}

static void connect_both(struct bench *b) {
    struct fl_dial dial = {.host = FL_STR("127.0.0.1"), .port = PORT, .deadline_ms = UINT64_MAX};
    int rc = b->how & AS_CLIENT
                 ? fl_http_conn_dial(b->io, &dial, &b->options, &conn_events, b, &b->conn, NULL)
                 : fl_io_dial(b->io, &dial, &peer_events, b, &b->peer, NULL);
    FL_ASSERT(rc == 0);
    fl_world_run_ms(b->world, 60000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct bench b = {.how = data[0], .bytes = fl_str_n(data + 2, size - 2)};
    struct fl_world_options world = {.seed = data[1], .chop = data[1] & 1};
    b.options = (struct fl_http_options){.version = b.how & HTTP_2      ? FL_HTTP_2
                                                    : b.how & AS_CLIENT ? FL_HTTP_1
                                                                        : FL_HTTP_BY_ALPN,
                                         .ping_after_ms = 10000,
                                         .window_bytes = 1000,
                                         .header_bytes_max = 1000};
    FL_ASSERT(fl_world_new(&world, &b.world) == 0);
    b.io = fl_world_io(b.world);
    int rc = fl_io_listen(b.io, FL_STR("127.0.0.1"), PORT, NULL, on_accept, &b, &b.listener, NULL);
    FL_ASSERT(rc == 0);
    connect_both(&b);
    if (b.peer) fl_sock_close(b.io, b.peer);
    fl_world_run_ms(b.world, 10000);
    if (b.conn) fl_http_conn_close(b.conn);
    fl_listener_close(b.io, b.listener);
    fl_world_run_ms(b.world, 10000);
    FL_ASSERT(!b.conn && !b.peer && b.streams == 0);
    FL_ASSERT(fl_world_open_socks(b.world) == 0);
    fl_world_free(b.world);
    return 0;
}
