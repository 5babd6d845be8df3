/* fanout.c - tells every pod of a service, and counts who has heard it.
 *
 *     fanout kubernetes:///default/echo:grpc
 *
 * A channel gives a call to one of its endpoints; a handle is one of them, chosen by the caller. */
#include <fairlead/fairlead.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

/* EchoRequest { string message = 1; } */
static const unsigned char news[] = {10, 4, 'n', 'e', 'w', 's'};

static void on_state(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    if (state == FL_CHANNEL_READY) sem_post(arg);
    if (state == FL_CHANNEL_TRANSIENT_FAILURE) fprintf(stderr, "%s\n", why->detail);
}

static int wait_until_ready(struct fl_channel *channel) {
    struct fl_state_watch *watch;
    struct fl_error err;
    struct timespec limit;
    static sem_t ready; /* outlives the watch */
    sem_init(&ready, 0, 0);
    if (fl_channel_watch_state(channel, on_state, &ready, &watch, &err) != 0) return -1;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    int rc = sem_timedwait(&ready, &limit);
    fl_channel_unwatch_state(watch, NULL, NULL);
    return rc;
}

/* True: it has heard it. */
static bool tell(struct fl_channel *channel, struct fl_handle *handle) {
    const struct fl_call_options options = {.timeout_ms = 5000, .endpoint = handle};
    struct fl_answer answer;
    struct fl_error err;
    if (fl_call_wait(channel, "/grpc.examples.echo.Echo/UnaryEcho", news, sizeof(news), &options,
                     &answer, &err) != 0) {
        printf("%-24s %s\n", fl_handle_peer(handle), err.detail);
        return false;
    }
    bool heard = answer.result.status == FL_STATUS_OK;
    printf("%-24s %-24s %s %s\n", fl_handle_peer(handle), fl_handle_pod(handle),
           fl_status_name(answer.result.status), answer.result.message);
    fl_answer_deinit(&answer);
    return heard;
}

static int tell_everybody(struct fl_channel *channel) {
    struct fl_handles handles;
    struct fl_error err;
    size_t heard = 0;
    if (fl_channel_handles(channel, &handles, &err) != 0) return 1;
    for (size_t i = 0; i < handles.count; i++) heard += tell(channel, handles.list[i]);
    printf("%zu of %zu have heard it\n", heard, handles.count);
    bool everybody = heard == handles.count && heard > 0;
    fl_handles_deinit(&handles);
    return everybody ? 0 : 1;
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
    struct fl_runtime *runtime = NULL;
    struct fl_discovery *discovery = NULL;
    struct fl_channel *channel = NULL;
    struct fl_error err;
    if (argc != 2) {
        fprintf(stderr, "usage: %s TARGET\n", argv[0]);
        return 2;
    }
    if (fl_runtime_new(NULL, &runtime, &err) != 0 ||
        fl_discovery_new(runtime, NULL, &discovery, &err) != 0 ||
        fl_channel_new(runtime, discovery, argv[1], NULL, &channel, &err) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], err.detail);
        return 1;
    }
    int failed = 1;
    if (wait_until_ready(channel) == 0)
        failed = tell_everybody(channel);
    else
        fprintf(stderr, "%s: nobody is there\n", argv[1]);
    close_all(runtime, discovery, channel);
    return failed;
}
