/* health_check.c - when an endpoint is checked, and what a check does.
 *
 *            start                 a place is free
 *      OFF ────────> QUEUED ───────────────────────> RUNNING
 *                    ^                                 │ result, deadline
 *                    └──────── RESTING <───────────────┘
 *                  interval
 *
 * Checks of a channel start one after the other while fewer than concurrent_max run; who is due
 * waits its turn. The interval is spread by a tenth, so that clients which began together do not
 * check together for ever. A check has a connection of its own, which closes with it. */
#include "channel/health_check.h"

#include <fairlead/version.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/sm.h"
#include "channel/health_verdict.h"
#include "http/conn.h"

#define SPREAD_PERCENT 10
#define HOST_TEXT_MAX  (FL_ADDRESS_TEXT_MAX + 8)

enum { OFF, QUEUED, RUNNING, RESTING };

static const uint32_t moves[] = {
    [OFF] = FL_TO(QUEUED),
    [QUEUED] = FL_TO(OFF) | FL_TO(RUNNING) | FL_TO(RESTING),
    [RUNNING] = FL_TO(OFF) | FL_TO(RESTING),
    [RESTING] = FL_TO(OFF) | FL_TO(QUEUED),
};

struct fl_health_check {
    struct fl_health_checker *checker;
    struct fl_list link; /* QUEUED: the checker's */
    int state;
    struct fl_timer timer; /* RESTING: the next check; RUNNING: its deadline */
    struct fl_health_verdict verdict;
    struct fl_health_run *run; /* RUNNING */
    const char *host, *peer;
    uint16_t port;
    struct fl_error why; /* the last check that failed */
    void (*on_verdict)(void *arg);
    void *arg;
};

/* One try. It outlives its check until its connection is closed. */
struct fl_health_run {
    struct fl_health_checker *checker;
    struct fl_health_check *check; /* NULL: its result is known, or nobody wants it */
    struct fl_sock *sock;          /* TCP */
    struct fl_http_conn *conn;     /* HTTP */
    char host[HOST_TEXT_MAX];      /* HTTP: for the request */
};

static void run_waiting(struct fl_health_checker *checker);

void fl_health_checker_init(struct fl_health_checker *checker, struct fl_io *io,
                            const struct fl_health_check_options *options,
                            void (*on_empty)(void *arg), void *arg) {
    const char *check = options->kind == FL_HEALTH_CHECK_HTTP ? "check=http" : "check=tcp";
    checker->io = io;
    checker->options = options;
    checker->on_empty = on_empty;
    checker->arg = arg;
    fl_list_init(&checker->waiting);
    checker->unhealthy =
        fl_metrics_get(io->metrics, FL_METRIC_GAUGE, "fairlead_channel_unhealthy",
                       "Endpoints that get no calls by their health, by check.", check);
    checker->passed =
        fl_metrics_get(io->metrics, FL_METRIC_COUNTER, "fairlead_channel_health_checks_total",
                       "Health checks of endpoints, by result.", "result=OK");
}

/* --- results --- */

static void move(struct fl_health_check *check, int to) {
    fl_sm_move(&check->state, moves, to);
    FL_ASSERT((check->run != NULL) == (to == RUNNING));
    FL_ASSERT(fl_timer_is_set(&check->timer) == (to == RUNNING || to == RESTING));
}

static void count(struct fl_health_checker *checker, const struct fl_error *why) {
    char labels[48];
    if (why->code == FL_OK) {
        fl_metric_add(checker->passed, 1);
        return;
    }
    snprintf(labels, sizeof(labels), "result=%s", fl_error_name(why->code));
    fl_metric_add(fl_metrics_get(checker->io->metrics, FL_METRIC_COUNTER,
                                 "fairlead_channel_health_checks_total",
                                 "Health checks of endpoints, by result.", labels),
                  1);
}

static void tell(struct fl_health_check *check) {
    struct fl_io *io = check->checker->io;
    fl_metric_add(check->checker->unhealthy, check->verdict.unhealthy ? 1 : -1);
    if (check->verdict.unhealthy)
        FL_LOG(io, FL_LOG_WARN, "endpoint is not healthy", FL_LOG_TEXT_OF("peer", check->peer),
               FL_LOG_ERROR_OF(&check->why));
    else
        FL_LOG(io, FL_LOG_INFO, "endpoint is healthy", FL_LOG_TEXT_OF("peer", check->peer));
    check->on_verdict(check->arg);
}

