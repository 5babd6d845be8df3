/* channel_idle_test.c - a channel without calls, and who is told of its state: on the virtual
 * world. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "registry/discovery.h"
#include "sim/sim.h"
#include "support/bed.h"

#define HOUR_MS    ((uint64_t)3600 * 1000)
#define TIMEOUT_MS 10000 /* where the default is too long to look at closely */

static int64_t value_of(const struct fl_bed *bed, enum fl_metric_kind kind, const char *name,
                        const char *labels) {
    return fl_metric_value(fl_metrics_get(bed->io->metrics, kind, name, "", labels));
}

static int64_t disconnects(const struct fl_bed *bed, const char *labels) {
    return value_of(bed, FL_METRIC_COUNTER, "fairlead_channel_disconnects_total", labels);
}

static int64_t connections(const struct fl_bed *bed) {
    return value_of(bed, FL_METRIC_GAUGE, "fairlead_channel_connections", "");
}

static void publish_one(struct fl_bed *bed, unsigned number) {
    struct fl_hand_endpoint endpoint = {fl_bed_host(number), FL_BED_PORT, FL_BED_READY,
                                        (uint8_t)number, NULL};
    fl_hand_publish(bed->hand, FL_SET_SOME, &endpoint, 1);
}

static void setup(struct fl_bed *bed, const struct fl_channel_options *options) {
    fl_bed_start(bed, NULL);
    fl_bed_open(bed, options);
}

static void expect_state(const struct fl_bed *bed, enum fl_channel_state state) {
    assert_string_equal(fl_channel_state_name(fl_channel_state(bed->channel)),
                        fl_channel_state_name(state));
}

/* --- entering and leaving --- */

static void test_half_an_hour_without_a_call_closes_the_sockets(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, NULL);
    struct fl_echo *one = fl_bed_echo(&bed, 1, 0), *two = fl_bed_echo(&bed, 2, 0);
    fl_bed_publish(&bed, 2);
    fl_world_run_ms(bed.world, 1000);
    fl_bed_call_now(&bed, &call, 100);
    fl_world_run_ms(bed.world, HOUR_MS / 2 - 1000);
    expect_state(&bed, FL_CHANNEL_READY);
    assert_int_equal(connections(&bed), 2);
    fl_world_run_ms(bed.world, 2000);
    expect_state(&bed, FL_CHANNEL_IDLE);
    assert_int_equal(connections(&bed), 0);
    assert_int_equal(disconnects(&bed, "cause=idle"), 2);
    fl_world_run_ms(bed.world, HOUR_MS);
    fl_bed_call_now(&bed, &call, 100);
    fl_bed_expect_ok(&call);
    expect_state(&bed, FL_CHANNEL_READY);
    fl_bed_kill(&bed, one);
    fl_bed_kill(&bed, two);
    fl_bed_stop(&bed);
}

static void test_an_open_call_keeps_it_busy(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 3 * TIMEOUT_MS);
    publish_one(&bed, 1);
    fl_bed_call(&bed, &call, NULL);
    fl_world_run_ms(bed.world, 3 * TIMEOUT_MS + 100);
    fl_bed_expect_ok(&call);
    fl_world_run_ms(bed.world, TIMEOUT_MS - 200); /* counts from its end */
    expect_state(&bed, FL_CHANNEL_READY);
    fl_world_run_ms(bed.world, 200);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_a_waiting_call_keeps_it_busy(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_bed_call(&bed, &call, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    fl_world_run_ms(bed.world, 10 * TIMEOUT_MS);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    fl_bed_expect_ok(&call);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

/* A call that fails at once, in the turn in which the time is over. */
static void test_a_call_that_ends_keeps_it_busy(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    struct fl_idle *idle = &bed.channel->loop_data.idle;
    fl_bed_call(&bed, &call, NULL);
    fl_io_timer_clear(bed.io, &idle->timer);
    idle->quiet_since_ms -= TIMEOUT_MS;
    idle->timer.run(&idle->timer);
    assert_false(idle->on);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(call.why, FL_EEMPTY);
    expect_state(&bed, FL_CHANNEL_TRANSIENT_FAILURE);
    fl_world_run_ms(bed.world, TIMEOUT_MS);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_bed_stop(&bed);
}

static void test_never_when_told_so(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = UINT32_MAX});
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 1500 * HOUR_MS);
    expect_state(&bed, FL_CHANNEL_READY);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

