/* Active checks of a channel's endpoints, by TCP and HTTP, on the virtual world. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "channel/state.h"
#include "support/bed.h"

#define PODS       3
#define CHECK_PORT 8080

/* A pod answers calls, and what is checked beside that does what the test says. */
struct pod {
    struct fl_echo *echo;
    struct fl_listener *listener;
    struct fl_io *io;
    int status; /* 0: silence */
    unsigned checks, open, open_max;
    char path[32], host[32];
};

struct fixture {
    struct fl_bed bed;
    struct pod pods[PODS];
};

static void on_stream_close(void *arg, struct fl_http_stream *stream, const struct fl_error *why,
                            uint32_t h2_code) {
    FL_UNUSED(arg);
    FL_UNUSED(stream);
    FL_UNUSED(why);
    FL_UNUSED(h2_code);
}

static const struct fl_http_stream_events stream_events = {.on_close = on_stream_close};

static void on_request(void *arg, struct fl_http_conn *conn, struct fl_http_stream *stream,
                       const struct fl_http_request *head) {
    FL_UNUSED(conn);
    struct pod *pod = arg;
    fl_str_copy(pod->path, sizeof(pod->path), head->path);
    fl_str_copy(pod->host, sizeof(pod->host), head->authority);
    fl_http_stream_attach(stream, &stream_events, pod);
    const struct fl_http_response response = {.status = pod->status};
    if (pod->status != 0) assert_int_equal(fl_http_stream_respond(stream, &response, true), 0);
}

static void on_conn_close(void *arg, struct fl_http_conn *conn, const struct fl_error *why) {
    FL_UNUSED(conn);
    FL_UNUSED(why);
    ((struct pod *)arg)->open--;
}

static const struct fl_http_conn_events conn_events = {.on_request = on_request,
                                                       .on_close = on_conn_close};

static void on_accept(void *arg, struct fl_sock *sock) {
    struct pod *pod = arg;
    struct fl_http_conn *conn;
    const struct fl_http_options options = {.version = FL_HTTP_1};
    int rc = fl_http_conn_take_accepted(pod->io, sock, &options, &conn_events, pod, &conn, NULL);
    if (rc != 0) return; /* an allocation failed, as the test wants */
    pod->checks++;
    pod->open++;
    pod->open_max = FL_MAX(pod->open_max, pod->open);
}

static void listen_for_checks(struct fixture *f, unsigned i) {
    struct pod *pod = &f->pods[i];
    pod->io = f->bed.io;
    assert_int_equal(fl_io_listen(pod->io, fl_str_of(fl_bed_host(i + 1)), CHECK_PORT, NULL,
                                  on_accept, pod, &pod->listener, NULL),
                     0);
}

static void deny_checks(struct fixture *f, unsigned i) {
    if (f->pods[i].listener) fl_listener_close(f->bed.io, f->pods[i].listener);
    f->pods[i].listener = NULL;
}

static void set_up(struct fixture *f, unsigned count, const struct fl_channel_options *options) {
    memset(f, 0, sizeof(*f));
    fl_bed_start(&f->bed, NULL);
    for (unsigned i = 0; i < count; i++) {
        f->pods[i].echo = fl_bed_echo(&f->bed, i + 1, 0);
        f->pods[i].status = 200;
        listen_for_checks(f, i);
    }
    fl_bed_open(&f->bed, options);
    fl_bed_publish(&f->bed, count);
    fl_world_run_ms(f->bed.world, 100);
}

static void tear_down(struct fixture *f) {
    fl_bed_close(&f->bed);
    for (unsigned i = 0; i < PODS; i++) {
        deny_checks(f, i);
        if (f->pods[i].echo) fl_bed_kill(&f->bed, f->pods[i].echo);
    }
    fl_bed_stop(&f->bed);
}

static struct fl_bed_call call(struct fixture *f) {
    struct fl_bed_call call;
    fl_bed_call_now(&f->bed, &call, 60000);
    return call;
}

static unsigned answering(struct fixture *f) {
    unsigned seen = 0;
    for (int i = 0; i < 4 * PODS; i++) {
        struct fl_bed_call one = call(f);
        assert_int_equal(one.status, FL_STATUS_OK);
        seen |= 1u << (one.peer[strlen("10.0.0.")] - '1');
    }
    return seen;
}

