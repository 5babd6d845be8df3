/* registry_endpoints_test.c - Endpoints in place of slices: for as long as there are no slices. */
#include "support/kube_bed.h"

#include <fairlead/log.h>

#define MINUTE_MS ((uint64_t)60000)
#define PODS      1005 /* more than Endpoints show */

static struct fl_seen *setup_old(struct fl_kbed *f, unsigned pods) {
    const struct fl_apiserver_options old = {.no_endpointslices = true};
    fl_kbed_setup(f, &old);
    fl_kbed_add_service(f, FL_KBED_SHOP, FL_KBED_ECHO);
    fl_kbed_add_pods(f, FL_KBED_SHOP, FL_KBED_ECHO, 0, 3);
    struct fl_seen *seen = fl_kbed_subscribe(f, "kubernetes:///shop/echo");
    fl_kbed_run(f, 5000);
    if (pods > 3) fl_kbed_add_pods(f, FL_KBED_SHOP, FL_KBED_ECHO, 3, pods - 3);
    fl_kbed_run(f, 5000);
    assert_int_equal(seen->state, FL_SET_SOME);
    seen->least = SIZE_MAX;
    return seen;
}

/* The same cluster, from now on with or without slices. */
static void replace(struct fl_kbed *f, bool no_slices) {
    const struct fl_apiserver_options options = {.host = FL_STR("127.0.0.1"),
                                                 .port = fl_apiserver_port(f->server),
                                                 .no_endpointslices = no_slices};
    fl_kbed_replace_server(f, &options);
}

/* One 404 for slices, of a server that was about to start or was replaced later, is not believed
 * for ever; the way back shows nobody less than there is. */
static void test_W20_slices_are_returned_to(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    struct fl_seen *seen = setup_old(&f, PODS);
    assert_true(seen->truncated);
    assert_int_equal(seen->endpoints, 1000);
    replace(&f, false);
    fl_kbed_run(&f, 4 * MINUTE_MS);
    assert_false(seen->truncated);
    assert_int_equal(seen->endpoints, PODS);
    assert_int_equal(seen->least, 1000);
    assert_int_equal(seen->trouble.code, FL_OK);
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_KBED_ECHO, PODS, 1);
    fl_kbed_run(&f, 2000);
    assert_int_equal(seen->endpoints, PODS + 1);
    /* Who comes now asks for slices at once. */
    fl_kbed_add_service(&f, FL_KBED_SHOP, FL_STR("other"));
    fl_kbed_add_pods(&f, FL_KBED_SHOP, FL_STR("other"), 2000, PODS);
    struct fl_seen *other = fl_kbed_subscribe(&f, "kubernetes:///shop/other");
    fl_kbed_run(&f, 2000);
    assert_int_equal(other->endpoints, PODS);
    fl_kbed_teardown(&f);
}

/* A server that is old and stays so is asked now and then, at most an hour apart, and nobody sees
 * anything of it. */
static void test_W20_an_old_server_is_asked_now_and_then(void **state) {
    struct fl_kbed f;
    FL_UNUSED(state);
    struct fl_seen *seen = setup_old(&f, 3);
    uint64_t version = seen->version;
    fl_kbed_run(&f, 180 * MINUTE_MS);
    assert_int_equal(seen->version, version);
    assert_int_equal(seen->endpoints, 3);
    assert_int_equal(seen->trouble.code, FL_OK);
    replace(&f, false);
    uint64_t start_ms = fl_io_now_ms(f.io);
    struct fl_metric *events =
        fl_metrics_get(f.io->metrics, FL_METRIC_COUNTER, "fairlead_kube_events_total", "",
                       "resource=endpointslices");
    while (fl_metric_value(events) == 0 && fl_io_now_ms(f.io) < start_ms + 100 * MINUTE_MS)
        fl_kbed_run(&f, MINUTE_MS);
    assert_in_range(fl_io_now_ms(f.io) - start_ms, MINUTE_MS, 73 * MINUTE_MS);
    assert_true(seen->least >= 3);
    fl_kbed_teardown(&f);
}

/* Memory that fails anywhere on the way back delays it and no more. */
static void test_each_failed_allocation_on_the_way_back(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n += 1 + n / 40) {
        struct fl_kbed f;
        struct fl_seen *seen = setup_old(&f, 3);
        replace(&f, false);
        fl_kbed_run(&f, 50000);
        fl_test_alloc_fail_at(n);
        fl_kbed_run(&f, 30000);
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        fl_kbed_run(&f, 10 * MINUTE_MS);
        assert_int_equal(seen->endpoints, 3);
        assert_true(seen->least >= 3);
        assert_int_equal(seen->trouble.code, FL_OK);
        fl_kbed_teardown(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W20_slices_are_returned_to),
        cmocka_unit_test(test_W20_an_old_server_is_asked_now_and_then),
        cmocka_unit_test(test_each_failed_allocation_on_the_way_back),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
