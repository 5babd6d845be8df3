/* loop_system_test.c - environment, clock and randomness of the real system. */
#include <stdlib.h>

#include "support/alloc.h"
#include "support/loop_peer.h"

static void test_environment(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    setenv("FL_LOOP_TEST", "here", 1);
    assert_string_equal(fl_io_env(runtime->io, "FL_LOOP_TEST"), "here");
    unsetenv("FL_LOOP_TEST");
    assert_null(fl_io_env(runtime->io, "FL_LOOP_TEST"));
    fl_runtime_free(runtime);
}

static void test_clock_and_randomness(void **state) {
    (void)state;
    struct fl_runtime *runtime = fl_test_loop_new();
    uint64_t a[4] = {0}, b[4] = {0};
    uint64_t before_us = fl_io_now_us(runtime->io);
    assert_true(fl_io_now_us(runtime->io) >= before_us);
    assert_true(fl_io_wall_ms(runtime->io) > INT64_C(1600000000000)); /* 2020 */
    fl_io_random(runtime->io, a, sizeof(a));
    fl_io_random(runtime->io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    fl_runtime_free(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_clock_and_randomness),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
