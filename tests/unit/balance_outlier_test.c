/* Outlier detection by gRFC A50, rule by rule. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "balance/outlier.h"

#define HOSTS_MAX 50

struct fixture {
    struct fl_outlier_options options;
    struct fl_outlier_host hosts[HOSTS_MAX], *list[HOSTS_MAX];
    struct fl_random random;
    size_t count;
    uint64_t now_ms;
    unsigned told[FL_OUTLIER_BACK + 1];
};

static struct fixture f;

static void set_up(const struct fl_outlier_options *options, size_t count) {
    memset(&f, 0, sizeof(f));
    f.options = *options;
    fl_outlier_fill_in(&f.options);
    f.count = count;
    for (size_t i = 0; i < count; i++) f.list[i] = &f.hosts[i];
}

static void count_up(size_t i, unsigned answered, unsigned failed) {
    while (answered-- > 0) fl_outlier_count(&f.hosts[i], false);
    while (failed-- > 0) fl_outlier_count(&f.hosts[i], true);
}

static void tell(void *arg, struct fl_outlier_host *host, enum fl_outlier_verdict verdict) {
    assert_ptr_equal(arg, &f);
    assert_true(host >= f.hosts && host < f.hosts + f.count);
    f.told[verdict]++;
}

static void inspect(void) {
    f.now_ms += f.options.interval_ms;
    fl_outlier_run(&(struct fl_outlier_inspection){.options = &f.options,
                                                   .hosts = f.list,
                                                   .count = f.count,
                                                   .now_ms = f.now_ms,
                                                   .random = &f.random,
                                                   .tell = tell,
                                                   .arg = &f});
}

static size_t ejected(void) {
    size_t count = 0;
    for (size_t i = 0; i < f.count; i++) count += f.hosts[i].ejected;
    return count;
}

static const struct fl_outlier_options by_failures = {.failure_percentage = {.on = true}};
static const struct fl_outlier_options by_rate = {.success_rate = {.on = true}};

static void test_defaults_are_those_of_A50(void **state) {
    FL_UNUSED(state);
    struct fl_outlier_options options = {.interval_ms = 0};
    assert_false(fl_outlier_is_on(&options));
    fl_outlier_fill_in(&options);
    assert_int_equal(options.interval_ms, 10000);
    assert_int_equal(options.base_ejection_ms, 30000);
    assert_int_equal(options.max_ejection_ms, 300000);
    assert_int_equal(options.max_ejection_percent, 10);
    assert_int_equal(options.success_rate.stdev_factor, 1900);
    assert_int_equal(options.success_rate.enforce_percent, 100);
    assert_int_equal(options.success_rate.hosts_min, 5);
    assert_int_equal(options.success_rate.requests_min, 100);
    assert_int_equal(options.failure_percentage.threshold, 85);
    assert_int_equal(options.failure_percentage.enforce_percent, 100);
    assert_int_equal(options.failure_percentage.hosts_min, 5);
    assert_int_equal(options.failure_percentage.requests_min, 50);
}

static void test_percentages_are_checked(void **state) {
    FL_UNUSED(state);
    struct fl_error err;
    struct fl_outlier_options fine = {.max_ejection_percent = UINT32_MAX,
                                      .failure_percentage = {.threshold = 100}};
    assert_int_equal(fl_outlier_check(&fine, &err), 0);
    struct fl_outlier_options wrong[] = {{.max_ejection_percent = 101},
                                         {.success_rate = {.enforce_percent = 101}},
                                         {.failure_percentage = {.enforce_percent = 1000}},
                                         {.failure_percentage = {.threshold = 101}}};
    for (size_t i = 0; i < FL_COUNT(wrong); i++)
        assert_int_equal(fl_outlier_check(&wrong[i], &err), FL_EUSAGE);
    assert_non_null(strstr(err.detail, "threshold"));
}

static void test_failure_percentage(void **state) {
    FL_UNUSED(state);
    set_up(&by_failures, 5);
    count_up(0, 15, 85); /* not more than 85 percent */
    count_up(1, 0, 49);  /* too few to be judged */
    count_up(2, 14, 86);
    inspect();
    assert_int_equal(ejected(), 1);
    assert_true(f.hosts[2].ejected);
    assert_int_equal(f.told[FL_OUTLIER_EJECTED_BY_FAILURE_PERCENTAGE], 1);
    set_up(&by_failures, 4); /* too few endpoints */
    count_up(2, 0, 100);
    inspect();
    assert_int_equal(ejected(), 0);
}

