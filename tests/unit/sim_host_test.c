/* sim_host_test.c - the contract of io.h on virtual time: tasks, timers, files, programs, and that
 * a world runs the same way again. */
#include "support/pair.h"

#include <stdio.h>

#include "base/hash.h"

/* --- tasks, timers, settings --- */

struct worker {
    struct fl_task task;
    struct fl_timer timer;
    struct fl_io *io;
    int runs;
    uint64_t at_ms;
    bool again;
};

static void run_task(struct fl_task *task) {
    struct worker *w = FL_CONTAINER(task, struct worker, task);
    w->runs++;
    if (!w->again) return;
    w->again = false;
    fl_io_post(w->io, task);
}

static void run_timer(struct fl_timer *timer) {
    struct worker *w = FL_CONTAINER(timer, struct worker, timer);
    w->runs++;
    w->at_ms = fl_io_now_ms(w->io);
    fl_io_defer(w->io, &w->task);
}

static void test_posted_tasks_coalesce(void **state) {
    struct fl_world *world;
    struct worker w = {.again = true};
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    w.io = fl_world_io(world);
    fl_task_init(&w.task, run_task);
    fl_io_post(w.io, &w.task);
    fl_io_post(w.io, &w.task);
    assert_int_equal(w.runs, 0);
    assert_true(fl_io_on_thread(w.io));
    assert_true(fl_world_step(world));
    assert_int_equal(w.runs, 1);
    fl_world_run_ms(world, 1);
    assert_int_equal(w.runs, 2);
    assert_false(fl_world_step(world));
    fl_world_free(world);
}

static void test_timers_run_on_time(void **state) {
    struct fl_world *world;
    struct worker w = {0};
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    w.io = fl_world_io(world);
    int64_t wall = fl_io_wall_ms(w.io);
    fl_task_init(&w.task, run_task);
    assert_int_equal(fl_io_timer_init(w.io, &w.timer, run_timer), 0);
    fl_io_timer_set(w.io, &w.timer, fl_io_now_ms(w.io) + 250);
    fl_world_run_ms(world, 249);
    assert_int_equal(w.runs, 0);
    fl_world_run_ms(world, 1000);
    assert_int_equal(w.runs, 2); /* and what it deferred, in the same turn */
    assert_int_equal(w.at_ms, 1250);
    assert_int_equal(fl_io_wall_ms(w.io) - wall, 1249);
    fl_io_timer_deinit(w.io, &w.timer);
    fl_world_free(world);
}

static bool never(void *arg) {
    FL_UNUSED(arg);
    return false;
}

static void test_run_until_has_a_limit(void **state) {
    struct fl_world *world;
    struct worker w = {0};
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    w.io = fl_world_io(world);
    assert_int_equal(fl_io_timer_init(w.io, &w.timer, run_timer), 0);
    assert_false(fl_world_run_until(world, never, NULL, 500)); /* nothing is pending */
    fl_io_timer_set(w.io, &w.timer, fl_io_now_ms(w.io) + 501);
    assert_false(fl_world_run_until(world, never, NULL, 500));
    assert_int_equal(fl_io_now_ms(w.io), 1500);
    assert_int_equal(w.runs, 0);
    fl_io_timer_deinit(w.io, &w.timer);
    fl_world_free(world);
}

static void test_files_and_environment(void **state) {
    struct fl_world *world;
    struct fl_buf out;
    struct fl_error err;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    struct fl_io *io = fl_world_io(world);
    fl_buf_init(&out, 8);
    assert_int_equal(fl_io_file_read(io, "/token", &out, &err), FL_ESYS);
    assert_non_null(strstr(err.detail, "/token"));
    assert_int_equal(fl_world_file(world, "/token", FL_STR("first")), 0);
    assert_int_equal(fl_world_file(world, "/token", FL_STR("secret")), 0);
    assert_int_equal(fl_io_file_read(io, "/token", &out, &err), 0);
    assert_true(fl_str_eq(fl_buf_str(&out), FL_STR("secret")));
    assert_int_equal(fl_io_file_read(io, "/token", &out, &err), FL_ETOO_LARGE);
    assert_null(fl_io_env(io, "HOME"));
    assert_int_equal(fl_world_env(world, "HOME", "/root"), 0);
    assert_string_equal(fl_io_env(io, "HOME"), "/root");
    fl_buf_deinit(&out);
    fl_world_free(world);
}

