/* call.c - one call: its start, its deadline, its attempts and its one callback.
 *
 * A call lies in one allocation with its method, its metadata, its first attempt and, if it is
 * unary, its request. Every end goes through one of two doors: an attempt that is over
 * (fl_call_on_over), or fl_call_give_up for what this side decides. The callback waits until no
 * attempt has a stream. The time of a call that another thread started runs from when the loop
 * takes it up: only the loop knows what time it is. */
#include "channel/call.h"

#include "base/alloc.h"
#include "base/sm.h"
#include "channel/metadata.h"
#include "channel/protocol.h"
#include "channel/service_config.h"
#include "channel/state.h"
#include "channel/trace.h"
#include "wire/grpc_frame.h"

#define METHOD_MAX        ((size_t)4096)
#define REPEATS_MAX       5
#define RECEIVE_BYTES_MAX (4u * 1024 * 1024) /* gRPC's default */

static const uint32_t moves[] = {
    [FL_CALL_INBOX] = FL_TO(FL_CALL_RUNNING) | FL_TO(FL_CALL_ENDING),
    [FL_CALL_RUNNING] = FL_TO(FL_CALL_ENDING),
    [FL_CALL_ENDING] = 0,
};

/* --- the end --- */

static void call_free(struct fl_call *call) {
    fl_list_remove(&call->link);
    fl_list_remove(&call->resume);
    fl_io_timer_deinit(call->channel->io, &call->timer);
    fl_io_timer_deinit(call->channel->io, &call->again);
    while (!fl_list_empty(&call->others)) {
        struct fl_attempt *other = FL_CONTAINER(call->others.next, struct fl_attempt, sibling);
        fl_list_remove(&other->sibling);
        fl_attempt_deinit(other);
        fl_free(other);
    }
    fl_attempt_deinit(&call->first);
    fl_handle_unref(call->endpoint);
    fl_outbox_deinit(&call->outbox);
    fl_buf_deinit(&call->held);
    fl_free(call->why);
    fl_free(call);
}

/* Whose end it is; else one that went to a server, if any did. */
static struct fl_attempt *representative(struct fl_call *call) {
    if (call->last) return call->last;
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a)) {
        if (a->sub) return a;
    }
    return &call->first;
}

/* Kept apart: most calls end without one, and it is a third of a call's size. */
static void keep_why(struct fl_call *call, const struct fl_error *why) {
    fl_free(call->why);
    call->why = NULL;
    call->why_code = why->code;
    if (why->code == FL_OK) return;
    call->why = fl_alloc(sizeof(*call->why));
    if (call->why) *call->why = *why;
}

/* In *bare, if there was no memory to keep it. */
static const struct fl_error *kept_why(const struct fl_call *call, struct fl_error *bare) {
    static const struct fl_error ok;
    if (call->why) return call->why;
    if (call->why_code == FL_OK) return &ok;
    fl_fail(bare, call->why_code, "%s", fl_error_text(call->why_code));
    return bare;
}

static void conclude(struct fl_call *call) {
    struct fl_channel *channel = call->channel;
    struct fl_attempt *attempt = representative(call);
    struct fl_call_result result = {.response = NULL};
    struct fl_error cause, bare;
    const struct fl_error *why = kept_why(call, &bare);
    if (call->decided) {
        result.status = call->status;
        result.message = why->detail;
        result.why = why;
        result.headers = attempt->reply.headers; /* as far as it came */
        result.trailers = attempt->reply.trailers;
    } else {
        call->protocol->result(&attempt->reply, why, call->h2_code, &cause, &result);
    }
    result.peer = attempt->sub ? attempt->sub->peer : "";
    result.attempts = call->attempts;
    result.transparent_retries = call->retries;
    fl_io_timer_clear(channel->io, &call->timer);
    fl_metric_add(channel->calls[result.status], 1);
    uint64_t now_ms = fl_call_measure_end(call, result.status) / 1000;
    call->events.on_end(call->arg, &result);
    call_free(call);
    if (fl_list_empty(&channel->loop_data.calls)) fl_idle_quiet(channel, now_ms);
}

void fl_call_finish(struct fl_call *call) {
    FL_ASSERT(call->state == FL_CALL_ENDING && call->decided);
    conclude(call);
}

int fl_call_http_status(struct fl_call *call) { return representative(call)->reply.http_status; }

