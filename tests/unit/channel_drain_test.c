/* channel_drain_test.c - what happens to calls and connections when endpoints leave: on the virtual
 * world. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "support/bed.h"
#include "support/peer.h"

static int64_t disconnects(const struct fl_bed *bed, const char *labels) {
    return fl_metric_value(fl_metrics_get(bed->io->metrics, FL_METRIC_COUNTER,
                                          "fairlead_channel_disconnects_total", "", labels));
}

static void publish_one(struct fl_bed *bed, unsigned number) {
    struct fl_hand_endpoint endpoint = {fl_bed_host(number), FL_BED_PORT, FL_BED_READY, 0, NULL};
    fl_hand_publish(bed->hand, FL_SET_SOME, &endpoint, 1);
}

/* --- one endpoint --- */

static void test_C21_idle_connection_of_a_removed_endpoint_closes(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_peer peer;
    fl_bed_start_peer(&bed, &peer, NULL);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(peer.open, 1);
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(peer.open, 0);
    assert_int_equal(disconnects(&bed, "cause=drained_idle"), 1);
    fl_bed_stop_peer(&bed, &peer);
}

static void test_calls_on_a_removed_endpoint(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call quick, timed, endless, after;
    fl_bed_start(&bed, NULL);
    struct fl_echo *leaving = fl_bed_echo(&bed, 1, 8000), *staying = fl_bed_echo(&bed, 2, 0);
    fl_bed_open(&bed, &(struct fl_channel_options){.drain_ms = 5000});
    publish_one(&bed, 1);
    fl_bed_call(&bed, &quick, &(struct fl_call_options){.timeout_ms = 2000});
    fl_bed_call(&bed, &timed, &(struct fl_call_options){.timeout_ms = 20000});
    fl_bed_call(&bed, &endless, NULL);
    fl_world_run_ms(bed.world, 100);
    publish_one(&bed, 2);
    fl_world_run_ms(bed.world, 100);
    fl_bed_call_now(&bed, &after, 100);
    assert_string_equal(after.peer, "10.0.0.2:50051");
    fl_world_run_ms(bed.world, 4700); /* 4.9 s after */
    assert_int_equal(quick.status, FL_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(timed.ended + endless.ended, 0);
    fl_world_run_ms(bed.world, 200); /* 5.1 s after */
    assert_int_equal(endless.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(endless.why, FL_ESHUTDOWN);
    assert_non_null(strstr(endless.message, "10.0.0.1:50051"));
    assert_int_equal(timed.ended, 0);
    fl_world_run_ms(bed.world, 4000);
    assert_int_equal(timed.status, FL_STATUS_OK); /* answered after 8 s, within its own deadline */
    assert_int_equal(disconnects(&bed, "cause=drain_deadline"), 1);
    fl_bed_kill(&bed, leaving);
    fl_bed_kill(&bed, staying);
    fl_bed_stop(&bed);
}

static void test_C9_terminating_endpoint_finishes_its_calls(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call running, after;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, NULL}};
    fl_bed_start(&bed, NULL);
    struct fl_echo *leaving = fl_bed_echo(&bed, 1, 1000), *staying = fl_bed_echo(&bed, 2, 1000);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 1);
    fl_bed_call(&bed, &running, NULL);
    fl_world_run_ms(bed.world, 100);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 10);
    endpoints[0].flags = FL_BED_TERMINATING;
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 1);
    for (int i = 0; i < 4; i++) {
        fl_bed_call_now(&bed, &after, 2000);
        assert_string_equal(after.peer, "10.0.0.2:50051");
    }
    assert_int_equal(running.status, FL_STATUS_OK);
    assert_string_equal(running.peer, "10.0.0.1:50051");
    fl_bed_kill(&bed, leaving);
    fl_bed_kill(&bed, staying);
    fl_bed_stop(&bed);
}

