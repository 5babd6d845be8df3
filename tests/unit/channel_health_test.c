/* The health watch of a channel (gRFC A17) against servers whose health changes, on the virtual
 * world. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "server/health_service.h"
#include "support/bed.h"

#define PODS    3
#define SERVICE "ships"
#define CONFIG  "{\"healthCheckConfig\": {\"serviceName\": \"" SERVICE "\"}}"

/* --- pods: an echo, and a health service that is ours, scripted, or not there --- */

enum manner { HEALTHY, NO_HEALTH, SILENT, FAILS, GARBAGE, ANSWERS_AND_ENDS, ANSWERS };

struct pod {
    struct fl_health_service *health;
    struct fl_grpc_server *server;
    enum manner manner;
    unsigned watches;
    struct fl_grpc_call *watch; /* the last one that was answered */
};

struct fixture {
    struct fl_bed bed;
    struct pod pods[PODS];
};

static void echo(void *arg, struct fl_grpc_call *call, struct fl_str request) {
    FL_UNUSED(arg);
    fl_grpc_call_reply(call, FL_STATUS_OK, FL_STR_NONE, request);
}

static void scripted_message(void *arg, struct fl_grpc_call *call, struct fl_str message) {
    FL_UNUSED(message);
    struct pod *pod = arg;
    struct fl_str answer = pod->manner == GARBAGE ? FL_STR("\10") : FL_STR("\10\1");
    pod->watches++;
    if (pod->manner == SILENT) return;
    if (pod->manner != FAILS && fl_grpc_call_send(call, answer) == 0 &&
        pod->manner != ANSWERS_AND_ENDS) {
        pod->watch = call;
        return;
    }
    fl_grpc_call_finish(call, FL_STATUS_INTERNAL, FL_STR("broken"), FL_HTTP_HEADERS_NONE);
}

static const struct fl_grpc_method echo_methods[] = {{.name = "UnaryEcho", .unary = echo}};
static const struct fl_grpc_call_events scripted_events = {.on_message = scripted_message};
static const struct fl_grpc_method scripted_methods[] = {
    {.name = "Watch", .events = &scripted_events}};

static void start_pod(struct fixture *f, unsigned i, enum manner manner) {
    struct pod *pod = &f->pods[i];
    struct fl_grpc_service services[2] = {
        {"grpc.examples.echo.Echo", echo_methods, FL_COUNT(echo_methods), NULL}};
    *pod = (struct pod){.manner = manner};
    if (manner == HEALTHY) {
        pod->health = fl_health_service_new();
        assert_non_null(pod->health);
        assert_int_equal(fl_health_service_set(pod->health, FL_STR(SERVICE), FL_HEALTH_SERVING), 0);
        services[1] = fl_health_service_of(pod->health);
    } else {
        services[1] = (struct fl_grpc_service){"grpc.health.v1.Health", scripted_methods,
                                               FL_COUNT(scripted_methods), pod};
    }
    const struct fl_grpc_server_options options = {
        .host = fl_str_of(fl_bed_host(i + 1)),
        .port = FL_BED_PORT,
        .services = services,
        .service_count = manner == NO_HEALTH ? 1 : 2,
    };
    assert_int_equal(fl_grpc_server_new(f->bed.io, &options, &pod->server, NULL), 0);
}

static void killed(void *arg) { *(bool *)arg = true; }
static bool is_true(void *arg) { return *(bool *)arg; }

static void kill_pod(struct fixture *f, unsigned i) {
    struct pod *pod = &f->pods[i];
    bool done = false;
    if (!pod->server) return;
    fl_grpc_server_kill(pod->server, killed, &done);
    assert_true(fl_world_run_until(f->bed.world, is_true, &done, 5000));
    fl_health_service_free(pod->health);
    *pod = (struct pod){.server = NULL};
}

static void set_up(struct fixture *f, unsigned count, enum manner manner,
                   const struct fl_channel_options *options) {
    memset(f, 0, sizeof(*f));
    fl_bed_start(&f->bed, NULL);
    for (unsigned i = 0; i < count; i++) start_pod(f, i, manner);
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, count);
    fl_world_run_ms(f->bed.world, 100);
}