static const struct fl_channel_options tcp = {
    .health = {.check = {.kind = FL_HEALTH_CHECK_TCP, .port = CHECK_PORT, .interval_ms = 1000}}};
static const struct fl_channel_options http = {.health = {.check = {.kind = FL_HEALTH_CHECK_HTTP,
                                                                    .port = CHECK_PORT,
                                                                    .path = "/healthz",
                                                                    .interval_ms = 1000}}};

static void seconds(struct fixture *f, unsigned n) { fl_world_run_ms(f->bed.world, n * 1000u); }

static void test_tcp_check_takes_away_and_gives_back(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, PODS, &tcp);
    assert_int_equal(answering(&f), 7);
    deny_checks(&f, 1);
    seconds(&f, 1);
    assert_int_equal(answering(&f), 7); /* once is not enough */
    seconds(&f, 3);
    assert_int_equal(answering(&f), 5);
    listen_for_checks(&f, 1);
    seconds(&f, 4);
    assert_int_equal(answering(&f), 7);
    tear_down(&f);
}

static void test_http_check_wants_its_status(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, PODS, &http);
    assert_int_equal(answering(&f), 7);
    assert_string_equal(f.pods[0].path, "/healthz");
    assert_string_equal(f.pods[0].host, "10.0.0.1:8080");
    f.pods[0].status = 503;
    f.pods[1].status = 302; /* as the kubelet takes it */
    f.pods[2].status = 0;
    seconds(&f, 8);
    assert_int_equal(answering(&f), 2);
    f.pods[0].status = f.pods[2].status = 204;
    seconds(&f, 4);
    assert_int_equal(answering(&f), 7);
    tear_down(&f);
}

static void test_expected_status_by_option(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_channel_options options = http;
    options.health.check.status_min = options.health.check.status_max = 418;
    set_up(&f, 2, &options);
    f.pods[1].status = 418;
    seconds(&f, 4);
    assert_int_equal(answering(&f), 2);
    tear_down(&f);
}

/* The first check decides at once, and until then an endpoint takes calls. */
static void test_first_check_decides(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 0, &http);
    f.pods[0].echo = fl_bed_echo(&f.bed, 1, 0);
    f.pods[1].echo = fl_bed_echo(&f.bed, 2, 0);
    listen_for_checks(&f, 0);
    listen_for_checks(&f, 1);
    f.pods[0].status = 500;
    f.pods[1].status = 200;
    fl_bed_publish(&f.bed, 2);
    fl_world_run_ms(f.bed.world, 500);
    assert_int_equal(f.pods[0].checks, 1);
    assert_int_equal(answering(&f), 2);
    tear_down(&f);
}

static void test_all_unhealthy_says_why(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 2, &tcp);
    deny_checks(&f, 0);
    deny_checks(&f, 1);
    seconds(&f, 5);
    struct fl_bed_call failed = call(&f);
    assert_int_equal(failed.status, FL_STATUS_UNAVAILABLE);
    assert_int_equal(failed.why, FL_EUNHEALTHY);
    assert_non_null(strstr(failed.message, "is healthy; 10.0.0."));
    assert_non_null(strstr(failed.message, "health check of port 8080"));
    assert_int_equal(fl_channel_state(f.bed.channel), FL_CHANNEL_TRANSIENT_FAILURE);
    tear_down(&f);
}

static void test_C14_pick_first_is_checked_too(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_channel_options options = tcp;
    options.balance.policy = FL_BALANCE_PICK_FIRST;
    set_up(&f, 2, &options);
    assert_int_equal(answering(&f), 1);
    deny_checks(&f, 0);
    seconds(&f, 5);
    assert_int_equal(answering(&f), 2);
    tear_down(&f);
}

static void test_readiness_comes_first(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    const struct fl_hand_endpoint endpoints[] = {
        {.address = "10.0.0.1", .port = FL_BED_PORT, .flags = FL_ENDPOINT_SERVING},
        {.address = "10.0.0.2", .port = FL_BED_PORT}};
    set_up(&f, 2, &tcp);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, endpoints, 2);
    seconds(&f, 5);
    unsigned checks = f.pods[0].checks;
    assert_int_equal(answering(&f), 2);
    seconds(&f, 5);
    assert_int_equal(f.pods[0].checks, checks); /* who is not called is not checked */
    tear_down(&f);
}