/* Back in the set before its old connection has drained: a new connection, at once. */
static void test_endpoint_comes_back_while_it_drains(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call running, after;
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 1000);
    fl_bed_open(&bed, NULL);
    publish_one(&bed, 1);
    fl_bed_call(&bed, &running, NULL);
    fl_world_run_ms(bed.world, 100);
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 100);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 10);
    fl_bed_call_now(&bed, &after, 2000);
    assert_int_equal(after.status, FL_STATUS_OK);
    assert_int_equal(running.status, FL_STATUS_OK);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

/* The clock starts when it is gone from all slices: as long as it is shown, terminating or not
 * ready, what it was given before runs on. */
static void test_C9_clock_starts_when_it_is_gone(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call endless;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, NULL}};
    fl_bed_start(&bed, NULL);
    struct fl_echo *leaving = fl_bed_echo(&bed, 1, 60000), *staying = fl_bed_echo(&bed, 2, 0);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 1);
    fl_bed_call(&bed, &endless, NULL);
    fl_world_run_ms(bed.world, 100);
    endpoints[0].flags = FL_BED_TERMINATING;
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 10000);
    endpoints[0].flags = FL_ENDPOINT_TERMINATING; /* nor serving any more */
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 10000);
    assert_int_equal(endless.ended, 0);
    assert_int_equal(disconnects(&bed, "cause=drain_deadline"), 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints + 1, 1);
    fl_world_run_ms(bed.world, 4900);
    assert_int_equal(endless.ended, 0);
    fl_world_run_ms(bed.world, 200);
    assert_int_equal(endless.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(disconnects(&bed, "cause=drain_deadline"), 1);
    fl_bed_kill(&bed, leaving);
    fl_bed_kill(&bed, staying);
    fl_bed_stop(&bed);
}

/* A terminating endpoint is called while no ready one is left, and no more from the next pick on
 * when there is one. */
static void test_C9_terminating_is_better_than_none(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_TERMINATING, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, 0, 2, NULL}};
    fl_bed_start(&bed, NULL);
    struct fl_echo *one = fl_bed_echo(&bed, 1, 0), *two = fl_bed_echo(&bed, 2, 0);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 1);
    fl_world_run_ms(bed.world, 10);
    fl_bed_call_now(&bed, &call, 100);
    assert_string_equal(call.peer, "10.0.0.1:50051");
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    for (int i = 0; i < 4; i++) {
        fl_world_run_ms(bed.world, 10);
        fl_bed_call_now(&bed, &call, 100);
        assert_string_equal(call.peer, "10.0.0.2:50051");
    }
    fl_bed_kill(&bed, one);
    fl_bed_kill(&bed, two);
    fl_bed_stop(&bed);
}

/* Channels that come and go, one for each call, leave nothing open. */
static void test_C22_channels_per_call_leave_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_peer peer;
    struct fl_bed_call call;
    fl_bed_start_peer(&bed, &peer, NULL);
    peer.on_request = fl_peer_answer_echo;
    publish_one(&bed, 1);
    for (unsigned i = 0; i < 100; i++) {
        fl_bed_open(&bed, NULL);
        if (i % 3 < 2) fl_bed_call(&bed, &call, NULL);
        if (i % 3 == 0) fl_world_run_ms(bed.world, 100);
        bed.applied = 0;
        fl_bed_close(&bed);
        assert_int_equal(peer.open, 0);
        assert_int_equal(call.ended, 1);
    }
    fl_bed_stop_peer(&bed, &peer);
}

/* --- sets are applied whole --- */

static unsigned sub_count(const struct fl_bed *bed) {
    unsigned count = 0;
    FL_LIST_EACH (&bed->channel->loop_data.sub_list, item, next) count++;
    return count;
}

/* Two sets that have nothing in common come while memory is short, one after the other: neither
 * is empty at any moment, and nothing is left of one that was not applied. */
