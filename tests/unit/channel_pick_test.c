/* channel_pick_test.c - who gets the calls of a channel, on the virtual world. */
#include "support/alloc.h"

#include "base/log.h"
#include "support/bed.h"

static void test_one_call(void **state) {
    FL_UNUSED(state);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        fl_bed_start(&bed, &(struct fl_world_options){.seed = seed, .chop = true});
        struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
        fl_bed_open(&bed, NULL);
        fl_bed_publish(&bed, 1);
        fl_bed_call_now(&bed, &call, 1000);
        fl_bed_expect_ok(&call);
        assert_string_equal(call.peer, "10.0.0.1:50051");
        assert_int_equal(fl_channel_state(bed.channel), FL_CHANNEL_READY);
        fl_bed_kill(&bed, echo);
        fl_bed_stop(&bed);
    }
}

static void test_C5_balance_per_call(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_echo *echo[7];
    fl_bed_start(&bed, NULL);
    for (unsigned i = 0; i < 7; i++) echo[i] = fl_bed_echo(&bed, i + 1, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 7);
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 700; i++) {
        struct fl_bed_call call;
        fl_bed_call_now(&bed, &call, 1000);
        fl_bed_expect_ok(&call);
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(fl_echo_calls(echo[i]), 100);
        fl_bed_kill(&bed, echo[i]);
    }
    fl_bed_stop(&bed);
}

/* New endpoints are connected as they are published, not at some later resolution. */
static void test_C4_C6_new_endpoint_gets_traffic_within_one_round(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_echo *echo[3];
    fl_bed_start(&bed, NULL);
    for (unsigned i = 0; i < 3; i++) echo[i] = fl_bed_echo(&bed, i + 1, 0);
    fl_bed_open(&bed, NULL);
    fl_bed_publish(&bed, 2);
    for (int i = 0; i < 5; i++) fl_bed_call_now(&bed, &call, 1000);
    fl_bed_publish(&bed, 3);
    fl_world_run_ms(bed.world, 10); /* connects */
    for (int i = 0; i < 3; i++) fl_bed_call_now(&bed, &call, 1000);
    assert_int_equal(fl_echo_calls(echo[2]), 1);
    for (unsigned i = 0; i < 3; i++) fl_bed_kill(&bed, echo[i]);
    fl_bed_stop(&bed);
}

/* The last backend restarts under its own address with another identity: what the channel knew of
 * it, the long backoff above all, does not count any more. */
static void test_C6_restarted_last_backend(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_hand_endpoint before = {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL};
    struct fl_hand_endpoint after = {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 2, NULL};
    fl_bed_start(&bed, NULL);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, &before, 1);
    fl_world_run_ms(bed.world, 300000);
    assert_int_equal(fl_channel_state(bed.channel), FL_CHANNEL_TRANSIENT_FAILURE);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, &after, 1);
    fl_world_run_ms(bed.world, 1); /* delivered */
    fl_bed_call_now(&bed, &call, 100);
    fl_bed_expect_ok(&call);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_C20_kept_endpoints_keep_their_connection(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_peer kept, other_port;
    struct fl_hand_endpoint one = {"10.0.0.1", 1234, FL_BED_READY, 1, NULL};
    struct fl_hand_endpoint two[] = {one, {"10.0.0.1", 5678, FL_BED_READY, 1, NULL}};
    fl_bed_start(&bed, NULL);
    fl_peer_start(&kept, bed.io, "10.0.0.1", 1234, FL_PEER_HTTP);
    fl_peer_start(&other_port, bed.io, "10.0.0.1", 5678, FL_PEER_HTTP);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, &one, 1);
    fl_bed_call(&bed, &call, NULL); /* is never answered */
    fl_world_run_ms(bed.world, 100);
    for (int i = 0; i < 10; i++) {
        fl_hand_publish(bed.hand, FL_SET_SOME, two, i % 2 ? 1 : 2);
        fl_world_run_ms(bed.world, 100);
    }
    assert_int_equal(kept.accepted, 1);
    assert_int_equal(kept.open, 1);
    assert_int_equal(call.ended, 0);
    assert_int_equal(other_port.accepted, 5); /* the same address with another port is another */
    assert_int_equal(other_port.open, 0);
    fl_bed_close(&bed);
    assert_int_equal(call.status, FL_STATUS_CANCELLED);
    fl_peer_stop(&kept);
    fl_bed_stop_peer(&bed, &other_port);
}

