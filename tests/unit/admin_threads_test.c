/* admin_threads_test.c - the admin endpoint of a runtime on a thread of its own, opened and closed
 * from another one, over a real socket. To be run under TSan too. */
#include "support/alloc.h"

#include <fairlead/admin.h>
#include <semaphore.h>
#include <string.h>

static void post(void *arg) { sem_post(arg); }

static void test_opened_from_another_thread(void **state) {
    struct fl_runtime *runtime;
    struct fl_admin *admin;
    sem_t closed;
    FL_UNUSED(state);
    sem_init(&closed, 0, 0);
    assert_int_equal(fl_runtime_new(NULL, &runtime, NULL), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(fl_admin_new(runtime, NULL, &admin, NULL), 0);
        assert_int_not_equal(fl_admin_port(admin), 0);
        fl_admin_close(admin, post, &closed);
        sem_wait(&closed);
    }
    fl_runtime_free(runtime);
    sem_destroy(&closed);
}

static void test_what_is_wrong_is_told(void **state) {
    struct fl_runtime *runtime;
    struct fl_admin *admin, *second;
    struct fl_error err = {0};
    sem_t closed;
    FL_UNUSED(state);
    sem_init(&closed, 0, 0);
    assert_int_equal(fl_runtime_new(NULL, &runtime, NULL), 0);
    struct fl_admin_options options = {.host = "nowhere"};
    assert_int_equal(fl_admin_new(runtime, &options, &admin, &err), FL_EUSAGE);
    assert_null(admin);
    assert_non_null(strstr(err.detail, "nowhere"));
    assert_int_equal(fl_admin_new(runtime, NULL, &admin, NULL), 0);
    options = (struct fl_admin_options){.port = fl_admin_port(admin)};
    assert_int_equal(fl_admin_new(runtime, &options, &second, &err), FL_ESYS);
    assert_null(second);
    fl_admin_close(admin, post, &closed);
    sem_wait(&closed);
    fl_runtime_free(runtime);
    sem_destroy(&closed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_from_another_thread),
        cmocka_unit_test(test_what_is_wrong_is_told),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