void fl_call_end_if_over(struct fl_call *call) {
    if (call->open > 0 || !(call->decided || (call->last && call->held.len == 0))) return;
    conclude(call);
}

static void end_later(struct fl_call *call) {
    fl_sm_move(&call->state, moves, FL_CALL_ENDING);
    fl_list_remove(&call->link);
    fl_list_push(&call->channel->loop_data.ending, &call->link);
    fl_channel_wake(call->channel);
}

static void give_up_attempt(struct fl_attempt *attempt, const struct fl_error *why) {
    if (attempt->state == FL_ATTEMPT_WAITING) fl_channel_unqueue(attempt->call->channel, attempt);
    if (attempt->state == FL_ATTEMPT_SENT)
        fl_attempt_cancel(attempt, why);
    else if (attempt->state != FL_ATTEMPT_OVER)
        fl_attempt_move(attempt, FL_ATTEMPT_OVER);
}

void fl_call_give_up(struct fl_call *call, enum fl_status status, const struct fl_error *why) {
    if (call->decided) return;
    call->decided = true;
    call->status = status;
    keep_why(call, why);
    if (call->state == FL_CALL_INBOX) return; /* fl_call_begin follows */
    fl_list_remove(&call->resume);
    fl_io_timer_clear(call->channel->io, &call->again);
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a))
        give_up_attempt(a, why);
    if (call->open == 0) end_later(call); /* else fl_call_on_over follows */
}

bool fl_call_is_alive(struct fl_call *call) {
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a)) {
        if (a->state != FL_ATTEMPT_OVER) return true;
    }
    return false;
}

void fl_call_lose(struct fl_call *call, struct fl_attempt *attempt, enum fl_status status,
                  const struct fl_error *why) {
    if (attempt->state == FL_ATTEMPT_WAITING) fl_channel_unqueue(call->channel, attempt);
    fl_attempt_move(attempt, FL_ATTEMPT_OVER);
    if (call->config && fl_call_tries_again(call, attempt, status)) return;
    if (!fl_call_is_alive(call)) fl_call_give_up(call, status, why);
}

/* --- what attempts tell --- */

void fl_call_commit(struct fl_call *call, struct fl_attempt *attempt) {
    if (call->committed) return;
    call->committed = attempt;
    fl_outbox_drop(&call->outbox, attempt->sent);
    if (!call->config) return; /* there never was another one */
    struct fl_error why;
    fl_fail(&why, FL_ECANCELLED, "another attempt answered");
    fl_io_timer_clear(call->channel->io, &call->again);
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a)) {
        if (a != attempt) give_up_attempt(a, &why);
    }
}

void fl_call_on_answer(struct fl_call *call, struct fl_attempt *attempt) {
    fl_call_commit(call, attempt);
    if (call->events.on_headers) call->events.on_headers(call->arg, call, &attempt->reply.headers);
}

/* Transparent retries of gRFC A6: what never left this side, without a bound; what a server
 * refused, once. What a GOAWAY leaves unprocessed A6 would repeat once too: here so often that a
 * rolling update is not seen, and never on the same connection. */
static bool may_repeat(struct fl_call *call, const struct fl_attempt *attempt, int code) {
    if (!attempt->left) return true;
    if (code == FL_ESTREAM_REFUSED) return call->refusals++ == 0;
    return call->repeats++ < REPEATS_MAX;
}

static bool repeats(struct fl_call *call, const struct fl_attempt *attempt, int code) {
    return !call->committed && !fl_reply_heard(&attempt->reply) &&
           call->protocol->repeats(call, code) && may_repeat(call, attempt, code);
}

/* The policy goes on with the call after this end of an attempt. */
static bool tries_again(struct fl_call *call, struct fl_attempt *attempt,
                        const struct fl_error *why, uint32_t h2_code) {
    struct fl_call_result result;
    struct fl_error cause;
    if (!call->config) return false;
    fl_reply_result(&attempt->reply, why, h2_code, &cause, &result);
    return fl_call_tries_again(call, attempt, result.status);
}

