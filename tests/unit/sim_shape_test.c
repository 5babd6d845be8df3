/* sim_shape_test.c - what users have written to the simulated API server, in every shape that is
 * asked for, and by whom. */
#include "support/api_bench.h"
#include "support/api_samples.h"

#include "wire/yaml.h"

/* --- shapes --- */

static int take_object(void *arg, enum fl_k8s_event event, struct fl_k8s_object *object) {
    struct fl_block **out = arg;
    FL_UNUSED(event);
    *out = object->block;
    object->block = NULL;
    return 0;
}

static void no_status(void *arg, const struct fl_k8s_status *status) {
    FL_UNUSED(arg);
    fail_msg("status %d", status->code);
}

static void no_end(void *arg, struct fl_str version, struct fl_str token) {
    FL_UNUSED(arg), FL_UNUSED(version), FL_UNUSED(token);
}

static struct fl_block *no_previous(void *arg, struct fl_str ns, struct fl_str name) {
    FL_UNUSED(arg), FL_UNUSED(ns), FL_UNUSED(name);
    return NULL;
}

/* A user's slice in protobuf is what wire/ reads in JSON. */
static void test_protobuf_of_what_users_write(void **state) {
    const struct fl_k8s_decoder_events events = {take_object, no_status, no_end, no_previous};
    struct bench b;
    struct fl_block *blocks[2] = {NULL, NULL};
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    assert_int_equal(fl_cluster_service_delete(b.cluster, FL_STR("default"), FL_STR("echo")), 0);
    assert_int_equal(
        post(&b, SLICES_NS,
             "{\"metadata\":{\"name\":\"s\",\"labels\":{\"kubernetes.io/service-name\":\"web\"}},"
             "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":"
             "{\"ready\":false},\"zone\":\"z\",\"nodeName\":\"n\",\"targetRef\":{\"kind\":\"Pod\","
             "\"name\":\"p\",\"uid\":\"u\"}}],\"ports\":[{\"name\":\"http\",\"port\":80,"
             "\"protocol\":\"TCP\"}]}")
            ->status,
        201);
    for (int format = FL_K8S_JSON; format <= FL_K8S_PROTOBUF; format++) {
        struct fl_k8s_decoder *decoder;
        struct answer *a = get(&b, SLICES, format == FL_K8S_JSON ? JSON : PROTOBUF);
        assert_int_equal(
            fl_k8s_decoder_new(FL_K8S_ENDPOINTSLICE, &events, &blocks[format], &decoder), 0);
        fl_k8s_decoder_start(decoder, FL_K8S_BODY_LIST, (enum fl_k8s_format)format);
        assert_int_equal(fl_k8s_decoder_feed(decoder, fl_buf_str(&a->body), NULL), 0);
        assert_int_equal(fl_k8s_decoder_end(decoder, NULL), 0);
        fl_k8s_decoder_free(decoder);
        assert_non_null(blocks[format]);
        assert_int_equal(fl_block_count(blocks[format]), 1);
    }
    fl_block_unref(blocks[0]);
    fl_block_unref(blocks[1]);
    bench_close(&b);
}

static void test_metadata_and_tables(void **state) {
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    post(&b, SERVICES, WEB);
    struct answer *a = get(&b, SERVICES, METADATA);
    assert_has(a, "\"kind\":\"PartialObjectMetadataList\"");
    assert_has(a, "\"tier\":\"front\"");
    assert_has(a, "\"app\":\"echo\"");
    assert_lacks(a, "\"spec\"");
    a = get(&b, SERVICES,
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g="
            "meta.k8s.io;v=v1");
    assert_string_equal(a->type, PROTOBUF);
    a = get(&b, SERVICES, TABLE);
    assert_has(a, "\"kind\":\"Table\"");
    assert_has(a, "\"name\":\"Cluster-IP\"");
    assert_has(a, "\"cells\":[\"web\",\"ClusterIP\",\"10.96.");
    assert_has(a, "\"80/TCP\"");
    a = get(&b, SERVICES "?limit=1", TABLE);
    assert_int_equal(count(a, "\"cells\""), 1);
    assert_has(a, "\"continue\":\"");
    static const char *const lists[] = {PODS,
                                        SLICES_NS,
                                        NS "/endpoints",
                                        "/api/v1/nodes",
                                        "/api/v1/namespaces",
                                        "/apis/apps/v1/namespaces/default/deployments",
                                        "/apis/coordination.k8s.io/v1/leases"};
    add_pod(&b);
    for (size_t i = 0; i < FL_COUNT(lists); i++) assert_has(get(&b, lists[i], TABLE), "\"Age\"");
    a = get(&b, SERVICES "?watch=1", TABLE);
    assert_int_equal(count(a, "\"kind\":\"Table\""), 2);
    cancel(&b, a);
    assert_int_equal(get(&b, "/api/v1/nodes", PROTOBUF)->status, 406);
    bench_close(&b);
}

