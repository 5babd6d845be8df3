/* conn.c - a connection: its sock, its states, its deadlines, and the turn.
 *
 * The loop's thread only. Everything that changes a connection ends in fl_http_conn_dirty, which
 * defers one turn: it reports what was noted (streams that ended, readiness, GOAWAY, room), pumps
 * what there is to send into the sock, which writes once per turn of the loop, closes a leaving
 * connection whose last stream is done, and frees one whose sock is gone. Nothing else frees. */
#include "http/inner.h"

#include "base/sm.h"
#include "http/memory.h"

#define READY_TIMEOUT_MS 20000
#define PING_TIMEOUT_MS  15000
#define WINDOW_BYTES     ((uint32_t)1024 * 1024)
#define HEADER_BYTES_MAX ((uint32_t)16 * 1024)
#define STREAMS_MAX      1000
#define SNIFFED_MAX      ((size_t)1024 * 1024)         /* more than any one read */
#define WINDOW_BYTES_MAX ((uint32_t)512 * 1024 * 1024) /* four of them are a window still */

static const uint32_t moves[] = {
    [FL_HTTP_OPENING] = FL_TO(FL_HTTP_GREETING) | FL_TO(FL_HTTP_CLOSING),
    [FL_HTTP_GREETING] = FL_TO(FL_HTTP_READY) | FL_TO(FL_HTTP_LEAVING) | FL_TO(FL_HTTP_CLOSING),
    [FL_HTTP_READY] = FL_TO(FL_HTTP_LEAVING) | FL_TO(FL_HTTP_CLOSING),
    [FL_HTTP_LEAVING] = FL_TO(FL_HTTP_CLOSING),
    [FL_HTTP_CLOSING] = FL_TO(FL_HTTP_CLOSED),
    [FL_HTTP_CLOSED] = 0,
};

static void move(struct fl_http_conn *conn, enum fl_http_conn_state to) {
    fl_sm_move(&conn->state, moves, (int)to);
}

void fl_http_conn_dirty(struct fl_http_conn *conn) {
    if (conn->state != FL_HTTP_CLOSED) fl_io_defer(conn->io, &conn->turn);
}

void fl_http_conn_limited(struct fl_http_conn *conn, enum fl_http_limit limit) {
    struct fl_metric **metric = &conn->limited[limit];
    if (!*metric) *metric = fl_http_limit_metric(conn->io, limit);
    fl_metric_add(*metric, 1);
}

/* --- the end --- */

/* Streams are left alone: the caller has ended them. */
static void start_closing(struct fl_http_conn *conn, const struct fl_error *why) {
    conn->why = *why;
    move(conn, FL_HTTP_CLOSING);
    fl_io_timer_clear(conn->io, &conn->phase);
    fl_http_conn_dirty(conn);
}

void fl_http_conn_fail(struct fl_http_conn *conn, const struct fl_error *why) {
    if (!fl_http_conn_alive(conn)) return;
    fl_http_streams_end(conn, why, true);
    start_closing(conn, why);
}

void fl_http_conn_failf(struct fl_http_conn *conn, int code, const char *format, ...) {
    struct fl_error why;
    va_list args;
    va_start(args, format);
    fl_fail_args(&why, code, format, args);
    va_end(args);
    fl_http_conn_fail(conn, &why);
}

void fl_http_conn_fail_nomem(struct fl_http_conn *conn) {
    struct fl_error why;
    fl_fail_nomem(&why);
    fl_http_conn_fail(conn, &why);
}

/* Nothing is expected from the peer any more, so nothing is said to it either. */
static void fail_silent(struct fl_http_conn *conn, const char *what, uint32_t after_ms) {
    conn->quiet = true;
    fl_http_conn_failf(conn, FL_ETIMEOUT, "%s within %u ms", what, after_ms);
}

static void free_conn(struct fl_http_conn *conn) {
    if (conn->proto) conn->proto->free(conn);
    fl_http_streams_free(conn);
    fl_io_timer_deinit(conn->io, &conn->phase);
    fl_buf_deinit(&conn->sniffed);
    fl_fields_deinit(&conn->fields);
    struct fl_http_memory *memory = conn->memory;
    fl_http_free(memory, conn);
    fl_http_memory_free(memory);
}

