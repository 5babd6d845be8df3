/* server_conn.c - a server's connections, and which of their requests are gRPC calls. */
#include "base/alloc.h"
#include "channel/server_inside.h"

struct connection {
    struct fl_list link;
    struct fl_grpc_server *server;
    struct fl_http_conn *conn;
};

/* --- requests --- */

static void no_call_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                          uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
}

/* Answers what is no gRPC call (PROTOCOL-HTTP2.md: 415 for the content-type). */
static void answer_http(struct fl_http_stream *stream, int status) {
    static const struct fl_http_stream_events events = {.on_close = no_call_close};
    fl_http_stream_attach(stream, &events, NULL);
    struct fl_http_response head = {status, {NULL, 0}};
    int rc = fl_http_stream_respond(stream, &head, true);
    if (rc != 0) fl_grpc_stream_break(stream, rc);
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(conn);
    struct connection *connection = arg;
    struct fl_str type = fl_http_header_get(head->headers, FL_STR("content-type"));
    if (!fl_str_eq(head->method, FL_STR("POST")))
        answer_http(stream, 405);
    else if (!fl_str_starts(type, FL_STR("application/grpc")))
        answer_http(stream, 415);
    else if (fl_grpc_call_begin(connection->server, stream, head) != 0)
        answer_http(stream, 503);
}

/* --- connections --- */

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    struct connection *connection = arg;
    struct fl_grpc_server *server = connection->server;
    fl_list_remove(&connection->link);
    fl_free(connection);
    fl_grpc_server_less(server);
}

static const struct fl_http_conn_events conn_events = {
    .on_request = on_request,
    .on_close = on_conn_close,
};

static void ignore_close(void *arg, const struct fl_error *why) {
    FL_UNUSED(arg);
    FL_UNUSED(why);
}

static void turn_away(struct fl_grpc_server *server, struct fl_sock *sock) {
    static const struct fl_sock_events events = {.on_close = ignore_close};
    fl_sock_attach(server->io, sock, &events, NULL);
    fl_sock_abort(server->io, sock);
}

void fl_grpc_conn_take_accepted(struct fl_grpc_server *server, struct fl_sock *sock) {
    struct connection *connection = NULL;
    if (server->connection_count < server->options.connections_max)
        connection = FL_NEW(struct connection);
    if (!connection) {
        turn_away(server, sock);
        return;
    }
    struct fl_http_options options = {.version = FL_HTTP_2,
                                      .streams_max = server->options.streams_max};
    connection->server = server;
    if (fl_http_conn_take_accepted(server->io, sock, &options, &conn_events, connection,
                                   &connection->conn, NULL) != 0) {
        fl_free(connection);
        return;
    }
    fl_list_push(&server->connections, &connection->link);
    server->connection_count++;
}

void fl_grpc_conns_drain(struct fl_grpc_server *server) {
    FL_LIST_EACH (&server->connections, item, next) {
        fl_http_conn_drain(FL_CONTAINER(item, struct connection, link)->conn);
    }
}

void fl_grpc_conns_cut(struct fl_grpc_server *server) {
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "the server ends");
    FL_LIST_EACH (&server->connections, item, next) {
        fl_http_conn_abort(FL_CONTAINER(item, struct connection, link)->conn, &why);
    }
}