static void rest(struct fl_health_check *check) {
    struct fl_io *io = check->checker->io;
    uint64_t interval = check->checker->options->interval_ms;
    uint64_t spread = interval * SPREAD_PERCENT / 100;
    uint64_t delay = interval - spread + fl_random_below(&io->jitter, 2 * spread + 1);
    fl_io_timer_set(io, &check->timer, fl_io_now_ms(io) + delay);
    move(check, RESTING);
}

/* What this side has no memory or sockets for says nothing of the endpoint. */
static bool is_ours(int code) { return code == FL_ENOMEM || code == FL_ESYS; }

/* `why`: code FL_OK when the check passed. */
static void conclude(struct fl_health_check *check, const struct fl_error *why) {
    const struct fl_health_check_options *options = check->checker->options;
    bool good = why->code == FL_OK;
    count(check->checker, why);
    rest(check);
    if (is_ours(why->code)) return;
    if (!good) {
        FL_LOG(check->checker->io, FL_LOG_DEBUG, "health check failed",
               FL_LOG_TEXT_OF("peer", check->peer), FL_LOG_ERROR_OF(why));
        fl_fail(&check->why, FL_EUNHEALTHY, "health check of port %u: %s (%s)",
                (unsigned)check->port, why->detail, fl_error_name(why->code));
    }
    if (fl_health_verdict_note(&check->verdict, good, options->healthy_threshold,
                               options->unhealthy_threshold))
        tell(check);
}

/* --- one check --- */

static void cut(struct fl_health_run *run) {
    static const struct fl_error ok;
    run->check = NULL;
    if (run->sock) fl_sock_abort(run->checker->io, run->sock);
    if (run->conn) fl_http_conn_abort(run->conn, &ok);
}

/* A server that answered does not see its connection cut. */
static void part(struct fl_health_run *run) {
    run->check = NULL;
    if (run->sock) fl_sock_close(run->checker->io, run->sock);
    if (run->conn) fl_http_conn_close(run->conn);
}

static void finish(struct fl_health_run *run, const struct fl_error *why) {
    struct fl_health_check *check = run->check;
    if (!check) return;
    check->run = NULL;
    if (why->code == FL_OK || why->code == FL_EHTTP)
        part(run);
    else
        cut(run);
    conclude(check, why);
}

static void closed(struct fl_health_run *run, const struct fl_error *why) {
    struct fl_health_checker *checker = run->checker;
    struct fl_error early = {FL_ECLOSED, "connection closed before the answer"};
    run->sock = NULL;
    run->conn = NULL;
    finish(run, why->code == FL_OK ? &early : why);
    fl_free(run);
    checker->runs--;
    run_waiting(checker);
    if (checker->runs == 0) checker->on_empty(checker->arg);
}

static void on_tcp_open(void *arg, struct fl_str alpn) {
    static const struct fl_error ok;
    FL_UNUSED(alpn);
    finish(arg, &ok);
}

static void on_tcp_close(void *arg, const struct fl_error *why) { closed(arg, why); }

static const struct fl_sock_events tcp_events = {.on_open = on_tcp_open, .on_close = on_tcp_close};

static void on_http_response(void *arg, struct fl_http_stream *stream,
                             const struct fl_http_response *head) {
    FL_UNUSED(stream);
    struct fl_health_run *run = arg;
    const struct fl_health_check_options *options = run->checker->options;
    struct fl_error why = {FL_OK, ""};
    if (head->status < options->status_min || head->status > options->status_max)
        fl_fail(&why, FL_EHTTP, "HTTP status %d for %s", head->status, options->path);
    finish(run, &why);
}

static void on_http_stream_close(void *arg, struct fl_http_stream *stream,
                                 const struct fl_error *why, uint32_t h2_code) {
    FL_UNUSED(stream);
    FL_UNUSED(h2_code);
    struct fl_error early = {FL_ECLOSED, "the exchange ended without an answer"};
    finish(arg, why->code == FL_OK ? &early : why);
}

static const struct fl_http_stream_events http_stream_events = {
    .on_response = on_http_response,
    .on_close = on_http_stream_close,
};

static void on_http_ready(void *arg, struct fl_http_conn *conn) {
    struct fl_health_run *run = arg;
    struct fl_http_stream *stream;
    struct fl_error err;
    const struct fl_http_header agent = {FL_STR("user-agent"), FL_STR("fairlead/" FL_VERSION)};
    const struct fl_http_request head = {
        .method = FL_STR("GET"),
        .scheme = FL_STR("http"),
        .authority = fl_str_of(run->host),
        .path = fl_str_of(run->checker->options->path),
        .headers = {&agent, 1},
    };
    if (!run->check) return;
    int rc = fl_http_conn_request(conn, &head, true, &http_stream_events, run, &stream, &err);
    if (rc != 0) finish(run, &err);
}