void fl_call_on_over(struct fl_call *call, struct fl_attempt *attempt, const struct fl_error *why,
                     uint32_t h2_code) {
    call->open--;
    bool matters = !call->decided && (!call->committed || call->committed == attempt);
    if (matters && repeats(call, attempt, why->code)) {
        fl_attempt_renew(attempt);
        call->retries++;
        fl_channel_resubmit(call->channel, attempt);
        return;
    }
    if (matters && tries_again(call, attempt, why, h2_code)) return;
    if (matters) {
        fl_call_commit(call, attempt);
        call->last = attempt;
        call->h2_code = h2_code;
        keep_why(call, why);
    }
    fl_call_end_if_over(call);
}

/* --- the start --- */

static void deadline(struct fl_timer *timer) {
    struct fl_call *call = FL_CONTAINER(timer, struct fl_call, timer);
    struct fl_error why;
    unsigned long long ms = call->timeout_ms;
    if (call->open > 0) {
        fl_fail(&why, FL_EDEADLINE, "%llu ms were over before %s answered", ms,
                representative(call)->sub->peer);
    } else if (!fl_call_is_alive(call)) {
        fl_fail(&why, FL_EDEADLINE, "%llu ms were over before another attempt; the last was at %s",
                ms, representative(call)->sub ? representative(call)->sub->peer : "no endpoint");
    } else {
        fl_channel_refresh(call->channel);
        const struct fl_error *cause = fl_kept_error_peek(&call->channel->loop_data.cause);
        fl_fail(&why, FL_EDEADLINE, "%llu ms were over while waiting: %s (%s)", ms, cause->detail,
                fl_error_name(cause->code));
    }
    fl_call_give_up(call, FL_STATUS_DEADLINE_EXCEEDED, &why);
}

static int start_deadline(struct fl_call *call) {
    struct fl_io *io = call->channel->io;
    if (call->timeout_ms == 0) return 0;
    if (fl_io_timer_init(io, &call->timer, deadline) != 0) return FL_ENOMEM;
    call->deadline_ms = call->began_us / 1000 + call->timeout_ms;
    fl_io_timer_set(io, &call->timer, call->deadline_ms);
    return 0;
}

void fl_call_begin(struct fl_call *call) {
    struct fl_channel *channel = call->channel;
    if (call->decided) { /* cancelled on its way, or too large */
        end_later(call);
        return;
    }
    fl_sm_move(&call->state, moves, FL_CALL_RUNNING);
    call->began_us = fl_io_now_us(channel->io);
    if (call->protocol->grpc)
        call->metrics = fl_call_metrics_get(&channel->loop_data.measured, call->path);
    fl_idle_leave(channel);
    fl_list_push(&channel->loop_data.calls, &call->link);
    if (start_deadline(call) != 0 || (call->config && fl_call_start_policy(call) != 0)) {
        struct fl_error err;
        fl_fail_nomem(&err);
        fl_call_give_up(call, FL_STATUS_RESOURCE_EXHAUSTED, &err);
        return;
    }
    fl_channel_submit(channel, &call->first);
}

/* "/package.Service/Method" in visible ASCII. */
static bool method_fits(const char *method) {
    if (!method || method[0] != '/') return false;
    size_t n = 1;
    while (method[n] > ' ' && method[n] <= '~' && n <= METHOD_MAX) n++;
    return n > 1 && n <= METHOD_MAX && !method[n];
}

static int check_trace(const struct fl_call_options *options, struct fl_error *err) {
    struct fl_str parent = fl_str_of(options->traceparent), state = fl_str_of(options->tracestate);
    if (parent.p && !fl_trace_parent_fits(parent))
        return fl_fail(err, FL_EUSAGE, "traceparent is not of version 00 of W3C trace context");
    if (state.p && (!parent.p || !fl_trace_state_fits(state)))
        return fl_fail(err, FL_EUSAGE, "tracestate goes with a traceparent, at most %zu bytes",
                       FL_TRACE_STATE_LEN_MAX);
    if (!parent.p) return 0;
    for (size_t i = 0; i < options->metadata.count; i++) {
        struct fl_str name = fl_str_of(options->metadata.list[i].name);
        if (fl_str_eq(name, FL_STR("traceparent")) || fl_str_eq(name, FL_STR("tracestate")))
            return fl_fail(err, FL_EUSAGE, "metadata \"%s\" beside the option traceparent",
                           options->metadata.list[i].name);
    }
    return 0;
}

