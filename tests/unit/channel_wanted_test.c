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
        cmocka_unit_test(test_unknown_policy_is_refused),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
