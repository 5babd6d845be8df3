/* h2.c - the life of an HTTP/2 session: settings, windows, drain, GOAWAY.
 *
 * Drain (RFC 9113 section 6.8): a GOAWAY with the highest id tells the peer to open no more
 * streams while those on their way are still taken; the answer to a PING sent behind it, or five
 * seconds, says that the peer knows; then the GOAWAY with the true last stream. */
#include "http/h2.h"
#include "http/memory.h"

#define DRAIN_WAIT_MS      5000
#define CLIENT_STREAMS_MAX ((uint32_t)64 * 1024) /* whatever the peer allows */

const uint8_t fl_h2_ping_drain[8] = {'f', 'l', '-', 'd', 'r', 'a', 'i', 'n'};

struct fl_http_stream *fl_h2_stream(const struct fl_h2 *h2, int32_t id) {
    return nghttp2_session_get_stream_user_data(h2->session, id);
}

/* --- memory --- */

static void *mem_alloc(size_t size, void *arg) { return fl_http_realloc(arg, NULL, size); }
static void mem_free(void *memory, void *arg) { fl_http_free(arg, memory); }
static void *mem_calloc(size_t count, size_t size, void *arg) {
    return fl_http_calloc(arg, count, size);
}
static void *mem_realloc(void *old, size_t size, void *arg) {
    return fl_http_realloc(arg, old, size);
}

/* --- leaving --- */

void fl_h2_drain_step(struct fl_h2 *h2) {
    if (h2->drain != FL_H2_DRAIN_NOTICE) return;
    fl_io_timer_clear(h2->conn->io, &h2->drain_timer);
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    if (nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) !=
        0) {
        fl_http_conn_fail_nomem(h2->conn);
        return;
    }
    h2->drain = FL_H2_DRAIN_FINAL;
    fl_http_conn_dirty(h2->conn);
}

static void drain_due(struct fl_timer *timer) {
    fl_h2_drain_step(FL_CONTAINER(timer, struct fl_h2, drain_timer));
}

static void h2_drain(struct fl_http_conn *conn) {
    struct fl_h2 *h2 = conn->h2;
    h2->drain = FL_H2_DRAIN_NOTICE;
    if (nghttp2_submit_shutdown_notice(h2->session) != 0 ||
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, fl_h2_ping_drain) != 0) {
        fl_h2_drain_step(h2); /* without memory for the polite way, the short one */
        return;
    }
    fl_io_timer_set(conn->io, &h2->drain_timer, fl_io_now_ms(conn->io) + DRAIN_WAIT_MS);
}

static bool h2_settled(const struct fl_http_conn *conn) {
    return conn->h2->drain != FL_H2_DRAIN_NOTICE;
}

static void h2_goodbye(struct fl_http_conn *conn) {
    if (conn->h2->drain == FL_H2_DRAIN_FINAL) return;
    nghttp2_session *session = conn->h2->session;
    int rc = nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                                   nghttp2_session_get_last_proc_stream_id(session),
                                   NGHTTP2_NO_ERROR, NULL, 0);
    FL_UNUSED(rc); /* without memory it closes without the word */
}

static void h2_eof(struct fl_http_conn *conn) {
    fl_http_conn_failf(conn, FL_ECLOSED, "%s", fl_error_text(FL_ECLOSED));
}

/* --- streams --- */

static size_t h2_room(const struct fl_http_conn *conn) {
    nghttp2_session *session = conn->h2->session;
    if (!nghttp2_session_check_request_allowed(session)) return 0;
    uint32_t limit =
        nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    limit = FL_MIN(limit, CLIENT_STREAMS_MAX);
    return conn->open_count < limit ? limit - conn->open_count : 0;
}

static void h2_consumed(struct fl_http_stream *stream, size_t n, size_t held) {
    nghttp2_session *session = stream->conn->h2->session;
    int rc = nghttp2_session_consume(session, stream->now.id, n - held);
    if (held > 0 && !nghttp2_is_fatal(rc))
        rc = nghttp2_session_consume_stream(session, stream->now.id, held);
    if (nghttp2_is_fatal(rc)) fl_http_conn_fail_nomem(stream->conn);
}

