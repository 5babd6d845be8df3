/* sim_write_test.c - what users create, change and delete at the simulated API server. */
#include "support/api_bench.h"

#include "wire/yaml.h"

#define NS        "/api/v1/namespaces/default"
#define SERVICES  NS "/services"
#define PODS      NS "/pods"
#define MERGE     "application/merge-patch+json"
#define PATCH     "application/json-patch+json"
#define SMART     "application/strategic-merge-patch+json"
#define METADATA  "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define TABLE     "application/json;as=Table;g=meta.k8s.io;v=v1"
#define SLICES_NS "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

#define WEB                                                                                        \
    "{\"metadata\":{\"name\":\"web\",\"labels\":{\"tier\":\"front\"}},\"spec\":{\"selector\":"     \
    "{\"app\":\"web\"},\"ports\":[{\"port\":80,\"targetPort\":8080}],\"unknownField\":{\"x\":[1]}" \
    "}}"
#define POD(name)                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":"   \
    "\"node-1\",\"containers\":[{\"name\":\"c\"}]}}"
#define RUNNING(ip, ready)                                                                         \
    "{\"status\":{\"phase\":\"Running\",\"podIP\":\"" ip "\",\"conditions\":[{\"type\":\"Ready\"," \
    "\"status\":\"" ready "\"}]}}"

static void open_bench(struct bench *b) { bench_open(b, NULL, FL_HTTP_2); }

static struct answer *post(struct bench *b, const char *path, const char *body) {
    return send_body(b, "POST", path, NULL, body);
}

static struct answer *patch(struct bench *b, const char *path, const char *type, const char *body) {
    return send_body(b, "PATCH", path, type, body);
}

static struct answer *erase(struct bench *b, const char *path) {
    return send_body(b, "DELETE", path, NULL, "");
}

/* --- create --- */

static void test_create_keeps_every_field(void **state) {
    FL_UNUSED(state);
    for (enum fl_http_version v = FL_HTTP_1; v <= FL_HTTP_2; v++) {
        struct bench b;
        bench_open(&b, NULL, v);
        struct answer *a = post(&b, SERVICES, WEB);
        assert_int_equal(a->status, 201);
        a = get(&b, SERVICES "/web", JSON);
        assert_has(a, "\"unknownField\":{\"x\":[1]}");
        assert_has(a, "\"kind\":\"Service\"");
        assert_has(a, "\"namespace\":\"default\"");
        assert_has(a, "\"uid\":\"");
        assert_has(a, "\"creationTimestamp\":\"");
        assert_has(a, "\"clusterIP\":\"10.96.");
        assert_has(a, "\"protocol\":\"TCP\"");
        assert_has(get(&b, SERVICES, JSON), "unknownField");
        a = get(&b, SERVICES "/web", PROTOBUF);
        assert_string_equal(a->type, PROTOBUF);
        assert_status(post(&b, SERVICES, WEB), 409, "AlreadyExists");
        bench_close(&b);
    }
}

static void test_names_are_made_up(void **state) {
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    struct answer *a = post(&b, PODS "?dryRun=All", POD("x"));
    assert_int_equal(a->status, 201);
    assert_int_equal(get(&b, PODS "/x", JSON)->status, 404);
    a = post(&b, PODS, "{\"metadata\":{\"generateName\":\"w-\"},\"spec\":{\"containers\":[{}]}}");
    assert_int_equal(a->status, 201);
    assert_has(a, "\"name\":\"w-");
    bench_close(&b);
}