struct told {
    int calls;
    struct fl_error why;
    int exit_code;
    char out[16];
};

static void on_written(void *arg, const struct fl_error *why) {
    struct told *told = arg;
    told->calls++;
    told->why = *why;
}

static int write_file(struct fl_world *world, struct fl_str text, struct told *told) {
    struct fl_buf bytes;
    fl_buf_init(&bytes, 100);
    if (fl_buf_append(&bytes, text) < 0) return FL_ENOMEM;
    *told = (struct told){0};
    int rc = fl_io_take_file_write(fl_world_io(world), "/state", &bytes, on_written, told, NULL);
    assert_null(bytes.data);
    assert_int_equal(told->calls, 0);
    return rc;
}

static void assert_file(const struct fl_world *world, struct fl_str text) {
    struct fl_str got;
    assert_true(fl_world_peek_file(world, "/state", &got));
    assert_true(fl_str_eq(got, text));
}

static void test_file_is_written_later(void **state) {
    struct fl_world *world;
    struct fl_str got;
    struct told told;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    assert_int_equal(write_file(world, FL_STR("a\0b"), &told), 0);
    assert_false(fl_world_peek_file(world, "/state", &got));
    fl_world_run_ms(world, 10);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.why.code, FL_OK);
    assert_file(world, FL_STR("a\0b"));
    assert_int_equal(fl_world_file_fault(world, "/state", FL_WORLD_FILE_UNWRITABLE), 0);
    assert_int_equal(write_file(world, FL_STR("new"), &told), 0);
    fl_world_run_ms(world, 10);
    assert_int_equal(told.why.code, FL_ESYS);
    assert_string_equal(told.why.detail, "/state: read-only file system");
    assert_int_equal(fl_world_file_fault(world, "/state", FL_WORLD_FILE_TORN), 0);
    assert_int_equal(write_file(world, FL_STR("new"), &told), 0);
    fl_world_run_ms(world, 10);
    assert_int_equal(told.why.code, FL_ESYS);
    assert_file(world, FL_STR("a\0b"));
    assert_int_equal(fl_world_file_fault(world, "/state", FL_WORLD_FILE_OK), 0);
    assert_int_equal(write_file(world, FL_STR("new"), &told), 0);
    fl_world_free(world); /* waits for it */
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.why.code, FL_OK);
}

static void on_spawned(void *arg, const struct fl_error *why, const struct fl_spawned *what) {
    struct told *told = arg;
    told->calls++;
    told->why = *why;
    told->exit_code = what->exit_code;
    fl_str_copy(told->out, sizeof told->out, what->out);
}

static int spawn(struct fl_world *world, const char *name, struct fl_process **process,
                 struct told *told) {
    const char *const argv[] = {name, "get-token", NULL};
    const char *const env[] = {"MODE=test", NULL};
    struct fl_io *io = fl_world_io(world);
    struct fl_spawn what = {
        .argv = argv, .env = env, .deadline_ms = fl_io_now_ms(io) + 1000, .out_max = 8};
    *told = (struct told){0};
    int rc = fl_io_spawn(io, &what, on_spawned, told, process, NULL);
    assert_int_equal(told->calls, 0);
    return rc;
}

static void expect_spawn(struct fl_world *world, const char *name, int code, int exit_code) {
    struct fl_process *process;
    struct told told;
    assert_int_equal(spawn(world, name, &process, &told), 0);
    fl_world_run_ms(world, 2000);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.why.code, code);
    assert_int_equal(told.exit_code, exit_code);
}

