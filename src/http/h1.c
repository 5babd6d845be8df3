/* h1.c - HTTP/1.1 from the peer, one exchange at a time, and what follows an exchange.
 *
 * The parser is stopped at the end of each message. A server's goes on when the exchange has been
 * reported, so that requests sent ahead are answered one after the other; what came behind waits in
 * `held`, and the sock is paused while anything does. Body bytes that the owner has not consumed
 * pause the sock at the window.
 *
 * Lengths are the parser's, which refuses what is ambiguous (RFC 9112 section 6.3); beyond that a
 * request needs exactly one Host. A client that waits for 100 (Continue) gets it unless the owner
 * has answered at once. What a server cannot take it answers with 400 or 431, and the
 * connection closes. */
#include "http/h1.h"
#include "http/memory.h"

#define TEXT_MAX ((size_t)256 * 1024)
#define HELD_MAX ((size_t)1024 * 1024) /* more than any one read */

/* --- pausing --- */

static void set_paused(struct fl_h1 *h1) {
    uint32_t window = h1->conn->options.window_bytes;
    size_t unconsumed = h1->stream ? h1->stream->now.unconsumed : 0;
    bool full = unconsumed >= window || (h1->paused && unconsumed > window / 2);
    bool paused = full || h1->held.len > 0;
    if (paused == h1->paused || !h1->conn->sock) return;
    h1->paused = paused;
    fl_sock_pause(h1->conn->io, h1->conn->sock, paused);
}

static void h1_consumed(struct fl_http_stream *stream, size_t n, size_t held) {
    FL_UNUSED(n), FL_UNUSED(held);
    set_paused(stream->conn->h1);
}

/* --- heads --- */

static struct fl_h1 *h1_of(llhttp_t *parser) { return parser->data; }

/* What a parser's callback returns: stops it on an error of ours, or when an owner closed. */
static int answer(struct fl_h1 *h1, int rc) {
    if (rc == FL_ETOO_LARGE) {
        h1->refusal = 431;
        fl_http_conn_limited(h1->conn, FL_HTTP_LIMIT_HEADER_LIST);
    }
    if (rc == FL_ENOMEM) h1->refusal = 500;
    if (rc == FL_EPROTO) h1->refusal = 400;
    return rc || !fl_http_conn_alive(h1->conn) ? -1 : 0;
}

static int on_begin(llhttp_t *parser) {
    struct fl_h1 *h1 = h1_of(parser);
    struct fl_http_conn *conn = h1->conn;
    fl_fields_clear(&conn->fields);
    h1->in_name = false;
    if (!conn->server) return 0;
    h1->in_head = true;
    fl_io_timer_set(conn->io, &h1->head_timer,
                    fl_io_now_ms(conn->io) + conn->options.ready_timeout_ms);
    return answer(h1, fl_fields_add(&conn->fields, FL_STR(":path"), FL_STR_NONE));
}

static int on_target(llhttp_t *parser, const char *at, size_t n) { /* the value of ":path" */
    struct fl_h1 *h1 = h1_of(parser);
    return answer(h1, fl_fields_value(&h1->conn->fields, fl_str_n(at, n)));
}

/* RFC 9112 section 5.2: a value folded over several lines is refused. The parser goes on with a
 * value at the start of the next read if the last read ended within it; anything else it calls a
 * further piece stood on another line. */
static int on_value(llhttp_t *parser, const char *at, size_t n) {
    struct fl_h1 *h1 = h1_of(parser);
    bool goes_on = h1->value_open && at == h1->reading.p;
    if (h1->value_begun && !goes_on) return answer(h1, FL_EPROTO);
    h1->value_begun = true;
    h1->value_open = at + n == h1->reading.p + h1->reading.n;
    return answer(h1, fl_fields_value(&h1->conn->fields, fl_str_n(at, n)));
}

static int on_name(llhttp_t *parser, const char *at, size_t n) {
    struct fl_h1 *h1 = h1_of(parser);
    int rc = h1->in_name ? 0 : fl_fields_begin(&h1->conn->fields);
    h1->in_name = true;
    h1->value_begun = false;
    return answer(h1, rc ? rc : fl_fields_name(&h1->conn->fields, fl_str_n(at, n)));
}

static int on_name_complete(llhttp_t *parser) {
    h1_of(parser)->in_name = false;
    return 0;
}

/* RFC 9112 section 3.2.2: a server accepts the absolute form of the target too; its authority
 * goes before Host. */