static void test_what_is_refused(void **state) {
    static const struct {
        const char *path, *body;
        int status;
        const char *reason, *word;
    } cases[] = {
        {SERVICES, "", 400, "BadRequest", "unrecognized"},
        {SERVICES, "[]", 400, "BadRequest", "no Service"},
        {SERVICES, "{\"a\":1,\"a\":2}", 400, "BadRequest", "duplicate"},
        {SERVICES, "{\"kind\":\"Pod\"}", 400, "BadRequest", "no Service"},
        {SERVICES, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}", 400, "BadRequest",
         "does not match the namespace"},
        {SERVICES, "{\"metadata\":{}}", 422, "Invalid", "name or generateName is required"},
        {SERVICES, "{\"metadata\":{\"name\":\"A_b\"}}", 422, "Invalid", "DNS label"},
        {SERVICES, "{\"metadata\":{\"name\":\"a\"}}", 422, "Invalid", "spec.ports: Required"},
        {SERVICES, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"ports\":[{\"port\":70000}]}}", 422,
         "Invalid", "between 1 and 65535"},
        {SERVICES, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"type\":\"ExternalName\"}}", 422,
         "Invalid", "externalName"},
        {SERVICES, "{\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":1}}}", 422, "Invalid",
         "must be strings"},
        {SERVICES "?x", "{\"metadata\":7}", 422, "Invalid", "required"},
        {PODS, "{\"metadata\":{\"name\":\"a\"}}", 422, "Invalid", "containers"},
        {SLICES_NS, "{\"metadata\":{\"name\":\"a\"}}", 422, "Invalid", "addressType"},
        {SLICES_NS, "{\"metadata\":{\"name\":\"a\"},\"addressType\":\"IPv4\",\"endpoints\":[{}]}",
         422, "Invalid", "addresses"},
        {SLICES_NS,
         "{\"metadata\":{\"name\":\"a\"},\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":"
         "[\"nonsense\"]}]}",
         422, "Invalid", "valid IP"},
        {"/api/v1/services", WEB, 405, "MethodNotAllowed", "in a namespace"},
        {NS "/secrets", "{}", 405, "MethodNotAllowed", ""},
    };
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        struct answer *a = post(&b, cases[i].path, cases[i].body);
        assert_status(a, cases[i].status, cases[i].reason);
        assert_has(a, cases[i].word);
    }
    assert_status(send_body(&b, "POST", SERVICES, "text/yaml", "a: b"), 415,
                  "UnsupportedMediaType");
    assert_status(send_body(&b, "PATCH", SERVICES "/echo", "application/apply-patch+yaml", "{}"),
                  415, "UnsupportedMediaType");
    assert_status(send_body(&b, "PUT", SERVICES, NULL, WEB), 405, "MethodNotAllowed");
    bench_close(&b);
}

static void test_sizes_are_bounded(void **state) {
    struct bench b;
    struct fl_buf text;
    FL_UNUSED(state);
    open_bench(&b);
    for (int mib = 2; mib <= 4; mib += 2) { /* more than etcd takes, more than a request may have */
        fl_buf_init(&text, (size_t)8 << 20);
        assert_int_equal(
            fl_buf_printf(&text, "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":\""), 0);
        char *at = fl_buf_reserve(&text, (size_t)mib << 20);
        assert_non_null(at);
        memset(at, 'a', (size_t)mib << 20);
        fl_buf_commit(&text, (size_t)mib << 20);
        assert_int_equal(fl_buf_printf(&text, "\"}},\"spec\":{\"ports\":[{\"port\":1}]}}"), 0);
        char *body = fl_buf_steal_text(&text);
        struct answer *a = post(&b, SERVICES, body);
        fl_world_run_ms(b.world, 1000);
        assert_status(a, 413, "RequestEntityTooLarge");
        fl_free(body);
    }
    bench_close(&b);
}

/* --- update and patch --- */

static void version_of(struct answer *a, char out[32]) {
    const char *p = strstr(text_of(a), "\"resourceVersion\":\"");
    assert_non_null(p);
    fl_str_copy(out, 32, fl_str_n(p + 19, strcspn(p + 19, "\"")));
}

