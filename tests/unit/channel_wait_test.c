/* channel_wait_test.c - how calls wait, on the virtual world: the four answers of discovery,
 * connections, queues. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "support/bed.h"

/* --- the four answers --- */

static void test_unknown_waits(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call timed, patient;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_bed_call(&bed, &timed, &(struct fl_call_options){.timeout_ms = 500});
    fl_bed_call(&bed, &patient, NULL);
    fl_world_run_ms(bed.world, 400);
    assert_int_equal(timed.ended + patient.ended, 0);
    fl_world_run_ms(bed.world, 200);
    assert_int_equal(timed.status, FL_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(timed.why, FL_EDEADLINE);
    assert_non_null(strstr(timed.message, "UNKNOWN"));
    assert_int_equal(patient.ended, 0);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    fl_bed_expect_ok(&patient);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void expect_fails_fast(struct fl_bed *bed, int why, const char *name) {
    struct fl_bed_call fast, patient;
    fl_world_run_ms(bed->world, 10);
    assert_int_equal(fl_channel_state(bed->channel), FL_CHANNEL_TRANSIENT_FAILURE);
    fl_bed_call(bed, &patient,
                &(struct fl_call_options){.timeout_ms = 1000, .wait_for_ready = FL_WAIT_YES});
    fl_bed_call_now(bed, &fast, 10);
    assert_int_equal(fast.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(fast.why, why);
    assert_non_null(strstr(fast.message, name));
    assert_string_equal(fast.peer, "");
    assert_int_equal(patient.ended, 0);
    fl_world_run_ms(bed->world, 1100);
    assert_int_equal(patient.status, FL_STATUS_DEADLINE_EXCEEDED);
    assert_non_null(strstr(patient.message, name));
}

static void test_absent_and_empty_fail_fast(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_hand_endpoint not_ready = {"10.0.0.1", FL_BED_PORT, FL_ENDPOINT_TERMINATING, 0, NULL};
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
    expect_fails_fast(&bed, FL_EABSENT, "ABSENT");
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    expect_fails_fast(&bed, FL_EEMPTY, "EMPTY");
    fl_hand_publish(bed.hand, FL_SET_SOME, &not_ready, 1);
    expect_fails_fast(&bed, FL_EEMPTY, "EMPTY");
    fl_bed_stop(&bed);
}

static void test_several_ports_and_none_named(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, "grpc"},
                                           {"10.0.0.1", 8080, FL_BED_READY, 1, "http"}};
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    expect_fails_fast(&bed, FL_EPORT, "PORT");
    fl_bed_call_now(&bed, &call, 10);
    assert_non_null(strstr(call.message, "grpc"));
    assert_non_null(strstr(call.message, "http"));
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 1); /* one is left: no question any more */
    fl_world_run_ms(bed.world, 10);
    fl_bed_call_now(&bed, &call, 100);
    fl_bed_expect_ok(&call);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_trouble_that_a_person_must_fix(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_world_run_ms(bed.world, 10);
    fl_hand_trouble(bed.hand, FL_EFORBIDDEN, "you may not list endpointslices");
    expect_fails_fast(&bed, FL_EFORBIDDEN, "you may not list endpointslices");
    fl_bed_stop(&bed);
}

/* Nothing is known, and what keeps it so may last: gRPC's rule for names that do not resolve. */
static void test_trouble_before_the_first_answer_fails_fast(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call early, call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_call(&bed, &early, NULL);
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(early.ended, 0); /* it may answer yet */
    fl_hand_trouble(bed.hand, FL_ESYS, "/etc/kubeconfig is a directory");
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(early.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(early.why, FL_ESYS);
    expect_fails_fast(&bed, FL_ESYS, "/etc/kubeconfig is a directory");
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    fl_hand_trouble(bed.hand, FL_ESYS, "/etc/kubeconfig is a directory");
    for (int i = 0; i < 10; i++) { /* stale, and as good as any */
        fl_bed_call_now(&bed, &call, 1000);
        fl_bed_expect_ok(&call);
    }
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_external_name(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_hand_external(bed.hand, "echo.example.com");
    expect_fails_fast(&bed, FL_EUSAGE, "echo.example.com");
    fl_bed_stop(&bed);
}

/* --- waiting --- */

static void test_fail_fast_only_in_transient_failure(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call, late;
    fl_bed_start(&bed, NULL);
    fl_world_fault(bed.world, FL_STR("10.0.0.1"), FL_WORLD_BLACKHOLE);
    fl_bed_open(&bed, &(struct fl_channel_options){.connect_timeout_ms = 3000});
    fl_bed_publish(&bed, 1);
    fl_bed_call(&bed, &call, NULL);
    fl_world_run_ms(bed.world, 2900);
    assert_int_equal(fl_channel_state(bed.channel), FL_CHANNEL_CONNECTING);
    assert_int_equal(call.ended, 0);
    fl_world_run_ms(bed.world, 200);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(call.why, FL_ETIMEOUT);
    assert_non_null(strstr(call.message, "10.0.0.1:50051"));
    fl_world_run_ms(bed.world, 2000); /* connecting again, but it has failed before (A62) */
    fl_bed_call_now(&bed, &late, 10);
    assert_int_equal(late.status, FL_STATUS_UNAVAILABLE);
    fl_bed_stop(&bed);
}

static void test_refused_endpoint_beside_a_good_one(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 2, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 3); /* 1 and 3 refuse */
    for (int i = 0; i < 10; i++) {
        fl_bed_call_now(&bed, &call, 100);
        fl_bed_expect_ok(&call);
    }
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_wait_for_ready_outlives_failures(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1); /* refuses */
    fl_bed_call(&bed, &call, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    fl_world_run_ms(bed.world, 10000);
    assert_int_equal(call.ended, 0);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_world_run_ms(bed.world, 20000);
    fl_bed_expect_ok(&call);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_queue_is_bounded(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call calls[5];
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, &(struct fl_channel_options){.queued_calls_max = 4});
    for (int i = 0; i < 5; i++) fl_bed_call(&bed, &calls[i], NULL);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(calls[4].status, FL_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(calls[4].why, FL_EFULL);
    assert_int_equal(fl_metric_value(fl_metrics_get(bed.io->metrics, FL_METRIC_COUNTER,
                                                    "fairlead_channel_queue_full_total", "", "")),
                     1);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 4; i++) fl_bed_expect_ok(&calls[i]);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

/* Two streams allowed, twenty calls: eighteen wait their turn. */
static void test_stream_limit_queues(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call calls[20];
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.streams_max = 2;
    fl_bed_open(&bed, &(struct fl_channel_options){.connections_max = 1});
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 20; i++)
        fl_bed_call(&bed, &calls[i], &(struct fl_call_options){.timeout_ms = 1000});
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(peer.requests, 2);
    fl_world_run_ms(bed.world, 1000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(calls[i].ended, 1);
        assert_int_equal(calls[i].status, FL_STATUS_DEADLINE_EXCEEDED);
    }
    assert_non_null(strstr(calls[19].message, "FULL"));
    fl_bed_stop_peer(&bed, &peer);
}

/* Two streams allowed, every answer at once: each makes room for the next. */
static void test_room_that_comes_back_is_used(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call calls[20];
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.streams_max = 2;
    peer.on_request = fl_peer_answer_echo;
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 20; i++) fl_bed_call(&bed, &calls[i], NULL);
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 20; i++) fl_bed_expect_ok(&calls[i]);
    fl_bed_stop_peer(&bed, &peer);
}

/* What was sent and not processed goes before what has waited meanwhile. */
static void test_retried_calls_go_first(void **state) {
    FL_UNUSED(state);
    static const char *const methods[] = {"/s/A", "/s/B", "/s/C"};
    struct fl_bed bed;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.streams_max = 1;
    peer.on_request = fl_peer_answer_echo;
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 2000);
    for (size_t i = 0; i < FL_COUNT(methods); i++) {
        int rc =
            fl_call_unary(bed.channel, methods[i], "", 0, NULL, fl_bed_ignore, NULL, NULL, NULL);
        assert_int_equal(rc, 0);
    }
    fl_peer_close(&peer); /* A is on its way, B and C wait */
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(peer.order, "ABC");
    fl_bed_stop_peer(&bed, &peer);
}

