/* apiserver.c - the simulated API server: faults, and who answers what.
 *
 * Requests are taken apart by api_request.c, answered by api_reply.c, api_list.c and
 * api_document.c, watches live in api_watch.c. A change of the cluster defers one task that lets
 * every watch read on. */
#include "sim/apiserver.h"

#include <limits.h>

#include "base/alloc.h"
#include "http/server.h"
#include "sim/api_access.h"
#include "sim/api_watch.h"
#include "sim/api_write.h"
#include "sim/endpoints_controller.h"

#define BOOKMARK_MS       60000
#define RESTORED_VERSIONS 10
#define RECONCILE_MS      2000
#define CONNS_MAX         100000
#define WATCHES_MAX       100000

struct fl_apiserver {
    struct fl_io *io;
    struct fl_cluster *cluster;
    struct fl_store *store;
    struct fl_apiserver_options options; /* host is not kept */
    struct fl_api_access access;
    struct fl_endpoints_controller endpoints;
    struct fl_http_server *http;
    struct fl_api_watches watches;
    struct fl_list uploads;
    struct fl_store_observer observer;
    struct fl_task pump, upheave;
    struct fl_api_faults faults;
    struct fl_timer reconcile; /* after a restore */
    uint64_t requests;
    void (*done)(void *arg);
    void *done_arg;
};

struct upload { /* a request whose body is still coming */
    struct fl_list link;
    struct fl_apiserver *server;
    struct fl_api_call call;
    struct fl_buf body;
    int code; /* 413 */
};

/* --- faults of connections and of the cluster --- */

/* The server starts anew on an older state; what runs in the cluster makes itself known later. */
static void restore(struct fl_apiserver *server) {
    fl_cluster_restore(server->cluster, RESTORED_VERSIONS);
    fl_http_server_cut(server->http);
    fl_io_timer_set(server->io, &server->reconcile, fl_io_now_ms(server->io) + RECONCILE_MS);
}

static void run_reconcile(struct fl_timer *timer) {
    struct fl_apiserver *server = FL_CONTAINER(timer, struct fl_apiserver, reconcile);
    if (fl_cluster_reconcile(server->cluster)) /* no memory */
        fl_io_timer_set(server->io, timer, fl_io_now_ms(server->io) + RECONCILE_MS);
}

static void run_upheave(struct fl_task *task) {
    struct fl_apiserver *server = FL_CONTAINER(task, struct fl_apiserver, upheave);
    struct fl_api_faults *faults = &server->faults;
    if (server->done) return; /* it is closing */
    bool alone = fl_http_server_conns(server->http) == 0;
    if (!alone && fl_api_faults_take(faults, FL_FAULT_CUT)) fl_http_server_cut(server->http);
    if (!alone && fl_api_faults_take(faults, FL_FAULT_GOAWAY)) fl_http_server_drain(server->http);
    if (fl_api_faults_take(faults, FL_FAULT_RESTORED)) restore(server);
}

/* --- faults of requests --- */

static void fail_with(const struct fl_api_call *call, int code, const char *reason,
                      uint32_t retry_after_s, const char *message) {
    struct fl_api_status status;
    fl_api_fail(&status, code, reason, "%s", message);
    status.retry_after_s = retry_after_s;
    fl_api_reply_status(call, &status);
}

static void fail_gone(const struct fl_apiserver *server, const struct fl_api_call *call,
                      enum fl_fault_kind fault) {
    struct fl_api_status status;
    fl_api_expired(&status, call->request.version, server->store->version);
    if (fault == FL_FAULT_GONE_EVENT)
        fl_api_watch_refuse(call, &status);
    else
        fl_api_reply_status(call, &status);
}

static void fail_ahead(const struct fl_apiserver *server, const struct fl_api_call *call) {
    struct fl_api_status status;
    fl_api_ahead(&status, call->request.version, server->store->version);
    fl_api_reply_status(call, &status);
}

static void fail_forbidden(const struct fl_api_call *call) {
    struct fl_api_status status;
    fl_api_forbidden(&status, &call->request, FL_API_READER);
    fl_api_reply_status(call, &status);
}