static void test_optimistic_concurrency(void **state) {
    struct bench b;
    char version[32], body[512], again[32];
    FL_UNUSED(state);
    open_bench(&b);
    version_of(post(&b, SERVICES, WEB), version);
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"web\",\"resourceVersion\":\"%s\"},\"spec\":{\"ports\":"
             "[{\"port\":81}]}}",
             version);
    struct answer *a = send_body(&b, "PUT", SERVICES "/web", NULL, body);
    assert_int_equal(a->status, 200);
    assert_has(a, "\"port\":81");
    assert_lacks(a, "tier"); /* an update replaces */
    version_of(a, again);
    assert_string_not_equal(again, version);
    a = send_body(&b, "PUT", SERVICES "/web", NULL, body);
    assert_status(a, 409, "Conflict");
    assert_has(a, "the object has been modified; please apply your changes to the latest version");
    a = patch(&b, SERVICES "/web", MERGE, "{\"metadata\":{\"resourceVersion\":\"1\"}}");
    assert_status(a, 409, "Conflict");
    a = patch(&b, SERVICES "/web", MERGE, "{\"metadata\":{\"uid\":\"1\"}}");
    assert_status(a, 409, "Conflict");
    a = patch(&b, SERVICES "/web", MERGE, "{\"metadata\":{\"name\":\"other\"}}");
    assert_status(a, 400, "BadRequest");
    a = patch(&b, SERVICES "/web", MERGE, "{}"); /* nothing changes: no new version */
    version_of(a, version);
    assert_string_equal(again, version);
    assert_status(send_body(&b, "PUT", SERVICES "/none", NULL, body), 404, "NotFound");
    bench_close(&b);
}

static void test_patch_kinds(void **state) {
    static const struct {
        const char *type, *body;
        int status;
        const char *has, *lacks;
    } cases[] = {
        {MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 200, "\"a\":\"b\"", NULL},
        {MERGE, "{\"metadata\":{\"labels\":{\"a\":null}}}", 200, "\"tier\"", "\"a\":\"b\""},
        {MERGE, "{\"spec\":{\"ports\":[{\"port\":1}]}}", 200, "\"port\":1", "\"port\":80"},
        {SMART, "{\"spec\":{\"ports\":[{\"port\":2,\"name\":\"two\"}]}}", 422, "name: Required",
         NULL},
        {SMART,
         "{\"spec\":{\"ports\":[{\"port\":1,\"name\":\"one\"},{\"port\":2,\"name\":\"two\"}]}}",
         200, "\"port\":1", NULL},
        {SMART, "{\"spec\":{\"ports\":[{\"port\":1,\"$patch\":\"delete\"}]}}", 200, "\"port\":2",
         "\"port\":1,"},
        {SMART,
         "{\"spec\":{\"$setElementOrder/ports\":[],\"selector\":{\"$patch\":\"replace\","
         "\"z\":\"1\"}}}",
         200, "\"selector\":{\"z\":\"1\"}", "$"},
        {PATCH,
         "[{\"op\":\"test\",\"path\":\"/spec/selector/z\",\"value\":\"1\"},"
         "{\"op\":\"add\",\"path\":\"/metadata/labels/x~1y\",\"value\":\"v\"},"
         "{\"op\":\"copy\",\"from\":\"/metadata/labels/x~1y\",\"path\":\"/metadata/labels/w\"},"
         "{\"op\":\"move\",\"from\":\"/metadata/labels/w\",\"path\":\"/metadata/labels/u\"},"
         "{\"op\":\"replace\",\"path\":\"/spec/ports/0/port\",\"value\":9},"
         "{\"op\":\"add\",\"path\":\"/spec/ports/-\",\"value\":{\"port\":10,\"name\":\"ten\"}}]",
         200, "\"x/y\":\"v\"", "\"w\":"},
        {PATCH, "[{\"op\":\"remove\",\"path\":\"/spec/ports/1\"}]", 200, "\"port\":9", "ten"},
        {PATCH, "[{\"op\":\"test\",\"path\":\"/spec/type\",\"value\":\"no\"}]", 422, "testing path",
         NULL},
        {PATCH, "[{\"op\":\"remove\",\"path\":\"/spec/nothing\"}]", 422, "nothing stands", NULL},
        {PATCH, "[{\"op\":\"remove\",\"path\":\"/spec/ports/7\"}]", 422, "nothing stands", NULL},
        {PATCH, "[{\"op\":\"dance\",\"path\":\"/spec\",\"value\":1}]", 400, "no such operation",
         NULL},
        {PATCH, "[{\"op\":\"add\",\"path\":\"spec\",\"value\":1}]", 400, "no path", NULL},
        {PATCH, "[{\"op\":\"add\"}]", 400, "needs", NULL},
        {PATCH, "[{\"op\":\"copy\",\"path\":\"/a\"}]", 400, "from", NULL},
        {PATCH, "{}", 400, "list of operations", NULL},
        {MERGE, "[]", 400, "an object", NULL},
        {MERGE, "{\"metadata\":null}", 400, "name", NULL},
        {SMART, "{\"spec\":{\"ports\":[{\"port\":5},{}]}}", 400, "merge key", NULL},
        {MERGE, "{\"spec\":null}", 422, "spec.ports", NULL},
    };
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    assert_int_equal(post(&b, SERVICES, WEB)->status, 201);
    for (size_t i = 0; i < FL_COUNT(cases); i++) {
        struct answer *a = patch(&b, SERVICES "/web", cases[i].type, cases[i].body);
        if (a->status != cases[i].status) print_error("%s: %s\n", cases[i].body, text_of(a));
        assert_int_equal(a->status, cases[i].status);
        assert_has(a, cases[i].has);
        if (cases[i].lacks) assert_lacks(a, cases[i].lacks);
    }
    bench_close(&b);
}

