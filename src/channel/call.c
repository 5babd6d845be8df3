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
#include "channel/state.h"

#define METHOD_MAX ((size_t)4096)

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
    fl_attempt_deinit(&call->first);
    fl_outbox_deinit(&call->outbox);
    fl_buf_deinit(&call->held);
    fl_free(call);
}

static void conclude(struct fl_call *call) {
    struct fl_channel *channel = call->channel;
    struct fl_attempt *attempt = call->last ? call->last : &call->first;
    struct fl_call_result result = {.response = NULL};
    struct fl_error cause;
    if (call->decided) {
        result.status = call->status;
        result.message = call->why.detail;
        result.why = &call->why;
    } else {
        fl_reply_result(&attempt->reply, &call->why, call->h2_code, &cause, &result);
    }
    result.peer = attempt->sub ? attempt->sub->peer : "";
    result.attempts = call->attempts;
    result.transparent_retries = call->retries;
    fl_io_timer_clear(channel->io, &call->timer);
    fl_metric_add(channel->calls[result.status], 1);
    call->events.on_end(call->arg, &result);
    call_free(call);
}

void fl_call_finish(struct fl_call *call) {
    FL_ASSERT(call->state == FL_CALL_ENDING && call->decided);
    conclude(call);
}

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
    call->why = *why;
    if (call->state == FL_CALL_INBOX) return; /* fl_call_begin follows */
    fl_list_remove(&call->resume);
    give_up_attempt(&call->first, why);
    if (call->open == 0) end_later(call); /* else fl_call_on_over follows */
}

/* --- what attempts tell --- */

void fl_call_commit(struct fl_call *call, struct fl_attempt *attempt) {
    if (call->committed) return;
    call->committed = attempt;
    fl_outbox_drop(&call->outbox, attempt->sent);
}

void fl_call_on_answer(struct fl_call *call, struct fl_attempt *attempt) {
    fl_call_commit(call, attempt);
    if (call->events.on_headers) call->events.on_headers(call->arg, call, &attempt->reply.headers);
}

static bool unprocessed(const struct fl_call *call, const struct fl_attempt *attempt, int code) {
    return !call->committed && !fl_reply_heard(&attempt->reply) &&
           (code == FL_EGOAWAY || code == FL_ESTREAM_REFUSED);
}

void fl_call_on_over(struct fl_call *call, struct fl_attempt *attempt, const struct fl_error *why,
                     uint32_t h2_code) {
    call->open--;
    if (!call->decided) {
        if (unprocessed(call, attempt, why->code)) {
            fl_attempt_renew(attempt);
            fl_channel_resubmit(call->channel, attempt, why);
            return;
        }
        call->last = attempt;
        call->h2_code = h2_code;
        if (why->code != FL_OK) call->why = *why;
    }
    fl_call_end_if_over(call);
}

/* --- the start --- */

static void deadline(struct fl_timer *timer) {
    struct fl_call *call = FL_CONTAINER(timer, struct fl_call, timer);
    struct fl_error why;
    if (call->open > 0) {
        fl_fail(&why, FL_EDEADLINE, "%u ms were over before %s answered",
                (unsigned)call->timeout_ms, call->first.sub->peer);
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
    fl_sm_move(&call->state, moves, FL_CALL_RUNNING);
    fl_list_push(&channel->loop_data.calls, &call->link);
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
    fl_channel_submit(channel, &call->first);
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

static int check(const struct fl_channel *channel, const char *method,
                 const struct fl_call_options *options, fl_call_cb *on_end, struct fl_error *err) {
    if (!method_fits(method))
        return fl_fail(err, FL_EUSAGE, "a method is written /package.Service/Method, not \"%s\"",
                       method ? method : "");
    if (!on_end) return fl_fail(err, FL_EUSAGE, "a call needs a callback");
    if (atomic_load(&channel->shared_data.closing))
        return fl_fail(err, FL_EUSAGE, "the channel was closed");
    return fl_metadata_check(&options->metadata, err);
}

/* A call with `extra` bytes behind its texts, which *rest points to. */
static struct fl_call *call_new(struct fl_channel *channel, const char *method,
                                const struct fl_call_options *options, size_t extra, char **rest) {
    struct fl_str path = fl_str_of(method);
    size_t count = options->metadata.count;
    size_t metadata_bytes = fl_metadata_wire_bytes(&options->metadata);
    struct fl_call *call = fl_alloc(sizeof(*call) + count * sizeof(struct fl_http_header) +
                                    metadata_bytes + path.n + extra);
    if (!call) return NULL;
    char *texts = (char *)(call->metadata + count);
    *call = (struct fl_call){
        .channel = channel,
        .state = FL_CALL_INBOX,
        .timeout_ms = options->timeout_ms,
        .wait_for_ready = options->wait_for_ready,
        .path = fl_str_n(texts + metadata_bytes, path.n),
        .metadata_count = count,
    };
    fl_list_init(&call->link);
    fl_list_init(&call->resume);
    fl_metadata_encode(&options->metadata, call->metadata, texts);
    memcpy(texts + metadata_bytes, path.p, path.n);
    *rest = texts + metadata_bytes + path.n;
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

/* The call is whole and holds no memory but its own. */
static int start(struct fl_call *call, struct fl_call **out, struct fl_error *err) {
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

int fl_call_unary(struct fl_channel *channel, const char *method, const void *request, size_t len,
                  const struct fl_call_options *options, fl_call_cb *cb, void *arg,
                  struct fl_call **out, struct fl_error *err) {
    char *frame;
    if (!options) options = &no_options;
    if (out) *out = NULL;
    if (len > UINT32_MAX - FL_GRPC_PREFIX)
        return fl_fail(err, FL_EUSAGE, "a request of %zu bytes does not fit in a message", len);
    int rc = check(channel, method, options, cb, err);
    if (rc != 0) return rc;
    struct fl_call *call = call_new(channel, method, options, FL_GRPC_PREFIX + len, &frame);
    if (!call) return fl_fail_nomem(err);
    call->events.on_end = cb;
    call->arg = arg;
    fl_grpc_prefix((uint32_t)len, (uint8_t *)frame);
    if (len > 0) memcpy(frame + FL_GRPC_PREFIX, request, len);
    fl_outbox_init_fixed(&call->outbox, fl_str_n(frame, FL_GRPC_PREFIX + len));
    return start(call, out, err);
}

int fl_call_start(struct fl_channel *channel, const char *method,
                  const struct fl_call_options *options, const struct fl_call_events *events,
                  void *arg, struct fl_call **out, struct fl_error *err) {
    char *rest;
    if (!options) options = &no_options;
    if (out) *out = NULL;
    int rc = check(channel, method, options, events->on_end, err);
    if (rc != 0) return rc;
    struct fl_call *call = call_new(channel, method, options, 0, &rest);
    if (!call) return fl_fail_nomem(err);
    call->streaming = true;
    call->events = *events;
    call->arg = arg;
    fl_buf_init(&call->held, SIZE_MAX);
    fl_outbox_init(&call->outbox);
    return start(call, out, err);
}

void fl_call_cancel(struct fl_call *call) {
    struct fl_error why;
    fl_fail(&why, FL_ECANCELLED, "cancelled by the caller");
    fl_call_give_up(call, FL_STATUS_CANCELLED, &why);
}
