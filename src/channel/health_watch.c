/* health_watch.c - one stream for as long as the connection lasts.
 *
 *            start           first answer
 *      OFF ────────> ASKED ──────────────> TOLD
 *                    ^   │ ended, silent    │ ended
 *                    │   v                  │
 *                    PAUSED <───────────────┘      UNIMPLEMENTED, HTTP/1.1: EXEMPT
 *
 * By gRPC's rules: only SERVING is healthy, a watch that ends is not, it is tried again with the
 * backoff of connections, and UNIMPLEMENTED is healthy. Two things gRPC does not say: the first
 * answer has a deadline, and a watch that ends after it had worked for a while (a proxy on the way
 * limits the age of streams) is started again at once with the verdict that it gave, so that no
 * call fails for that. */
#include "channel/health_watch.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/sm.h"
#include "channel/reply.h"
#include "wire/grpc_health.h"
#include "wire/pb.h"

#define REQUEST_MAX ((size_t)4096)
#define ANSWER_MAX  ((size_t)4096)
#define H2_CANCEL   8u /* RFC 9113 section 7 */

enum { OFF, ASKED, TOLD, PAUSED, EXEMPT };

static const uint32_t moves[] = {
    [OFF] = FL_TO(ASKED) | FL_TO(PAUSED) | FL_TO(EXEMPT),
    [ASKED] = FL_TO(OFF) | FL_TO(ASKED) | FL_TO(TOLD) | FL_TO(PAUSED) | FL_TO(EXEMPT),
    [TOLD] = FL_TO(OFF) | FL_TO(ASKED) | FL_TO(PAUSED) | FL_TO(EXEMPT),
    [PAUSED] = FL_TO(OFF) | FL_TO(ASKED) | FL_TO(PAUSED) | FL_TO(EXEMPT),
    [EXEMPT] = FL_TO(OFF) | FL_TO(ASKED) | FL_TO(PAUSED) | FL_TO(EXEMPT),
};

struct fl_health_watch {
    struct fl_health_question *question;
    const char *peer;
    void (*on_verdict)(void *arg);
    void *arg;
    int state;
    enum fl_channel_state verdict;
    struct fl_error why; /* of TRANSIENT_FAILURE */
    struct fl_http_conn *conn;
    struct fl_http_stream *stream; /* ASKED, TOLD */
    struct fl_reply reply;         /* of the stream */
    struct fl_backoff backoff;
    struct fl_timer timer; /* ASKED: the deadline; PAUSED: the next try */
    uint64_t told_ms;      /* TOLD: since when */
};

/* --- the question --- */

int fl_health_question_init(struct fl_health_question *question, struct fl_io *io,
                            const char *service, const struct fl_http_request *head) {
    question->io = io;
    question->head = *head;
    question->head.method = FL_STR("POST");
    question->head.path = FL_STR("/grpc.health.v1.Health/Watch");
    question->unhealthy =
        fl_metrics_get(io->metrics, FL_METRIC_GAUGE, "fairlead_channel_unhealthy",
                       "Endpoints that get no calls by their health, by check.", "check=grpc");
    fl_buf_init(&question->message, REQUEST_MAX);
    struct fl_pb_writer writer = fl_pb_writer_of(&question->message);
    fl_pb_put_text(&writer, 1, fl_str_of(service)); /* HealthCheckRequest {string service = 1} */
    fl_grpc_prefix((uint32_t)question->message.len, question->prefix);
    return fl_pb_finish(&writer);
}

void fl_health_question_deinit(struct fl_health_question *question) {
    fl_buf_deinit(&question->message);
}

/* --- verdicts --- */

static void log_verdict(const struct fl_health_watch *watch, enum fl_channel_state verdict,
                        const struct fl_error *why) {
    struct fl_io *io = watch->question->io;
    if (verdict == FL_CHANNEL_TRANSIENT_FAILURE)
        FL_LOG(io, FL_LOG_WARN, "endpoint is not healthy", FL_LOG_TEXT_OF("peer", watch->peer),
               FL_LOG_ERROR_OF(why));
    else
        FL_LOG(io, watch->verdict == FL_CHANNEL_TRANSIENT_FAILURE ? FL_LOG_INFO : FL_LOG_DEBUG,
               "endpoint is healthy", FL_LOG_TEXT_OF("peer", watch->peer));
}

static void set_verdict(struct fl_health_watch *watch, enum fl_channel_state verdict) {
    int before = watch->verdict == FL_CHANNEL_TRANSIENT_FAILURE;
    int after = verdict == FL_CHANNEL_TRANSIENT_FAILURE;
    fl_metric_add(watch->question->unhealthy, after - before);
    watch->verdict = verdict;
}

