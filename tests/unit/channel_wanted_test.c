/* To which endpoints a channel is connected, and where its calls go: on the virtual world. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "support/bed.h"
#include "support/peer.h"

#define PODS 4

struct fixture {
    struct fl_bed bed;
    struct fl_echo *pods[PODS];
};

static void set_up(struct fixture *f, const struct fl_balance_options *balance) {
    fl_bed_start(&f->bed, NULL);
    for (unsigned i = 0; i < PODS; i++) f->pods[i] = fl_bed_echo(&f->bed, i + 1, 0);
    fl_bed_open(&f->bed, &(struct fl_channel_options){.balance = *balance});
    fl_bed_publish(&f->bed, PODS);
    fl_world_run_ms(f->bed.world, 100);
}

static void kill_pod(struct fixture *f, unsigned i) {
    fl_bed_kill(&f->bed, f->pods[i]);
    f->pods[i] = NULL;
    fl_world_run_ms(f->bed.world, 10); /* the client hears of it */
}

static void tear_down(struct fixture *f) {
    for (unsigned i = 0; i < PODS; i++) {
        if (f->pods[i]) kill_pod(f, i);
    }
    fl_bed_stop(&f->bed);
}

static unsigned connected(const struct fixture *f) {
    unsigned count = 0;
    FL_LIST_EACH (&f->bed.channel->loop_data.sub_list, item, next) {
        count += FL_CONTAINER(item, struct fl_subchannel, link)->state == FL_CHANNEL_READY;
    }
    return count;
}

static unsigned pod_of(const char *peer) {
    for (unsigned i = 0; i < PODS; i++) {
        const char *host = fl_bed_host(i + 1);
        if (strncmp(peer, host, strlen(host)) == 0 && peer[strlen(host)] == ':') return i;
    }
    fail();
    return 0;
}

/* The number of the pod that answered. */
static unsigned call(struct fixture *f) {
    struct fl_bed_call call;
    fl_bed_call_now(&f->bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    return pod_of(call.peer);
}

static const struct fl_balance_options pick_first = {.policy = FL_BALANCE_PICK_FIRST};

static void test_pick_first_connects_to_one_and_moves_on(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, &pick_first);
    assert_int_equal(connected(&f), 1);
    for (int i = 0; i < 10; i++) assert_int_equal(call(&f), 0);
    kill_pod(&f, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(call(&f), 1); /* waits for the next, never fails */
    assert_int_equal(connected(&f), 1);
    kill_pod(&f, 1);
    kill_pod(&f, 2);
    for (int i = 0; i < 10; i++) assert_int_equal(call(&f), 3);
    tear_down(&f);
}

static void test_pick_first_is_in_transient_failure_when_all_failed(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call failed;
    set_up(&f, &pick_first);
    for (unsigned i = 0; i < PODS; i++) kill_pod(&f, i);
    fl_world_run_ms(f.bed.world, 1000);
    fl_bed_call_now(&f.bed, &failed, 1000);
    assert_int_equal(failed.status, FL_STATUS_UNAVAILABLE);
    f.pods[2] = fl_bed_echo(&f.bed, 3, 0);
    fl_world_run_ms(f.bed.world, 5000);
    assert_int_equal(call(&f), 2); /* the others' backoff did not keep it from being tried */
    assert_int_equal(connected(&f), 1);
    tear_down(&f);
}

/* C20: a set that keeps the endpoint keeps its connection, whoever else comes or goes. */
static void test_C20_pick_first_keeps_its_endpoint(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_hand_endpoint endpoints[] = {{.address = "10.0.0.3", .port = FL_BED_PORT},
                                           {.address = "10.0.0.1", .port = FL_BED_PORT}};
    fl_bed_start(&f.bed, NULL);
    for (unsigned i = 0; i < PODS; i++) f.pods[i] = fl_bed_echo(&f.bed, i + 1, 0);
    fl_bed_open(&f.bed, &(struct fl_channel_options){.balance = pick_first});
    fl_hand_publish(f.bed.hand, FL_SET_SOME, endpoints, 1);
    assert_int_equal(call(&f), 2);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(call(&f), 2);
    assert_int_equal(connected(&f), 1);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, &endpoints[1], 1);
    fl_world_run_ms(f.bed.world, 1);
    assert_int_equal(call(&f), 0);
    tear_down(&f);
}

