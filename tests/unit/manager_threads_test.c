/* manager_threads_test.c - a manager, eight threads that ask, call, hold and let go, while
 * endpoints come and leave and the manager is closed and replaced under what they hold; and what a
 * thread gets that waits for a text. What holds on virtual time must hold here, and the thread
 * sanitizer must have nothing to say. `manager_threads_test SECONDS` goes on for so long. */
#include "support/alloc.h"

#include <fairlead/fairlead.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "discovery/discovery.h"
#include "server/echo.h"
#include "support/hand_provider.h"

#define THREADS  8
#define SERVERS  2
#define CHURN_MS 3
#define RENEW_MS 20  /* between two managers */
#define ROUNDS   100 /* of each thread, unless it is told how long */
#define SERVICES 2

struct bed {
    struct fl_runtime *server_runtime, *runtime;
    struct fl_echo *echo[SERVERS];
    struct fl_discovery *discovery;
    struct fl_hand *hand;
    pthread_rwlock_t lock; /* of mgr: nothing may be asked of one that was closed */
    struct fl_connmgr *mgr;
    atomic_uint closing; /* managers, of which somebody may still hold something */
    struct fl_task task;
    struct fl_timer churn;
    sem_t done;
    unsigned turn;
    atomic_bool stop;
    atomic_uint started, ended, calls, well;
    int on_its_own[2]; /* what waiting functions said on the loop's thread */
};

static struct bed bed;
static unsigned seconds; /* 0: ROUNDS */

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

static void ask_async(const char *service, void *again);

/* The callback of an asynchronous request asks again from within, and lets go. */
static void on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    atomic_fetch_add(&bed.ended, 1);
    if (!why) fl_conns_deinit(conns);
    /* Who is replaced waits for the loop, which must not wait for him. */
    if (arg && pthread_rwlock_tryrdlock(&bed.lock) == 0) {
        ask_async("a", NULL);
        pthread_rwlock_unlock(&bed.lock);
    }
}

static void ask_async(const char *service, void *again) {
    if (fl_connmgr_get_conns_async(bed.mgr, service, 5000, on_conns, again, NULL) == 0)
        atomic_fetch_add(&bed.started, 1);
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

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool goes_on(unsigned round, uint64_t started_ms) {
    return seconds ? now_ms() - started_ms < (uint64_t)seconds * 1000 : round < ROUNDS;
}

/* What it was given it may hold for longer than there is the manager. */
static unsigned ask_once(unsigned i) {
    static const char *const services[SERVICES] = {"a", "a:grpc"};
    const char *service = services[i % SERVICES];
    struct fl_conns conns = {.conn = NULL};
    struct fl_conn *conn = NULL;
    pthread_rwlock_rdlock(&bed.lock);
    int rc = fl_connmgr_get_conns(bed.mgr, service, 5000, &conns, NULL);
    if (i % 10 == 0 && fl_connmgr_get_conn(bed.mgr, service, 10, &conn, NULL) != 0) conn = NULL;
    if (i % 7 == 0) ask_async(service, &bed);
    if (i % 20 == 0) fl_connmgr_set_channel_options(bed.mgr, &(struct fl_channel_options){0});
    pthread_rwlock_unlock(&bed.lock);
    unsigned calls = rc == 0 ? call_each(&conns) : 0;
    fl_conns_deinit(&conns);
    fl_conn_unref(conn);
    return calls;
}

static void *ask(void *arg) {
    unsigned *calls = arg;
    uint64_t started_ms = now_ms();
    for (unsigned i = 0; goes_on(i, started_ms); i++) *calls += ask_once(i);
    return NULL;
}

static void manager_closed(void *arg) {
    FL_UNUSED(arg);
    atomic_fetch_sub(&bed.closing, 1);
}

static void open_manager(void) {
    const struct fl_connmgr_options options = {.scheme = "hand", .gateway = "a"};
    assert_int_equal(fl_connmgr_new(bed.discovery, &options, &bed.mgr, NULL), 0);
}

/* Closed with requests waiting, calls under way and handles in many hands. */
static void close_manager(void) {
    atomic_fetch_add(&bed.closing, 1);
    fl_connmgr_close(bed.mgr, manager_closed, NULL);
}

static void *renew(void *arg) {
    FL_UNUSED(arg);
    while (!atomic_load(&bed.stop)) {
        nanosleep(&(struct timespec){.tv_nsec = RENEW_MS * 1000000L}, NULL);
        pthread_rwlock_wrlock(&bed.lock);
        close_manager();
        open_manager();
        pthread_rwlock_unlock(&bed.lock);
    }
    return NULL;
}

static void start(void) {
    pthread_rwlockattr_t attr; /* eight who read leave no gap for one who writes */
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_int_equal(sem_init(&bed.done, 0, 0), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.server_runtime, NULL), 0);
    assert_int_equal(fl_runtime_new(NULL, &bed.runtime, NULL), 0);
    on_loop(bed.server_runtime, start_echoes, 1);
    for (int i = 0; i < SERVERS; i++) assert_non_null(bed.echo[i]);
    assert_int_equal(fl_discovery_open(bed.runtime->io, &bed.discovery, NULL), 0);
    bed.hand = fl_hand_new();
    assert_int_equal(fl_discovery_take_provider(bed.discovery, fl_hand_provider(bed.hand)), 0);
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    assert_int_equal(pthread_rwlock_init(&bed.lock, &attr), 0);
    pthread_rwlockattr_destroy(&attr);
    open_manager();
}

