/* Further attempts by policy: retries, throttling, pushback, hedges. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/retry.h"
#include "channel/throttle.h"
#include "support/bed.h"
#include "support/peer.h"

#define RETRY(more)                                                                                \
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":4,\"initialBackoff\":"     \
    "\"0.1s\",\"maxBackoff\":\"0.3s\",\"backoffMultiplier\":2,\"retryableStatusCodes\":"           \
    "[\"UNAVAILABLE\"]}}]" more "}"
#define HEDGE(delay)                                                                               \
    "{\"methodConfig\":[{\"name\":[{}],\"hedgingPolicy\":{\"maxAttempts\":3,\"hedgingDelay\":"     \
    "\"" delay "\",\"nonFatalStatusCodes\":[\"UNAVAILABLE\"]}}]}"

/* --- pure --- */

static void test_backoff(void **state) {
    FL_UNUSED(state);
    static const struct fl_retry_policy policy = {
        .backoff_ms_min = 100, .backoff_ms_max = 350, .multiplier = 2};
    static const uint32_t expected[] = {100, 200, 350, 350};
    struct fl_random random = {1};
    uint32_t least = UINT32_MAX, most = 0;
    for (int i = 0; i < 1000; i++) {
        for (unsigned n = 1; n <= 4; n++) {
            uint32_t ms = fl_retry_delay_ms(&policy, n, &random);
            assert_true(ms >= expected[n - 1] * 8 / 10 && ms <= expected[n - 1] * 12 / 10);
            if (n == 1) least = FL_MIN(least, ms);
            if (n == 1) most = FL_MAX(most, ms);
        }
    }
    assert_true(least < 85 && most > 115);
    static const struct fl_retry_policy steep = {
        .backoff_ms_min = UINT32_MAX, .backoff_ms_max = UINT32_MAX, .multiplier = 1e300};
    assert_true(fl_retry_delay_ms(&steep, 5, &random) > 0);
}

static void test_pushback(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *text;
        int kind;
        uint32_t ms;
    } rows[] = {{NULL, FL_PUSHBACK_NONE, 0},        {"0", FL_PUSHBACK_WAIT, 0},
                {"1500", FL_PUSHBACK_WAIT, 1500},   {"-1", FL_PUSHBACK_STOP, 0},
                {"", FL_PUSHBACK_STOP, 0},          {"soon", FL_PUSHBACK_STOP, 0},
                {"2147483648", FL_PUSHBACK_STOP, 0}};
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_pushback pushback = fl_pushback_parse(fl_str_of(rows[i].text));
        assert_int_equal(pushback.kind, rows[i].kind);
        if (rows[i].kind == FL_PUSHBACK_WAIT) assert_int_equal(pushback.ms, rows[i].ms);
    }
}

static void test_throttle(void **state) {
    FL_UNUSED(state);
    struct fl_throttle none = {0}, throttle;
    for (int i = 0; i < 10; i++) assert_true(fl_throttle_failed(&none));
    fl_throttle_init(&throttle, 10, 0.5);
    for (int i = 0; i < 4; i++) assert_true(fl_throttle_failed(&throttle));
    assert_false(fl_throttle_is_low(&throttle));
    assert_false(fl_throttle_failed(&throttle)); /* five are left */
    assert_true(fl_throttle_is_low(&throttle));
    fl_throttle_succeeded(&throttle);
    assert_false(fl_throttle_is_low(&throttle));
    for (int i = 0; i < 100; i++) fl_throttle_succeeded(&throttle);
    assert_int_equal(throttle.tokens, 10000);
    for (int i = 0; i < 100; i++) fl_throttle_failed(&throttle);
    assert_int_equal(throttle.tokens, 0);
}

/* --- a server that fails as each test says --- */

struct script {
    const char *statuses[8]; /* of each request in turn; NULL: no answer */
    const char *pushback;    /* of every failure */
    unsigned requests, resets;
    uint64_t at_ms[8];
    char previous[8][8]; /* grpc-previous-rpc-attempts */
};

static struct script script;

static void on_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                     uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    if (h2_code == 8) script.resets++;
}

static const struct fl_http_stream_events stream_events = {.on_close = on_close};

static void answer_failure(struct fl_http_stream *stream, const char *status) {
    struct fl_http_header list[3] = {{FL_STR("content-type"), FL_STR("application/grpc")},
                                     {FL_STR("grpc-status"), fl_str_of(status)},
                                     {FL_STR("grpc-retry-pushback-ms"), FL_STR_NONE}};
    list[2].value = fl_str_of(script.pushback);
    struct fl_http_response head = {200, {list, script.pushback ? 3 : 2}};
    assert_int_equal(fl_http_stream_respond(stream, &head, true), 0);
}

static void on_request(struct fl_peer *peer, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    unsigned n = script.requests++;
    assert_true(n < FL_COUNT(script.statuses));
    fl_http_stream_attach(stream, &stream_events, NULL);
    script.at_ms[n] = fl_io_now_ms(peer->io);
    fl_str_copy(script.previous[n], sizeof(script.previous[n]),
                fl_http_header_get(head->headers, FL_STR("grpc-previous-rpc-attempts")));
    const char *status = script.statuses[n];
    if (!status) return;
    if (strcmp(status, "0") == 0)
        fl_peer_answer(stream, 200, "application/grpc", "\0\0\0\0\4\12\2hi", 9, "0");
    else
        answer_failure(stream, status);
}