static void test_C7_shuffled_clients_meet_different_endpoints(void **state) {
    FL_UNUSED(state);
    unsigned firsts[PODS] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct fixture f;
        fl_bed_start(&f.bed, &(struct fl_world_options){.seed = seed});
        for (unsigned i = 0; i < PODS; i++) f.pods[i] = fl_bed_echo(&f.bed, i + 1, 0);
        fl_bed_open(&f.bed, &(struct fl_channel_options){
                                .balance = {.policy = FL_BALANCE_PICK_FIRST, .shuffle = true}});
        fl_bed_publish(&f.bed, PODS);
        unsigned first = call(&f);
        firsts[first]++;
        assert_int_equal(call(&f), first);
        tear_down(&f);
    }
    for (unsigned i = 0; i < PODS; i++) assert_in_range(firsts[i], 3, 20);
}

/* --- how calls are shared --- */

static unsigned call_as(struct fixture *f, const char *user) {
    struct fl_bed_call call;
    struct fl_metadata metadata = {"user", user, strlen(user)};
    fl_bed_call(&f->bed, &call, &(struct fl_call_options){.metadata = {&metadata, 1}});
    fl_world_run_ms(f->bed.world, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    return pod_of(call.peer);
}

static void same_user_same_pod(enum fl_balance_policy policy) {
    struct fixture f;
    unsigned before[40], seen = 0, moved = 0;
    char user[16];
    set_up(&f, &(struct fl_balance_options){.policy = policy, .hash_header = "user"});
    for (unsigned i = 0; i < FL_COUNT(before); i++) {
        snprintf(user, sizeof(user), "u%u", i);
        before[i] = call_as(&f, user);
        assert_int_equal(call_as(&f, user), before[i]);
        seen |= 1u << before[i];
    }
    assert_int_equal(seen, (1u << PODS) - 1);
    kill_pod(&f, 2);
    for (unsigned i = 0; i < FL_COUNT(before); i++) {
        snprintf(user, sizeof(user), "u%u", i);
        moved += before[i] != 2 && call_as(&f, user) != before[i];
    }
    assert_true(moved <= (policy == FL_BALANCE_RENDEZVOUS ? 0 : FL_COUNT(before) / 2));
    tear_down(&f);
}

static void test_same_header_same_pod(void **state) {
    FL_UNUSED(state);
    same_user_same_pod(FL_BALANCE_RING_HASH);
    same_user_same_pod(FL_BALANCE_RENDEZVOUS);
}

static void test_least_request_avoids_the_slow_one(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call calls[400];
    unsigned slow = 0;
    fl_bed_start(&f.bed, NULL);
    for (unsigned i = 0; i < PODS; i++) f.pods[i] = fl_bed_echo(&f.bed, i + 1, i == 0 ? 200 : 2);
    fl_bed_open(&f.bed,
                &(struct fl_channel_options){.balance = {.policy = FL_BALANCE_LEAST_REQUEST}});
    fl_bed_publish(&f.bed, PODS);
    fl_world_run_ms(f.bed.world, 100);
    for (size_t i = 0; i < FL_COUNT(calls); i++) {
        fl_bed_call(&f.bed, &calls[i], NULL);
        fl_world_run_ms(f.bed.world, 1);
    }
    fl_world_run_ms(f.bed.world, 1000);
    for (size_t i = 0; i < FL_COUNT(calls); i++) {
        assert_int_equal(calls[i].status, FL_STATUS_OK);
        slow += pod_of(calls[i].peer) == 0;
    }
    assert_in_range(slow, 1, 40); /* a quarter, if nobody looked */
    FL_LIST_EACH (&f.bed.channel->loop_data.sub_list, item, next) {
        assert_int_equal(FL_CONTAINER(item, struct fl_subchannel, link)->pick.active, 0);
    }
    tear_down(&f);
}

static uint32_t weight_by_address(void *arg, const struct fl_endpoint *endpoint) {
    FL_UNUSED(arg);
    return strcmp(endpoint->address, fl_bed_host(1)) == 0 ? 300 : 0;
}

static void test_weights_share_the_calls(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    unsigned calls[PODS] = {0};
    set_up(&f, &(struct fl_balance_options){.weight = weight_by_address});
    for (int i = 0; i < 600; i++) calls[call(&f)]++;
    assert_in_range(calls[0], 298, 302); /* 3 of 6 */
    for (unsigned i = 1; i < PODS; i++) assert_in_range(calls[i], 98, 102);
    tear_down(&f);
}

/* --- near and far --- */

static const char *two_zones(const char *address) {
    return strcmp(address, fl_bed_host(1)) == 0 || strcmp(address, fl_bed_host(2)) == 0 ? "a" : "b";
}

static void set_up_zones(struct fixture *f, const struct fl_balance_options *balance) {
    fl_bed_start(&f->bed, NULL);
    fl_hand_zones(f->bed.hand, two_zones);
    for (unsigned i = 0; i < PODS; i++) f->pods[i] = fl_bed_echo(&f->bed, i + 1, 0);
    fl_bed_open(&f->bed, &(struct fl_channel_options){.balance = *balance});
    fl_bed_publish(&f->bed, PODS);
    fl_world_run_ms(f->bed.world, 100);
}

static void calls_stay_below(struct fixture *f, unsigned first, unsigned end) {
    for (int i = 0; i < 50; i++) {
        unsigned pod = call(f);
        assert_true(pod >= first && pod < end);
    }
}

static void test_near_ones_take_the_calls_until_too_few_are_left(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up_zones(&f, &(struct fl_balance_options){.zone_preference = true, .zone = "a"});
    assert_int_equal(connected(&f), 2);
    calls_stay_below(&f, 0, 2);
    kill_pod(&f, 0); /* one of two is still half of the fair share */
    assert_int_equal(connected(&f), 1);
    calls_stay_below(&f, 1, 2);
    kill_pod(&f, 1);
    fl_world_run_ms(f.bed.world, 100);
    calls_stay_below(&f, 2, 4);
    f.pods[0] = fl_bed_echo(&f.bed, 1, 0);
    fl_world_run_ms(f.bed.world, 10000); /* its backoff */
    calls_stay_below(&f, 0, 1);
    assert_int_equal(connected(&f), 1); /* the far ones rest again */
    tear_down(&f);
}

static void test_zone_comes_from_the_environment(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    fl_bed_start(&f.bed, NULL);
    assert_int_equal(fl_world_env(f.bed.world, "FL_ZONE", "b"), 0);
    fl_hand_zones(f.bed.hand, two_zones);
    for (unsigned i = 0; i < PODS; i++) f.pods[i] = fl_bed_echo(&f.bed, i + 1, 0);
    fl_bed_open(&f.bed, &(struct fl_channel_options){.balance = {.zone_preference = true}});
    fl_bed_publish(&f.bed, PODS);
    fl_world_run_ms(f.bed.world, 100);
    calls_stay_below(&f, 2, 4);
    tear_down(&f);
}

/* --- subset --- */

static void test_subset_connects_to_a_few_and_replaces_the_dead(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, &(struct fl_balance_options){.subset = 2});
    assert_int_equal(connected(&f), 2);
    unsigned first = call(&f), second = call(&f);
    assert_int_not_equal(first, second);
    kill_pod(&f, first);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(connected(&f), 2);
    for (int i = 0; i < 10; i++) assert_int_not_equal(call(&f), first);
    f.pods[first] = fl_bed_echo(&f.bed, first + 1, 0);
    fl_world_run_ms(f.bed.world, 10000);
    assert_int_equal(connected(&f), 2);
    for (int i = 0; i < 10; i++) {
        unsigned pod = call(&f);
        assert_true(pod == first || pod == second); /* as it was */
    }
    tear_down(&f);
}

