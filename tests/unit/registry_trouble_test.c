/* registry_trouble_test.c - the Kubernetes provider when the API server fails, refuses or is away,
 * in a simulated world. */
#include "support/kube_bed.h"

#include <fairlead/log.h>
#include <stdio.h>

/* --- tests --- */

static void test_refused_credentials_are_trouble(void **state) {
    const struct fl_apiserver_options strict = {.token = FL_STR("other")};
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup(&f, &strict);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_UNKNOWN);
    assert_int_equal(seen->trouble.code, FL_EUNAUTHORIZED);
    assert_non_null(strstr(seen->trouble.detail, "401"));
    assert_null(strstr(seen->trouble.detail, "t0ken"));
    fl_kbed_teardown(&f);
}

static void test_a_wrong_configuration_is_trouble_until_it_is_mended(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 1);
    fl_kbed_write_kubeconfig(&f, "{exec: {command: x}}");
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->state, FL_SET_UNKNOWN);
    assert_int_equal(seen->trouble.code, FL_ECONFIG);
    assert_non_null(strstr(seen->trouble.detail, "exec plugin"));
    fl_kbed_write_kubeconfig(&f, "{token: t0ken}");
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_teardown(&f);
}

/* --- faults of the server --- */

/* Whatever the server does, the subscriber ends up with what is there. */
static void expect_recovery(enum fl_fault_kind fault, unsigned times, bool end_watches) {
    struct fl_kbed f;
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, 2);
    fl_apiserver_fault(f.server, fault, times);
    if (end_watches) fl_apiserver_end_watches(f.server);
    fl_kbed_run(&f, 100);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2, 1);
    fl_kbed_run(&f, 300000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_teardown(&f);
}

static void test_W11_expired_watches_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_GONE_STATUS, 4, true);
    expect_recovery(FL_FAULT_GONE_EVENT, 4, true);
}

static void test_W13_short_watches_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_SHORT, 6, true);
}

static void test_overload_silence_and_garbage_recover(void **state) {
    FL_UNUSED(state);
    expect_recovery(FL_FAULT_UNAVAILABLE, 6, true);
    expect_recovery(FL_FAULT_THROTTLED, 6, true);
    expect_recovery(FL_FAULT_STALL, 4, true);
    expect_recovery(FL_FAULT_GARBAGE, 6, true);
}

static void test_W4_a_stale_cache_does_not_go_back_in_time(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2, 2);
    fl_kbed_run(&f, 1000);
    assert_int_equal(seen->endpoints, 4);
    fl_cluster_compact(f.cluster);
    fl_apiserver_fault(f.server, FL_FAULT_OLDER, 4);
    fl_apiserver_end_watches(f.server);
    for (int i = 0; i < 60; i++) {
        fl_kbed_run(&f, 1000);
        assert_int_equal(seen->endpoints, 4);
    }
    fl_kbed_teardown(&f);
}

static void test_a_server_that_is_cut_off_leaves_the_last_set(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    fl_kbed_run(&f, 10000);
    assert_int_equal(seen->state, FL_SET_SOME);
    assert_int_equal(seen->endpoints, 2);
    assert_int_equal(seen->trouble.code, FL_EREFUSED);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, 2, 1);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_kbed_run(&f, 65000);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_teardown(&f);
}

/* --- several watches, names --- */

struct log {
    unsigned stale, fresh, warnings;
    bool without_service; /* a line of them does not say which */
};

static void on_line(void *arg, const char *line, size_t len) {
    struct log *log = arg;
    log->stale += memmem(line, len, "endpoints are stale", 19) != NULL;
    log->fresh += memmem(line, len, "endpoints are fresh", 19) != NULL;
    bool warning = memmem(line, len, "level=warn", 10) != NULL;
    log->warnings += warning;
    if (warning && !memmem(line, len, "service=shop/echo", 17)) log->without_service = true;
}

/* An outage of an hour: a line for each of the two collections and for the service when it begins
 * (reset) and when its cause is another one (refused), and one when the set is stale. Retries say
 * nothing. */
static void test_an_outage_takes_few_lines(void **state) {
    struct fl_kbed f;
    struct log log = {0};
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_INFO, .write = on_line, .arg = &log});
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    fl_kbed_run(&f, 3600 * 1000);
    assert_int_equal(log.stale, 1);
    assert_int_equal(log.fresh, 0);
    assert_true(log.warnings <= 7);
    assert_false(log.without_service);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_kbed_run(&f, 120 * 1000);
    assert_int_equal(log.fresh, 1);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    fl_kbed_teardown(&f);
}

/* C19: a program that starts while the API server is away goes on with what the last one knew,
 * marked and as old as it is, until the server answers with what is true now. */
static void test_C19_starting_without_the_server(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 2);
    fl_kbed_keep_snapshot(&f);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///echo");
    fl_kbed_run(&f, 20000);
    assert_false(seen->snapshot);
    fl_kbed_unsubscribe(seen);
    fl_kbed_reopen_hub(&f);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    fl_kbed_run(&f, 100000);
    seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo:80");
    fl_kbed_run(&f, 5000);
    assert_true(seen->snapshot);
    assert_int_equal(seen->endpoints, 2);
    assert_int_equal(seen->trouble.code, FL_EREFUSED);
    assert_in_range(seen->stale_ms, 100000, 170000);
    assert_int_equal(fl_cluster_service_delete(f.cluster, FL_KBED_SHOP, FL_KBED_ECHO), FL_OK);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_kbed_run(&f, 65000);
    assert_false(seen->snapshot);
    assert_int_equal(seen->state, FL_SET_ABSENT);
    fl_kbed_teardown(&f);
}

/* A second without anything to say is no staleness; a server that is gone is. */
static void test_staleness_is_measured(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    fl_kbed_setup_echo(&f, 1);
    struct fl_seen *seen = fl_kbed_subscribe(&f, "kubernetes:///shop/echo");
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->stale_ms, 0);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_BLACKHOLE);
    fl_kbed_run(&f, 100000);
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_OK);
    fl_world_cut(f.world, FL_STR("127.0.0.1"));
    fl_world_fault(f.world, FL_STR("127.0.0.1"), FL_WORLD_REFUSE);
    fl_kbed_run(&f, 5000);
    assert_int_equal(seen->trouble.code, FL_EREFUSED);
    assert_true(seen->stale_ms >= 40000);
    fl_kbed_teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_credentials_are_trouble),
        cmocka_unit_test(test_a_wrong_configuration_is_trouble_until_it_is_mended),
        cmocka_unit_test(test_W11_expired_watches_recover),
        cmocka_unit_test(test_W13_short_watches_recover),
        cmocka_unit_test(test_overload_silence_and_garbage_recover),
        cmocka_unit_test(test_W4_a_stale_cache_does_not_go_back_in_time),
        cmocka_unit_test(test_a_server_that_is_cut_off_leaves_the_last_set),
        cmocka_unit_test(test_an_outage_takes_few_lines),
        cmocka_unit_test(test_C19_starting_without_the_server),
        cmocka_unit_test(test_staleness_is_measured),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