/* A full queue does not turn away what had been let in before. */
static void test_retried_calls_pass_a_full_queue(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call calls[3];
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.streams_max = 2;
    peer.on_request = fl_peer_answer_echo;
    fl_bed_open(&bed, &(struct fl_channel_options){.queued_calls_max = 1});
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 2000);
    for (int i = 0; i < 3; i++) fl_bed_call(&bed, &calls[i], NULL);
    fl_peer_close(&peer); /* two are on their way, one waits */
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 3; i++) fl_bed_expect_ok(&calls[i]);
    fl_bed_stop_peer(&bed, &peer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_waits),
        cmocka_unit_test(test_absent_and_empty_fail_fast),
        cmocka_unit_test(test_several_ports_and_none_named),
        cmocka_unit_test(test_trouble_that_a_person_must_fix),
        cmocka_unit_test(test_trouble_before_the_first_answer_fails_fast),
        cmocka_unit_test(test_external_name),
        cmocka_unit_test(test_fail_fast_only_in_transient_failure),
        cmocka_unit_test(test_refused_endpoint_beside_a_good_one),
        cmocka_unit_test(test_wait_for_ready_outlives_failures),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_stream_limit_queues),
        cmocka_unit_test(test_room_that_comes_back_is_used),
        cmocka_unit_test(test_retried_calls_go_first),
        cmocka_unit_test(test_retried_calls_pass_a_full_queue),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