int fl_call_check(const struct fl_channel *channel, const struct fl_handle *endpoint,
                  struct fl_error *err) {
    if (atomic_load(&channel->shared_data.closing))
        return fl_fail(err, FL_EUSAGE, "the channel was closed");
    if (endpoint && endpoint->channel != channel)
        return fl_fail(err, FL_EUSAGE, "%s is an endpoint of another channel",
                       fl_handle_peer(endpoint));
    return 0;
}

static int check(const struct fl_channel *channel, const char *method,
                 const struct fl_call_options *options, fl_call_cb *on_end, struct fl_error *err) {
    if (!method_fits(method))
        return fl_fail(err, FL_EUSAGE, "a method is written /package.Service/Method, not \"%s\"",
                       method ? method : "");
    if (!on_end) return fl_fail(err, FL_EUSAGE, "a call needs a callback");
    if (options->compression > FL_COMPRESSION_DEFLATE)
        return fl_fail(err, FL_EUSAGE, "there is no such compression");
    if (options->wait_for_ready > FL_WAIT_NO)
        return fl_fail(err, FL_EUSAGE, "wait_for_ready is none of enum fl_wait_for_ready");
    if (options->credentials && !channel->credentials &&
        !channel->options.allow_cleartext_credentials)
        return fl_fail(err, FL_EUSAGE,
                       "credentials are not sent over cleartext; the option "
                       "allow_cleartext_credentials permits it");
    int rc = fl_call_check(channel, options->endpoint, err);
    if (rc == 0) rc = check_trace(options, err);
    return rc == 0 ? fl_metadata_check(&options->metadata, err) : rc;
}

/* The first that is given of call, channel and default; the config's goes before the default and
 * cannot be exceeded. */
static uint32_t limit(uint32_t of_call, uint32_t of_channel, bool limits, uint32_t of_config,
                      uint32_t otherwise) {
    uint32_t given = of_call ? of_call : of_channel;
    if (limits) return given ? FL_MIN(given, of_config) : of_config;
    return given ? given : otherwise;
}

/* What the options, the service config and the channel say together. */
static void configure(struct fl_call *call, const struct fl_call_options *options) {
    static const struct fl_method_config none;
    const struct fl_channel_options *defaults = &call->channel->options;
    if (call->protocol->grpc)
        call->config = fl_service_config_method(call->channel->service_config, call->path);
    const struct fl_method_config *config = call->config ? call->config : &none;
    call->receive_bytes_max =
        limit(options->receive_bytes_max, defaults->receive_bytes_max, config->limits_response,
              config->response_bytes_max, RECEIVE_BYTES_MAX);
    call->send_bytes_max = limit(options->send_bytes_max, defaults->send_bytes_max,
                                 config->limits_request, config->request_bytes_max, UINT32_MAX);
    call->compression = options->compression ? options->compression : defaults->compression;
    call->wait_for_ready = options->wait_for_ready == FL_WAIT_DEFAULT
                               ? config->wait_for_ready
                               : options->wait_for_ready == FL_WAIT_YES;
    call->timeout_ms = options->timeout_ms;
    if (config->timeout_ms && (!call->timeout_ms || config->timeout_ms < call->timeout_ms))
        call->timeout_ms = config->timeout_ms;
    call->credentials = options->credentials;
    call->credentials_arg = options->credentials_arg;
}

/* Copies a text behind the last one; p stays NULL for what is not there. */
static struct fl_str keep(char **at, struct fl_str text) {
    if (!text.p) return text;
    char *copy = *at;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *at += text.n + 1;
    return fl_str_n(copy, text.n);
}

struct fl_call *fl_call_new(struct fl_channel *channel, const struct fl_protocol *protocol,
                            const char *method, const struct fl_call_options *options, size_t extra,
                            char **rest) {
    struct fl_str path = fl_str_of(method);
    struct fl_str parent = fl_str_of(options->traceparent), state = fl_str_of(options->tracestate);
    size_t count = options->metadata.count;
    size_t metadata_bytes = fl_metadata_wire_bytes(&options->metadata, !protocol->grpc);
    struct fl_call *call = fl_alloc(sizeof(*call) + count * sizeof(struct fl_http_header) +
                                    metadata_bytes + path.n + parent.n + state.n + 3 + extra);
    if (!call) return NULL;
    char *at = (char *)(call->metadata + count);
    *call = (struct fl_call){
        .channel = channel,
        .protocol = protocol,
        .state = FL_CALL_INBOX,
        .tries = 1,
        .endpoint = options->endpoint ? fl_handle_ref(options->endpoint) : NULL,
        .metadata_count = count,
    };
    fl_list_init(&call->link);
    fl_list_init(&call->resume);
    fl_list_init(&call->others);
    fl_metadata_encode(&options->metadata, !protocol->grpc, call->metadata, at);
    at += metadata_bytes;
    call->path = keep(&at, path);
    call->traceparent = keep(&at, parent);
    call->tracestate = keep(&at, state);
    configure(call, options);
    *rest = at;
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
    fl_handle_unref(call->endpoint);
    fl_free(call->why);
    fl_free(call);
    fl_metric_add(channel->full, 1);
    return fl_fail(err, FL_EFULL, "%u calls wait for the channel's loop already",
                   (unsigned)channel->options.queued_calls_max);
}

