/* channel_metrics_test.c - what is measured of channels, calls and connections, under the names
 * that others' dashboards know: on the virtual world. */
#include "support/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "channel/call_metrics.h"
#include "support/bed.h"

#define RETRY                                                                                      \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":"     \
    "\"1s\",\"maxBackoff\":\"1s\",\"backoffMultiplier\":1,\"retryableStatusCodes\":"               \
    "[\"UNAVAILABLE\"]}}]}"
#define BY_METHOD "grpc_method=\"" FL_BED_METHOD "\",grpc_target=\"hand:///echo\""

static const char *text_of(const struct fl_bed *bed) {
    static char text[256 * 1024];
    struct fl_buf out;
    fl_buf_init(&out, sizeof(text) - 1);
    int rc = fl_metrics_write(bed->io->metrics, &out);
    assert_int_equal(rc, 0);
    memcpy(text, out.data, out.len);
    text[out.len] = 0;
    fl_buf_deinit(&out);
    return text;
}

/* The value of the one line that begins with `series`. */
static double value_of(const struct fl_bed *bed, const char *series) {
    const char *text = text_of(bed), *line = text;
    size_t n = strlen(series);
    for (; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, n) == 0 && line[n] == ' ') return atof(line + n);
    }
    fail_msg("no %s in\n%s", series, text);
    return 0;
}

static void publish_one(struct fl_bed *bed, unsigned number) {
    struct fl_hand_endpoint endpoint = {fl_bed_host(number), FL_BED_PORT, FL_BED_READY, 0, NULL};
    fl_hand_publish(bed->hand, FL_SET_SOME, &endpoint, 1);
}

/* --- calls --- */

static void test_names_of_calls_and_attempts(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 30);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 10);
    for (int i = 0; i < 3; i++) fl_bed_call_now(&bed, &call, 100);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.timeout_ms = 5});
    fl_world_run_ms(bed.world, 100);
#define OK   "{" BY_METHOD ",grpc_status=\"OK\"}"
#define LATE "{" BY_METHOD ",grpc_status=\"DEADLINE_EXCEEDED\"}"
    assert_true(value_of(&bed, "grpc_client_attempt_started_total{" BY_METHOD "}") == 4);
    assert_true(value_of(&bed, "grpc_client_attempt_duration_seconds_count" OK) == 3);
    assert_in_range(value_of(&bed, "grpc_client_attempt_duration_seconds_sum" OK) * 1000, 90, 95);
    assert_true(value_of(&bed, "grpc_client_attempt_duration_seconds_count" LATE) == 1);
    assert_in_range(value_of(&bed, "grpc_client_call_duration_seconds_sum" OK) * 1000, 90, 95);
    assert_in_range(value_of(&bed, "grpc_client_call_duration_seconds_sum" LATE) * 1000, 4, 6);
    /* "\12\2hi" there and back, without prefix */
    assert_true(
        value_of(&bed, "grpc_client_attempt_sent_total_compressed_message_size_bytes_sum" OK) ==
        12);
    assert_true(
        value_of(&bed, "grpc_client_attempt_rcvd_total_compressed_message_size_bytes_sum" OK) ==
        12);
    assert_null(strstr(text_of(&bed), "grpc_client_call_retries"));
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void refuse_first(struct fl_peer *peer, struct fl_http_stream *stream,
                         const struct fl_http_request *head) {
    struct fl_error why = {FL_ESTREAM_REFUSED, ""};
    if (peer->requests == 1)
        fl_http_stream_reset(stream, 7, &why);
    else
        fl_peer_answer_echo(peer, stream, head);
}

static void test_transparent_retries_are_told_apart(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_peer peer;
    struct fl_bed_call call;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = refuse_first;
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_bed_call_now(&bed, &call, 1000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_true(value_of(&bed, "grpc_client_attempt_started_total{" BY_METHOD "}") == 2);
    assert_true(value_of(&bed, "grpc_client_attempt_duration_seconds_count{" BY_METHOD
                               ",grpc_status=\"UNAVAILABLE\"}") == 1);
    assert_true(value_of(&bed, "grpc_client_call_transparent_retries_sum{" BY_METHOD "}") == 1);
    assert_true(value_of(&bed, "grpc_client_call_duration_seconds_count" OK) == 1);
    fl_bed_stop_peer(&bed, &peer);
}

/* A call that failed fast waits for its policy's next try; that try begins when it is sent. */
static void test_an_attempt_begins_when_it_is_sent(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 30);
    fl_bed_open(&bed, &(struct fl_channel_options){.service_config = RETRY});
    fl_hand_publish(bed.hand, FL_SET_EMPTY, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.timeout_ms = 5000});
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 2000);
    fl_bed_expect_ok(&call);
    assert_in_range(value_of(&bed, "grpc_client_attempt_duration_seconds_sum" OK) * 1000, 30, 35);
    assert_in_range(value_of(&bed, "grpc_client_call_duration_seconds_sum" OK) * 1000, 800, 1300);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void fail_first(struct fl_peer *peer, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    const struct fl_http_header list[] = {{FL_STR("content-type"), FL_STR("application/grpc")},
                                          {FL_STR("grpc-status"), FL_STR("14")}};
    const struct fl_http_response failure = {200, {list, FL_COUNT(list)}};
    if (peer->requests == 1)
        assert_int_equal(fl_http_stream_respond(stream, &failure, true), 0);
    else
        fl_peer_answer_echo(peer, stream, head);
}

