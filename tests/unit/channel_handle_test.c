/* channel_handle_test.c - endpoints of a channel that one may keep, and calls to one of them. */
#include "support/alloc.h"

#include <fairlead/handle.h>
#include <stdio.h>

#include "support/bed.h"

struct bed {
    struct fl_bed b;
    struct fl_echo *echo[3];
    struct fl_handles handles;
};

static void list(struct bed *bed) {
    fl_handles_deinit(&bed->handles);
    assert_int_equal(fl_channel_handles(bed->b.channel, &bed->handles, NULL), 0);
}

static void start(struct bed *bed, const struct fl_channel_options *options) {
    *bed = (struct bed){.handles = {NULL, 0}};
    fl_bed_start(&bed->b, NULL);
    for (unsigned i = 0; i < 3; i++) bed->echo[i] = fl_bed_echo(&bed->b, i + 1, 0);
    fl_bed_open(&bed->b, options);
    fl_bed_publish(&bed->b, 3);
    fl_world_run_ms(bed->b.world, 100);
    list(bed);
}

static void stop(struct bed *bed) {
    fl_handles_deinit(&bed->handles);
    for (unsigned i = 0; i < 3; i++)
        if (bed->echo[i]) fl_bed_kill(&bed->b, bed->echo[i]);
    fl_bed_stop(&bed->b);
}

static void call_to(struct bed *bed, struct fl_bed_call *call, struct fl_handle *handle,
                    bool wait) {
    struct fl_call_options options = {.endpoint = handle, .wait_for_ready = wait};
    fl_bed_call(&bed->b, call, &options);
    fl_world_run_ms(bed->b.world, 100);
}

static void test_one_handle_per_endpoint_with_what_is_known_of_it(void **state) {
    FL_UNUSED(state);
    static const uint8_t none[16];
    struct bed bed;
    start(&bed, NULL);
    assert_int_equal(bed.handles.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char peer[64];
        snprintf(peer, sizeof(peer), "%s:%u", fl_bed_host(i + 1), FL_BED_PORT);
        assert_string_equal(fl_handle_peer(bed.handles.list[i]), peer);
        assert_string_equal(fl_handle_node(bed.handles.list[i]), "");
        assert_string_equal(fl_handle_pod(bed.handles.list[i]), "");
        assert_memory_equal(fl_handle_uid(bed.handles.list[i]), none, 16);
        assert_int_equal(fl_handle_state(bed.handles.list[i]), FL_CHANNEL_READY);
    }
    stop(&bed);
}

static void test_call_goes_to_the_chosen_endpoint_only(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call;
    start(&bed, NULL);
    for (int i = 0; i < 5; i++) {
        call_to(&bed, &call, bed.handles.list[1], false);
        fl_bed_expect_ok(&call);
    }
    assert_int_equal(fl_echo_calls(bed.echo[1]), 5);
    assert_int_equal(fl_echo_calls(bed.echo[0]) + fl_echo_calls(bed.echo[2]), 0);
    stop(&bed);
}

/* One that pick_first has not connected is connected by the call. */
static void test_call_connects_an_endpoint_that_the_policy_does_not_want(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call;
    start(&bed, &(struct fl_channel_options){.balance = {.policy = FL_BALANCE_PICK_FIRST}});
    assert_int_equal(bed.handles.count, 3);
    assert_int_equal(fl_handle_state(bed.handles.list[2]), FL_CHANNEL_IDLE);
    call_to(&bed, &call, bed.handles.list[2], false);
    fl_bed_expect_ok(&call);
    assert_int_equal(fl_echo_calls(bed.echo[2]), 1);
    fl_bed_call_now(&bed.b, &call, 1000); /* the policy's choice stays what it was */
    assert_int_equal(fl_echo_calls(bed.echo[0]), 1);
    stop(&bed);
}

