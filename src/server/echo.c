/* echo.c - the echo service, greeter, health and reflection, and the server that has them.
 *
 * EchoRequest and EchoResponse are the same message {string message = 1}, so the answer is the
 * request's bytes. An echo that takes its time waits on a timer; when the server goes, what still
 * waits is answered into the void, and `done` comes after that. */
#include "server/echo.h"

#include "base/alloc.h"
#include "base/list.h"
#include "server/echo_stream.h"
#include "server/greeter.h"
#include "server/health_service.h"
#include "server/reflection.h"

#define ECHO "grpc.examples.echo.Echo"

struct fl_echo {
    struct fl_io *io;
    struct fl_grpc_server *server;
    struct fl_health_service *health;
    struct fl_reflection *reflection;
    uint32_t delay_ms;
    uint64_t calls;
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

static void unary_echo(void *arg, struct fl_grpc_call *call, struct fl_str request) {
    struct fl_echo *echo = FL_CONTAINER(arg, struct fl_echo, calls);
    if (echo->delay_ms == 0) {
        echo->calls++;
        fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE, request);
    } else if (delay(echo, call, request) != 0) {
        fl_grpc_call_reply(call, FL_STATUS_RESOURCE_EXHAUSTED, FL_STR("out of memory"),
                           FL_STR_NONE);
    }
}

static int serve(struct fl_echo *echo, const struct fl_echo_options *options,
                 struct fl_error *err) {
    static const struct fl_grpc_method methods[] = {
        {.name = "UnaryEcho", .unary = unary_echo},
        {.name = "ServerStreamingEcho", .events = &fl_echo_server_streaming},
        {.name = "ClientStreamingEcho",
         .events = &fl_echo_client_streaming,
         .client_streams = true},
        {.name = "BidirectionalStreamingEcho",
         .events = &fl_echo_bidirectional,
         .client_streams = true},
    };
    struct fl_grpc_service services[3 + FL_REFLECTION_SERVICES] = {
        {ECHO, methods, FL_COUNT(methods), &echo->calls},
        fl_greeter_service,
        fl_health_service_of(echo->health),
    };
    fl_reflection_services(echo->reflection, services + 3);
    const struct fl_grpc_server_options server = {.host = options->host,
                                                  .port = options->port,
                                                  .tls = options->tls,
                                                  .limits = options->limits,
                                                  .services = services,
                                                  .service_count = FL_COUNT(services)};
    return fl_grpc_server_new(echo->io, &server, &echo->server, err);
}

static void echo_free(struct fl_echo *echo) {
    fl_health_service_free(echo->health);
    fl_reflection_free(echo->reflection);
    fl_free(echo);
}

static int describe(struct fl_echo *echo) {
    echo->health = fl_health_service_new();
    echo->reflection = fl_reflection_new();
    if (!echo->health || !echo->reflection) return FL_ENOMEM;
    int rc = fl_health_service_set(echo->health, FL_STR(ECHO), FL_HEALTH_SERVING);
    if (rc != 0) return rc;
    return fl_reflection_add(echo->reflection,
                             fl_str_n(fl_descriptors_server, fl_descriptors_server_len));
}

int fl_echo_new(struct fl_io *io, const struct fl_echo_options *options, struct fl_echo **out,
                struct fl_error *err) {
    struct fl_echo *echo = FL_NEW(struct fl_echo);
    if (!echo) return fl_fail_nomem(err);
    echo->io = io;
    echo->delay_ms = options->delay_ms;
    fl_list_init(&echo->waiting);
    int rc = describe(echo);
    if (rc != 0) {
        fl_fail(err, rc, "%s", fl_error_text(rc));
        goto fail;
    }
    rc = serve(echo, options, err);
    if (rc != 0) goto fail;
    *out = echo;
    return 0;
fail:
    echo_free(echo);
    return rc;
}

uint16_t fl_echo_port(const struct fl_echo *echo) { return fl_grpc_server_port(echo->server); }
uint64_t fl_echo_calls(const struct fl_echo *echo) { return echo->calls; }

static void server_gone(void *arg) {
    struct fl_echo *echo = arg;
    while (!fl_list_empty(&echo->waiting))
        answer_delayed(FL_CONTAINER(echo->waiting.next, struct delayed, link));
    void (*done)(void *arg) = echo->done;
    void *done_arg = echo->done_arg;
    echo_free(echo);
    if (done) done(done_arg);
}

static void leave(struct fl_echo *echo, void (*done)(void *arg), void *arg) {
    fl_health_service_leave(echo->health);
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
