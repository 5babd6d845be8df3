/* h2_send.c - frames to the peer: heads, bodies, and the pump that moves them to the sock.
 *
 * Bodies are not copied into nghttp2: it asks read_body how much there is, makes the frame's head
 * and hands both to send_body, which writes from the stream's queue, or from the memory of a caller
 * who is writing right now. Large frames are gathered in a batch and handed to the sock together,
 * which can send them from where they lie; no memory of a stream's goes while the pump runs. The
 * sock's bound is kept: at FL_SOCK_QUEUE_HIGH the pump stops, and the sock's on_writable starts the
 * next turn. */
#include "http/h2.h"

#include "base/alloc.h"

#define NV_FEW       32 /* heads up to this many fields need no memory */
#define FRAME_HEAD   9
#define FRAME_LARGE  ((size_t)4096)
#define BATCH_FRAMES 16 /* of the usual 16 KiB: FL_SOCK_QUEUE_HIGH */

/* A head as nghttp2 wants it. */
struct nv_list {
    nghttp2_nv few[NV_FEW];
    nghttp2_nv *list;
    size_t count;
};

static int nv_init(struct nv_list *nv, size_t count_max) {
    nv->count = 0;
    nv->list = nv->few;
    if (count_max <= NV_FEW) return 0;
    nv->list = fl_calloc(count_max, sizeof *nv->list);
    return nv->list ? 0 : FL_ENOMEM;
}

static void nv_deinit(struct nv_list *nv) {
    if (nv->list != nv->few) fl_free(nv->list);
}

static nghttp2_nv nv_of(struct fl_str name, struct fl_str value, uint8_t flags) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
                        value.n, flags};
}

