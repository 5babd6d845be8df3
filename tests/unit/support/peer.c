/* peer.c - see peer.h. Allocation failures are the test's failures. */
#include "support/peer.h"

#include "support/alloc.h"

#include <stdio.h>

struct peer_conn {
    struct fl_list link;
    struct fl_peer *peer;
    struct fl_sock *sock; /* the raw manners */
    struct fl_http_conn *conn;
};

static void stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                         uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
}

static const struct fl_http_stream_events stream_events = {.on_close = stream_close};

static void copy(char *out, size_t size, struct fl_str s) { fl_str_copy(out, size, s); }

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(conn);
    struct fl_peer *peer = ((struct peer_conn *)arg)->peer;
    struct fl_http_headers h = head->headers;
    if (peer->requests < sizeof(peer->order) - 1)
        peer->order[peer->requests] = head->path.p[head->path.n - 1];
    peer->requests++;
    copy(peer->last_authority, sizeof(peer->last_authority), head->authority);
    copy(peer->last_path, sizeof(peer->last_path), head->path);
    copy(peer->last_timeout, sizeof(peer->last_timeout),
         fl_http_header_get(h, FL_STR("grpc-timeout")));
    copy(peer->last_agent, sizeof(peer->last_agent), fl_http_header_get(h, FL_STR("user-agent")));
    peer->content_types_ok &=
        fl_str_eq(head->method, FL_STR("POST")) &&
        fl_str_eq(fl_http_header_get(h, FL_STR("content-type")), FL_STR("application/grpc")) &&
        fl_str_eq(fl_http_header_get(h, FL_STR("te")), FL_STR("trailers"));
    fl_http_stream_attach(stream, &stream_events, NULL);
    if (peer->on_request) peer->on_request(peer, stream, head);
}

static void gone(struct peer_conn *c) {
    fl_list_remove(&c->link);
    c->peer->open--;
    fl_free(c);
}

static void conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    gone(arg);
}

static const struct fl_http_conn_events conn_events = {
    .on_request = on_request,
    .on_close = conn_close,
};

static void sock_data(void *arg, struct fl_str bytes) {
    FL_UNUSED(arg);
    FL_UNUSED(bytes);
}

static void sock_eof(void *arg) {
    struct peer_conn *c = arg;
    fl_sock_close(c->peer->io, c->sock);
}

static void sock_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(why);
    gone(arg);
}

static const struct fl_sock_events sock_events = {
    .on_data = sock_data,
    .on_eof = sock_eof,
    .on_close = sock_close,
};

static void say_nonsense(struct peer_conn *c) {
    uint8_t bytes[200];
    fl_io_random(c->peer->io, bytes, sizeof(bytes));
    int rc = fl_sock_write(c->peer->io, c->sock, fl_str_n(bytes, sizeof(bytes)));
    assert_int_equal(rc, 0);
}

static void accept_raw(struct peer_conn *c, struct fl_sock *sock) {
    c->sock = sock;
    fl_sock_attach(c->peer->io, sock, &sock_events, c);
    if (c->peer->manner == FL_PEER_GARBAGE) say_nonsense(c);
    if (c->peer->manner == FL_PEER_CLOSES) fl_sock_close(c->peer->io, sock);
}

static void accept_http(struct peer_conn *c, struct fl_sock *sock) {
    struct fl_http_options options = {
        .version = FL_HTTP_2, .ready_timeout_ms = UINT32_MAX, .streams_max = c->peer->streams_max};
    int rc =
        fl_http_conn_take_accepted(c->peer->io, sock, &options, &conn_events, c, &c->conn, NULL);
    assert_int_equal(rc, 0);
    if (c->peer->manner == FL_PEER_GREETS) fl_http_conn_drain(c->conn);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_peer *peer = arg;
    struct peer_conn *c = FL_NEW(struct peer_conn);
    assert_non_null(c);
    c->peer = peer;
    if (peer->accepted < FL_COUNT(peer->accepted_at_ms))
        peer->accepted_at_ms[peer->accepted] = fl_io_now_ms(peer->io);
    peer->accepted++;
    peer->open++;
    fl_list_push(&peer->conns, &c->link);
    if (peer->manner == FL_PEER_HTTP || peer->manner == FL_PEER_GREETS)
        accept_http(c, sock);
    else
        accept_raw(c, sock);
}

void fl_peer_start(struct fl_peer *peer, struct fl_io *io, const char *host, uint16_t port,
                   enum fl_peer_manner manner) {
    *peer = (struct fl_peer){.io = io, .manner = manner, .content_types_ok = true};
    fl_list_init(&peer->conns);
    struct fl_error err;
    int rc = fl_io_listen(io, fl_str_of(host), port, NULL, on_accept, peer, &peer->listener, &err);
    assert_int_equal(rc, 0);
}

void fl_peer_drain(struct fl_peer *peer) {
    FL_LIST_EACH (&peer->conns, item, next) {
        fl_http_conn_drain(FL_CONTAINER(item, struct peer_conn, link)->conn);
    }
}

void fl_peer_close(struct fl_peer *peer) {
    FL_LIST_EACH (&peer->conns, item, next) {
        fl_http_conn_close(FL_CONTAINER(item, struct peer_conn, link)->conn);
    }
}

void fl_peer_deny(struct fl_peer *peer) {
    if (peer->listener) fl_listener_close(peer->io, peer->listener);
    peer->listener = NULL;
}

void fl_peer_stop(struct fl_peer *peer) {
    fl_peer_deny(peer);
    FL_LIST_EACH (&peer->conns, item, next) {
        struct peer_conn *c = FL_CONTAINER(item, struct peer_conn, link);
        struct fl_error why = {FL_ESHUTDOWN, ""};
        if (c->conn)
            fl_http_conn_abort(c->conn, &why);
        else
            fl_sock_abort(peer->io, c->sock);
    }
}

void fl_peer_answer(struct fl_http_stream *stream, int status, const char *content_type,
                    const char *body, size_t len, const char *grpc_status) {
    struct fl_http_header type = {FL_STR("content-type"), fl_str_of(content_type)};
    struct fl_http_response head = {status, {&type, 1}};
    struct fl_http_header trailer = {FL_STR("grpc-status"), fl_str_of(grpc_status)};
    int rc = fl_http_stream_respond(stream, &head, false);
    assert_int_equal(rc, 0);
    rc = fl_http_stream_write(stream, fl_str_n(body, len), grpc_status == NULL);
    assert_int_equal(rc, 0);
    if (!grpc_status) return;
    rc = fl_http_stream_trailers(stream, (struct fl_http_headers){&trailer, 1});
    assert_int_equal(rc, 0);
}

void fl_peer_answer_echo(struct fl_peer *peer, struct fl_http_stream *stream,
                         const struct fl_http_request *head) {
    FL_UNUSED(peer);
    FL_UNUSED(head);
    fl_peer_answer(stream, 200, "application/grpc", "\0\0\0\0\4\12\2hi", 9, "0");
}
