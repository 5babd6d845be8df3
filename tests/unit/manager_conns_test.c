/* manager_conns_test.c - handles by service name, on the simulated cluster. */
#include "support/manager_bed.h"

static void test_each_endpoint_has_a_handle_that_takes_calls(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 3);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(got.why.code, FL_OK);
    assert_int_equal(got.conns.handles.count, 3);
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 3);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(fl_echo_calls(bed.pods[i].echo), 1);
    assert_string_not_equal(fl_handle_pod(got.conns.handles.list[0]), "");
    assert_string_not_equal(fl_handle_node(got.conns.handles.list[0]), "");
    fl_mbed_conns_end(&got);
    fl_mbed_stop(&bed);
}

/* Concurrent first callers share one initialisation, and everybody after them its channel. */
static void test_C22_callers_share_one_channel(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got[5];
    fl_mbed_start(&bed, NULL, 2);
    fl_mbed_log_start();
    for (int i = 0; i < 4; i++) fl_mbed_conns_ask(&bed, &got[i], i % 2 ? "shop/echo" : "echo");
    fl_mbed_run(&bed, 1000);
    fl_mbed_conns_get(&bed, &got[4], "kubernetes:///shop/echo");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(got[i].calls, 1);
        assert_ptr_equal(got[i].conns.conn, got[0].conns.conn);
        assert_int_equal(got[i].conns.handles.count, 2);
        for (int k = 0; k < 2; k++)
            assert_ptr_equal(got[i].conns.handles.list[k], got[0].conns.handles.list[k]);
    }
    for (int i = 0; i < 5; i++) fl_mbed_conns_end(&got[i]);
    assert_int_equal(fl_mbed_log_count("Connection initialization completed successfully"), 1);
    assert_int_equal(fl_mbed_log_count("Returning 2 connections"), 5);
    fl_mbed_stop(&bed);
}

/* The pods' own port on the pods' addresses; kept ones untouched by a change. */
static void test_C20_difference_by_target_port(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns before, after;
    fl_mbed_start(&bed, NULL, 3);
    fl_mbed_conns_get(&bed, &before, "echo");
    assert_string_equal(fl_handle_peer(before.conns.handles.list[0]), "10.1.0.1:50051");
    fl_mbed_remove_pod(&bed, 1);
    fl_mbed_add_pod(&bed, 3);
    fl_mbed_run(&bed, 1000);
    fl_mbed_conns_get(&bed, &after, "echo");
    assert_int_equal(after.conns.handles.count, 3);
    assert_ptr_equal(after.conns.handles.list[0], before.conns.handles.list[0]);
    assert_ptr_equal(after.conns.handles.list[1], before.conns.handles.list[2]);
    assert_string_equal(fl_handle_peer(after.conns.handles.list[2]), "10.1.0.4:50051");
    fl_mbed_conns_end(&before);
    fl_mbed_conns_end(&after);
    fl_mbed_stop(&bed);
}

/* C9: what a caller holds is not closed under it, whatever happens to the endpoint. */
static void test_C9_held_handles_survive_change_and_close(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 2);
    fl_mbed_conns_get(&bed, &got, "echo");
    fl_mbed_remove_pod(&bed, 0);
    fl_mbed_run(&bed, 10000);
    assert_int_equal(fl_handle_state(got.conns.handles.list[0]), FL_CHANNEL_SHUTDOWN);
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 1);
    /* The manager closes; what is held goes on until it is given back. */
    fl_connmgr_close(bed.mgr, NULL, NULL);
    bed.mgr = NULL;
    fl_mbed_run(&bed, 10000);
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 1);
    fl_mbed_conns_end(&got);
    fl_mbed_run(&bed, 3000);
    fl_mbed_stop(&bed);
}

/* C24: one that cannot be reached does not fail the rest, and its cause is shown. */
static void test_C24_one_dead_endpoint_does_not_fail_the_set(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 3);
    fl_mbed_kill_server(&bed, 1);
    fl_mbed_conns_get(&bed, &got, "echo"); /* all are on their way */
    fl_mbed_conns_end(&got);
    fl_mbed_run(&bed, 100);
    fl_mbed_log_start();
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(got.conns.handles.count, 2);
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 2);
    assert_true(
        fl_mbed_logged("[echo] Connection #2 is invalid, state: TransientFailure, closing"));
    assert_true(
        fl_mbed_logged("[echo] Removed 1 invalid connections, 2 valid connections remaining"));
    fl_mbed_conns_end(&got);
    fl_mbed_add_pod(&bed, 4);
    fl_mbed_run(&bed, 1000);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(got.conns.handles.count, 3);
    fl_mbed_conns_end(&got);
    fl_mbed_stop(&bed);
}

static void expect_failure(struct fl_mbed *bed, const char *service, int code, const char *detail) {
    struct fl_mbed_conns got;
    fl_mbed_conns_get(bed, &got, service);
    assert_int_equal(got.why.code, code);
    if (!strstr(got.why.detail, detail)) fail_msg("%s", got.why.detail);
}

