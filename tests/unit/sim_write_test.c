/* sim_write_test.c - what users create, change and delete at the simulated API server. */
#include "support/api_bench.h"
#include "support/api_samples.h"

#include "wire/yaml.h"

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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
    bench_open(&b, NULL, FL_HTTP_2);
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
        cmocka_unit_test(test_every_allocation_fails),
    };
    fl_yaml_use_alloc();
    return fl_test_run(tests, FL_COUNT(tests));
}
