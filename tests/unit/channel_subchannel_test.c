/* One endpoint on the virtual world: states, backoff, deadlines, and what leaves. */
#include "support/alloc.h"

#include <string.h>

#include "base/log.h"
#include "channel/drain.h"
#include "channel/subchannel.h"
#include "channel/transport.h"
#include "sim/world.h"
#include "support/peer.h"

#define HOST "10.0.0.1"
#define PORT 50051

struct fixture {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_connector connector;
    struct fl_subchannel *sub;
    struct fl_peer peer;
    int states[256];
    size_t moves;
    unsigned emptied;
};

static void on_state(void *arg, struct fl_subchannel *sub) {
    struct fixture *f = arg;
    if (f->moves < FL_COUNT(f->states)) f->states[f->moves] = sub->state;
    f->moves++;
}

static void on_room(void *arg) { FL_UNUSED(arg); }

static void on_empty(void *arg) { ((struct fixture *)arg)->emptied++; }

static void start(struct fixture *f, uint64_t seed) {
    memset(f, 0, sizeof(*f));
    assert_int_equal(fl_world_new(&(struct fl_world_options){.seed = seed}, &f->world), 0);
    f->io = fl_world_io(f->world);
    f->connector = (struct fl_connector){
        .io = f->io,
        .connect_timeout_ms = 20000,
        .backoff_ms_min = 1000,
        .backoff_ms_max = 120000,
        .drain_ms = 5000,
        .on_state = on_state,
        .on_room = on_room,
        .on_empty = on_empty,
        .arg = f,
    };
    fl_list_init(&f->connector.transports);
    fl_connection_metrics_init(&f->connector.metrics, f->connector.io->metrics, "x", false);
    assert_int_equal(fl_subchannel_new(&f->connector, HOST, PORT, HOST ":50051", &f->sub), 0);
}

static void stop(struct fixture *f) {
    if (f->sub->state != FL_CHANNEL_SHUTDOWN) fl_subchannel_leave(f->sub);
    f->sub = fl_subchannel_unref(f->sub);
    if (f->peer.io) fl_peer_stop(&f->peer);
    fl_world_run_ms(f->world, 30000);
    assert_true(fl_list_empty(&f->connector.transports));
    assert_int_equal(f->peer.open, 0);
    fl_world_free(f->world);
}

static void expect_moves(const struct fixture *f, const int *states, size_t count) {
    assert_int_equal(f->moves, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(f->states[i], states[i]);
}
#define EXPECT_MOVES(f, ...)                                                                       \
    expect_moves((f), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void test_connects_when_wanted(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 1);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_world_run_ms(f.world, 1000);
    assert_int_equal(f.peer.accepted, 0);
    fl_subchannel_want(f.sub, true);
    assert_null(fl_subchannel_usable(f.sub));
    fl_world_run_ms(f.world, 10);
    EXPECT_MOVES(&f, FL_CHANNEL_CONNECTING, FL_CHANNEL_READY);
    assert_non_null(fl_subchannel_usable(f.sub));
    fl_subchannel_want(f.sub, false); /* stays connected */
    fl_world_run_ms(f.world, 60000);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    assert_int_equal(f.peer.accepted, 1);
    stop(&f);
}

/* The attempts of a refused endpoint come 1 s, x1.6, up to 120 s apart, each within 20 %. */
static void test_backoff_when_refused(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 2);
    fl_subchannel_want(f.sub, true);
    double delay = 1000;
    for (int i = 0; i < 14; i++) {
        fl_world_run_ms(f.world, 5);
        assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
        assert_int_equal(f.sub->why.code, FL_EREFUSED);
        uint64_t waits = f.sub->timer.at_ms - fl_io_now_ms(f.io);
        assert_true((double)waits >= delay * 0.8 - 10 && (double)waits <= delay * 1.2 + 1);
        delay = FL_MIN(delay * 1.6, 120000);
        fl_world_run_ms(f.world, waits);
    }
    stop(&f);
}

static void test_C12_silent_peer_ends_in_failure(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 3);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_SILENT);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 19900);
    EXPECT_MOVES(&f, FL_CHANNEL_CONNECTING);
    fl_world_run_ms(f.world, 200);
    EXPECT_MOVES(&f, FL_CHANNEL_CONNECTING, FL_CHANNEL_TRANSIENT_FAILURE);
    assert_int_equal(f.sub->why.code, FL_ETIMEOUT);
    stop(&f);
}

