/* apiserver.c - the simulated API server: listener, connections, faults, and who answers what.
 *
 * Requests are taken apart by api_request.c, answered by api_reply.c, api_list.c and
 * api_document.c, watches live in api_watch.c. A change of the cluster defers one task that lets
 * every watch read on. */
#include "sim/apiserver.h"

#include "base/alloc.h"
#include "sim/api_watch.h"

#define BOOKMARK_MS 60000

struct fl_apiserver {
    struct fl_io *io;
    struct fl_store *store;
    struct fl_apiserver_options options; /* strings: host not kept, token is ours */
    char *token;
    struct fl_listener *listener;
    struct fl_list clients, watches;
    struct fl_store_observer observer;
    struct fl_task pump;
    enum fl_apiserver_fault fault;
    unsigned fault_times;
    uint64_t requests;
    bool closing;
    struct fl_task closed;
    void (*done)(void *arg);
    void *done_arg;
};

struct client { /* a connection */
    struct fl_list link;
    struct fl_apiserver *server;
    struct fl_http_conn *conn;
};

/* --- faults --- */

/* Which requests a fault concerns. */
static bool concerns(enum fl_apiserver_fault fault, const struct fl_api_request *request) {
    switch (fault) {
    case FL_APISERVER_OK:
        return false;
    case FL_APISERVER_GONE_STATUS:
    case FL_APISERVER_GONE_EVENT:
    case FL_APISERVER_SHORT:
        return request->target == FL_API_WATCH;
    case FL_APISERVER_STALE:
        return request->target == FL_API_LIST && request->has_version && !request->version;
    default:
        return request->target != FL_API_DOCUMENT;
    }
}

static enum fl_apiserver_fault next_fault(struct fl_apiserver *server,
                                          const struct fl_api_request *request) {
    if (!server->fault_times || !concerns(server->fault, request)) return FL_APISERVER_OK;
    server->fault_times--;
    return server->fault;
}

static void fail_busy(struct fl_http_stream *stream, const struct fl_api_request *request, int code,
                      const char *reason, const char *message) {
    struct fl_api_status status;
    fl_api_fail(&status, code, reason, "%s", message);
    status.retry_after_s = 1;
    fl_api_reply_status(stream, request->format, &status);
}

static void fail_gone(struct fl_apiserver *server, struct fl_http_stream *stream,
                      const struct fl_api_request *request, bool as_event) {
    struct fl_api_status status;
    fl_api_expired(&status, request->version, server->store->version);
    if (as_event)
        fl_api_watch_refuse(stream, request->format, &status);
    else
        fl_api_reply_status(stream, request->format, &status);
}

/* --- answers --- */

static void answer_well(struct fl_apiserver *server, struct fl_http_stream *stream,
                        struct fl_api_request *request, enum fl_apiserver_fault fault) {
    const struct fl_api_watch_options watch = {.bookmark_ms = server->options.bookmark_ms,
                                               .mute = fault == FL_APISERVER_SHORT};
    switch (request->target) {
    case FL_API_DOCUMENT:
        fl_api_reply_document(stream, request, !server->options.no_endpointslices);
        break;
    case FL_API_OBJECT:
        fl_api_reply_object(stream, request, server->store);
        break;
    case FL_API_LIST:
        fl_api_reply_list(stream, request, server->store, fault == FL_APISERVER_STALE);
        break;
    case FL_API_WATCH:
        fl_api_watch_start(server->io, stream, request, server->store, &watch, &server->watches);
        break;
    }
}

static void answer(struct fl_apiserver *server, struct fl_http_stream *stream,
                   struct fl_api_request *request) {
    enum fl_apiserver_fault fault = next_fault(server, request);
    switch (fault) {
    case FL_APISERVER_GONE_STATUS:
    case FL_APISERVER_GONE_EVENT:
        fail_gone(server, stream, request, fault == FL_APISERVER_GONE_EVENT);
        break;
    case FL_APISERVER_UNAVAILABLE:
        fail_busy(stream, request, 503, "ServiceUnavailable", "the server is not ready");
        break;
    case FL_APISERVER_THROTTLE:
        fail_busy(stream, request, 429, "TooManyRequests", "too many requests, try again later");
        break;
    case FL_APISERVER_SILENT:
        fl_api_reply_silence(stream);
        break;
    case FL_APISERVER_GARBAGE:
        fl_api_reply_garbage(stream, request, server->io);
        break;
    default:
        answer_well(server, stream, request, fault);
    }
}

static bool is_authorized(const struct fl_apiserver *server, const struct fl_http_request *head) {
    struct fl_str value = fl_http_header_get(head->headers, FL_STR("authorization"));
    struct fl_str prefix = FL_STR("Bearer ");
    if (!server->token) return true;
    return fl_str_starts(value, prefix) &&
           fl_str_eq(fl_str_from(value, prefix.n), fl_str_of(server->token));
}

