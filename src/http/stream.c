/* stream.c - one exchange, as both protocols have it: the queue of body bytes, the deadline, the
 * bytes that the owner has not consumed, and the end, which comes once.
 *
 * The loop's thread only. Ended streams wait in conn->ended until the turn reports them; then their
 * memory goes to conn->spare for the next exchange, with its buffers and its place in the timer
 * heap, so that an exchange in the steady state allocates nothing here. */
#include "base/area.h"
#include "http/inner.h"
#include "http/memory.h"

#define SPARE_MAX           64
#define OUT_KEPT            ((size_t)16 * 1024) /* larger queues give their memory back */
#define WRITABLE_LOW        (FL_HTTP_QUEUE_MAX / 4)
#define TRAILERS_MAX        ((size_t)64 * 1024)
#define LENT_MIN            ((size_t)64 * 1024) /* smaller writes are copied and share a send */
#define CODE_INTERNAL_ERROR 2                   /* RFC 9113 section 7 */
#define CODE_CANCEL         8

static void deadline_passed(struct fl_timer *timer) {
    struct fl_http_stream *stream = FL_CONTAINER(timer, struct fl_http_stream, deadline);
    struct fl_error why;
    fl_fail(&why, FL_EDEADLINE, "%s", fl_error_text(FL_EDEADLINE));
    fl_http_stream_reset(stream, CODE_CANCEL, &why);
}

/* What the queue holds, as far as it has changed. */
static void count_queue(struct fl_http_stream *stream) {
    if (stream->out.cap == stream->out_counted) return;
    fl_area_add(FL_AREA_HTTP, (ptrdiff_t)stream->out.cap - (ptrdiff_t)stream->out_counted);
    stream->out_counted = stream->out.cap;
}

static void stream_free(struct fl_http_stream *stream) {
    fl_io_timer_deinit(stream->conn->io, &stream->deadline);
    fl_buf_deinit(&stream->out);
    count_queue(stream);
    fl_fields_deinit(&stream->trailers);
    fl_http_free(stream->conn->memory, stream);
}

static struct fl_http_stream *stream_alloc(struct fl_http_conn *conn) {
    struct fl_http_stream *stream = FL_HTTP_NEW(conn->memory, struct fl_http_stream);
    if (!stream) return NULL;
    stream->conn = conn;
    fl_list_init(&stream->link);
    fl_list_init(&stream->wlink);
    fl_buf_init(&stream->out, FL_HTTP_QUEUE_MAX);
    fl_fields_init(&stream->trailers, conn->memory, TRAILERS_MAX);
    if (fl_io_timer_init(conn->io, &stream->deadline, deadline_passed) != 0) {
        stream_free(stream);
        return NULL;
    }
    return stream;
}

static struct fl_http_stream *take_spare(struct fl_http_conn *conn) {
    if (fl_list_empty(&conn->spare)) return NULL;
    struct fl_list *link = conn->spare.prev; /* the last used is the one in the cache */
    fl_list_remove(link);
    conn->spare_count--;
    return FL_CONTAINER(link, struct fl_http_stream, link);
}

struct fl_http_stream *fl_http_stream_new(struct fl_http_conn *conn) {
    struct fl_http_stream *stream = take_spare(conn);
    if (!stream) stream = stream_alloc(conn);
    if (!stream) return NULL;
    stream->now = (struct fl_http_stream_now){0};
    fl_list_push(&conn->open, &stream->link);
    conn->open_count++;
    return stream;
}

static void recycle(struct fl_http_stream *stream) {
    struct fl_http_conn *conn = stream->conn;
    if (conn->spare_count == SPARE_MAX) {
        stream_free(stream);
        return;
    }
    fl_buf_consume(&stream->out, stream->out.len);
    if (stream->out.cap > OUT_KEPT) fl_buf_release(&stream->out);
    count_queue(stream);
    fl_fields_clear(&stream->trailers);
    fl_list_push(&conn->spare, &stream->link);
    conn->spare_count++;
}

void fl_http_stream_discard(struct fl_http_stream *stream) {
    fl_list_remove(&stream->link);
    stream->conn->open_count--;
    recycle(stream);
}

void fl_http_streams_free(struct fl_http_conn *conn) {
    struct fl_http_stream *stream;
    while ((stream = take_spare(conn))) stream_free(stream);
}

/* --- the end --- */

static void set_why(struct fl_http_stream *stream, const struct fl_error *why) {
    if (why->code) {
        stream->why = *why;
    } else { /* the common end costs no copy of an empty text */
        stream->why.code = FL_OK;
        stream->why.detail[0] = '\0';
    }
}

void fl_http_stream_end(struct fl_http_stream *stream, const struct fl_error *why) {
    struct fl_http_conn *conn = stream->conn;
    if (stream->now.ended) return;
    stream->now.ended = true;
    set_why(stream, why);
    fl_io_timer_clear(conn->io, &stream->deadline);
    fl_list_remove(&stream->wlink);
    fl_list_remove(&stream->link);
    fl_list_push(&conn->ended, &stream->link);
    fl_http_conn_dirty(conn);
}

