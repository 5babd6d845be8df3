/* base_alloc_test.c - the allocator, and the test allocator that every other test relies on. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/def.h"

static void test_no_size_is_no_failure(void **state) {
    FL_UNUSED(state);
    void *memory = fl_alloc(0);
    assert_non_null(memory);
    memory = fl_realloc(memory, 0);
    assert_non_null(memory);
    fl_free(memory);
    fl_free(NULL);
}

static void test_calloc_zeroes_and_refuses_overflow(void **state) {
    FL_UNUSED(state);
    static const unsigned char zeros[24];
    unsigned char *memory = fl_calloc(3, 8);
    assert_non_null(memory);
    assert_memory_equal(memory, zeros, sizeof(zeros));
    fl_free(memory);
    assert_null(fl_calloc(SIZE_MAX / 2, 3));
}

static void test_strdup_copies(void **state) {
    FL_UNUSED(state);
    char *copy = fl_strdup("fairlead");
    assert_string_equal(copy, "fairlead");
    fl_free(copy);
}

static void test_realloc_keeps_contents(void **state) {
    FL_UNUSED(state);
    char *memory = fl_strdup("rope");
    memory = fl_realloc(memory, 1000);
    assert_string_equal(memory, "rope");
    memory = fl_realloc(memory, 5);
    assert_string_equal(memory, "rope");
    fl_free(memory);
}

static void test_chosen_allocation_fails_once(void **state) {
    FL_UNUSED(state);
    fl_test_alloc_fail_at(2);
    void *first = fl_alloc(1), *second = fl_alloc(1), *third = fl_alloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_true(fl_test_alloc_did_fail());
    fl_free(first);
    fl_free(third);
}

static void test_each_failure_is_tried_in_turn(void **state) {
    FL_UNUSED(state);
    size_t failed = 0, whole = 0;
    FL_TEST_EACH_FAILURE(n) {
        void *a = fl_alloc(1), *b = fl_alloc(1), *c = fl_alloc(1);
        if (a && b && c) whole++;
        if (!a || !b || !c) assert_int_equal(++failed, n);
        fl_free(a);
        fl_free(b);
        fl_free(c);
    }
    assert_int_equal(failed, 3);
    assert_int_equal(whole, 1);
}

static void test_outstanding_counts_bytes(void **state) {
    FL_UNUSED(state);
    size_t before = fl_test_alloc_outstanding(), count = fl_test_alloc_count();
    void *memory = fl_alloc(100);
    assert_int_equal(fl_test_alloc_outstanding() - before, 100);
    memory = fl_realloc(memory, 40);
    assert_int_equal(fl_test_alloc_outstanding() - before, 40);
    fl_free(memory);
    assert_int_equal(fl_test_alloc_outstanding(), before);
    assert_int_equal(fl_test_alloc_count() - count, 2);
}

static void test_leak(void **state) {
    FL_UNUSED(state);
    static void *volatile kept; /* or the compiler drops the allocation */
    kept = fl_alloc(10);
    assert_non_null(kept);
}

/* With an argument it runs the test that leaks, which must make the program fail (see
 * tests.cmake). */
int main(int argc, char **argv) {
    FL_UNUSED(argv);
    const struct CMUnitTest leak[] = {cmocka_unit_test(test_leak)};
    if (argc > 1) return fl_test_run(leak, FL_COUNT(leak));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_size_is_no_failure),
        cmocka_unit_test(test_calloc_zeroes_and_refuses_overflow),
        cmocka_unit_test(test_strdup_copies),
        cmocka_unit_test(test_realloc_keeps_contents),
        cmocka_unit_test(test_chosen_allocation_fails_once),
        cmocka_unit_test(test_each_failure_is_tried_in_turn),
        cmocka_unit_test(test_outstanding_counts_bytes),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
