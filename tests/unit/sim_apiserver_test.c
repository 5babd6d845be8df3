/* sim_apiserver_test.c - the simulated API server, asked over HTTP in a simulated world. */
#include "support/api_bench.h"

#include "wire/json.h"

#define EXACT "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=%" PRIu64

/* --- lists and objects --- */

static void test_lists_of_every_kind(void **state) {
    struct bench b;
    FL_UNUSED(state);
    for (int version = FL_HTTP_1; version <= FL_HTTP_2; version++) {
        bench_open(&b, NULL, (enum fl_http_version)version);
        add_pod(&b);
        struct answer *a = get(&b, SLICES, JSON);
        assert_int_equal(a->status, 200);
        assert_string_equal(a->type, JSON);
        assert_true(a->ended);
        assert_has(a, "\"kind\":\"EndpointSliceList\"");
        assert_has(a, "\"ready\":true");
        assert_has(get(&b, "/api/v1/services", JSON), "\"kind\":\"ServiceList\"");
        assert_has(get(&b, "/api/v1/namespaces/default/endpoints", JSON), "\"notReadyAddresses\"");
        assert_has(get(&b, "/api/v1/namespaces/default/pods", JSON), "\"podIP\":\"10.1.");
        assert_lacks(get(&b, "/api/v1/namespaces/other/pods", JSON), "podIP");
        bench_close(&b);
    }
}

static int take_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    size_t *n = arg;
    FL_UNUSED(event);
    if (object->block) *n += fl_block_count(object->block);
    return 0;
}

static void no_status(void *arg, const struct fl_k8s_status *status) {
    FL_UNUSED(arg);
    fail_msg("status %d", status->code);
}

static void no_list_end(void *arg, struct fl_str version, struct fl_str token) {
    FL_UNUSED(arg);
    assert_true(version.n > 0);
    assert_int_equal(token.n, 0);
}

static struct fl_block *no_previous(void *arg, struct fl_str ns, struct fl_str name) {
    FL_UNUSED(arg);
    FL_UNUSED(ns);
    FL_UNUSED(name);
    return NULL;
}

/* What the decoder of wire/ makes of it is what the cluster holds. */
static void test_protobuf_is_decoded(void **state) {
    struct bench b;
    struct fl_k8s_decoder *decoder;
    const struct fl_k8s_decoder_events events = {
        .on_object = take_object,
        .on_error = no_status,
        .on_list_end = no_list_end,
        .previous = no_previous,
    };
    size_t n = 0;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    for (int i = 0; i < 130; i++) add_pod(&b);
    struct answer *a = get(&b, SLICES, FL_K8S_ACCEPT);
    assert_string_equal(a->type, PROTOBUF);
    assert_int_equal(fl_k8s_decoder_new(FL_K8S_ENDPOINTSLICE, &events, &n, &decoder), 0);
    fl_k8s_decoder_start(decoder, FL_K8S_BODY_LIST, FL_K8S_PROTOBUF);
    assert_int_equal(fl_k8s_decoder_feed(decoder, fl_buf_str(&a->body), NULL), 0);
    assert_int_equal(fl_k8s_decoder_end(decoder, NULL), 0);
    assert_int_equal(n, 130);
    fl_k8s_decoder_free(decoder);
    bench_close(&b);
}

static void test_single_objects(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct answer *a = get(&b, "/api/v1/namespaces/default/services/echo", JSON);
    assert_int_equal(a->status, 200);
    assert_has(a, "\"kind\":\"Service\"");
    a = get(&b, "/api/v1/namespaces/default/services/none", JSON);
    assert_status(a, 404, "NotFound");
    assert_has(a, "services \\\"none\\\" not found");
    a = get(&b, "/api/v1/namespaces/default/services/none", PROTOBUF);
    assert_int_equal(a->status, 404);
    assert_string_equal(a->type, PROTOBUF);
    assert_memory_equal(fl_buf_str(&a->body).p, "k8s\0", 4);
    assert_status(get(&b, "/api/v1/secrets", JSON), 404, "NotFound");
    bench_close(&b);
}

