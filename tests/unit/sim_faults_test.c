/* sim_faults_test.c - every kind of fault of the simulated API server, as a client's bytes see it.
 */
#include "support/api_bench.h"

#include <stdlib.h>

#include "sim/sim.h"

#define PODS "/api/v1/pods"
#define STREAM                                                                                     \
    PODS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch="          \
         "NotOlderThan"

#define EACH_VERSION(v) for (enum fl_http_version v = FL_HTTP_1; v <= FL_HTTP_2; v++)

/* --- notation --- */

static void expect_parsed(const char *text, enum fl_fault_kind kind, uint64_t at_ms,
                          unsigned times) {
    struct fl_fault fault;
    assert_int_equal(fl_fault_parse(fl_str_of(text), &fault, NULL), 0);
    assert_int_equal(fault.kind, kind);
    assert_int_equal(fault.at_ms, at_ms);
    assert_int_equal(fault.times, times);
}

static void expect_refused(const char *text, const char *word) {
    struct fl_fault fault;
    struct fl_error err;
    assert_int_equal(fl_fault_parse(fl_str_of(text), &fault, &err), FL_EUSAGE);
    if (!strstr(err.detail, word)) print_error("%s: %s\n", text, err.detail);
    assert_non_null(strstr(err.detail, word));
}

static void test_notation(void **state) {
    FL_UNUSED(state);
    expect_parsed("cut@0s", FL_FAULT_CUT, 0, 1);
    expect_parsed("410-event@5sx3", FL_FAULT_GONE_EVENT, 5000, 3);
    expect_parsed("429@250msx1000", FL_FAULT_THROTTLED, 250, 1000);
    expect_parsed("half-frame@2m", FL_FAULT_HALF, 120000, 1);
    expect_refused("", "KIND@WHEN");
    expect_refused("cut", "KIND@WHEN");
    expect_refused("cat@5s", "\"cat\"");
    expect_refused("@5s", "kind");
    expect_refused("cut@", "time");
    expect_refused("cut@5", "time");
    expect_refused("cut@-5s", "time");
    expect_refused("cut@99999999999999999999s", "time");
    expect_refused("cut@5sx", "times");
    expect_refused("cut@5sx0", "times");
    expect_refused("cut@5sx9999999999", "times");
    for (int i = 0; i < FL_FAULT_KINDS; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s@1s", fl_fault_name((enum fl_fault_kind)i));
        expect_parsed(text, (enum fl_fault_kind)i, 1000, 1);
        assert_true(strlen(fl_fault_text((enum fl_fault_kind)i)) > 5);
    }
}

/* --- requests --- */

static void test_statuses(void **state) {
    static const struct {
        enum fl_fault_kind kind;
        const char *path;
        int status;
        const char *reason, *retry_after;
    } cases[] = {
        {FL_FAULT_UNAUTHORIZED, PODS, 401, "Unauthorized", ""},
        {FL_FAULT_FORBIDDEN, PODS, 403, "Forbidden", ""},
        {FL_FAULT_THROTTLED, PODS, 429, "TooManyRequests", "1"},
        {FL_FAULT_INTERNAL, PODS, 500, "InternalError", ""},
        {FL_FAULT_UNAVAILABLE, PODS, 503, "ServiceUnavailable", "1"},
        {FL_FAULT_AHEAD, PODS "?resourceVersion=990", 504, "Timeout", "1"},
        {FL_FAULT_GONE_STATUS, PODS "?watch=1", 410, "Expired", ""},
    };
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        for (size_t i = 0; i < FL_COUNT(cases); i++) {
            fl_apiserver_fault(b.server, cases[i].kind, 1);
            struct answer *a = get(&b, cases[i].path, JSON);
            assert_status(a, cases[i].status, cases[i].reason);
            assert_string_equal(a->retry_after, cases[i].retry_after);
            assert_int_equal(fl_apiserver_injected(b.server, cases[i].kind), 1);
            assert_int_equal(get(&b, PODS, JSON)->status, 200); /* only once */
        }
        bench_close(&b);
    }
}

