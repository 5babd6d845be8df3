/* caller.c - see caller.h. */
#include "caller.h"

#include <fairlead/request.h>
#include <stdio.h>

#include "plan.h"

#define METHOD     "/grpc.examples.echo.Echo/UnaryEcho"
#define TIMEOUT_MS 5000
#define PATIENT_MS 10000

static void end(struct caller *caller, const struct fl_call_result *result) {
    caller->call = NULL;
    fl_io_timer_clear(caller->io, &caller->timer);
    caller->on_end(caller, result);
}

static void on_result(void *arg, const struct fl_call_result *result) {
    struct caller *caller = arg;
    if (result->status == FL_STATUS_OK &&
        !fl_str_eq(fl_str_n(result->response, result->response_len),
                   fl_str_n(caller->request, caller->request_len)))
        verdict_broken(caller->oracle->verdict, BREACH_CALL, "an answer belongs to another call");
    end(caller, result);
}

static void start_call(struct caller *caller) {
    bool patient = plan_chance(caller->random, 20), fickle = plan_chance(caller->random, 3);
    const struct fl_call_options options = {.timeout_ms = patient ? PATIENT_MS : TIMEOUT_MS,
                                            .wait_for_ready = patient ? FL_WAIT_YES : FL_WAIT_NO};
    int n = snprintf(caller->request + 2, sizeof caller->request - 2, "caller %u round %u",
                     caller->number, ++caller->round);
    caller->request[0] = 0x0a; /* EchoRequest {string message = 1} */
    caller->request[1] = (char)n;
    caller->request_len = (size_t)n + 2;
    oracle_call_started(caller->oracle, &caller->judged);
    int rc = fl_call_unary(caller->channel, METHOD, caller->request, caller->request_len, &options,
                           on_result, caller, &caller->call, NULL);
    FL_ASSERT(rc == 0);
    if (fickle)
        fl_io_timer_set(caller->io, &caller->timer,
                        fl_io_now_ms(caller->io) + fl_random_below(caller->random, 10));
}

/* Whatever a server of gRPC says to a plain request, it is an answer. */
static void on_response(void *arg, const struct fl_response *response) {
    const struct fl_call_result result = {.status = response->status ? FL_STATUS_OK
                                                                     : FL_STATUS_UNAVAILABLE,
                                          .message = response->why->detail,
                                          .why = response->why,
                                          .peer = response->peer,
                                          .attempts = response->attempts};
    end(arg, &result);
}

static void start_request(struct caller *caller) {
    static const struct fl_request request = {.path = "/hello"};
    static const struct fl_request_options options = {.timeout_ms = TIMEOUT_MS};
    caller->round++;
    oracle_call_started(caller->oracle, &caller->judged);
    int rc = fl_request_start(caller->channel, &request, &options, on_response, caller,
                              &caller->call, NULL);
    FL_ASSERT(rc == 0);
}

static void run(struct fl_timer *timer) {
    struct caller *caller = FL_CONTAINER(timer, struct caller, timer);
    if (caller->judged.active) {
        caller->judged.cancelled = true;
        fl_call_cancel(caller->call);
    } else if (caller->plain && plan_chance(caller->random, 20)) {
        start_request(caller);
    } else {
        start_call(caller);
    }
}

void caller_go_on(struct caller *caller, uint32_t pause_ms_max) {
    if (!caller->judged.active)
        fl_io_timer_set(caller->io, &caller->timer,
                        fl_io_now_ms(caller->io) +
                            fl_random_below(caller->random, pause_ms_max + 1));
}

void caller_stop(struct caller *caller) {
    if (!caller->judged.active) fl_io_timer_clear(caller->io, &caller->timer);
}

int caller_init(struct caller *caller) { return fl_io_timer_init(caller->io, &caller->timer, run); }

void caller_deinit(struct caller *caller) { fl_io_timer_deinit(caller->io, &caller->timer); }