static void h2_held(struct fl_http_stream *stream, size_t n) {
    int rc = nghttp2_session_consume_connection(stream->conn->h2->session, n);
    if (nghttp2_is_fatal(rc)) fl_http_conn_fail_nomem(stream->conn);
}

static void h2_reset(struct fl_http_stream *stream, uint32_t h2_code) {
    struct fl_http_conn *conn = stream->conn;
    if (stream->now.forgotten) return;
    int rc =
        nghttp2_submit_rst_stream(conn->h2->session, NGHTTP2_FLAG_NONE, stream->now.id, h2_code);
    if (nghttp2_is_fatal(rc)) fl_http_conn_fail_nomem(conn);
}

/* The connection's window gets back what the owner never consumed. */
static void h2_forget(struct fl_http_stream *stream) {
    struct fl_h2 *h2 = stream->conn->h2;
    size_t left = stream->now.unconsumed - stream->now.held;
    if (left > 0) {
        int rc = nghttp2_session_consume_connection(h2->session, left);
        if (nghttp2_is_fatal(rc)) fl_http_conn_fail_nomem(h2->conn);
    }
    if (!stream->now.forgotten)
        nghttp2_session_set_stream_user_data(h2->session, stream->now.id, NULL);
}

/* --- making one --- */

static int submit_settings(struct fl_h2 *h2) {
    const struct fl_http_options *o = &h2->conn->options;
    const nghttp2_settings_entry server[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->header_bytes_max},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->streams_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->header_bytes_max},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    int rc =
        h2->conn->server
            ? nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, server, FL_COUNT(server))
            : nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, client, FL_COUNT(client));
    if (rc) return rc;
    h2->window.bytes = o->window_bytes;
    return fl_h2_window_apply(h2);
}

static int session_new(struct fl_h2 *h2, const nghttp2_session_callbacks *callbacks,
                       const nghttp2_option *option) {
    nghttp2_mem mem = {h2->conn->memory, mem_alloc, mem_free, mem_calloc, mem_realloc};
    return h2->conn->server
               ? nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &mem)
               : nghttp2_session_client_new3(&h2->session, callbacks, h2, option, &mem);
}

static int session_start(struct fl_h2 *h2) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    if (!rc) rc = nghttp2_option_new(&option);
    if (!rc) {
        fl_h2_set_recv_callbacks(callbacks);
        fl_h2_set_send_callbacks(callbacks);
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_reserved_remote_streams(option, 0);
        nghttp2_option_set_peer_max_concurrent_streams(option, 0);
        rc = session_new(h2, callbacks, option);
    }
    if (!rc) rc = submit_settings(h2);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc ? FL_ENOMEM : 0;
}

static void h2_free(struct fl_http_conn *conn) {
    struct fl_h2 *h2 = conn->h2;
    if (!h2) return;
    fl_io_timer_deinit(conn->io, &h2->drain_timer);
    fl_h2_ping_deinit(h2);
    nghttp2_session_del(h2->session);
    fl_http_free(conn->memory, h2);
    conn->h2 = NULL;
}

int fl_h2_new(struct fl_http_conn *conn) {
    struct fl_h2 *h2 = FL_HTTP_NEW(conn->memory, struct fl_h2);
    if (!h2) return FL_ENOMEM;
    conn->h2 = h2;
    h2->conn = conn;
    if (fl_io_timer_init(conn->io, &h2->drain_timer, drain_due) != 0) goto fail;
    if (fl_h2_ping_init(h2) != 0) goto fail;
    if (session_start(h2) != 0) goto fail;
    conn->at_rest = true;
    return 0;
fail:
    h2_free(conn);
    return FL_ENOMEM;
}

const struct fl_http_proto fl_http_proto_h2 = {
    .feed = fl_h2_feed,
    .eof = h2_eof,
    .request = fl_h2_request,
    .respond = fl_h2_respond,
    .more = fl_h2_more,
    .consumed = h2_consumed,
    .held = h2_held,
    .reset = h2_reset,
    .forget = h2_forget,
    .room = h2_room,
    .pump = fl_h2_pump,
    .drain = h2_drain,
    .settled = h2_settled,
    .goodbye = h2_goodbye,
    .free = h2_free,
};