static void apply_without(struct fl_bed *bed, size_t n, bool *done) {
    struct fl_bed_call call;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, NULL},
                                           {"10.0.0.3", FL_BED_PORT, FL_BED_READY, 3, NULL}};
    fl_hand_publish(bed->hand, FL_SET_SOME, endpoints, 1);
    fl_world_run_ms(bed->world, 600);
    endpoints[0].flags = FL_BED_TERMINATING;
    endpoints[0].uid = 9; /* and another identity */
    fl_hand_publish(bed->hand, FL_SET_SOME, endpoints, 2);
    fl_test_alloc_fail_at(n);
    fl_world_run_ms(bed->world, 1);
    *done = !fl_test_alloc_did_fail();
    fl_test_alloc_fail_at(0);
    fl_bed_call_now(bed, &call, 100);
    /* Connecting may have failed for want of memory; that there is nobody is not true. */
    assert_int_not_equal(call.why, FL_EEMPTY);
    fl_hand_publish(bed->hand, FL_SET_SOME, endpoints + 2, 1);
    fl_world_run_ms(bed->world, 2000);
    fl_bed_call_now(bed, &call, 100);
    assert_string_equal(call.peer, "10.0.0.3:50051");
    assert_int_equal(sub_count(bed), 1);
}

static void test_no_pick_sees_a_half_made_set(void **state) {
    FL_UNUSED(state);
    bool done = false;
    size_t n = 1;
    for (; !done; n++) {
        struct fl_bed bed;
        struct fl_echo *echoes[3];
        fl_bed_start(&bed, NULL);
        for (unsigned i = 0; i < 3; i++) echoes[i] = fl_bed_echo(&bed, i + 1, 0);
        fl_bed_open(&bed, NULL);
        apply_without(&bed, n, &done);
        for (unsigned i = 0; i < 3; i++) fl_bed_kill(&bed, echoes[i]);
        fl_bed_stop(&bed);
    }
    assert_true(n > 8);
}

/* --- a rolling update under load --- */

#define PODS      10
#define POD_PORT  FL_BED_PORT
#define CALLS_MAX 4000

struct pod {
    struct fl_echo *echo;
    unsigned host; /* 10.0.0.host */
    uint8_t uid;
    unsigned flags; /* 0: not in the set */
};

struct roll {
    struct fl_bed bed;
    struct fl_random random;
    struct pod pods[2 * PODS];
    struct fl_bed_call calls[CALLS_MAX];
    size_t started;
    unsigned picks, exited;
};

struct search {
    const char *peer;
    bool found;
};

static void compare(void *arg, const struct fl_endpoint *endpoint) {
    struct search *search = arg;
    char peer[300];
    snprintf(peer, sizeof(peer), "%s:%u", endpoint->address, endpoint->port);
    search->found |= strcmp(peer, search->peer) == 0;
}

/* The oracle: what was picked stands in the set that it was picked from. */
static void on_pick(void *arg, uint64_t set_version, const char *peer) {
    struct roll *roll = arg;
    const struct fl_set *set = roll->bed.channel->loop_data.applied;
    struct search search = {peer, false};
    assert_int_equal(fl_set_version(set), set_version);
    fl_set_each(set, compare, &search);
    assert_true(search.found);
    roll->picks++;
}

static void publish(struct roll *roll) {
    struct fl_hand_endpoint endpoints[2 * PODS] = {{0}};
    char hosts[2 * PODS][32];
    size_t count = 0;
    for (size_t i = 0; i < 2 * PODS; i++) {
        const struct pod *pod = &roll->pods[i];
        if (!pod->flags) continue;
        snprintf(hosts[count], sizeof(hosts[count]), "%s", fl_bed_host(pod->host));
        endpoints[count] =
            (struct fl_hand_endpoint){hosts[count], POD_PORT, pod->flags, pod->uid, NULL};
        count++;
    }
    fl_hand_publish(roll->bed.hand, FL_SET_SOME, endpoints, count);
}

static void pod_start(struct roll *roll, struct pod *pod, unsigned host, uint8_t uid) {
    *pod = (struct pod){fl_bed_echo(&roll->bed, host, (uint32_t)fl_random_below(&roll->random, 30)),
                        host, uid, 0};
}

static void exited(void *arg) { ((struct roll *)arg)->exited++; }