static void test_selectors(void **state) {
    struct bench b;
    struct fl_str ns = FL_STR("default");
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    assert_int_equal(fl_cluster_service(b.cluster, ns, FL_STR("other"), &grpc_port, 1), 0);
    static const struct {
        const char *query;
        size_t found;
    } cases[] = {
        {"", 2},
        {"?labelSelector=kubernetes.io%2Fservice-name%3Decho", 1},
        {"?labelSelector=kubernetes.io/service-name==other", 1},
        {"?labelSelector=kubernetes.io/service-name!=other", 1},
        {"?labelSelector=kubernetes.io/service-name", 2},
        {"?labelSelector=!kubernetes.io/service-name", 0},
        {"?labelSelector=app%3Decho", 0},
        {"?labelSelector=kubernetes.io/service-name%3Decho,app", 0},
        {"?fieldSelector=metadata.namespace%3Ddefault", 2},
        {"?fieldSelector=metadata.name%3Dno", 0},
        {"?labelSelector=kubernetes.io/service-name%20in%20(echo,other)", 2},
        {"?labelSelector=kubernetes.io/service-name+in+(echo),!app", 1},
        {"?labelSelector=kubernetes.io/service-name+notin+(echo)", 1},
        {"?labelSelector=app+notin+(echo)", 2},
    };
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        char path[200];
        snprintf(path, sizeof path, SLICES "%s", cases[i].query);
        assert_int_equal(count(get(&b, path, JSON), "\"addressType\""), cases[i].found);
    }
    assert_has(get(&b, "/api/v1/services?fieldSelector=metadata.name=echo", JSON), "\"echo\"");
    assert_status(get(&b, SLICES "?labelSelector=a+inn+(b,c)", JSON), 400, "BadRequest");
    assert_status(get(&b, SLICES "?fieldSelector=spec.x%3D1", JSON), 400, "BadRequest");
    bench_close(&b);
}

static void continue_of(struct answer *a, char out[256]) {
    const char *p = strstr(text_of(a), "\"continue\":\"");
    out[0] = 0;
    if (!p) return;
    p += 12;
    fl_str_copy(out, 256, fl_str_n(p, (size_t)(strchr(p, '"') - p)));
}

static void test_W7_pages_show_one_state(void **state) {
    struct bench b;
    char token[256], path[400], first[256];
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    struct fl_str last = FL_STR_NONE;
    for (int i = 0; i < 7; i++) last = add_pod(&b);
    struct answer *a = get(&b, "/api/v1/pods?limit=3", JSON);
    size_t pods = count(a, "\"podIP\"");
    assert_int_equal(pods, 3);
    continue_of(a, first);
    add_pod(&b); /* not in this list */
    assert_int_equal(fl_cluster_pod_delete(b.cluster, FL_STR("default"), last), 0);
    for (strcpy(token, first); token[0];) {
        snprintf(path, sizeof path, "/api/v1/pods?limit=3&continue=%s", token);
        a = get(&b, path, JSON);
        assert_int_equal(a->status, 200);
        pods += count(a, "\"podIP\"");
        continue_of(a, token);
    }
    assert_int_equal(pods, 7);
    fl_cluster_compact(b.cluster);
    snprintf(path, sizeof path, "/api/v1/pods?limit=3&continue=%s", first);
    assert_status(get(&b, path, JSON), 410, "Expired");
    assert_status(get(&b, "/api/v1/pods?limit=3&continue=nonsense", JSON), 400, "BadRequest");
    assert_int_equal(count(get(&b, "/api/v1/pods?limit=3&resourceVersion=0", JSON), "podIP"), 7);
    bench_close(&b);
}

static void test_versions_of_lists(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    add_pod(&b);
    uint64_t one = fl_cluster_version(b.cluster);
    add_pod(&b);
    struct answer *a = get(&b, url(EXACT, one), JSON);
    assert_int_equal(count(a, "\"podIP\""), 1);
    assert_has(a, url("\"resourceVersion\":\"%" PRIu64 "\"", one));
    a = get(&b, url("/api/v1/pods?resourceVersion=%" PRIu64, one), JSON); /* not older than */
    assert_int_equal(count(a, "\"podIP\""), 2);
    a = get(&b, url("/api/v1/pods?resourceVersion=%" PRIu64, one + 10000), JSON);
    assert_status(a, 504, "Timeout");
    assert_has(a, "ResourceVersionTooLarge");
    assert_string_equal(a->retry_after, "1");
    fl_cluster_compact(b.cluster);
    assert_status(get(&b, url(EXACT, one), JSON), 410, "Expired");
    assert_status(get(&b, "/api/v1/pods?resourceVersion=x", JSON), 400, "BadRequest");
    assert_status(get(&b, "/api/v1/pods?resourceVersionMatch=Exact", JSON), 422, "Invalid");
    assert_status(get(&b, "/api/v1/pods?resourceVersionMatch=Sort&resourceVersion=1", JSON), 422,
                  "Invalid");
    bench_close(&b);
}