/* No attempt is made either, and what failed before is no reason to fail later. */
static void test_idle_tries_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    publish_one(&bed, 1); /* refuses */
    fl_world_run_ms(bed.world, TIMEOUT_MS + 10);
    expect_state(&bed, FL_CHANNEL_IDLE);
    int64_t tries =
        value_of(&bed, FL_METRIC_COUNTER, "fairlead_channel_connects_total", "cause=REFUSED");
    assert_true(tries > 1);
    fl_world_run_ms(bed.world, HOUR_MS);
    assert_int_equal(
        value_of(&bed, FL_METRIC_COUNTER, "fairlead_channel_connects_total", "cause=REFUSED"),
        tries);
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    fl_bed_call_now(&bed, &call, 100);
    fl_bed_expect_ok(&call);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_connect_leaves_idle_and_starts_its_time_anew(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, TIMEOUT_MS + 10);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_channel_connect(bed.channel);
    fl_world_run_ms(bed.world, TIMEOUT_MS - 100);
    expect_state(&bed, FL_CHANNEL_READY);
    fl_channel_connect(bed.channel);
    fl_world_run_ms(bed.world, TIMEOUT_MS - 100);
    expect_state(&bed, FL_CHANNEL_READY);
    fl_world_run_ms(bed.world, 200);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_channel_connect(bed.channel); /* and is closed before its wake-up */
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

/* A connection to an endpoint that may not take calls is closed as well. */
static void test_idle_closes_what_takes_no_calls(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_hand_endpoint endpoints[] = {{"10.0.0.1", FL_BED_PORT, FL_BED_READY, 1, NULL},
                                           {"10.0.0.2", FL_BED_PORT, FL_BED_READY, 2, NULL}};
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *one = fl_bed_echo(&bed, 1, 0), *two = fl_bed_echo(&bed, 2, 0);
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 100);
    endpoints[0].flags = FL_BED_TERMINATING;
    fl_hand_publish(bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(bed.world, 100);
    assert_int_equal(connections(&bed), 2);
    fl_world_run_ms(bed.world, TIMEOUT_MS);
    assert_int_equal(connections(&bed), 0);
    fl_bed_kill(&bed, one);
    fl_bed_kill(&bed, two);
    fl_bed_stop(&bed);
}

/* --- sets meanwhile --- */

static void test_C4_what_came_while_idle_takes_calls_at_once(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    bool seen[4] = {false};
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *echoes[3];
    for (unsigned i = 0; i < 3; i++) echoes[i] = fl_bed_echo(&bed, i + 1, 0);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, TIMEOUT_MS + 10);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_bed_publish(&bed, 3); /* scaled up */
    fl_world_run_ms(bed.world, HOUR_MS);
    assert_int_equal(connections(&bed), 0);
    fl_bed_call_now(&bed, &call, 100);
    fl_world_run_ms(bed.world, 10);
    for (int i = 0; i < 3; i++) {
        fl_bed_call_now(&bed, &call, 100);
        fl_bed_expect_ok(&call);
        seen[call.peer[7] - '0'] = true;
    }
    assert_true(seen[1] && seen[2] && seen[3]);
    for (unsigned i = 0; i < 3; i++) fl_bed_kill(&bed, echoes[i]);
    fl_bed_stop(&bed);
}

/* What discovery says of an idle channel's service is nobody's failure until somebody calls. */
static void test_idle_shows_through_what_discovery_says(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct fl_bed_call call;
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, TIMEOUT_MS + 10);
    fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    expect_state(&bed, FL_CHANNEL_IDLE);
    fl_bed_call_now(&bed, &call, 10);
    assert_int_equal(call.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(call.why, FL_EABSENT);
    expect_state(&bed, FL_CHANNEL_TRANSIENT_FAILURE);
    fl_bed_stop(&bed);
}