/* SIGTERM, as a good server takes it. */
static void pod_stop(struct roll *roll, struct pod *pod) {
    fl_echo_drain(pod->echo, fl_io_now_ms(roll->bed.io) + 30000, exited, roll);
    pod->echo = NULL;
}

/* Lets time pass, with calls all the while. */
static void call_for_ms(struct roll *roll, unsigned ms) {
    for (unsigned i = 0; i < ms; i++) {
        if (roll->started < CALLS_MAX) fl_bed_call(&roll->bed, &roll->calls[roll->started++], NULL);
        fl_world_run_ms(roll->bed.world, 1);
    }
}

static unsigned random_ms(struct roll *roll, unsigned below) {
    return (unsigned)fl_random_below(&roll->random, below);
}

/* A pod more, then one less. The pod learns that it must go before or after the slice says so. */
static void replace(struct roll *roll, size_t old, size_t new, unsigned host) {
    struct pod *leaving = &roll->pods[old], *coming = &roll->pods[new];
    pod_start(roll, coming, host, (uint8_t)(new + 1));
    call_for_ms(roll, random_ms(roll, 10));
    coming->flags = FL_BED_READY;
    publish(roll);
    call_for_ms(roll, 1 + random_ms(roll, 20));
    bool slice_first = random_ms(roll, 2);
    if (!slice_first) pod_stop(roll, leaving);
    call_for_ms(roll, random_ms(roll, 5));
    leaving->flags = FL_BED_TERMINATING;
    publish(roll);
    call_for_ms(roll, random_ms(roll, 5));
    if (slice_first) pod_stop(roll, leaving);
    call_for_ms(roll, random_ms(roll, 100));
    leaving->flags = 0;
    publish(roll);
}

static void roll_start(struct roll *roll, uint64_t seed, const struct fl_balance_options *balance) {
    memset(roll, 0, sizeof(*roll));
    roll->random.state = seed;
    fl_bed_start(&roll->bed,
                 &(struct fl_world_options){.seed = seed, .chop = true, .reorder = true});
    fl_bed_open(&roll->bed, &(struct fl_channel_options){.balance = *balance});
    fl_channel_watch(roll->bed.channel,
                     &(struct fl_channel_watcher){.on_pick = on_pick, .arg = roll});
    for (unsigned i = 0; i < PODS; i++) {
        pod_start(roll, &roll->pods[i], i + 1, (uint8_t)(i + 1));
        roll->pods[i].flags = FL_BED_READY;
    }
    publish(roll);
    call_for_ms(roll, 50);
}

static void roll_stop(struct roll *roll) {
    fl_world_run_ms(roll->bed.world, 10000);
    assert_int_equal(roll->exited, PODS);
    for (size_t i = 0; i < 2 * PODS; i++) {
        if (roll->pods[i].echo) fl_bed_kill(&roll->bed, roll->pods[i].echo);
    }
    for (size_t i = 0; i < roll->started; i++) {
        assert_string_equal(roll->calls[i].message, "");
        assert_int_equal(roll->calls[i].status, FL_STATUS_OK);
        assert_int_equal(roll->calls[i].ended, 1);
    }
    assert_true(roll->picks >= roll->started);
    fl_bed_stop(&roll->bed);
}

static const struct fl_balance_options by_default = {.policy = FL_BALANCE_ROUND_ROBIN};

static void test_rolling_update_loses_no_call(void **state) {
    FL_UNUSED(state);
    static struct roll roll;
    for (uint64_t seed = 0; seed < 50; seed++) {
        roll_start(&roll, seed, &by_default);
        for (unsigned i = 0; i < PODS; i++) replace(&roll, i, PODS + i, PODS + 1 + i);
        call_for_ms(&roll, 50);
        roll_stop(&roll);
    }
}

static uint32_t odd_weight(void *arg, const struct fl_endpoint *endpoint) {
    FL_UNUSED(arg);
    return 1 + endpoint->address[strlen(endpoint->address) - 1] % 7 * 50;
}