static void judge(struct fl_health_watch *watch, enum fl_channel_state verdict,
                  const struct fl_error *why) {
    if (watch->verdict != verdict) log_verdict(watch, verdict, why);
    set_verdict(watch, verdict);
    watch->why = *why;
    watch->on_verdict(watch->arg);
}

/* --- how a stream ends --- */

static void move(struct fl_health_watch *watch, int to) {
    fl_sm_move(&watch->state, moves, to);
    FL_ASSERT((watch->stream != NULL) == (to == ASKED || to == TOLD));
    FL_ASSERT(fl_timer_is_set(&watch->timer) == (to == ASKED || to == PAUSED));
}

static void count_end(const struct fl_health_watch *watch, enum fl_status status) {
    char labels[48];
    snprintf(labels, sizeof(labels), "status=%s", fl_status_name(status));
    fl_metric_add(fl_metrics_get(watch->question->io->metrics, FL_METRIC_COUNTER,
                                 "fairlead_channel_health_watches_ended_total",
                                 "Health watches that ended, by status.", labels),
                  1);
}

/* The stream is over, or there was none. */
static void lose(struct fl_health_watch *watch, const struct fl_error *why) {
    struct fl_io *io = watch->question->io;
    uint64_t now = fl_io_now_ms(io);
    bool steady = watch->state == TOLD && now - watch->told_ms >= watch->question->backoff.min_ms;
    uint64_t delay = steady ? 0 : fl_backoff_failure(&watch->backoff, now, &io->jitter);
    FL_LOG(io, FL_LOG_DEBUG, "health watch is tried again", FL_LOG_TEXT_OF("peer", watch->peer),
           FL_LOG_INT("retry_ms", delay), FL_LOG_ERROR_OF(why));
    fl_io_timer_set(io, &watch->timer, now + delay);
    move(watch, PAUSED);
    if (!steady) judge(watch, FL_CHANNEL_TRANSIENT_FAILURE, why);
}

/* There is nobody to ask: `why`. */
static void exempt(struct fl_health_watch *watch, const char *why) {
    static const struct fl_error ok;
    if (!watch->question->said)
        FL_LOG(watch->question->io, FL_LOG_WARN, why, FL_LOG_TEXT_OF("peer", watch->peer));
    watch->question->said = true;
    fl_io_timer_clear(watch->question->io, &watch->timer);
    move(watch, EXEMPT);
    judge(watch, FL_CHANNEL_READY, &ok);
}

/* What a stream that is given up still says is nobody's. */
static void drop_stream(struct fl_health_watch *watch, const struct fl_error *why) {
    if (!watch->stream) return;
    fl_http_stream_reset(watch->stream, H2_CANCEL, why);
    watch->stream = NULL;
    fl_reply_deinit(&watch->reply);
}

static void give_up(struct fl_health_watch *watch, const struct fl_error *cause) {
    struct fl_error why;
    fl_fail(&why, FL_EUNHEALTHY, "health watch: %s (%s)", cause->detail,
            fl_error_name(cause->code));
    drop_stream(watch, cause);
    count_end(watch, fl_status_of_error(cause->code));
    lose(watch, &why);
}

/* --- what the server says --- */

static void on_response(void *arg, struct fl_http_stream *stream,
                        const struct fl_http_response *head) {
    struct fl_health_watch *watch = arg;
    struct fl_error err;
    if (watch->stream == stream && fl_reply_head(&watch->reply, head, &err) != 0)
        give_up(watch, &err);
}

static int take(struct fl_health_watch *watch, struct fl_str message, struct fl_error *err) {
    uint64_t status;
    struct fl_io *io = watch->question->io;
    if (!fl_health_read_response(message, &status))
        return fl_fail(err, FL_EPROTO, "malformed HealthCheckResponse");
    uint64_t now = fl_io_now_ms(io);
    if (watch->state == ASKED) {
        watch->told_ms = now;
        fl_io_timer_clear(io, &watch->timer);
        move(watch, TOLD);
    }
    fl_backoff_success(&watch->backoff, now);
    struct fl_error why = {FL_OK, ""};
    if (status != FL_HEALTH_SERVING)
        fl_fail(&why, FL_EUNHEALTHY, "the endpoint says that its health is %s",
                fl_health_status_name(status));
    judge(watch, status == FL_HEALTH_SERVING ? FL_CHANNEL_READY : FL_CHANNEL_TRANSIENT_FAILURE,
          &why);
    return 0;
}

static void on_data(void *arg, struct fl_http_stream *stream, struct fl_str bytes) {
    struct fl_health_watch *watch = arg;
    struct fl_str message;
    struct fl_error err;
    fl_http_stream_consume(stream, bytes.n);
    if (watch->stream != stream) return;
    int rc;
    while ((rc = fl_reply_next(&watch->reply, &bytes, &message, &err)) == 1) {
        rc = take(watch, message, &err);
        if (rc != 0) break;
    }
    if (rc != 0) give_up(watch, &err);
}

