/* server.c - unary gRPC over the server side of http/.
 *
 * A call lives until both are done with it: its stream has closed and its handler has replied. So a
 * handler may reply whenever it likes, even after the server is gone; what nobody waits for any
 * more is dropped. A server that drains or was killed is gone when its last connection is. */
#include "channel/server.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/list.h"
#include "http/conn.h"
#include "wire/grpc.h"

#define STREAMS_MAX       1000
#define RECEIVE_BYTES_MAX (4u * 1024 * 1024)
#define CONNECTIONS_MAX   10000
#define ON_STACK          1024 /* responses up to here go out in one piece */
#define H2_CANCEL         8u
#define MESSAGE_MAX       ((size_t)4096) /* of grpc-message, encoded */

struct fl_grpc_server {
    struct fl_io *io;
    struct fl_grpc_server_options options;
    struct fl_listener *listener; /* NULL once it stops */
    uint16_t port;
    struct fl_list connections;
    size_t connection_count;
    bool ending;
    struct fl_timer deadline; /* of the drain */
    struct fl_task last;      /* tells `done` */
    void (*done)(void *arg);
    void *done_arg;
};

struct connection {
    struct fl_list link;
    struct fl_grpc_server *server;
    struct fl_http_conn *conn;
};

struct fl_grpc_call {
    struct fl_grpc_server *server; /* valid while there is a stream */
    struct fl_http_stream *stream; /* NULL: closed */
    struct fl_grpc_reader reader;
    struct fl_buf request;
    unsigned messages;
    bool handled; /* the handler has it */
    bool replied;
    struct fl_str method; /* behind the struct */
};

/* --- calls --- */

static void call_free(struct fl_grpc_call *call) {
    fl_grpc_reader_deinit(&call->reader);
    fl_buf_deinit(&call->request);
    fl_free(call);
}

/* The handler owes a reply only for what it was given. */
static void free_if_over(struct fl_grpc_call *call) {
    if (!call->stream && (call->replied || !call->handled)) call_free(call);
}

static void break_stream(struct fl_grpc_call *call, int code) {
    struct fl_error why;
    fl_fail(&why, code, "%s", fl_error_text(code));
    fl_http_stream_reset(call->stream, H2_CANCEL, &why);
}

/* Head and trailers in one, for calls without a response. */
static int reply_status_only(struct fl_grpc_call *call, struct fl_http_headers trailers) {
    struct fl_http_header list[3] = {{FL_STR("content-type"), FL_STR("application/grpc")}};
    memcpy(list + 1, trailers.list, trailers.count * sizeof(*list));
    struct fl_http_response head = {200, {list, trailers.count + 1}};
    return fl_http_stream_respond(call->stream, &head, true);
}

static int write_message(struct fl_http_stream *stream, struct fl_str message) {
    uint8_t bytes[ON_STACK];
    fl_grpc_prefix((uint32_t)message.n, bytes);
    if (message.n <= sizeof(bytes) - FL_GRPC_PREFIX) {
        if (message.n) memcpy(bytes + FL_GRPC_PREFIX, message.p, message.n);
        return fl_http_stream_write(stream, fl_str_n(bytes, FL_GRPC_PREFIX + message.n), false);
    }
    int rc = fl_http_stream_write(stream, fl_str_n(bytes, FL_GRPC_PREFIX), false);
    return rc ? rc : fl_http_stream_write(stream, message, false);
}

static int reply_message(struct fl_grpc_call *call, struct fl_str response,
                         struct fl_http_headers trailers) {
    const struct fl_http_header type = {FL_STR("content-type"), FL_STR("application/grpc")};
    struct fl_http_response head = {200, {&type, 1}};
    int rc = fl_http_stream_respond(call->stream, &head, false);
    if (rc == 0) rc = write_message(call->stream, response);
    return rc ? rc : fl_http_stream_trailers(call->stream, trailers);
}

