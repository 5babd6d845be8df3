/* attempt.c - the stream of one try: its head, its bytes in both directions, its end.
 *
 * What the server says goes into the reply and to the call (fl_call_on_…), which decides. Every end
 * is the stream's on_close, also of what this side cancels, so it comes exactly once. */
#include "channel/attempt.h"

#include "base/sm.h"
#include "channel/call.h"
#include "channel/head.h"
#include "channel/protocol.h"
#include "channel/state.h"

#define PIECE_MAX   ((size_t)256 * 1024) /* of the outbox, given to the stream at a time */
#define H2_NO_ERROR 0u                   /* RFC 9113 section 7 */
#define H2_CANCEL   8u

static const uint32_t moves[] = {
    [FL_ATTEMPT_NEW] = FL_TO(FL_ATTEMPT_WAITING) | FL_TO(FL_ATTEMPT_SENT) | FL_TO(FL_ATTEMPT_OVER),
    [FL_ATTEMPT_WAITING] = FL_TO(FL_ATTEMPT_SENT) | FL_TO(FL_ATTEMPT_OVER),
    [FL_ATTEMPT_SENT] = FL_TO(FL_ATTEMPT_OVER),
    [FL_ATTEMPT_OVER] = FL_TO(FL_ATTEMPT_NEW),
};

void fl_attempt_move(struct fl_attempt *attempt, enum fl_attempt_state to) {
    fl_sm_move(&attempt->state, moves, to);
}

static void init_reply(struct fl_attempt *attempt) {
    const struct fl_call *call = attempt->call;
    fl_reply_init(&attempt->reply, call->receive_bytes_max, !call->streaming);
}

void fl_attempt_init(struct fl_attempt *attempt, struct fl_call *call) {
    fl_list_init(&attempt->link);
    fl_list_init(&attempt->sibling);
    attempt->call = call;
    attempt->state = FL_ATTEMPT_NEW;
    attempt->end_sent = attempt->left = false;
    attempt->sub = NULL;
    attempt->stream = NULL;
    attempt->sent = attempt->straight = 0;
    init_reply(attempt);
}

void fl_attempt_deinit(struct fl_attempt *attempt) {
    FL_ASSERT(!attempt->stream);
    fl_reply_deinit(&attempt->reply);
    fl_subchannel_unref(attempt->sub);
}

void fl_attempt_renew(struct fl_attempt *attempt) {
    fl_attempt_move(attempt, FL_ATTEMPT_NEW);
    fl_reply_deinit(&attempt->reply);
    init_reply(attempt);
}

/* --- from the server --- */

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    FL_UNUSED(stream);
    struct fl_attempt *attempt = arg;
    struct fl_error err;
    attempt->sub->hasty = false; /* the connection was of use, however soon it ends */
    if (attempt->call->protocol->take_head(&attempt->reply, head, &err) != 0)
        fl_attempt_cancel(attempt, &err);
    else if (fl_reply_commits(&attempt->reply))
        fl_call_on_answer(attempt->call, attempt);
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_attempt *attempt = arg;
    if (attempt->call->streaming) {
        fl_call_on_data(attempt->call, attempt, bytes);
        return;
    }
    fl_http_stream_consume(stream, bytes.n);
    struct fl_error err;
    if (attempt->call->protocol->take_data(&attempt->reply, bytes, &err) != 0)
        fl_attempt_cancel(attempt, &err);
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    FL_UNUSED(stream);
    struct fl_attempt *attempt = arg;
    struct fl_error err;
    if (attempt->call->protocol->take_trailers(&attempt->reply, trailers, &err) != 0)
        fl_attempt_cancel(attempt, &err);
}

/* The server's side is complete, and with it the call, whatever this side still wanted to say: a
 * server that has answered need not read on, so what is queued might stay so for ever. */
static void on_end(void *arg, struct fl_http_stream *stream) {
    static const struct fl_error ok;
    const struct fl_attempt *attempt = arg;
    if (!attempt->end_sent || fl_http_stream_queued(stream) > 0)
        fl_http_stream_reset(stream, H2_NO_ERROR, &ok);
}

static void on_writable(void *arg, struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    struct fl_attempt *attempt = arg;
    fl_attempt_write(attempt);
    if (attempt->call->streaming) fl_call_on_room(attempt->call, attempt);
}