/* C9: an endpoint that leaves does not take its handle away, and the others do not notice. */
static void test_C9_handle_outlives_its_endpoint_and_its_channel(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call;
    start(&bed, NULL);
    struct fl_handle *gone = fl_handle_ref(bed.handles.list[2]);
    struct fl_handle *kept = fl_handle_ref(bed.handles.list[0]);
    fl_bed_publish(&bed.b, 2);
    fl_world_run_ms(bed.b.world, 100);
    assert_int_equal(fl_handle_state(gone), FL_CHANNEL_SHUTDOWN);
    for (int wait = 0; wait < 2; wait++) {
        call_to(&bed, &call, gone, wait);
        assert_int_equal(call.ended, 1);
        assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
        assert_int_equal(call.why, FL_ELEFT);
    }
    list(&bed);
    assert_int_equal(bed.handles.count, 2);
    assert_ptr_equal(bed.handles.list[0], kept); /* C20: the same object */
    call_to(&bed, &call, kept, false);
    fl_bed_expect_ok(&call);
    fl_bed_close(&bed.b);
    assert_int_equal(fl_handle_state(kept), FL_CHANNEL_SHUTDOWN);
    assert_string_equal(fl_handle_peer(gone), "10.0.0.3:50051");
    fl_handle_unref(gone);
    fl_handle_unref(kept);
    stop(&bed);
}

/* The same address with another pod behind it is another endpoint. */
static void test_C20_handle_of_a_replaced_pod_ends(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call;
    start(&bed, NULL);
    struct fl_handle *before = fl_handle_ref(bed.handles.list[0]);
    const struct fl_hand_endpoint rebuilt[] = {
        {.address = "10.0.0.1", .port = FL_BED_PORT, .uid = 7},
        {.address = "10.0.0.2", .port = FL_BED_PORT},
        {.address = "10.0.0.3", .port = FL_BED_PORT},
    };
    fl_hand_publish(bed.b.hand, FL_SET_SOME, rebuilt, 3);
    fl_world_run_ms(bed.b.world, 100);
    list(&bed);
    assert_ptr_not_equal(bed.handles.list[0], before);
    assert_string_equal(fl_handle_peer(bed.handles.list[0]), fl_handle_peer(before));
    call_to(&bed, &call, before, true);
    assert_int_equal(call.why, FL_ELEFT);
    call_to(&bed, &call, bed.handles.list[0], false);
    fl_bed_expect_ok(&call);
    fl_handle_unref(before);
    stop(&bed);
}

/* C24: one that cannot be reached is hidden, not closed: the others serve, it comes back. */
static void test_C24_endpoint_in_backoff_is_hidden(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call, waiting;
    start(&bed, NULL);
    struct fl_handle *dead = fl_handle_ref(bed.handles.list[1]);
    fl_bed_kill(&bed.b, bed.echo[1]);
    fl_world_run_ms(bed.b.world, 10);
    list(&bed);
    assert_int_equal(bed.handles.count, 2);
    assert_int_equal(fl_handle_state(dead), FL_CHANNEL_TRANSIENT_FAILURE);
    call_to(&bed, &call, dead, false);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(call.why, FL_EREFUSED);
    call_to(&bed, &waiting, dead, true); /* holds nobody else up */
    fl_bed_call_now(&bed.b, &call, 1000);
    fl_bed_expect_ok(&call);
    assert_int_equal(waiting.ended, 0);
    bed.echo[1] = fl_bed_echo(&bed.b, 2, 0);
    fl_world_run_ms(bed.b.world, 10000);
    fl_bed_expect_ok(&waiting);
    list(&bed);
    assert_int_equal(bed.handles.count, 3);
    fl_handle_unref(dead);
    stop(&bed);
}

/* Waiting for an endpoint that leaves ends with it. */
static void test_waiting_call_ends_when_its_endpoint_leaves(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call call;
    start(&bed, NULL);
    struct fl_handle *dead = fl_handle_ref(bed.handles.list[2]);
    fl_bed_kill(&bed.b, bed.echo[2]);
    bed.echo[2] = NULL;
    fl_world_run_ms(bed.b.world, 10);
    call_to(&bed, &call, dead, true);
    assert_int_equal(call.ended, 0);
    fl_bed_publish(&bed.b, 2);
    fl_world_run_ms(bed.b.world, 100);
    assert_int_equal(call.ended, 1);
    assert_int_equal(call.why, FL_ELEFT);
    fl_handle_unref(dead);
    stop(&bed);
}

static int cancel_other(void *arg, const char *method, fl_credentials_give *give, void *to,
                        struct fl_error *err) {
    const struct fl_bed_call *other = arg;
    FL_UNUSED(method), FL_UNUSED(give), FL_UNUSED(to), FL_UNUSED(err);
    fl_call_cancel(other->call);
    return 0;
}