/* One endpoint takes the place of another `steps` events after `from_ms`, and calls come at once
 * and later: each goes to one that is alive. */
static void change_at(uint64_t from_ms, unsigned steps, bool call_first) {
    struct fl_bed bed;
    struct fl_bed_call before, calls[3];
    fl_bed_start(&bed, &(struct fl_world_options){.seed = steps, .reorder = true});
    fl_bed_open(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *old = fl_bed_echo(&bed, 1, 0), *new = fl_bed_echo(&bed, 2, 0);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 50);
    fl_bed_call_now(&bed, &before, 100);
    fl_world_run_ms(bed.world, before.ended_ms + from_ms - fl_io_now_ms(bed.io));
    if (call_first) fl_bed_call(&bed, &calls[0], NULL);
    for (unsigned i = 0; i < steps; i++) (void)fl_world_step(bed.world);
    publish_one(&bed, 2);
    if (!call_first) fl_bed_call(&bed, &calls[0], NULL);
    fl_world_run_ms(bed.world, 2);
    for (int i = 1; i < 3; i++) {
        fl_bed_call_now(&bed, &calls[i], 1000);
        assert_string_equal(calls[i].peer, "10.0.0.2:50051");
    }
    for (int i = 0; i < 3; i++) fl_bed_expect_ok(&calls[i]);
    fl_world_run_ms(bed.world, 2 * TIMEOUT_MS);
    expect_state(&bed, FL_CHANNEL_IDLE);
    assert_int_equal(connections(&bed), 0);
    fl_bed_kill(&bed, old);
    fl_bed_kill(&bed, new);
    fl_bed_stop(&bed);
}

static void test_endpoints_change_at_every_step(void **state) {
    FL_UNUSED(state);
    for (unsigned steps = 0; steps < 40; steps++) {
        change_at(TIMEOUT_MS - 1, steps, false); /* while it enters */
        change_at(TIMEOUT_MS - 1, steps, true);
        change_at(TIMEOUT_MS, steps, false);
        change_at(2 * TIMEOUT_MS, steps, true); /* while it leaves */
    }
}

/* --- with the whole of discovery (C1) --- */

struct deployment {
    struct fl_bed bed; /* its channel and world */
    struct fl_sim *sim;
    struct fl_discovery *discovery;
    unsigned closed;
};

#define KUBECONFIG                                                                                 \
    "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"                                         \
    "clusters: [{name: sim, cluster: {server: \"http://127.0.0.1:6443\"}}]\n"                      \
    "users: [{name: sim, user: {}}]\n"                                                             \
    "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n"

static void deploy(struct deployment *d) {
    const struct fl_sim_service service = {.name = "echo", .pods = 3};
    const struct fl_sim_options options = {
        .apiserver = {.host = FL_STR("127.0.0.1"), .port = 6443},
        .services = &service,
        .service_count = 1,
        .grace_ms = 1000,
    };
    struct fl_error err;
    memset(d, 0, sizeof(*d));
    fl_bed_start(&d->bed, NULL);
    int rc = fl_sim_new(d->bed.io, &options, &d->sim, &err);
    if (rc == 0) rc = fl_world_file(d->bed.world, "/kubeconfig", FL_STR(KUBECONFIG));
    if (rc == 0) rc = fl_world_env(d->bed.world, "KUBECONFIG", "/kubeconfig");
    if (rc == 0) rc = fl_discovery_new_on(d->bed.io, NULL, &d->discovery, &err);
    if (rc == 0)
        rc = fl_channel_open(d->bed.io, d->discovery, "kubernetes:///default/echo:grpc",
                             &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS},
                             &d->bed.channel, &err);
    assert_int_equal(rc, 0);
    fl_world_run_ms(d->bed.world, 5000);
    expect_state(&d->bed, FL_CHANNEL_READY);
}

