/* call_stream.c - a streaming call's messages, both ways, and how each side holds the other back.
 *
 * To the server: a message goes into the call's outbox, from there to the stream of each attempt;
 * once the call is committed and nothing waits, straight to the stream. What is queued in both is
 * bounded. From the server: messages are given out as they arrive. While the owner pauses, what
 * still comes is held and not given back to the stream's window, so that the server stops after one
 * window, and other streams of the connection do not; what is held is given out in a turn of its
 * own, and the end of the call waits for it. */
#include "channel/call.h"
#include "channel/state.h"
#include "wire/grpc_frame.h"

/* --- to the server --- */

/* The attempt that is furthest: what it has not sent is what waits. */
static struct fl_attempt *leading(struct fl_call *call) {
    struct fl_attempt *best = call->committed ? call->committed : &call->first;
    if (call->committed || fl_list_empty(&call->others)) return best;
    for (struct fl_attempt *a = best; a; a = fl_call_next_attempt(call, a)) {
        if (a->stream && (!best->stream || a->sent > best->sent)) best = a;
    }
    return best;
}

static void write_all(struct fl_call *call) {
    for (struct fl_attempt *a = &call->first; a; a = fl_call_next_attempt(call, a))
        fl_attempt_write(a);
}

static size_t unsent(const struct fl_call *call, const struct fl_attempt *attempt) {
    uint64_t at = attempt->state == FL_ATTEMPT_SENT ? attempt->sent : call->outbox.start;
    return fl_outbox_from(&call->outbox, at).n;
}

static size_t queued(const struct fl_call *call, const struct fl_attempt *attempt) {
    return unsent(call, attempt) + (attempt->stream ? fl_http_stream_queued(attempt->stream) : 0);
}

void fl_call_on_written(struct fl_call *call, struct fl_attempt *attempt) {
    if (call->committed == attempt)
        fl_outbox_drop(&call->outbox, attempt->sent);
    else if (!call->committed && attempt->sent > 0 && fl_outbox_overfull(&call->outbox))
        fl_call_commit(call, attempt);
}

void fl_call_on_room(struct fl_call *call, struct fl_attempt *attempt) {
    if (!call->full || call->decided || attempt != leading(call)) return;
    if (queued(call, attempt) >= FL_CALL_QUEUE_BYTES_MAX / 2) return;
    call->full = false;
    if (call->events.on_writable) call->events.on_writable(call->arg, call);
}

/* Past the outbox, if nothing waits in it and nothing need be kept. False: not this time. */
static bool write_straight(struct fl_call *call, const struct fl_frame *frame) {
    struct fl_attempt *attempt = call->committed;
    if (!attempt || !attempt->stream || unsent(call, attempt) > 0) return false;
    const struct fl_str parts[] = {fl_str_n(frame->prefix, FL_GRPC_PREFIX), frame->body};
    if (FL_HTTP_QUEUE_MAX - fl_http_stream_queued(attempt->stream) < fl_frame_len(frame))
        return false;
    if (fl_http_stream_write_parts(attempt->stream, parts, FL_COUNT(parts), false) != 0)
        return false;
    attempt->straight += fl_frame_len(frame);
    return true;
}

int fl_call_write(struct fl_call *call, const void *message, size_t len) {
    if (!call->streaming || len > UINT32_MAX) return FL_EUSAGE;
    if (call->decided || call->last || call->outbox.ended) return FL_ESHUTDOWN;
    if (len > call->send_bytes_max) return FL_ETOO_LARGE;
    if (queued(call, leading(call)) >= FL_CALL_QUEUE_BYTES_MAX) {
        call->full = true;
        return FL_EFULL;
    }
    struct fl_frame frame;
    int rc = fl_frame_init(&frame, call->compression, fl_str_n(message, len));
    if (rc != 0) return rc;
    if (!write_straight(call, &frame)) {
        rc = fl_outbox_add(&call->outbox, fl_str_n(frame.prefix, FL_GRPC_PREFIX), frame.body);
        if (rc == 0) write_all(call);
    }
    if (rc == 0) call->messages++;
    fl_frame_deinit(&frame);
    return rc;
}

void fl_call_write_end(struct fl_call *call) {
    if (call->outbox.ended) return;
    call->outbox.ended = true;
    write_all(call);
}

/* --- from the server --- */

/* Gives messages out until they are used up, the owner pauses or the call ends. */
static void give_out(struct fl_call *call, struct fl_attempt *attempt, struct fl_str *bytes) {
    struct fl_error err;
    struct fl_str message;
    int rc = 0;
    while (!call->paused && !call->decided &&
           (rc = fl_reply_next(&attempt->reply, bytes, &message, &err)) == 1) {
        if (call->events.on_message) call->events.on_message(call->arg, call, message.p, message.n);
    }
    if (rc < 0) fl_call_give_up(call, fl_status_of_error(rc), &err);
}

void fl_call_on_data(struct fl_call *call, struct fl_attempt *attempt, struct fl_str bytes) {
    size_t before = bytes.n;
    /* Also behind a head with a status, which was not all there is after all. */
    if (attempt->reply.grpc) fl_call_commit(call, attempt);
    if (call->held.len == 0) give_out(call, attempt, &bytes);
    fl_http_stream_consume(attempt->stream, before - bytes.n);
    if (bytes.n == 0 || call->decided) return;
    if (fl_buf_append(&call->held, bytes) == 0) {
        fl_http_stream_hold(attempt->stream, bytes.n);
        return;
    }
    struct fl_error err;
    fl_fail_nomem(&err);
    fl_call_give_up(call, FL_STATUS_RESOURCE_EXHAUSTED, &err);
}

static void resume(struct fl_call *call) {
    struct fl_attempt *attempt = call->committed;
    struct fl_str rest = fl_buf_str(&call->held);
    size_t before = rest.n;
    give_out(call, attempt, &rest);
    if (call->decided) return; /* its end is under way */
    fl_buf_consume(&call->held, before - rest.n);
    fl_buf_release(&call->held);
    if (attempt->stream)
        fl_http_stream_consume(attempt->stream, before - rest.n);
    else
        fl_call_end_if_over(call);
}

void fl_channel_resume(struct fl_channel *channel) {
    struct fl_list *resuming = &channel->loop_data.resuming;
    while (!fl_list_empty(resuming)) {
        struct fl_list *item = resuming->next;
        fl_list_remove(item);
        resume(FL_CONTAINER(item, struct fl_call, resume));
    }
}

void fl_call_pause(struct fl_call *call, bool paused) {
    call->paused = paused;
    if (paused || call->held.len == 0 || call->decided || !fl_list_empty(&call->resume)) return;
    fl_list_push(&call->channel->loop_data.resuming, &call->resume);
    fl_channel_pump(call->channel);
}
