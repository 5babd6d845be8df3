/* h1_write.c - HTTP/1.1 messages on their way out.
 *
 * A head goes to the sock at once; body bytes wait in the stream's queue and leave in the turn, all
 * of them as one chunk. The length is the owner's content-length, else chunked, else (to an
 * HTTP/1.0 client) the end of the connection. */
#include "http/h1.h"

#define PIECE_MAX  ((size_t)64 * 1024) /* of a body, at a time */
#define HEAD_USUAL ((size_t)4096)      /* heads up to it do not grow */

/* --- heads --- */

/* A line break within a field would end it and begin another (RFC 9112 section 11.1). */
static bool is_clean(struct fl_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0') return false;
    return true;
}

static int put(struct fl_buf *b, struct fl_str s) {
    return is_clean(s) ? fl_buf_append(b, s) : FL_EPROTO;
}

static int put_header(struct fl_buf *b, struct fl_str name, struct fl_str value) {
    int rc = put(b, name);
    if (!rc) rc = fl_buf_append(b, FL_STR(": "));
    if (!rc) rc = put(b, value);
    return rc ? rc : fl_buf_append(b, FL_STR("\r\n"));
}

static int put_headers(struct fl_buf *b, struct fl_http_headers headers) {
    int rc = 0;
    for (size_t i = 0; i < headers.count && !rc; i++)
        if (!fl_fields_hop_by_hop(headers.list[i].name))
            rc = put_header(b, headers.list[i].name, headers.list[i].value);
    return rc;
}

/* Chooses how the body's end is told, and says so. `bare`: a message that by its kind has none. */
static int put_framing(struct fl_h1 *h1, struct fl_http_headers headers, bool end, bool bare,
                       bool zero_length) {
    struct fl_str length = fl_http_header_get(headers, FL_STR("content-length"));
    h1->body = FL_H1_BODY_NONE;
    if (length.p) {
        if (!fl_str_u64(length, &h1->body_left)) return FL_EPROTO;
        if (!bare) h1->body = FL_H1_BODY_LENGTH;
        return 0;
    }
    if (bare) return 0;
    if (end) return zero_length ? put_header(&h1->text, FL_STR("content-length"), FL_STR("0")) : 0;
    h1->body = h1->peer_is_10 ? FL_H1_BODY_CLOSE : FL_H1_BODY_CHUNKED;
    if (h1->body == FL_H1_BODY_CLOSE) return 0;
    return put_header(&h1->text, FL_STR("transfer-encoding"), FL_STR("chunked"));
}

/* Ends the head and hands it to the sock. It may hold credentials: wiped. */
static int send_head(struct fl_h1 *h1, int rc) {
    if (!rc) rc = fl_buf_append(&h1->text, FL_STR("\r\n"));
    if (!rc) rc = fl_sock_write(h1->conn->io, h1->conn->sock, fl_buf_str(&h1->text));
    if (h1->text.data) explicit_bzero(h1->text.data, h1->text.cap);
    fl_buf_consume(&h1->text, h1->text.len);
    fl_buf_release(&h1->text);
    h1->sending = rc == 0;
    return rc;
}

static bool has_body_by_habit(struct fl_str method) {
    return fl_str_eq(method, FL_STR("POST")) || fl_str_eq(method, FL_STR("PUT")) ||
           fl_str_eq(method, FL_STR("PATCH"));
}

int fl_h1_request(struct fl_http_stream *stream, const struct fl_http_request *head,
                  struct fl_error *err) {
    struct fl_h1 *h1 = stream->conn->h1;
    struct fl_buf *b = &h1->text;
    int rc = fl_buf_reserve(b, HEAD_USUAL) ? put(b, head->method) : FL_ENOMEM;
    if (!rc) rc = fl_buf_byte(b, ' ');
    if (!rc) rc = put(b, head->path);
    if (!rc) rc = fl_buf_append(b, FL_STR(" HTTP/1.1\r\n"));
    if (!rc) rc = put_header(b, FL_STR("host"), head->authority);
    if (!rc) rc = put_headers(b, head->headers);
    h1->peer_is_10 = false;
    if (!rc)
        rc = put_framing(h1, head->headers, stream->now.local_end, false,
                         has_body_by_habit(head->method));
    rc = send_head(h1, rc);
    if (rc) return fl_fail(err, rc, "the request's head could not be sent");
    h1->stream = stream;
    h1->head_request = fl_str_eq(head->method, FL_STR("HEAD"));
    stream->now.sent = true;
    return 0;
}

/* "NOT_FOUND" of the parser's table as people write it. */
static int put_reason(struct fl_buf *b, int status) {
    struct fl_str name = fl_str_of(llhttp_status_name((llhttp_status_t)status));
    int rc = 0;
    for (size_t i = 0; i < name.n && !rc; i++)
        rc = fl_buf_byte(b, name.p[i] == '_' ? ' ' : name.p[i]);
    return rc;
}