static void test_status_is_a_part_of_its_own(void **state) {
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    assert_int_equal(post(&b, PODS, POD("p"))->status, 201);
    struct answer *a = patch(&b, PODS "/p", MERGE, "{\"status\":{\"phase\":\"Failed\"}}");
    assert_has(a, "\"phase\":\"Pending\"");
    a = patch(&b, PODS "/p/status", MERGE,
              "{\"spec\":{\"nodeName\":\"other\"},\"status\":{\"phase\":\"Running\"}}");
    assert_int_equal(a->status, 200);
    assert_has(a, "\"phase\":\"Running\"");
    assert_has(a, "\"nodeName\":\"node-1\"");
    assert_int_equal(get(&b, SLICES_NS "/x/status", JSON)->status, 404);
    bench_close(&b);
}

/* --- delete --- */

static void test_delete(void **state) {
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    uint64_t v = fl_cluster_version(b.cluster);
    struct answer *watch = get(&b, url(SERVICES "?watch=1&resourceVersion=%" PRIu64, v), JSON);
    post(&b, SERVICES, WEB);
    struct answer *a =
        send_body(&b, "DELETE", SERVICES "/web", NULL, "{\"preconditions\":{\"uid\":\"other\"}}");
    assert_status(a, 409, "Conflict");
    a = send_body(&b, "DELETE", SERVICES "/web", NULL,
                  "{\"preconditions\":{\"resourceVersion\":\"1\"}}");
    assert_status(a, 409, "Conflict");
    assert_int_equal(erase(&b, SERVICES "/web?dryRun=All")->status, 200);
    assert_int_equal(get(&b, SERVICES "/web", JSON)->status, 200);
    a = erase(&b, SERVICES "/web");
    assert_int_equal(a->status, 200);
    assert_has(a, "\"status\":\"Success\"");
    assert_status(erase(&b, SERVICES "/web"), 404, "NotFound");
    assert_has(watch, "\"type\":\"DELETED\"");
    assert_has(watch, "unknownField"); /* with its last state */
    for (int i = 0; i < 3; i++) {
        char body[300];
        snprintf(
            body, sizeof body,
            "{\"metadata\":{\"name\":\"p%d\",\"labels\":{\"n\":\"%d\"}},\"spec\":{\"containers\":"
            "[{\"name\":\"c\"}]}}",
            i, i);
        assert_int_equal(post(&b, PODS, body)->status, 201);
    }
    assert_int_equal(erase(&b, PODS "?labelSelector=n+in+(0,2)")->status, 200);
    a = get(&b, PODS, JSON);
    assert_int_equal(count(a, "\"phase\""), 1);
    assert_has(a, "\"name\":\"p1\"");
    cancel(&b, watch);
    bench_close(&b);
}