void fl_http_stream_endf(struct fl_http_stream *stream, int code, const char *format, ...) {
    struct fl_error why;
    va_list args;
    va_start(args, format);
    fl_fail_args(&why, code, format, args);
    va_end(args);
    fl_http_stream_end(stream, &why);
}

void fl_http_stream_complete(struct fl_http_stream *stream) {
    static const struct fl_error ok;
    fl_http_stream_end(stream, &ok);
}

/* All end: `as_peer` says that the connection ended by itself, so that a request which never left
 * is known to be unprocessed. */
void fl_http_streams_end(struct fl_http_conn *conn, const struct fl_error *why, bool as_peer) {
    FL_LIST_EACH (&conn->open, item, next) {
        struct fl_http_stream *stream = FL_CONTAINER(item, struct fl_http_stream, link);
        if (as_peer && !conn->server && !stream->now.sent)
            fl_http_stream_endf(stream, FL_EGOAWAY, "never sent: %s", why->detail);
        else
            fl_http_stream_end(stream, why);
    }
}

static void report_end(struct fl_http_stream *stream) {
    struct fl_http_conn *conn = stream->conn;
    fl_list_remove(&stream->link);
    conn->proto->forget(stream);
    stream->now.reported = true;
    if (--conn->open_count == 0) conn->idle_since_ms = fl_io_now_ms(conn->io);
    if (stream->now.events)
        stream->now.events->on_close(stream->now.arg, stream, &stream->why, stream->now.h2_code);
    recycle(stream);
}

void fl_http_streams_report(struct fl_http_conn *conn) {
    while (!fl_list_empty(&conn->writable)) {
        struct fl_http_stream *stream =
            FL_CONTAINER(conn->writable.next, struct fl_http_stream, wlink);
        fl_list_remove(&stream->wlink);
        if (stream->now.events && stream->now.events->on_writable)
            stream->now.events->on_writable(stream->now.arg, stream);
    }
    while (!fl_list_empty(&conn->ended))
        report_end(FL_CONTAINER(conn->ended.next, struct fl_http_stream, link));
}

/* --- from the peer --- */

void fl_http_stream_got_data(struct fl_http_stream *stream, struct fl_str bytes) {
    stream->now.unconsumed += bytes.n;
    if (stream->now.ended || !stream->now.events->on_data)
        fl_http_stream_consume(stream, bytes.n);
    else
        stream->now.events->on_data(stream->now.arg, stream, bytes);
}

void fl_http_stream_got_trailers(struct fl_http_stream *stream, struct fl_http_headers trailers) {
    if (!stream->now.ended && stream->now.events->on_trailers)
        stream->now.events->on_trailers(stream->now.arg, stream, trailers);
}

void fl_http_stream_got_end(struct fl_http_stream *stream) {
    stream->now.remote_end = true;
    if (!stream->now.ended && stream->now.events->on_end)
        stream->now.events->on_end(stream->now.arg, stream);
}

/* --- to the peer --- */

void fl_http_stream_sent(struct fl_http_stream *stream, size_t n) {
    size_t before = fl_http_stream_queued(stream), copied = FL_MIN(n, stream->out.len);
    fl_buf_consume(&stream->out, copied);
    stream->now.lent = fl_str_from(stream->now.lent, n - copied);
    bool low = before - n < WRITABLE_LOW;
    if (!low || (before < WRITABLE_LOW && !stream->now.full)) return;
    stream->now.full = false;
    if (stream->now.ended || stream->now.local_end) return;
    fl_list_remove(&stream->wlink);
    fl_list_push(&stream->conn->writable, &stream->wlink);
    fl_http_conn_dirty(stream->conn);
}

void fl_http_stream_attach(struct fl_http_stream *stream,
                           const struct fl_http_stream_events *events, void *arg) {
    stream->now.events = events;
    stream->now.arg = arg;
}

int fl_http_stream_respond(struct fl_http_stream *stream, const struct fl_http_response *head,
                           bool end) {
    FL_ASSERT(stream->conn->server);
    if (stream->now.ended) return FL_ESHUTDOWN;
    if (stream->now.head_out) return FL_EPROTO;
    stream->now.local_end = end;
    int rc = stream->conn->proto->respond(stream, head);
    if (rc) {
        stream->now.local_end = false;
        return rc;
    }
    stream->now.head_out = true;
    fl_http_conn_dirty(stream->conn);
    return 0;
}

/* May body bytes, their end or trailers be queued now? */
static int may_write(const struct fl_http_stream *stream) {
    if (stream->now.ended || stream->now.local_end) return FL_ESHUTDOWN;
    return stream->conn->server && !stream->now.head_out ? FL_EPROTO : 0;
}