/* A pseudo header: the name is a literal. */
static void nv_pseudo(struct nv_list *nv, struct fl_str name, struct fl_str value) {
    nv->list[nv->count++] = nv_of(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

static bool is_secret(struct fl_str name) {
    switch (name.n) {
    case sizeof("cookie") - 1:
        return fl_str_eq(name, FL_STR("cookie"));
    case sizeof("set-cookie") - 1:
        return fl_str_eq(name, FL_STR("set-cookie"));
    case sizeof("authorization") - 1:
        return fl_str_eq(name, FL_STR("authorization"));
    case sizeof("proxy-authorization") - 1:
        return fl_str_eq(name, FL_STR("proxy-authorization"));
    default:
        return false;
    }
}

/* Literals need no copy while the frame waits to be sent. */
static void nv_literals(struct nv_list *nv, struct fl_http_headers headers, size_t count) {
    for (size_t i = 0; i < count; i++)
        nv->list[nv->count++] = nv_of(headers.list[i].name, headers.list[i].value,
                                      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

/* Of a table that is shared with others' requests a secret could be guessed bit by bit, so that
 * neither side, nor anybody who forwards it, may put it there (RFC 7541 section 7.1.3). Of
 * `headers` from `first` on the last `secrets`, and those that are secret by their name. */
static void nv_headers(struct nv_list *nv, struct fl_http_headers headers, size_t first,
                       size_t secrets) {
    for (size_t i = first; i < headers.count; i++) {
        const struct fl_http_header *header = &headers.list[i];
        bool secret = i + secrets >= headers.count || is_secret(header->name);
        nv->list[nv->count++] = nv_of(header->name, header->value,
                                      secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
    }
}

/* --- bodies --- */

static int submit_trailers(struct fl_h2 *h2, struct fl_http_stream *stream) {
    struct fl_http_headers trailers = fl_fields_list(&stream->trailers);
    struct nv_list nv;
    if (nv_init(&nv, trailers.count) != 0) return NGHTTP2_ERR_NOMEM;
    nv_headers(&nv, trailers, 0, 0);
    int rc = nghttp2_submit_trailer(h2->session, stream->now.id, nv.list, nv.count);
    nv_deinit(&nv);
    return rc;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *arg) {
    FL_UNUSED(session), FL_UNUSED(buf), FL_UNUSED(source);
    struct fl_h2 *h2 = arg;
    struct fl_http_stream *stream = fl_h2_stream(h2, id);
    if (!stream) return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM is on the way */
    size_t all = fl_http_stream_queued(stream), n = FL_MIN(all, length);
    bool last = n == all && stream->now.local_end;
    if (n == 0 && !last) {
        stream->now.deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!last) return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->now.has_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(h2, stream) != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

/* Frames that go to the sock together: heads, and bodies where they lie. */
struct fl_h2_batch {
    uint8_t heads[BATCH_FRAMES][FRAME_HEAD];
    struct fl_str parts[3 * BATCH_FRAMES]; /* of each: head, from the queue, from a caller */
    size_t frames, count, bytes;
};

static void batch_add(struct fl_h2_batch *batch, struct fl_str part) {
    if (part.n == 0) return;
    batch->parts[batch->count++] = part;
    batch->bytes += part.n;
}

static int batch_send(const struct fl_http_conn *conn) {
    struct fl_h2_batch *batch = conn->h2->batch;
    if (batch->count == 0) return 0;
    int rc = fl_sock_write_parts(conn->io, conn->sock, batch->parts, batch->count);
    batch->frames = batch->count = batch->bytes = 0;
    return rc;
}

static bool sock_full(const struct fl_http_conn *conn) {
    return fl_sock_queued(conn->io, conn->sock) >= FL_SOCK_QUEUE_HIGH;
}

/* For one more frame; a batch that is all the sock may be left with goes first. */
static bool has_room(const struct fl_http_conn *conn) {
    const struct fl_h2_batch *batch = conn->h2->batch;
    size_t queued = fl_sock_queued(conn->io, conn->sock);
    if (queued + batch->bytes < FL_SOCK_QUEUE_HIGH && batch->frames < BATCH_FRAMES) return true;
    return batch_send(conn) == 0 && !sock_full(conn);
}

/* A frame whose body is the next `length` bytes of the stream. */
static int copy(const struct fl_http_stream *stream, const uint8_t *head, size_t length) {
    const struct fl_http_conn *conn = stream->conn;
    int rc = batch_send(conn);
    if (rc == 0) rc = fl_sock_write(conn->io, conn->sock, fl_str_n(head, FRAME_HEAD));
    if (rc != 0) return rc;
    return fl_sock_write(conn->io, conn->sock, fl_str_n(fl_buf_str(&stream->out).p, length));
}

static void gather(const struct fl_http_stream *stream, const uint8_t *head, size_t length) {
    struct fl_h2_batch *batch = stream->conn->h2->batch;
    size_t queued = FL_MIN(stream->out.len, length);
    memcpy(batch->heads[batch->frames], head, FRAME_HEAD);
    batch_add(batch, fl_str_n(batch->heads[batch->frames++], FRAME_HEAD));
    batch_add(batch, fl_str_n(fl_buf_str(&stream->out).p, queued));
    batch_add(batch, fl_str_n(stream->now.lent.p, length - queued));
}

static int send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd,
                     size_t length, nghttp2_data_source *source, void *arg) {
    FL_UNUSED(session), FL_UNUSED(source);
    struct fl_h2 *h2 = arg;
    struct fl_http_conn *conn = h2->conn;
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (!has_room(conn)) return NGHTTP2_ERR_WOULDBLOCK;
    if (length >= FRAME_LARGE || stream->now.lent.n > 0)
        gather(stream, framehd, length);
    else if (copy(stream, framehd, length) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    fl_http_stream_sent(stream, length);
    return 0;
}

static const nghttp2_data_provider body_provider = {.read_callback = read_body};

int fl_h2_more(struct fl_http_stream *stream) {
    if (!stream->now.deferred) return 0;
    int rc = nghttp2_session_resume_data(stream->conn->h2->session, stream->now.id);
    if (nghttp2_is_fatal(rc)) return FL_ENOMEM;
    stream->now.deferred = false;
    return 0;
}

/* --- heads --- */

int fl_h2_request(struct fl_http_stream *stream, const struct fl_http_request *head,
                  struct fl_error *err) {
    struct fl_h2 *h2 = stream->conn->h2;
    struct nv_list nv;
    if (nv_init(&nv, 4 + head->headers.count) != 0) return fl_fail_nomem(err);
    nv_pseudo(&nv, FL_STR(":method"), head->method);
    nv_pseudo(&nv, FL_STR(":scheme"), head->scheme);
    nv_pseudo(&nv, FL_STR(":authority"), head->authority);
    nv_pseudo(&nv, FL_STR(":path"), head->path);
    nv_literals(&nv, head->headers, head->literals);
    nv_headers(&nv, head->headers, head->literals, head->secrets);
    int32_t id = nghttp2_submit_request(h2->session, NULL, nv.list, nv.count,
                                        stream->now.local_end ? NULL : &body_provider, stream);
    nv_deinit(&nv);
    if (id < 0) return fl_fail_nomem(err); /* room was asked before: nothing else is left */
    stream->now.id = id;
    fl_h2_ping_watch(h2);
    if (!nghttp2_session_check_request_allowed(h2->session))
        fl_http_conn_leave(h2->conn, NGHTTP2_NO_ERROR, FL_STR("stream ids are used up"));
    return 0;
}

int fl_h2_respond(struct fl_http_stream *stream, const struct fl_http_response *head) {
    struct fl_h2 *h2 = stream->conn->h2;
    struct nv_list nv;
    char status[4] = {(char)('0' + head->status / 100 % 10), (char)('0' + head->status / 10 % 10),
                      (char)('0' + head->status % 10), '\0'};
    if (nv_init(&nv, 1 + head->headers.count) != 0) return FL_ENOMEM;
    nv_pseudo(&nv, FL_STR(":status"), fl_str_n(status, 3));
    nv_headers(&nv, head->headers, 0, 0);
    int rc = nghttp2_submit_response(h2->session, stream->now.id, nv.list, nv.count,
                                     stream->now.local_end ? NULL : &body_provider);
    nv_deinit(&nv);
    return rc ? FL_ENOMEM : 0;
}

/* --- what went out --- */

/* Server: a response may be whole before the request is; the peer is told that the rest is not
 * wanted (RFC 9113 section 8.1). */
static void answered(struct fl_h2 *h2, struct fl_http_stream *stream) {
    if (stream->now.remote_end || stream->now.forgotten) return;
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->now.id,
                                  NGHTTP2_NO_ERROR) != 0)
        fl_http_conn_fail_nomem(h2->conn);
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    FL_UNUSED(session);
    struct fl_h2 *h2 = arg;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        h2->violation = true; /* the only one of our own is about PINGs, see h2_strikes.c */
        h2->violation_code = frame->goaway.error_code;
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    h2->strikes.sent = true;
    fl_h2_budget_restore(h2);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!end && frame->hd.type == NGHTTP2_DATA) return 0;
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    if (!stream) return 0;
    stream->now.sent = true;
    if (end && h2->conn->server) answered(h2, stream);
    return 0;
}

static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int lib_error,
                       void *arg) {
    FL_UNUSED(session);
    struct fl_h2 *h2 = arg;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    bool late = lib_error == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED ||
                lib_error == NGHTTP2_ERR_SESSION_CLOSING ||
                lib_error == NGHTTP2_ERR_STREAM_CLOSED || lib_error == NGHTTP2_ERR_STREAM_CLOSING;
    if (!stream || late) return 0; /* on_stream_close says it */
    struct fl_error why;
    fl_fail(&why, FL_ETOO_LARGE, "the head could not be sent: %s", nghttp2_strerror(lib_error));
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        fl_http_stream_end(stream, &why); /* to the peer this stream does not exist */
    else
        fl_http_stream_reset(stream, NGHTTP2_INTERNAL_ERROR, &why);
    return 0;
}

void fl_h2_set_send_callbacks(nghttp2_session_callbacks *callbacks) {
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_not_sent);
}

/* All that nghttp2 has to send, as far as the sock takes it; nghttp2's error. */
static ssize_t send_all(struct fl_http_conn *conn) {
    struct fl_h2_batch batch;
    const uint8_t *bytes;
    ssize_t n = 0;
    batch.frames = batch.count = batch.bytes = 0;
    conn->h2->batch = &batch;
    conn->at_rest = false;
    while (!sock_full(conn) && (n = nghttp2_session_mem_send(conn->h2->session, &bytes)) > 0)
        if (batch_send(conn) != 0 ||
            fl_sock_write(conn->io, conn->sock, fl_str_n(bytes, (size_t)n)) != 0)
            break;
    int rc = batch_send(conn);
    FL_UNUSED(rc); /* the sock's on_close says it */
    conn->at_rest = true;
    conn->h2->batch = NULL;
    return n;
}

void fl_h2_pump(struct fl_http_conn *conn) {
    struct fl_h2 *h2 = conn->h2;
    ssize_t n = send_all(conn);
    if (n == NGHTTP2_ERR_NOMEM) fl_http_conn_fail_nomem(conn);
    if (h2->violation)
        fl_http_conn_failf(conn, FL_EPROTO, "peer broke HTTP/2: %s%s%s",
                           nghttp2_http2_strerror(h2->violation_code),
                           h2->invalid_lib_error ? ": " : "",
                           h2->invalid_lib_error ? nghttp2_strerror(h2->invalid_lib_error) : "");
}