static void test_black_hole_ends_in_failure(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 4);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_world_fault(f.world, FL_STR(HOST), FL_WORLD_BLACKHOLE);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 20100);
    assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
    assert_int_equal(f.sub->why.code, FL_ETIMEOUT);
    fl_world_fault(f.world, FL_STR(HOST), FL_WORLD_OK);
    fl_world_run_ms(f.world, 1500);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    assert_false(f.sub->failed);
    stop(&f);
}

static void test_garbage_and_closing_peers(void **state) {
    FL_UNUSED(state);
    static const enum fl_peer_manner manners[] = {FL_PEER_GARBAGE, FL_PEER_CLOSES};
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture f;
        start(&f, seed);
        fl_peer_start(&f.peer, f.io, HOST, PORT, manners[seed % 2]);
        fl_subchannel_want(f.sub, true);
        fl_world_run_ms(f.world, 700);
        EXPECT_MOVES(&f, FL_CHANNEL_CONNECTING, FL_CHANNEL_TRANSIENT_FAILURE);
        assert_true(f.sub->failed && f.sub->why.code != FL_OK);
        stop(&f);
    }
}

static void test_reconnects_at_once_after_ready(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 5);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 5000);
    fl_world_cut(f.world, FL_STR(HOST));
    fl_world_run_ms(f.world, 10);
    EXPECT_MOVES(&f, FL_CHANNEL_CONNECTING, FL_CHANNEL_READY, FL_CHANNEL_IDLE,
                 FL_CHANNEL_CONNECTING, FL_CHANNEL_READY);
    assert_int_equal(f.peer.accepted, 2);
    stop(&f);
}

static void test_C8_goaway_makes_a_new_connection_at_once(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 6);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 5000);
    fl_peer_drain(&f.peer);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    assert_int_equal(f.peer.accepted, 2);
    assert_false(f.sub->failed);
    stop(&f);
}

static void test_C8_maximum_age_of_a_second_needs_no_backoff(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 6);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 10);
    for (unsigned generation = 1; generation <= 10; generation++) {
        assert_int_equal(f.peer.accepted, generation);
        fl_world_run_ms(f.world, 900);
        fl_peer_drain(&f.peer);
        fl_world_run_ms(f.world, 10);
        assert_int_equal(f.sub->state, FL_CHANNEL_READY);
        assert_false(f.sub->failed);
    }
    stop(&f);
}

/* A peer that greets and leaves again and again is not dialled in a busy loop. */
static void test_hasty_peer_is_backed_off(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 7);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_GREETS);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 60000);
    assert_in_range(f.peer.accepted, 3, 20);
    assert_true(f.sub->failed);
    stop(&f);
}

static void test_unwanted_does_not_reconnect(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 8);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 5000);
    fl_subchannel_want(f.sub, false);
    fl_peer_drain(&f.peer);
    fl_world_run_ms(f.world, 60000);
    assert_int_equal(f.sub->state, FL_CHANNEL_IDLE);
    assert_int_equal(f.peer.accepted, 1);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    stop(&f);
}

/* A pod that became ready again is not kept waiting for the failures of before. */
static void test_wanted_again_forgets_backoff(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 14);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 100000); /* far into the backoff */
    assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
    fl_subchannel_want(f.sub, true); /* still wanted: nothing new is known */
    assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
    fl_subchannel_want(f.sub, false);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    assert_int_equal(f.sub->state, FL_CHANNEL_CONNECTING);
    assert_false(f.sub->failed);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    stop(&f);
}

static void test_new_identity_forgets_backoff(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 9);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 100000); /* far into the backoff */
    assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
    fl_subchannel_renew(f.sub); /* refused again, but its backoff begins anew */
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
    assert_true(f.sub->timer.at_ms - fl_io_now_ms(f.io) <= 1200);
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_renew(f.sub);
    assert_int_equal(f.sub->state, FL_CHANNEL_CONNECTING);
    assert_false(f.sub->failed);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);

    fl_subchannel_renew(f.sub); /* READY: the old connection leaves, a new one is made */
    assert_int_equal(f.sub->state, FL_CHANNEL_CONNECTING);
    fl_subchannel_renew(f.sub); /* CONNECTING: to whom nobody knows */
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    assert_int_equal(f.peer.open, 1);
    stop(&f);
}

