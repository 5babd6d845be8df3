/* Calls from many threads over real sockets: each ends exactly once, whatever thread closes the
 * channel and when. To be run under TSan too. */
#include "support/alloc.h"

#include <fairlead/fairlead.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "server/echo.h"

#define THREADS 4
#define CALLS   500 /* of each thread */

struct bed {
    struct fl_runtime *server_runtime, *runtime;
    struct fl_echo *echo;
    struct fl_discovery *discovery;
    struct fl_channel *channel;
    struct fl_task task;
    sem_t done;
    atomic_uint ended, well, refused;
    uint32_t streams_max; /* of the server; 0: its default */
};

static struct bed bed;

static void post(void *arg) {
    FL_UNUSED(arg);
    sem_post(&bed.done);
}

static void start_echo(struct fl_task *task) {
    FL_UNUSED(task);
    struct fl_echo_options options = {.host = FL_STR("127.0.0.1"),
                                      .limits.streams_max = bed.streams_max};
    if (fl_echo_new(bed.server_runtime->io, &options, &bed.echo, NULL) != 0) bed.echo = NULL;
    post(NULL);
}

static void kill_echo(struct fl_task *task) {
    FL_UNUSED(task);
    fl_echo_kill(bed.echo, post, NULL);
}

static void on_server(void (*run)(struct fl_task *task)) {
    fl_task_init(&bed.task, run);
    fl_io_post(bed.server_runtime->io, &bed.task);
    sem_wait(&bed.done);
}

static void start_with(const struct fl_channel_options *options) {
    sem_init(&bed.done, 0, 0);
    atomic_store(&bed.ended, 0);
    atomic_store(&bed.well, 0);
    atomic_store(&bed.refused, 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.server_runtime, NULL), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.runtime, NULL), 0);
    on_server(start_echo);
    assert_non_null(bed.echo);
    assert_int_equal(fl_discovery_new(bed.runtime, NULL, &bed.discovery, NULL), 0);
    char target[64];
    snprintf(target, sizeof(target), "127.0.0.1:%u", fl_echo_port(bed.echo));
    assert_int_equal(
        fl_channel_new(bed.runtime, bed.discovery, target, options, &bed.channel, NULL), 0);
}

static void start(uint32_t queued_calls_max) {
    start_with(&(struct fl_channel_options){.queued_calls_max = queued_calls_max});
}

static void stop(void) {
    fl_discovery_close(bed.discovery, post, NULL);
    sem_wait(&bed.done);
    on_server(kill_echo);
    fl_runtime_free(bed.runtime);
    fl_runtime_free(bed.server_runtime);
    sem_destroy(&bed.done);
}

static void on_end(void *arg, const struct fl_call_result *result) {
    atomic_uint *ended = arg;
    atomic_fetch_add(ended, 1);
    if (result->status == FL_STATUS_OK) atomic_fetch_add(&bed.well, 1);
    atomic_fetch_add(&bed.ended, 1);
}

static void *call_often(void *arg) {
    atomic_uint *ended = arg;
    for (int i = 0; i < CALLS; i++) {
        struct fl_error err;
        int rc = fl_call_unary(bed.channel, "/grpc.examples.echo.Echo/UnaryEcho", "", 0, NULL,
                               on_end, &ended[i], NULL, &err);
        if (rc != 0) atomic_fetch_add(&bed.refused, 1);
        if (fl_channel_state(bed.channel) == FL_CHANNEL_SHUTDOWN) break;
    }
    return NULL;
}

static void call_from_threads(atomic_uint ended[THREADS][CALLS]) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        for (int k = 0; k < CALLS; k++) atomic_store(&ended[i][k], 0);
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, ended[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void close_and_wait(void) {
    fl_channel_close(bed.channel, post, NULL);
    sem_wait(&bed.done);
}

static void test_calls_from_many_threads(void **state) {
    FL_UNUSED(state);
    static atomic_uint ended[THREADS][CALLS];
    start(0);
    call_from_threads(ended);
    while (atomic_load(&bed.ended) < THREADS * CALLS) sched_yield();
    close_and_wait();
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < CALLS; k++) assert_int_equal(atomic_load(&ended[i][k]), 1);
    assert_int_equal(atomic_load(&bed.well), THREADS * CALLS);
    stop();
}

