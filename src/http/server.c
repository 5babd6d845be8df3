/* server.c - see server.h. */
#include "http/server.h"

#include "base/alloc.h"
#include "base/list.h"
#include "http/limits.h"

#define CONNS_MAX 1000

struct fl_http_server {
    struct fl_io *io;
    struct fl_http_options http;
    fl_http_server_request *on_request;
    void *arg;
    struct fl_listener *listener;
    struct fl_list peers;
    size_t peer_count, peers_max;
    struct fl_metric *full;
    bool closing;
    struct fl_task closed;
    void (*done)(void *arg);
    void *done_arg;
};

struct peer { /* a connection */
    struct fl_list link;
    struct fl_http_server *server;
    struct fl_http_conn *conn;
};

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    const struct peer *peer = arg;
    FL_UNUSED(conn);
    peer->server->on_request(peer->server->arg, stream, head);
}

static void maybe_closed(struct fl_http_server *server) {
    if (server->closing && fl_list_empty(&server->peers)) fl_io_defer(server->io, &server->closed);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct peer *peer = arg;
    struct fl_http_server *server = peer->server;
    FL_UNUSED(conn);
    FL_UNUSED(why);
    fl_list_remove(&peer->link);
    server->peer_count--;
    fl_free(peer);
    maybe_closed(server);
}

static const struct fl_http_conn_events conn_events = {.on_request = on_request,
                                                       .on_close = on_conn_close};

static void on_sock_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(arg);
    FL_UNUSED(why);
}

static void turn_away(struct fl_http_server *server, struct fl_sock *sock) {
    static const struct fl_sock_events events = {.on_close = on_sock_close};
    fl_metric_add(server->full, 1);
    fl_sock_attach(server->io, sock, &events, NULL);
    fl_sock_abort(server->io, sock);
}

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_http_server *server = arg;
    struct peer *peer = server->peer_count < server->peers_max ? FL_NEW(struct peer) : NULL;
    if (!peer) {
        turn_away(server, sock);
        return;
    }
    peer->server = server;
    if (fl_http_conn_take_accepted(server->io, sock, &server->http, &conn_events, peer, &peer->conn,
                                   NULL)) {
        fl_free(peer);
        return;
    }
    fl_list_push(&server->peers, &peer->link);
    server->peer_count++;
}

static void run_closed(struct fl_task *task) {
    struct fl_http_server *server = FL_CONTAINER(task, struct fl_http_server, closed);
    void (*done)(void *arg) = server->done;
    void *arg = server->done_arg;
    fl_free(server);
    done(arg);
}

int fl_http_server_new(struct fl_io *io, const struct fl_http_server_options *options,
                       fl_http_server_request *request, void *arg, struct fl_http_server **out,
                       struct fl_error *err) {
    struct fl_http_server *server = FL_NEW(struct fl_http_server);
    *out = NULL;
    if (!server) return fl_fail_nomem(err);
    server->io = io;
    server->http = options->http;
    server->on_request = request;
    server->arg = arg;
    server->peers_max = options->conns_max ? options->conns_max : CONNS_MAX;
    server->full = fl_http_limit_metric(io, FL_HTTP_LIMIT_SERVER_CONNS);
    fl_list_init(&server->peers);
    fl_task_init(&server->closed, run_closed);
    int rc = fl_io_listen(io, options->host, options->port, options->tls, on_accept, server,
                          &server->listener, err);
    if (rc) {
        fl_free(server);
        return rc;
    }
    *out = server;
    return FL_OK;
}

uint16_t fl_http_server_port(const struct fl_http_server *server) {
    return fl_listener_port(server->io, server->listener);
}

size_t fl_http_server_conns(const struct fl_http_server *server) { return server->peer_count; }

static void abort_all(struct fl_http_server *server, int code, const char *text) {
    struct fl_error why;
    fl_fail(&why, code, "%s", text);
    FL_LIST_EACH (&server->peers, item, next)
        fl_http_conn_abort(FL_CONTAINER(item, struct peer, link)->conn, &why);
}

void fl_http_server_cut(struct fl_http_server *server) {
    abort_all(server, FL_ERESET, "connections cut");
}

void fl_http_server_drain(struct fl_http_server *server) {
    FL_LIST_EACH (&server->peers, item, next)
        fl_http_conn_drain(FL_CONTAINER(item, struct peer, link)->conn);
}

void fl_http_server_close(struct fl_http_server *server, void (*done)(void *arg), void *arg) {
    FL_ASSERT(!server->closing);
    server->closing = true;
    server->done = done;
    server->done_arg = arg;
    fl_listener_close(server->io, server->listener);
    abort_all(server, FL_ESHUTDOWN, "server closed");
    maybe_closed(server);
}