/* How the endpoint did, for outlier detection: not what this side ended or no server processed. */
static void judge(struct fl_attempt *attempt, const struct fl_error *why) {
    switch (why->code) {
    case FL_ECANCELLED:
    case FL_ESHUTDOWN:
    case FL_ENOMEM:
    case FL_EGOAWAY:
    case FL_ESTREAM_REFUSED:
        return;
    default:
        break;
    }
    bool failed = why->code != FL_OK || attempt->reply.grpc_status != FL_STATUS_OK;
    fl_outlier_count(&attempt->sub->outlier, failed);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    struct fl_attempt *attempt = arg;
    attempt->left = fl_http_stream_has_left(stream);
    attempt->stream = NULL;
    attempt->sub->pick.active--;
    judge(attempt, why);
    fl_attempt_measure_end(attempt, why, h2_code);
    fl_list_remove(&attempt->link);
    fl_attempt_move(attempt, FL_ATTEMPT_OVER);
    fl_call_on_over(attempt->call, attempt, why, h2_code);
}

static const struct fl_http_stream_events events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_writable = on_writable,
    .on_close = on_close,
};

void fl_attempt_cancel(struct fl_attempt *attempt, const struct fl_error *why) {
    if (!attempt->stream) return;
    attempt->sub->hasty = false; /* that HTTP/1.1 ends with its connection is our doing */
    fl_http_stream_reset(attempt->stream, H2_CANCEL, why);
}

/* --- to the server --- */

/* False: the stream takes no more now. */
static bool write_piece(struct fl_attempt *attempt) {
    const struct fl_outbox *outbox = &attempt->call->outbox;
    struct fl_str rest = fl_outbox_from(outbox, attempt->sent);
    size_t n = FL_MIN(rest.n, PIECE_MAX);
    bool end = outbox->ended && n == rest.n;
    if (n == 0 && !end) return false;
    int rc = fl_http_stream_write(attempt->stream, fl_str_n(rest.p, n), end);
    if (rc == FL_ENOMEM) {
        struct fl_error err;
        fl_fail_nomem(&err);
        fl_attempt_cancel(attempt, &err);
    }
    if (rc != 0) return false; /* full: on_writable follows; ended: on_close does */
    attempt->sent += n;
    attempt->end_sent = end;
    return true;
}

void fl_attempt_write(struct fl_attempt *attempt) {
    const struct fl_attempt *committed = attempt->call->committed;
    if (!attempt->stream || (committed && committed != attempt)) return;
    while (!attempt->end_sent && write_piece(attempt)) {
    }
    if (attempt->call->streaming) fl_call_on_written(attempt->call, attempt);
}

uint64_t fl_attempt_now_us(const struct fl_attempt *attempt) {
    const struct fl_call *call = attempt->call;
    bool begins = attempt->state == FL_ATTEMPT_NEW && call->attempts == 0 && call->tries == 1;
    return begins ? call->began_us : fl_io_now_us(call->channel->io);
}

int fl_attempt_send(struct fl_attempt *attempt, struct fl_transport *transport,
                    struct fl_error *err) {
    struct fl_call *call = attempt->call;
    struct fl_head head;
    if (call->protocol->grpc && !transport->multiplexes)
        return fl_fail(err, FL_EPROTO, "gRPC needs HTTP/2, and %s speaks HTTP/1.1",
                       transport->sub->peer);
    attempt->began_us = fl_attempt_now_us(attempt);
    int rc = fl_head_init(&head, call, attempt->began_us / 1000, err);
    if (rc != 0) return rc;
    rc = fl_http_conn_request(transport->conn, &head.request, head.alone, &events, attempt,
                              &attempt->stream, err);
    bool alone = head.alone;
    fl_head_deinit(&head);
    if (rc != 0) return rc;
    fl_attempt_measure_start(attempt);
    if (attempt->state == FL_ATTEMPT_WAITING) fl_channel_unqueue(call->channel, attempt);
    fl_attempt_move(attempt, FL_ATTEMPT_SENT);
    fl_subchannel_ref(transport->sub);
    fl_subchannel_unref(attempt->sub);
    attempt->sub = transport->sub;
    attempt->sub->pick.active++;
    fl_list_push(&transport->attempts, &attempt->link);
    if (call->open == 0 && call->attempts > 0)
        call->between_us += attempt->began_us - call->ended_us;
    attempt->sent = attempt->straight = 0;
    attempt->end_sent = alone;
    call->open++;
    call->attempts++;
    fl_attempt_write(attempt);
    if (call->streaming) fl_call_on_room(call, attempt);
    return 0;
}