static void count_closed(void *arg) { (*(unsigned *)arg)++; }

static void undeploy(struct deployment *d) {
    fl_bed_close(&d->bed);
    fl_discovery_close(d->discovery, count_closed, &d->closed);
    fl_world_run_ms(d->bed.world, 60000);
    fl_sim_close(d->sim, count_closed, &d->closed);
    fl_world_run_ms(d->bed.world, 60000);
    assert_int_equal(d->closed, 2);
    fl_bed_stop(&d->bed);
}

static void roll(struct deployment *d) {
    int rc = fl_sim_roll(d->sim, "echo", NULL);
    assert_int_equal(rc, 0);
    fl_world_run_ms(d->bed.world, 60000);
    assert_false(fl_sim_rolling(d->sim, "echo"));
}

/* Every pod has another address after an hour; the first call goes straight to one of them, within
 * a turn there and back, and the API server is asked for nothing. */
static void test_C1_first_call_after_an_idle_hour(void **state) {
    FL_UNUSED(state);
    struct deployment d;
    struct fl_bed_call call;
    deploy(&d);
    fl_world_run_ms(d.bed.world, TIMEOUT_MS);
    expect_state(&d.bed, FL_CHANNEL_IDLE);
    for (int i = 0; i < 3; i++) {
        roll(&d);
        fl_world_run_ms(d.bed.world, HOUR_MS);
        expect_state(&d.bed, FL_CHANNEL_IDLE);
        uint64_t requests = fl_apiserver_requests(fl_sim_apiserver(d.sim));
        fl_bed_call_now(&d.bed, &call, 10);
        fl_bed_expect_ok(&call);
        assert_int_equal(fl_apiserver_requests(fl_sim_apiserver(d.sim)), requests);
        fl_world_run_ms(d.bed.world, TIMEOUT_MS + 100);
    }
    undeploy(&d);
}

static void lose_apiserver(struct deployment *d) {
    fl_world_fault(d->bed.world, FL_STR("127.0.0.1:6443"), FL_WORLD_REFUSE);
    fl_world_cut(d->bed.world, FL_STR("127.0.0.1:6443"));
    fl_world_run_ms(d->bed.world, HOUR_MS); /* the backoff is at its cap of 30 to 60 s */
}

/* Leaving idle while the API server was last seen away: it is asked at once instead of at the end
 * of the backoff; the call does not wait for it. */
static void test_C1_leaving_idle_resumes_discovery(void **state) {
    FL_UNUSED(state);
    struct deployment d;
    struct fl_bed_call call;
    deploy(&d);
    for (unsigned i = 0; i < 10; i++) {
        lose_apiserver(&d);
        expect_state(&d.bed, FL_CHANNEL_IDLE);
        int rc = fl_sim_scale(d.sim, "echo", 4 + i, NULL);
        assert_int_equal(rc, 0);
        fl_world_run_ms(d.bed.world, 60000);
        uint64_t version = fl_set_version(d.bed.channel->loop_data.newest);
        assert_int_not_equal(d.bed.channel->loop_data.trouble.code, FL_OK);
        fl_world_fault(d.bed.world, FL_STR("127.0.0.1:6443"), FL_WORLD_OK);
        fl_bed_call_now(&d.bed, &call, 10); /* the pods are where they were */
        fl_bed_expect_ok(&call);
        fl_world_run_ms(d.bed.world, 1000);
        assert_true(fl_set_version(d.bed.channel->loop_data.newest) > version);
        assert_int_equal(fl_set_stale_ms(d.bed.channel->loop_data.newest), 0);
    }
    undeploy(&d);
}

static int64_t watches(const struct fl_bed *bed) {
    return value_of(bed, FL_METRIC_COUNTER, "reflector_watches_total", "name=services") +
           value_of(bed, FL_METRIC_COUNTER, "reflector_watches_total", "name=endpointslices");
}

/* One that is still away is tried once more each time, and not more often than every 5 s however
 * many channels leave idle. */
