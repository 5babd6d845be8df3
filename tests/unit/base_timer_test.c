/* base_timer_test.c - the timer heap, the task queue, and what is deferred to the end of a turn. */
#include "support/alloc.h"

#include "base/error.h"
#include "base/io.h"
#include "base/list.h"
#include "base/random.h"
#include "base/timer.h"

struct probe {
    struct fl_timer timer; /* first: timers are probes */
    struct fl_timers *timers;
    int id;
    uint64_t again_at_ms; /* set again at this time by its run; 0: not */
    struct fl_timer *clears;
};

static int ran[4096];
static size_t ran_count;

static void probe_run(struct fl_timer *timer) {
    struct probe *p = FL_CONTAINER(timer, struct probe, timer);
    assert_false(fl_timer_is_set(timer));
    ran[ran_count++] = p->id;
    if (p->again_at_ms) fl_timer_set(p->timers, timer, p->again_at_ms);
    if (p->clears) fl_timer_clear(p->timers, p->clears);
}

static void probes_init(struct fl_timers *timers, struct probe *probes, int count) {
    fl_timers_init(timers);
    ran_count = 0;
    for (int i = 0; i < count; i++) {
        probes[i] = (struct probe){.timers = timers, .id = i};
        assert_int_equal(fl_timer_init(timers, &probes[i].timer, probe_run), 0);
    }
}

static void probes_deinit(struct fl_timers *timers, struct probe *probes, int count) {
    for (int i = 0; i < count; i++) fl_timer_deinit(timers, &probes[i].timer);
    fl_timers_deinit(timers);
}

static void test_runs_by_time_then_by_age(void **state) {
    FL_UNUSED(state);
    struct fl_timers timers;
    struct probe p[5];
    uint64_t at;
    probes_init(&timers, p, 5);
    assert_false(fl_timers_next(&timers, &at));
    fl_timer_set(&timers, &p[3].timer, 20);
    fl_timer_set(&timers, &p[0].timer, 10);
    fl_timer_set(&timers, &p[4].timer, 20);
    fl_timer_set(&timers, &p[1].timer, 30);
    fl_timer_set(&timers, &p[2].timer, 20);
    fl_timer_set(&timers, &p[3].timer, 20); /* set again: the youngest now */
    assert_true(fl_timers_next(&timers, &at) && at == 10);
    fl_timers_run(&timers, 9);
    assert_int_equal(ran_count, 0);
    fl_timers_run(&timers, 20);
    static const int expected[] = {0, 4, 2, 3};
    assert_int_equal(ran_count, 4);
    assert_memory_equal(ran, expected, sizeof(expected));
    assert_true(fl_timers_next(&timers, &at) && at == 30);
    probes_deinit(&timers, p, 5);
}

static void test_what_a_run_sets_waits_for_the_next(void **state) {
    FL_UNUSED(state);
    struct fl_timers timers;
    struct probe p[2];
    uint64_t at;
    probes_init(&timers, p, 2);
    p[0].again_at_ms = 1; /* in the past, before the other one */
    fl_timer_set(&timers, &p[0].timer, 5);
    fl_timer_set(&timers, &p[1].timer, 9);
    fl_timers_run(&timers, 10);
    static const int expected[] = {0, 1};
    assert_int_equal(ran_count, 2);
    assert_memory_equal(ran, expected, sizeof(expected));
    assert_true(fl_timer_is_set(&p[0].timer));
    assert_true(fl_timers_next(&timers, &at) && at <= 10); /* and is due at once */
    fl_timers_run(&timers, 10);
    assert_int_equal(ran_count, 3);
    probes_deinit(&timers, p, 2);
}

static void test_a_run_may_clear_others(void **state) {
    FL_UNUSED(state);
    struct fl_timers timers;
    struct probe p[3];
    probes_init(&timers, p, 3);
    for (int i = 0; i < 3; i++) fl_timer_set(&timers, &p[i].timer, 5);
    p[0].clears = &p[1].timer;
    fl_timers_run(&timers, 5);
    static const int expected[] = {0, 2};
    assert_int_equal(ran_count, 2);
    assert_memory_equal(ran, expected, sizeof(expected));
    probes_deinit(&timers, p, 3);
}

static void test_a_timer_never_initialised_may_be_deinitialised(void **state) {
    FL_UNUSED(state);
    struct fl_timers timers;
    struct fl_timer zeroed = {0};
    fl_timers_init(&timers);
    fl_timer_deinit(&timers, &zeroed);
    assert_int_equal(fl_timer_init(&timers, &zeroed, probe_run), 0);
    fl_timer_set(&timers, &zeroed, 1);
    fl_timer_deinit(&timers, &zeroed);
    fl_timer_deinit(&timers, &zeroed);
    assert_int_equal(timers.count, 0);
    fl_timers_deinit(&timers);
}

static void test_places_are_given_back(void **state) {
    FL_UNUSED(state);
    struct fl_timers timers;
    struct fl_timer timer;
    fl_timers_init(&timers);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(fl_timer_init(&timers, &timer, probe_run), 0);
        fl_timer_deinit(&timers, &timer);
    }
    assert_true(timers.cap <= 8);
    fl_timers_deinit(&timers);
}

