/* h2_recv.c - frames from the peer, as nghttp2 delivers them.
 *
 * Runs beneath nghttp2_session_mem_recv: owners' callbacks are called from here, ends are only
 * noted. A connection that an owner closed meanwhile stops the parse. Header lists are collected in
 * the connection's fields, for blocks never interleave. Large pieces of bodies are given out while
 * nghttp2 is paused: an owner who answers to a message can so have it sent from his own memory. */
#include "http/h2.h"

#include <string.h>

/* Frames that the peer makes this side queue, beyond what nghttp2 itself bounds. */
#define OUTBOUND_MAX ((size_t)10000)
#define CHUNK_MIN    ((size_t)4096)

static int stopped(const struct fl_h2 *h2) {
    return fl_http_conn_alive(h2->conn) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- header lists --- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg) {
    FL_UNUSED(session);
    struct fl_h2 *h2 = arg;
    fl_h2_budget_frame(h2, hd);
    return stopped(h2);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    FL_UNUSED(session), FL_UNUSED(frame);
    struct fl_h2 *h2 = arg;
    fl_fields_clear(&h2->conn->fields);
    return stopped(h2);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                     void *arg) {
    FL_UNUSED(session), FL_UNUSED(flags);
    struct fl_h2 *h2 = arg;
    int rc = fl_fields_add(&h2->conn->fields, fl_str_n(name, name_n), fl_str_n(value, value_n));
    if (rc == 0) return 0;
    if (rc == FL_ETOO_LARGE) fl_http_conn_limited(h2->conn, FL_HTTP_LIMIT_HEADER_LIST);
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    if (stream && rc == FL_ETOO_LARGE)
        fl_http_stream_endf(stream, rc, "a header list of more than %u bytes",
                            h2->conn->options.header_bytes_max);
    else if (stream)
        fl_http_stream_endf(stream, rc, "%s", fl_error_text(rc));
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* RST_STREAM; the rest of the list is skipped */
}

static void got_request(struct fl_h2 *h2, int32_t id) {
    struct fl_http_conn *conn = h2->conn;
    struct fl_http_request head;
    struct fl_http_stream *stream = fl_http_stream_new(conn);
    if (!stream) {
        fl_http_conn_fail_nomem(conn);
        return;
    }
    fl_h2_budget_restore(h2);
    stream->now.id = id;
    nghttp2_session_set_stream_user_data(h2->session, id, stream);
    fl_fields_request(&conn->fields, &head);
    fl_h2_ping_watch(h2);
    conn->events->on_request(conn->arg, conn, stream, &head);
    FL_ASSERT(stream->now.events || stream->now.ended);
}

static void got_response(struct fl_h2 *h2, struct fl_http_stream *stream) {
    struct fl_http_response head;
    fl_fields_response(&h2->conn->fields, &head);
    if (head.status < 200) { /* interim: the final one follows */
        fl_h2_budget_spend(h2);
        return;
    }
    fl_h2_budget_restore(h2);
    stream->now.head_in = true;
    if (!stream->now.ended && stream->now.events->on_response)
        stream->now.events->on_response(stream->now.arg, stream, &head);
}

static void got_headers(struct fl_h2 *h2, const nghttp2_frame *frame) {
    bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (request) got_request(h2, frame->hd.stream_id);
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    if (!stream) return;
    if (request)
        ; /* told above */
    else if (!h2->conn->server && !stream->now.head_in)
        got_response(h2, stream);
    else
        fl_http_stream_got_trailers(stream, fl_fields_list(&h2->conn->fields));
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) fl_http_stream_got_end(stream);
}

/* --- control frames --- */

static void got_ping_ack(struct fl_h2 *h2, const nghttp2_ping *ping) {
    if (memcmp(ping->opaque_data, fl_h2_ping_drain, sizeof fl_h2_ping_drain) == 0)
        fl_h2_drain_step(h2);
    else if (!fl_h2_window_answered(h2, ping->opaque_data))
        fl_h2_ping_answered(h2, ping->opaque_data);
}

/* nghttp2 closes the streams above the last one after this call; those whose HEADERS it still holds
 * back it would fail only when it came to send them. */
static void got_goaway(struct fl_h2 *h2, const nghttp2_goaway *goaway) {
    h2->goaway_in = true;
    h2->goaway_last = goaway->last_stream_id;
    FL_LIST_EACH (&h2->conn->open, item, next) {
        struct fl_http_stream *stream = FL_CONTAINER(item, struct fl_http_stream, link);
        if (!h2->conn->server && !stream->now.sent)
            fl_http_stream_endf(stream, FL_EGOAWAY, "never sent: the peer is going away");
    }
    fl_http_conn_leave(h2->conn, goaway->error_code,
                       fl_str_n(goaway->opaque_data, goaway->opaque_data_len));
}

