/* manager_threads_test.c - one manager, eight threads that ask, call, hold and let go, while
 * endpoints come and leave. What holds on virtual time must hold here, and the thread sanitizer
 * must have nothing to say. `manager_threads_test ROUNDS` goes on for longer. */
#include "support/alloc.h"

#include <fairlead/fairlead.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "discovery/discovery.h"
#include "server/echo.h"
#include "support/hand_provider.h"

#define THREADS  8
#define SERVERS  2
#define CHURN_MS 3
#define SERVICES 2

struct bed {
    struct fl_runtime *server_runtime, *runtime;
    struct fl_echo *echo[SERVERS];
    struct fl_discovery *discovery;
    struct fl_hand *hand;
    struct fl_connmgr *mgr;
    struct fl_task task;
    struct fl_timer churn;
    sem_t done;
    unsigned turn;
    atomic_bool stop;
    atomic_uint started, ended, calls, well;
};

static struct bed bed;
static unsigned rounds = 100; /* of each thread */

static void post(void *arg) {
    FL_UNUSED(arg);
    sem_post(&bed.done);
}

static void start_echoes(struct fl_task *task) {
    FL_UNUSED(task);
    const struct fl_echo_options options = {.host = FL_STR("127.0.0.1")};
    for (int i = 0; i < SERVERS; i++)
        if (fl_echo_new(bed.server_runtime->io, &options, &bed.echo[i], NULL) != 0)
            bed.echo[i] = NULL;
    post(NULL);
}

static void kill_echoes(struct fl_task *task) {
    FL_UNUSED(task);
    for (int i = 0; i < SERVERS; i++) fl_echo_kill(bed.echo[i], post, NULL);
}

static void on_loop(struct fl_runtime *runtime, void (*run)(struct fl_task *task), int posts) {
    fl_task_init(&bed.task, run);
    fl_io_post(runtime->io, &bed.task);
    for (int i = 0; i < posts; i++) sem_wait(&bed.done);
}

static void publish(void) {
    struct fl_hand_endpoint endpoints[SERVERS];
    size_t count = 0;
    for (int i = 0; i < SERVERS; i++) {
        if (bed.turn >> i & 1) continue;
        endpoints[count++] =
            (struct fl_hand_endpoint){.address = "127.0.0.1", .port = fl_echo_port(bed.echo[i])};
    }
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, count);
    bed.turn++;
}

/* Both, one, the other, none, until the threads are done; long enough each to be connected to. */
static void churn(struct fl_timer *timer) {
    publish();
    if (atomic_load(&bed.stop)) {
        fl_io_timer_deinit(bed.runtime->io, timer);
        post(NULL);
    } else {
        fl_io_timer_set(bed.runtime->io, timer, fl_io_now_ms(bed.runtime->io) + CHURN_MS);
    }
}

static void start_churn(struct fl_task *task) {
    FL_UNUSED(task);
    if (fl_io_timer_init(bed.runtime->io, &bed.churn, churn) == 0)
        fl_io_timer_set(bed.runtime->io, &bed.churn, fl_io_now_ms(bed.runtime->io));
    post(NULL);
}

static void on_answer(void *arg, const struct fl_call_result *result) {
    FL_UNUSED(arg);
    if (result->status == FL_STATUS_OK) atomic_fetch_add(&bed.well, 1);
    atomic_fetch_add(&bed.calls, 1);
}

/* The callback of an asynchronous request asks again from within, and lets go. */
static void on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct fl_connmgr *again = arg;
    atomic_fetch_add(&bed.ended, 1);
    if (again && fl_connmgr_get_conns_async(again, "a", 0, on_conns, NULL, NULL) == 0)
        atomic_fetch_add(&bed.started, 1);
    if (!why) fl_conns_deinit(conns);
}

static unsigned call_each(const struct fl_conns *conns) {
    unsigned started = 0;
    for (size_t i = 0; i < conns->handles.count; i++) {
        struct fl_handle *handle = conns->handles.list[i];
        const struct fl_call_options options = {.endpoint = handle, .timeout_ms = 5000};
        if (fl_handle_state(handle) == FL_CHANNEL_SHUTDOWN) continue;
        started += fl_call_unary(fl_conn_channel(conns->conn), "/grpc.examples.echo.Echo/UnaryEcho",
                                 "", 0, &options, on_answer, NULL, NULL, NULL) == 0;
    }
    return started;
}

static void *ask(void *arg) {
    static const char *const services[SERVICES] = {"a", "a:grpc"};
    unsigned *calls = arg;
    for (unsigned i = 0; i < rounds; i++) {
        const char *service = services[i % SERVICES];
        struct fl_conns conns;
        struct fl_conn *conn;
        if (fl_connmgr_get_conns(bed.mgr, service, 5000, &conns, NULL) == 0) {
            *calls += call_each(&conns);
            fl_conns_deinit(&conns);
        }
        if (i % 10 == 0 && fl_connmgr_get_conn(bed.mgr, service, 10, &conn, NULL) == 0)
            fl_conn_unref(conn);
        if (i % 7 == 0 &&
            fl_connmgr_get_conns_async(bed.mgr, service, 5000, on_conns, bed.mgr, NULL) == 0)
            atomic_fetch_add(&bed.started, 1);
        if (i % 20 == 0) fl_connmgr_set_channel_options(bed.mgr, &(struct fl_channel_options){0});
    }
    return NULL;
}

static void start(void) {
    const struct fl_connmgr_options options = {.scheme = "hand"};
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_int_equal(sem_init(&bed.done, 0, 0), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.server_runtime, NULL), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.runtime, NULL), 0);
    on_loop(bed.server_runtime, start_echoes, 1);
    for (int i = 0; i < SERVERS; i++) assert_non_null(bed.echo[i]);
    assert_int_equal(fl_discovery_open(bed.runtime->io, &bed.discovery, NULL), 0);
    bed.hand = fl_hand_new();
    assert_int_equal(fl_discovery_take_provider(bed.discovery, fl_hand_provider(bed.hand)), 0);
    assert_int_equal(fl_connmgr_new(bed.discovery, &options, &bed.mgr, NULL), 0);
    on_loop(bed.runtime, start_churn, 1);
}

static void stop(void) {
    fl_connmgr_close(bed.mgr, post, NULL);
    sem_wait(&bed.done);
    fl_discovery_close(bed.discovery, post, NULL);
    sem_wait(&bed.done);
    on_loop(bed.server_runtime, kill_echoes, SERVERS);
    fl_runtime_free(bed.runtime);
    fl_runtime_free(bed.server_runtime);
    sem_destroy(&bed.done);
}

static void test_C17_threads_ask_call_and_let_go_while_endpoints_change(void **state) {
    FL_UNUSED(state);
    pthread_t threads[THREADS];
    unsigned calls[THREADS] = {0}, total = 0;
    start();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &calls[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += calls[i];
    }
    atomic_store(&bed.stop, true);
    sem_wait(&bed.done);
    /* The last conns may be held by nobody but the manager; closing ends what still waits. */
    while (atomic_load(&bed.calls) < total) sched_yield();
    stop();
    assert_int_equal(atomic_load(&bed.ended), atomic_load(&bed.started));
    assert_int_equal(atomic_load(&bed.calls), total);
    assert_true(total > 0 && atomic_load(&bed.well) > 0);
}

int main(int argc, char **argv) {
    if (argc > 1) rounds = (unsigned)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C17_threads_ask_call_and_let_go_while_endpoints_change),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