/* What stands between a well-formed request and its answer; 0 or the HTTP code. */
static int check(const struct fl_apiserver *server, const struct fl_http_request *head,
                 const struct fl_api_request *request, struct fl_api_status *status) {
    bool health = request->target == FL_API_DOCUMENT && fl_str_ends(request->path, FL_STR("z"));
    if (!health && !is_authorized(server, head))
        return fl_api_fail(status, 401, "Unauthorized", "Unauthorized");
    if (!fl_str_eq(head->method, FL_STR("GET")))
        return fl_api_fail(status, 405, "MethodNotAllowed",
                           "the simulated server only reads: %.*s is not supported",
                           FL_STR_ARG(head->method));
    if (request->kind == FL_K8S_ENDPOINTSLICE && request->target != FL_API_DOCUMENT &&
        server->options.no_endpointslices)
        return fl_api_fail(status, 404, "NotFound",
                           "the server could not find the requested resource");
    if (request->initial_events && server->options.no_streaming_list)
        return fl_api_fail(status, 422, "Invalid",
                           "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
                           "sendInitialEvents is forbidden for watch unless the WatchList feature "
                           "gate is enabled");
    return 0;
}

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct client *client = arg;
    struct fl_apiserver *server = client->server;
    struct fl_api_request request;
    struct fl_api_status status;
    FL_UNUSED(conn);
    server->requests++;
    int code = fl_api_request_parse(&request, head, server->options.no_protobuf, &status);
    if (!code) code = check(server, head, &request, &status);
    if (code)
        fl_api_reply_status(stream, request.format, &status);
    else
        answer(server, stream, &request);
    fl_api_request_deinit(&request);
}

/* --- connections --- */

static void maybe_closed(struct fl_apiserver *server) {
    if (server->closing && fl_list_empty(&server->clients))
        fl_io_defer(server->io, &server->closed);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    struct client *client = arg;
    struct fl_apiserver *server = client->server;
    FL_UNUSED(conn);
    FL_UNUSED(why);
    fl_list_remove(&client->link);
    fl_free(client);
    maybe_closed(server);
}

static const struct fl_http_conn_events conn_events = {.on_request = on_request,
                                                       .on_close = on_conn_close};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct fl_apiserver *server = arg;
    const struct fl_http_options options = {0};
    struct client *client = FL_NEW(struct client);
    if (!client) {
        fl_sock_abort(server->io, sock);
        return;
    }
    client->server = server;
    if (fl_http_conn_take_accepted(server->io, sock, &options, &conn_events, client, &client->conn,
                                   NULL))
        fl_free(client);
    else
        fl_list_push(&server->clients, &client->link);
}

/* --- life --- */

static void on_event(struct fl_store_observer *observer, const struct fl_store_event *event) {
    struct fl_apiserver *server = FL_CONTAINER(observer, struct fl_apiserver, observer);
    FL_UNUSED(event);
    fl_io_defer(server->io, &server->pump);
}

static void run_pump(struct fl_task *task) {
    fl_api_watch_pump(&FL_CONTAINER(task, struct fl_apiserver, pump)->watches);
}

static void server_free(struct fl_apiserver *server) {
    if (!server) return;
    fl_list_remove(&server->observer.link);
    if (server->listener) fl_listener_close(server->io, server->listener);
    fl_free(server->token);
    fl_free(server);
}

static void run_closed(struct fl_task *task) {
    struct fl_apiserver *server = FL_CONTAINER(task, struct fl_apiserver, closed);
    void (*done)(void *arg) = server->done;
    void *arg = server->done_arg;
    server_free(server);
    done(arg);
}

int fl_apiserver_new(struct fl_io *io, struct fl_cluster *cluster,
                     const struct fl_apiserver_options *options, struct fl_apiserver **out,
                     struct fl_error *err) {
    struct fl_apiserver *server = FL_NEW(struct fl_apiserver);
    int rc;
    *out = NULL;
    if (!server) return fl_fail_nomem(err);
    server->io = io;
    server->store = fl_cluster_store(cluster);
    server->options = *options;
    if (!server->options.bookmark_ms) server->options.bookmark_ms = BOOKMARK_MS;
    fl_list_init(&server->clients);
    fl_list_init(&server->watches);
    fl_task_init(&server->pump, run_pump);
    fl_task_init(&server->closed, run_closed);
    server->observer.on_event = on_event;
    fl_list_push(&server->store->observers, &server->observer.link);
    if (options->token.n && !(server->token = fl_str_dup(options->token))) {
        rc = fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_io_listen(io, options->host, options->port, NULL, on_accept, server, &server->listener,
                      err);
    if (rc) goto fail;
    *out = server;
    return 0;
fail:
    server_free(server);
    return rc;
}

uint16_t fl_apiserver_port(const struct fl_apiserver *server) {
    return fl_listener_port(server->io, server->listener);
}

uint64_t fl_apiserver_requests(const struct fl_apiserver *server) { return server->requests; }

void fl_apiserver_close(struct fl_apiserver *server, void (*done)(void *arg), void *arg) {
    struct fl_error why;
    FL_ASSERT(!server->closing);
    server->closing = true;
    server->done = done;
    server->done_arg = arg;
    fl_list_remove(&server->observer.link);
    fl_listener_close(server->io, server->listener);
    server->listener = NULL;
    fl_fail(&why, FL_ESHUTDOWN, "API server closed");
    FL_LIST_EACH (&server->clients, item, next)
        fl_http_conn_abort(FL_CONTAINER(item, struct client, link)->conn, &why);
    maybe_closed(server);
}

void fl_apiserver_fault(struct fl_apiserver *server, enum fl_apiserver_fault fault,
                        unsigned times) {
    server->fault = fault;
    server->fault_times = times;
}

void fl_apiserver_end_watches(struct fl_apiserver *server) {
    fl_api_watch_end_all(&server->watches);
}
