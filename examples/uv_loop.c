/* uv_loop.c - Fairlead on the uv_loop_t of a program that runs one already. Asks a service for its
 * health every 100 ms; everything happens on this one thread.
 *
 *     uv_loop kubernetes:///default/echo:grpc [TIMES] */
#include <fairlead/fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct checker {
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    uv_timer_t timer;
    long to_ask, to_hear;
    int failed;
};

static void on_discovery_closed(void *arg) { uv_stop(((struct checker *)arg)->timer.loop); }

static void on_channel_closed(void *arg) {
    struct checker *checker = arg;
    fl_discovery_close(checker->discovery, on_discovery_closed, checker);
}

static void on_health(void *arg, const struct fl_call_result *result) {
    struct checker *checker = arg;
    const unsigned char *status = result->response; /* message { ServingStatus status = 1; } */
    bool serving = result->response_len == 2 && status[0] == 8 && status[1] == 1;
    printf("%s: %s %s\n", fl_status_name(result->status), result->peer,
           serving ? "is serving" : result->message);
    if (!serving) checker->failed++;
    if (--checker->to_hear == 0) fl_channel_close(checker->channel, on_channel_closed, checker);
}

static void on_timer(uv_timer_t *timer) {
    struct checker *checker = timer->data;
    const struct fl_call_options options = {.timeout_ms = 5000, .wait_for_ready = FL_WAIT_YES};
    struct fl_error err;
    if (--checker->to_ask == 0) uv_timer_stop(timer);
    if (fl_call_unary(checker->channel, "/grpc.health.v1.Health/Check", NULL, 0, &options,
                      on_health, checker, NULL, &err) == 0)
        return;
    fprintf(stderr, "%s\n", err.detail);
    exit(1);
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    const struct fl_runtime_options options = {.mode = FL_RUNTIME_UV_LOOP, .uv_loop = loop};
    struct checker checker = {.to_ask = argc > 2 ? atol(argv[2]) : 10};
    struct fl_runtime *runtime = NULL;
    struct fl_error err;
    if (argc < 2 || checker.to_ask < 1) {
        fprintf(stderr, "usage: %s TARGET [TIMES]\n", argv[0]);
        return 2;
    }
    if (fl_runtime_new(&options, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &checker.discovery, &err) != 0 ||
        fl_channel_new(runtime, checker.discovery, argv[1], NULL, &checker.channel, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    checker.to_hear = checker.to_ask;
    uv_timer_init(loop, &checker.timer);
    checker.timer.data = &checker;
    uv_timer_start(&checker.timer, on_timer, 0, 100);
    uv_run(loop, UV_RUN_DEFAULT);

    fl_runtime_free(runtime);
    uv_close((uv_handle_t *)&checker.timer, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    return checker.failed == 0 ? 0 : 1;
}