static void test_programs(void **state) {
    struct fl_world *world;
    struct fl_process *process;
    struct told told;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&pair_plain, &world), 0);
    struct fl_world_program does = {.out = FL_STR("token"), .err = FL_STR("warning")};
    assert_null(fl_world_peek_run(world, "plugin").argv);
    assert_int_equal(fl_world_program(world, "plugin", &does), 0);
    assert_int_equal(spawn(world, "plugin", &process, &told), 0);
    fl_world_run_ms(world, 10);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.why.code, FL_OK);
    assert_string_equal(told.out, "token");
    struct fl_world_run run = fl_world_peek_run(world, "plugin");
    assert_int_equal(run.times, 1);
    assert_string_equal(run.argv[1], "get-token");
    assert_null(run.argv[2]);
    assert_string_equal(run.env[0], "MODE=test");
    does.exit_code = 3;
    assert_int_equal(fl_world_program(world, "plugin", &does), 0);
    expect_spawn(world, "plugin", FL_OK, 3);
    assert_int_equal(fl_world_peek_run(world, "plugin").times, 2);
    does.delay_ms = 1500;
    assert_int_equal(fl_world_program(world, "plugin", &does), 0);
    expect_spawn(world, "plugin", FL_ETIMEOUT, -1);
    does = (struct fl_world_program){.out = FL_STR("too much for it")};
    assert_int_equal(fl_world_program(world, "plugin", &does), 0);
    expect_spawn(world, "plugin", FL_ETOO_LARGE, -1);
    expect_spawn(world, "absent", FL_ESYS, -1);
    does = (struct fl_world_program){.hangs = true};
    assert_int_equal(fl_world_program(world, "plugin", &does), 0);
    expect_spawn(world, "plugin", FL_ETIMEOUT, -1);
    assert_int_equal(spawn(world, "plugin", &process, &told), 0);
    fl_process_kill(fl_world_io(world), process);
    assert_int_equal(told.calls, 0);
    fl_world_run_ms(world, 1);
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.why.code, FL_ECANCELLED);
    fl_world_free(world);
}

static void test_files_and_programs_without_memory(void **state) {
    static const struct fl_world_program does = {.out = FL_STR("token"), .err = FL_STR("w")};
    struct told written, told;
    struct fl_process *process;
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_world *world;
        if (fl_world_new(&pair_plain, &world) < 0) continue;
        bool good = fl_world_file(world, "/a", FL_STR("text")) == 0 &&
                    fl_world_env(world, "A", "b") == 0 &&
                    fl_world_program(world, "plugin", &does) == 0 &&
                    spawn(world, "plugin", &process, &told) == 0;
        if (good && write_file(world, FL_STR("text"), &written) == 0) {
            fl_world_run_ms(world, 10);
            assert_int_equal(written.why.code, FL_OK);
        }
        fl_world_run_ms(world, 10);
        if (good) assert_int_equal(told.why.code, FL_OK);
        fl_world_free(world);
    }
}

/* --- replay --- */

static void count_line(void *arg, const char *text) {
    assert_true(strlen(text) > 0);
    ++*(int *)arg;
}

/* A little life: several connections that echo, are cut, close; the trace at the end. */
static uint64_t live(const struct fl_world_options *options, int *lines) {
    struct pair p[4];
    pair_open(&p[0], options);
    if (lines) fl_world_observe(p[0].world, count_line, lines);
    for (int i = 1; i < 4; i++) {
        p[i] = p[0];
        end_init(&p[i].client, p[0].io);
        end_init(&p[i].server, p[0].io);
        p[i].accepts = 0;
        assert_int_equal(fl_io_listen(p[0].io, FL_STR("127.0.0.1"), (uint16_t)(PORT + i), NULL,
                                      on_accept, &p[i], &p[i].listener, NULL),
                         0);
    }
    for (int i = 0; i < 4; i++) dial(&p[i], "127.0.0.1", (uint16_t)(PORT + i), DEADLINE);
    fl_world_run_ms(p[0].world, 20);
    for (int i = 0; i < 4; i++) {
        uint64_t token;
        fl_io_random(p[i].io, &token, sizeof token);
        end_write(&p[i].client, fl_str_n(&token, sizeof token));
        end_write(&p[i].server, FL_STR("some more bytes that are cut to pieces"));
    }
    fl_world_run_ms(p[0].world, 20);
    fl_world_cut(p[0].world, FL_STR("127.0.0.1:7002"));
    fl_world_note(p[0].world, FL_STR("a test's own entry"));
    fl_world_run_ms(p[0].world, 1);
    for (int i = 1; i < 4; i++) {
        if (p[i].client.sock) fl_sock_close(p[i].io, p[i].client.sock);
        fl_world_run_ms(p[0].world, 20);
        if (p[i].server.sock) fl_sock_close(p[i].io, p[i].server.sock);
        fl_listener_close(p[i].io, p[i].listener);
        fl_buf_deinit(&p[i].client.got);
        fl_buf_deinit(&p[i].server.got);
    }
    fl_world_run_ms(p[0].world, 100);
    uint64_t trace = fl_world_trace(p[0].world);
    pair_free(&p[0]);
    return trace;
}