static struct fl_peer peer;

static void start(struct fl_bed *bed, const char *config) {
    fl_bed_start(bed, NULL);
    fl_peer_start(&peer, bed->io, "10.0.0.1", FL_BED_PORT, FL_PEER_HTTP);
    peer.on_request = on_request;
    fl_bed_open(bed, &(struct fl_channel_options){.service_config = config});
    fl_bed_publish(bed, 1);
    fl_world_run_ms(bed->world, 100);
}

static void stop(struct fl_bed *bed) {
    fl_peer_stop(&peer);
    fl_bed_stop(bed);
}

static uint64_t gap(unsigned n) { return script.at_ms[n] - script.at_ms[n - 1]; }

/* --- retry --- */

static void test_retried_until_it_succeeds(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "14", "14", "0"}};
    start(&bed, RETRY(""));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(script.requests, 4);
    assert_int_equal(call.retries, 0); /* none of them unseen */
    assert_string_equal(script.previous[0], "");
    assert_string_equal(script.previous[3], "3");
    assert_true(gap(1) >= 80 && gap(1) <= 125);
    assert_true(gap(2) >= 160 && gap(2) <= 245);
    assert_true(gap(3) >= 240 && gap(3) <= 365);
    stop(&bed);
}

static void test_not_more_often_than_allowed(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "14", "14", "14", "0"}};
    start(&bed, RETRY(""));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(script.requests, 4);
    stop(&bed);
}

static void test_other_codes_are_final(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"13", "0"}};
    start(&bed, RETRY(""));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_INTERNAL);
    assert_int_equal(script.requests, 1);
    stop(&bed);
}

static void answer_then_fail(struct fl_peer *p, struct fl_http_stream *stream,
                             const struct fl_http_request *head) {
    FL_UNUSED(p);
    FL_UNUSED(head);
    script.requests++;
    fl_peer_answer(stream, 200, "application/grpc", "\0\0\0\0\4\12\2hi", 9, "14");
}

/* Once the server has begun to answer, the call is bound to it. */
static void test_answer_commits(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.requests = 0};
    start(&bed, RETRY(""));
    peer.on_request = answer_then_fail;
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(script.requests, 1);
    stop(&bed);
}

/* A broken connection and no endpoint at all are UNAVAILABLE like any other. */
static void test_retried_over_a_killed_server(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    fl_bed_start(&bed, NULL);
    struct fl_echo *slow = fl_bed_echo(&bed, 1, 1000);
    fl_bed_open(&bed, &(struct fl_channel_options){.service_config = RETRY("")});
    fl_bed_publish(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    fl_bed_call(&bed, &call, NULL);
    fl_world_run_ms(bed.world, 50);
    fl_bed_kill(&bed, slow);
    fl_world_run_ms(bed.world, 20);
    assert_int_equal(call.ended, 0);
    struct fl_hand_endpoint other = {.address = "10.0.0.2", .port = FL_BED_PORT};
    struct fl_echo *echo = fl_bed_echo(&bed, 2, 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, &other, 1);
    fl_world_run_ms(bed.world, 3000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_string_equal(call.peer, "10.0.0.2:50051");
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_pushback_is_obeyed(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "14", "0"}, .pushback = "1000"};
    start(&bed, RETRY(""));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_true(gap(1) >= 1000 && gap(1) < 1020);
    assert_true(gap(2) >= 1000 && gap(2) < 1020);
    stop(&bed);
    script = (struct script){.statuses = {"14", "0"}, .pushback = "-1"};
    start(&bed, RETRY(""));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(script.requests, 1);
    stop(&bed);
}

static void test_throttling_stops_retries(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "14", "14", "0", "14", "0"}};
    start(&bed, RETRY(",\"retryThrottling\":{\"maxTokens\":4,\"tokenRatio\":1}"));
    fl_bed_call_now(&bed, &call, 5000); /* 3 left, then 2: not above the half */
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(script.requests, 2);
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(script.requests, 3);
    fl_bed_call_now(&bed, &call, 5000); /* succeeds: 2 again */
    assert_int_equal(call.status, FL_STATUS_OK);
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(script.requests, 5);
    stop(&bed);
}

static void test_deadline_cancel_and_close_between_attempts(void **state) {
    FL_UNUSED(state);
    for (int how = 0; how < 3; how++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        script = (struct script){.statuses = {"14", "0"}, .pushback = "3000"};
        start(&bed, RETRY(""));
        fl_bed_call(&bed, &call, &(struct fl_call_options){.timeout_ms = how == 0 ? 1000 : 0});
        fl_world_run_ms(bed.world, 500);
        assert_int_equal(script.requests, 1);
        if (how == 0) fl_world_run_ms(bed.world, 600);
        if (how == 1) fl_call_cancel(call.call);
        if (how == 2) fl_bed_close(&bed);
        fl_world_run_ms(bed.world, 10);
        assert_int_equal(call.ended, 1);
        assert_int_equal(call.status, how == 0 ? FL_STATUS_DEADLINE_EXCEEDED : FL_STATUS_CANCELLED);
        if (how == 0) assert_non_null(strstr(call.message, "10.0.0.1:50051"));
        fl_world_run_ms(bed.world, 5000);
        assert_int_equal(script.requests, 1);
        stop(&bed);
    }
}

