/* loop_runtime_test.c - the three modes of a runtime, tasks from other threads, timers, signals. */
#include <fairlead/runtime.h>
#include <signal.h>
#include <uv.h>

#include "loop/loop.h"
#include "support/alloc.h"
#include "support/loop_peer.h"

#define THREADS 8
#define POSTS   2000

/* A task that says when it ran and on which thread. */
struct job {
    struct fl_task task;
    struct fl_io *io;
    uv_sem_t done;
    bool on_thread;
    int value; /* written by the poster, read by the task: no lock between them */
    int seen;
};

static void run_job(struct fl_task *task) {
    struct job *job = FL_CONTAINER(task, struct job, task);
    job->on_thread = fl_io_on_thread(job->io);
    job->seen = job->value;
    uv_sem_post(&job->done);
}

static void job_init(struct job *job, struct fl_io *io) {
    *job = (struct job){.io = io};
    fl_task_init(&job->task, run_job);
    assert_int_equal(uv_sem_init(&job->done, 0), 0);
}

static void test_own_thread(void **state) {
    (void)state;
    struct fl_runtime *runtime;
    struct fl_error err;
    struct job job;
    assert_int_equal(fl_runtime_new(NULL, &runtime, &err), 0);
    job_init(&job, runtime->io);
    assert_false(fl_io_on_thread(runtime->io));
    job.value = 42;
    fl_io_post(runtime->io, &job.task);
    uv_sem_wait(&job.done);
    assert_true(job.on_thread);
    assert_int_equal(job.seen, 42);
    fl_runtime_free(runtime);
    uv_sem_destroy(&job.done);
    fl_runtime_free(NULL);
}

static void test_free_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct fl_runtime *runtime;
        assert_int_equal(fl_runtime_new(NULL, &runtime, NULL), 0);
        fl_runtime_free(runtime);
    }
}

/* Each poster has a counter task of its own that counts up what it was told so far. */
struct poster {
    struct fl_task task;
    struct fl_io *io;
    uv_thread_t thread;
    atomic_int told;
    int plain; /* as `told`, for the race detector: written before each post */
    atomic_int runs, seen;
};

static void run_poster_task(struct fl_task *task) {
    struct poster *poster = FL_CONTAINER(task, struct poster, task);
    atomic_fetch_add(&poster->runs, 1);
    atomic_store(&poster->seen, atomic_load(&poster->told));
}

static void post_often(void *arg) {
    struct poster *poster = arg;
    for (int i = 1; i <= POSTS; i++) {
        atomic_store_explicit(&poster->told, i, memory_order_relaxed);
        fl_io_post(poster->io, &poster->task);
    }
}