static void tear_down(struct fixture *f) {
    fl_bed_close(&f->bed);
    for (unsigned i = 0; i < PODS; i++) kill_pod(f, i);
    fl_bed_stop(&f->bed);
}

static void say(struct fixture *f, unsigned i, enum fl_health_status status) {
    assert_int_equal(fl_health_service_set(f->pods[i].health, FL_STR(SERVICE), status), 0);
    fl_world_run_ms(f->bed.world, 10);
}

/* --- what the channel makes of them --- */

static const struct fl_channel_options by_option = {.health = {.grpc_service = SERVICE}};
static const struct fl_channel_options by_config = {.service_config = CONFIG};

static struct fl_bed_call call(struct fixture *f) {
    struct fl_bed_call call;
    fl_bed_call_now(&f->bed, &call, 60000);
    return call;
}

/* Which pods answer: bit by bit. */
static unsigned answering(struct fixture *f) {
    unsigned seen = 0;
    for (int i = 0; i < 4 * PODS; i++) {
        struct fl_bed_call one = call(f);
        assert_int_equal(one.status, FL_STATUS_OK);
        seen |= 1u << (one.peer[strlen("10.0.0.")] - '1');
    }
    return seen;
}

static struct fl_subchannel *sub_of(const struct fixture *f, unsigned i) {
    char peer[32];
    snprintf(peer, sizeof(peer), "%s:%u", fl_bed_host(i + 1), FL_BED_PORT);
    return fl_map_get(&f->bed.channel->loop_data.subs, fl_str_of(peer));
}

static void expect_unavailable(struct fixture *f, const char *in_message) {
    struct fl_bed_call failed = call(f);
    assert_int_equal(failed.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(failed.why, FL_EUNHEALTHY);
    if (!strstr(failed.message, in_message)) fail_msg("%s", failed.message);
}

static const char *why_of(struct fixture *f, int i) {
    return fl_kept_error_peek(&sub_of(f, i)->why)->detail;
}

static void follow_health(const struct fl_channel_options *options) {
    struct fixture f;
    set_up(&f, PODS, HEALTHY, options);
    assert_int_equal(answering(&f), 7);
    say(&f, 1, FL_HEALTH_NOT_SERVING);
    assert_int_equal(answering(&f), 5);
    assert_int_equal(sub_of(&f, 1)->state, FL_CHANNEL_TRANSIENT_FAILURE);
    assert_int_equal(sub_of(&f, 1)->why.code, FL_EUNHEALTHY);
    assert_non_null(strstr(why_of(&f, 1), "NOT_SERVING"));
    assert_non_null(sub_of(&f, 1)->current); /* the connection stays */
    say(&f, 0, FL_HEALTH_UNKNOWN);
    assert_non_null(strstr(why_of(&f, 0), "UNKNOWN"));
    say(&f, 1, FL_HEALTH_SERVICE_UNKNOWN);
    assert_non_null(strstr(why_of(&f, 1), "SERVICE_UNKNOWN"));
    assert_int_equal(answering(&f), 4);
    say(&f, 0, FL_HEALTH_SERVING);
    say(&f, 1, FL_HEALTH_SERVING);
    assert_int_equal(answering(&f), 7);
    tear_down(&f);
}

static void test_only_who_is_serving_is_called(void **state) {
    FL_UNUSED(state);
    follow_health(&by_option);
}

/* Configured in any way is on, with any policy. */
static void test_C14_configured_means_on(void **state) {
    FL_UNUSED(state);
    static const enum fl_balance_policy policies[] = {FL_BALANCE_ROUND_ROBIN,
                                                      FL_BALANCE_LEAST_REQUEST,
                                                      FL_BALANCE_RING_HASH, FL_BALANCE_RENDEZVOUS};
    follow_health(&by_config);
    for (size_t i = 0; i < FL_COUNT(policies); i++) {
        follow_health(&(struct fl_channel_options){.health = {.grpc_service = SERVICE},
                                                   .balance = {.policy = policies[i]}});
    }
}

static void test_C14_pick_first_moves_on(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, PODS, HEALTHY,
           &(struct fl_channel_options){.service_config = CONFIG,
                                        .balance = {.policy = FL_BALANCE_PICK_FIRST}});
    assert_int_equal(answering(&f), 1);
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    assert_int_equal(answering(&f), 2);
    say(&f, 1, FL_HEALTH_NOT_SERVING);
    assert_int_equal(answering(&f), 4);
    say(&f, 2, FL_HEALTH_NOT_SERVING);
    fl_world_run_ms(f.bed.world, 1000);
    expect_unavailable(&f, "no endpoint of hand:///echo is healthy");
    say(&f, 1, FL_HEALTH_SERVING);
    assert_int_equal(answering(&f), 2);
    tear_down(&f);
}

