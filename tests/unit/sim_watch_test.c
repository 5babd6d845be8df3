/* sim_watch_test.c - watches of the simulated API server, over HTTP in a simulated world. */
#include "support/api_bench.h"

static void test_watch_from_a_version(void **state) {
    struct bench b;
    FL_UNUSED(state);
    for (int version = FL_HTTP_1; version <= FL_HTTP_2; version++) {
        bench_open(&b, NULL, (enum fl_http_version)version);
        uint64_t v = fl_cluster_version(b.cluster);
        struct fl_str pod = add_pod(&b);
        struct answer *a = get(&b, url("/api/v1/pods?watch=1&resourceVersion=%" PRIu64, v), JSON);
        assert_int_equal(a->status, 200);
        assert_false(a->ended);
        assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
        assert_int_equal(count(a, "\"type\":\"MODIFIED\""), 1);
        assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), pod), 0);
        fl_world_run_ms(b.world, 20);
        assert_int_equal(count(a, "\"type\":\"DELETED\""), 1);
        assert_int_equal(count(a, "\n"), 3);
        cancel(&b, a);
        bench_close(&b);
    }
}

static void test_watch_without_a_version_starts_with_the_state(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    add_pod(&b);
    struct answer *a = get(&b, SLICES "?watch=true", JSON);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
    add_pod(&b);
    fl_world_run_ms(b.world, 20);
    assert_int_equal(count(a, "\"type\":\"MODIFIED\""), 1);
    cancel(&b, a);
    bench_close(&b);
}

static void test_watch_of_one_service_in_protobuf(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    assert_int_equal(
        fl_cluster_service(b.cluster, FL_STR("default"), FL_STR("other"), &grpc_port, 1), 0);
    struct answer *a = get(&b, SLICES "?watch=1&labelSelector=kubernetes.io/service-name%3Dother",
                           FL_K8S_ACCEPT_WATCH);
    assert_string_equal(a->type, PROTOBUF ";stream=watch");
    size_t n = a->body.len;
    assert_true(n > 0);
    add_pod(&b); /* of echo */
    fl_world_run_ms(b.world, 20);
    assert_int_equal(a->body.len, n);
    cancel(&b, a);
    bench_close(&b);
}

static void test_streaming_list(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    add_pod(&b);
    const char *path = "/api/v1/pods?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                       "&resourceVersionMatch=NotOlderThan";
    struct answer *a = get(&b, path, JSON);
    assert_int_equal(count(a, "\"type\":\"ADDED\""), 1);
    assert_has(a, "\"type\":\"BOOKMARK\"");
    assert_has(a, "\"k8s.io/initial-events-end\":\"true\"");
    cancel(&b, a);
    assert_status(get(&b, "/api/v1/pods?watch=1&sendInitialEvents=true", JSON), 422, "Invalid");
    char ahead[256];
    snprintf(ahead, sizeof ahead, "%s&resourceVersion=99999", path);
    assert_status(get(&b, ahead, JSON), 504, "Timeout");
    bench_close(&b);
}

static void test_bookmarks_and_timeout(void **state) {
    struct fl_apiserver_options options = {.bookmark_ms = 1000};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    uint64_t v = fl_cluster_version(b.cluster);
    struct answer *with =
        get(&b,
            url("/api/v1/"
                "pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=5&resourceVersion=%" PRIu64,
                v),
            JSON);
    struct answer *without =
        get(&b, url("/api/v1/pods?watch=1&timeoutSeconds=5&resourceVersion=%" PRIu64, v), JSON);
    fl_world_run_ms(b.world, 4000);
    assert_in_range(count(with, "\"type\":\"BOOKMARK\""), 3, 5);
    assert_has(with, url("\"resourceVersion\":\"%" PRIu64 "\"", v));
    assert_int_equal(without->body.len, 0);
    assert_false(with->ended);
    fl_world_run_ms(b.world, 1100);
    assert_true(with->ended && without->ended);
    assert_int_equal(with->code, FL_OK);
    bench_close(&b);
}

static void test_W11_watch_from_a_forgotten_version(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    uint64_t v = fl_cluster_version(b.cluster);
    add_pod(&b);
    fl_cluster_compact(b.cluster);
    struct answer *a = get(&b, url("/api/v1/pods?watch=1&resourceVersion=%" PRIu64, v), JSON);
    assert_int_equal(a->status, 200);
    assert_true(a->ended);
    assert_has(a, "\"type\":\"ERROR\"");
    assert_has(a, "\"code\":410");
    assert_has(a, "\"reason\":\"Expired\"");
    bench_close(&b);
}

/* Who does not read is dropped, and does not hold the others or the server's memory. */
static void test_slow_watcher_is_ended(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct answer *slow = get(&b, SLICES "?watch=1", JSON);
    struct answer *fast = get(&b, "/api/v1/services?watch=1", JSON);
    slow->hoard = true;
    for (int i = 0; i < 60; i++) add_pod(&b); /* so that events are large */
    for (int i = 0; i < 1500; i++) {
        struct fl_str pod = add_pod(&b);
        assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), pod), 0);
        if (i % 50 == 0) fl_world_run_ms(b.world, 20);
    }
    fl_world_run_ms(b.world, 1000);
    fl_http_stream_consume(slow->stream, slow->hoarded);
    slow->hoard = false;
    fl_world_run_ms(b.world, 2000);
    assert_true(slow->ended);
    assert_lacks(slow, "\"type\":\"ERROR\"");
    assert_false(fast->ended);
    cancel(&b, fast);
    bench_close(&b);
}

static void test_ending_watches(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct answer *a = get(&b, SLICES "?watch=1", JSON);
    fl_apiserver_end_watches(b.server);
    fl_world_run_ms(b.world, 20);
    assert_true(a->ended);
    assert_int_equal(a->code, FL_OK);
    bench_close(&b);
}

/* Who comes when the server is full is told when to come again, and may when another has gone. */
static void test_watches_have_a_bound(void **state) {
    struct fl_apiserver_options options = {.watches_max = 2};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    struct answer *first = get(&b, SLICES "?watch=1", JSON);
    struct answer *second = get(&b, "/api/v1/services?watch=1", JSON);
    struct answer *third = get(&b, SLICES "?watch=1", JSON);
    assert_status(third, 429, "TooManyRequests");
    assert_has(third, "too many requests, please try again later: 2 watches are open");
    assert_string_equal(third->retry_after, "1");
    assert_int_equal(get(&b, SLICES, JSON)->status, 200); /* lists go on */
    cancel(&b, first);
    third = get(&b, SLICES "?watch=1", JSON);
    assert_int_equal(third->status, 200);
    assert_false(third->ended || second->ended);
    cancel(&b, second);
    cancel(&b, third);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_from_a_version),
        cmocka_unit_test(test_watch_without_a_version_starts_with_the_state),
        cmocka_unit_test(test_watch_of_one_service_in_protobuf),
        cmocka_unit_test(test_streaming_list),
        cmocka_unit_test(test_bookmarks_and_timeout),
        cmocka_unit_test(test_W11_watch_from_a_forgotten_version),
        cmocka_unit_test(test_slow_watcher_is_ended),
        cmocka_unit_test(test_ending_watches),
        cmocka_unit_test(test_watches_have_a_bound),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