/* True: the request has its answer. */
static bool answer_badly(const struct fl_apiserver *server, const struct fl_api_call *call,
                         enum fl_fault_kind fault) {
    switch (fault) {
    case FL_FAULT_STALL:
        fl_api_reply_silence(call);
        return true;
    case FL_FAULT_UNAUTHORIZED:
        fail_with(call, 401, "Unauthorized", 0, "Unauthorized");
        return true;
    case FL_FAULT_FORBIDDEN:
        fail_forbidden(call);
        return true;
    case FL_FAULT_THROTTLED:
        fail_with(call, 429, "TooManyRequests", 1, "too many requests, try again later");
        return true;
    case FL_FAULT_INTERNAL:
        fail_with(call, 500, "InternalError", 0, "Internal error occurred: etcdserver: no leader");
        return true;
    case FL_FAULT_UNAVAILABLE:
        fail_with(call, 503, "ServiceUnavailable", 1, "the server is not ready");
        return true;
    case FL_FAULT_AHEAD:
        fail_ahead(server, call);
        return true;
    case FL_FAULT_GONE_STATUS:
    case FL_FAULT_GONE_EVENT:
    case FL_FAULT_GONE_PAGE:
        fail_gone(server, call, fault);
        return true;
    case FL_FAULT_GARBAGE:
        fl_api_reply_garbage(call);
        return true;
    default:
        return false;
    }
}

/* --- answers --- */

/* As an API server on etcd 3.4 does: the watch is accepted, and only then refused. */
static void fail_old_etcd(const struct fl_api_call *call) {
    struct fl_api_status status;
    fl_api_fail(
        &status, 500, "InternalError",
        "Internal error occurred: required storage feature RequestWatchProgress is disabled");
    fl_api_watch_refuse(call, &status);
}

static void answer(struct fl_apiserver *server, struct fl_api_call *call) {
    enum fl_fault_kind fault = fl_api_faults_take_for(&server->faults, &call->request);
    const struct fl_api_watch_options watch = {.bookmark_ms = server->options.bookmark_ms,
                                               .faults = &server->faults,
                                               .fault = fault,
                                               .watches = &server->watches};
    call->slow = fault == FL_FAULT_SLOW;
    if (answer_badly(server, call, fault)) return;
    switch (call->request.target) {
    case FL_API_DOCUMENT:
        fl_api_reply_document(call, !server->options.no_endpointslices);
        break;
    case FL_API_OBJECT:
        fl_api_reply_object(call, server->store);
        break;
    case FL_API_LIST:
        fl_api_reply_list(call, server->store, fault == FL_FAULT_OLDER);
        break;
    case FL_API_WATCH:
        if (call->request.initial_events && server->options.old_etcd)
            fail_old_etcd(call);
        else
            fl_api_watch_start(call, server->store, &watch);
        break;
    }
}

/* What stands between a well-formed request and its answer; 0 or the HTTP code. */
static int check(const struct fl_apiserver *server, const struct fl_http_request *head,
                 struct fl_api_request *request, struct fl_api_status *status) {
    int code = fl_api_access_check(&server->access, head, request, status);
    if (code) return code;
    if (request->target == FL_API_DOCUMENT && request->verb != FL_API_READ &&
        !fl_api_is_review(request))
        return fl_api_fail(status, 405, "MethodNotAllowed",
                           "the server does not allow this method on the requested resource");
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

/* --- requests with a body --- */

static void upload_free(struct upload *upload) {
    fl_list_remove(&upload->link);
    fl_buf_deinit(&upload->body);
    fl_api_request_deinit(&upload->call.request);
    fl_free(upload);
}

static void on_body(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct upload *upload = arg;
    int rc = upload->code ? 0 : fl_buf_append(&upload->body, bytes);
    if (rc) {
        upload->code = rc == FL_EFULL ? 413 : 500;
        fl_buf_consume(&upload->body, upload->body.len);
    }
    fl_http_stream_consume(stream, bytes.n);
}

/* From here on the stream is the answer's. */
static void on_body_end(void *arg, struct fl_http_stream *stream) {
    struct upload *upload = arg;
    struct fl_apiserver *server = upload->server;
    struct fl_api_status status;
    FL_UNUSED(stream);
    if (upload->code == 413) {
        fl_api_fail(&status, 413, "RequestEntityTooLarge", "Request entity too large: limit is %zu",
                    FL_API_REQUEST_MAX);
        fl_api_reply_status(&upload->call, &status);
    } else if (upload->code) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(&upload->call, &status);
    } else if (fl_api_is_review(&upload->call.request)) {
        fl_api_reply_review(&upload->call, &server->access, fl_buf_str(&upload->body));
    } else {
        fl_api_write(&upload->call, server->cluster, server->options.hooks,
                     fl_buf_str(&upload->body));
    }
    upload_free(upload);
}

static void on_body_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                          uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
    upload_free(arg);
}

static const struct fl_http_stream_events upload_events = {
    .on_data = on_body, .on_end = on_body_end, .on_close = on_body_close};