static void test_verdict_outlives_the_connection(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 2, &tcp);
    deny_checks(&f, 0);
    seconds(&f, 5);
    fl_bed_kill(&f.bed, f.pods[0].echo);
    f.pods[0].echo = fl_bed_echo(&f.bed, 1, 0);
    for (int i = 0; i < 30; i++) {
        fl_world_run_ms(f.bed.world, 100);
        assert_int_equal(call(&f).peer[strlen("10.0.0.")], '2');
    }
    tear_down(&f);
}

static int64_t unhealthy_gauge(const struct fixture *f) {
    return fl_metric_value(fl_metrics_get(f->bed.io->metrics, FL_METRIC_GAUGE,
                                          "fairlead_channel_unhealthy", "", "check=tcp"));
}

/* What the pod before had failed is nothing to the new one. */
static void test_new_pod_at_the_address_is_healthy_at_first(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    const struct fl_hand_endpoint renewed = {.address = "10.0.0.1", .port = FL_BED_PORT, .uid = 2};
    set_up(&f, 1, &tcp);
    deny_checks(&f, 0);
    seconds(&f, 5);
    assert_int_equal(unhealthy_gauge(&f), 1);
    assert_int_equal(call(&f).status, FL_STATUS_UNAVAILABLE);
    listen_for_checks(&f, 0);
    fl_hand_publish(f.bed.hand, FL_SET_SOME, &renewed, 1);
    fl_world_run_ms(f.bed.world, 20); /* healthy again would take two checks */
    assert_int_equal(answering(&f), 1);
    assert_int_equal(unhealthy_gauge(&f), 0);
    deny_checks(&f, 0);
    seconds(&f, 5);
    fl_bed_close(&f.bed);
    assert_int_equal(unhealthy_gauge(&f), 0);
    tear_down(&f);
}

static void test_idle_channel_checks_nobody(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_channel_options options = tcp;
    options.idle_timeout_ms = 5000;
    set_up(&f, 2, &options);
    seconds(&f, 3);
    unsigned checks = f.pods[0].checks;
    assert_in_range(checks, 2, 4); /* without calls too */
    seconds(&f, 4);
    checks = f.pods[0].checks;
    seconds(&f, 60);
    assert_int_equal(f.pods[0].checks, checks);
    assert_int_equal(answering(&f), 3);
    seconds(&f, 2);
    assert_true(f.pods[0].checks > checks);
    tear_down(&f);
}

/* With silent servers every check takes its whole timeout: still no more than so many at once, and
 * everybody has a turn. */
static void test_checks_at_once_are_bounded(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    struct fl_channel_options options = http;
    options.health.check.concurrent_max = 1;
    options.health.check.timeout_ms = 1000;
    set_up(&f, 0, &options);
    for (unsigned i = 0; i < PODS; i++) {
        f.pods[i].echo = fl_bed_echo(&f.bed, i + 1, 0);
        listen_for_checks(&f, i);
    }
    fl_bed_publish(&f.bed, PODS);
    for (int ms = 0; ms < 9000; ms += 50) {
        fl_world_run_ms(f.bed.world, 50);
        assert_true(f.bed.channel->loop_data.checker.runs <= 1);
    }
    for (unsigned i = 0; i < PODS; i++) assert_in_range(f.pods[i].checks, 2, 4);
    tear_down(&f);
}

/* The world, but for a sock that takes its time to close. */
static struct {
    const struct fl_io_ops *ops;
    struct fl_sock *aborted;
} slow;

static void abort_later(struct fl_sock *sock) { slow.aborted = sock; }

static void note_closed(void *arg) { ((struct fl_bed *)arg)->channel_closed++; }

/* The channel is not gone before the check's connection is. */
static void test_closing_in_the_middle_of_a_check(void **state) {
    FL_UNUSED(state);
    struct fixture f;
    set_up(&f, 0, &http);
    f.pods[0].echo = fl_bed_echo(&f.bed, 1, 0);
    listen_for_checks(&f, 0);
    fl_bed_publish(&f.bed, 1);
    fl_world_run_ms(f.bed.world, 500);
    assert_int_equal(f.bed.channel->loop_data.checker.runs, 1);
    slow.ops = f.bed.io->ops;
    struct fl_io_ops ops = *slow.ops;
    ops.sock_abort = abort_later;
    f.bed.io->ops = &ops;
    fl_channel_close(f.bed.channel, note_closed, &f.bed);
    f.bed.channel = NULL;
    fl_world_run_ms(f.bed.world, 3000); /* everything else is gone by then */
    assert_non_null(slow.aborted);
    assert_int_equal(f.bed.channel_closed, 0);
    f.bed.io->ops = slow.ops;
    slow.ops->sock_abort(slow.aborted);
    fl_world_run_ms(f.bed.world, 100);
    assert_int_equal(f.bed.channel_closed, 1);
    tear_down(&f);
}