static void test_leaves_from_every_state(void **state) {
    FL_UNUSED(state);
    for (int at_ms = -1; at_ms < 30; at_ms++) {
        for (int listening = 0; listening < 2; listening++) {
            struct fixture f;
            start(&f, (uint64_t)at_ms + 10);
            if (listening) fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
            if (at_ms >= 0) {
                fl_subchannel_want(f.sub, true);
                for (int i = 0; i < at_ms; i++) fl_world_step(f.world);
            }
            fl_subchannel_leave(f.sub);
            assert_int_equal(f.sub->state, FL_CHANNEL_SHUTDOWN);
            assert_null(fl_subchannel_usable(f.sub));
            fl_world_run_ms(f.world, 2000);
            assert_true(fl_list_empty(&f.connector.transports));
            stop(&f);
        }
    }
}

/* Without memory a further connection is not opened, and the one there is goes on. */
static void test_further_connection_with_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    start(&f, 15);
    f.connector.connections_max = 2;
    fl_peer_start(&f.peer, f.io, HOST, PORT, FL_PEER_HTTP);
    fl_subchannel_want(f.sub, true);
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.sub->state, FL_CHANNEL_READY);
    size_t n = 1;
    while (fl_subchannel_width(f.sub) == 1) {
        assert_true(fl_subchannel_may_widen(f.sub));
        fl_test_alloc_fail_at(n++);
        fl_subchannel_widen(f.sub);
        fl_test_alloc_fail_at(0);
        if (fl_subchannel_width(f.sub) == 1) assert_false(fl_subchannel_may_widen(f.sub));
        assert_int_equal(f.sub->state, FL_CHANNEL_READY);
        assert_non_null(fl_subchannel_usable(f.sub));
        fl_world_run_ms(f.world, 1000);
    }
    assert_in_range(n, 3, 100);
    assert_false(fl_subchannel_may_widen(f.sub)); /* as many as are allowed */
    fl_world_run_ms(f.world, 10);
    assert_int_equal(f.peer.open, 2);
    stop(&f);
}

static void test_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_world *world;
        if (fl_world_new(&(struct fl_world_options){.seed = 1}, &world) != 0) continue;
        struct fl_connector connector = {.io = fl_world_io(world),
                                         .connect_timeout_ms = 1000,
                                         .backoff_ms_min = 1000,
                                         .backoff_ms_max = 1000,
                                         .on_state = on_state,
                                         .on_room = on_room,
                                         .on_empty = on_empty};
        struct fixture sink = {.world = world};
        connector.arg = &sink;
        fl_list_init(&connector.transports);
        fl_connection_metrics_init(&connector.metrics, connector.io->metrics, "x", false);
        struct fl_subchannel *sub = NULL;
        int rc = fl_subchannel_new(&connector, HOST, PORT, HOST ":50051", &sub);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) {
            fl_subchannel_want(sub, true);
            fl_world_run_ms(world, 10); /* refused, or out of memory: a failure either way */
            assert_int_equal(sub->state, FL_CHANNEL_TRANSIENT_FAILURE);
            fl_subchannel_leave(sub);
            fl_subchannel_unref(sub);
        }
        fl_world_run_ms(world, 2000);
        fl_world_free(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects_when_wanted),
        cmocka_unit_test(test_backoff_when_refused),
        cmocka_unit_test(test_C12_silent_peer_ends_in_failure),
        cmocka_unit_test(test_black_hole_ends_in_failure),
        cmocka_unit_test(test_garbage_and_closing_peers),
        cmocka_unit_test(test_reconnects_at_once_after_ready),
        cmocka_unit_test(test_C8_goaway_makes_a_new_connection_at_once),
        cmocka_unit_test(test_C8_maximum_age_of_a_second_needs_no_backoff),
        cmocka_unit_test(test_hasty_peer_is_backed_off),
        cmocka_unit_test(test_unwanted_does_not_reconnect),
        cmocka_unit_test(test_wanted_again_forgets_backoff),
        cmocka_unit_test(test_new_identity_forgets_backoff),
        cmocka_unit_test(test_leaves_from_every_state),
        cmocka_unit_test(test_further_connection_with_each_allocation_failing),
        cmocka_unit_test(test_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
