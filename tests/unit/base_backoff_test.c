/* base_backoff_test.c - exponential backoff, and the tables of state machines. */
#include "support/alloc.h"

#include "base/backoff.h"
#include "base/sm.h"

static const struct fl_backoff_policy no_jitter = {
    .min_ms = 100, .max_ms = 1000, .factor_percent = 200, .reset_ms = 500};

static void test_grows_to_the_cap_and_stays(void **state) {
    FL_UNUSED(state);
    static const uint64_t expected[] = {100, 200, 400, 800, 1000, 1000, 1000};
    struct fl_random random = {1};
    struct fl_backoff b;
    fl_backoff_init(&b, &no_jitter);
    for (size_t i = 0; i < FL_COUNT(expected); i++) {
        assert_int_equal(fl_backoff_failure(&b, 0, &random), expected[i]);
    }
}

/* A peer that accepts and fails at once again is asked no more often than one that refuses. */
static void test_W12_cap_holds_until_a_success_lasted(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {1};
    struct fl_backoff b;
    fl_backoff_init(&b, &no_jitter);
    for (int i = 0; i < 5; i++) FL_UNUSED(fl_backoff_failure(&b, 0, &random));
    fl_backoff_success(&b, 1000);
    assert_int_equal(fl_backoff_failure(&b, 1499, &random), 1000); /* 499 ms: too short */
    fl_backoff_success(&b, 3000);
    fl_backoff_success(&b, 3400); /* still the same success */
    assert_int_equal(fl_backoff_failure(&b, 3500, &random), 100);
    assert_int_equal(fl_backoff_failure(&b, 3600, &random), 200);
}

static void test_without_reset_any_success_starts_anew(void **state) {
    FL_UNUSED(state);
    struct fl_backoff_policy policy = no_jitter;
    struct fl_random random = {1};
    struct fl_backoff b;
    policy.reset_ms = 0;
    fl_backoff_init(&b, &policy);
    FL_UNUSED(fl_backoff_failure(&b, 0, &random));
    FL_UNUSED(fl_backoff_failure(&b, 0, &random));
    fl_backoff_success(&b, 10);
    assert_int_equal(fl_backoff_failure(&b, 10, &random), 100);
}

static void assert_spread(bool upward, uint64_t least, uint64_t most) {
    struct fl_backoff_policy policy = {.min_ms = 1000,
                                       .max_ms = 1000,
                                       .factor_percent = 160,
                                       .jitter_percent = 20,
                                       .jitter_upward = upward};
    struct fl_random random = {5};
    struct fl_backoff b;
    uint64_t low = UINT64_MAX, high = 0;
    fl_backoff_init(&b, &policy);
    for (int i = 0; i < 10000; i++) {
        uint64_t delay = fl_backoff_failure(&b, 0, &random);
        low = FL_MIN(low, delay);
        high = FL_MAX(high, delay);
    }
    assert_int_equal(low, least);
    assert_int_equal(high, most);
}

static void test_jitter_spreads_both_ways_or_upward(void **state) {
    FL_UNUSED(state);
    assert_spread(false, 800, 1200);
    assert_spread(true, 1000, 1200);
}

static void test_small_delays_grow_too(void **state) {
    FL_UNUSED(state);
    struct fl_backoff_policy policy = {.min_ms = 1, .max_ms = 10, .factor_percent = 160};
    struct fl_random random = {1};
    struct fl_backoff b;
    uint64_t delay = 0;
    fl_backoff_init(&b, &policy);
    for (int i = 0; i < 8; i++) delay = fl_backoff_failure(&b, 0, &random);
    assert_int_equal(delay, 10);
}

static void test_moves_are_what_the_table_permits(void **state) {
    FL_UNUSED(state);
    enum { IDLE, BUSY, CLOSED };
    static const uint32_t moves[] = {
        [IDLE] = FL_TO(BUSY) | FL_TO(CLOSED), [BUSY] = FL_TO(IDLE), [CLOSED] = 0};
    int at = IDLE;
    fl_sm_move(&at, moves, BUSY);
    assert_int_equal(at, BUSY);
    assert_false(fl_sm_may(at, moves, CLOSED));
    fl_sm_move(&at, moves, IDLE);
    fl_sm_move(&at, moves, CLOSED);
    assert_false(fl_sm_may(at, moves, IDLE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_to_the_cap_and_stays),
        cmocka_unit_test(test_W12_cap_holds_until_a_success_lasted),
        cmocka_unit_test(test_without_reset_any_success_starts_anew),
        cmocka_unit_test(test_jitter_spreads_both_ways_or_upward),
        cmocka_unit_test(test_small_delays_grow_too),
        cmocka_unit_test(test_moves_are_what_the_table_permits),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
