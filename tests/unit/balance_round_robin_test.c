/* Whose turn it is: fairness, place, and who comes and goes. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "balance/round.h"
#include "base/error.h"

struct item {
    struct fl_pick pick;
    bool full;
    unsigned picked;
};

static bool may(const struct fl_pick *pick) {
    return !FL_CONTAINER(pick, const struct item, pick)->full;
}

static struct item *next(struct fl_round *round) {
    struct fl_pick *pick = round->policy->next(round, &(struct fl_pick_context){false, 0}, may);
    if (!pick) return NULL;
    struct item *item = FL_CONTAINER(pick, struct item, pick);
    item->picked++;
    return item;
}

#define ITEMS 5

struct fixture {
    struct fl_round round;
    struct fl_random random;
    struct item items[ITEMS];
};

static void set_up(struct fixture *f, size_t in) {
    memset(f, 0, sizeof(*f));
    fl_round_init(&f->round, &fl_policy_round_robin, NULL, &f->random);
    f->round.as.turn.started = true; /* with the first; see test_C7 */
    assert_int_equal(fl_round_reserve(&f->round, ITEMS), 0);
    for (size_t i = 0; i < ITEMS; i++) f->items[i].pick.order = i;
    for (size_t i = 0; i < in; i++) fl_round_add(&f->round, &f->items[i].pick);
}

static void test_C5_each_gets_its_share(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, ITEMS);
    for (int i = 0; i < 1000 * ITEMS; i++) assert_non_null(next(&f.round));
    for (size_t i = 0; i < ITEMS; i++) assert_int_equal(f.items[i].picked, 1000);
    fl_round_deinit(&f.round);
}

/* One that fails at each call and is back before the next does not get every turn. */
static void test_who_comes_back_does_not_take_the_turn(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, ITEMS);
    for (int i = 0; i < 100 * ITEMS; i++) {
        if (next(&f.round) != &f.items[2]) continue;
        fl_round_remove(&f.round, &f.items[2].pick);
        fl_round_add(&f.round, &f.items[2].pick);
    }
    for (size_t i = 0; i < ITEMS; i++) assert_int_equal(f.items[i].picked, 100);
    fl_round_deinit(&f.round);
}

static void test_C6_new_one_within_one_round(void **state) {
    FL_UNUSED(state);
    for (size_t before = 0; before < ITEMS - 1; before++) {
        struct fixture f;
        set_up(&f, ITEMS - 1);
        for (size_t i = 0; i < before; i++) next(&f.round);
        fl_round_add(&f.round, &f.items[ITEMS - 1].pick);
        for (int i = 0; i < ITEMS; i++) next(&f.round);
        assert_int_equal(f.items[ITEMS - 1].picked, 1);
        fl_round_deinit(&f.round);
    }
}

static void test_C20_kept_ones_keep_their_place(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, ITEMS);
    next(&f.round); /* 0 */
    next(&f.round); /* 1 */
    fl_round_remove(&f.round, &f.items[0].pick);
    assert_ptr_equal(next(&f.round), &f.items[2]);
    fl_round_add(&f.round, &f.items[0].pick); /* back to its old place */
    assert_ptr_equal(next(&f.round), &f.items[3]);
    fl_round_remove(&f.round, &f.items[4].pick); /* whose turn it is */
    assert_ptr_equal(next(&f.round), &f.items[0]);
    assert_ptr_equal(next(&f.round), &f.items[1]);
    fl_round_deinit(&f.round);
}

static void test_passes_over_those_without_room(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 3);
    f.items[0].full = f.items[1].full = true;
    assert_ptr_equal(next(&f.round), &f.items[2]);
    assert_ptr_equal(next(&f.round), &f.items[2]);
    f.items[2].full = true;
    assert_null(next(&f.round));
    f.items[1].full = false;
    assert_ptr_equal(next(&f.round), &f.items[1]);
    fl_round_deinit(&f.round);
}

static void test_empty_and_twice(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 0);
    assert_null(next(&f.round));
    fl_round_remove(&f.round, &f.items[0].pick);
    fl_round_add(&f.round, &f.items[0].pick);
    fl_round_add(&f.round, &f.items[0].pick);
    assert_int_equal(f.round.count, 1);
    fl_round_remove(&f.round, &f.items[0].pick);
    fl_round_remove(&f.round, &f.items[0].pick);
    assert_null(next(&f.round));
    fl_round_deinit(&f.round);
}

/* Many clients do not begin with the same endpoint. */
static void test_C7_first_turns_are_spread(void **state) {
    FL_UNUSED(state);
    unsigned first[ITEMS] = {0};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct fixture f;
        set_up(&f, ITEMS);
        f.round.as.turn.started = false;
        f.random.state = seed;
        first[next(&f.round) - f.items]++;
        fl_round_deinit(&f.round);
    }
    for (size_t i = 0; i < ITEMS; i++) assert_in_range(first[i], 150, 250);
}

/* Against a plain model: at every moment the picks of any `count` turns in a row are all different.
 */
static void test_random_comings_and_goings(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 0);
    uint64_t seed = 42;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct item *item = &f.items[(seed >> 33) % ITEMS];
        if (item->pick.in)
            fl_round_remove(&f.round, &item->pick);
        else
            fl_round_add(&f.round, &item->pick);
        for (size_t i = 1; i < f.round.count; i++)
            assert_true(f.round.picks[i - 1]->order < f.round.picks[i]->order);
        for (size_t i = 0; i < ITEMS; i++) f.items[i].picked = 0;
        for (size_t i = 0; i < f.round.count; i++) next(&f.round);
        for (size_t i = 0; i < ITEMS; i++)
            assert_int_equal(f.items[i].picked, f.items[i].pick.in ? 1 : 0);
        if ((seed >> 20) % 2) next(&f.round);
    }
    fl_round_deinit(&f.round);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_round round;
        fl_round_init(&round, &fl_policy_round_robin, NULL, NULL);
        int rc = fl_round_reserve(&round, 10);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_round_deinit(&round);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C5_each_gets_its_share),
        cmocka_unit_test(test_who_comes_back_does_not_take_the_turn),
        cmocka_unit_test(test_C6_new_one_within_one_round),
        cmocka_unit_test(test_C20_kept_ones_keep_their_place),
        cmocka_unit_test(test_passes_over_those_without_room),
        cmocka_unit_test(test_empty_and_twice),
        cmocka_unit_test(test_C7_first_turns_are_spread),
        cmocka_unit_test(test_random_comings_and_goings),
        cmocka_unit_test(test_each_allocation_failing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