int fl_call_launch(struct fl_call *call, struct fl_call **out, struct fl_error *err) {
    struct fl_channel *channel = call->channel;
    fl_attempt_init(&call->first, call);
    if (out) *out = call; /* before the loop has it: its callback may come at once */
    if (fl_io_on_thread(channel->io)) {
        fl_call_begin(call);
        return 0;
    }
    int rc = start_from_elsewhere(channel, call, err);
    if (rc != 0 && out) *out = NULL;
    return rc;
}

static const struct fl_call_options no_options;

/* Not yet begun: its callback comes from the loop as every other. */
static void refuse_large(struct fl_call *call, size_t len) {
    struct fl_error why;
    fl_fail(&why, FL_ETOO_LARGE, "a request of %zu bytes, at most %u", len,
            (unsigned)call->send_bytes_max);
    fl_call_give_up(call, FL_STATUS_RESOURCE_EXHAUSTED, &why);
}

int fl_call_unary(struct fl_channel *channel, const char *method, const void *request, size_t len,
                  const struct fl_call_options *options, fl_call_cb *cb, void *arg,
                  struct fl_call **out, struct fl_error *err) {
    char *bytes;
    if (!options) options = &no_options;
    if (out) *out = NULL;
    if (len > UINT32_MAX - FL_GRPC_PREFIX)
        return fl_fail(err, FL_EUSAGE, "a request of %zu bytes does not fit in a message", len);
    int rc = check(channel, method, options, cb, err);
    if (rc != 0) return rc;
    struct fl_frame frame;
    enum fl_compression compression =
        options->compression ? options->compression : channel->options.compression;
    if (fl_frame_init(&frame, compression, fl_str_n(request, len)) != 0) return fl_fail_nomem(err);
    struct fl_call *call =
        fl_call_new(channel, &fl_protocol_grpc, method, options, fl_frame_len(&frame), &bytes);
    if (!call) {
        fl_frame_deinit(&frame);
        return fl_fail_nomem(err);
    }
    call->events.on_end = cb;
    call->arg = arg;
    memcpy(bytes, frame.prefix, FL_GRPC_PREFIX);
    if (frame.body.n > 0) memcpy(bytes + FL_GRPC_PREFIX, frame.body.p, frame.body.n);
    fl_outbox_init_fixed(&call->outbox, fl_str_n(bytes, fl_frame_len(&frame)));
    call->messages = 1;
    fl_frame_deinit(&frame);
    if (len > call->send_bytes_max) refuse_large(call, len);
    return fl_call_launch(call, out, err);
}

int fl_call_start(struct fl_channel *channel, const char *method,
                  const struct fl_call_options *options, const struct fl_call_events *events,
                  void *arg, struct fl_call **out, struct fl_error *err) {
    char *rest;
    if (!options) options = &no_options;
    if (out) *out = NULL;
    int rc = check(channel, method, options, events->on_end, err);
    if (rc != 0) return rc;
    struct fl_call *call = fl_call_new(channel, &fl_protocol_grpc, method, options, 0, &rest);
    if (!call) return fl_fail_nomem(err);
    call->streaming = true;
    call->events = *events;
    call->arg = arg;
    fl_buf_init(&call->held, SIZE_MAX); /* the stream's window bounds it */
    fl_outbox_init(&call->outbox);
    return fl_call_launch(call, out, err);
}

void fl_call_cancel(struct fl_call *call) {
    struct fl_error why;
    fl_fail(&why, FL_ECANCELLED, "cancelled by the caller");
    fl_call_give_up(call, FL_STATUS_CANCELLED, &why);
}