static void test_a_large_list_comes_whole(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_1);
    for (int i = 0; i < 14000; i++) {
        struct fl_str name;
        assert_int_equal(fl_cluster_pod_add(b.cluster, FL_STR("default"), FL_STR("echo"),
                                            FL_STR("10.0.0.1"), &name),
                         0);
    }
    struct answer *a = start(&b, "GET", "/api/v1/pods", JSON);
    fl_world_run_ms(b.world, 5000);
    assert_true(a->body.len > (size_t)4 << 20); /* beyond a stream's queue */
    assert_true(a->ended);
    assert_int_equal(count(a, "\"Pending\""), 14000);
    bench_close(&b);
}

/* --- who may ask, and how --- */

static void test_token(void **state) {
    struct fl_apiserver_options options = {.token = FL_STR("secret")};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    assert_status(get(&b, "/api/v1/pods", JSON), 401, "Unauthorized");
    assert_int_equal(get(&b, "/healthz", "*/*")->status, 200);
    b.token = "Bearer wrong";
    assert_status(get(&b, "/api/v1/pods", JSON), 401, "Unauthorized");
    b.token = "Bearer secret";
    assert_int_equal(get(&b, "/api/v1/pods", JSON)->status, 200);
    bench_close(&b);
}

static void test_formats(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    assert_string_equal(get(&b, SLICES, "")->type, JSON);
    assert_string_equal(get(&b, SLICES, "*/*")->type, JSON);
    const char *table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    assert_has(get(&b, SLICES, table), "\"kind\":\"Table\"");
    assert_status(get(&b, SLICES, "application/json;as=Table;v=v2;g=meta.k8s.io"), 406,
                  "NotAcceptable");
    assert_status(get(&b, SLICES, "text/html"), 406, "NotAcceptable");
    struct answer *a = start(&b, "BREW", "/api/v1/namespaces/default/services/echo", JSON);
    fl_world_run_ms(b.world, 20);
    assert_status(a, 405, "MethodNotAllowed");
    bench_close(&b);
}

static void test_odd_urls(void **state) {
    struct bench b;
    static char path[9000];
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/", 404},
        {"//", 404},
        {"/api/v1/namespaces//pods", 200},
        {"/api/v1/namespaces/default/pods/a/b", 404},
        {"/api/v1/pods/name", 404}, /* a name without a namespace */
        {"/api/v1/endpointslices", 404},
        {"/apis/discovery.k8s.io/v1/pods", 404},
        {"/api/v1/pods?", 200},
        {"/api/v1/pods?&&=&a=b&watch", 200},
        {"/api/v1/pods?limit=-1", 400},
        {"/api/v1/pods?limit=99999999999999999999", 400},
        {"/api/v1/pods?labelSelector=%", 200},
        {"/api/v1/pods?labelSelector=%zz%4", 200},
        {"/api/v1/pods?labelSelector=%3Da", 400},
        {"/api/v1/pods?labelSelector=,,", 200},
        {"/api/v1/pods?labelSelector=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", 400},
        {"/api/v1/pods?continue=v1.5", 400},
        {"/api/v1/pods?continue=v1.x.a/b", 400},
        {"/api/v1/pods?continue=v1.999.default/x&resourceVersion=5", 400},
    };
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    for (size_t i = 0; i < FL_COUNT(cases); i++)
        assert_int_equal(get(&b, cases[i].path, JSON)->status, cases[i].status);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    assert_status(get(&b, path, JSON), 414, "RequestURITooLong");
    bench_close(&b);
}

static void test_json_only(void **state) {
    struct fl_apiserver_options options = {.no_protobuf = true};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_1);
    assert_string_equal(get(&b, SLICES, FL_K8S_ACCEPT)->type, JSON);
    assert_status(get(&b, SLICES, PROTOBUF), 406, "NotAcceptable");
    struct answer *a = get(&b, SLICES "?watch=1", FL_K8S_ACCEPT_WATCH);
    assert_string_equal(a->type, JSON);
    cancel(&b, a);
    bench_close(&b);
}

static void assert_json(struct answer *a) {
    struct fl_json *json;
    enum fl_json_token token;
    assert_int_equal(fl_json_new(4096, &json), 0);
    fl_json_feed(json, fl_buf_str(&a->body));
    do token = fl_json_next(json);
    while (token != FL_JSON_MORE && token != FL_JSON_BAD);
    assert_int_equal(token, FL_JSON_MORE);
    assert_int_equal(fl_json_depth(json), 0);
    fl_json_free(json);
}

static void test_documents(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_1);
    assert_has(get(&b, "/version", JSON), "\"gitVersion\":\"v1.36");
    assert_has(get(&b, "/api", JSON), "\"versions\":[\"v1\"]");
    assert_has(get(&b, "/apis", JSON), "discovery.k8s.io/v1");
    assert_has(get(&b, "/apis/discovery.k8s.io/v1", JSON), "endpointslices");
    assert_has(get(&b, "/api/v1", JSON), "\"pods\"");
    assert_has(get(&b, "/readyz", "*/*"), "ok");
    static const char *const paths[] = {
        "/version",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/discovery.k8s.io",
        "/apis/discovery.k8s.io/v1",
    };
    for (size_t i = 0; i < FL_COUNT(paths); i++) assert_json(get(&b, paths[i], JSON));
    assert_status(get(&b, "/openapi/v2", JSON), 404, "NotFound");
    bench_close(&b);
}