/* Nor with any other way to choose endpoints. */
static void test_rolling_update_by_every_policy(void **state) {
    FL_UNUSED(state);
    static const struct fl_balance_options all[] = {
        {.policy = FL_BALANCE_PICK_FIRST},
        {.policy = FL_BALANCE_PICK_FIRST, .shuffle = true},
        {.policy = FL_BALANCE_LEAST_REQUEST, .slow_start_ms = 100},
        {.policy = FL_BALANCE_RING_HASH, .weight = odd_weight},
        {.policy = FL_BALANCE_RENDEZVOUS, .subset = 3},
        {.weight = odd_weight, .slow_start_ms = 50},
        {.subset = 2},
        {.subset = 4,
         .outlier = {.interval_ms = 20,
                     .base_ejection_ms = 40,
                     .max_ejection_percent = 100,
                     .success_rate = {.on = true, .hosts_min = 2, .requests_min = 1},
                     .failure_percentage = {.on = true, .hosts_min = 1, .requests_min = 1}}},
    };
    static struct roll roll;
    for (size_t which = 0; which < FL_COUNT(all); which++) {
        for (uint64_t seed = 200; seed < 210; seed++) {
            roll_start(&roll, seed, &all[which]);
            for (unsigned i = 0; i < PODS; i++) replace(&roll, i, PODS + i, PODS + 1 + i);
            call_for_ms(&roll, 50);
            roll_stop(&roll);
        }
    }
}

/* As a StatefulSet does it: the next pod has the address of the last one, another identity, and may
 * even be there before the slice has shown the old one gone. */
static void test_rolling_update_with_the_same_addresses(void **state) {
    FL_UNUSED(state);
    static struct roll roll;
    for (uint64_t seed = 100; seed < 120; seed++) {
        roll_start(&roll, seed, &by_default);
        for (unsigned i = 0; i < PODS; i++) {
            struct pod *leaving = &roll.pods[i], *coming = &roll.pods[PODS + i];
            leaving->flags = FL_BED_TERMINATING;
            publish(&roll);
            call_for_ms(&roll, random_ms(&roll, 3));
            pod_stop(&roll, leaving);
            call_for_ms(&roll, 60 + random_ms(&roll, 60));
            if (random_ms(&roll, 2)) {
                leaving->flags = 0;
                publish(&roll);
                call_for_ms(&roll, random_ms(&roll, 3));
            }
            pod_start(&roll, coming, leaving->host, (uint8_t)(PODS + i + 1));
            leaving->flags = 0;
            coming->flags = FL_BED_READY;
            publish(&roll);
            call_for_ms(&roll, 10);
        }
        roll_stop(&roll);
    }
}

/* The same seed gives the same world, bit for bit. */
static void test_replays(void **state) {
    FL_UNUSED(state);
    static struct roll roll;
    uint64_t traces[2];
    for (int i = 0; i < 2; i++) {
        roll_start(&roll, 7, &by_default);
        replace(&roll, 0, PODS, PODS + 1);
        call_for_ms(&roll, 50);
        traces[i] = fl_world_trace(roll.bed.world);
        roll.exited += PODS - 1; /* only one was replaced */
        roll_stop(&roll);
    }
    assert_true(traces[0] == traces[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C21_idle_connection_of_a_removed_endpoint_closes),
        cmocka_unit_test(test_calls_on_a_removed_endpoint),
        cmocka_unit_test(test_C9_terminating_endpoint_finishes_its_calls),
        cmocka_unit_test(test_endpoint_comes_back_while_it_drains),
        cmocka_unit_test(test_C9_clock_starts_when_it_is_gone),
        cmocka_unit_test(test_C9_terminating_is_better_than_none),
        cmocka_unit_test(test_C22_channels_per_call_leave_nothing),
        cmocka_unit_test(test_no_pick_sees_a_half_made_set),
        cmocka_unit_test(test_rolling_update_loses_no_call),
        cmocka_unit_test(test_rolling_update_by_every_policy),
        cmocka_unit_test(test_rolling_update_with_the_same_addresses),
        cmocka_unit_test(test_replays),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
