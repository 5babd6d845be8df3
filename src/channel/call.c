/* call.c - one unary call: its request, its stream, its deadline and its one callback.
 *
 * A call lies in one allocation with its method and request, so that an attempt that no server
 * processed can be made again. Every end goes through one of two doors: an exchange that is over
 * (on_close), or fl_call_give_up for what this side decides. The time of a call that another thread
 * started runs from when the loop takes it up: only the loop knows what time it is. */
#include "channel/call.h"

#include "base/alloc.h"
#include "base/sm.h"
#include "channel/state.h"

#define PIECE_MAX  ((size_t)256 * 1024) /* of a request, given to the stream at a time */
#define METHOD_MAX ((size_t)4096)
#define H2_CANCEL  8u /* RFC 9113 section 7 */

static const uint32_t moves[] = {
    [FL_CALL_INBOX] = FL_TO(FL_CALL_NEW) | FL_TO(FL_CALL_ENDING),
    [FL_CALL_NEW] = FL_TO(FL_CALL_WAITING) | FL_TO(FL_CALL_SENT) | FL_TO(FL_CALL_ENDING),
    [FL_CALL_WAITING] = FL_TO(FL_CALL_SENT) | FL_TO(FL_CALL_ENDING),
    [FL_CALL_SENT] = FL_TO(FL_CALL_WAITING) | FL_TO(FL_CALL_ENDING),
    [FL_CALL_ENDING] = 0,
};

void fl_call_move(struct fl_call *call, enum fl_call_state to) {
    fl_sm_move(&call->state, moves, to);
}

static void call_free(struct fl_call *call) {
    fl_io_timer_deinit(call->channel->io, &call->timer);
    fl_reply_deinit(&call->reply);
    fl_subchannel_unref(call->sub);
    fl_free(call);
}

static void conclude(struct fl_call *call, struct fl_call_result *result) {
    struct fl_channel *channel = call->channel;
    fl_io_timer_clear(channel->io, &call->timer);
    result->peer = call->sub ? call->sub->peer : "";
    result->transparent_retries = call->retries;
    fl_metric_add(channel->calls[result->status], 1);
    call->cb(call->arg, result);
    call_free(call);
}

void fl_call_finish(struct fl_call *call) {
    FL_ASSERT(call->state == FL_CALL_ENDING && call->decided);
    struct fl_call_result result = {
        .status = call->status, .message = call->why.detail, .why = &call->why};
    conclude(call, &result);
}

static void end_later(struct fl_call *call) {
    fl_call_move(call, FL_CALL_ENDING);
    fl_list_push(&call->channel->loop_data.ending, &call->link);
    fl_channel_wake(call->channel);
}

void fl_call_give_up(struct fl_call *call, enum fl_status status, const struct fl_error *why) {
    if (call->decided) return;
    call->decided = true;
    call->status = status;
    call->why = *why;
    if (call->stream) {
        fl_http_stream_reset(call->stream, H2_CANCEL, why);
        return; /* on_close follows */
    }
    if (call->state == FL_CALL_INBOX) return; /* fl_call_begin follows */
    if (call->state == FL_CALL_WAITING) fl_channel_unqueue(call->channel, call);
    end_later(call);
}

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    struct fl_call *call = arg;
    fl_reply_head(&call->reply, head);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_call *call = arg;
    fl_http_stream_consume(stream, bytes.n);
    struct fl_error err;
    int rc = fl_reply_data(&call->reply, bytes, &err);
    if (rc != 0) fl_call_give_up(call, fl_status_of_error(rc), &err);
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    FL_UNUSED(stream);
    struct fl_call *call = arg;
    fl_reply_trailers(&call->reply, trailers);
}

