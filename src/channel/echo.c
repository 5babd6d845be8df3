/* echo.c - the echo and health services.
 *
 * EchoRequest and EchoResponse are the same message {string message = 1}, so the answer is the
 * request's bytes. An echo that takes its time waits on a timer; when the server goes, what still
 * waits is answered into the void, and `done` comes after that. */
#include "channel/echo.h"

#include "base/alloc.h"
#include "base/list.h"

/* HealthCheckResponse {ServingStatus status = 1}; SERVING = 1, NOT_SERVING = 2. */
#define SERVING     FL_STR("\x08\x01")
#define NOT_SERVING FL_STR("\x08\x02")

struct fl_echo {
    struct fl_io *io;
    struct fl_grpc_server *server;
    uint32_t delay_ms;
    uint64_t calls;
    bool draining;
    struct fl_list waiting; /* struct delayed */
    void (*done)(void *arg);
    void *done_arg;
};

struct delayed {
    struct fl_list link;
    struct fl_timer timer;
    struct fl_echo *echo;
    struct fl_grpc_call *call;
    size_t n;
    char bytes[];
};

static void answer_delayed(struct delayed *delayed) {
    struct fl_echo *echo = delayed->echo;
    fl_list_remove(&delayed->link);
    fl_io_timer_deinit(echo->io, &delayed->timer);
    fl_grpc_call_reply(delayed->call, FL_STATUS_OK, FL_STR_NONE,
                       fl_str_n(delayed->bytes, delayed->n));
    fl_free(delayed);
}

static void delay_over(struct fl_timer *timer) {
    struct delayed *delayed = FL_CONTAINER(timer, struct delayed, timer);
    delayed->echo->calls++;
    answer_delayed(delayed);
}

static int delay(struct fl_echo *echo, struct fl_grpc_call *call, struct fl_str request) {
    struct delayed *delayed = fl_calloc(1, sizeof(*delayed) + request.n);
    if (!delayed) return FL_ENOMEM;
    if (fl_io_timer_init(echo->io, &delayed->timer, delay_over) != 0) {
        fl_free(delayed);
        return FL_ENOMEM;
    }
    delayed->echo = echo;
    delayed->call = call;
    delayed->n = request.n;
    if (request.n) memcpy(delayed->bytes, request.p, request.n);
    fl_list_push(&echo->waiting, &delayed->link);
    fl_io_timer_set(echo->io, &delayed->timer, fl_io_now_ms(echo->io) + echo->delay_ms);
    return 0;
}

static void unary_echo(struct fl_echo *echo, struct fl_grpc_call *call, struct fl_str request) {
    if (echo->delay_ms == 0) {
        echo->calls++;
        fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE, request);
    } else if (delay(echo, call, request) != 0) {
        fl_grpc_call_reply(call, FL_STATUS_RESOURCE_EXHAUSTED, FL_STR("out of memory"),
                           FL_STR_NONE);
    }
}

static void handle(void *arg, struct fl_grpc_call *call, struct fl_str method,
                   struct fl_str request) {
    struct fl_echo *echo = arg;
    if (fl_str_eq(method, FL_STR("/grpc.examples.echo.Echo/UnaryEcho")))
        unary_echo(echo, call, request);
    else if (fl_str_eq(method, FL_STR("/grpc.health.v1.Health/Check")))
        fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE, echo->draining ? NOT_SERVING : SERVING);
    else
        fl_grpc_call_reply(call, FL_STATUS_UNIMPLEMENTED, FL_STR("no such method"), FL_STR_NONE);
}

int fl_echo_new(struct fl_io *io, const struct fl_echo_options *options, struct fl_echo **out,
                struct fl_error *err) {
    struct fl_echo *echo = FL_NEW(struct fl_echo);
    if (!echo) return fl_fail_nomem(err);
    echo->io = io;
    echo->delay_ms = options->delay_ms;
    fl_list_init(&echo->waiting);
    struct fl_grpc_server_options server = {
        .host = options->host, .port = options->port, .handler = handle, .arg = echo};
    int rc = fl_grpc_server_new(io, &server, &echo->server, err);
    if (rc != 0) {
        fl_free(echo);
        return rc;
    }
    *out = echo;
    return 0;
}

uint16_t fl_echo_port(const struct fl_echo *echo) { return fl_grpc_server_port(echo->server); }
uint64_t fl_echo_calls(const struct fl_echo *echo) { return echo->calls; }

static void server_gone(void *arg) {
    struct fl_echo *echo = arg;
    while (!fl_list_empty(&echo->waiting))
        answer_delayed(FL_CONTAINER(echo->waiting.next, struct delayed, link));
    void (*done)(void *arg) = echo->done;
    void *done_arg = echo->done_arg;
    fl_free(echo);
    if (done) done(done_arg);
}

static void leave(struct fl_echo *echo, void (*done)(void *arg), void *arg) {
    echo->draining = true;
    echo->done = done;
    echo->done_arg = arg;
}

void fl_echo_drain(struct fl_echo *echo, uint64_t deadline_ms, void (*done)(void *arg), void *arg) {
    leave(echo, done, arg);
    fl_grpc_server_drain(echo->server, deadline_ms, server_gone, echo);
}

void fl_echo_kill(struct fl_echo *echo, void (*done)(void *arg), void *arg) {
    leave(echo, done, arg);
    fl_grpc_server_kill(echo->server, server_gone, echo);
}
