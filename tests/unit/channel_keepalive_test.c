/* PINGs on the virtual world: by the clock, before use, and what a server says to too many. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "channel/keepalive.h"
#include "support/bed.h"
#include "support/frame_peer.h"

#define HOST "10.0.0.1"

/* Answers every request at once. */
static void answer(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_DATA || !(frame->flags & FRAME_END_STREAM)) return;
    fl_frame_head(conn, frame->id);
    fl_frame_message(conn, frame->id, FRAME_BYTES("\12\2hi"));
    fl_frame_status_ok(conn, frame->id);
}

struct fixture {
    struct fl_bed bed;
    struct fl_frame_peer peer;
};

/* One endpoint, connected. */
static void start(struct fixture *f, const struct fl_channel_options *options) {
    fl_bed_start(&f->bed, NULL);
    fl_frame_peer_start(&f->peer, f->bed.io, HOST, FL_BED_PORT);
    f->peer.on_frame = answer;
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, 1);
    fl_world_run_ms(f->bed.world, 100);
    assert_int_equal(fl_channel_state(f->bed.channel), FL_CHANNEL_READY);
}

static void stop(struct fixture *f) {
    fl_frame_peer_stop(&f->peer);
    fl_bed_stop(&f->bed);
    assert_int_equal(f->peer.open, 0);
}

/* --- what the options mean --- */

static void expect_times(const struct fl_channel_options *options, uint32_t after_ms,
                         uint32_t timeout_ms, bool without_calls) {
    struct fl_keepalive_times times;
    fl_keepalive_of(options, &times);
    assert_int_equal(times.after_ms, after_ms);
    assert_int_equal(times.timeout_ms, timeout_ms);
    assert_int_equal(times.without_calls, without_calls);
    assert_int_equal(times.before_use_ms, 30000);
}

static void test_C10_profiles_and_bounds(void **state) {
    FL_UNUSED(state);
    struct fl_channel_options o = {0};
    expect_times(&o, 0, 20000, false);
    o.keepalive_ms = 1;
    expect_times(&o, 10000, 20000, false);
    o.keepalive_ms = 60000;
    o.keepalive_timeout_ms = 500;
    o.keepalive_without_calls = true;
    expect_times(&o, 60000, 500, true);
    o = (struct fl_channel_options){.keepalive = FL_KEEPALIVE_EAGER};
    expect_times(&o, 10000, 3000, true);
}

/* --- by the clock --- */

static void test_C10_no_keepalive_by_default(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, NULL);
    f.peer.on_frame = NULL;
    struct fl_bed_call call;
    fl_bed_call(&f.bed, &call, NULL);
    fl_world_run_ms(f.bed.world, 3600 * 1000);
    assert_int_equal(f.peer.got[FRAME_PING], 0);
    stop(&f);
}

static void test_keepalive_only_with_calls_open(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, &(struct fl_channel_options){.keepalive_ms = 20000});
    fl_world_run_ms(f.bed.world, 300000);
    assert_int_equal(f.peer.got[FRAME_PING], 0);
    f.peer.on_frame = NULL;
    struct fl_bed_call call;
    fl_bed_call(&f.bed, &call, NULL); /* after the PING before use */
    fl_world_run_ms(f.bed.world, 101000);
    assert_int_equal(f.peer.got[FRAME_PING], 1 + 5);
    for (int i = 1; i < 6; i++)
        assert_in_range(f.peer.ping_at_ms[i] - f.peer.ping_at_ms[i - 1], 20000, 20020);
    stop(&f);
}

static void test_eager_profile_finds_a_dead_server_without_calls(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, &(struct fl_channel_options){.keepalive = FL_KEEPALIVE_EAGER});
    fl_world_run_ms(f.bed.world, 60000);
    assert_in_range(f.peer.got[FRAME_PING], 5, 6);
    assert_int_equal(f.peer.accepted, 1);
    fl_world_fault(f.bed.world, FL_STR(HOST), FL_WORLD_BLACKHOLE);
    fl_world_run_ms(f.bed.world, 10000 + 3000 + 100);
    assert_int_not_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    stop(&f);
}

/* --- a server that complains --- */

static void complain(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_PING) return;
    fl_frame_goaway(conn, 0, 11, "too_many_pings");
    fl_frame_close(conn);
}

static void test_C10_too_many_pings_doubles_the_time(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, &(struct fl_channel_options){.keepalive = FL_KEEPALIVE_EAGER});
    f.peer.on_frame = complain;
    fl_world_run_ms(f.bed.world, (10 + 20 + 40 + 80 + 160) * 1000 + 2000);
    assert_int_equal(f.peer.got[FRAME_PING], 5);
    assert_int_equal(f.peer.accepted, 6);
    for (int i = 1; i < 5; i++)
        assert_in_range(f.peer.ping_at_ms[i] - f.peer.ping_at_ms[i - 1], (10000 << i),
                        (10000 << i) + 50);
    stop(&f);
}

/* Ten connections that complain at once double it once. */
static void test_C10_many_complaints_double_once(void **state) {
    FL_UNUSED(state);
    struct fl_keepalive_times times, used;
    fl_keepalive_of(&(struct fl_channel_options){.keepalive = FL_KEEPALIVE_EAGER}, &times);
    used = times;
    for (int i = 0; i < 10; i++) fl_keepalive_calm(&times, &used);
    assert_int_equal(times.after_ms, 20000);
    assert_int_equal(times.before_use_ms, 60000);
    for (int i = 0; i < 40; i++) {
        used = times;
        fl_keepalive_calm(&times, &used);
    }
    assert_int_equal(times.after_ms, UINT32_MAX);
}