/* --- slow start --- */

static unsigned calls_of(struct fixture *f, unsigned pod, unsigned count) {
    unsigned calls = 0;
    for (unsigned i = 0; i < count; i++) calls += call(f) == pod;
    return calls;
}

static void slow_start(enum fl_balance_policy policy) {
    struct fixture f;
    fl_bed_start(&f.bed, NULL);
    for (unsigned i = 0; i < PODS; i++) f.pods[i] = fl_bed_echo(&f.bed, i + 1, 0);
    fl_bed_open(&f.bed, &(struct fl_channel_options){
                            .balance = {.policy = policy, .slow_start_ms = 100000}});
    fl_bed_publish(&f.bed, PODS - 1);
    fl_world_run_ms(f.bed.world, 101000);
    fl_bed_publish(&f.bed, PODS);
    fl_world_run_ms(f.bed.world, 100);
    assert_in_range(calls_of(&f, PODS - 1, 400), 1,
                    30); /* a tenth of a quarter, and a little more */
    fl_world_run_ms(f.bed.world, 50000);
    if (policy == FL_BALANCE_ROUND_ROBIN)
        assert_in_range(calls_of(&f, PODS - 1, 400), 45, 75); /* 1 : 2 */
    fl_world_run_ms(f.bed.world, 50000);
    assert_in_range(calls_of(&f, PODS - 1, 400), 75, 125);
    kill_pod(&f, 0);
    f.pods[0] = fl_bed_echo(&f.bed, 1, 0); /* restarted: as cold as a new one */
    fl_world_run_ms(f.bed.world, 10000);
    assert_in_range(calls_of(&f, 0, 400), 1, 40);
    tear_down(&f);
}

