/* conn.c - a server's connections: their age, and which of their requests are gRPC calls.
 *
 * A connection that is old enough drains (gRFC A9): its calls go on, the client's next ones go
 * elsewhere or to a new connection. Ages are spread, so that connections which came together do not
 * all go together. */
#include "base/alloc.h"
#include "http/limits.h"
#include "server/inside.h"

#define KEEPALIVE_MS         (2u * 60 * 60 * 1000)
#define KEEPALIVE_TIMEOUT_MS 20000

struct connection {
    struct fl_list link;
    struct fl_grpc_server *server;
    struct fl_http_conn *conn;
    struct fl_timer age; /* until it drains; then until it is cut */
    bool old;
};

static void count_limit(const struct fl_grpc_server *server, enum fl_http_limit limit) {
    fl_metric_add(fl_http_limit_metric(server->io, limit), 1);
}

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
    if (rc != 0) fl_grpc_stream_break(stream, FL_H2_CANCEL, rc);
}

static void begin(struct fl_grpc_server *server, struct fl_http_stream *stream,
                  const struct fl_http_request *head) {
    int rc = fl_grpc_call_begin(server, stream, head);
    if (rc == 0) return;
    if (rc == FL_EFULL) count_limit(server, FL_HTTP_LIMIT_STREAMS);
    fl_grpc_stream_break(stream, FL_H2_REFUSED_STREAM, rc);
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
    else
        begin(connection->server, stream, head);
}

/* --- age --- */

static void age_over(struct fl_timer *timer) {
    struct connection *connection = FL_CONTAINER(timer, struct connection, age);
    struct fl_grpc_server *server = connection->server;
    struct fl_error why;
    if (connection->old) {
        fl_fail(&why, FL_ESHUTDOWN, "the connection is too old");
        fl_http_conn_abort(connection->conn, &why);
        return;
    }
    connection->old = true;
    fl_io_timer_set(server->io, timer, fl_io_now_ms(server->io) + server->limits.age_grace_ms);
    fl_http_conn_drain(connection->conn);
}

static void start_to_age(struct connection *connection) {
    struct fl_io *io = connection->server->io;
    uint64_t max_ms = connection->server->limits.age_ms_max;
    if (max_ms == 0) return;
    uint64_t spread_ms = max_ms / 10;
    uint64_t age_ms = max_ms - spread_ms + fl_random_below(&io->jitter, 2 * spread_ms + 1);
    fl_io_timer_set(io, &connection->age, fl_io_now_ms(io) + age_ms);
}

/* --- connections --- */

static struct connection *connection_new(struct fl_grpc_server *server) {
    struct connection *connection = FL_NEW(struct connection);
    if (!connection) return NULL;
    connection->server = server;
    if (fl_io_timer_init(server->io, &connection->age, age_over) == 0) return connection;
    fl_free(connection);
    return NULL;
}

static void connection_free(struct connection *connection) {
    fl_io_timer_deinit(connection->server->io, &connection->age);
    fl_free(connection);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    struct connection *connection = arg;
    struct fl_grpc_server *server = connection->server;
    fl_list_remove(&connection->link);
    connection_free(connection);
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

static struct fl_http_options http_options(const struct fl_grpc_server_limits *limits) {
    return (struct fl_http_options){.version = FL_HTTP_2,
                                    .streams_max = limits->streams_max,
                                    .idle_timeout_ms = limits->idle_ms_max,
                                    .ping_after_ms = KEEPALIVE_MS,
                                    .ping_timeout_ms = KEEPALIVE_TIMEOUT_MS,
                                    .ping_without_streams = true,
                                    .ping_min_ms = limits->ping_ms_min,
                                    .ping_min_idle_ms = limits->ping_idle_ms_min};
}

void fl_grpc_conn_take_accepted(struct fl_grpc_server *server, struct fl_sock *sock) {
    struct connection *connection = NULL;
    if (server->connection_count < server->limits.connections_max)
        connection = connection_new(server);
    else
        count_limit(server, FL_HTTP_LIMIT_SERVER_CONNS);
    if (!connection) {
        turn_away(server, sock);
        return;
    }
    struct fl_http_options options = http_options(&server->limits);
    if (fl_http_conn_take_accepted(server->io, sock, &options, &conn_events, connection,
                                   &connection->conn, NULL) != 0) {
        connection_free(connection);
        return;
    }
    fl_list_push(&server->connections, &connection->link);
    server->connection_count++;
    start_to_age(connection);
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