/* Further connections are opened all the time, and each takes calls when it is ready, not before:
 * in one turn the sockets of several have something to say. */
static void test_C13_calls_over_further_connections(void **state) {
    FL_UNUSED(state);
    static atomic_uint ended[THREADS][CALLS];
    for (int round = 0; round < 10; round++) {
        bed.streams_max = 3;
        start(0);
        bed.streams_max = 0;
        call_from_threads(ended);
        while (atomic_load(&bed.ended) < THREADS * CALLS) sched_yield();
        close_and_wait();
        assert_int_equal(atomic_load(&bed.well), THREADS * CALLS);
        stop();
    }
}

/* The inbox is bounded: what does not fit is refused at the start, all else ends. */
static void test_inbox_is_bounded(void **state) {
    FL_UNUSED(state);
    static atomic_uint ended[THREADS][CALLS];
    start(3);
    call_from_threads(ended);
    while (atomic_load(&bed.ended) + atomic_load(&bed.refused) < THREADS * CALLS) sched_yield();
    close_and_wait();
    assert_int_equal(atomic_load(&bed.ended) + atomic_load(&bed.refused), THREADS * CALLS);
    stop();
}

/* Closed while calls are in every state: all end before `done`. */
static void test_close_with_calls_open(void **state) {
    FL_UNUSED(state);
    static atomic_uint ended[THREADS][CALLS];
    for (int round = 0; round < 20; round++) {
        start(0);
        call_from_threads(ended);
        close_and_wait();
        for (int i = 0; i < THREADS; i++)
            for (int k = 0; k < CALLS; k++) assert_int_equal(atomic_load(&ended[i][k]), 1);
        stop();
    }
}

/* --- states, while the channel goes idle and comes back --- */

#define WATCHES 200 /* of each thread */

struct seen {
    atomic_uint told, done;
};

static void on_state(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    FL_UNUSED(state);
    FL_UNUSED(why);
    atomic_fetch_add(&((struct seen *)arg)->told, 1);
}

static void on_unwatched(void *arg) { atomic_fetch_add(&((struct seen *)arg)->done, 1); }

static void *watch_often(void *arg) {
    struct seen *seen = arg;
    struct fl_state_watch *watch;
    for (int i = 0; i < WATCHES; i++) {
        if (fl_channel_watch_state(bed.channel, on_state, seen, &watch, NULL) != 0) continue;
        fl_channel_connect(bed.channel);
        while (i % 2 && atomic_load(&seen->told) == 0) sched_yield();
        fl_channel_unwatch_state(watch, on_unwatched, seen);
    }
    return NULL;
}

static void test_states_are_watched_from_many_threads(void **state) {
    FL_UNUSED(state);
    static atomic_uint ended[THREADS][CALLS];
    static struct seen seen[THREADS];
    pthread_t threads[THREADS];
    struct fl_state_watch *last;
    struct seen by_last = {0};
    start_with(&(struct fl_channel_options){.idle_timeout_ms = 1});
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, watch_often, &seen[i]), 0);
    call_from_threads(ended);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    while (atomic_load(&bed.ended) < THREADS * CALLS) sched_yield();
    assert_int_equal(fl_channel_watch_state(bed.channel, on_state, &by_last, &last, NULL), 0);
    close_and_wait();
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&seen[i].done) < WATCHES) sched_yield();
        assert_true(atomic_load(&seen[i].told) > 0);
    }
    assert_true(atomic_load(&by_last.told) > 0); /* SHUTDOWN at least, before `done` */
    fl_channel_unwatch_state(last, on_unwatched, &by_last);
    while (atomic_load(&by_last.done) < 1) sched_yield();
    assert_int_equal(atomic_load(&bed.well), THREADS * CALLS);
    stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_from_many_threads),
        cmocka_unit_test(test_C13_calls_over_further_connections),
        cmocka_unit_test(test_inbox_is_bounded),
        cmocka_unit_test(test_close_with_calls_open),
        cmocka_unit_test(test_states_are_watched_from_many_threads),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