/* Two calls wait for an endpoint each; the first, when it is sent, cancels the second. */
static void test_credentials_may_cancel_another_waiting_call(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    struct fl_bed_call first, second;
    start(&bed, &(struct fl_channel_options){.balance = {.policy = FL_BALANCE_PICK_FIRST},
                                             .allow_cleartext_credentials = true});
    fl_bed_kill(&bed.b, bed.echo[2]);
    bed.echo[2] = NULL;
    struct fl_call_options options = {.endpoint = bed.handles.list[1],
                                      .wait_for_ready = FL_WAIT_YES,
                                      .credentials = cancel_other,
                                      .credentials_arg = &second};
    fl_bed_call(&bed.b, &first, &options);
    call_to(&bed, &second, bed.handles.list[2], true);
    fl_bed_expect_ok(&first);
    assert_int_equal(second.ended, 1);
    assert_int_equal(second.status, FL_STATUS_CANCELLED);
    stop(&bed);
}

static void test_handle_of_another_channel_is_refused(void **state) {
    FL_UNUSED(state);
    struct bed bed, other;
    struct fl_error err;
    start(&bed, NULL);
    start(&other, NULL);
    struct fl_call_options options = {.endpoint = other.handles.list[0]};
    assert_int_equal(fl_call_unary(bed.b.channel, FL_BED_METHOD, "", 0, &options, fl_bed_ignore,
                                   NULL, NULL, &err),
                     FL_EUSAGE);
    assert_string_equal(err.detail, "10.0.0.1:50051 is an endpoint of another channel");
    stop(&other);
    stop(&bed);
}

static void test_handles_of_an_idle_channel_follow_discovery(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    const struct fl_hand_endpoint endpoints[] = {
        {"10.0.0.1", FL_BED_PORT, FL_BED_READY, 0, NULL},
        {"10.0.0.2", FL_BED_PORT, FL_BED_TERMINATING, 0, NULL},
        {"10.0.0.3", FL_BED_PORT, FL_BED_READY, 0, NULL},
    };
    start(&bed, &(struct fl_channel_options){.idle_timeout_ms = 1000});
    fl_world_run_ms(bed.b.world, 2000);
    assert_int_equal(fl_channel_state(bed.b.channel), FL_CHANNEL_IDLE);
    fl_hand_publish(bed.b.hand, FL_SET_SOME, endpoints, 3);
    fl_world_run_ms(bed.b.world, 100);
    list(&bed);
    assert_int_equal(bed.handles.count, 2);
    stop(&bed);
}

static void test_no_endpoints_no_handles(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    start(&bed, NULL);
    fl_hand_publish(bed.b.hand, FL_SET_ABSENT, NULL, 0);
    fl_world_run_ms(bed.b.world, 100);
    list(&bed);
    assert_int_equal(bed.handles.count, 0);
    stop(&bed);
}

static void test_every_allocation_of_a_list_may_fail(void **state) {
    FL_UNUSED(state);
    struct bed bed;
    start(&bed, NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_handles handles;
        int rc = fl_channel_handles(bed.b.channel, &handles, NULL);
        assert_int_equal(handles.count, rc == 0 ? 3 : 0);
        fl_handles_deinit(&handles);
    }
    stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_handle_per_endpoint_with_what_is_known_of_it),
        cmocka_unit_test(test_call_goes_to_the_chosen_endpoint_only),
        cmocka_unit_test(test_call_connects_an_endpoint_that_the_policy_does_not_want),
        cmocka_unit_test(test_C9_handle_outlives_its_endpoint_and_its_channel),
        cmocka_unit_test(test_C20_handle_of_a_replaced_pod_ends),
        cmocka_unit_test(test_C24_endpoint_in_backoff_is_hidden),
        cmocka_unit_test(test_waiting_call_ends_when_its_endpoint_leaves),
        cmocka_unit_test(test_credentials_may_cancel_another_waiting_call),
        cmocka_unit_test(test_handle_of_another_channel_is_refused),
        cmocka_unit_test(test_handles_of_an_idle_channel_follow_discovery),
        cmocka_unit_test(test_no_endpoints_no_handles),
        cmocka_unit_test(test_every_allocation_of_a_list_may_fail),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