static void test_W12_leaving_idle_in_an_outage_costs_one_attempt(void **state) {
    FL_UNUSED(state);
    struct deployment d;
    struct fl_bed_call call;
    deploy(&d);
    lose_apiserver(&d);
    int64_t before = watches(&d.bed);
    fl_bed_call_now(&d.bed, &call, 10);
    fl_world_run_ms(d.bed.world, 1000);
    for (int i = 0; i < 100; i++) fl_subscription_hurry(d.bed.channel->subscription);
    fl_world_run_ms(d.bed.world, 100);
    assert_in_range(watches(&d.bed) - before, 1, 2); /* one may have been due */
    fl_world_fault(d.bed.world, FL_STR("127.0.0.1:6443"), FL_WORLD_OK);
    undeploy(&d);
}

/* --- who watches the state --- */

struct viewer {
    struct fl_bed *bed;
    struct fl_state_watch *watch;
    char states[256]; /* "CONNECTING READY " */
    int why;          /* of the last; FL_OK: none */
    unsigned done;
    bool leaves, closes;
};

static void gone(void *arg) { ((struct viewer *)arg)->done++; }

static void viewed(void *arg, enum fl_channel_state state, const struct fl_error *why) {
    struct viewer *viewer = arg;
    assert_int_equal(viewer->done, 0);
    size_t n = strlen(viewer->states);
    snprintf(viewer->states + n, sizeof(viewer->states) - n, "%s ", fl_channel_state_name(state));
    viewer->why = why ? why->code : FL_OK;
    if (viewer->leaves) fl_channel_unwatch_state(viewer->watch, gone, viewer);
    if (viewer->closes && state != FL_CHANNEL_SHUTDOWN) {
        fl_channel_close(viewer->bed->channel, NULL, NULL);
        viewer->bed->channel = NULL;
    }
}

static void view(struct fl_bed *bed, struct viewer *viewer) {
    *viewer = (struct viewer){.bed = bed, .leaves = viewer->leaves, .closes = viewer->closes};
    int rc = fl_channel_watch_state(bed->channel, viewed, viewer, &viewer->watch, NULL);
    assert_int_equal(rc, 0);
    assert_string_equal(viewer->states, "");
}

