/* Further connections of one endpoint, when calls wait at the server's limit of streams (C13). */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "support/bed.h"
#include "support/frame_peer.h"

#define CALLS 20

struct fixture {
    struct fl_bed bed;
    struct fl_frame_peer peer;
    struct fl_bed_call calls[CALLS];
};

static int64_t metric(struct fixture *f, const char *name) {
    return fl_metric_value(fl_metrics_get(f->bed.io->metrics, FL_METRIC_GAUGE, name, "", ""));
}

static void start(struct fixture *f, uint32_t streams_max,
                  const struct fl_channel_options *options) {
    fl_bed_start(&f->bed, NULL);
    fl_frame_peer_start(&f->peer, f->bed.io, "10.0.0.1", FL_BED_PORT);
    f->peer.streams_max = streams_max;
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, 1);
    fl_world_run_ms(f->bed.world, 100);
    assert_int_equal(fl_channel_state(f->bed.channel), FL_CHANNEL_READY);
}

static void call_all(struct fixture *f, uint32_t timeout_ms) {
    for (int i = 0; i < CALLS; i++)
        fl_bed_call(&f->bed, &f->calls[i], &(struct fl_call_options){.timeout_ms = timeout_ms});
    fl_world_run_ms(f->bed.world, 100);
}

static void stop(struct fixture *f) {
    fl_frame_peer_stop(&f->peer);
    fl_bed_stop(&f->bed);
    assert_int_equal(f->peer.open, 0);
}

static void test_C13_more_connections_up_to_the_bound(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 3, NULL);
    call_all(&f, 1000);
    assert_int_equal(f.peer.accepted, 4);
    assert_int_equal(f.peer.got[FRAME_HEADERS], 12);
    assert_int_equal(metric(&f, "fairlead_channel_queued_calls"), CALLS - 12);
    fl_world_run_ms(f.bed.world, 1000);
    assert_int_equal(metric(&f, "fairlead_channel_queued_calls"), 0);
    assert_int_equal(f.peer.accepted, 4);
    stop(&f);
}

static void test_C13_as_many_as_are_needed(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 10, NULL);
    call_all(&f, 1000);
    assert_int_equal(f.peer.accepted, 2);
    assert_int_equal(f.peer.got[FRAME_HEADERS], CALLS);
    stop(&f);
}

static void test_one_connection_if_told_so(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 3, &(struct fl_channel_options){.connections_max = 1});
    call_all(&f, 1000);
    assert_int_equal(f.peer.accepted, 1);
    assert_int_equal(metric(&f, "fairlead_channel_queued_calls"), CALLS - 3);
    stop(&f);
}

static void test_further_connections_close_when_idle(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 5, NULL);
    call_all(&f, 1000);
    fl_world_run_ms(f.bed.world, 1000);
    assert_int_equal(f.peer.open, 4);
    fl_world_run_ms(f.bed.world, 61000);
    assert_int_equal(f.peer.open, 1);
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    stop(&f);
}

/* The first connection goes away: a further one takes its place, and nobody waits. */
static void test_further_connection_takes_the_place(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 10, NULL);
    call_all(&f, 100000);
    assert_int_equal(f.peer.accepted, 2);
    struct fl_frame_conn *first = FL_CONTAINER(f.peer.conns.next, struct fl_frame_conn, link);
    assert_int_equal(first->number, 0);
    fl_frame_goaway(first, 0x7fffffff, 0, "");
    for (int i = 0; i < 50; i++) {
        fl_world_run_ms(f.bed.world, 1);
        assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    }
    assert_int_equal(f.peer.accepted, 2);
    for (int i = 0; i < CALLS; i++) assert_int_equal(f.calls[i].ended, 0);
    fl_world_run_ms(f.bed.world, 200000); /* its idle timeout is not that of a further one now */
    assert_int_equal(f.peer.accepted, 2);
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    stop(&f);
}

/* One that cannot be had is tried again after the smallest backoff, not with each call. */
static void reset_further(struct fl_frame_conn *conn) {
    if (conn->number > 0) fl_sock_abort(conn->peer->io, conn->sock);
}

static void test_refused_further_connection_is_not_a_busy_loop(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 3, NULL);
    f.peer.on_open = reset_further;
    for (int i = 0; i < CALLS; i++) {
        fl_bed_call(&f.bed, &f.calls[i], &(struct fl_call_options){.timeout_ms = 100000});
        fl_world_run_ms(f.bed.world, 200);
    }
    assert_in_range(f.peer.accepted, 3, 6);
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_READY);
    assert_int_equal(f.peer.got[FRAME_HEADERS], 3);
    stop(&f);
}

/* Who leaves the service takes all its connections along. */
static void test_all_connections_leave_with_the_endpoint(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 5, NULL);
    call_all(&f, 0);
    assert_int_equal(f.peer.open, 4);
    fl_bed_publish(&f.bed, 0);
    fl_world_run_ms(f.bed.world, 7000);
    assert_int_equal(f.peer.open, 0);
    for (int i = 0; i < CALLS; i++) assert_int_equal(f.calls[i].ended, 1);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C13_more_connections_up_to_the_bound),
        cmocka_unit_test(test_C13_as_many_as_are_needed),
        cmocka_unit_test(test_one_connection_if_told_so),
        cmocka_unit_test(test_further_connections_close_when_idle),
        cmocka_unit_test(test_further_connection_takes_the_place),
        cmocka_unit_test(test_refused_further_connection_is_not_a_busy_loop),
        cmocka_unit_test(test_all_connections_leave_with_the_endpoint),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