/* --- the turn --- */

static void note_room(struct fl_http_conn *conn) {
    bool room = fl_http_conn_room(conn) > 0;
    bool rose = room && !conn->had_room;
    conn->had_room = room;
    if (rose && conn->events->on_room) conn->events->on_room(conn->arg, conn);
}

static void report(struct fl_http_conn *conn) {
    fl_http_streams_report(conn);
    if (conn->ready_noted && fl_http_conn_alive(conn)) {
        conn->ready_noted = false;
        conn->had_room = fl_http_conn_room(conn) > 0; /* on_ready says it */
        if (conn->events->on_ready) conn->events->on_ready(conn->arg, conn);
    }
    if (conn->goaway_noted && fl_http_conn_alive(conn)) {
        conn->goaway_noted = false;
        if (conn->events->on_goaway)
            conn->events->on_goaway(conn->arg, conn, conn->goaway_code,
                                    fl_str_n(conn->goaway_debug, conn->goaway_debug_n));
    }
    if (conn->answer_noted && fl_http_conn_alive(conn)) {
        conn->answer_noted = false;
        if (conn->events->on_answer) conn->events->on_answer(conn->arg, conn);
    }
    if (conn->state == FL_HTTP_READY && !conn->server) note_room(conn);
}

void fl_http_conn_pump(struct fl_http_conn *conn) {
    if (conn->proto && conn->sock && !conn->sock_ended && !conn->quiet) conn->proto->pump(conn);
}

static void close_if_left(struct fl_http_conn *conn) {
    static const struct fl_error ok;
    if (conn->state != FL_HTTP_LEAVING || conn->open_count > 0) return;
    if (!conn->proto->settled(conn)) return;
    conn->say_goodbye = true;
    start_closing(conn, &ok);
}

static void end_sock(struct fl_http_conn *conn) {
    if (conn->state != FL_HTTP_CLOSING || !conn->sock || conn->sock_ended) return;
    if (conn->say_goodbye && conn->proto && !conn->quiet) {
        if (conn->proto->goodbye) conn->proto->goodbye(conn);
        fl_http_conn_pump(conn);
    }
    conn->sock_ended = true;
    if (conn->quiet)
        fl_sock_abort(conn->io, conn->sock);
    else
        fl_sock_close(conn->io, conn->sock);
}

static void watch_idle(struct fl_http_conn *conn) {
    if (conn->state != FL_HTTP_READY || !conn->options.idle_timeout_ms || conn->open_count) return;
    if (!fl_timer_is_set(&conn->phase))
        fl_io_timer_set(conn->io, &conn->phase,
                        conn->idle_since_ms + conn->options.idle_timeout_ms);
}

static void finalise(struct fl_http_conn *conn) {
    move(conn, FL_HTTP_CLOSED);
    conn->events->on_close(conn->arg, conn, &conn->why);
    free_conn(conn);
}

static void run_turn(struct fl_task *task) {
    struct fl_http_conn *conn = FL_CONTAINER(task, struct fl_http_conn, turn);
    if (conn->state == FL_HTTP_CLOSING) fl_http_conn_pump(conn); /* what ended streams had queued */
    report(conn);
    fl_http_conn_pump(conn);
    close_if_left(conn);
    end_sock(conn);
    watch_idle(conn);
    bool again = atomic_load_explicit(&conn->turn.queued, memory_order_relaxed);
    if (!conn->sock && !again) finalise(conn);
}

/* --- states --- */

static void ready_late(struct fl_http_conn *conn) {
    uint32_t ms = conn->options.ready_timeout_ms;
    if (conn->proto == &fl_http_proto_h2)
        fail_silent(conn, "no HTTP/2 SETTINGS from the peer", ms);
    else
        fail_silent(conn, conn->server ? "no request" : "no connection", ms);
}

static void idle_late(struct fl_http_conn *conn) {
    uint64_t at_ms = conn->idle_since_ms + conn->options.idle_timeout_ms;
    if (conn->open_count > 0) return; /* the turn that reports the last one sets it again */
    if (at_ms > fl_io_now_ms(conn->io))
        fl_io_timer_set(conn->io, &conn->phase, at_ms);
    else if (conn->server)
        fl_http_conn_drain(conn); /* a request may be on its way */
    else
        fl_http_conn_close(conn);
}

