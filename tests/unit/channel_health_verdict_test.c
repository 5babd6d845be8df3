/* Thresholds: how many checks make an endpoint healthy or not. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "channel/health_verdict.h"

/* '+' and '-' go in, '+' and '-' is the verdict after each. */
static void expect(const char *results, const char *verdicts) {
    struct fl_health_verdict verdict = {.checked = false};
    bool before = false;
    assert_int_equal(strlen(results), strlen(verdicts));
    for (size_t i = 0; results[i]; i++) {
        bool changed = fl_health_verdict_note(&verdict, results[i] == '+', 2, 3);
        if (verdict.unhealthy != (verdicts[i] == '-')) fail_msg("%s at %zu", results, i);
        assert_int_equal(changed, verdict.unhealthy != before);
        before = verdict.unhealthy;
    }
}

static void test_as_many_in_a_row_as_the_threshold(void **state) {
    FL_UNUSED(state);
    expect("+---", "+++-");
    expect("+--+--+---", "+++++++++-"); /* in a row */
    expect("+---+-++", "+++----+");
    expect("+---++--+---", "+++--++++++-");
}

static void test_first_result_decides(void **state) {
    FL_UNUSED(state);
    expect("-", "-");
    expect("-+", "--");
    expect("-++", "--+");
    expect("+-", "++");
}

static void test_threshold_of_one(void **state) {
    FL_UNUSED(state);
    struct fl_health_verdict verdict = {.checked = false};
    assert_false(fl_health_verdict_note(&verdict, true, 1, 1));
    assert_true(fl_health_verdict_note(&verdict, false, 1, 1));
    assert_true(verdict.unhealthy);
    assert_true(fl_health_verdict_note(&verdict, true, 1, 1));
    assert_false(verdict.unhealthy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_in_a_row_as_the_threshold),
        cmocka_unit_test(test_first_result_decides),
        cmocka_unit_test(test_threshold_of_one),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
