/* idle.c - a channel that closes its connections when nobody calls, and is not blind meanwhile.
 *
 *     idle kubernetes:///default/echo:grpc
 *
 * Prints every state of the channel: a call, then idle after a second without one, then a call that
 * goes straight to a pod that is alive now, whatever happened while the channel slept. */
#include <fairlead/fairlead.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#define IDLE_MS 1000

/* EchoRequest { string message = 1; } */
static const unsigned char awake[] = {10, 6, 'a', 'w', 'a', 'k', 'e', '?'};

static sem_t idle;

static void on_state(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    (void)arg;
    printf("%s%s%s\n", fl_channel_state_name(state), why ? ": " : "", why ? why->detail : "");
    fflush(stdout);
    if (state == FL_CHANNEL_IDLE) sem_post(&idle);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int call(struct fl_channel *channel) {
    const struct fl_call_options options = {.timeout_ms = 5000, .wait_for_ready = FL_WAIT_YES};
    struct fl_answer answer;
    struct fl_error err;
    double started = now_ms();
    if (fl_call_wait(channel, "/grpc.examples.echo.Echo/UnaryEcho", awake, sizeof(awake), &options,
                     &answer, &err) != 0) {
        fprintf(stderr, "%s\n", err.detail);
        return 1;
    }
    int failed = answer.result.status != FL_STATUS_OK;
    printf("%s by %s after %.1f ms\n", fl_status_name(answer.result.status), answer.result.peer,
           now_ms() - started);
    fl_answer_deinit(&answer);
    return failed;
}

static void on_closed(void *arg) { sem_post(arg); }

/* In this order, each when the one before is gone. */
static void close_all(struct fl_runtime *runtime, struct fl_discovery *discovery,
                      struct fl_channel *channel) {
    sem_t closed;
    sem_init(&closed, 0, 0);
    fl_channel_close(channel, on_closed, &closed);
    sem_wait(&closed);
    fl_discovery_close(discovery, on_closed, &closed);
    sem_wait(&closed);
    fl_runtime_free(runtime);
}

int main(int argc, char **argv) {
    const struct fl_channel_options options = {.idle_timeout_ms = IDLE_MS};
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_channel *channel = NULL;
    struct fl_state_watch *watch;
    struct fl_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: %s TARGET\n", argv[0]);
        return 2;
    }
    sem_init(&idle, 0, 0);
    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_channel_new(runtime, discovery, argv[1], &options, &channel, &err) != 0 ||
        fl_channel_watch_state(channel, on_state, NULL, &watch, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    int failed = call(channel);
    while (!failed && fl_channel_state(channel) != FL_CHANNEL_IDLE) sem_wait(&idle);
    if (!failed) failed = call(channel);
    fl_channel_unwatch_state(watch, NULL, NULL);
    close_all(runtime, discovery, channel);
    return failed;
}