static void phase_due(struct fl_timer *timer) {
    struct fl_http_conn *conn = FL_CONTAINER(timer, struct fl_http_conn, phase);
    if (conn->state == FL_HTTP_READY)
        idle_late(conn);
    else
        ready_late(conn);
}

static void choose(struct fl_http_conn *conn, bool h2) {
    if ((h2 ? fl_h2_new(conn) : fl_h1_new(conn)) != 0) {
        fl_http_conn_fail_nomem(conn);
        return;
    }
    conn->proto = h2 ? &fl_http_proto_h2 : &fl_http_proto_h1;
    move(conn, FL_HTTP_GREETING);
    if (!h2 && !conn->server) fl_http_conn_ready(conn);
    fl_http_conn_dirty(conn);
}

void fl_http_conn_ready(struct fl_http_conn *conn) {
    if (conn->state != FL_HTTP_GREETING) return;
    move(conn, FL_HTTP_READY);
    fl_io_timer_clear(conn->io, &conn->phase);
    conn->idle_since_ms = fl_io_now_ms(conn->io);
    conn->ready_noted = !conn->server;
    fl_http_conn_dirty(conn);
}

void fl_http_conn_leave(struct fl_http_conn *conn, uint32_t h2_code, struct fl_str debug) {
    if (!fl_http_conn_alive(conn)) return;
    if (conn->state != FL_HTTP_LEAVING) move(conn, FL_HTTP_LEAVING);
    fl_io_timer_clear(conn->io, &conn->phase);
    conn->goaway_noted = !conn->server;
    conn->goaway_code = h2_code;
    conn->goaway_debug_n = FL_MIN(debug.n, sizeof conn->goaway_debug);
    if (debug.n) memcpy(conn->goaway_debug, debug.p, conn->goaway_debug_n);
    fl_http_conn_dirty(conn);
}

/* --- the sock --- */

static void sock_open(void *arg, struct fl_str alpn) {
    struct fl_http_conn *conn = arg;
    if (!fl_http_conn_alive(conn)) return;
    conn->last_read_ms = fl_io_now_ms(conn->io);
    bool agreed = conn->tls && fl_str_eq(alpn, FL_STR("h2"));
    bool wanted =
        conn->options.version == FL_HTTP_BY_ALPN ? agreed : conn->options.version == FL_HTTP_2;
    if (conn->tls && wanted != agreed)
        fl_http_conn_failf(conn, FL_ETLS, "the peer agreed to \"%.*s\" by ALPN, not to %s",
                           FL_STR_ARG(alpn), wanted ? "h2" : "http/1.1");
    else
        choose(conn, wanted);
}

/* Server: HTTP/2 begins with a preface that no HTTP/1.1 request can be (RFC 9113 section 3.4). */
static void sniff(struct fl_http_conn *conn, struct fl_str bytes) {
    static const struct fl_str preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};
    if (fl_buf_append(&conn->sniffed, bytes) != 0) {
        fl_http_conn_fail_nomem(conn);
        return;
    }
    struct fl_str all = fl_buf_str(&conn->sniffed);
    if (!all.p) return;
    size_t n = FL_MIN(all.n, preface.n);
    bool h2 = memcmp(all.p, preface.p, n) == 0;
    if (h2 && n < preface.n) return;
    choose(conn, h2);
    if (fl_http_conn_alive(conn)) conn->proto->feed(conn, all);
    fl_buf_deinit(&conn->sniffed);
}

static void sock_data(void *arg, struct fl_str bytes) {
    struct fl_http_conn *conn = arg;
    if (!fl_http_conn_alive(conn)) return;
    conn->last_read_ms = fl_io_now_ms(conn->io);
    if (conn->proto)
        conn->proto->feed(conn, bytes);
    else
        sniff(conn, bytes);
    fl_http_conn_dirty(conn);
}

static void sock_writable(void *arg) { fl_http_conn_dirty(arg); }

