/* loop_eyeballs_test.c - which address is tried when, with time as a value. */
#include "loop/eyeballs.h"

#include "support/alloc.h"

static struct fl_address address_of(const char *text) {
    struct fl_address address;
    assert_true(fl_address_parse(fl_str_of(text), &address));
    return address;
}

static void init(struct fl_eyeballs *e, const char *const *texts, size_t count) {
    struct fl_address addresses[32];
    for (size_t i = 0; i < count; i++) addresses[i] = address_of(texts[i]);
    fl_eyeballs_init(e, addresses, count);
}

static void assert_next(struct fl_eyeballs *e, uint64_t now_ms, const char *text) {
    struct fl_address address;
    char got[FL_ADDRESS_TEXT_MAX];
    assert_true(fl_eyeballs_next(e, now_ms, &address));
    fl_address_format(&address, got);
    assert_string_equal(got, text);
}

static void assert_nothing(struct fl_eyeballs *e, uint64_t now_ms) {
    struct fl_address address;
    assert_false(fl_eyeballs_next(e, now_ms, &address));
}

static void test_families_take_turns(void **state) {
    (void)state;
    const char *texts[] = {"::1", "::2", "::3", "1.1.1.1", "2.2.2.2"};
    const char *order[] = {"::1", "1.1.1.1", "::2", "2.2.2.2", "::3"};
    struct fl_eyeballs e;
    init(&e, texts, 5);
    assert_int_equal(e.count, 5);
    for (size_t i = 0; i < 5; i++) assert_next(&e, 1000 + i * FL_EYEBALLS_DELAY_MS, order[i]);
    assert_nothing(&e, 1000000);
}

static void test_first_address_decides_the_first_family(void **state) {
    (void)state;
    const char *texts[] = {"1.1.1.1", "::1", "::2"};
    struct fl_eyeballs e;
    init(&e, texts, 3);
    assert_next(&e, 0, "1.1.1.1");
    assert_next(&e, 250, "::1");
    assert_next(&e, 500, "::2");
}

static void test_attempts_start_apart(void **state) {
    (void)state;
    const char *texts[] = {"::1", "1.1.1.1"};
    struct fl_eyeballs e;
    uint64_t at_ms;
    init(&e, texts, 2);
    assert_true(fl_eyeballs_deadline(&e, &at_ms));
    assert_true(at_ms <= 1000);
    assert_next(&e, 1000, "::1");
    assert_nothing(&e, 1000);
    assert_true(fl_eyeballs_deadline(&e, &at_ms));
    assert_int_equal(at_ms, 1250);
    assert_nothing(&e, 1249);
    assert_next(&e, 1250, "1.1.1.1");
    assert_false(fl_eyeballs_deadline(&e, &at_ms));
    assert_false(fl_eyeballs_exhausted(&e));
}

static void test_failure_starts_the_next_at_once(void **state) {
    (void)state;
    const char *texts[] = {"::1", "1.1.1.1"};
    struct fl_eyeballs e;
    init(&e, texts, 2);
    assert_next(&e, 1000, "::1");
    fl_eyeballs_fail(&e, 1003);
    assert_next(&e, 1003, "1.1.1.1");
    assert_false(fl_eyeballs_exhausted(&e));
    fl_eyeballs_fail(&e, 1004);
    assert_true(fl_eyeballs_exhausted(&e));
    assert_nothing(&e, 5000);
}

static void test_one_address(void **state) {
    (void)state;
    const char *texts[] = {"10.0.0.1"};
    struct fl_eyeballs e;
    uint64_t at_ms;
    init(&e, texts, 1);
    assert_next(&e, 7, "10.0.0.1");
    assert_nothing(&e, 7);
    assert_false(fl_eyeballs_deadline(&e, &at_ms));
    fl_eyeballs_fail(&e, 8);
    assert_true(fl_eyeballs_exhausted(&e));
}

static void test_too_many_addresses_are_cut_fairly(void **state) {
    (void)state;
    const char *texts[32];
    for (size_t i = 0; i < 30; i++) texts[i] = "::1";
    texts[30] = "1.1.1.1";
    texts[31] = "2.2.2.2";
    struct fl_eyeballs e;
    init(&e, texts, 32);
    assert_int_equal(e.count, FL_EYEBALLS_MAX);
    assert_int_equal(e.addresses[1].kind, FL_ADDRESS_V4);
    assert_int_equal(e.addresses[3].kind, FL_ADDRESS_V4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_take_turns),
        cmocka_unit_test(test_first_address_decides_the_first_family),
        cmocka_unit_test(test_attempts_start_apart),
        cmocka_unit_test(test_failure_starts_the_next_at_once),
        cmocka_unit_test(test_one_address),
        cmocka_unit_test(test_too_many_addresses_are_cut_fairly),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