static void test_W7_a_list_may_go_on_after_410(void **state) {
    struct bench b;
    char path[400];
    FL_UNUSED(state);
    bench_open(&b, NULL, FL_HTTP_2);
    for (int i = 0; i < 4; i++) add_pod(&b);
    struct answer *a = get(&b, "/api/v1/pods?limit=1", JSON);
    const char *token = strstr(text_of(a), "\"continue\":\"") + 12;
    snprintf(path, sizeof path, "/api/v1/pods?limit=500&continue=%.*s", (int)strcspn(token, "\""),
             token);
    add_pod(&b);
    fl_cluster_compact(b.cluster);
    assert_int_equal(get(&b, path, PROTOBUF)->status, 410);
    a = get(&b, path, JSON);
    assert_status(a, 410, "Expired");
    token = strstr(text_of(a), "\"continue\":\"") + 12;
    snprintf(path, sizeof path, "/api/v1/pods?limit=500&continue=%.*s", (int)strcspn(token, "\""),
             token);
    a = get(&b, path, JSON);
    assert_int_equal(a->status, 200);
    assert_in_range(count(a, "\"podIP\""), 3, 4); /* the new one may stand before the token */
    bench_close(&b);
}

/* --- who may --- */

#define MAY(verb)                                                                                  \
    "{\"spec\":{\"resourceAttributes\":{\"namespace\":\"default\",\"verb\":\"" verb "\"}}}"

static void test_a_reader_may_only_read(void **state) {
    const struct fl_apiserver_options options = {.token = FL_STR("admin"),
                                                 .reader_token = FL_STR("reader"),
                                                 .reader_namespace = FL_STR("default")};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    assert_status(post(&b, SERVICES, WEB), 401, "Unauthorized");
    b.token = "Bearer reader";
    assert_int_equal(get(&b, SERVICES, JSON)->status, 200);
    assert_int_equal(get(&b, "/apis", JSON)->status, 200);
    struct answer *a = get(&b, "/api/v1/services", JSON);
    assert_status(a, 403, "Forbidden");
    assert_has(a, "at the cluster scope");
    a = post(&b, SERVICES, WEB);
    assert_status(a, 403, "Forbidden");
    assert_has(a, "cannot create resource \\\"services\\\"");
    const char *review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_has(post(&b, review, MAY("create")), "\"allowed\":false");
    assert_has(post(&b, review, MAY("list")), "\"allowed\":true");
    assert_status(post(&b, review, "7"), 400, "BadRequest");
    b.token = "Bearer admin";
    assert_int_equal(post(&b, SERVICES, WEB)->status, 201);
    assert_has(post(&b, review, MAY("create")), "\"allowed\":true");
    bench_close(&b);
}

static void test_old_etcd_refuses_within_the_stream(void **state) {
    const struct fl_apiserver_options options = {.old_etcd = true};
    struct bench b;
    FL_UNUSED(state);
    bench_open(&b, &options, FL_HTTP_2);
    struct answer *a = get(&b,
                           PODS "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                                "&resourceVersionMatch=NotOlderThan",
                           JSON);
    assert_int_equal(a->status, 200);
    assert_has(a, "\"type\":\"ERROR\"");
    assert_has(a, "\"code\":500");
    assert_has(a, "RequestWatchProgress is disabled");
    assert_true(a->ended);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protobuf_of_what_users_write),
        cmocka_unit_test(test_metadata_and_tables),
        cmocka_unit_test(test_W7_a_list_may_go_on_after_410),
        cmocka_unit_test(test_a_reader_may_only_read),
        cmocka_unit_test(test_old_etcd_refuses_within_the_stream),
    };
    fl_yaml_use_alloc();
    return fl_test_run(tests, FL_COUNT(tests));
}