static void test_C14_what_cannot_be_is_an_error_at_creation(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    static char name[2000];
    memset(name, 'x', sizeof(name) - 1);
    fl_bed_start(&bed, NULL);
    struct fl_channel_options options = {.health = {.grpc_service = name}};
    struct fl_channel *channel;
    struct fl_error err;
    int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &channel, &err);
    assert_int_equal(rc, FL_EUSAGE);
    assert_non_null(strstr(err.detail, "health"));
    options = (struct fl_channel_options){.protocol = FL_PROTOCOL_HTTP,
                                          .health = {.grpc_service = SERVICE}};
    rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &channel, &err);
    assert_int_equal(rc, FL_EUSAGE);
    assert_non_null(strstr(err.detail, "health: grpc_service"));
    options = (struct fl_channel_options){.service_config =
                                              "{\"healthCheckConfig\": {\"serviceName\": 1}}"};
    rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &channel, &err);
    assert_int_equal(rc, FL_ECONFIG);
    assert_non_null(strstr(err.detail, "healthCheckConfig.serviceName"));
    fl_bed_stop(&bed);
}

/* Calls wait for the first answer and do not fail for it. */
static void test_ready_only_with_the_first_answer(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call waiting;
    set_up(&f, 1, SILENT, &by_option);
    assert_int_equal(sub_of(&f, 0)->raw_state, FL_CHANNEL_READY);
    assert_int_equal(sub_of(&f, 0)->state, FL_CHANNEL_CONNECTING);
    fl_bed_call(&f.bed, &waiting, NULL);
    fl_world_run_ms(f.bed.world, 19000);
    assert_int_equal(waiting.ended, 0);
    fl_world_run_ms(f.bed.world, 2000); /* silence has a deadline */
    assert_int_equal(waiting.ended, 1);
    assert_int_equal(waiting.why, FL_EUNHEALTHY);
    assert_non_null(strstr(waiting.message, "no answer within 20000 ms"));
    tear_down(&f);
}

static void test_all_unhealthy_is_transient_failure(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_bed_call patient;
    set_up(&f, 2, HEALTHY, &by_option);
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    say(&f, 1, FL_HEALTH_NOT_SERVING);
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_TRANSIENT_FAILURE);
    expect_unavailable(&f, "NOT_SERVING");
    fl_bed_call(&f.bed, &patient, &(struct fl_call_options){.wait_for_ready = FL_WAIT_YES});
    fl_world_run_ms(f.bed.world, 1000);
    assert_int_equal(patient.ended, 0);
    say(&f, 1, FL_HEALTH_SERVING);
    fl_world_run_ms(f.bed.world, 10);
    fl_bed_expect_ok(&patient);
    tear_down(&f);
}

static char logged[16384];

static void on_log(void *arg, const char *line, size_t len) {
    FL_UNUSED(arg);
    size_t used = strlen(logged);
    fl_str_copy(logged + used, sizeof(logged) - used, fl_str_n(line, len));
}

static unsigned count_in_log(const char *text) {
    unsigned count = 0;
    for (const char *at = logged; (at = strstr(at, text)) != NULL; at++) count++;
    return count;
}

static void test_no_health_service_is_healthy_and_said_once(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    logged[0] = '\0';
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_WARN, .write = on_log});
    set_up(&f, PODS, NO_HEALTH, &by_option);
    assert_int_equal(answering(&f), 7);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    assert_int_equal(count_in_log("server has no health service"), 1);
    tear_down(&f);
}

/* Tried again, but with the backoff of connections. */
static void fails_with_backoff(enum manner manner, const char *in_message) {
    struct fixture f;
    set_up(&f, 1, manner, &by_option);
    expect_unavailable(&f, in_message);
    fl_world_run_ms(f.bed.world, 60000);
    assert_in_range(f.pods[0].watches, 5, 9); /* after 1, 2.6, 5.2, 9.3, 15.8, 26.3, 43.1 s */
    assert_int_equal(sub_of(&f, 0)->raw_state, FL_CHANNEL_READY);
    tear_down(&f);
}