/* --- what the cluster makes --- */

static void test_the_clusters_own(void **state) {
    struct bench b;
    char path[200];
    FL_UNUSED(state);
    open_bench(&b);
    struct fl_str pod = add_pod(&b);
    snprintf(path, sizeof path, PODS "/%.*s", FL_STR_ARG(pod));
    struct answer *a = patch(&b, path, SMART, "{\"metadata\":{\"labels\":{\"color\":\"blue\"}}}");
    assert_int_equal(a->status, 200);
    assert_int_equal(fl_cluster_pod_phase(b.cluster, FL_STR("default"), pod, FL_POD_RUNNING), 0);
    a = get(&b, PODS "?labelSelector=color%3Dblue,app%3Decho", JSON); /* goes on with the pod */
    assert_has(a, "\"color\":\"blue\"");
    assert_has(a, "\"status\":\"False\"");
    assert_int_equal(get(&b, path, PROTOBUF)->status, 200);
    a = patch(&b, path, MERGE, "{\"metadata\":{\"labels\":{\"app\":null}}}");
    assert_int_equal(count(get(&b, PODS "?labelSelector=app", JSON), "\"podIP\""), 0);
    assert_int_equal(erase(&b, path)->status, 200);
    assert_int_equal(get(&b, path, JSON)->status, 404);
    a = get(&b, SLICES_NS, JSON);
    assert_lacks(a, "targetRef");
    const char *name = strstr(text_of(a), "\"name\":\"echo-") + 8;
    snprintf(path, sizeof path, SLICES_NS "/%.*s", (int)strcspn(name, "\""), name);
    assert_status(erase(&b, path), 403, "Forbidden");
    assert_status(patch(&b, path, MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"), 403,
                  "Forbidden");
    assert_status(post(&b, SERVICES,
                       "{\"metadata\":{\"name\":\"echo\"},\"spec\":{\"ports\":"
                       "[{\"port\":1}]}}"),
                  409, "AlreadyExists");
    assert_int_equal(erase(&b, SERVICES "/echo")->status, 200);
    assert_int_equal(count(get(&b, SLICES_NS, JSON), "addressType"), 0);
    assert_int_equal(post(&b, SERVICES,
                          "{\"metadata\":{\"name\":\"echo\"},\"spec\":{\"ports\":"
                          "[{\"port\":1}]}}")
                         ->status,
                     201);
    assert_int_equal(
        fl_cluster_service(b.cluster, FL_STR("default"), FL_STR("echo"), &grpc_port, 1), FL_EFULL);
    bench_close(&b);
}

/* --- the controller of users' Services --- */

static void test_selectors_become_slices(void **state) {
    struct bench b;
    FL_UNUSED(state);
    open_bench(&b);
    fl_cluster_slice_max(b.cluster, 2);
    post(&b, SERVICES, WEB);
    struct answer *a = get(&b, SLICES_NS "?labelSelector=kubernetes.io/service-name%3Dweb", JSON);
    assert_int_equal(count(a, "\"addressType\""), 1);
    assert_has(a, "\"endpoints\":[]");
    static const char *const pods[] = {POD("a"), POD("b"), POD("c")};
    static const char *const paths[] = {PODS "/a/status", PODS "/b/status", PODS "/c/status"};
    static const char *const says[] = {RUNNING("10.0.0.1", "True"), RUNNING("10.0.0.2", "True"),
                                       RUNNING("10.0.0.3", "False")};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(post(&b, PODS, pods[i])->status, 201);
        assert_int_equal(patch(&b, paths[i], MERGE, says[i])->status, 200);
    }
    a = get(&b, SLICES_NS "?labelSelector=kubernetes.io/service-name%3Dweb", JSON);
    assert_int_equal(count(a, "\"addressType\""), 2);
    assert_int_equal(count(a, "\"ready\":true"), 2);
    assert_int_equal(count(a, "\"ready\":false"), 1);
    assert_int_equal(count(a, "\"port\":8080"), 2);
    assert_has(a, "\"nodeName\":\"node-1\"");
    a = get(&b, NS "/endpoints/web", JSON);
    assert_has(a, "\"notReadyAddresses\":[{\"ip\":\"10.0.0.3\"");
    assert_int_equal(erase(&b, PODS "/a")->status, 200);
    assert_int_equal(
        patch(&b, PODS "/b", MERGE, "{\"metadata\":{\"labels\":{\"app\":null}}}")->status, 200);
    a = get(&b, SLICES_NS "?labelSelector=kubernetes.io/service-name%3Dweb", JSON);
    assert_int_equal(count(a, "\"ready\":true"), 0);
    assert_has(a, "10.0.0.3");
    a = patch(&b, SERVICES "/web", MERGE, "{\"spec\":{\"publishNotReadyAddresses\":true}}");
    a = get(&b, SLICES_NS "?labelSelector=kubernetes.io/service-name%3Dweb", JSON);
    assert_int_equal(count(a, "\"ready\":true"), 1);
    assert_int_equal(erase(&b, SERVICES "/web")->status, 200);
    a = get(&b, SLICES_NS "?labelSelector=kubernetes.io/service-name%3Dweb", JSON);
    assert_int_equal(count(a, "\"addressType\""), 0);
    assert_int_equal(get(&b, NS "/endpoints/web", JSON)->status, 404);
    bench_close(&b);
}

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
    open_bench(&b);
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
    open_bench(&b);
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
    open_bench(&b);
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