static int put_status(struct fl_buf *b, int status) {
    int rc = fl_buf_printf(b, "HTTP/1.1 %03d ", status);
    if (!rc) rc = put_reason(b, status);
    return rc ? rc : fl_buf_append(b, FL_STR("\r\n"));
}

int fl_h1_respond(struct fl_http_stream *stream, const struct fl_http_response *head) {
    struct fl_h1 *h1 = stream->conn->h1;
    bool bare = h1->head_request || head->status == 204 || head->status == 304;
    int rc = put_status(&h1->text, head->status);
    if (!rc) rc = put_headers(&h1->text, head->headers);
    if (!rc) rc = put_framing(h1, head->headers, stream->now.local_end, bare, true);
    if (h1->body == FL_H1_BODY_CLOSE) h1->keep = false;
    if (!rc && !h1->keep) rc = put_header(&h1->text, FL_STR("connection"), FL_STR("close"));
    return send_head(h1, rc);
}

void fl_h1_continue(struct fl_h1 *h1) {
    int rc = fl_sock_write(h1->conn->io, h1->conn->sock, FL_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    FL_UNUSED(rc); /* the sock's on_close will say it */
}

void fl_h1_refuse(struct fl_h1 *h1, int status) {
    int rc = put_status(&h1->text, status);
    if (!rc) rc = put_header(&h1->text, FL_STR("content-length"), FL_STR("0"));
    if (!rc) rc = put_header(&h1->text, FL_STR("connection"), FL_STR("close"));
    rc = send_head(h1, rc);
    FL_UNUSED(rc); /* it closes anyway */
    h1->sending = false;
}

/* --- bodies --- */

static int send_chunk(struct fl_h1 *h1, struct fl_str bytes) {
    struct fl_io *io = h1->conn->io;
    struct fl_sock *sock = h1->conn->sock;
    char line[24];
    size_t n = sizeof line;
    line[--n] = '\n';
    line[--n] = '\r';
    for (size_t left = bytes.n; left; left /= 16) line[--n] = "0123456789abcdef"[left % 16];
    int rc = fl_sock_write(io, sock, fl_str_n(line + n, sizeof line - n));
    if (!rc) rc = fl_sock_write(io, sock, bytes);
    return rc ? rc : fl_sock_write(io, sock, FL_STR("\r\n"));
}

static int send_piece(struct fl_h1 *h1, struct fl_str bytes) {
    switch (h1->body) {
    case FL_H1_BODY_NONE:
        return 0;
    case FL_H1_BODY_CHUNKED:
        return send_chunk(h1, bytes);
    case FL_H1_BODY_LENGTH:
        if (bytes.n > h1->body_left) return FL_EUSAGE;
        h1->body_left -= bytes.n;
        break;
    case FL_H1_BODY_CLOSE:
        break;
    }
    return fl_sock_write(h1->conn->io, h1->conn->sock, bytes);
}

static int send_last_chunk(struct fl_h1 *h1) {
    int rc = fl_buf_append(&h1->text, FL_STR("0\r\n"));
    if (!rc) rc = put_headers(&h1->text, fl_fields_list(&h1->stream->trailers));
    return send_head(h1, rc);
}

static int send_end(struct fl_h1 *h1) {
    int rc = 0;
    if (h1->body == FL_H1_BODY_CHUNKED) rc = send_last_chunk(h1);
    if (h1->body == FL_H1_BODY_LENGTH && h1->body_left > 0) rc = FL_EUSAGE;
    h1->sending = false;
    return rc;
}

/* The framing told to the peer cannot be kept: it must not take what follows for a message. */
static void spoil(struct fl_h1 *h1, int code) {
    h1->conn->quiet = true;
    fl_http_conn_failf(h1->conn, code,
                       code == FL_EUSAGE ? "the body is not as long as its content-length says"
                                         : "the body could not be sent");
}

void fl_h1_send_body(struct fl_h1 *h1) {
    struct fl_http_stream *stream = h1->stream;
    struct fl_http_conn *conn = h1->conn;
    int rc = 0;
    while (stream->out.len && fl_sock_queued(conn->io, conn->sock) < FL_SOCK_QUEUE_HIGH && !rc) {
        struct fl_str bytes = fl_buf_str(&stream->out);
        bytes.n = FL_MIN(bytes.n, PIECE_MAX);
        rc = send_piece(h1, bytes);
        if (!rc) fl_http_stream_sent(stream, bytes.n);
    }
    if (!rc && !stream->out.len && stream->now.local_end) rc = send_end(h1);
    if (rc) spoil(h1, rc);
}