static void test_C7_a_restarted_server_is_met_by_few_calls(void **state) {
    FL_UNUSED(state);
    slow_start(FL_BALANCE_ROUND_ROBIN);
    slow_start(FL_BALANCE_LEAST_REQUEST);
}

static void test_C6_without_slow_start_a_new_one_has_its_turn_at_once(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    unsigned picked = 0;
    set_up(&f, &(struct fl_balance_options){.policy = FL_BALANCE_ROUND_ROBIN});
    fl_bed_publish(&f.bed, PODS - 1);
    fl_world_run_ms(f.bed.world, 100);
    fl_bed_publish(&f.bed, PODS);
    fl_world_run_ms(f.bed.world, 100);
    for (int i = 0; i < PODS; i++) picked += call(&f) == PODS - 1;
    assert_int_equal(picked, 1);
    tear_down(&f);
}

/* C4: nobody asks; what comes is used. */
static void test_C4_scale_up_is_used_at_the_next_calls(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    bool seen[PODS] = {false};
    set_up(&f, &(struct fl_balance_options){.policy = FL_BALANCE_LEAST_REQUEST});
    fl_bed_publish(&f.bed, 1);
    fl_world_run_ms(f.bed.world, 100);
    for (int i = 0; i < 10; i++) assert_int_equal(call(&f), 0);
    fl_bed_publish(&f.bed, PODS);
    fl_world_run_ms(f.bed.world, 100);
    for (int i = 0; i < 100; i++) seen[call(&f)] = true;
    for (unsigned i = 0; i < PODS; i++) assert_true(seen[i]);
    tear_down(&f);
}

/* --- ejection --- */

static int64_t metric(const struct fixture *f, enum fl_metric_kind kind, const char *name,
                      const char *labels) {
    return fl_metric_value(fl_metrics_get(f->bed.io->metrics, kind, name, "", labels));
}

/* Calls of 20 ms, of which those to slow pods fail; then the inspection. */
static void fail_calls_to_the_slow(struct fixture *f) {
    struct fl_bed_call calls[80];
    for (size_t i = 0; i < FL_COUNT(calls); i++)
        fl_bed_call(&f->bed, &calls[i], &(struct fl_call_options){.timeout_ms = 20});
    fl_world_run_ms(f->bed.world, 1500);
    for (size_t i = 0; i < FL_COUNT(calls); i++) assert_int_equal(calls[i].ended, 1);
}

static const struct fl_balance_options ejecting = {
    .outlier = {.interval_ms = 1000,
                .max_ejection_percent = 100,
                .failure_percentage = {.on = true, .hosts_min = 3, .requests_min = 10}},
};

static void set_up_slow(struct fixture *f, unsigned slow) {
    fl_bed_start(&f->bed, NULL);
    for (unsigned i = 0; i < PODS; i++)
        f->pods[i] = fl_bed_echo(&f->bed, i + 1, i < slow ? 100 : 0);
    fl_bed_open(&f->bed, &(struct fl_channel_options){.balance = ejecting});
    fl_bed_publish(&f->bed, PODS);
    fl_world_run_ms(f->bed.world, 100);
}

#define ENFORCED "grpc_lb_outlier_detection_ejections_enforced_total"

static void test_outlier_gets_no_calls_until_it_is_let_back(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up_slow(&f, 1);
    fail_calls_to_the_slow(&f);
    assert_int_equal(metric(&f, FL_METRIC_COUNTER, ENFORCED, "detection_method=failure_percentage"),
                     1);
    assert_int_equal(metric(&f, FL_METRIC_GAUGE, "fairlead_channel_panic", ""), 0);
    for (int i = 0; i < 40; i++) assert_int_not_equal(call(&f), 0);
    assert_int_equal(connected(&f), PODS); /* its connection is kept */
    fl_world_run_ms(f.bed.world, 32000);
    assert_in_range(calls_of(&f, 0, 40), 8, 12);
    tear_down(&f);
}