static void test_a_watch_that_fails(void **state) {
    FL_UNUSED(state);
    fails_with_backoff(FAILS, "INTERNAL: broken");
    fails_with_backoff(GARBAGE, "malformed HealthCheckResponse");
    fails_with_backoff(ANSWERS_AND_ENDS, "INTERNAL: broken");
}

static void cut_watch(struct fixture *f) {
    fl_grpc_call_finish(f->pods[0].watch, FL_STATUS_UNAVAILABLE, FL_STR("max stream age"),
                        FL_HTTP_HEADERS_NONE);
}

/* A proxy that limits the age of streams costs no call; a health service that is gone does. */
static void test_a_steady_watch_is_started_again_at_once(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 1, ANSWERS, &by_option);
    fl_world_run_ms(f.bed.world, 5000);
    cut_watch(&f);
    for (int i = 0; i < 20; i++) {
        fl_world_run_ms(f.bed.world, 1);
        assert_int_equal(sub_of(&f, 0)->state, FL_CHANNEL_READY);
    }
    assert_int_equal(f.pods[0].watches, 2);
    fl_world_run_ms(f.bed.world, 5000);
    f.pods[0].manner = FAILS;
    cut_watch(&f);
    fl_world_run_ms(f.bed.world, 20);
    assert_int_equal(f.pods[0].watches, 3);
    expect_unavailable(&f, "INTERNAL: broken");
    tear_down(&f);
}

static void test_readiness_comes_first(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    const struct fl_hand_endpoint endpoints[] = {
        {.address = "10.0.0.1", .port = FL_BED_PORT, .flags = FL_ENDPOINT_SERVING},
        {.address = "10.0.0.2", .port = FL_BED_PORT}};
    set_up(&f, 2, HEALTHY, &by_option);
    assert_int_equal(answering(&f), 3);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, endpoints, 2);
    fl_world_run_ms(f.bed.world, 10);
    assert_int_equal(sub_of(&f, 0)->state, FL_CHANNEL_READY); /* and says SERVING */
    assert_int_equal(answering(&f), 2);
    say(&f, 1, FL_HEALTH_NOT_SERVING);
    expect_unavailable(&f, "NOT_SERVING"); /* not even when nobody else is left */
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    fl_bed_publish(&f.bed, 2);
    fl_world_run_ms(f.bed.world, 10);
    expect_unavailable(&f, "NOT_SERVING"); /* ready again, and still not healthy */
    tear_down(&f);
}

/* The watch is a stream that never ends: it must not keep what drains. */
static void test_a_watch_does_not_keep_a_connection(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 2, HEALTHY, &by_option);
    fl_bed_publish(&f.bed, 1);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(fl_grpc_server_connections(f.pods[1].server), 0);
    bool done = false;
    fl_grpc_server_drain(f.pods[0].server, fl_io_now_ms(f.bed.io) + 600000, killed, &done);
    fl_world_run_ms(f.bed.world, 100);
    assert_true(done); /* GOAWAY and an end of the watch's stream */
    fl_health_service_free(f.pods[0].health);
    f.pods[0] = (struct pod){.server = NULL};
    tear_down(&f);
}

static void test_idle_ends_watches_and_a_call_brings_them_back(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(
        &f, 2, HEALTHY,
        &(struct fl_channel_options){.health = {.grpc_service = SERVICE}, .idle_timeout_ms = 1000});
    fl_world_run_ms(f.bed.world, 3000);
    assert_int_equal(fl_grpc_server_connections(f.pods[0].server), 0);
    say(&f, 0, FL_HEALTH_NOT_SERVING); /* nobody hears */
    assert_int_equal(answering(&f), 2);
    tear_down(&f);
}

static void test_new_pod_at_the_address_is_asked_itself(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 1, HEALTHY, &by_option);
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    expect_unavailable(&f, "NOT_SERVING");
    kill_pod(&f, 0);
    start_pod(&f, 0, HEALTHY);
    fl_hand_publish(
        f.bed.hand, FL_SET_SOME,
        &(struct fl_hand_endpoint){.address = "10.0.0.1", .port = FL_BED_PORT, .uid = 2}, 1);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(answering(&f), 1);
    tear_down(&f);
}