/* What passed, not what was planned: the second of backoff was over long before a server was there
 * again. */
static void test_retry_delay_is_what_passed(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_peer peer;
    struct fl_bed_call call;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = fail_first;
    fl_bed_open(&bed, &(struct fl_channel_options){.service_config = RETRY});
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 10);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    fl_world_run_ms(bed.world, 100);
    fl_hand_publish(bed.hand, FL_SET_EMPTY, NULL, 0);
    fl_world_run_ms(bed.world, 5000);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 1000);
    fl_bed_expect_ok(&call);
    assert_int_equal(peer.requests, 2);
    assert_in_range(value_of(&bed, "grpc_client_call_retry_delay_seconds_sum{" BY_METHOD "}") *
                        1000,
                    5090, 5130);
    fl_bed_stop_peer(&bed, &peer);
}

/* What callers make up as methods costs a bounded number of series. */
static void test_methods_are_bounded(void **state) {
    FL_UNUSED(state);
    struct fl_metrics *metrics;
    struct fl_call_metrics all;
    char method[400];
    int rc = fl_metrics_new(1000, &metrics);
    assert_int_equal(rc, 0);
    rc = fl_call_metrics_init(&all, metrics, "static:a:1,b:2");
    assert_int_equal(rc, 0);
    assert_string_equal(all.target, "static:a:1;b:2");
    memset(method, 'x', sizeof(method));
    struct fl_method_metrics *other = fl_call_metrics_get(&all, fl_str_n(method, sizeof(method)));
    assert_non_null(other);
    for (int i = 0; i < 2 * FL_CALL_METRICS_METHODS_MAX; i++) {
        snprintf(method, sizeof(method), "/a,b/%d", i);
        struct fl_method_metrics *m = fl_call_metrics_get(&all, fl_str_of(method));
        assert_true((m == other) == (i >= FL_CALL_METRICS_METHODS_MAX - 1));
        assert_ptr_equal(m, fl_call_metrics_get(&all, fl_str_of(method)));
    }
    FL_TEST_EACH_FAILURE(n) {
        struct fl_call_metrics without;
        rc = fl_call_metrics_init(&without, metrics, "x");
        if (rc == 0) (void)fl_call_metrics_get(&without, FL_STR("/a/b"));
        fl_call_metrics_deinit(&without);
    }
    fl_call_metrics_deinit(&all);
    fl_metrics_free(metrics);
}

/* --- connections --- */

#define OF_TARGET "grpc_target=\"hand:///echo\""
#define OPEN      "grpc_subchannel_open_connections{" OF_TARGET ",grpc_security_level=\"none\"}"

static void expect_states(const struct fl_bed *bed, int idle, int connecting, int ready,
                          int failed) {
    assert_true(value_of(bed, "fairlead_channel_subchannels{state=\"IDLE\"}") == idle);
    assert_true(value_of(bed, "fairlead_channel_subchannels{state=\"CONNECTING\"}") == connecting);
    assert_true(value_of(bed, "fairlead_channel_subchannels{state=\"READY\"}") == ready);
    assert_true(value_of(bed, "fairlead_channel_subchannels{state=\"TRANSIENT_FAILURE\"}") ==
                failed);
}