static void test_forbidden_is_said_as_the_real_server_does(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_1);
    fl_apiserver_fault(b.server, FL_FAULT_FORBIDDEN, 2);
    assert_has(get(&b, SLICES, JSON),
               "endpointslices.discovery.k8s.io is forbidden: User "
               "\\\"system:serviceaccount:default:reader\\\" cannot list resource "
               "\\\"endpointslices\\\" in API group \\\"discovery.k8s.io\\\" at the cluster scope");
    assert_has(
        get(&b, "/api/v1/namespaces/shop/pods/a", JSON),
        "cannot get resource \\\"pods\\\" in API group \\\"\\\" in the namespace \\\"shop\\\"");
    bench_close(&b);
}

static void test_W5_version_ahead_concerns_requests_with_a_version(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    fl_apiserver_fault(b.server, FL_FAULT_AHEAD, 1);
    assert_int_equal(get(&b, PODS, JSON)->status, 200);
    assert_int_equal(get(&b, PODS "?resourceVersion=0", JSON)->status, 200);
    assert_has(get(&b, PODS "?watch=1&resourceVersion=991", JSON), "ResourceVersionTooLarge");
    bench_close(&b);
}

static void test_W7_next_page_is_gone(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    for (int i = 0; i < 3; i++) add_pod(&b);
    fl_apiserver_fault(b.server, FL_FAULT_GONE_PAGE, 1);
    struct answer *a = get(&b, PODS "?limit=1", JSON);
    assert_int_equal(a->status, 200);
    const char *token = strstr(text_of(a), "\"continue\":\"") + 12;
    char path[300];
    snprintf(path, sizeof path, PODS "?limit=1&continue=%.*s", (int)strcspn(token, "\""), token);
    assert_status(get(&b, path, JSON), 410, "Expired");
    assert_int_equal(get(&b, path, JSON)->status, 200);
    bench_close(&b);
}

static void test_slow_bytes(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        for (int i = 0; i < 5; i++) add_pod(&b);
        fl_apiserver_fault(b.server, FL_FAULT_SLOW, 2);
        struct answer *a = get(&b, PODS, JSON);
        assert_int_equal(a->status, 200);
        assert_false(a->ended);
        size_t early = a->body.len;
        assert_true(early > 0);
        fl_world_run_ms(b.world, 3000);
        assert_true(a->ended && a->body.len > early);
        assert_int_equal(count(a, "\"podIP\""), 5);
        a = get(&b, PODS "?watch=1&timeoutSeconds=5", JSON);
        assert_false(strchr(text_of(a), '\n') && count(a, "\n") == 5);
        fl_world_run_ms(b.world, 8000);
        assert_true(a->ended);
        assert_int_equal(count(a, "\n"), 5);
        bench_close(&b);
    }
}

static void test_garbage_and_silence(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        fl_apiserver_fault(b.server, FL_FAULT_GARBAGE, 1);
        struct answer *a = get(&b, PODS, JSON);
        assert_true(a->ended && a->body.len > 0);
        fl_apiserver_fault(b.server, FL_FAULT_STALL, 1);
        a = get(&b, PODS, JSON);
        assert_int_equal(a->status, 0);
        fl_world_run_ms(b.world, 600000);
        assert_false(a->closed);
        cancel(&b, a);
        bench_close(&b);
    }
}

static void test_W4_older_list(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    for (int i = 0; i < 5; i++) add_pod(&b);
    fl_apiserver_fault(b.server, FL_FAULT_OLDER, 1);
    assert_int_equal(count(get(&b, PODS, JSON), "\"podIP\""), 5); /* a consistent one is not */
    assert_true(count(get(&b, PODS "?resourceVersion=0", JSON), "\"podIP\"") < 5);
    assert_int_equal(count(get(&b, PODS "?resourceVersion=0", JSON), "\"podIP\""), 5);
    bench_close(&b);
}

