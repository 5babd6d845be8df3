/* call.c - a call as the server receives it: its beginning, its messages, its end.
 *
 * The one message of a method that takes one is kept until the client's side is complete, for only
 * then is it known to be the only one. Messages of a stream are handed on as they come; bytes that
 * come in a pause wait unread, and the client's window is not given back, which bounds them. */
#include "base/alloc.h"
#include "server/inside.h"

#define WAITING_MAX ((size_t)64 * 1024 * 1024) /* more than any window lets come */

static const struct fl_grpc_call_events *events_of(const struct fl_grpc_call *call) {
    return call->method->events;
}

void fl_grpc_call_free_if_over(struct fl_grpc_call *call) {
    if (call->stream || call->owed || call->resuming) return;
    fl_grpc_reader_deinit(&call->reader);
    fl_buf_deinit(&call->request);
    fl_buf_deinit(&call->waiting);
    fl_free(call);
}

void fl_grpc_call_attach(struct fl_grpc_call *call, void *arg) { call->arg = arg; }

/* --- messages --- */

static void give(struct fl_grpc_call *call, struct fl_str message) {
    if (events_of(call)->on_message) events_of(call)->on_message(call->arg, call, message);
}

static int take_plain(struct fl_grpc_call *call, struct fl_str message, struct fl_error *err) {
    call->messages++;
    if (call->method->client_streams)
        give(call, message);
    else if (call->messages > 1) /* statuscodes.md: "Request cardinality violation" */
        fl_grpc_call_refuse(call, FL_STATUS_UNIMPLEMENTED, "the request is more than one message");
    else if (fl_buf_append(&call->request, message) != 0)
        return fl_fail_nomem(err);
    return 0;
}

static int take(struct fl_grpc_call *call, const struct fl_grpc_message *message,
                struct fl_error *err) {
    call->compressed = message->compressed;
    if (!message->compressed) return take_plain(call, message->bytes, err);
    if (call->received == FL_COMPRESSION_IDENTITY)
        return fl_fail(err, FL_EPROTO,
                       "a message is compressed, and grpc-encoding does not say so");
    struct fl_buf plain;
    fl_buf_init(&plain, call->server->limits.receive_bytes_max);
    int rc = fl_decompress(call->received, message->bytes, &plain, err);
    if (rc == 0) rc = take_plain(call, fl_buf_str(&plain), err);
    fl_buf_deinit(&plain);
    return rc;
}

/* Takes messages until the bytes are used up, a pause begins or the call is over. */
static void take_all(struct fl_grpc_call *call, struct fl_str *bytes) {
    struct fl_grpc_message message;
    struct fl_error err;
    int rc = 1;
    while (rc == 1 && !call->paused && !call->finished) {
        rc = fl_grpc_reader_next(&call->reader, bytes, &message, &err);
        if (rc == 1 && take(call, &message, &err) != 0) rc = err.code;
    }
    if (rc < 0)
        fl_grpc_call_refuse(
            call, rc == FL_EPROTO ? FL_STATUS_INTERNAL : FL_STATUS_RESOURCE_EXHAUSTED, err.detail);
}

/* The one message of a method that takes one, then the end; each unless a pause comes first. */
static void tell_rest(struct fl_grpc_call *call) {
    if (!call->method->client_streams && !call->given) {
        call->given = true;
        give(call, fl_buf_str(&call->request));
    }
    if (call->finished || call->paused || call->end_told) return;
    call->end_told = true;
    if (events_of(call)->on_end) events_of(call)->on_end(call->arg, call);
}

/* The client's side is complete, and every message of a stream was given on. */
static void tell_end(struct fl_grpc_call *call) {
    const struct fl_grpc_method *method = call->method;
    if (fl_grpc_reader_partial(&call->reader)) {
        fl_grpc_call_refuse(call, FL_STATUS_INTERNAL, "the last message is cut off");
    } else if (!method->client_streams && call->messages == 0) {
        fl_grpc_call_refuse(call, FL_STATUS_UNIMPLEMENTED, "the request has no message");
    } else if (method->unary) {
        call->owed = true;
        method->unary(call->arg, call, fl_buf_str(&call->request));
    } else {
        tell_rest(call);
    }
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_grpc_call *call = arg;
    size_t n = bytes.n;
    take_all(call, &bytes);
    if (!call->paused || call->finished) {
        fl_http_stream_consume(stream, n);
        return;
    }
    call->unconsumed += n;
    if (fl_buf_append(&call->waiting, bytes) != 0)
        fl_grpc_call_refuse(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_error_text(FL_ENOMEM));
}