/* --- hedging --- */

static void test_hedges_come_by_and_by(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {NULL, NULL, "0"}};
    start(&bed, HEDGE("0.5s"));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(script.requests, 3);
    assert_int_equal(gap(1), 500);
    assert_int_equal(gap(2), 500);
    assert_string_equal(script.previous[2], "2");
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(script.resets, 2); /* the others are not wanted any more */
    stop(&bed);
}

static void test_hedges_all_at_once(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {NULL, "0", NULL}};
    start(&bed, HEDGE("0s"));
    fl_bed_call_now(&bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    fl_world_run_ms(bed.world, 100);
    assert_true(script.requests >= 2);
    stop(&bed);
}

/* A code that does not end the call starts the next attempt at once. */
static void test_failed_hedge_starts_the_next(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "14", "0"}};
    start(&bed, HEDGE("60s"));
    fl_bed_call_now(&bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(script.requests, 3);
    stop(&bed);
    script = (struct script){.statuses = {"14", "14", "14", "0"}};
    start(&bed, HEDGE("60s"));
    fl_bed_call_now(&bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(script.requests, 3);
    stop(&bed);
}

static void test_fatal_code_ends_all_hedges(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {NULL, "3", "0"}};
    start(&bed, HEDGE("0.1s"));
    fl_bed_call_now(&bed, &call, 1000);
    assert_int_equal(call.status, FL_STATUS_INVALID_ARGUMENT);
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(script.requests, 2);
    assert_int_equal(script.resets, 1);
    stop(&bed);
}

static void test_hedges_obey_pushback(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    script = (struct script){.statuses = {"14", "0"}, .pushback = "700"};
    start(&bed, HEDGE("0.1s"));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_true(gap(1) >= 700 && gap(1) < 720);
    stop(&bed);
    script = (struct script){.statuses = {"14", "0"}, .pushback = "-1"};
    start(&bed, HEDGE("0.1s"));
    fl_bed_call_now(&bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    fl_world_run_ms(bed.world, 1000);
    assert_int_equal(script.requests, 1);
    stop(&bed);
}

/* Whatever is under way when the end comes, it comes once and everything is given back. */
static void test_hedged_call_ends_at_every_step(void **state) {
    FL_UNUSED(state);
    for (int steps = 0; steps < 120; steps++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        script = (struct script){.statuses = {NULL, "14", NULL}};
        start(&bed, HEDGE("0.001s"));
        fl_bed_call(&bed, &call, NULL);
        for (int i = 0; i < steps / 2; i++) fl_world_step(bed.world);
        if (steps % 2 && !call.ended) fl_call_cancel(call.call);
        fl_bed_close(&bed);
        assert_int_equal(call.ended, 1);
        assert_int_equal(call.status, FL_STATUS_CANCELLED);
        stop(&bed);
    }
}

static void count_end(void *arg, const struct fl_call_result *result) {
    FL_UNUSED(result);
    ++*(unsigned *)arg;
}

static void test_hedging_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    script = (struct script){.statuses = {NULL}};
    start(&bed, HEDGE("0.01s"));
    FL_TEST_EACH_FAILURE(n) {
        unsigned ended = 0;
        struct fl_call_options options = {.timeout_ms = 100};
        script.requests = 0;
        int rc = fl_call_unary(bed.channel, FL_BED_METHOD, "", 0, &options, count_end, &ended, NULL,
                               NULL);
        fl_world_run_ms(bed.world, 20);
        fl_test_alloc_fail_at(0);
        fl_world_run_ms(bed.world, 3000);
        assert_int_equal(ended, rc == 0);
    }
    stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_pushback),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_retried_until_it_succeeds),
        cmocka_unit_test(test_not_more_often_than_allowed),
        cmocka_unit_test(test_other_codes_are_final),
        cmocka_unit_test(test_answer_commits),
        cmocka_unit_test(test_retried_over_a_killed_server),
        cmocka_unit_test(test_pushback_is_obeyed),
        cmocka_unit_test(test_throttling_stops_retries),
        cmocka_unit_test(test_deadline_cancel_and_close_between_attempts),
        cmocka_unit_test(test_hedges_come_by_and_by),
        cmocka_unit_test(test_hedges_all_at_once),
        cmocka_unit_test(test_failed_hedge_starts_the_next),
        cmocka_unit_test(test_fatal_code_ends_all_hedges),
        cmocka_unit_test(test_hedges_obey_pushback),
        cmocka_unit_test(test_hedged_call_ends_at_every_step),
        cmocka_unit_test(test_hedging_without_memory),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