/* --- watches --- */

static struct answer *watch(struct bench *b) {
    struct answer *a = get(b,
                           url(PODS "?watch=1&allowWatchBookmarks=true&resourceVersion=%" PRIu64,
                               fl_cluster_version(b->cluster)),
                           JSON);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body.len, 0);
    return a;
}

static void run(struct bench *b, uint64_t ms) { fl_world_run_ms(b->world, ms); }

static void test_stalled_watch(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = watch(&b);
        fl_apiserver_fault(b.server, FL_FAULT_STALL, 1);
        add_pod(&b);
        run(&b, 4000000); /* beyond bookmarks and the watch's own end */
        assert_int_equal(a->body.len, 0);
        assert_false(a->ended || a->closed);
        cancel(&b, a);
        bench_close(&b);
    }
}

static void test_half_frame(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = watch(&b);
        fl_apiserver_fault(b.server, FL_FAULT_HALF, 1);
        add_pod(&b);
        run(&b, 500);
        assert_true(a->closed && !a->ended);
        assert_int_not_equal(a->code, FL_OK);
        assert_true(a->body.len > 20);
        assert_null(strchr(text_of(a), '\n'));
        bench_close(&b);
    }
}

static void test_W11_gone_event_on_an_open_watch(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = watch(&b);
        fl_apiserver_fault(b.server, FL_FAULT_GONE_EVENT, 1);
        add_pod(&b);
        run(&b, 100);
        assert_true(a->ended);
        assert_has(a, "\"type\":\"ERROR\"");
        assert_has(a, "\"code\":410");
        assert_lacks(a, "\"type\":\"ADDED\"");
        bench_close(&b);
    }
}

static void test_lost_and_duplicate_events(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct answer *a = watch(&b);
    fl_apiserver_fault(b.server, FL_FAULT_LOST_EVENT, 1);
    add_pod(&b); /* ADDED, MODIFIED */
    run(&b, 100);
    assert_int_equal(count(a, "\n"), 1);
    assert_lacks(a, "\"type\":\"ADDED\"");
    fl_apiserver_fault(b.server, FL_FAULT_DUPLICATE, 1);
    add_pod(&b);
    run(&b, 100);
    assert_int_equal(count(a, "\n"), 1 + 3);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 2);
    cancel(&b, a);
    bench_close(&b);
}

/* Versions of the lines, in their order. */
static size_t versions_of(struct answer *a, uint64_t *out, size_t max) {
    size_t n = 0;
    for (const char *p = text_of(a); n < max && (p = strstr(p, "\"resourceVersion\":\"")); p++)
        out[n++] = strtoull(p + 19, NULL, 10);
    return n;
}

static void test_reordered_events(void **state) {
    struct bench b;
    uint64_t v[8];
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct answer *a = watch(&b);
    fl_apiserver_fault(b.server, FL_FAULT_REORDER, 1);
    assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), add_pod(&b)), 0);
    run(&b, 100);
    /* ADDED waits, but MODIFIED and DELETED are of the same object: the order stays. */
    size_t n = versions_of(a, v, FL_COUNT(v));
    for (size_t i = 1; i < n; i++) assert_true(v[i] > v[i - 1]);
    assert_int_equal(fl_apiserver_injected(b.server, FL_FAULT_REORDER), 0);
    run(&b, 2000);
    assert_int_equal(versions_of(a, v, FL_COUNT(v)), 3);
    struct fl_str one, two;
    assert_int_equal(
        fl_cluster_pod_add(b.cluster, FL_STR("default"), FL_STR("echo"), FL_STR("10.0.0.1"), &one),
        0);
    assert_int_equal(
        fl_cluster_pod_add(b.cluster, FL_STR("default"), FL_STR("echo"), FL_STR("10.0.0.2"), &two),
        0);
    run(&b, 100);
    assert_int_equal(versions_of(a, v, FL_COUNT(v)), 5);
    assert_true(v[3] == v[4] + 1);
    assert_int_equal(fl_apiserver_injected(b.server, FL_FAULT_REORDER), 1);
    cancel(&b, a);
    bench_close(&b);
}

