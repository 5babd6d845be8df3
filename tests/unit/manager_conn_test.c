/* manager_conn_test.c - the channel of a service, by name, on the simulated cluster. */
#include "support/manager_bed.h"

static struct fl_channel *channel_of(const struct fl_mbed_conn *got) {
    assert_non_null(got->conn);
    return fl_conn_channel(got->conn);
}

static void test_awaits_ready(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got;
    fl_mbed_start(&bed, NULL, 2);
    fl_mbed_log_start();
    fl_mbed_conn_get(&bed, &got, "echo");
    assert_int_equal(fl_channel_state(channel_of(&got)), FL_CHANNEL_READY);
    assert_false(fl_mbed_logged("WARNING"));
    assert_true(fl_mbed_logged("[echo] Connection state changed: Connecting -> Ready\n"));
    fl_conn_unref(got.conn);
    fl_mbed_stop(&bed);
}

/* Not READY in time: the live channel all the same, its state, and one warning. */
static void test_gives_a_live_channel_after_its_time(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got;
    fl_mbed_start(&bed, NULL, 1);
    fl_mbed_kill_server(&bed, 0);
    fl_mbed_log_start();
    uint64_t start_ms = fl_io_now_ms(bed.kube.io);
    fl_mbed_conn_get(&bed, &got, "echo");
    assert_int_equal(fl_io_now_ms(bed.kube.io) - start_ms, 5000);
    assert_int_equal(fl_channel_state(channel_of(&got)), FL_CHANNEL_TRANSIENT_FAILURE);
    assert_int_equal(fl_mbed_log_count("WARNING: Connection state change timeout"), 1);
    fl_mbed_add_pod(&bed, 1);
    fl_mbed_run(&bed, 1000);
    assert_int_equal(fl_channel_state(channel_of(&got)), FL_CHANNEL_READY);
    fl_conn_unref(got.conn);
    fl_mbed_stop(&bed);
}

/* C22: who asks again gets the same channel, and giving one reference back closes nothing. */
static void test_C22_one_channel_however_often_it_is_asked_for(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got[20];
    struct fl_mbed_conns conns;
    fl_mbed_start(&bed, NULL, 2);
    for (int i = 0; i < 20; i++) {
        fl_mbed_conn_get(&bed, &got[i], "echo");
        assert_ptr_equal(channel_of(&got[i]), channel_of(&got[0]));
    }
    fl_mbed_conns_get(&bed, &conns, "echo");
    assert_ptr_equal(fl_conn_channel(conns.conns.conn), channel_of(&got[0]));
    for (int i = 0; i < 20; i++) fl_conn_unref(got[i].conn);
    assert_int_equal(fl_mbed_call_each(&bed, &conns.conns), 2);
    fl_mbed_conns_end(&conns);
    fl_mbed_stop(&bed);
}

/* An hour without calls closes sockets only; the next one who asks finds it. */
static void test_idle_channel_is_connected_again(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got, again;
    struct fl_mbed_conns conns;
    fl_mbed_start(&bed, NULL, 2);
    fl_mbed_conn_get(&bed, &got, "echo");
    fl_mbed_run(&bed, 3600 * 1000);
    assert_int_equal(fl_channel_state(channel_of(&got)), FL_CHANNEL_IDLE);
    fl_mbed_conns_get(&bed, &conns, "echo");
    assert_int_equal(conns.conns.handles.count, 2);
    assert_int_equal(fl_mbed_call_each(&bed, &conns.conns), 2);
    fl_mbed_conns_end(&conns);
    fl_mbed_run(&bed, 3600 * 1000);
    fl_mbed_conn_get(&bed, &again, "echo");
    assert_int_equal(fl_channel_state(channel_of(&again)), FL_CHANNEL_READY);
    fl_conn_unref(got.conn);
    fl_conn_unref(again.conn);
    fl_mbed_stop(&bed);
}

static void test_port_errors_are_given_at_once(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got;
    fl_mbed_start(&bed, NULL, 1);
    fl_mbed_conn_get(&bed, &got, "echo:http");
    assert_int_equal(got.why.code, FL_EPORT);
    assert_null(got.conn);
    fl_mbed_conn_get(&bed, &got, "echo:http"); /* also from what is known */
    assert_int_equal(got.why.code, FL_EPORT);
    fl_mbed_stop(&bed);
}

static void test_dns_form(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conn got;
    const struct fl_connmgr_options options = {.log_style = FL_LOG_STYLE_K8S_DISCOVERY,
                                               .dns = true};
    fl_mbed_start(&bed, &options, 1);
    fl_mbed_log_start();
    fl_mbed_conn_get(&bed, &got, "echo");
    fl_conn_unref(got.conn);
    assert_true(fl_mbed_logged("[echo] GetConn called (using DNS)\n"));
    assert_true(
        fl_mbed_logged("[echo] Dialing DNS target: static:echo.shop.svc.cluster.local:80\n"));
    assert_int_equal(fl_connmgr_add_target(bed.mgr, "own", "static:10.1.0.1:50051", NULL), 0);
    fl_mbed_conn_get(&bed, &got, "own");
    assert_true(fl_mbed_logged("[own] Using custom target: static:10.1.0.1:50051\n"));
    assert_int_equal(fl_channel_state(channel_of(&got)), FL_CHANNEL_READY);
    fl_conn_unref(got.conn);
    fl_mbed_conn_get(&bed, &got, "nobody");
    assert_int_equal(got.why.code, FL_EABSENT);
    fl_mbed_conn_ask(&bed, &got, "other", 0); /* closed while it looks */
    fl_mbed_close(&bed);
    assert_int_equal(got.why.code, FL_ESHUTDOWN);
    fl_mbed_stop(&bed);
}

static void test_every_allocation_of_get_conn_may_fail(void **state) {
    FL_UNUSED(state);
    for (int dns = 0; dns < 2; dns++) {
        struct fl_mbed bed;
        const struct fl_connmgr_options options = {.dns = dns};
        fl_mbed_start(&bed, &options, 1);
        FL_TEST_EACH_FAILURE(n) {
            struct fl_mbed_conn got = {.calls = 0};
            int rc = fl_connmgr_get_conn_async(bed.mgr, "echo", 500, fl_mbed_on_conn, &got, NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            fl_mbed_run(&bed, 2000);
            if (rc == 0) assert_int_equal(got.calls, 1);
            fl_conn_unref(got.conn);
        }
        fl_mbed_stop(&bed);
    }
}

int main(void) {
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_awaits_ready),
        cmocka_unit_test(test_gives_a_live_channel_after_its_time),
        cmocka_unit_test(test_C22_one_channel_however_often_it_is_asked_for),
        cmocka_unit_test(test_idle_channel_is_connected_again),
        cmocka_unit_test(test_port_errors_are_given_at_once),
        cmocka_unit_test(test_dns_form),
        cmocka_unit_test(test_every_allocation_of_get_conn_may_fail),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