static void test_posts_from_many_threads(void **state) {
    (void)state;
    struct fl_runtime *runtime;
    static struct poster posters[THREADS];
    struct job last;
    assert_int_equal(fl_runtime_new(NULL, &runtime, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.io = runtime->io};
        fl_task_init(&posters[i].task, run_poster_task);
        assert_int_equal(uv_thread_create(&posters[i].thread, post_often, &posters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) uv_thread_join(&posters[i].thread);
    job_init(&last, runtime->io);
    fl_io_post(runtime->io, &last.task);
    uv_sem_wait(&last.done);
    for (int i = 0; i < THREADS; i++) {
        int runs = atomic_load(&posters[i].runs);
        assert_in_range(runs, 1, POSTS);                        /* coalesced, never repeated */
        assert_int_equal(atomic_load(&posters[i].seen), POSTS); /* the last word was heard */
        assert_false(atomic_load(&posters[i].task.queued));
    }
    fl_runtime_free(runtime);
    uv_sem_destroy(&last.done);
}

/* Tasks of one thread run in the order in which they were posted. */
static int order[4], order_count;

struct numbered {
    struct fl_task task;
    int number;
};

static void run_numbered(struct fl_task *task) {
    order[order_count++] = FL_CONTAINER(task, struct numbered, task)->number;
}

static void test_posts_keep_their_order(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct numbered tasks[4];
    order_count = 0;
    for (int i = 0; i < 4; i++) {
        fl_task_init(&tasks[i].task, run_numbered);
        tasks[i].number = i;
        fl_io_post(runtime->io, &tasks[i].task);
        fl_io_post(runtime->io, &tasks[i].task);
    }
    assert_int_equal(order_count, 0);
    fl_test_loop_settle(runtime);
    assert_int_equal(order_count, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(order[i], i);
    fl_runtime_free(runtime);
}

/* A task that posts itself again runs once a turn and does not hold the loop. */
struct again {
    struct fl_task task;
    struct fl_io *io;
    int runs;
};

static void run_again(struct fl_task *task) {
    struct again *again = FL_CONTAINER(task, struct again, task);
    if (++again->runs < 3) fl_io_post(again->io, &again->task);
}

static void test_task_posts_itself_again(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct again again = {.io = runtime->io};
    fl_task_init(&again.task, run_again);
    fl_io_post(runtime->io, &again.task);
    fl_test_loop_settle(runtime);
    assert_int_equal(again.runs, 3);
    fl_runtime_free(runtime);
}

struct alarm {
    struct fl_timer timer;
    bool rang;
};

static void ring(struct fl_timer *timer) { FL_CONTAINER(timer, struct alarm, timer)->rang = true; }

static void test_poll_mode(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_io *io = runtime->io;
    struct alarm alarm = {.rang = false};
    fl_test_loop_settle(runtime);
    assert_true(fl_runtime_fd(runtime) >= 0);
    assert_int_equal(fl_runtime_deadline_ms(runtime), -1);
    assert_int_equal(fl_io_timer_init(io, &alarm.timer, ring), 0);
    fl_io_timer_set(io, &alarm.timer, fl_io_now_ms(io) + 20);
    assert_in_range(fl_runtime_deadline_ms(runtime), 0, 20);
    assert_false(alarm.rang);
    fl_test_loop_until_true(runtime, &alarm.rang);
    assert_true(fl_io_now_ms(io) >= alarm.timer.at_ms); /* never early */
    fl_test_loop_settle(runtime);
    assert_int_equal(fl_runtime_deadline_ms(runtime), -1);
    fl_io_timer_set(io, &alarm.timer, 0);
    assert_int_equal(fl_runtime_deadline_ms(runtime), 0);
    fl_io_timer_deinit(io, &alarm.timer);
    fl_runtime_free(runtime);
}

/* What is started outside of a turn is watched without one, as the deadline says. */
static void test_poll_mode_starts_between_turns(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    struct fl_test_server server;
    struct fl_test_peer client;
    fl_test_peer_init(&client, runtime);
    fl_test_loop_settle(runtime);
    fl_test_server_init(&server, runtime, "127.0.0.1", NULL);
    assert_int_equal(fl_test_peer_dial(&client, "127.0.0.1", server.port, NULL, NULL), 0);
    assert_int_equal(fl_runtime_deadline_ms(runtime), 0);
    fl_test_loop_until_true(runtime, &client.open);
    fl_test_loop_end(runtime, &client, &server);
}

static void stop_uv(uv_timer_t *timer) { uv_stop(timer->loop); }

static void test_callers_loop(void **state) {
    (void)state;
    uv_loop_t loop;
    uv_timer_t guard;
    struct fl_runtime_options options = {.mode = FL_RUNTIME_UV_LOOP, .uv_loop = &loop};
    struct fl_runtime *runtime;
    struct job job;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(fl_runtime_new(&options, &runtime, NULL), 0);
    job_init(&job, runtime->io);
    fl_io_post(runtime->io, &job.task);
    uv_timer_init(&loop, &guard);
    uv_timer_start(&guard, stop_uv, 20, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_sem_trywait(&job.done), 0);
    assert_true(job.on_thread);
    assert_true(uv_loop_alive(&loop)); /* a runtime keeps the loop running */
    uv_close((uv_handle_t *)&guard, NULL);
    fl_runtime_free(runtime);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); /* nothing of ours is left on it */
    uv_sem_destroy(&job.done);
}

/* The caller's own callbacks may use our objects: what they queue leaves in the same turn. */
struct mixed {
    struct fl_test_peer client;
    struct fl_test_server server;
    uv_loop_t loop;
    uv_timer_t tick;
};

static void write_from_outside(uv_timer_t *timer) {
    struct mixed *m = timer->data;
    if (m->client.open && m->client.in.len == 0) fl_test_peer_write(&m->client, "x");
    if (m->client.in.len) uv_stop(&m->loop);
}

static bool is_gone(void *arg) { return ((struct fl_test_peer *)arg)->sock == NULL; }

static void end_mixed(struct mixed *m, struct fl_runtime *runtime) {
    struct fl_test_peer *peers[] = {&m->client, &m->server.peer};
    uv_timer_stop(&m->tick);
    for (size_t i = 0; i < 2; i++) {
        if (peers[i]->sock) fl_sock_abort(runtime->io, peers[i]->sock);
        while (!is_gone(peers[i])) uv_run(&m->loop, UV_RUN_ONCE);
    }
    fl_test_peer_deinit(&m->client);
    fl_test_server_deinit(&m->server);
    uv_close((uv_handle_t *)&m->tick, NULL);
    fl_runtime_free(runtime);
}

static void test_callers_callbacks_use_our_objects(void **state) {
    (void)state;
    static struct mixed m;
    struct fl_runtime_options options = {.mode = FL_RUNTIME_UV_LOOP, .uv_loop = &m.loop};
    struct fl_runtime *runtime;
    assert_int_equal(uv_loop_init(&m.loop), 0);
    assert_int_equal(fl_runtime_new(&options, &runtime, NULL), 0);
    fl_test_peer_init(&m.client, runtime);
    fl_test_server_init(&m.server, runtime, "127.0.0.1", NULL);
    m.server.peer.echo = true;
    assert_int_equal(fl_test_peer_dial(&m.client, "127.0.0.1", m.server.port, NULL, NULL), 0);
    uv_timer_init(&m.loop, &m.tick);
    m.tick.data = &m;
    uv_timer_start(&m.tick, write_from_outside, 1, 1);
    uv_run(&m.loop, UV_RUN_DEFAULT);
    assert_true(m.client.in.len > 0);
    end_mixed(&m, runtime);
    assert_int_equal(uv_loop_close(&m.loop), 0);
}

static void stop_after(void *arg) { fl_loop_stop(arg); }

static void test_run_and_stop(void **state) {
    (void)state;
    struct fl_runtime *runtime;
    uv_thread_t thread;
    assert_int_equal(fl_loop_new(&runtime, NULL), 0);
    fl_loop_stop(runtime); /* before it runs: it returns at once */
    fl_loop_run(runtime);
    assert_int_equal(uv_thread_create(&thread, stop_after, runtime), 0);
    fl_loop_run(runtime);
    uv_thread_join(&thread);
    fl_runtime_free(runtime);
}

static int signals_seen;

static void on_signal(void *arg, int number) {
    assert_int_equal(number, SIGUSR1);
    signals_seen++;
    fl_loop_stop(arg);
}

static void test_signals(void **state) {
    (void)state;
    struct fl_runtime *runtime;
    signals_seen = 0;
    assert_int_equal(fl_loop_new(&runtime, NULL), 0);
    assert_int_equal(fl_loop_on_signal(runtime, SIGUSR1, on_signal, runtime), 0);
    raise(SIGUSR1);
    fl_loop_run(runtime);
    raise(SIGUSR1);
    fl_loop_run(runtime);
    assert_int_equal(signals_seen, 2);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(fl_loop_on_signal(runtime, SIGUSR2, on_signal, runtime), 0);
    }
    assert_int_equal(fl_loop_on_signal(runtime, SIGUSR2, on_signal, runtime), FL_EFULL);
    fl_runtime_free(runtime);
}

static void test_wrong_options(void **state) {
    (void)state;
    struct fl_runtime *runtime;
    struct fl_error err;
    uv_loop_t loop;
    struct fl_runtime_options options = {.mode = FL_RUNTIME_UV_LOOP};
    assert_int_equal(fl_runtime_new(&options, &runtime, &err), FL_EUSAGE);
    options = (struct fl_runtime_options){.mode = FL_RUNTIME_THREAD, .uv_loop = &loop};
    assert_int_equal(fl_runtime_new(&options, &runtime, &err), FL_EUSAGE);
    options = (struct fl_runtime_options){.mode = (enum fl_runtime_mode)7};
    assert_int_equal(fl_runtime_new(&options, &runtime, &err), FL_EUSAGE);
}

static void test_every_failed_allocation(void **state) {
    (void)state;
    for (int mode = FL_RUNTIME_THREAD; mode <= FL_RUNTIME_POLL; mode++) {
        FL_TEST_EACH_FAILURE(n) {
            uv_loop_t loop;
            struct fl_runtime_options options = {.mode = (enum fl_runtime_mode)mode};
            struct fl_runtime *runtime;
            struct fl_error err;
            assert_int_equal(uv_loop_init(&loop), 0);
            if (mode == FL_RUNTIME_UV_LOOP) options.uv_loop = &loop;
            int rc = fl_runtime_new(&options, &runtime, &err);
            assert_true(rc == 0 || (rc == FL_ENOMEM && err.code == FL_ENOMEM));
            if (rc == 0) fl_runtime_free(runtime);
            assert_int_equal(uv_loop_close(&loop), 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_thread),
        cmocka_unit_test(test_free_at_once),
        cmocka_unit_test(test_posts_from_many_threads),
        cmocka_unit_test(test_posts_keep_their_order),
        cmocka_unit_test(test_task_posts_itself_again),
        cmocka_unit_test(test_poll_mode),
        cmocka_unit_test(test_poll_mode_starts_between_turns),
        cmocka_unit_test(test_callers_loop),
        cmocka_unit_test(test_callers_callbacks_use_our_objects),
        cmocka_unit_test(test_run_and_stop),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