static void test_a_lonely_event_is_not_held_for_ever(void **state) {
    struct bench b;
    struct fl_str name;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_1);
    struct answer *a = watch(&b);
    fl_apiserver_fault(b.server, FL_FAULT_REORDER, 1);
    assert_int_equal(
        fl_cluster_pod_add(b.cluster, FL_STR("default"), FL_STR("echo"), FL_STR("10.0.0.1"), &name),
        0);
    run(&b, 500);
    assert_int_equal(a->body.len, 0);
    run(&b, 1000);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
    cancel(&b, a);
    bench_close(&b);
}

static void test_huge_frame(void **state) {
    FL_UNUSED(state);
    for (int i = 0; i < 4; i++) {
        struct bench b;
        bench_open(&b, NULL, i & 1 ? FL_HTTP_2 : FL_HTTP_1);
        fl_apiserver_fault(b.server, FL_FAULT_HUGE, 1);
        add_pod(&b);
        struct answer *a = get(&b, PODS "?watch=1", i & 2 ? FL_K8S_ACCEPT_WATCH : JSON);
        run(&b, 60000);
        assert_true(a->body.len > FL_K8S_FRAME_MAX);
        const uint8_t *p = (const uint8_t *)fl_buf_str(&a->body).p;
        if (i & 2)
            assert_true(p[0] == 1 && p[1] >= 1); /* the length announced: more than 16 MiB */
        else
            assert_int_equal(count(a, "\n"), 2); /* one line that long, then the event */
        cancel(&b, a);
        bench_close(&b);
    }
}

static void test_bookmarks_that_do_not_come(void **state) {
    const struct fl_apiserver_options options = {.bookmark_ms = 1000};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    struct answer *open = watch(&b);
    run(&b, 2500);
    size_t n = count(open, "BOOKMARK");
    assert_true(n >= 1);
    fl_apiserver_fault(b.server, FL_FAULT_NO_BOOKMARK, 1);
    run(&b, 10000);
    assert_int_equal(count(open, "BOOKMARK"), n);
    fl_apiserver_fault(b.server, FL_FAULT_NO_BOOKMARK, 1);
    struct answer *a = watch(&b);
    run(&b, 10000);
    assert_int_equal(a->body.len, 0);
    cancel(&b, a);
    cancel(&b, open);
    bench_close(&b);
}

static void test_W10_no_end_of_initial_events(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    add_pod(&b);
    fl_apiserver_fault(b.server, FL_FAULT_NO_END, 1);
    struct answer *a = get(&b, STREAM, JSON);
    run(&b, 1000);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
    assert_lacks(a, "initial-events-end");
    assert_has(get(&b, STREAM, JSON), "initial-events-end");
    add_pod(&b);
    run(&b, 100);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 2); /* what happens is told nevertheless */
    for (size_t i = 0; i < b.asked; i++) cancel(&b, &b.answers[i]);
    bench_close(&b);
}

static void test_W13_short_watch(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_1);
    fl_apiserver_fault(b.server, FL_FAULT_SHORT, 1);
    struct answer *a = watch(&b);
    add_pod(&b);
    run(&b, 400);
    assert_false(a->ended);
    run(&b, 200);
    assert_true(a->ended);
    assert_int_equal(a->body.len, 0);
    bench_close(&b);
}

/* --- connections and the cluster --- */

static void test_cut(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = watch(&b);
        fl_apiserver_fault(b.server, FL_FAULT_CUT, 2);
        run(&b, 50);
        assert_true(a->closed && !a->ended);
        assert_null(b.conn);
        a = get(&b, PODS, JSON); /* the second time: at the next request */
        assert_true(a->closed && !a->ended);
        assert_int_equal(get(&b, PODS, JSON)->status, 200);
        assert_int_equal(fl_apiserver_injected(b.server, FL_FAULT_CUT), 2);
        bench_close(&b);
    }
}