/* Both are asked: each alone takes the endpoint away, and the cause is of who does. */
static void test_watch_and_checks_together(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 1, HEALTHY,
           &(struct fl_channel_options){
               .health = {.grpc_service = SERVICE,
                          .check = {.kind = FL_HEALTH_CHECK_TCP, .interval_ms = 1000}}});
    assert_int_equal(answering(&f), 1);
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    expect_unavailable(&f, "NOT_SERVING");
    fl_world_run_ms(f.bed.world, 5000); /* passed checks change nothing */
    expect_unavailable(&f, "NOT_SERVING");
    say(&f, 0, FL_HEALTH_SERVING);
    assert_int_equal(answering(&f), 1);
    tear_down(&f);
    set_up(&f, 1, HEALTHY,
           &(struct fl_channel_options){
               .health = {.grpc_service = SERVICE,
                          .check = {.kind = FL_HEALTH_CHECK_TCP, .port = 9}}});
    expect_unavailable(&f, "health check of port 9"); /* whatever it says */
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    say(&f, 0, FL_HEALTH_SERVING);
    expect_unavailable(&f, "health check of port 9");
    tear_down(&f);
}

static int64_t unhealthy_gauge(const struct fixture *f) {
    return fl_metric_value(fl_metrics_get(f->bed.io->metrics, FL_METRIC_GAUGE,
                                          "fairlead_channel_unhealthy", "", "check=grpc"));
}

static void test_gauge_goes_up_and_down(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 2, HEALTHY, &by_option);
    say(&f, 0, FL_HEALTH_NOT_SERVING);
    say(&f, 1, FL_HEALTH_UNKNOWN);
    say(&f, 1, FL_HEALTH_NOT_SERVING);
    assert_int_equal(unhealthy_gauge(&f), 2);
    say(&f, 0, FL_HEALTH_SERVING);
    assert_int_equal(unhealthy_gauge(&f), 1);
    fl_bed_close(&f.bed);
    assert_int_equal(unhealthy_gauge(&f), 0);
    tear_down(&f);
}

static void test_opening_with_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_channel *channel = NULL;
        int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &by_option, &channel, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_channel_close(channel, NULL, NULL);
        fl_world_run_ms(bed.world, 3000);
    }
    fl_bed_stop(&bed);
}

/* Every allocation from the set to an answered call fails in turn: it is well again in time. */
static void test_watching_with_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    for (size_t n = 1, reached = 1; reached; n++) {
        struct fixture f;
        set_up(&f, 0, HEALTHY, &by_option);
        start_pod(&f, 0, ANSWERS);
        const struct fl_hand_endpoint one = {.address = "10.0.0.1", .port = FL_BED_PORT};
        fl_hand_publish(f.bed.hand, FL_SET_SOME, &one, 1);
        fl_test_alloc_fail_at(n);
        fl_world_run_ms(f.bed.world, 10000);
        reached = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        assert_int_equal(answering(&f), 1);
        tear_down(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_who_is_serving_is_called),
        cmocka_unit_test(test_C14_configured_means_on),
        cmocka_unit_test(test_C14_pick_first_moves_on),
        cmocka_unit_test(test_C14_what_cannot_be_is_an_error_at_creation),
        cmocka_unit_test(test_ready_only_with_the_first_answer),
        cmocka_unit_test(test_all_unhealthy_is_transient_failure),
        cmocka_unit_test(test_no_health_service_is_healthy_and_said_once),
        cmocka_unit_test(test_a_watch_that_fails),
        cmocka_unit_test(test_a_steady_watch_is_started_again_at_once),
        cmocka_unit_test(test_readiness_comes_first),
        cmocka_unit_test(test_a_watch_does_not_keep_a_connection),
        cmocka_unit_test(test_idle_ends_watches_and_a_call_brings_them_back),
        cmocka_unit_test(test_new_pod_at_the_address_is_asked_itself),
        cmocka_unit_test(test_watch_and_checks_together),
        cmocka_unit_test(test_gauge_goes_up_and_down),
        cmocka_unit_test(test_opening_with_each_allocation_failing),
        cmocka_unit_test(test_watching_with_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
