/* registry_static_test.c - targets "static:a:1,b:2" and "host:port", and a discovery as it is made
 * for users. */
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "registry/discovery.h"
#include "registry/static.h"
#include "sim/world.h"
#include "support/sets.h"

struct bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_discovery *discovery;
    struct fl_set *set;
    int calls, trouble;
};

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct bed *bed = arg;
    FL_UNUSED(previous);
    bed->calls++;
    bed->trouble = trouble ? trouble->code : 0;
    fl_set_unref(bed->set);
    bed->set = fl_set_ref(set);
}

static int setup(void **state) {
    static const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    static const struct fl_world_options options = {.seed = 1};
    struct bed *bed = calloc(1, sizeof(*bed));
    fl_log_configure(&quiet);
    assert_int_equal(fl_world_new(&options, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    fl_set_unref(bed->set);
    fl_discovery_close(bed->discovery, NULL, NULL);
    fl_world_run_ms(bed->world, 1);
    fl_world_free(bed->world);
    free(bed);
    return 0;
}

static int setup_open(void **state) {
    setup(state);
    struct bed *bed = *state;
    return fl_discovery_new_on(bed->io, NULL, &bed->discovery, NULL);
}

/* What a subscriber of `target` is given. */
static void assert_target(struct bed *bed, const char *target, const char *service,
                          const char *text) {
    struct fl_subscription *subscription;
    bed->calls = 0;
    assert_int_equal(fl_discovery_subscribe_on(bed->discovery, bed->io, target, on_set, bed,
                                               &subscription, NULL),
                     0);
    fl_world_run_ms(bed->world, 1);
    assert_int_equal(bed->calls, 1);
    assert_int_equal(bed->trouble, 0);
    assert_int_equal(fl_set_state(bed->set), FL_SET_SOME);
    assert_int_equal(fl_set_ports(bed->set, NULL), 1);
    assert_string_equal(fl_set_service(bed->set), service);
    assert_string_equal(fl_test_text(bed->set), text);
    fl_subscription_close(subscription, NULL, NULL);
    fl_world_run_ms(bed->world, 1);
}

static void test_targets(void **state) {
    struct bed *bed = *state;
    assert_target(bed, "127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80 rs");
    assert_target(bed, "[::1]:80", "[::1]:80", "::1:80 rs");
    assert_target(bed, "db.example:5432", "db.example:5432", "db.example:5432 rs");
    assert_target(bed, "static:10.0.0.2:1,10.0.0.1:2,[::1]:1,a:1,10.0.0.1:2",
                  "10.0.0.2:1,10.0.0.1:2,[::1]:1,a:1,10.0.0.1:2",
                  "a:1 rs; 10.0.0.1:2 rs; 10.0.0.2:1 rs; ::1:1 rs");
    assert_target(bed, "static:///10.0.0.1:1", "10.0.0.1:1", "10.0.0.1:1 rs");
    assert_target(bed, "kubernetes:80", "kubernetes:80", "kubernetes:80 rs");
}

static void test_wrong_targets_say_which_part(void **state) {
    struct bed *bed = *state;
    static const struct {
        const char *target, *detail;
    } rows[] = {
        {"static:", "no port"},
        {"static:a:1,", "no port"},
        {"static:a:1,b", "\"b\": no port"},
        {"static:a:1,b:0", "\"b:0\": port 0"},
        {"static:a:1,b:70000", "\"70000\" is not a port"},
        {"static:::1:80", "brackets"},
        {"10.0.0.1", "is not a target"},
        {"10.0.0.1:http", "is not a target"},
        {"kubernetes:///Bad_Name", "service \"Bad_Name\""},
    };
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_subscription *subscription;
        struct fl_error err;
        int rc = fl_discovery_subscribe_on(bed->discovery, bed->io, rows[i].target, on_set, bed,
                                           &subscription, &err);
        assert_int_equal(rc, FL_EUSAGE);
        if (!strstr(err.detail, rows[i].detail)) fail_msg("%s: %s", rows[i].target, err.detail);
    }
}

static char *list_of(size_t count) {
    char *text = calloc(count, 16);
    size_t n = (size_t)sprintf(text, "static:");
    for (size_t i = 0; i < count; i++) {
        n += (size_t)sprintf(text + n, "%sa%zu:%zu", i ? "," : "", i, 1 + i);
    }
    return text;
}

static void test_a_list_is_bounded(void **state) {
    struct bed *bed = *state;
    struct fl_subscription *subscription;
    struct fl_error err;
    char *most = list_of(FL_STATIC_MAX), *more = list_of(FL_STATIC_MAX + 1);
    assert_int_equal(
        fl_discovery_subscribe_on(bed->discovery, bed->io, more, on_set, bed, &subscription, &err),
        FL_EUSAGE);
    assert_string_equal(err.detail, "more than 1000 endpoints in a target");
    assert_int_equal(
        fl_discovery_subscribe_on(bed->discovery, bed->io, most, on_set, bed, &subscription, &err),
        0);
    fl_world_run_ms(bed->world, 1);
    assert_int_equal(fl_set_state(bed->set), FL_SET_SOME);
    fl_subscription_close(subscription, NULL, NULL);
    fl_world_run_ms(bed->world, 1);
    free(most);
    free(more);
}

static void test_names_cannot_be_listed(void **state) {
    struct bed *bed = *state;
    struct fl_names *names;
    struct fl_error err;
    assert_int_equal(
        fl_discovery_watch_names(bed->discovery, "static", FL_STR_NONE, NULL, NULL, &names, &err),
        FL_EUSAGE);
}

static void test_without_memory(void **state) {
    struct bed *bed = *state;
    FL_TEST_EACH_FAILURE(n) {
        struct fl_subscription *subscription;
        struct fl_error err;
        int rc = fl_discovery_new_on(bed->io, NULL, &bed->discovery, &err);
        if (rc == 0) {
            rc = fl_discovery_subscribe_on(bed->discovery, bed->io, "static:a:1,b:2", on_set, bed,
                                           &subscription, &err);
        }
        if (rc < 0) assert_int_equal(rc, FL_ENOMEM);
        fl_world_run_ms(bed->world, 10000);
        if (rc == 0) {
            assert_int_equal(bed->trouble, 0);
            assert_string_equal(fl_test_text(bed->set), "a:1 rs; b:2 rs");
            fl_subscription_close(subscription, NULL, NULL);
        }
        fl_set_unref(bed->set);
        bed->set = NULL;
        fl_discovery_close(bed->discovery, NULL, NULL);
        bed->discovery = NULL;
        fl_world_run_ms(bed->world, 1);
    }
}

#define test(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_targets, setup_open),
        test(test_wrong_targets_say_which_part, setup_open),
        test(test_a_list_is_bounded, setup_open),
        test(test_names_cannot_be_listed, setup_open),
        test(test_without_memory, setup),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
