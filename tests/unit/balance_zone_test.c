/* Zone preference: who is near, and how much spills over. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "balance/balance.h"
#include "balance/zone.h"

#define MANY 30

static struct fl_candidate list[MANY];

/* `near` endpoints of zone a, the others spread over b and c. */
static void set_up(size_t near) {
    memset(list, 0, sizeof(list));
    for (size_t i = 0; i < MANY; i++) {
        struct fl_endpoint endpoint = {.zone = i < near ? "a" : i % 2 ? "b" : "c"};
        list[i].place = fl_zone_place(&endpoint, "a", NULL);
    }
}

static unsigned percent(size_t count) {
    return (unsigned)(((uint64_t)fl_zone_judge(list, count) * 100 + FL_SHARE_ALL / 2) /
                      FL_SHARE_ALL);
}

static size_t count_far(void) {
    size_t far = 0;
    for (size_t i = 0; i < MANY; i++) far += list[i].far;
    return far;
}

static void test_a_fair_share_stays_in_its_zone(void **state) {
    FL_UNUSED(state);
    set_up(10);
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), 20);
}

/* 10 of 30 in one of 3 zones: 5 are half of the fair share. */
static void test_spills_over_only_below_a_half_and_in_proportion(void **state) {
    FL_UNUSED(state);
    static const unsigned expected[] = {100, 100, 100, 100, 100, 100, 80, 60, 40, 20, 0};
    set_up(10);
    for (size_t lost = 0; lost <= 10; lost++) {
        if (lost > 0) list[lost - 1].failed = lost % 2 == 0;
        if (lost > 0) list[lost - 1].ejected = lost % 2 != 0;
        assert_int_equal(percent(MANY), expected[lost]);
        assert_int_equal(count_far(), 20);
    }
}

/* Two endpoints in a zone whose fair share is ten do not take a third of the calls. */
static void test_a_small_zone_is_not_overwhelmed(void **state) {
    FL_UNUSED(state);
    set_up(2);
    assert_int_equal(percent(MANY), 40);
    set_up(1);
    assert_int_equal(percent(MANY), 20);
}

static void test_without_near_ones_all_are(void **state) {
    FL_UNUSED(state);
    set_up(0);
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), 0);
    assert_int_equal(percent(0), 100);
    memset(list, 0, sizeof(list)); /* no zones at all */
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), 0);
}

static void hint(size_t i, const char *for_zone, const char *for_node) {
    struct fl_endpoint endpoint = {.zone = "b",
                                   .for_zones = {for_zone},
                                   .for_zone_count = for_zone != NULL,
                                   .for_nodes = {for_node},
                                   .for_node_count = for_node != NULL};
    list[i].place = fl_zone_place(&endpoint, "a", "n1");
}

/* kube-proxy's rules: all must have hints, and one must be for us. */
static void test_hints_come_before_zones(void **state) {
    FL_UNUSED(state);
    set_up(10);
    for (size_t i = 0; i < MANY; i++) hint(i, i >= 25 ? "a" : "b", NULL);
    assert_int_equal(percent(MANY), 100); /* five of thirty: the control plane knows why */
    assert_int_equal(count_far(), 25);
    for (size_t i = 25; i < 28; i++) list[i].failed = true;
    assert_int_equal(percent(MANY), 80);
    hint(3, NULL, NULL); /* one without: no hint counts, and nobody is in our zone */
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), 0);
    for (size_t i = 0; i < MANY; i++) hint(i, i >= 25 ? "a" : "b", i == 7 ? "n1" : "n2");
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), MANY - 1);
    assert_false(list[7].far);
    for (size_t i = 0; i < MANY; i++) hint(i, "b", "n2"); /* none for us */
    assert_int_equal(percent(MANY), 100);
    assert_int_equal(count_far(), 0);
}

static void test_more_zones_than_are_told_apart(void **state) {
    FL_UNUSED(state);
    static struct fl_candidate many[200];
    for (size_t i = 0; i < FL_COUNT(many); i++) many[i].place.zone = i + 1;
    many[0].place.same_zone = true;
    assert_true(fl_zone_judge(many, FL_COUNT(many)) <= FL_SHARE_ALL);
}

/* The balancer keeps to the part that it is told, and equal hashes stay together. */

static bool any(const struct fl_pick *pick) {
    FL_UNUSED(pick);
    return true;
}

static void test_calls_are_divided_by_the_share(void **state) {
    FL_UNUSED(state);
    struct fl_balance_options options;
    struct fl_random random = {1};
    struct fl_balancer balancer;
    struct fl_pick picks[4] = {{.order = 0, .weight = 100},
                               {.order = 1, .weight = 100},
                               {.order = 2, .weight = 100},
                               {.order = 3, .weight = 100}};
    assert_int_equal(fl_balance_options_copy(
                         &options, &(struct fl_balance_options){.zone_preference = true}, NULL),
                     0);
    fl_balancer_init(&balancer, &options, &random);
    assert_int_equal(fl_balancer_reserve(&balancer, 4), 0);
    for (size_t i = 0; i < 4; i++) {
        fl_balancer_add(&balancer, &picks[i]);
        fl_balancer_move(&balancer, &picks[i], i >= 2);
    }
    static const unsigned shares[] = {0, 20, 70, 100};
    for (size_t s = 0; s < FL_COUNT(shares); s++) {
        unsigned near = 0;
        fl_balancer_share(&balancer, shares[s] * FL_SHARE_ALL / 100);
        for (int i = 0; i < 10000; i++)
            near +=
                !fl_balancer_next(&balancer, &(struct fl_pick_context){.hashed = false}, any)->far;
        assert_in_range(near, shares[s] > 1 ? shares[s] * 97 : 0, shares[s] * 103);
    }
    fl_balancer_share(&balancer, FL_SHARE_ALL / 2);
    for (uint64_t hash = 0; hash < 100; hash++) {
        struct fl_pick_context context = {.hashed = true, .hash = hash};
        bool far = fl_balancer_next(&balancer, &context, any)->far;
        assert_int_equal(fl_balancer_next(&balancer, &context, any)->far, far);
    }
    fl_balancer_remove(&balancer, &picks[0]);
    fl_balancer_remove(&balancer, &picks[1]); /* nobody is near: each takes what the other cannot */
    fl_balancer_share(&balancer, FL_SHARE_ALL);
    assert_non_null(fl_balancer_next(&balancer, &(struct fl_pick_context){.hashed = false}, any));
    fl_balancer_deinit(&balancer);
    fl_balance_options_deinit(&options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fair_share_stays_in_its_zone),
        cmocka_unit_test(test_spills_over_only_below_a_half_and_in_proportion),
        cmocka_unit_test(test_a_small_zone_is_not_overwhelmed),
        cmocka_unit_test(test_without_near_ones_all_are),
        cmocka_unit_test(test_hints_come_before_zones),
        cmocka_unit_test(test_more_zones_than_are_told_apart),
        cmocka_unit_test(test_calls_are_divided_by_the_share),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