static void stop(void) {
    close_manager();
    while (atomic_load(&bed.closing) > 0) sched_yield();
    fl_discovery_close(bed.discovery, post, NULL);
    sem_wait(&bed.done);
    on_loop(bed.server_runtime, kill_echoes, SERVERS);
    fl_runtime_free(bed.runtime);
    fl_runtime_free(bed.server_runtime);
    sem_destroy(&bed.done);
    pthread_rwlock_destroy(&bed.lock);
}

static void test_C17_threads_ask_call_and_let_go_while_endpoints_change(void **state) {
    FL_UNUSED(state);
    pthread_t threads[THREADS], renewing;
    unsigned calls[THREADS] = {0}, total = 0;
    start();
    on_loop(bed.runtime, start_churn, 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &calls[i]), 0);
    assert_int_equal(pthread_create(&renewing, NULL, renew, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += calls[i];
    }
    atomic_store(&bed.stop, true);
    pthread_join(renewing, NULL);
    sem_wait(&bed.done);
    /* The last conns may be held by nobody but the manager; closing ends what still waits. */
    while (atomic_load(&bed.calls) < total) sched_yield();
    stop();
    assert_int_equal(atomic_load(&bed.ended), atomic_load(&bed.started));
    assert_int_equal(atomic_load(&bed.calls), total);
    assert_true(total > 0 && atomic_load(&bed.well) > 0);
}

static void publish_all(struct fl_task *task) {
    FL_UNUSED(task);
    bed.turn = 0;
    publish();
    post(NULL);
}

static void wait_on_the_loop(struct fl_task *task) {
    FL_UNUSED(task);
    char text[64];
    bed.on_its_own[0] = fl_connmgr_get_user_gateway(bed.mgr, "user", 0, text, sizeof(text), NULL);
    bed.on_its_own[1] = fl_connmgr_get_self_target(bed.mgr, 0, text, sizeof(text), NULL);
    post(NULL);
}

static void test_texts_are_waited_for(void **state) {
    FL_UNUSED(state);
    char first[64], again[64], small[8];
    struct fl_error err;
    assert_int_equal(setenv("HOSTNAME", "pod", 1), 0);
    start();
    on_loop(bed.runtime, publish_all, 1);
    assert_int_equal(fl_connmgr_get_user_gateway(bed.mgr, "user", 5000, first, sizeof(first), &err),
                     0);
    assert_memory_equal(first, "127.0.0.1:", 10);
    assert_int_equal(fl_connmgr_get_user_gateway(bed.mgr, "user", 5000, again, sizeof(again), &err),
                     0);
    assert_string_equal(first, again);
    assert_int_equal(fl_connmgr_get_user_gateway(bed.mgr, "user", 5000, small, sizeof(small), &err),
                     FL_EFULL);
    /* The hand provider knows nothing of pods. */
    assert_int_equal(fl_connmgr_get_self_target(bed.mgr, 5000, first, sizeof(first), &err),
                     FL_EUSAGE);
    on_loop(bed.runtime, wait_on_the_loop, 1);
    assert_int_equal(bed.on_its_own[0], FL_EUSAGE);
    assert_int_equal(bed.on_its_own[1], FL_EUSAGE);
    stop();
}

int main(int argc, char **argv) {
    if (argc > 1) seconds = (unsigned)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C17_threads_ask_call_and_let_go_while_endpoints_change),
        cmocka_unit_test(test_texts_are_waited_for),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