static bool unprocessed(const struct fl_call *call, int code) {
    return !call->decided && !fl_reply_heard(&call->reply) &&
           (code == FL_EGOAWAY || code == FL_ESTREAM_REFUSED);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(stream);
    struct fl_call *call = arg;
    call->stream = NULL;
    fl_list_remove(&call->link);
    if (unprocessed(call, why->code)) {
        fl_channel_resubmit(call->channel, call, why);
        return;
    }
    struct fl_error cause;
    struct fl_call_result result = {.response = NULL};
    if (call->decided) {
        result.status = call->status;
        result.message = call->why.detail;
        result.why = &call->why;
    } else {
        fl_reply_result(&call->reply, why, h2_code, &cause, &result);
    }
    conclude(call, &result);
}

/* Gives the stream as much of the request as it takes. */
static void write_body(struct fl_call *call) {
    const char *body = call->bytes + call->path_len;
    while (call->sent < call->body_len) {
        size_t n = FL_MIN(call->body_len - call->sent, PIECE_MAX);
        bool end = call->sent + n == call->body_len;
        int rc = fl_http_stream_write(call->stream, fl_str_n(body + call->sent, n), end);
        if (rc == FL_EFULL) return; /* on_writable follows */
        if (rc != 0) {
            struct fl_error err;
            fl_fail(&err, rc, "the request could not be written");
            fl_call_give_up(call, fl_status_of_error(rc), &err);
            return;
        }
        call->sent += n;
    }
}

static void on_writable(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    write_body(arg);
}

static const struct fl_http_stream_events events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_writable = on_writable,
    .on_close = on_close,
};

int fl_call_send(struct fl_call *call, struct fl_transport *transport, struct fl_error *err) {
    const struct fl_channel *channel = call->channel;
    struct fl_http_header headers[FL_CHANNEL_HEADERS];
    memcpy(headers, channel->headers, sizeof(headers));
    size_t count = FL_CHANNEL_HEADERS - 1;
    char timeout[FL_GRPC_TIMEOUT_MAX];
    if (call->deadline_ms != 0) {
        uint64_t now = fl_io_now_ms(channel->io);
        fl_grpc_timeout_format(call->deadline_ms > now ? call->deadline_ms - now : 1, timeout);
        headers[count++].value = fl_str_of(timeout);
    }
    struct fl_http_request head = {
        .method = FL_STR("POST"),
        .scheme = FL_STR("http"),
        .authority = fl_str_of(channel->authority),
        .path = fl_str_n(call->bytes, call->path_len),
        .headers = {headers, count},
    };
    int rc = fl_http_conn_request(transport->conn, &head, false, &events, call, &call->stream, err);
    if (rc != 0) return rc;
    if (call->state == FL_CALL_WAITING) fl_channel_unqueue(call->channel, call);
    fl_call_move(call, FL_CALL_SENT);
    fl_subchannel_ref(transport->sub);
    fl_subchannel_unref(call->sub);
    call->sub = transport->sub;
    fl_list_push(&transport->calls, &call->link);
    call->sent = 0;
    write_body(call);
    return 0;
}

static void deadline(struct fl_timer *timer) {
    struct fl_call *call = FL_CONTAINER(timer, struct fl_call, timer);
    struct fl_error why;
    if (call->state == FL_CALL_SENT) {
        fl_fail(&why, FL_EDEADLINE, "%u ms were over before %s answered",
                (unsigned)call->timeout_ms, call->sub->peer);
    } else {
        fl_channel_refresh(call->channel);
        const struct fl_error *cause = &call->channel->loop_data.cause;
        fl_fail(&why, FL_EDEADLINE, "%u ms were over while waiting: %s (%s)",
                (unsigned)call->timeout_ms, cause->detail, fl_error_name(cause->code));
    }
    fl_call_give_up(call, FL_STATUS_DEADLINE_EXCEEDED, &why);
}

void fl_call_begin(struct fl_call *call) {
    struct fl_channel *channel = call->channel;
    if (call->decided) { /* cancelled on its way */
        end_later(call);
        return;
    }
    fl_call_move(call, FL_CALL_NEW);
    if (call->timeout_ms != 0) {
        if (fl_io_timer_init(channel->io, &call->timer, deadline) != 0) {
            struct fl_error err;
            fl_fail_nomem(&err);
            fl_call_give_up(call, FL_STATUS_RESOURCE_EXHAUSTED, &err);
            return;
        }
        call->deadline_ms = fl_io_now_ms(channel->io) + call->timeout_ms;
        fl_io_timer_set(channel->io, &call->timer, call->deadline_ms);
    }
    fl_channel_submit(channel, call);
}