static void test_setting_never_allocates(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_timers timers;
        struct probe p[100] = {0};
        fl_timers_init(&timers);
        ran_count = 0;
        for (int i = 0; i < 100; i++) {
            int rc = fl_timer_init(&timers, &p[i].timer, probe_run);
            assert_true(rc == 0 || rc == FL_ENOMEM);
        }
        size_t before = fl_test_alloc_count(), set = 0;
        for (int i = 0; i < 100; i++) {
            if (!p[i].timer.run) continue;
            fl_timer_set(&timers, &p[i].timer, 5);
            set++;
        }
        fl_timers_run(&timers, 5);
        assert_int_equal(ran_count, set);
        assert_int_equal(fl_test_alloc_count(), before);
        probes_deinit(&timers, p, 100);
    }
}

/* Random sets, moves and clears; what runs must come in the order of (time, age). */
static void test_random_use_keeps_the_order(void **state) {
    FL_UNUSED(state);
    enum { TIMERS = 300 };
    static struct probe p[TIMERS];
    struct fl_timers timers;
    struct fl_random random = {3};
    probes_init(&timers, p, TIMERS);
    for (int step = 0; step < 3000; step++) {
        struct fl_timer *timer = &p[fl_random_below(&random, TIMERS)].timer;
        if (fl_random_below(&random, 3)) {
            fl_timer_set(&timers, timer, 1 + fl_random_below(&random, 50));
        } else {
            fl_timer_clear(&timers, timer);
        }
    }
    size_t set = 0;
    for (int i = 0; i < TIMERS; i++) set += fl_timer_is_set(&p[i].timer);
    fl_timers_run(&timers, 50);
    assert_int_equal(ran_count, set);
    for (size_t i = 1; i < ran_count; i++) {
        const struct fl_timer *a = &p[ran[i - 1]].timer, *b = &p[ran[i]].timer;
        assert_true(a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->age < b->age));
    }
    probes_deinit(&timers, p, TIMERS);
}

struct step {
    struct fl_task task;
    struct fl_io *io;
    struct fl_task *defers;
    int runs;
};

static void step_run(struct fl_task *task) {
    struct step *s = FL_CONTAINER(task, struct step, task);
    s->runs++;
    if (s->defers) fl_io_defer(s->io, s->defers);
    s->defers = NULL;
}

static void test_deferred_tasks_run_once_and_in_order(void **state) {
    FL_UNUSED(state);
    struct fl_io io = {0};
    struct step a = {.io = &io}, b = {.io = &io};
    fl_task_init(&a.task, step_run);
    fl_task_init(&b.task, step_run);
    fl_io_defer(&io, &a.task);
    fl_io_defer(&io, &a.task); /* queued already */
    assert_int_equal(a.runs, 0);
    a.defers = &b.task; /* what a task defers runs in the same turn */
    b.defers = &a.task; /* and so does itself again */
    fl_io_run_deferred(&io);
    assert_int_equal(a.runs, 2);
    assert_int_equal(b.runs, 1);
    fl_io_run_deferred(&io);
    assert_int_equal(a.runs, 2);
}

static void test_tasks_are_first_in_first_out(void **state) {
    FL_UNUSED(state);
    struct fl_tasks tasks = {NULL, NULL};
    struct fl_task t[3];
    assert_null(fl_tasks_pop(&tasks));
    fl_tasks_push(&tasks, &t[0]);
    fl_tasks_push(&tasks, &t[1]);
    assert_ptr_equal(fl_tasks_pop(&tasks), &t[0]);
    fl_tasks_push(&tasks, &t[2]);
    assert_ptr_equal(fl_tasks_pop(&tasks), &t[1]);
    assert_ptr_equal(fl_tasks_pop(&tasks), &t[2]);
    assert_null(fl_tasks_pop(&tasks));
}

static void test_list_keeps_order_and_loses_the_removed(void **state) {
    FL_UNUSED(state);
    struct fl_list head, items[4];
    int seen = 0;
    fl_list_init(&head);
    assert_true(fl_list_empty(&head));
    for (int i = 0; i < 4; i++) fl_list_push(&head, &items[i]);
    fl_list_remove(&items[1]);
    fl_list_remove(&items[1]); /* initialised: removing again is harmless */
    FL_LIST_EACH (&head, item, next) {
        static const int order[] = {0, 2, 3};
        assert_ptr_equal(item, &items[order[seen++]]);
        fl_list_remove(item);
    }
    assert_int_equal(seen, 3);
    assert_true(fl_list_empty(&head));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_by_time_then_by_age),
        cmocka_unit_test(test_what_a_run_sets_waits_for_the_next),
        cmocka_unit_test(test_a_run_may_clear_others),
        cmocka_unit_test(test_a_timer_never_initialised_may_be_deinitialised),
        cmocka_unit_test(test_places_are_given_back),
        cmocka_unit_test(test_setting_never_allocates),
        cmocka_unit_test(test_random_use_keeps_the_order),
        cmocka_unit_test(test_deferred_tasks_run_once_and_in_order),
        cmocka_unit_test(test_tasks_are_first_in_first_out),
        cmocka_unit_test(test_list_keeps_order_and_loses_the_removed),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