static void on_end(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    struct fl_grpc_call *call = arg;
    call->half_closed = true;
    if (!call->finished && !call->paused) tell_end(call);
}

/* --- pauses --- */

/* The bytes that came in the pause are taken from a buffer that nothing is added to meanwhile. */
static void take_waiting(struct fl_grpc_call *call) {
    struct fl_str bytes = fl_buf_str(&call->waiting);
    take_all(call, &bytes);
    fl_buf_consume(&call->waiting, call->waiting.len - bytes.n);
    if (call->waiting.len == 0) fl_buf_release(&call->waiting);
}

static void run_resume(struct fl_task *task) {
    struct fl_grpc_call *call = FL_CONTAINER(task, struct fl_grpc_call, resume);
    call->resuming = false;
    take_waiting(call);
    if (!call->stream) {
        fl_grpc_call_free_if_over(call);
    } else if (!call->paused && !call->finished) {
        fl_http_stream_consume(call->stream, call->unconsumed);
        call->unconsumed = 0;
        if (call->half_closed) tell_end(call);
    }
}

void fl_grpc_call_pause(struct fl_grpc_call *call, bool paused) {
    if (call->finished || call->paused == paused) return;
    call->paused = paused;
    if (paused) return;
    call->resuming = true;
    fl_io_defer(call->server->io, &call->resume);
}

/* --- the call --- */

static void on_writable(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    struct fl_grpc_call *call = arg;
    if (!call->finished && events_of(call) && events_of(call)->on_writable)
        events_of(call)->on_writable(call->arg, call);
}

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    struct fl_grpc_call *call = arg;
    call->stream = NULL;
    call->finished = true;
    call->server->call_count--;
    if (events_of(call) && events_of(call)->on_close)
        events_of(call)->on_close(call->arg, call, why);
    fl_grpc_call_free_if_over(call);
}

static const struct fl_http_stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_stream_close,
};

/* What a path is that no service has. */
static const struct fl_grpc_call_events no_events;
static const struct fl_grpc_method no_method = {.events = &no_events};

static struct fl_grpc_call *call_new(struct fl_grpc_server *server, struct fl_http_stream *stream,
                                     const struct fl_grpc_route *route) {
    struct fl_grpc_call *call = FL_NEW(struct fl_grpc_call);
    if (!call) return NULL;
    call->server = server;
    call->stream = stream;
    call->method = route ? route->method : &no_method;
    call->arg = route ? route->arg : NULL;
    fl_task_init(&call->resume, run_resume);
    fl_grpc_reader_init(&call->reader, server->limits.receive_bytes_max);
    fl_buf_init(&call->request, server->limits.receive_bytes_max);
    fl_buf_init(&call->waiting, WAITING_MAX);
    return call;
}

static bool set_deadline(struct fl_grpc_call *call, struct fl_http_headers headers) {
    struct fl_str text = fl_http_header_get(headers, FL_STR("grpc-timeout"));
    if (!text.p) return true;
    uint64_t ms;
    if (!fl_grpc_timeout_parse(text, &ms)) return false;
    fl_http_stream_deadline(call->stream, fl_io_now_ms(call->server->io) + ms);
    return true;
}

int fl_grpc_call_begin(struct fl_grpc_server *server, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    if (server->call_count == server->limits.calls_max) return FL_EFULL;
    const struct fl_grpc_route *route = fl_grpc_server_route(server, head->path);
    struct fl_grpc_call *call = call_new(server, stream, route);
    if (!call) return FL_ENOMEM;
    server->call_count++;
    fl_http_stream_attach(stream, &stream_events, call);
    if (!fl_grpc_call_negotiate(call, head->headers)) {
        const struct fl_http_header accept = {FL_STR("grpc-accept-encoding"),
                                              FL_COMPRESSION_ACCEPTED};
        fl_grpc_call_finish(call, FL_STATUS_UNIMPLEMENTED, FL_STR("unknown grpc-encoding"),
                            (struct fl_http_headers){&accept, 1});
    } else if (!set_deadline(call, head->headers)) {
        fl_grpc_call_refuse(call, FL_STATUS_INTERNAL, "malformed grpc-timeout");
    } else if (!route) {
        fl_grpc_call_refuse(call, FL_STATUS_UNIMPLEMENTED, "no such method");
    } else if (events_of(call) && events_of(call)->on_start) {
        const struct fl_grpc_call_head start = {head->path, head->headers};
        events_of(call)->on_start(call->arg, call, &start);
    }
    return 0;
}