static void send_reply(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                       struct fl_str response) {
    char number[8];
    snprintf(number, sizeof(number), "%u", (unsigned)status);
    struct fl_buf text;
    fl_buf_init(&text, MESSAGE_MAX);
    struct fl_http_header list[2] = {{FL_STR("grpc-status"), fl_str_of(number)}};
    struct fl_http_headers trailers = {list, 1};
    if (message.n && fl_grpc_message_encode(&text, message) == 0)
        list[trailers.count++] = (struct fl_http_header){FL_STR("grpc-message"), fl_buf_str(&text)};
    int rc = status == FL_STATUS_OK ? reply_message(call, response, trailers)
                                    : reply_status_only(call, trailers);
    if (rc != 0) break_stream(call, rc);
    fl_buf_deinit(&text);
}

void fl_grpc_call_reply(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                        struct fl_str response) {
    FL_ASSERT(!call->replied);
    call->replied = true;
    if (!call->stream) {
        free_if_over(call);
    } else if (response.n > FL_HTTP_QUEUE_MAX - FL_GRPC_PREFIX) {
        send_reply(call, FL_STATUS_RESOURCE_EXHAUSTED, FL_STR("the response is too large"),
                   FL_STR_NONE);
    } else {
        send_reply(call, status, message, response);
    }
}

/* Ends a call that the handler does not get to see. */
static void refuse(struct fl_grpc_call *call, enum fl_status status, const char *message) {
    if (call->replied) return;
    call->replied = true;
    send_reply(call, status, fl_str_of(message), FL_STR_NONE);
}

static int take_message(void *arg, struct fl_str message) {
    struct fl_grpc_call *call = arg;
    if (++call->messages > 1) return FL_EPROTO;
    return fl_buf_append(&call->request, message);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_grpc_call *call = arg;
    fl_http_stream_consume(stream, bytes.n);
    if (call->replied) return;
    struct fl_error err = {FL_OK, ""};
    int rc = fl_grpc_reader_feed(&call->reader, bytes, take_message, call, &err);
    if (rc == FL_EPROTO)
        refuse(call, FL_STATUS_UNIMPLEMENTED, "one uncompressed message is a request here");
    else if (rc != 0)
        refuse(call, FL_STATUS_RESOURCE_EXHAUSTED, err.detail);
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    struct fl_grpc_call *call = arg;
    if (call->replied) return;
    if (call->messages != 1 || fl_grpc_reader_partial(&call->reader)) {
        refuse(call, FL_STATUS_INTERNAL, "the request is not one whole message");
        return;
    }
    call->handled = true;
    call->server->options.handler(call->server->options.arg, call, call->method,
                                  fl_buf_str(&call->request));
}

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    struct fl_grpc_call *call = arg;
    call->stream = NULL;
    free_if_over(call);
}

static const struct fl_http_stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_stream_close,
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
    if (fl_http_stream_respond(stream, &head, true) == 0) return;
    struct fl_error why;
    fl_fail_nomem(&why);
    fl_http_stream_reset(stream, H2_CANCEL, &why);
}

static struct fl_grpc_call *call_new(struct fl_grpc_server *server, struct fl_http_stream *stream,
                                     struct fl_str method) {
    struct fl_grpc_call *call = fl_calloc(1, sizeof(*call) + method.n);
    if (!call) return NULL;
    char *copy = (char *)(call + 1);
    if (method.n) memcpy(copy, method.p, method.n);
    call->method = fl_str_n(copy, method.n);
    call->server = server;
    call->stream = stream;
    fl_grpc_reader_init(&call->reader, server->options.receive_bytes_max);
    fl_buf_init(&call->request, server->options.receive_bytes_max);
    return call;
}

static void set_deadline(struct fl_grpc_call *call, struct fl_http_headers headers) {
    struct fl_str text = fl_http_header_get(headers, FL_STR("grpc-timeout"));
    if (!text.p) return;
    uint64_t ms;
    if (!fl_grpc_timeout_parse(text, &ms))
        refuse(call, FL_STATUS_INTERNAL, "malformed grpc-timeout");
    else
        fl_http_stream_deadline(call->stream, fl_io_now_ms(call->server->io) + ms);
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(conn);
    struct connection *connection = arg;
    if (!fl_str_eq(head->method, FL_STR("POST"))) {
        answer_http(stream, 405);
        return;
    }
    struct fl_str type = fl_http_header_get(head->headers, FL_STR("content-type"));
    if (!fl_str_starts(type, FL_STR("application/grpc"))) {
        answer_http(stream, 415);
        return;
    }
    struct fl_grpc_call *call = call_new(connection->server, stream, head->path);
    if (!call) {
        answer_http(stream, 503);
        return;
    }
    fl_http_stream_attach(stream, &stream_events, call);
    set_deadline(call, head->headers);
}