static void test_goaway(void **state) {
    FL_UNUSED(state);
    EACH_VERSION(v) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = watch(&b);
        fl_apiserver_fault(b.server, FL_FAULT_GOAWAY, 1);
        run(&b, 6000);
        assert_false(a->closed); /* open exchanges go on */
        add_pod(&b);
        run(&b, 100);
        assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
        assert_int_equal(fl_http_conn_room(b.conn), 0);
        cancel(&b, a);
        run(&b, 2000);
        assert_null(b.conn);
        bench_close(&b);
    }
}

/* What the cluster says is what the store says, for every pod and endpoint. */
static void test_W4_restored_etcd(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct fl_str first = add_pod(&b), last = first;
    for (int i = 0; i < 3; i++) last = add_pod(&b);
    assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), first), 0);
    struct answer *a = watch(&b);
    uint64_t version = fl_cluster_version(b.cluster);
    fl_apiserver_fault(b.server, FL_FAULT_RESTORED, 1);
    run(&b, 100);
    assert_true(a->closed);
    assert_true(fl_cluster_version(b.cluster) < version);
    a = get(&b, PODS, JSON);
    assert_true(count(a, "\"podIP\"") != 3 || strstr(text_of(a), first.p));
    run(&b, 3000);
    assert_int_equal(count(get(&b, PODS, JSON), "\"podIP\""), 3);
    assert_int_equal(count(get(&b, SLICES, JSON), "\"ready\":true"), 3);
    assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), last), 0);
    assert_int_equal(count(get(&b, SLICES, JSON), "\"ready\":true"), 2);
    bench_close(&b);
}

/* However far it goes back, and whatever happens next, the cluster comes true again. */
static void test_restoring_at_any_moment(void **state) {
    FL_UNUSED(state);
    for (uint64_t back = 0; back < 40; back++) {
        struct fl_cluster *c;
        struct fl_str ns = FL_STR("default"), echo = FL_STR("echo"), pods[4];
        assert_int_equal(fl_cluster_new(back, 100, &c), 0);
        assert_int_equal(fl_cluster_service(c, ns, echo, &grpc_port, 1), 0);
        fl_cluster_slice_max(c, 2);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(fl_cluster_pod_add(c, ns, echo, FL_STR("10.0.0.1"), &pods[i]), 0);
            assert_int_equal(fl_cluster_pod_phase(c, ns, pods[i], FL_POD_READY), 0);
        }
        assert_int_equal(fl_cluster_pod_delete(c, ns, pods[0]), 0);
        assert_int_equal(fl_cluster_service_delete(c, ns, echo), 0);
        assert_int_equal(fl_cluster_service(c, ns, echo, &grpc_port, 1), 0);
        fl_cluster_restore(c, back);
        if (back % 2) assert_int_equal(fl_cluster_pod_delete(c, ns, pods[1]), 0);
        assert_int_equal(fl_cluster_reconcile(c), 0);
        size_t ready = 0;
        const struct fl_object_list *slices = &fl_cluster_store(c)->kinds[FL_K8S_ENDPOINTSLICE];
        for (size_t i = 0; i < slices->count; i++) ready += slices->items[i]->entry_count;
        assert_int_equal(ready, back % 2 ? 2 : 3);
        assert_int_equal(fl_cluster_store(c)->kinds[FL_K8S_POD].count, ready);
        assert_int_equal(fl_cluster_store(c)->kinds[FL_K8S_SERVICE].count, 1);
        fl_cluster_free(c);
    }
}

/* --- counting and time --- */