static void split_target(struct fl_http_request *head) {
    struct fl_str rest = head->path;
    if (fl_str_starts(rest, FL_STR("http://")))
        rest = fl_str_from(rest, 7);
    else if (fl_str_starts(rest, FL_STR("https://")))
        rest = fl_str_from(rest, 8);
    else
        return;
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?') n++;
    head->authority = fl_str_n(rest.p, n);
    head->path = n < rest.n ? fl_str_from(rest, n) : FL_STR("/");
}

static int request_head(struct fl_h1 *h1, struct fl_http_request *head) {
    llhttp_t *parser = &h1->parser;
    fl_fields_request(&h1->conn->fields, head);
    h1->peer_is_10 = llhttp_get_http_minor(parser) == 0;
    size_t hosts = h1->conn->fields.hosts;
    if (llhttp_get_http_major(parser) != 1 || hosts > 1 || (hosts == 0 && !h1->peer_is_10))
        return FL_EPROTO;
    if (llhttp_get_method(parser) == HTTP_CONNECT) return FL_EPROTO; /* this is no tunnel */
    head->method = fl_str_of(llhttp_method_name((llhttp_method_t)llhttp_get_method(parser)));
    head->scheme = FL_STR("http");
    split_target(head);
    return 0;
}

/* RFC 9110 section 10.1.1. An HTTP/1.0 client is not sent interim responses. */
static bool waits_for_continue(const struct fl_h1 *h1, const struct fl_http_request *head) {
    struct fl_str expect = fl_http_header_get(head->headers, FL_STR("expect"));
    return !h1->peer_is_10 && fl_str_eq_nocase(expect, FL_STR("100-continue"));
}

static int got_request(struct fl_h1 *h1) {
    struct fl_http_conn *conn = h1->conn;
    struct fl_http_request head;
    h1->in_head = false;
    fl_io_timer_clear(conn->io, &h1->head_timer);
    int rc = request_head(h1, &head);
    if (rc) return rc;
    struct fl_http_stream *stream = fl_http_stream_new(conn);
    if (!stream) return FL_ENOMEM;
    h1->stream = stream;
    h1->head_request = llhttp_get_method(&h1->parser) == HTTP_HEAD;
    h1->keep = llhttp_should_keep_alive(&h1->parser) && conn->state != FL_HTTP_LEAVING;
    h1->parser.upgrade = 0; /* an offer to switch protocols is not taken up */
    fl_http_conn_ready(conn);
    bool waits = waits_for_continue(h1, &head);
    conn->events->on_request(conn->arg, conn, stream, &head);
    FL_ASSERT(stream->now.events || stream->now.ended);
    if (waits && !stream->now.head_out && !stream->now.ended) fl_h1_continue(h1);
    return 0;
}

/* 1: no body follows, whatever the head says (see on_headers_complete of llhttp). */
static int got_response(struct fl_h1 *h1) {
    struct fl_http_stream *stream = h1->stream;
    struct fl_http_response head;
    int status = llhttp_get_status_code(&h1->parser);
    fl_fields_response(&h1->conn->fields, &head);
    head.status = status;
    if (status < 100 || status == 101 || llhttp_get_http_major(&h1->parser) != 1) return FL_EPROTO;
    h1->interim = status < 200;
    if (h1->interim) return 1;
    stream->now.head_in = true;
    h1->keep = llhttp_should_keep_alive(&h1->parser);
    if (h1->head_request) h1->keep = (h1->parser.flags & F_CONNECTION_CLOSE) == 0;
    if (stream->now.events->on_response)
        stream->now.events->on_response(stream->now.arg, stream, &head);
    if (!h1->keep) fl_http_conn_leave(h1->conn, 0, FL_STR("connection: close"));
    return h1->head_request || status == 204 || status == 304;
}

static int on_head(llhttp_t *parser) {
    struct fl_h1 *h1 = h1_of(parser);
    int rc = h1->conn->server ? got_request(h1) : got_response(h1);
    fl_fields_clear(&h1->conn->fields); /* what comes now are trailers */
    return answer(h1, rc < 0 ? rc : 0) ? -1 : rc;
}

/* --- bodies and ends --- */

static int on_body(llhttp_t *parser, const char *at, size_t n) {
    struct fl_h1 *h1 = h1_of(parser);
    fl_http_stream_got_data(h1->stream, fl_str_n(at, n));
    set_paused(h1);
    return answer(h1, 0);
}