/* --- connections --- */

/* Tells `done` in a task of its own, so never before the starting call returned. */
static void finish_if_empty(struct fl_grpc_server *server) {
    if (server->ending && server->connection_count == 0) fl_io_defer(server->io, &server->last);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    struct connection *connection = arg;
    struct fl_grpc_server *server = connection->server;
    fl_list_remove(&connection->link);
    server->connection_count--;
    fl_free(connection);
    finish_if_empty(server);
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

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_grpc_server *server = arg;
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

/* --- the server --- */

static void server_free(struct fl_grpc_server *server) {
    if (server->listener) fl_listener_close(server->io, server->listener);
    fl_io_timer_deinit(server->io, &server->deadline);
    fl_free(server);
}

static void run_last(struct fl_task *task) {
    struct fl_grpc_server *server = FL_CONTAINER(task, struct fl_grpc_server, last);
    void (*done)(void *arg) = server->done;
    void *arg = server->done_arg;
    server_free(server);
    if (done) done(arg);
}

static void cut_all(struct fl_grpc_server *server) {
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "the server ends");
    FL_LIST_EACH (&server->connections, item, next) {
        fl_http_conn_abort(FL_CONTAINER(item, struct connection, link)->conn, &why);
    }
}

static void deadline_over(struct fl_timer *timer) {
    cut_all(FL_CONTAINER(timer, struct fl_grpc_server, deadline));
}

int fl_grpc_server_new(struct fl_io *io, const struct fl_grpc_server_options *options,
                       struct fl_grpc_server **out, struct fl_error *err) {
    struct fl_grpc_server *server = FL_NEW(struct fl_grpc_server);
    if (!server) return fl_fail_nomem(err);
    int rc;
    server->io = io;
    server->options = *options;
    if (!server->options.streams_max) server->options.streams_max = STREAMS_MAX;
    if (!server->options.receive_bytes_max) server->options.receive_bytes_max = RECEIVE_BYTES_MAX;
    if (!server->options.connections_max) server->options.connections_max = CONNECTIONS_MAX;
    fl_list_init(&server->connections);
    fl_task_init(&server->last, run_last);
    rc = fl_io_timer_init(io, &server->deadline, deadline_over);
    if (rc != 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_io_listen(io, options->host, options->port, options->tls, on_accept, server,
                      &server->listener, err);
    if (rc != 0) goto fail;
    server->port = fl_listener_port(io, server->listener);
    server->options.host = FL_STR_NONE; /* the caller's memory */
    *out = server;
    return 0;
fail:
    server_free(server);
    return rc;
}

uint16_t fl_grpc_server_port(const struct fl_grpc_server *server) { return server->port; }

size_t fl_grpc_server_connections(const struct fl_grpc_server *server) {
    return server->connection_count;
}

static void stop(struct fl_grpc_server *server, void (*done)(void *arg), void *arg) {
    server->done = done;
    server->done_arg = arg;
    server->ending = true;
    if (server->listener) fl_listener_close(server->io, server->listener);
    server->listener = NULL;
    finish_if_empty(server);
}

void fl_grpc_server_drain(struct fl_grpc_server *server, uint64_t deadline_ms,
                          void (*done)(void *arg), void *arg) {
    stop(server, done, arg);
    fl_io_timer_set(server->io, &server->deadline, deadline_ms);
    FL_LIST_EACH (&server->connections, item, next) {
        fl_http_conn_drain(FL_CONTAINER(item, struct connection, link)->conn);
    }
}

void fl_grpc_server_kill(struct fl_grpc_server *server, void (*done)(void *arg), void *arg) {
    stop(server, done, arg);
    cut_all(server);
}