static void test_panic_is_visible_and_ends(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up_slow(&f, 3);
    fail_calls_to_the_slow(&f);
    assert_int_equal(metric(&f, FL_METRIC_COUNTER, ENFORCED, "detection_method=failure_percentage"),
                     3);
    assert_int_equal(metric(&f, FL_METRIC_GAUGE, "fairlead_channel_panic", ""), 1);
    assert_true(f.bed.channel->loop_data.ejection.panic);
    assert_int_equal(calls_of(&f, 0, 40), 10); /* one of four would be too few */
    fl_world_run_ms(f.bed.world, 32000);
    assert_int_equal(metric(&f, FL_METRIC_GAUGE, "fairlead_channel_panic", ""), 0);
    tear_down(&f);
}

/* The only endpoints that were not ejected leave. */
static void test_panic_when_only_ejected_ones_are_left(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_hand_endpoint left = {.address = "10.0.0.1", .port = FL_BED_PORT};
    set_up_slow(&f, 1);
    fail_calls_to_the_slow(&f);
    assert_int_not_equal(call(&f), 0);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, &left, 1);
    fl_world_run_ms(f.bed.world, 1);
    assert_int_equal(call(&f), 0);
    assert_int_equal(metric(&f, FL_METRIC_GAUGE, "fairlead_channel_panic", ""), 1);
    fl_bed_close(&f.bed);
    assert_int_equal(metric(&f, FL_METRIC_GAUGE, "fairlead_channel_panic", ""), 0);
    tear_down(&f);
}

/* What the caller cancels and what no server processed says nothing about an endpoint. */
static void test_cancelled_calls_are_not_counted(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call calls[80];
    set_up_slow(&f, 1);
    for (size_t i = 0; i < FL_COUNT(calls); i++) fl_bed_call(&f.bed, &calls[i], NULL);
    fl_world_run_ms(f.bed.world, 20);
    for (size_t i = 0; i < FL_COUNT(calls); i++) {
        if (!calls[i].ended) fl_call_cancel(calls[i].call);
    }
    fl_world_run_ms(f.bed.world, 1500);
    assert_int_equal(metric(&f, FL_METRIC_COUNTER, ENFORCED, "detection_method=failure_percentage"),
                     0);
    tear_down(&f);
}

static void test_unknown_policy_is_refused(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_error err;
    struct fl_channel_options options = {.balance = {.policy = (enum fl_balance_policy)77}};
    fl_bed_start(&bed, NULL);
    int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &bed.channel, &err);
    assert_int_equal(rc, FL_EUSAGE);
    assert_non_null(strstr(err.detail, "77"));
    fl_bed_stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pick_first_connects_to_one_and_moves_on),
        cmocka_unit_test(test_pick_first_is_in_transient_failure_when_all_failed),
        cmocka_unit_test(test_C20_pick_first_keeps_its_endpoint),
        cmocka_unit_test(test_C7_shuffled_clients_meet_different_endpoints),
        cmocka_unit_test(test_same_header_same_pod),
        cmocka_unit_test(test_least_request_avoids_the_slow_one),
        cmocka_unit_test(test_weights_share_the_calls),
        cmocka_unit_test(test_near_ones_take_the_calls_until_too_few_are_left),
        cmocka_unit_test(test_zone_comes_from_the_environment),
        cmocka_unit_test(test_subset_connects_to_a_few_and_replaces_the_dead),
        cmocka_unit_test(test_C7_a_restarted_server_is_met_by_few_calls),
        cmocka_unit_test(test_C6_without_slow_start_a_new_one_has_its_turn_at_once),
        cmocka_unit_test(test_C4_scale_up_is_used_at_the_next_calls),
        cmocka_unit_test(test_outlier_gets_no_calls_until_it_is_let_back),
        cmocka_unit_test(test_panic_is_visible_and_ends),
        cmocka_unit_test(test_panic_when_only_ejected_ones_are_left),
        cmocka_unit_test(test_cancelled_calls_are_not_counted),
        cmocka_unit_test(test_unknown_policy_is_refused),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