static void test_endpoints_by_state(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    struct fl_echo *one = fl_bed_echo(&bed, 1, 0), *two = fl_bed_echo(&bed, 2, 0);
    fl_world_fault(bed.world, FL_STR("10.0.0.4"), FL_WORLD_BLACKHOLE);
    fl_bed_open(&bed, &(struct fl_channel_options){.idle_timeout_ms = 15000});
    fl_bed_publish(&bed, 4); /* 3 refuses */
    fl_world_run_ms(bed.world, 100);
    expect_states(&bed, 0, 1, 2, 1);
    assert_true(value_of(&bed, OPEN) == 2);
    assert_true(value_of(&bed, "fairlead_channel_connections") == 2);
    assert_true(value_of(&bed, "grpc_subchannel_connection_attempts_succeeded_total{" OF_TARGET
                               ",grpc_security_level=\"none\"}") == 2);
    assert_true(value_of(&bed, "grpc_subchannel_connection_attempts_failed_total{" OF_TARGET "}") ==
                1);
    fl_world_run_ms(bed.world, 16000);
    expect_states(&bed, 4, 0, 0, 0);
    assert_true(value_of(&bed, OPEN) == 0);
    assert_true(value_of(&bed, "grpc_subchannel_disconnections_total{" OF_TARGET
                               ",grpc_disconnect_error=\"subchannel shutdown\"}") == 2);
    fl_bed_publish(&bed, 2);
    fl_world_run_ms(bed.world, 100);
    expect_states(&bed, 2, 0, 0, 0);
    fl_bed_close(&bed);
    expect_states(&bed, 0, 0, 0, 0);
    fl_bed_kill(&bed, one);
    fl_bed_kill(&bed, two);
    fl_bed_stop(&bed);
}

static void test_draining_is_seen(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 1000);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_bed_call(&bed, &call, NULL);
    fl_world_run_ms(bed.world, 100);
    assert_true(value_of(&bed, "fairlead_channel_draining") == 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    assert_true(value_of(&bed, "fairlead_channel_draining") == 1);
    assert_true(value_of(&bed, "fairlead_channel_connections") == 1);
    fl_world_run_ms(bed.world, 1000);
    fl_bed_expect_ok(&call);
    assert_true(value_of(&bed, "fairlead_channel_draining") == 0);
    assert_true(value_of(&bed, "fairlead_channel_connections") == 0);
    assert_true(value_of(&bed, "fairlead_channel_disconnects_total{cause=\"drained\"}") == 1);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_ends_have_gRPC_s_names(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 10000);
    fl_peer_drain(&peer);
    fl_world_run_ms(bed.world, 10000);
    fl_world_cut(bed.world, FL_STR("10.0.0.1"));
    fl_world_run_ms(bed.world, 10000);
#define ENDS(error)                                                                                \
    "grpc_subchannel_disconnections_total{" OF_TARGET ",grpc_disconnect_error=\"" error "\"}"
    assert_true(value_of(&bed, ENDS("GOAWAY NO_ERROR")) == 1);
    assert_true(value_of(&bed, ENDS("connection reset")) == 1);
    assert_true(value_of(&bed, OPEN) == 1);
    fl_bed_stop_peer(&bed, &peer);
}

/* --- from the event on --- */

static void test_time_since_the_event(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *one = fl_bed_echo(&bed, 1, 0), *two = fl_bed_echo(&bed, 2, 20);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1); /* was there first: no event */
    fl_world_run_ms(bed.world, 100);
    fl_bed_call_now(&bed, &call, 100);
    assert_true(value_of(&bed, "fairlead_channel_event_to_applied_us_count") == 0);
    publish_one(&bed, 2);
    fl_world_run_ms(bed.world, 10);
    assert_true(value_of(&bed, "fairlead_channel_event_to_applied_us_count") == 1);
    assert_true(value_of(&bed, "fairlead_channel_event_to_applied_us_sum") < 1000);
    assert_true(value_of(&bed, "fairlead_channel_event_to_first_call_us_count") == 0);
    for (int i = 0; i < 2; i++) fl_bed_call_now(&bed, &call, 100);
    assert_true(value_of(&bed, "fairlead_channel_event_to_first_call_us_count") == 1);
    assert_in_range(value_of(&bed, "fairlead_channel_event_to_first_call_us_sum"), 29000, 35000);
    fl_bed_kill(&bed, one);
    fl_bed_kill(&bed, two);
    fl_bed_stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_calls_and_attempts),
        cmocka_unit_test(test_transparent_retries_are_told_apart),
        cmocka_unit_test(test_an_attempt_begins_when_it_is_sent),
        cmocka_unit_test(test_retry_delay_is_what_passed),
        cmocka_unit_test(test_methods_are_bounded),
        cmocka_unit_test(test_endpoints_by_state),
        cmocka_unit_test(test_draining_is_seen),
        cmocka_unit_test(test_ends_have_gRPC_s_names),
        cmocka_unit_test(test_time_since_the_event),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