static void test_success_rate(void **state) {
    FL_UNUSED(state);
    set_up(&by_rate, 6);
    for (size_t i = 0; i < 4; i++) count_up(i, 100, 0);
    count_up(4, 50, 50); /* mean 0.9, deviation 0.2: below 0.52 */
    count_up(5, 0, 99);  /* too few to be judged */
    inspect();
    assert_int_equal(ejected(), 1);
    assert_true(f.hosts[4].ejected);
    assert_int_equal(f.told[FL_OUTLIER_EJECTED_BY_SUCCESS_RATE], 1);
    set_up(&by_rate, 6);
    for (size_t i = 0; i < 4; i++) count_up(i, 100, 0);
    count_up(4, 99, 1); /* one out of a hundred is enough, if all others answer all */
    inspect();
    assert_int_equal(ejected(), 1);
    set_up(&by_rate, 6);
    for (size_t i = 0; i < 3; i++) count_up(i, 100, 0);
    count_up(4, 50, 50); /* four with enough attempts */
    inspect();
    assert_int_equal(ejected(), 0);
    set_up(&by_rate, 6);
    for (size_t i = 0; i < 6; i++) count_up(i, 50, 50); /* all alike */
    inspect();
    assert_int_equal(ejected(), 0);
}

static void test_what_is_off_is_not_judged(void **state) {
    FL_UNUSED(state);
    set_up(&(struct fl_outlier_options){.success_rate = {.hosts_min = 1}}, 10);
    count_up(0, 0, 1000);
    for (size_t i = 1; i < 10; i++) count_up(i, 1000, 0);
    inspect();
    assert_int_equal(ejected(), 0);
}

/* Only what was counted since the last inspection. */
static void test_each_interval_is_judged_by_itself(void **state) {
    FL_UNUSED(state);
    set_up(&by_failures, 5);
    count_up(0, 0, 49);
    inspect();
    count_up(0, 0, 49);
    inspect();
    assert_int_equal(ejected(), 0);
    count_up(0, 0, 50);
    inspect();
    assert_int_equal(ejected(), 1);
}

/* 30 s, 60 s, 90 s … up to 300 s, and the multiplier goes down again while it behaves. */
static void test_time_of_ejection_grows(void **state) {
    FL_UNUSED(state);
    set_up(&by_failures, 5);
    for (unsigned times = 1; times <= 12; times++) {
        count_up(0, 0, 100);
        inspect();
        assert_true(f.hosts[0].ejected);
        uint64_t began = f.now_ms;
        while (f.hosts[0].ejected) inspect();
        /* At the first inspection after the time is over. */
        assert_int_equal(f.now_ms - began, FL_MIN(times * 30000, 300000) + 10000);
        assert_int_equal(f.told[FL_OUTLIER_BACK], times);
    }
    assert_int_equal(f.hosts[0].multiplier, 12);
    for (unsigned i = 0; i < 5; i++) inspect();
    assert_int_equal(f.hosts[0].multiplier, 7);
    set_up(&(struct fl_outlier_options){.base_ejection_ms = 400000,
                                        .failure_percentage = {.on = true}},
           5);
    count_up(0, 0, 100);
    inspect();
    uint64_t began = f.now_ms;
    while (f.hosts[0].ejected) inspect();
    assert_int_equal(f.now_ms - began, 410000); /* the base, though it is above the maximum */
}

static void test_enforcement(void **state) {
    FL_UNUSED(state);
    struct fl_outlier_options options = by_failures;
    options.failure_percentage.enforce_percent = UINT32_MAX; /* 0 */
    set_up(&options, 5);
    count_up(0, 0, 100);
    inspect();
    assert_int_equal(ejected(), 0);
    assert_int_equal(f.told[FL_OUTLIER_SPARED_BY_FAILURE_PERCENTAGE], 1);
    options.failure_percentage.enforce_percent = 30;
    set_up(&options, 5);
    for (int i = 0; i < 1000; i++) {
        f.hosts[0] = (struct fl_outlier_host){.failed = 0};
        count_up(0, 0, 100);
        inspect();
    }
    assert_in_range(f.told[FL_OUTLIER_EJECTED_BY_FAILURE_PERCENTAGE], 250, 350);
}

static void test_never_more_than_the_maximum(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {11};
    for (int run = 0; run < 300; run++) {
        size_t count = 1 + (size_t)fl_random_below(&random, HOSTS_MAX);
        struct fl_outlier_options options = {
            .max_ejection_percent = (uint32_t)fl_random_below(&random, 101),
            .success_rate = {.on = run % 2 == 0, .requests_min = 10, .hosts_min = 1},
            .failure_percentage = {.on = true, .requests_min = 10, .hosts_min = 1, .threshold = 50},
        };
        set_up(&options, count);
        for (int interval = 0; interval < 20; interval++) {
            for (size_t i = 0; i < count; i++)
                count_up(i, (unsigned)fl_random_below(&random, 30),
                         (unsigned)fl_random_below(&random, 60));
            inspect();
            assert_true(ejected() <= FL_MAX(count * f.options.max_ejection_percent / 100, 1));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_A50),
        cmocka_unit_test(test_percentages_are_checked),
        cmocka_unit_test(test_failure_percentage),
        cmocka_unit_test(test_success_rate),
        cmocka_unit_test(test_what_is_off_is_not_judged),
        cmocka_unit_test(test_each_interval_is_judged_by_itself),
        cmocka_unit_test(test_time_of_ejection_grows),
        cmocka_unit_test(test_enforcement),
        cmocka_unit_test(test_never_more_than_the_maximum),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