/* --- memory --- */

/* A write that fails for want of memory changes nothing that is half, and the next one works. */
static void test_every_allocation_fails(void **state) {
    static const struct {
        const char *method, *path, *type, *body;
    } steps[] = {
        {"POST", SERVICES, NULL, WEB},
        {"POST", PODS, NULL, POD("a")},
        {"PATCH", PODS "/a/status", MERGE, RUNNING("10.0.0.1", "True")},
        {"PATCH", SERVICES "/web", PATCH,
         "[{\"op\":\"add\",\"path\":\"/metadata/labels/a\",\"value\":\"b\"}]"},
        {"PATCH", SERVICES "/echo", SMART, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"},
        {"DELETE", PODS "/a", NULL, ""},
    };
    struct bench b;
    FL_UNUSED(state);
    for (size_t i = 0; i < FL_COUNT(steps); i++) {
        for (size_t n = 1;; n++) {
            bench_open(&b, NULL, FL_HTTP_2);
            for (size_t j = 0; j < i; j++)
                send_body(&b, steps[j].method, steps[j].path, steps[j].type, steps[j].body);
            b.hungry = n;
            struct answer *a =
                send_body(&b, steps[i].method, steps[i].path, steps[i].type, steps[i].body);
            bool failed = fl_test_alloc_did_fail();
            fl_test_alloc_fail_at(0);
            b.hungry = 0;
            fl_world_run_ms(b.world, 1000);
            if (!failed) assert_true(a->status == 200 || a->status == 201);
            if (a->stream) cancel(&b, a); /* its answer was what failed */
            get(&b, SERVICES, PROTOBUF);
            get(&b, SLICES_NS, JSON);
            bench_close(&b);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_keeps_every_field),
        cmocka_unit_test(test_names_are_made_up),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_sizes_are_bounded),
        cmocka_unit_test(test_optimistic_concurrency),
        cmocka_unit_test(test_patch_kinds),
        cmocka_unit_test(test_status_is_a_part_of_its_own),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_the_clusters_own),
        cmocka_unit_test(test_selectors_become_slices),
        cmocka_unit_test(test_protobuf_of_what_users_write),
        cmocka_unit_test(test_metadata_and_tables),
        cmocka_unit_test(test_W7_a_list_may_go_on_after_410),
        cmocka_unit_test(test_a_reader_may_only_read),
        cmocka_unit_test(test_old_etcd_refuses_within_the_stream),
        cmocka_unit_test(test_every_allocation_fails),
    };
    fl_yaml_use_alloc();
    return fl_test_run(tests, FL_COUNT(tests));
}