/* Steals the call's request. */
static void start_upload(struct fl_apiserver *server, struct fl_api_call *call) {
    enum fl_fault_kind fault = fl_api_faults_take_for(&server->faults, &call->request);
    struct fl_api_status status;
    if (answer_badly(server, call, fault)) return;
    struct upload *upload = FL_NEW(struct upload);
    if (!upload) {
        fl_api_fail(&status, 500, "InternalError", "out of memory");
        fl_api_reply_status(call, &status);
        return;
    }
    call->slow = fault == FL_FAULT_SLOW;
    upload->server = server;
    upload->call = *call;
    call->request.text = NULL;
    fl_buf_init(&upload->body, FL_API_REQUEST_MAX);
    fl_list_push(&server->uploads, &upload->link);
    fl_http_stream_attach(call->stream, &upload_events, upload);
}

static void on_request(void *arg, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    struct fl_apiserver *server = arg;
    struct fl_api_call call = {.io = server->io, .stream = stream};
    struct fl_api_status status;
    server->requests++;
    fl_io_defer(server->io, &server->upheave);
    int code = fl_api_request_parse(&call.request, head, server->options.no_protobuf, &status);
    call.request.now_s = fl_io_wall_ms(server->io) / 1000;
    if (!code) code = check(server, head, &call.request, &status);
    if (code)
        fl_api_reply_status(&call, &status);
    else if (call.request.verb != FL_API_READ)
        start_upload(server, &call);
    else
        answer(server, &call);
    fl_api_request_deinit(&call.request);
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
    fl_io_timer_deinit(server->io, &server->reconcile);
    fl_endpoints_controller_deinit(&server->endpoints);
    fl_api_access_deinit(&server->access);
    fl_free(server);
}

static void on_closed(void *arg) {
    struct fl_apiserver *server = arg;
    void (*done)(void *arg) = server->done;
    void *done_arg = server->done_arg;
    server_free(server);
    done(done_arg);
}

int fl_apiserver_new(struct fl_io *io, struct fl_cluster *cluster,
                     const struct fl_apiserver_options *options, struct fl_apiserver **out,
                     struct fl_error *err) {
    const struct fl_http_server_options http = {
        .host = options->host, .port = options->port, .tls = options->tls, .conns_max = CONNS_MAX};
    struct fl_apiserver *server = FL_NEW(struct fl_apiserver);
    int rc;
    *out = NULL;
    if (!server) return fl_fail_nomem(err);
    server->io = io;
    server->cluster = cluster;
    server->store = fl_cluster_store(cluster);
    server->faults.io = io;
    server->options = *options;
    if (!server->options.bookmark_ms) server->options.bookmark_ms = BOOKMARK_MS;
    fl_list_init(&server->watches.list);
    server->watches.max = options->watches_max ? options->watches_max : WATCHES_MAX;
    fl_list_init(&server->uploads);
    fl_task_init(&server->pump, run_pump);
    fl_task_init(&server->upheave, run_upheave);
    server->observer.on_event = on_event;
    fl_list_push(&server->store->observers, &server->observer.link);
    if (fl_io_timer_init(io, &server->reconcile, run_reconcile) ||
        fl_api_access_init(&server->access, options) ||
        fl_endpoints_controller_init(&server->endpoints, io, cluster)) {
        rc = fl_fail_nomem(err);
        goto fail;
    }
    rc = fl_http_server_new(io, &http, on_request, server, &server->http, err);
    if (rc) goto fail;
    *out = server;
    return 0;
fail:
    server_free(server);
    return rc;
}

uint16_t fl_apiserver_port(const struct fl_apiserver *server) {
    return fl_http_server_port(server->http);
}

uint64_t fl_apiserver_requests(const struct fl_apiserver *server) { return server->requests; }

void fl_apiserver_close(struct fl_apiserver *server, void (*done)(void *arg), void *arg) {
    server->done = done;
    server->done_arg = arg;
    fl_list_remove(&server->observer.link);
    fl_endpoints_controller_stop(&server->endpoints);
    fl_http_server_close(server->http, on_closed, server);
}

void fl_apiserver_fault(struct fl_apiserver *server, enum fl_fault_kind kind, unsigned times) {
    unsigned *left = &server->faults.left[kind];
    *left = times > UINT_MAX - *left ? UINT_MAX : times ? *left + times : 0;
    fl_io_defer(server->io, &server->upheave);
}

void fl_apiserver_heal(struct fl_apiserver *server) {
    memset(server->faults.left, 0, sizeof server->faults.left);
}

uint64_t fl_apiserver_injected(const struct fl_apiserver *server, enum fl_fault_kind kind) {
    return server->faults.shown[kind];
}

void fl_apiserver_end_watches(struct fl_apiserver *server) {
    fl_api_watch_end_all(&server->watches);
}