/* One number may be a TCP and a UDP port; what happens to the latter is no matter of a channel. */
static void test_only_tcp_is_connected(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_hand_endpoint both[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                      {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, "grpc/UDP"},
                                      {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, "grpc/UDP"}};
    struct fl_peer kept, other;
    fl_bed_start_peer(&bed, &kept, NULL);
    fl_peer_start(&other, bed.io, "10.0.0.2", FL_BED_PORT, FL_PEER_HTTP);
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, both, 3);
    fl_world_run_ms(bed.world, 100);
    fl_hand_publish(bed.hand, FL_SET_SOME, both, 1); /* UDP goes */
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(kept.accepted, 1);
    assert_int_equal(kept.open, 1);
    assert_int_equal(other.accepted, 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, both + 1, 2);
    fl_world_run_ms(bed.world, 100);
    fl_bed_call_now(&bed, &call, 10);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(call.why, FL_EEMPTY);
    fl_bed_close(&bed);
    fl_peer_stop(&kept);
    fl_bed_stop_peer(&bed, &other);
}

static void test_terminating_only_without_a_ready_one(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, NULL}};
    fl_bed_start(&bed, NULL);
    struct fl_echo *echo[] = {fl_bed_echo(&bed, 1, 0), fl_bed_echo(&bed, 2, 0)};
    fl_bed_open(&bed, NULL);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 100);
    endpoints[0].flags = FL_BED_TERMINATING;
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 1);
    for (int i = 0; i < 4; i++) {
        fl_bed_call_now(&bed, &call, 100);
        assert_string_equal(call.peer, "10.0.0.2:50051");
    }
    endpoints[1].flags = FL_BED_TERMINATING;
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 1);
    for (int i = 0; i < 4; i++) fl_bed_call_now(&bed, &call, 100);
    assert_int_equal(fl_echo_calls(echo[0]), 2);
    assert_int_equal(fl_echo_calls(echo[1]), 6);
    for (int i = 0; i < 2; i++) fl_bed_kill(&bed, echo[i]);
    fl_bed_stop(&bed);
}

/* IPv6 addresses and host names are endpoints as others are. */
static void test_addresses_of_every_kind(void **state) {
    FL_UNUSED(state);
    static const struct {
        const char *address, *listen, *peer;
    } rows[] = {{"fd00::1", "fd00::1", "[fd00::1]:50051"},
                {"localhost", "127.0.0.1", "localhost:50051"}};
    for (size_t i = 0; i < FL_COUNT(rows); i++) {
        struct fl_bed bed;
        struct fl_bed_call call;
        struct fl_peer peer;
        struct fl_hand_endpoint endpoint = {rows[i].address, FL_BED_PORT, FL_BED_READY, 1, NULL};
        fl_bed_start(&bed, NULL);
        fl_peer_start(&peer, bed.io, rows[i].listen, FL_BED_PORT, FL_PEER_HTTP);
        peer.on_request = fl_peer_answer_echo;
        fl_bed_open(&bed, NULL);
        fl_hand_publish(bed.hand, FL_SET_SOME, &endpoint, 1);
        fl_bed_call_now(&bed, &call, 100);
        fl_bed_expect_ok(&call);
        assert_string_equal(call.peer, rows[i].peer);
        assert_string_equal(peer.last_authority, "echo"); /* the service, whoever serves it */
        fl_bed_stop_peer(&bed, &peer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_C5_balance_per_call),
        cmocka_unit_test(test_C4_C6_new_endpoint_gets_traffic_within_one_round),
        cmocka_unit_test(test_C6_restarted_last_backend),
        cmocka_unit_test(test_C20_kept_endpoints_keep_their_connection),
        cmocka_unit_test(test_only_tcp_is_connected),
        cmocka_unit_test(test_terminating_only_without_a_ready_one),
        cmocka_unit_test(test_addresses_of_every_kind),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