static void expect_refused(const struct fl_health_options *health, const char *part) {
    struct fl_bed bed;
    struct fl_channel *channel;
    struct fl_error err;
    const struct fl_channel_options options = {.health = *health};
    fl_bed_start(&bed, NULL);
    int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &options, &channel, &err);
    assert_int_equal(rc, FL_EUSAGE);
    if (!strstr(err.detail, part)) fail_msg("%s", err.detail);
    fl_bed_stop(&bed);
}

#define HTTP_CHECK(...) (&(struct fl_health_options){.check = {FL_HEALTH_CHECK_HTTP, __VA_ARGS__}})

static void test_C14_what_cannot_be_is_an_error_at_creation(void **state) {
    FL_UNUSED(state);
    expect_refused(&(struct fl_health_options){.check = {.interval_ms = 5}}, "check.kind");
    expect_refused(&(struct fl_health_options){.check = {.kind = 7}}, "check.kind");
    expect_refused(
        &(struct fl_health_options){.check = {.kind = FL_HEALTH_CHECK_TCP, .path = "/healthz"}},
        "check.path");
    expect_refused(HTTP_CHECK(.path = "healthz"), "check.path");
    expect_refused(HTTP_CHECK(.path = "/a b"), "check.path");
    expect_refused(HTTP_CHECK(.path = "/a\r\nx: y"), "check.path");
    expect_refused(HTTP_CHECK(.status_min = 300, .status_max = 200), "check.status");
    expect_refused(HTTP_CHECK(.status_min = 99), "check.status");
    expect_refused(HTTP_CHECK(.status_max = 600), "check.status");
}

static void test_opening_with_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    struct fl_bed bed;
    fl_bed_start(&bed, NULL);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_channel *channel = NULL;
        int rc = fl_channel_open(bed.io, bed.discovery, "hand:///echo", &http, &channel, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc == 0) fl_channel_close(channel, NULL, NULL);
        fl_world_run_ms(bed.world, 3000);
    }
    fl_bed_stop(&bed);
}

/* Every allocation from the set on fails in turn: a check that this side has no memory for takes
 * nobody away, and checks go on. */
static void test_checking_with_each_allocation_failing(void **state) {
    FL_UNUSED(state);
    for (size_t n = 1, reached = 1; reached; n++) {
        struct fixture f;
        set_up(&f, 0, &tcp);
        f.pods[0].echo = fl_bed_echo(&f.bed, 1, 0);
        const struct fl_hand_endpoint one = {.address = "10.0.0.1", .port = FL_BED_PORT};
        fl_hand_publish(f.bed.hand, FL_SET_SOME, &one, 1);
        listen_for_checks(&f, 0);
        fl_test_alloc_fail_at(n);
        for (int i = 0; i < 300; i++) {
            fl_world_run_ms(f.bed.world, 10);
            assert_int_equal(unhealthy_gauge(&f), 0);
        }
        reached = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        seconds(&f, 3);
        assert_int_equal(answering(&f), 1);
        assert_true(f.pods[0].checks > 1);
        tear_down(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_check_takes_away_and_gives_back),
        cmocka_unit_test(test_http_check_wants_its_status),
        cmocka_unit_test(test_expected_status_by_option),
        cmocka_unit_test(test_first_check_decides),
        cmocka_unit_test(test_all_unhealthy_says_why),
        cmocka_unit_test(test_C14_pick_first_is_checked_too),
        cmocka_unit_test(test_readiness_comes_first),
        cmocka_unit_test(test_verdict_outlives_the_connection),
        cmocka_unit_test(test_new_pod_at_the_address_is_healthy_at_first),
        cmocka_unit_test(test_idle_channel_checks_nobody),
        cmocka_unit_test(test_checks_at_once_are_bounded),
        cmocka_unit_test(test_closing_in_the_middle_of_a_check),
        cmocka_unit_test(test_C14_what_cannot_be_is_an_error_at_creation),
        cmocka_unit_test(test_opening_with_each_allocation_failing),
        cmocka_unit_test(test_checking_with_each_allocation_failing),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
