/* loop_system_test.c - files, environment, clock and randomness of the real system. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/loop_peer.h"

struct fixture {
    struct fl_runtime *runtime;
    struct fl_io *io;
    char path[64];
    struct fl_buf out;
    struct fl_error err;
};

static void start(struct fixture *f, const char *text, size_t max) {
    f->runtime = fl_test_loop_new();
    f->io = f->runtime->io;
    strcpy(f->path, "/tmp/loop_system_test.XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    fl_buf_init(&f->out, max);
}

static void end(struct fixture *f) {
    unlink(f->path);
    fl_buf_deinit(&f->out);
    fl_runtime_free(f->runtime);
}

static void test_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "token", 5); /* exactly as much as fits */
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_true(fl_str_eq(fl_buf_str(&f.out), FL_STR("token")));
    end(&f);
}

static void test_file_is_appended(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "b", 100);
    assert_int_equal(fl_buf_append(&f.out, FL_STR("a")), 0);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_true(fl_str_eq(fl_buf_str(&f.out), FL_STR("ab")));
    end(&f);
}

static void test_file_too_large(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "longer", 5);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), FL_ETOO_LARGE);
    assert_non_null(strstr(f.err.detail, f.path));
    end(&f);
}

static void test_empty_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "", 100);
    assert_int_equal(fl_io_file_read(f.io, f.path, &f.out, &f.err), 0);
    assert_int_equal(f.out.len, 0);
    end(&f);
}

static void test_no_file(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "", 100);
    assert_int_equal(fl_io_file_read(f.io, "/no/such/file", &f.out, &f.err), FL_ESYS);
    assert_string_equal(f.err.detail, "/no/such/file: no such file or directory");
    assert_int_equal(fl_io_file_read(f.io, "/tmp", &f.out, &f.err), FL_ESYS);
    end(&f);
}

static void test_file_without_memory(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "token", 100);
    FL_TEST_EACH_FAILURE(n) {
        int rc = fl_io_file_read(f.io, f.path, &f.out, &f.err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_buf_deinit(&f.out);
    }
    end(&f);
}

static void test_environment(void **state) {
    (void)state;
    struct fixture f;
    start(&f, "", 1);
    setenv("FL_LOOP_TEST", "here", 1);
    assert_string_equal(fl_io_env(f.io, "FL_LOOP_TEST"), "here");
    unsetenv("FL_LOOP_TEST");
    assert_null(fl_io_env(f.io, "FL_LOOP_TEST"));
    end(&f);
}

static void test_clock_and_randomness(void **state) {
    (void)state;
    struct fixture f;
    uint64_t a[4] = {0}, b[4] = {0};
    start(&f, "", 1);
    uint64_t before_us = fl_io_now_us(f.io);
    assert_true(fl_io_now_us(f.io) >= before_us);
    assert_true(fl_io_wall_ms(f.io) > INT64_C(1600000000000)); /* 2020 */
    fl_io_random(f.io, a, sizeof(a));
    fl_io_random(f.io, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),           cmocka_unit_test(test_file_is_appended),
        cmocka_unit_test(test_file_too_large), cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_no_file),        cmocka_unit_test(test_file_without_memory),
        cmocka_unit_test(test_environment),    cmocka_unit_test(test_clock_and_randomness),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
