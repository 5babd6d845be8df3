/* To which endpoints a channel is connected, and where its calls go: on the virtual world. */
#include "support/alloc.h"

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

/* The number of the pod that answered. */
static unsigned call(struct fixture *f) {
    struct fl_bed_call call;
    fl_bed_call_now(&f->bed, &call, 5000);
    assert_int_equal(call.status, FL_STATUS_OK);
    for (unsigned i = 0; i < PODS; i++) {
        if (strncmp(call.peer, fl_bed_host(i + 1), strlen(fl_bed_host(i + 1))) == 0) return i;
    }
    fail();
    return 0;
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
        cmocka_unit_test(test_unknown_policy_is_refused),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
