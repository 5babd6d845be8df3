/* Policies and options, each against what its document promises. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "channel/balance.h"
#include "channel/pick_first.h"

#define ITEMS_MAX 1000

struct item {
    struct fl_pick pick;
    bool full;
    unsigned picked;
};

struct fixture {
    struct fl_balance_options options;
    struct fl_random random;
    struct fl_balancer balancer;
    struct item items[ITEMS_MAX];
    unsigned looked_at; /* since the last pick */
};

static struct fixture f;

static bool may(const struct fl_pick *pick) {
    f.looked_at++;
    return !FL_CONTAINER(pick, const struct item, pick)->full;
}

static void set_up(const struct fl_balance_options *options, size_t in) {
    memset(&f, 0, sizeof(f));
    f.random.state = 42;
    assert_int_equal(fl_balance_options_copy(&f.options, options, NULL), 0);
    fl_balancer_init(&f.balancer, &f.options, &f.random);
    assert_int_equal(fl_balancer_reserve(&f.balancer, ITEMS_MAX), 0);
    for (size_t i = 0; i < ITEMS_MAX; i++) f.items[i].pick.order = i;
    for (size_t i = 0; i < in; i++) fl_balancer_add(&f.balancer, &f.items[i].pick);
}

static void tear_down(void) { fl_balancer_deinit(&f.balancer); }

static struct item *next(void) {
    f.looked_at = 0;
    struct fl_pick *pick =
        fl_balancer_next(&f.balancer, &(struct fl_pick_context){.hashed = false}, may);
    if (!pick) return NULL;
    struct item *item = FL_CONTAINER(pick, struct item, pick);
    item->picked++;
    return item;
}

/* --- options --- */

static int copied(struct fl_balance_options options, struct fl_balance_options *out) {
    struct fl_error err;
    return fl_balance_options_copy(out, &options, &err);
}

static void test_options(void **state) {
    FL_UNUSED(state);
    struct fl_balance_options out;
    assert_int_equal(fl_balance_options_copy(&out, NULL, NULL), 0);
    assert_int_equal(out.policy, FL_BALANCE_ROUND_ROBIN);
    assert_int_equal(out.choices, 2);
    assert_int_equal(copied((struct fl_balance_options){.choices = 11}, &out), 0);
    assert_int_equal(out.choices, 10);
    assert_int_equal(copied((struct fl_balance_options){.choices = 1}, &out), FL_EUSAGE);
    struct fl_balance_options unknown = {.policy = (enum fl_balance_policy)99};
    assert_int_equal(copied(unknown, &out), FL_EUSAGE);
}

/* --- least_request --- */

static const struct fl_balance_options least_request = {.policy = FL_BALANCE_LEAST_REQUEST};

static void test_least_request_prefers_the_idle(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 2);
    f.items[0].pick.active = 3;
    for (int i = 0; i < 10000; i++) next();
    /* Only a draw of the busy one twice gives it the call: 1 in 4. */
    assert_in_range(f.items[0].picked, 2300, 2700);
    tear_down();
}

/* Calls that stay: nobody gets far more than another. */
static void test_least_request_evens_out(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 100);
    for (int i = 0; i < 10000; i++) next()->pick.active++;
    for (size_t i = 0; i < 100; i++) assert_in_range(f.items[i].pick.active, 95, 105);
    tear_down();
}

static void test_least_request_looks_at_few(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, ITEMS_MAX);
    for (int i = 0; i < 1000; i++) {
        next();
        assert_true(f.looked_at <= 2);
    }
    tear_down();
}

static void test_least_request_finds_the_one_with_room(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 50);
    for (size_t i = 0; i < 50; i++) f.items[i].full = i != 17;
    for (int i = 0; i < 100; i++) assert_ptr_equal(next(), &f.items[17]);
    f.items[17].full = true;
    assert_null(next());
    tear_down();
    set_up(&least_request, 0);
    assert_null(next());
    tear_down();
}

/* --- pick_first --- */

static void test_pick_first_stays_with_the_oldest(void **state) {
    FL_UNUSED(state);
    set_up(&(struct fl_balance_options){.policy = FL_BALANCE_PICK_FIRST}, 0);
    assert_null(next());
    fl_balancer_add(&f.balancer, &f.items[5].pick);
    fl_balancer_add(&f.balancer, &f.items[3].pick);
    for (int i = 0; i < 10; i++) assert_ptr_equal(next(), &f.items[3]);
    f.items[3].full = true;
    assert_null(next()); /* waits, rather than to spread */
    tear_down();
}

static void chosen_are(const struct fl_candidate *list, size_t count, const char *expected) {
    char got[8] = "";
    for (size_t i = 0; i < count; i++) got[i] = list[i].chosen ? 'x' : '-';
    assert_string_equal(got, expected);
}

static void test_pick_first_tries_one_after_the_other(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[3] = {{.sub = NULL}};
    static const char *const steps[] = {"x--", "xx-", "xxx", "xxx"};
    for (size_t step = 0; step < FL_COUNT(steps); step++) {
        fl_pick_first_choose(list, 3);
        chosen_are(list, 3, steps[step]);
        for (size_t i = 0; i < 3; i++) list[i].wanted = list[i].chosen;
        fl_pick_first_choose(list, 3);
        chosen_are(list, 3, steps[step]); /* nothing happened */
        if (step < 3) list[step].failed = true;
    }
}

static void test_pick_first_keeps_the_connected_one(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[3] = {
        {.wanted = true, .failed = true}, {.wanted = true, .ready = true}, {.wanted = true}};
    fl_pick_first_choose(list, 3);
    chosen_are(list, 3, "-x-");
    /* Its connection ended: it is tried anew before the others are. */
    struct fl_candidate lost[3] = {{.failed = true}, {.wanted = true}, {.wanted = false}};
    fl_pick_first_choose(lost, 3);
    chosen_are(lost, 3, "-x-");
    lost[1].failed = true;
    fl_pick_first_choose(lost, 3);
    chosen_are(lost, 3, "xx-");
    fl_pick_first_choose(lost, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_least_request_prefers_the_idle),
        cmocka_unit_test(test_least_request_evens_out),
        cmocka_unit_test(test_least_request_looks_at_few),
        cmocka_unit_test(test_least_request_finds_the_one_with_room),
        cmocka_unit_test(test_pick_first_stays_with_the_oldest),
        cmocka_unit_test(test_pick_first_tries_one_after_the_other),
        cmocka_unit_test(test_pick_first_keeps_the_connected_one),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