static int on_complete(llhttp_t *parser) {
    struct fl_h1 *h1 = h1_of(parser);
    struct fl_http_stream *stream = h1->stream;
    if (h1->interim) {
        h1->interim = false;
        return 0;
    }
    if (h1->conn->fields.count > 0)
        fl_http_stream_got_trailers(stream, fl_fields_list(&h1->conn->fields));
    fl_http_stream_got_end(stream);
    h1->held_back = true;
    if (!h1->conn->server) {
        if (h1->sending) h1->keep = false; /* answered before it was asked to the end */
        fl_http_stream_complete(stream);
    }
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_field_complete = on_name_complete,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* --- bytes --- */

static void break_off(struct fl_h1 *h1) {
    struct fl_http_conn *conn = h1->conn;
    int status = h1->refusal ? h1->refusal : 400;
    bool free_to_answer = !h1->stream || !h1->stream->now.head_out;
    if (conn->server && free_to_answer) fl_h1_refuse(h1, status);
    if (h1->refusal == 431)
        fl_http_conn_failf(conn, FL_ETOO_LARGE, "a header list of more than %u bytes",
                           conn->options.header_bytes_max);
    else if (h1->refusal == 500)
        fl_http_conn_fail_nomem(conn);
    else
        fl_http_conn_failf(conn, FL_EPROTO, "peer does not speak HTTP/1.1: %s",
                           h1->refusal ? "not acceptable in the head"
                                       : llhttp_get_error_reason(&h1->parser));
}

/* Bytes behind a message that is not done with yet. */
static void hold(struct fl_h1 *h1, struct fl_str bytes) {
    if (bytes.n == 0) return;
    if (!h1->conn->server)
        h1->keep = false; /* they answer nothing: this connection is not to be trusted */
    else if (fl_buf_append(&h1->held, bytes) != 0)
        fl_http_conn_fail_nomem(h1->conn);
    set_paused(h1);
}

/* Up to the end of a message; returns the bytes behind it. */
static struct fl_str parse(struct fl_h1 *h1, struct fl_str bytes) {
    h1->reading = bytes;
    llhttp_errno_t rc = llhttp_execute(&h1->parser, bytes.p, bytes.n);
    if (!fl_http_conn_alive(h1->conn) || rc == HPE_OK) return FL_STR_NONE;
    if (rc != HPE_PAUSED) {
        break_off(h1);
        return FL_STR_NONE;
    }
    const char *end = llhttp_get_error_pos(&h1->parser);
    return fl_str_from(bytes, (size_t)(end - bytes.p));
}

static void h1_feed(struct fl_http_conn *conn, struct fl_str bytes) {
    struct fl_h1 *h1 = conn->h1;
    if (h1->held_back)
        hold(h1, bytes);
    else if (!conn->server && !h1->stream)
        fl_http_conn_failf(conn, FL_EPROTO, "peer sent bytes that answer no request");
    else
        hold(h1, parse(h1, bytes));
}

static void client_eof(struct fl_h1 *h1) {
    struct fl_http_stream *stream = h1->stream;
    if (stream && !h1->held_back) {
        llhttp_errno_t rc = llhttp_finish(&h1->parser); /* a body that ends with the connection */
        if ((rc == HPE_OK || rc == HPE_PAUSED) && stream->now.ended) return;
        fl_http_conn_failf(h1->conn, FL_ECLOSED, "closed by the peer %s",
                           stream->now.head_in ? "in the middle of a response"
                                               : "before a response");
    } else if (!stream) {
        fl_http_conn_failf(h1->conn, FL_ECLOSED, "%s", fl_error_text(FL_ECLOSED));
    }
}

/* A peer that has sent its requests may close its side and still read: what is whole is answered.
 */
static void server_eof(struct fl_h1 *h1) {
    bool whole = h1->stream && h1->stream->now.remote_end;
    if (whole) return;
    fl_http_conn_failf(h1->conn, FL_ECLOSED, "closed by the peer%s",
                       h1->stream || h1->in_head ? " in the middle of a request" : "");
}

static void h1_eof(struct fl_http_conn *conn) {
    struct fl_h1 *h1 = conn->h1;
    h1->eof = true;
    if (!conn->server && h1->held_back) h1->keep = false;
    if (conn->server)
        server_eof(h1);
    else
        client_eof(h1);
}

/* --- exchanges --- */

/* Server: the parser goes on with what was held back, where it lies: many small requests sent ahead
 * are not copied once for each. */
static void resume(struct fl_h1 *h1) {
    h1->held_back = false;
    llhttp_resume(&h1->parser);
    if (h1->held.len) {
        struct fl_str rest = parse(h1, fl_buf_str(&h1->held));
        fl_buf_consume(&h1->held, h1->held.len - rest.n);
        fl_buf_release(&h1->held);
    }
    set_paused(h1);
    if (h1->eof && fl_http_conn_alive(h1->conn)) server_eof(h1);
}

/* Server: is the response whole? A request that is still coming then is not waited for: the
 * connection closes behind the response. */
static void finish_answer(struct fl_h1 *h1) {
    struct fl_http_stream *stream = h1->stream;
    if (!stream->now.head_out || h1->sending || stream->now.ended) return;
    if (!stream->now.remote_end) h1->keep = false;
    fl_http_stream_complete(stream);
}

static void h1_pump(struct fl_http_conn *conn) {
    struct fl_h1 *h1 = conn->h1;
    if (conn->server && h1->held_back && !h1->stream && conn->state == FL_HTTP_READY) resume(h1);
    if (!h1->stream) return;
    if (h1->sending) fl_h1_send_body(h1);
    if (conn->server && fl_http_conn_alive(conn)) finish_answer(h1);
}

static void h1_forget(struct fl_http_stream *stream) {
    struct fl_http_conn *conn = stream->conn;
    struct fl_h1 *h1 = conn->h1;
    if (h1->stream != stream) return;
    h1->stream = NULL;
    set_paused(h1);
    if (!conn->server) {
        h1->held_back = false;
        llhttp_resume(&h1->parser);
    }
    if (!h1->keep && conn->state != FL_HTTP_LEAVING) fl_http_conn_leave(conn, 0, FL_STR_NONE);
}

static void h1_reset(struct fl_http_stream *stream, uint32_t h2_code) {
    FL_UNUSED(h2_code);
    stream->conn->quiet = true; /* an orderly close could be taken for the end of the message */
    fl_http_conn_fail(stream->conn, &stream->why);
}

static int h1_more(struct fl_http_stream *stream) {
    FL_UNUSED(stream);
    return 0; /* the pump looks at the queue itself */
}

static size_t h1_room(const struct fl_http_conn *conn) {
    return conn->h1->stream || conn->h1->eof ? 0 : 1;
}

static void h1_drain(struct fl_http_conn *conn) { conn->h1->keep = false; }

static bool h1_settled(const struct fl_http_conn *conn) { return !conn->h1->in_head; }

static void head_late(struct fl_timer *timer) {
    struct fl_h1 *h1 = FL_CONTAINER(timer, struct fl_h1, head_timer);
    if (!fl_http_conn_alive(h1->conn)) return;
    fl_h1_refuse(h1, 408);
    fl_http_conn_failf(h1->conn, FL_ETIMEOUT, "no whole request head within %u ms",
                       h1->conn->options.ready_timeout_ms);
}

/* --- making one --- */

static void h1_free(struct fl_http_conn *conn) {
    struct fl_h1 *h1 = conn->h1;
    fl_io_timer_deinit(conn->io, &h1->head_timer);
    fl_buf_deinit(&h1->held);
    fl_buf_deinit(&h1->text);
    fl_http_free(conn->memory, h1);
}

int fl_h1_new(struct fl_http_conn *conn) {
    struct fl_h1 *h1 = FL_HTTP_NEW(conn->memory, struct fl_h1);
    if (!h1) return FL_ENOMEM;
    h1->conn = conn;
    h1->keep = true;
    fl_buf_init(&h1->held, HELD_MAX);
    fl_buf_init(&h1->text, TEXT_MAX);
    if (fl_io_timer_init(conn->io, &h1->head_timer, head_late) != 0) {
        fl_http_free(conn->memory, h1);
        return FL_ENOMEM;
    }
    llhttp_init(&h1->parser, conn->server ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    h1->parser.data = h1;
    conn->h1 = h1;
    return 0;
}

const struct fl_http_proto fl_http_proto_h1 = {
    .feed = h1_feed,
    .eof = h1_eof,
    .request = fl_h1_request,
    .respond = fl_h1_respond,
    .more = h1_more,
    .consumed = h1_consumed,
    .reset = h1_reset,
    .forget = h1_forget,
    .room = h1_room,
    .pump = h1_pump,
    .drain = h1_drain,
    .settled = h1_settled,
    .free = h1_free,
};