/* "/package.Service/Method" in visible ASCII. */
static bool method_fits(const char *method) {
    if (!method || method[0] != '/') return false;
    size_t n = 0;
    for (; method[n]; n++) {
        if (method[n] <= ' ' || method[n] > '~' || n == METHOD_MAX) return false;
    }
    return n > 1;
}

static struct fl_call *call_new(struct fl_channel *channel, const char *method, const void *request,
                                size_t len) {
    size_t path_len = strlen(method);
    struct fl_call *call = fl_alloc(sizeof(*call) + path_len + FL_GRPC_PREFIX + len);
    if (!call) return NULL;
    *call = (struct fl_call){.channel = channel, .state = FL_CALL_INBOX};
    fl_list_init(&call->link);
    fl_reply_init(&call->reply, channel->options.receive_bytes_max);
    call->path_len = path_len;
    call->body_len = FL_GRPC_PREFIX + len;
    uint8_t prefix[FL_GRPC_PREFIX];
    fl_grpc_prefix((uint32_t)len, prefix);
    memcpy(call->bytes, method, path_len);
    memcpy(call->bytes + path_len, prefix, sizeof(prefix));
    if (len > 0) memcpy(call->bytes + path_len + sizeof(prefix), request, len);
    return call;
}

/* Hands the call over. `entered` keeps the channel's memory in place until this thread has let go
 * of it, even if the call ends and the channel is closed meanwhile. */
static int start_from_elsewhere(struct fl_channel *channel, struct fl_call *call,
                                struct fl_error *err) {
    atomic_fetch_add(&channel->shared_data.entered, 1);
    bool taken = fl_inbox_push(&channel->shared_data.inbox, &call->inbox);
    if (taken) fl_channel_wake(channel);
    atomic_fetch_sub(&channel->shared_data.entered, 1);
    if (taken) return 0;
    fl_free(call);
    fl_metric_add(channel->full, 1);
    return fl_fail(err, FL_EFULL, "%u calls wait for the channel's loop already",
                   (unsigned)channel->options.queued_calls_max);
}

int fl_call_unary(struct fl_channel *channel, const char *method, const void *request, size_t len,
                  const struct fl_call_options *options, fl_call_cb *cb, void *arg,
                  struct fl_call **out, struct fl_error *err) {
    if (!method_fits(method))
        return fl_fail(err, FL_EUSAGE, "a method is written /package.Service/Method, not \"%s\"",
                       method ? method : "");
    if (!cb) return fl_fail(err, FL_EUSAGE, "a call needs a callback");
    if (len > UINT32_MAX - FL_GRPC_PREFIX)
        return fl_fail(err, FL_EUSAGE, "a request of %zu bytes does not fit in a message", len);
    if (atomic_load(&channel->shared_data.closing))
        return fl_fail(err, FL_EUSAGE, "the channel was closed");
    struct fl_call *call = call_new(channel, method, request, len);
    if (!call) return fl_fail_nomem(err);
    call->cb = cb;
    call->arg = arg;
    if (options) {
        call->timeout_ms = options->timeout_ms;
        call->wait_for_ready = options->wait_for_ready;
    }
    if (out) *out = call; /* before the loop has it: its callback may come at once */
    if (fl_io_on_thread(channel->io)) {
        fl_call_begin(call);
        return 0;
    }
    int rc = start_from_elsewhere(channel, call, err);
    if (rc != 0 && out) *out = NULL;
    return rc;
}

void fl_call_cancel(struct fl_call *call) {
    struct fl_error why;
    fl_fail(&why, FL_ECANCELLED, "cancelled by the caller");
    fl_call_give_up(call, FL_STATUS_CANCELLED, &why);
}