static void got_rst_stream(struct fl_h2 *h2, const nghttp2_frame *frame) {
    struct fl_http_stream *stream = fl_h2_stream(h2, frame->hd.stream_id);
    if (!stream) return;
    stream->now.was_reset = true;
    stream->now.h2_code = frame->rst_stream.error_code;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    FL_UNUSED(session);
    struct fl_h2 *h2 = arg;
    struct fl_http_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        got_headers(h2, frame);
        break;
    case NGHTTP2_DATA:
        stream = fl_h2_stream(h2, frame->hd.stream_id);
        if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) fl_http_stream_got_end(stream);
        break;
    case NGHTTP2_RST_STREAM:
        got_rst_stream(h2, frame);
        break;
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) break;
        fl_http_conn_ready(h2->conn);
        fl_h2_ping_watch(h2);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            got_ping_ack(h2, &frame->ping);
        else
            fl_h2_strikes_ping(h2);
        break;
    case NGHTTP2_GOAWAY:
        got_goaway(h2, &frame->goaway);
        break;
    default:
        break;
    }
    return stopped(h2);
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int lib_error,
                            void *arg) {
    FL_UNUSED(session), FL_UNUSED(frame);
    struct fl_h2 *h2 = arg;
    h2->invalid_lib_error = lib_error;
    if (lib_error == NGHTTP2_ERR_REFUSED_STREAM)
        fl_http_conn_limited(h2->conn, FL_HTTP_LIMIT_STREAMS);
    return 0;
}

/* --- bodies and ends --- */

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t n, void *arg) {
    FL_UNUSED(flags);
    struct fl_h2 *h2 = arg;
    struct fl_http_stream *stream = fl_h2_stream(h2, id);
    fl_h2_budget_restore(h2);
    fl_h2_window_got(h2, n);
    if (stream && n >= CHUNK_MIN) {
        h2->chunk = fl_str_n(data, n);
        h2->chunk_id = id;
        return NGHTTP2_ERR_PAUSE;
    }
    if (stream)
        fl_http_stream_got_data(stream, fl_str_n(data, n));
    else if (nghttp2_is_fatal(nghttp2_session_consume(session, id, n)))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return stopped(h2);
}

static void end_by_reset(struct fl_http_stream *stream, uint32_t code) {
    bool client = !stream->conn->server;
    if (code == NGHTTP2_REFUSED_STREAM && client && !stream->now.head_in)
        fl_http_stream_endf(stream, FL_ESTREAM_REFUSED, "%s", fl_error_text(FL_ESTREAM_REFUSED));
    else if (code == NGHTTP2_NO_ERROR && client && stream->now.remote_end)
        fl_http_stream_complete(stream); /* RFC 9113 section 8.1: the answer needed no more of us */
    else
        fl_http_stream_endf(stream, FL_ESTREAM_RESET, "peer reset the stream: %s",
                            nghttp2_http2_strerror(code));
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg) {
    FL_UNUSED(session);
    struct fl_h2 *h2 = arg;
    struct fl_http_stream *stream = fl_h2_stream(h2, id);
    if (!stream) return 0;
    stream->now.forgotten = true;
    bool client = !h2->conn->server;
    if (stream->now.was_reset)
        end_by_reset(stream, code);
    else if (code == NGHTTP2_NO_ERROR)
        fl_http_stream_complete(stream);
    else if (client && (!stream->now.sent || (h2->goaway_in && id > h2->goaway_last)))
        fl_http_stream_endf(stream, FL_EGOAWAY, "%s", fl_error_text(FL_EGOAWAY));
    else
        fl_http_stream_endf(stream, FL_EPROTO, "peer broke HTTP/2 in this stream: %s",
                            nghttp2_http2_strerror(code));
    return 0;
}

void fl_h2_set_recv_callbacks(nghttp2_session_callbacks *callbacks) {
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* True: nghttp2 had paused, and goes on. */
static bool give_chunk(struct fl_h2 *h2) {
    struct fl_str chunk = h2->chunk;
    h2->chunk = FL_STR_NONE;
    if (chunk.n == 0 || !fl_http_conn_alive(h2->conn)) return false;
    struct fl_http_stream *stream = fl_h2_stream(h2, h2->chunk_id);
    if (stream) fl_http_stream_got_data(stream, chunk);
    return fl_http_conn_alive(h2->conn);
}

void fl_h2_feed(struct fl_http_conn *conn, struct fl_str bytes) {
    nghttp2_session *session = conn->h2->session;
    ssize_t n;
    do {
        conn->at_rest = false;
        n = nghttp2_session_mem_recv(session, (const uint8_t *)bytes.p, bytes.n);
        conn->at_rest = true;
        bytes = fl_str_from(bytes, (size_t)FL_MAX(n, 0));
    } while (give_chunk(conn->h2)); /* also without more bytes: the frame's end is due */
    if (!fl_http_conn_alive(conn)) return;
    if (n == NGHTTP2_ERR_NOMEM)
        fl_http_conn_fail_nomem(conn);
    else if (n < 0)
        fl_http_conn_failf(conn, FL_EPROTO, "peer does not speak HTTP/2: %s",
                           nghttp2_strerror((int)n));
    else if (nghttp2_session_get_outbound_queue_size(session) > OUTBOUND_MAX + conn->open_count)
        fl_http_conn_failf(conn, FL_EPROTO, "peer floods with frames that want an answer");
}