static void sock_eof(void *arg) {
    struct fl_http_conn *conn = arg;
    if (!fl_http_conn_alive(conn)) return;
    if (conn->proto)
        conn->proto->eof(conn);
    else
        fl_http_conn_failf(conn, FL_ECLOSED, "closed by the peer before a request");
}

static void sock_close(void *arg, const struct fl_error *why) {
    struct fl_http_conn *conn = arg;
    conn->sock = NULL;
    if (why->code)
        fl_http_conn_fail(conn, why);
    else
        fl_http_conn_failf(conn, FL_ECLOSED, "%s", fl_error_text(FL_ECLOSED));
    fl_http_conn_dirty(conn);
}

static const struct fl_sock_events sock_events = {
    .on_open = sock_open,
    .on_data = sock_data,
    .on_writable = sock_writable,
    .on_eof = sock_eof,
    .on_close = sock_close,
};

/* --- making one --- */

static uint32_t or_default(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

static struct fl_http_options fill_in(const struct fl_http_options *given) {
    struct fl_http_options o = *given;
    o.ready_timeout_ms = or_default(o.ready_timeout_ms, READY_TIMEOUT_MS);
    o.ping_timeout_ms = or_default(o.ping_timeout_ms, PING_TIMEOUT_MS);
    o.window_bytes = FL_MIN(or_default(o.window_bytes, WINDOW_BYTES), WINDOW_BYTES_MAX);
    o.window_bytes_max = FL_MIN(FL_MAX(o.window_bytes_max, o.window_bytes), WINDOW_BYTES_MAX);
    o.header_bytes_max = or_default(o.header_bytes_max, HEADER_BYTES_MAX);
    o.streams_max = or_default(o.streams_max, STREAMS_MAX);
    return o;
}

static struct fl_http_conn *conn_new(struct fl_io *io, const struct fl_http_options *options,
                                     const struct fl_http_conn_events *events, void *arg) {
    struct fl_http_memory *memory = fl_http_memory_new();
    struct fl_http_conn *conn = FL_HTTP_NEW(memory, struct fl_http_conn);
    if (!conn) return NULL; /* then there were no pages either */
    conn->io = io;
    conn->memory = memory;
    conn->events = events;
    conn->arg = arg;
    conn->options = fill_in(options);
    conn->state = FL_HTTP_OPENING;
    conn->last_read_ms = fl_io_now_ms(io);
    fl_list_init(&conn->open);
    fl_list_init(&conn->ended);
    fl_list_init(&conn->spare);
    fl_list_init(&conn->writable);
    fl_task_init(&conn->turn, run_turn);
    fl_buf_init(&conn->sniffed, SNIFFED_MAX);
    fl_fields_init(&conn->fields, memory, conn->options.header_bytes_max);
    if (fl_io_timer_init(io, &conn->phase, phase_due) != 0) {
        free_conn(conn);
        return NULL;
    }
    return conn;
}

int fl_http_conn_dial(struct fl_io *io, const struct fl_dial *dial,
                      const struct fl_http_options *options,
                      const struct fl_http_conn_events *events, void *arg,
                      struct fl_http_conn **out, struct fl_error *err) {
    struct fl_http_conn *conn = conn_new(io, options, events, arg);
    if (!conn) return fl_fail_nomem(err);
    struct fl_dial timed = *dial;
    timed.deadline_ms = fl_io_now_ms(io) + conn->options.ready_timeout_ms;
    timed.user_timeout_ms = conn->options.user_timeout_ms;
    conn->tls = dial->tls != NULL;
    int rc = fl_io_dial(io, &timed, &sock_events, conn, &conn->sock, err);
    if (rc) {
        free_conn(conn);
        return rc;
    }
    fl_io_timer_set(io, &conn->phase, timed.deadline_ms);
    *out = conn;
    return 0;
}

int fl_http_conn_take_accepted(struct fl_io *io, struct fl_sock *sock,
                               const struct fl_http_options *options,
                               const struct fl_http_conn_events *events, void *arg,
                               struct fl_http_conn **out, struct fl_error *err) {
    struct fl_http_conn *conn = conn_new(io, options, events, arg);
    if (!conn) {
        fl_sock_abort(io, sock);
        return fl_fail_nomem(err);
    }
    conn->server = true;
    conn->sock = sock;
    fl_sock_attach(io, sock, &sock_events, conn);
    fl_io_timer_set(io, &conn->phase, fl_io_now_ms(io) + conn->options.ready_timeout_ms);
    if (conn->options.version != FL_HTTP_BY_ALPN) choose(conn, conn->options.version == FL_HTTP_2);
    *out = conn;
    return 0;
}

/* --- what owners ask and say --- */

bool fl_http_conn_is_h2(const struct fl_http_conn *conn) {
    return conn->proto == &fl_http_proto_h2;
}
size_t fl_http_conn_streams(const struct fl_http_conn *conn) { return conn->open_count; }
uint64_t fl_http_conn_last_read_ms(const struct fl_http_conn *conn) { return conn->last_read_ms; }

size_t fl_http_conn_room(const struct fl_http_conn *conn) {
    return conn->state == FL_HTTP_READY && !conn->server ? conn->proto->room(conn) : 0;
}

void fl_http_conn_peer(const struct fl_http_conn *conn, char *out, size_t size) {
    if (conn->sock)
        fl_sock_peer(conn->io, conn->sock, out, size);
    else if (size)
        out[0] = '\0';
}

int fl_http_conn_request(struct fl_http_conn *conn, const struct fl_http_request *head, bool end,
                         const struct fl_http_stream_events *events, void *arg,
                         struct fl_http_stream **out, struct fl_error *err) {
    FL_ASSERT(!conn->server);
    if (!fl_http_conn_alive(conn)) return fl_fail(err, FL_ESHUTDOWN, "the connection is closed");
    if (conn->state == FL_HTTP_LEAVING)
        return fl_fail(err, FL_EGOAWAY, "the connection takes no new streams");
    if (fl_http_conn_room(conn) == 0) {
        conn->had_room = false;
        fl_http_conn_limited(conn, FL_HTTP_LIMIT_ROOM);
        return fl_fail(err, FL_EFULL, "the connection has no room for a stream");
    }
    struct fl_http_stream *stream = fl_http_stream_new(conn);
    if (!stream) return fl_fail_nomem(err);
    fl_http_stream_attach(stream, events, arg);
    stream->now.local_end = end;
    int rc = conn->proto->request(stream, head, err);
    if (rc) {
        fl_http_stream_discard(stream);
        return rc;
    }
    if (fl_http_conn_room(conn) == 0) conn->had_room = false;
    fl_http_conn_dirty(conn);
    *out = stream;
    return 0;
}

void fl_http_conn_drain(struct fl_http_conn *conn) {
    if (!fl_http_conn_alive(conn) || conn->state == FL_HTTP_LEAVING) return;
    if (conn->state == FL_HTTP_OPENING) {
        fl_http_conn_close(conn);
        return;
    }
    if (conn->server) conn->proto->drain(conn);
    move(conn, FL_HTTP_LEAVING);
    fl_io_timer_clear(conn->io, &conn->phase);
    fl_http_conn_dirty(conn);
}

void fl_http_conn_keep(struct fl_http_conn *conn) {
    conn->options.idle_timeout_ms = 0;
    if (conn->state == FL_HTTP_READY) fl_io_timer_clear(conn->io, &conn->phase);
}

void fl_http_conn_close(struct fl_http_conn *conn) {
    static const struct fl_error ok;
    if (!fl_http_conn_alive(conn)) return;
    struct fl_error why;
    fl_fail(&why, FL_ESHUTDOWN, "%s", fl_error_text(FL_ESHUTDOWN));
    fl_http_streams_end(conn, &why, false);
    conn->say_goodbye = true;
    start_closing(conn, &ok);
}

void fl_http_conn_abort(struct fl_http_conn *conn, const struct fl_error *why) {
    if (conn->state == FL_HTTP_CLOSED) return;
    fl_http_streams_end(conn, why, false);
    if (conn->state != FL_HTTP_CLOSING) start_closing(conn, why);
    if (conn->sock) fl_sock_abort(conn->io, conn->sock); /* also if the turn was still to do it */
    conn->quiet = conn->sock_ended = true;
}