static void on_trailers(void *arg, struct fl_http_stream *stream, struct fl_http_headers trailers) {
    struct fl_health_watch *watch = arg;
    struct fl_error err;
    if (watch->stream == stream && fl_reply_trailers(&watch->reply, trailers, &err) != 0)
        give_up(watch, &err);
}

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *cause,
                     uint32_t h2_code) {
    struct fl_health_watch *watch = arg;
    if (watch->stream != stream) return;
    struct fl_error detail, why;
    struct fl_call_result result;
    fl_reply_result(&watch->reply, cause, h2_code, &detail, &result);
    fl_fail(&why, FL_EUNHEALTHY, "health watch ended: %s%s%s", fl_status_name(result.status),
            result.message[0] ? ": " : "", result.message);
    watch->stream = NULL;
    fl_reply_deinit(&watch->reply);
    count_end(watch, result.status);
    if (result.status == FL_STATUS_UNIMPLEMENTED)
        exempt(watch, "server has no health service, endpoints like this one count as healthy");
    else
        lose(watch, &why);
}

static const struct fl_http_stream_events events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_close = on_close,
};

/* --- asking --- */

static void ask(struct fl_health_watch *watch) {
    const struct fl_health_question *question = watch->question;
    struct fl_error err;
    int rc = fl_http_conn_request(watch->conn, &question->head, false, &events, watch,
                                  &watch->stream, &err);
    if (rc != 0) {
        watch->stream = NULL;
        give_up(watch, &err);
        return;
    }
    fl_reply_init(&watch->reply, ANSWER_MAX, false);
    const struct fl_str parts[] = {fl_str_n(question->prefix, FL_GRPC_PREFIX),
                                   fl_buf_str(&question->message)};
    rc = fl_http_stream_write_parts(watch->stream, parts, FL_COUNT(parts), true);
    if (rc != 0) {
        fl_fail(&err, rc, "%s", fl_error_text(rc));
        give_up(watch, &err);
        return;
    }
    fl_io_timer_set(question->io, &watch->timer, fl_io_now_ms(question->io) + question->answer_ms);
    move(watch, ASKED);
}

static void timer_due(struct fl_timer *timer) {
    struct fl_health_watch *watch = FL_CONTAINER(timer, struct fl_health_watch, timer);
    if (watch->state == PAUSED) {
        ask(watch);
        return;
    }
    struct fl_error silent;
    fl_fail(&silent, FL_ETIMEOUT, "no answer within %u ms", (unsigned)watch->question->answer_ms);
    give_up(watch, &silent);
}

int fl_health_watch_new(struct fl_health_question *question, const char *peer,
                        void (*on_verdict)(void *arg), void *arg, struct fl_health_watch **out) {
    struct fl_health_watch *watch = FL_NEW(struct fl_health_watch);
    if (!watch) return FL_ENOMEM;
    if (fl_io_timer_init(question->io, &watch->timer, timer_due) != 0) {
        fl_free(watch);
        return FL_ENOMEM;
    }
    watch->question = question;
    watch->peer = peer;
    watch->on_verdict = on_verdict;
    watch->arg = arg;
    watch->verdict = FL_CHANNEL_CONNECTING;
    *out = watch;
    return 0;
}

void fl_health_watch_free(struct fl_health_watch *watch) {
    if (!watch) return;
    FL_ASSERT(watch->state == OFF);
    fl_io_timer_deinit(watch->question->io, &watch->timer);
    fl_free(watch);
}

void fl_health_watch_start(struct fl_health_watch *watch, struct fl_http_conn *conn) {
    struct fl_error moved = {FL_ECANCELLED, "another connection"};
    drop_stream(watch, &moved);
    fl_io_timer_clear(watch->question->io, &watch->timer);
    watch->conn = conn;
    fl_backoff_init(&watch->backoff, &watch->question->backoff);
    if (fl_http_conn_is_h2(conn))
        ask(watch);
    else
        exempt(watch, "HTTP/1.1 has no gRPC health, endpoints like this one count as healthy");
}

void fl_health_watch_stop(struct fl_health_watch *watch) {
    struct fl_error over = {FL_ECANCELLED, "the connection is let go"};
    if (watch->state == OFF) return;
    drop_stream(watch, &over);
    fl_io_timer_clear(watch->question->io, &watch->timer);
    move(watch, OFF);
    set_verdict(watch, FL_CHANNEL_CONNECTING);
}

enum fl_channel_state fl_health_watch_verdict(const struct fl_health_watch *watch) {
    return watch->verdict;
}

const struct fl_error *fl_health_watch_why(const struct fl_health_watch *watch) {
    return &watch->why;
}