/* Absent, empty and unknown are three answers. */
static void test_absent_empty_and_unknown(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 0);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(got.why.code, FL_OK);
    assert_int_equal(got.conns.handles.count, 0);
    fl_mbed_conns_end(&got);
    expect_failure(&bed, "nobody", FL_EABSENT, "service not found: shop/nobody");
    expect_failure(&bed, "No Name", FL_EUSAGE, "service \"No Name\"");
    expect_failure(&bed, "nowhere:///x", FL_EUSAGE, "nowhere");
    fl_mbed_stop(&bed);
}

static void test_unknown_waits_until_the_deadline(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    const struct fl_connmgr_options options = {.log_style = FL_LOG_STYLE_K8S_DISCOVERY};
    fl_mbed_start(&bed, NULL, 1);
    fl_mbed_close(&bed);
    bed.closed = 0;
    fl_kbed_reopen_hub(&bed.kube);
    assert_int_equal(
        fl_world_file(bed.kube.world, "/k/config",
                      FL_STR("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
                             "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n")),
        0);
    assert_int_equal(fl_connmgr_new(bed.kube.hub, &options, &bed.mgr, NULL), 0);
    fl_mbed_log_start();
    uint64_t start_ms = fl_io_now_ms(bed.kube.io);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(got.why.code, FL_EUNKNOWN);
    assert_int_equal(fl_io_now_ms(bed.kube.io) - start_ms, 5000);
    assert_true(fl_mbed_logged("[echo] ERROR: Failed to get endpoints: "));
    fl_mbed_stop(&bed);
}

static void set_ports(struct fl_mbed *bed, const struct fl_k8s_service_port *ports, size_t count) {
    assert_int_equal(
        fl_cluster_service(bed->kube.cluster, FL_KBED_SHOP, FL_KBED_ECHO, ports, count), 0);
    fl_mbed_run(bed, 1000);
}

/* The first port but 10001; it is followed when the ports change. Each way to have none has a
 * cause of its own. */
static void test_port_rule(void **state) {
    FL_UNUSED(state);
    static const struct fl_k8s_service_port metrics = {
        .name = FL_STR("metrics"), .protocol = FL_STR("TCP"), .port = 10001, .target_port = 9};
    static const struct fl_k8s_service_port grpc = {
        .name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 50051};
    static const struct fl_k8s_service_port other = {
        .name = FL_STR("other"), .protocol = FL_STR("TCP"), .port = 81, .target_port = 7};
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 1);
    fl_mbed_log_start();
    set_ports(&bed, (const struct fl_k8s_service_port[]){metrics, grpc, other}, 3);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_string_equal(fl_handle_peer(got.conns.handles.list[0]), "10.1.0.1:50051");
    assert_true(fl_mbed_logged("[K8s Discovery] [echo] Service port: 80\n"));
    fl_mbed_conns_end(&got);
    fl_mbed_conns_get(&bed, &got, "echo:other");
    assert_string_equal(fl_handle_peer(got.conns.handles.list[0]), "10.1.0.1:7");
    fl_mbed_conns_end(&got);
    fl_mbed_conns_get(&bed, &got, "echo:10001");
    assert_string_equal(fl_handle_peer(got.conns.handles.list[0]), "10.1.0.1:9");
    fl_mbed_conns_end(&got);
    expect_failure(&bed, "echo:http", FL_EPORT, "has no port \"http\"");

    set_ports(&bed, &metrics, 1);
    expect_failure(&bed, "echo", FL_EPORTS_EXCLUDED, "metrics (10001)");
    assert_true(fl_mbed_logged("[echo] ERROR: Failed to get service port: service \"shop/echo\" "
                               "has no RPC port (all ports are 10001): metrics (10001)"));
    assert_true(fl_mbed_logged("[echo] ERROR: Failed to initialize connections for echo: "));
    set_ports(&bed, &grpc, 1);
    fl_mbed_conns_get(&bed, &got, "echo");
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 1);
    fl_mbed_conns_end(&got);
    set_ports(&bed, NULL, 0);
    expect_failure(&bed, "echo", FL_ENO_PORTS, "has no ports defined");
    fl_mbed_stop(&bed);
}

/* C23: services are watched when they are asked for, in their own namespace. */
static void test_C23_only_what_was_asked_for_is_watched(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 1);
    fl_kbed_add_service(&bed.kube, FL_STR("other"), FL_KBED_ECHO);
    fl_kbed_add_service(&bed.kube, FL_KBED_SHOP, FL_STR("unused"));
    fl_mbed_log_start();
    fl_mbed_run(&bed, 5000);
    assert_string_equal(fl_mbed_log(), "");
    fl_mbed_conns_get(&bed, &got, "other/echo");
    assert_int_equal(got.conns.handles.count, 0);
    fl_mbed_run(&bed, 5000);
    assert_false(fl_mbed_logged("unused"));
    fl_mbed_conns_end(&got);
    fl_mbed_stop(&bed);
}