/* Another reason to calm down is none to ping less. */
static void other_goaway(struct fl_frame_conn *conn, const struct fl_frame *frame) {
    if (frame->type != FRAME_PING) return;
    fl_frame_goaway(conn, 0, 11, "slow down");
    fl_frame_close(conn);
}

static void test_other_goaway_does_not_double(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, &(struct fl_channel_options){.keepalive = FL_KEEPALIVE_EAGER});
    f.peer.on_frame = other_goaway;
    fl_world_run_ms(f.bed.world, 62000);
    assert_in_range(f.peer.got[FRAME_PING], 5, 6);
    stop(&f);
}

/* --- before use --- */

static void test_C11_quiet_connection_is_asked_before_a_call(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    start(&f, NULL);
    fl_world_run_ms(f.bed.world, 29000);
    fl_bed_call_now(&f.bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(f.peer.got[FRAME_PING], 0);
    fl_world_run_ms(f.bed.world, 31000);
    fl_bed_call_now(&f.bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(f.peer.got[FRAME_PING], 1);
    assert_int_equal(f.peer.accepted, 1);
    stop(&f);
}

static void test_C11_ping_before_use_can_be_off(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    start(&f, &(struct fl_channel_options){.ping_before_use_ms = UINT32_MAX});
    fl_world_run_ms(f.bed.world, 3600 * 1000);
    fl_bed_call_now(&f.bed, &call, 100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(f.peer.got[FRAME_PING], 0);
    stop(&f);
}

/* The node died and came back without its connections, silently: the call waits for the bound, then
 * goes over a new connection. */
static void test_C11_connection_without_an_answer_is_given_up(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call call;
    start(&f, NULL);
    f.peer.mute = true;
    fl_world_run_ms(f.bed.world, 60000);
    fl_bed_call_now(&f.bed, &call, 1100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_in_range(call.ended_ms - call.started_ms, 1000, 1100);
    assert_int_equal(f.peer.accepted, 2);
    assert_int_equal(call.retries, 0);
    stop(&f);
}

/* Its calls are left to their own ends. */
static void test_C11_calls_on_a_connection_given_up_go_on(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call old, call;
    start(&f, NULL);
    f.peer.on_frame = NULL;
    fl_bed_call(&f.bed, &old, &(struct fl_call_options){.timeout_ms = 100000});
    f.peer.mute = true;
    fl_world_run_ms(f.bed.world, 60000);
    f.peer.on_frame = answer;
    fl_bed_call_now(&f.bed, &call, 1100);
    assert_int_equal(call.status, FL_STATUS_OK);
    assert_int_equal(old.ended, 0);
    struct fl_frame_conn *first = FL_CONTAINER(f.peer.conns.next, struct fl_frame_conn, link);
    assert_int_equal(first->number, 0);
    answer(first, &(struct fl_frame){FRAME_DATA, FRAME_END_STREAM, 1, FL_STR_NONE});
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(old.ended, 1);
    assert_int_equal(old.status, FL_STATUS_OK);
    fl_world_run_ms(f.bed.world, 2000);
    assert_int_equal(f.peer.open, 1);
    stop(&f);
}

/* Two endpoints, the one whose turn it is silent: the call goes to the other without waiting. */
static void test_C11_call_goes_to_another_endpoint_meanwhile(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_echo *echo;
    struct fl_bed_call call;
    start(&f, NULL);
    f.peer.mute = true;
    f.peer.on_frame = NULL;
    echo = fl_bed_echo(&f.bed, 2, 0);
    fl_world_run_ms(f.bed.world, 40000);
    fl_bed_publish(&f.bed, 2); /* the second is fresh, the first is quiet */
    fl_world_run_ms(f.bed.world, 100);
    for (int i = 0; i < 10; i++) {
        fl_bed_call_now(&f.bed, &call, 50);
        assert_int_equal(call.status, FL_STATUS_OK);
        assert_string_equal(call.peer, "10.0.0.2:50051");
    }
    assert_int_equal(f.peer.got[FRAME_PING], 1);
    fl_frame_peer_stop(&f.peer);
    fl_bed_kill(&f.bed, echo);
    fl_bed_stop(&f.bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C10_profiles_and_bounds),
        cmocka_unit_test(test_C10_no_keepalive_by_default),
        cmocka_unit_test(test_keepalive_only_with_calls_open),
        cmocka_unit_test(test_eager_profile_finds_a_dead_server_without_calls),
        cmocka_unit_test(test_C10_too_many_pings_doubles_the_time),
        cmocka_unit_test(test_C10_many_complaints_double_once),
        cmocka_unit_test(test_other_goaway_does_not_double),
        cmocka_unit_test(test_C11_quiet_connection_is_asked_before_a_call),
        cmocka_unit_test(test_C11_ping_before_use_can_be_off),
        cmocka_unit_test(test_C11_connection_without_an_answer_is_given_up),
        cmocka_unit_test(test_C11_calls_on_a_connection_given_up_go_on),
        cmocka_unit_test(test_C11_call_goes_to_another_endpoint_meanwhile),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