static void test_faults_add_up_and_are_taken_back(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    fl_apiserver_fault(b.server, FL_FAULT_INTERNAL, 1);
    fl_apiserver_fault(b.server, FL_FAULT_INTERNAL, 1);
    assert_int_equal(get(&b, PODS, JSON)->status, 500);
    assert_int_equal(get(&b, PODS, JSON)->status, 500);
    assert_int_equal(get(&b, PODS, JSON)->status, 200);
    fl_apiserver_fault(b.server, FL_FAULT_INTERNAL, 5);
    fl_apiserver_fault(b.server, FL_FAULT_INTERNAL, 0);
    assert_int_equal(get(&b, PODS, JSON)->status, 200);
    fl_apiserver_fault(b.server, FL_FAULT_INTERNAL, 5);
    fl_apiserver_fault(b.server, FL_FAULT_STALL, 5);
    fl_apiserver_heal(b.server);
    assert_int_equal(get(&b, PODS, JSON)->status, 200);
    assert_int_equal(get(&b, "/version", JSON)->status, 200);
    bench_close(&b);
}

static void on_sim_closed(void *arg) { *(bool *)arg = true; }

static void test_faults_by_time(void **state) {
    const struct fl_world_options world_options = {.seed = 3};
    const struct fl_fault faults[] = {
        {FL_FAULT_INTERNAL, 5000, 2}, {FL_FAULT_CUT, 1000, 1}, {FL_FAULT_INTERNAL, 2000, 1}};
    const struct fl_sim_options options = {
        .apiserver = {.host = FL_STR("127.0.0.1")}, .faults = faults, .fault_count = 3};
    struct bench b = {0};
    struct fl_sim *sim;
    bool closed = false;
    FL_UNUSED(state);
    assert_int_equal(fl_world_new(&world_options, &b.world), 0);
    b.io = fl_world_io(b.world);
    assert_int_equal(fl_sim_new(b.io, &options, &sim, NULL), 0);
    b.server = fl_sim_apiserver(sim);
    run(&b, 900);
    dial(&b, FL_HTTP_2);
    run(&b, 200);
    assert_null(b.conn);
    run(&b, 1000);
    assert_int_equal(get(&b, PODS, JSON)->status, 500);
    assert_int_equal(get(&b, PODS, JSON)->status, 200);
    run(&b, 3000);
    for (int i = 0; i < 3; i++) assert_int_equal(get(&b, PODS, JSON)->status, i < 2 ? 500 : 200);
    assert_int_equal(fl_apiserver_injected(b.server, FL_FAULT_INTERNAL), 3);
    fl_sim_close(sim, on_sim_closed, &closed);
    run(&b, 2000);
    assert_true(closed);
    for (size_t i = 0; i < b.asked; i++) {
        fl_buf_deinit(&b.answers[i].body);
        fl_free(b.answers[i].text);
    }
    fl_world_free(b.world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notation),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_forbidden_is_said_as_the_real_server_does),
        cmocka_unit_test(test_W5_version_ahead_concerns_requests_with_a_version),
        cmocka_unit_test(test_W7_next_page_is_gone),
        cmocka_unit_test(test_slow_bytes),
        cmocka_unit_test(test_garbage_and_silence),
        cmocka_unit_test(test_W4_older_list),
        cmocka_unit_test(test_stalled_watch),
        cmocka_unit_test(test_half_frame),
        cmocka_unit_test(test_W11_gone_event_on_an_open_watch),
        cmocka_unit_test(test_lost_and_duplicate_events),
        cmocka_unit_test(test_reordered_events),
        cmocka_unit_test(test_a_lonely_event_is_not_held_for_ever),
        cmocka_unit_test(test_huge_frame),
        cmocka_unit_test(test_bookmarks_that_do_not_come),
        cmocka_unit_test(test_W10_no_end_of_initial_events),
        cmocka_unit_test(test_W13_short_watch),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_W4_restored_etcd),
        cmocka_unit_test(test_restoring_at_any_moment),
        cmocka_unit_test(test_faults_add_up_and_are_taken_back),
        cmocka_unit_test(test_faults_by_time),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