/* A target of any kind, under a name of the caller's or as it is. */
static void test_custom_targets(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    fl_mbed_start(&bed, NULL, 2);
    assert_int_equal(
        fl_connmgr_add_target(bed.mgr, "pair", "static:10.1.0.1:50051,10.1.0.2:50051", NULL), 0);
    fl_mbed_conns_get(&bed, &got, "pair");
    assert_int_equal(got.conns.handles.count, 2);
    assert_int_equal(fl_mbed_call_each(&bed, &got.conns), 2);
    fl_mbed_conns_end(&got);
    fl_mbed_conns_get(&bed, &got, "static:10.1.0.2:50051");
    assert_int_equal(got.conns.handles.count, 1);
    fl_mbed_conns_end(&got);
    assert_int_equal(fl_connmgr_add_target(bed.mgr, "", "x", NULL), FL_EUSAGE);
    fl_mbed_stop(&bed);
}

/* On the loop nobody may wait; requests that wait end when the manager closes. */
static void test_misuse_and_close(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    struct fl_conns conns;
    struct fl_error err;
    fl_mbed_start(&bed, NULL, 1);
    assert_int_equal(fl_connmgr_get_conns(bed.mgr, "echo", 0, &conns, &err), FL_EUSAGE);
    assert_int_equal(fl_connmgr_get_conns_async(bed.mgr, "", 0, NULL, NULL, &err), FL_EUSAGE);
    assert_int_equal(fl_connmgr_get_conns_async(bed.mgr, "echo", 0, NULL, NULL, &err), FL_EUSAGE);
    fl_mbed_conns_ask(&bed, &got, "echo");
    fl_mbed_close(&bed);
    assert_int_equal(got.calls, 1);
    assert_int_equal(got.why.code, FL_ESHUTDOWN);
    fl_mbed_stop(&bed);
}

static void test_configuration_that_cannot_be_used_fails_new(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_connmgr *mgr;
    struct fl_error err;
    fl_mbed_start(&bed, NULL, 0);
    fl_mbed_close(&bed);
    fl_kbed_reopen_hub(&bed.kube);
    assert_int_equal(fl_world_file(bed.kube.world, "/k/config", FL_STR("clusters: 7\n")), 0);
    assert_int_equal(fl_connmgr_new(bed.kube.hub, NULL, &mgr, &err), FL_ECONFIG);
    assert_true(strstr(err.detail, "/k/config"));
    const struct fl_connmgr_options options = {.scheme = "nowhere"};
    assert_int_equal(fl_connmgr_new(bed.kube.hub, &options, &mgr, &err), FL_EUSAGE);
    fl_mbed_stop(&bed);
}

static void test_every_allocation_of_new_may_fail(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    fl_mbed_start(&bed, NULL, 0);
    const struct fl_connmgr_options options = {.ns = "shop", .gateway = "g", .node = "n"};
    FL_TEST_EACH_FAILURE(n) {
        struct fl_connmgr *mgr = NULL;
        int rc = fl_connmgr_new(bed.kube.hub, &options, &mgr, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_connmgr_close(mgr, NULL, NULL);
        fl_mbed_run(&bed, 10);
    }
    fl_mbed_stop(&bed);
}

/* What runs out of memory tells so, and nothing is left behind. */
static void test_every_allocation_of_get_conns_may_fail(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    fl_mbed_start(&bed, NULL, 2);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_mbed_conns got = {.calls = 0};
        struct fl_error err;
        int rc = fl_connmgr_get_conns_async(bed.mgr, "echo", 500, fl_mbed_on_conns, &got, &err);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_mbed_run(&bed, 2000);
        if (rc == 0) assert_int_equal(got.calls, 1);
        fl_mbed_conns_end(&got);
    }
    fl_mbed_stop(&bed);
}

int main(void) {
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_endpoint_has_a_handle_that_takes_calls),
        cmocka_unit_test(test_C22_callers_share_one_channel),
        cmocka_unit_test(test_C20_difference_by_target_port),
        cmocka_unit_test(test_C9_held_handles_survive_change_and_close),
        cmocka_unit_test(test_C24_one_dead_endpoint_does_not_fail_the_set),
        cmocka_unit_test(test_absent_empty_and_unknown),
        cmocka_unit_test(test_unknown_waits_until_the_deadline),
        cmocka_unit_test(test_port_rule),
        cmocka_unit_test(test_C23_only_what_was_asked_for_is_watched),
        cmocka_unit_test(test_custom_targets),
        cmocka_unit_test(test_misuse_and_close),
        cmocka_unit_test(test_configuration_that_cannot_be_used_fails_new),
        cmocka_unit_test(test_every_allocation_of_new_may_fail),
        cmocka_unit_test(test_every_allocation_of_get_conns_may_fail),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