static void on_http_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    closed(arg, why);
}

static const struct fl_http_conn_events http_events = {.on_ready = on_http_ready,
                                                       .on_close = on_http_close};

static int dial(struct fl_health_run *run, struct fl_error *err) {
    const struct fl_health_check *check = run->check;
    struct fl_io *io = run->checker->io;
    uint32_t timeout_ms = run->checker->options->timeout_ms;
    struct fl_dial dial = {.host = fl_str_of(check->host),
                           .port = check->port,
                           .deadline_ms = fl_io_now_ms(io) + timeout_ms};
    if (run->checker->options->kind == FL_HEALTH_CHECK_TCP)
        return fl_io_dial(io, &dial, &tcp_events, run, &run->sock, err);
    const struct fl_http_options options = {.version = FL_HTTP_1, .ready_timeout_ms = timeout_ms};
    snprintf(run->host, sizeof(run->host), strchr(check->host, ':') ? "[%s]:%u" : "%s:%u",
             check->host, (unsigned)check->port);
    return fl_http_conn_dial(io, &dial, &options, &http_events, run, &run->conn, err);
}

static void begin(struct fl_health_check *check) {
    struct fl_health_checker *checker = check->checker;
    struct fl_error err;
    struct fl_health_run *run = FL_NEW(struct fl_health_run);
    fl_list_remove(&check->link);
    if (!run) {
        rest(check);
        return;
    }
    run->checker = checker;
    run->check = check;
    if (dial(run, &err) != 0) {
        fl_free(run);
        rest(check);
        return;
    }
    checker->runs++;
    check->run = run;
    fl_io_timer_set(checker->io, &check->timer,
                    fl_io_now_ms(checker->io) + checker->options->timeout_ms);
    move(check, RUNNING);
}

static void run_waiting(struct fl_health_checker *checker) {
    while (checker->runs < checker->options->concurrent_max && !fl_list_empty(&checker->waiting))
        begin(FL_CONTAINER(checker->waiting.next, struct fl_health_check, link));
}

/* --- an endpoint --- */

static void queue(struct fl_health_check *check) {
    move(check, QUEUED);
    fl_list_push(&check->checker->waiting, &check->link);
    run_waiting(check->checker);
}

static void timer_due(struct fl_timer *timer) {
    struct fl_health_check *check = FL_CONTAINER(timer, struct fl_health_check, timer);
    if (check->state == RESTING) {
        queue(check);
        return;
    }
    struct fl_error why;
    fl_fail(&why, FL_ETIMEOUT, "no answer within %u ms",
            (unsigned)check->checker->options->timeout_ms);
    finish(check->run, &why);
}

int fl_health_check_new(struct fl_health_checker *checker, const char *host, uint16_t port,
                        const char *peer, void (*on_verdict)(void *arg), void *arg,
                        struct fl_health_check **out) {
    struct fl_health_check *check = FL_NEW(struct fl_health_check);
    if (!check) return FL_ENOMEM;
    if (fl_io_timer_init(checker->io, &check->timer, timer_due) != 0) {
        fl_free(check);
        return FL_ENOMEM;
    }
    fl_list_init(&check->link);
    check->checker = checker;
    check->host = host;
    check->port = checker->options->port ? checker->options->port : port;
    check->peer = peer;
    check->on_verdict = on_verdict;
    check->arg = arg;
    *out = check;
    return 0;
}

void fl_health_check_free(struct fl_health_check *check) {
    if (!check) return;
    fl_health_check_forget(check);
    fl_io_timer_deinit(check->checker->io, &check->timer);
    fl_free(check);
}

void fl_health_check_start(struct fl_health_check *check) {
    if (check->state == OFF) queue(check);
}

void fl_health_check_stop(struct fl_health_check *check) {
    if (check->state == OFF) return;
    if (check->run) cut(check->run);
    check->run = NULL;
    fl_list_remove(&check->link);
    fl_io_timer_clear(check->checker->io, &check->timer);
    move(check, OFF);
}

void fl_health_check_forget(struct fl_health_check *check) {
    fl_health_check_stop(check);
    if (check->verdict.unhealthy) fl_metric_add(check->checker->unhealthy, -1);
    check->verdict = (struct fl_health_verdict){.checked = false};
}

const struct fl_error *fl_health_check_unhealthy(const struct fl_health_check *check) {
    return check->verdict.unhealthy ? &check->why : NULL;
}