static void test_same_seed_same_trace(void **state) {
    uint64_t first = 0;
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct fl_world_options options = {
            .seed = seed, .chop = seed % 2 == 0, .reorder = seed % 3 == 0};
        int lines = 0;
        uint64_t trace = live(&options, NULL);
        void *shift = fl_alloc(4096 + seed * 64);        /* other addresses must not matter */
        assert_int_equal(trace, live(&options, &lines)); /* nor must being watched */
        fl_free(shift);
        assert_true(lines > 20);
        if (seed == 1) first = trace;
        assert_true(seed == 1 || trace != first);
    }
}

/* Which of two connections, written to in this order, is heard first. */
static const char *order_of(uint64_t seed) {
    struct fl_world_options options = {.seed = seed, .reorder = true};
    struct pair p, q;
    pair_connect(&p, &options);
    q = p;
    end_init(&q.client, p.io);
    end_init(&q.server, p.io);
    assert_int_equal(
        fl_io_listen(p.io, FL_STR("127.0.0.1"), PORT + 1, NULL, on_accept, &q, &q.listener, NULL),
        0);
    dial(&q, "127.0.0.1", PORT + 1, DEADLINE);
    fl_world_run_ms(p.world, 50);
    end_write(&p.client, FL_STR("1"));
    end_write(&q.client, FL_STR("2"));
    while (!p.server.datas && !q.server.datas) assert_true(fl_world_step(p.world));
    const char *first = p.server.datas ? "p" : "q";
    fl_sock_abort(p.io, q.client.sock);
    fl_listener_close(p.io, q.listener);
    fl_world_run_ms(p.world, 50);
    fl_buf_deinit(&q.client.got);
    fl_buf_deinit(&q.server.got);
    pair_free(&p);
    return first;
}

static void test_connections_overtake_one_another(void **state) {
    int p_first = 0;
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 40; seed++) p_first += strcmp(order_of(seed), "p") == 0;
    assert_in_range(p_first, 5, 35);
}

static void test_every_allocation_fails(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_world *world;
        struct fl_world_options options = {.seed = n};
        if (fl_world_new(&options, &world) == 0) {
            struct pair p = {.world = world, .io = fl_world_io(world)};
            struct fl_dial d = {.host = FL_STR("127.0.0.1"), .port = PORT, .deadline_ms = DEADLINE};
            end_init(&p.client, p.io);
            end_init(&p.server, p.io);
            int rc = fl_io_listen(p.io, FL_STR("127.0.0.1"), PORT, NULL, on_accept, &p, &p.listener,
                                  NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            rc = fl_io_dial(p.io, &d, &events, &p.client, &p.client.sock, NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            fl_world_run_ms(world, 10);
            if (p.client.sock) {
                rc = fl_sock_write(p.io, p.client.sock, FL_STR("x"));
                assert_true(rc == 0 || rc == FL_ENOMEM);
            }
            rc = fl_world_file(world, "/a", FL_STR("b"));
            assert_true(rc == 0 || rc == FL_ENOMEM);
            pair_free(&p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posted_tasks_coalesce),
        cmocka_unit_test(test_timers_run_on_time),
        cmocka_unit_test(test_run_until_has_a_limit),
        cmocka_unit_test(test_files_and_environment),
        cmocka_unit_test(test_file_is_written_later),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_files_and_programs_without_memory),
        cmocka_unit_test(test_same_seed_same_trace),
        cmocka_unit_test(test_connections_overtake_one_another),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
