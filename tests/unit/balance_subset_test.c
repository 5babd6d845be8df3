/* Subsets: how many, how even over many clients, and how little changes. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "balance/subset.h"
#include "base/random.h"

#define MANY 100
#define MAX  10

/* Endpoints are known by their place's zone here; a client's order by its seed. */
static void set_up(struct fl_candidate *list, size_t count, uint64_t seed) {
    memset(list, 0, count * sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        struct fl_random key = {i};
        struct fl_random mixed = {fl_random_u64(&key) ^ seed};
        list[i].score = fl_random_u64(&mixed);
        list[i].place.zone = i;
    }
}

static void mark(const struct fl_candidate *list, size_t count, unsigned *chosen) {
    for (size_t i = 0; i < count; i++) chosen[list[i].place.zone] += list[i].chosen;
}

static size_t count_chosen(const struct fl_candidate *list, size_t count) {
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) chosen += list[i].chosen;
    return chosen;
}

static void test_even_over_a_thousand_clients(void **state) {
    FL_UNUSED(state);
    unsigned clients[MANY] = {0};
    struct fl_random seeds = {3};
    for (int i = 0; i < 1000; i++) {
        struct fl_candidate list[MANY];
        set_up(list, MANY, fl_random_u64(&seeds));
        fl_subset_choose(list, MANY, MAX, FL_SHARE_ALL);
        assert_int_equal(count_chosen(list, MANY), MAX);
        mark(list, MANY, clients);
    }
    for (size_t i = 0; i < MANY; i++) assert_in_range(clients[i], 65, 135); /* 100 each */
}

static void test_one_that_leaves_changes_one_place_at_most(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct fl_candidate list[MANY];
        unsigned before[MANY] = {0}, after[MANY] = {0};
        set_up(list, MANY, seed << 32);
        fl_subset_choose(list, MANY, MAX, FL_SHARE_ALL);
        mark(list, MANY, before);
        set_up(list, MANY, seed << 32);
        size_t left = seed;
        list[left] = list[MANY - 1]; /* another order, too */
        fl_subset_choose(list, MANY - 1, MAX, FL_SHARE_ALL);
        mark(list, MANY - 1, after);
        unsigned gone = 0, come = 0;
        for (size_t i = 0; i < MANY; i++) {
            gone += before[i] && !after[i];
            come += after[i] && !before[i];
        }
        assert_int_equal(gone, before[left]);
        assert_int_equal(come, before[left]);
    }
}

static void test_fewer_than_the_subset_are_all_chosen(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[MANY];
    set_up(list, 7, 1);
    fl_subset_choose(list, 7, MAX, FL_SHARE_ALL);
    assert_int_equal(count_chosen(list, 7), 7);
    fl_subset_choose(list, 0, MAX, FL_SHARE_ALL);
}

/* As the channel asks again and again while everything that is tried fails. */
static void test_failed_ones_are_replaced_within_a_bound(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[MANY];
    set_up(list, MANY, 5);
    size_t chosen = 0;
    for (int round = 0; round < 100; round++) {
        fl_subset_choose(list, MANY, MAX, FL_SHARE_ALL);
        chosen = count_chosen(list, MANY);
        assert_true(chosen >= MAX && chosen <= 2 * MAX);
        for (size_t i = 0; i < MANY; i++) {
            assert_true(list[i].chosen || !list[i].failed); /* its backoff goes on */
            if (list[i].chosen && round % 3 == 0) list[i].failed = true;
        }
    }
    assert_int_equal(chosen, 2 * MAX);
    for (size_t i = 0; i < MANY; i++) list[i].failed = false;
    fl_subset_choose(list, MANY, MAX, FL_SHARE_ALL);
    assert_int_equal(count_chosen(list, MANY), MAX);
}

static size_t near_chosen(const struct fl_candidate *list) {
    size_t near = 0;
    for (size_t i = 0; i < MANY; i++) near += list[i].chosen && !list[i].far;
    return near;
}

static void test_near_and_far_by_their_share(void **state) {
    FL_UNUSED(state);
    static const struct {
        size_t near, share, expected_near, expected;
    } cases[] = {
        {50, FL_SHARE_ALL, 10, 10},
        {50, FL_SHARE_ALL * 6 / 10, 6, 10},
        {3, FL_SHARE_ALL / 2, 3, 10},
        {50, 1, 1, 10},
        {50, 0, 0, 10},
        {98, FL_SHARE_ALL / 2, 8, 10},
        {3, FL_SHARE_ALL, 3, 3},
    };
    for (size_t c = 0; c < FL_COUNT(cases); c++) {
        struct fl_candidate list[MANY];
        set_up(list, MANY, 9);
        for (size_t i = cases[c].near; i < MANY; i++) list[i].far = true;
        fl_subset_choose(list, MANY, MAX, (uint32_t)cases[c].share);
        assert_in_range(near_chosen(list), cases[c].expected_near - (cases[c].expected_near > 1),
                        cases[c].expected_near);
        assert_int_equal(count_chosen(list, MANY), cases[c].expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_over_a_thousand_clients),
        cmocka_unit_test(test_one_that_leaves_changes_one_place_at_most),
        cmocka_unit_test(test_fewer_than_the_subset_are_all_chosen),
        cmocka_unit_test(test_failed_ones_are_replaced_within_a_bound),
        cmocka_unit_test(test_near_and_far_by_their_share),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
