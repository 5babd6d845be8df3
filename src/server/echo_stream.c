/* echo_stream.c - the streaming methods of the echo service, as grpc-go's example has them.
 *
 * A message that finds no room is kept, and the call is paused until it went: so a stream keeps at
 * most one message, whatever its client sends and does not read. */
#include "server/echo_stream.h"

#include "base/alloc.h"
#include "base/buf.h"

#define TIMES 10 /* of ServerStreamingEcho */

struct stream {
    struct fl_grpc_call *call;
    uint64_t *count;
    struct fl_buf kept;
    unsigned left; /* times that `kept` is still to be sent */
    bool ended;    /* then OK */
};

static void fail(struct stream *stream, int code) {
    fl_grpc_call_finish(stream->call, FL_STATUS_RESOURCE_EXHAUSTED, fl_str_of(fl_error_text(code)),
                        FL_HTTP_HEADERS_NONE);
}

static int keep(struct stream *stream, struct fl_str message) {
    fl_buf_truncate(&stream->kept, 0);
    int rc = fl_buf_append(&stream->kept, message);
    if (rc != 0) fail(stream, rc);
    return rc;
}

static void push(struct stream *stream) {
    int rc = 0;
    while (stream->left > 0 && rc == 0) {
        rc = fl_grpc_call_send(stream->call, fl_buf_str(&stream->kept));
        if (rc == 0) stream->left--;
    }
    if (rc == 0 && stream->ended) {
        ++*stream->count;
        fl_grpc_call_finish(stream->call, FL_STATUS_OK, FL_STR_NONE, FL_HTTP_HEADERS_NONE);
    } else if (rc == 0 || rc == FL_EFULL) {
        fl_grpc_call_pause(stream->call, rc == FL_EFULL);
    } else {
        fail(stream, rc);
    }
}

/* --- what all three have --- */

static void start(void *arg, struct fl_grpc_call *call, const struct fl_grpc_call_head *head) {
    FL_UNUSED(head);
    struct stream *stream = FL_NEW(struct stream);
    fl_grpc_call_attach(call, stream);
    if (!stream) {
        fl_grpc_call_finish(call, FL_STATUS_RESOURCE_EXHAUSTED, fl_str_of(fl_error_text(FL_ENOMEM)),
                            FL_HTTP_HEADERS_NONE);
        return;
    }
    stream->call = call;
    stream->count = arg;
    fl_buf_init(&stream->kept, SIZE_MAX); /* one message, which the server bounds */
}

static void writable(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(call);
    struct stream *stream = arg;
    if (stream->left > 0) push(stream);
}

static void closed(void *arg, struct fl_grpc_call *call, const struct fl_error *why) {
    FL_UNUSED(call);
    FL_UNUSED(why);
    struct stream *stream = arg;
    if (!stream) return;
    fl_buf_deinit(&stream->kept);
    fl_free(stream);
}

static void finish(void *arg, struct fl_grpc_call *call) {
    FL_UNUSED(call);
    struct stream *stream = arg;
    stream->ended = true;
    push(stream);
}

/* --- one of each --- */

static void keep_times(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(call);
    struct stream *stream = arg;
    if (keep(stream, message) == 0) stream->left = TIMES;
}

const struct fl_grpc_call_events fl_echo_server_streaming = {
    .on_start = start,
    .on_message = keep_times,
    .on_end = finish,
    .on_writable = writable,
    .on_close = closed,
};

static void keep_last(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(call);
    int rc = keep(arg, message);
    FL_UNUSED(rc); /* the call has ended with it */
}

static void answer_last(void *arg, struct fl_grpc_call *call) {
    struct stream *stream = arg;
    stream->left = 1;
    finish(stream, call);
}

const struct fl_grpc_call_events fl_echo_client_streaming = {
    .on_start = start,
    .on_message = keep_last,
    .on_end = answer_last,
    .on_writable = writable,
    .on_close = closed,
};

static void answer(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    struct stream *stream = arg;
    int rc = fl_grpc_call_send(call, message);
    if (rc == 0) return;
    if (rc != FL_EFULL) {
        fail(stream, rc);
    } else if (keep(stream, message) == 0) {
        stream->left = 1;
        fl_grpc_call_pause(call, true);
    }
}

const struct fl_grpc_call_events fl_echo_bidirectional = {
    .on_start = start,
    .on_message = answer,
    .on_end = finish,
    .on_writable = writable,
    .on_close = closed,
};