/* on_writable is owed; asking again before it comes does not count again. */
static void note_full(struct fl_http_stream *stream) {
    if (!stream->now.full) fl_http_conn_limited(stream->conn, FL_HTTP_LIMIT_BODY_QUEUE);
    stream->now.full = true;
}

/* All of the parts or none; there must be room for `n` bytes. */
static int queue_parts(struct fl_http_stream *stream, const struct fl_str *parts, size_t count,
                       size_t n) {
    size_t before = stream->out.len;
    int rc = n > FL_HTTP_QUEUE_MAX - before ? FL_EFULL : 0;
    for (size_t i = 0; i < count && !rc; i++) rc = fl_buf_append(&stream->out, parts[i]);
    if (rc) fl_buf_truncate(&stream->out, before);
    count_queue(stream);
    if (rc == FL_EFULL) note_full(stream);
    return rc;
}

/* Sends what the caller's memory holds and keeps a copy of the rest. */
static void send_lent(struct fl_http_stream *stream) {
    fl_http_conn_pump(stream->conn);
    struct fl_str rest = stream->now.lent;
    stream->now.lent = FL_STR_NONE;
    if (fl_buf_append(&stream->out, rest) != 0) { /* what went out cannot be taken back */
        struct fl_error why;
        fl_fail_nomem(&why);
        fl_http_stream_reset(stream, CODE_INTERNAL_ERROR, &why);
    }
    count_queue(stream);
}

int fl_http_stream_write_parts(struct fl_http_stream *stream, const struct fl_str *parts,
                               size_t count, bool end) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += parts[i].n;
    if (n > FL_HTTP_QUEUE_MAX) return FL_EUSAGE; /* no waiting makes room for it */
    size_t before = stream->out.len;
    size_t copied = count - (stream->conn->at_rest && count && parts[count - 1].n >= LENT_MIN);
    int rc = may_write(stream);
    if (!rc) rc = queue_parts(stream, parts, copied, n);
    if (rc) return rc;
    stream->now.local_end = end;
    if (copied < count) stream->now.lent = parts[copied];
    rc = stream->conn->proto->more(stream);
    if (rc) {
        fl_buf_truncate(&stream->out, before);
        stream->now.lent = FL_STR_NONE;
        stream->now.local_end = false;
        return rc;
    }
    if (copied < count) send_lent(stream);
    fl_http_conn_dirty(stream->conn);
    return 0;
}

int fl_http_stream_write(struct fl_http_stream *stream, struct fl_str bytes, bool end) {
    return fl_http_stream_write_parts(stream, &bytes, 1, end);
}

int fl_http_stream_trailers(struct fl_http_stream *stream, struct fl_http_headers trailers) {
    int rc = may_write(stream);
    if (rc) return rc;
    stream->now.local_end = stream->now.has_trailers = true;
    rc = fl_fields_copy(&stream->trailers, trailers);
    if (!rc) rc = stream->conn->proto->more(stream);
    if (rc) {
        fl_fields_clear(&stream->trailers);
        stream->now.local_end = stream->now.has_trailers = false;
        return rc;
    }
    fl_http_conn_dirty(stream->conn);
    return 0;
}

bool fl_http_stream_has_left(const struct fl_http_stream *stream) { return stream->now.sent; }

size_t fl_http_stream_queued(const struct fl_http_stream *stream) {
    return stream->out.len + stream->now.lent.n;
}

void fl_http_stream_consume(struct fl_http_stream *stream, size_t n) {
    FL_ASSERT(n <= stream->now.unconsumed);
    size_t held = FL_MIN(n, stream->now.held);
    stream->now.unconsumed -= n;
    stream->now.held -= held;
    if (stream->now.reported) return; /* forgetting it gave everything back */
    stream->conn->proto->consumed(stream, n, held);
    fl_http_conn_dirty(stream->conn);
}

void fl_http_stream_hold(struct fl_http_stream *stream, size_t n) {
    FL_ASSERT(n <= stream->now.unconsumed - stream->now.held);
    if (stream->now.reported) return;
    stream->now.held += n;
    if (stream->conn->proto->held) stream->conn->proto->held(stream, n);
    fl_http_conn_dirty(stream->conn);
}

void fl_http_stream_reset(struct fl_http_stream *stream, uint32_t h2_code,
                          const struct fl_error *why) {
    if (stream->now.ended) return;
    fl_http_stream_end(stream, why);
    stream->conn->proto->reset(stream, h2_code);
}

void fl_http_stream_deadline(struct fl_http_stream *stream, uint64_t at_ms) {
    if (stream->now.ended) return;
    if (at_ms)
        fl_io_timer_set(stream->conn->io, &stream->deadline, at_ms);
    else
        fl_io_timer_clear(stream->conn->io, &stream->deadline);
}