static void test_old_servers(void **state) {
    struct fl_apiserver_options options = {.no_streaming_list = true, .no_endpointslices = true};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    assert_status(get(&b, SLICES, JSON), 404, "NotFound");
    assert_lacks(get(&b, "/apis", JSON), "discovery.k8s.io");
    assert_int_equal(get(&b, "/api/v1/endpoints", JSON)->status, 200);
    assert_status(get(&b,
                      "/api/v1/endpoints?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                      "&resourceVersionMatch=NotOlderThan",
                      JSON),
                  422, "Invalid");
    bench_close(&b);
}

/* --- faults --- */

static void test_faults(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    uint64_t v = fl_cluster_version(b.cluster);
    for (int i = 0; i < 5; i++) add_pod(&b);
    fl_apiserver_fault(b.server, FL_FAULT_UNAVAILABLE, 1);
    struct answer *a = get(&b, SLICES, JSON);
    assert_status(a, 503, "ServiceUnavailable");
    assert_string_equal(a->retry_after, "1");
    assert_int_equal(get(&b, SLICES, JSON)->status, 200); /* only once */
    fl_apiserver_fault(b.server, FL_FAULT_THROTTLED, 1);
    assert_status(get(&b, SLICES, JSON), 429, "TooManyRequests");

    fl_apiserver_fault(b.server, FL_FAULT_GONE_STATUS, 1);
    assert_int_equal(get(&b, SLICES, JSON)->status, 200); /* a list is no watch */
    assert_status(get(&b, SLICES "?watch=1", JSON), 410, "Expired");
    fl_apiserver_fault(b.server, FL_FAULT_GONE_EVENT, 1);
    a = get(&b, SLICES "?watch=1", JSON);
    assert_int_equal(a->status, 200);
    assert_has(a, "\"type\":\"ERROR\"");

    fl_apiserver_fault(b.server, FL_FAULT_OLDER, 1);
    a = get(&b, "/api/v1/pods?resourceVersion=0", JSON);
    assert_true(count(a, "\"podIP\"") < 5);
    assert_int_equal(count(get(&b, "/api/v1/pods?resourceVersion=0", JSON), "\"podIP\""), 5);

    fl_apiserver_fault(b.server, FL_FAULT_SHORT, 1);
    a = start(&b, "GET", url(SLICES "?watch=1&resourceVersion=%" PRIu64, v), JSON);
    fl_world_run_ms(b.world, 400);
    assert_false(a->ended);
    fl_world_run_ms(b.world, 200);
    assert_true(a->ended);
    assert_int_equal(a->body.len, 0);

    fl_apiserver_fault(b.server, FL_FAULT_GARBAGE, 1);
    a = get(&b, SLICES, JSON);
    assert_true(a->ended && a->body.len > 0);
    fl_apiserver_fault(b.server, FL_FAULT_STALL, 1);
    a = get(&b, SLICES, JSON);
    assert_int_equal(a->status, 0);
    cancel(&b, a);
    assert_int_equal(fl_apiserver_requests(b.server), 11);
    bench_close(&b);
}

static void test_every_allocation_fails(void **state) {
    FL_UNUSED(state);
    struct fl_world_options options = {.seed = 1};
    struct fl_world *world;
    struct fl_cluster *cluster;
    assert_int_equal(fl_world_new(&options, &world), 0);
    assert_int_equal(fl_cluster_new(1, 100, &cluster), 0);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_apiserver *server;
        struct fl_apiserver_options o = {.host = FL_STR("127.0.0.1"), .token = FL_STR("t")};
        struct bench b = {0};
        FL_UNUSED(n);
        int rc = fl_apiserver_new(fl_world_io(world), cluster, &o, &server, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        if (rc) continue;
        fl_apiserver_close(server, on_server_closed, &b);
        fl_world_run_ms(world, 10);
        assert_true(b.server_closed);
    }
    fl_cluster_free(cluster);
    fl_world_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_of_every_kind),
        cmocka_unit_test(test_protobuf_is_decoded),
        cmocka_unit_test(test_single_objects),
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_W7_pages_show_one_state),
        cmocka_unit_test(test_versions_of_lists),
        cmocka_unit_test(test_a_large_list_comes_whole),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_odd_urls),
        cmocka_unit_test(test_json_only),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_old_servers),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