static void test_every_state_is_told(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct viewer early = {0}, late = {0};
    setup(&bed, &(struct fl_channel_options){.idle_timeout_ms = TIMEOUT_MS});
    struct fl_echo *echo = fl_bed_echo(&bed, 1, 0);
    view(&bed, &early);
    fl_world_run_ms(bed.world, 10);
    assert_string_equal(early.states, "CONNECTING ");
    assert_int_equal(early.why, FL_EUNKNOWN);
    publish_one(&bed, 1);
    fl_world_run_ms(bed.world, 100);
    view(&bed, &late);
    fl_world_run_ms(bed.world, 100);
    assert_string_equal(early.states, "CONNECTING READY ");
    assert_string_equal(late.states, "READY ");
    assert_int_equal(late.why, FL_OK);
    fl_hand_publish(bed.hand, FL_SET_SOME, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    assert_string_equal(late.states, "READY TRANSIENT_FAILURE ");
    assert_int_equal(late.why, FL_EEMPTY);
    fl_channel_unwatch_state(early.watch, gone, &early);
    fl_world_run_ms(bed.world, TIMEOUT_MS);
    assert_int_equal(early.done, 1);
    assert_string_equal(late.states, "READY TRANSIENT_FAILURE IDLE ");
    assert_int_equal(late.why, FL_OK);
    fl_bed_close(&bed);
    assert_string_equal(late.states, "READY TRANSIENT_FAILURE IDLE SHUTDOWN ");
    assert_int_equal(late.why, FL_ESHUTDOWN);
    assert_string_equal(early.states, "CONNECTING READY TRANSIENT_FAILURE ");
    fl_channel_unwatch_state(late.watch, gone, &late);
    fl_channel_unwatch_state(NULL, gone, &late);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(late.done, 1);
    fl_bed_kill(&bed, echo);
    fl_bed_stop(&bed);
}

static void test_a_watch_ends_from_within_its_callback(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct viewer viewer = {.leaves = true};
    setup(&bed, NULL);
    view(&bed, &viewer);
    fl_world_run_ms(bed.world, 10);
    fl_hand_publish(bed.hand, FL_SET_ABSENT, NULL, 0);
    fl_world_run_ms(bed.world, 10);
    assert_string_equal(viewer.states, "CONNECTING ");
    assert_int_equal(viewer.done, 1);
    fl_bed_stop(&bed);
}

static void test_a_channel_is_closed_from_within_the_callback(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    struct viewer viewer = {.closes = true}, other = {0};
    setup(&bed, NULL);
    view(&bed, &viewer);
    view(&bed, &other);
    fl_world_run_ms(bed.world, 1000);
    assert_string_equal(viewer.states, "CONNECTING SHUTDOWN ");
    assert_string_equal(other.states, "CONNECTING SHUTDOWN ");
    fl_channel_unwatch_state(viewer.watch, gone, &viewer);
    fl_channel_unwatch_state(other.watch, NULL, NULL);
    fl_world_run_ms(bed.world, 10);
    assert_int_equal(viewer.done, 1);
    fl_bed_stop(&bed);
}

/* Begun, and the channel or the watch or both are ended, before the loop knows of it. */
static void test_watch_and_close_in_one_turn(void **state) {
    FL_UNUSED(state);
    for (int order = 0; order < 3; order++) {
        struct fl_bed bed;
        struct viewer viewer = {0};
        setup(&bed, NULL);
        view(&bed, &viewer);
        if (order == 0) fl_channel_unwatch_state(viewer.watch, gone, &viewer);
        fl_bed_close(&bed);
        if (order > 0) {
            assert_non_null(strstr(viewer.states, "SHUTDOWN "));
            fl_channel_unwatch_state(viewer.watch, gone, &viewer);
        }
        fl_bed_stop(&bed);
        assert_int_equal(viewer.done, 1);
    }
}

static void test_watching_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    setup(&bed, NULL);
    fl_world_run_ms(bed.world, 10);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_state_watch *watch;
        struct fl_error err;
        int rc = fl_channel_watch_state(bed.channel, viewed, NULL, &watch, &err);
        fl_channel_unwatch_state(watch, NULL, NULL);
        assert_true(rc == 0 || (rc == FL_ENOMEM && !watch && err.code == rc));
    }
    fl_world_run_ms(bed.world, 10);
    fl_bed_stop(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_an_hour_without_a_call_closes_the_sockets),
        cmocka_unit_test(test_an_open_call_keeps_it_busy),
        cmocka_unit_test(test_a_waiting_call_keeps_it_busy),
        cmocka_unit_test(test_a_call_that_ends_keeps_it_busy),
        cmocka_unit_test(test_never_when_told_so),
        cmocka_unit_test(test_idle_tries_nothing),
        cmocka_unit_test(test_connect_leaves_idle_and_starts_its_time_anew),
        cmocka_unit_test(test_idle_closes_what_takes_no_calls),
        cmocka_unit_test(test_C4_what_came_while_idle_takes_calls_at_once),
        cmocka_unit_test(test_idle_shows_through_what_discovery_says),
        cmocka_unit_test(test_endpoints_change_at_every_step),
        cmocka_unit_test(test_C1_first_call_after_an_idle_hour),
        cmocka_unit_test(test_C1_leaving_idle_resumes_discovery),
        cmocka_unit_test(test_W12_leaving_idle_in_an_outage_costs_one_attempt),
        cmocka_unit_test(test_every_state_is_told),
        cmocka_unit_test(test_a_watch_ends_from_within_its_callback),
        cmocka_unit_test(test_a_channel_is_closed_from_within_the_callback),
        cmocka_unit_test(test_watch_and_close_in_one_turn),
        cmocka_unit_test(test_watching_without_memory),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
