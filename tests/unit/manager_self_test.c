/* manager_self_test.c - what a process asks of a manager about itself, about users' gateways, and
 * about the services there are. */
#include "support/manager_bed.h"

#include <jansson.h>
#include <stdio.h>

#include "sim/object.h"
#include "sim/resource.h"
#include "sim/store.h"

static const struct fl_connmgr_options options = {.gateway = "echo", .node = "node-1"};

struct text {
    unsigned calls;
    struct fl_error why;
    char text[128];
};

static void on_text(void *arg, const struct fl_error *why, const char *answer) {
    struct text *text = arg;
    text->calls++;
    assert_true((why != NULL) != (answer != NULL));
    if (why) text->why = *why;
    snprintf(text->text, sizeof(text->text), "%s", answer ? answer : "");
}

/* A pod as a user's object: `ports` as JSON; "" as address: none yet. */
static void put_pod(struct fl_mbed *bed, bool again, const char *address, const char *ports) {
    struct fl_store *store = fl_cluster_store(bed->kube.cluster);
    const struct fl_identity who = {.ns = FL_KBED_SHOP, .name = FL_STR("me-1")};
    struct fl_identity *identity;
    struct fl_object *object;
    char text[512];
    snprintf(text, sizeof(text),
             "{\"metadata\":{\"name\":\"me-1\",\"namespace\":\"shop\"},\"spec\":{\"nodeName\":"
             "\"node-1\",\"containers\":[{\"name\":\"c\",\"ports\":%s},{\"name\":\"d\",\"ports\":"
             "[{\"containerPort\":1}]}]},\"status\":{%s%s%s}}",
             ports, *address ? "\"podIP\":\"" : "", address, *address ? "\"" : "");
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    assert_int_equal(fl_identity_new(&who, &identity), 0);
    assert_int_equal(fl_object_take_body(FL_K8S_POD, identity, body, &object), 0);
    fl_identity_unref(identity);
    assert_int_equal(fl_store_reserve(store, FL_K8S_POD, 1), 0);
    fl_store_take_put(store, again ? FL_K8S_MODIFIED : FL_K8S_ADDED, object);
}

static void start(struct fl_mbed *bed) {
    *bed = (struct fl_mbed){.closed = 0};
    fl_mbed_start_as(bed, &options, 3, "me-1");
}

static void ask_self(struct fl_mbed *bed, struct text *text, uint32_t timeout_ms) {
    *text = (struct text){.calls = 0};
    assert_int_equal(fl_connmgr_get_self_target_async(bed->mgr, timeout_ms, on_text, text, NULL),
                     0);
}

#define PORTS "[{\"containerPort\":10001},{\"containerPort\":10110},{\"containerPort\":80}]"

static void test_own_target(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct text text;
    start(&bed);
    put_pod(&bed, false, "10.9.0.1", PORTS);
    ask_self(&bed, &text, 0);
    fl_mbed_run(&bed, 1000);
    assert_int_equal(text.calls, 1);
    assert_string_equal(text.text, "10.9.0.1:10110");
    put_pod(&bed, true, "fd00::7", PORTS);
    ask_self(&bed, &text, 0);
    fl_mbed_run(&bed, 1000);
    assert_string_equal(text.text, "[fd00::7]:10110");
    fl_mbed_stop(&bed);
}

/* Watched, not asked again and again: told as soon as it has an address. */
static void test_own_target_waits_for_the_address(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct text text;
    start(&bed);
    ask_self(&bed, &text, 60000); /* not even the pod is there */
    fl_mbed_run(&bed, 5000);
    put_pod(&bed, false, "", PORTS);
    fl_mbed_run(&bed, 10000);
    assert_int_equal(text.calls, 0);
    put_pod(&bed, true, "10.9.0.1", PORTS);
    fl_mbed_run(&bed, 20);
    assert_int_equal(text.calls, 1);
    assert_string_equal(text.text, "10.9.0.1:10110");
    fl_mbed_stop(&bed);
}

static void test_own_target_failures(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct text text;
    start(&bed);
    ask_self(&bed, &text, 2000);
    fl_mbed_run(&bed, 3000);
    assert_int_equal(text.why.code, FL_EUNKNOWN);
    assert_string_equal(text.why.detail, "pod me-1 has no address after 2000 ms");
    put_pod(&bed, false, "10.9.0.1", "[]");
    ask_self(&bed, &text, 2000);
    fl_mbed_run(&bed, 1000);
    assert_int_equal(text.why.code, FL_ENO_PORTS);
    put_pod(&bed, true, "10.9.0.1", "[{\"containerPort\":10001}]");
    ask_self(&bed, &text, 2000);
    fl_mbed_run(&bed, 1000);
    assert_int_equal(text.why.code, FL_EPORTS_EXCLUDED);
    put_pod(&bed, true, "", "[]");
    ask_self(&bed, &text, 2000);
    fl_mbed_close(&bed);
    assert_int_equal(text.why.code, FL_ESHUTDOWN);
    fl_mbed_stop(&bed);
}

static void test_every_allocation_of_self_may_fail(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    start(&bed);
    put_pod(&bed, false, "10.9.0.1", PORTS);
    FL_TEST_EACH_FAILURE(n) {
        struct text text = {.calls = 0};
        int rc = fl_connmgr_get_self_target_async(bed.mgr, 500, on_text, &text, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_mbed_run(&bed, 2000);
        if (rc == 0) assert_int_equal(text.calls, 1);
    }
    fl_mbed_stop(&bed);
}

static void test_is_self_node(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_mbed_conns got;
    start(&bed);
    fl_mbed_conns_get(&bed, &got, "echo");
    for (size_t i = 0; i < got.conns.handles.count; i++) {
        const struct fl_handle *handle = got.conns.handles.list[i];
        assert_int_equal(fl_connmgr_is_self_node(bed.mgr, handle),
                         strcmp(fl_handle_node(handle), "node-1") == 0);
    }
    fl_mbed_conns_end(&got);
    fl_mbed_stop(&bed);
}

static void gateway_of(struct fl_mbed *bed, struct text *text, const char *user) {
    *text = (struct text){.calls = 0};
    assert_int_equal(fl_connmgr_get_user_gateway_async(bed->mgr, user, 0, on_text, text, NULL), 0);
    fl_mbed_run(bed, 100);
    assert_int_equal(text->calls, 1);
}

/* The same user, the same gateway; when one leaves only its users move. */
static void test_gateway_of_a_user(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct text text;
    char before[100][128];
    unsigned moved = 0, of_pod[3] = {0, 0, 0};
    start(&bed);
    for (unsigned i = 0; i < 100; i++) {
        char user[16];
        snprintf(user, sizeof(user), "user-%u", i);
        gateway_of(&bed, &text, user);
        snprintf(before[i], sizeof(before[i]), "%s", text.text);
        of_pod[text.text[7] - '1']++;
    }
    for (unsigned i = 0; i < 3; i++) assert_in_range(of_pod[i], 20, 50);
    fl_mbed_remove_pod(&bed, 1);
    fl_mbed_run(&bed, 1000);
    for (unsigned i = 0; i < 100; i++) {
        char user[16];
        snprintf(user, sizeof(user), "user-%u", i);
        gateway_of(&bed, &text, user);
        moved += strcmp(text.text, before[i]) != 0;
    }
    assert_int_equal(moved, of_pod[1]);
    fl_mbed_remove_pod(&bed, 0);
    fl_mbed_remove_pod(&bed, 2);
    fl_mbed_run(&bed, 1000);
    gateway_of(&bed, &text, "user-1");
    assert_int_equal(text.why.code, FL_EEMPTY);
    fl_mbed_stop(&bed);
}

struct keys {
    unsigned told, listed, done;
    char last[64];
};

static void on_key(void *arg, const char *service) {
    struct keys *keys = arg;
    assert_int_equal(keys->done, 0);
    keys->told++;
    snprintf(keys->last, sizeof(keys->last), "%s", service);
}

static void on_listed(void *arg) { ((struct keys *)arg)->listed++; }
static void on_done(void *arg) { ((struct keys *)arg)->done++; }

static void test_keys_are_listed_and_watched(void **state) {
    FL_UNUSED(state);
    static const struct fl_keys_events events = {.on_key = on_key, .on_listed = on_listed};
    struct fl_mbed bed;
    struct keys seen = {0};
    struct fl_keys *keys;
    start(&bed);
    fl_kbed_add_service(&bed.kube, FL_KBED_SHOP, FL_STR("second"));
    fl_kbed_add_service(&bed.kube, FL_STR("elsewhere"), FL_STR("third"));
    assert_int_equal(fl_connmgr_watch_keys(bed.mgr, &events, &seen, &keys, NULL), 0);
    fl_mbed_run(&bed, 1000);
    assert_int_equal(seen.told, 2);
    assert_int_equal(seen.listed, 1);
    fl_kbed_add_service(&bed.kube, FL_KBED_SHOP, FL_STR("fourth"));
    fl_mbed_run(&bed, 1000);
    assert_int_equal(seen.told, 3);
    assert_string_equal(seen.last, "fourth");
    fl_connmgr_unwatch_keys(keys, on_done, &seen);
    fl_mbed_run(&bed, 100);
    assert_int_equal(seen.done, 1);
    fl_mbed_stop(&bed);
}

static void test_registering_is_nothing_on_kubernetes(void **state) {
    FL_UNUSED(state);
    struct fl_mbed bed;
    struct fl_connmgr *mgr;
    const struct fl_connmgr_options fixed = {.scheme = "static"};
    start(&bed);
    assert_int_equal(fl_connmgr_register(bed.mgr, "echo", "10.0.0.1:80", NULL), 0);
    assert_int_equal(fl_connmgr_unregister(bed.mgr, "echo", NULL), 0);
    assert_int_equal(fl_connmgr_new(bed.kube.hub, &fixed, &mgr, NULL), 0);
    assert_int_equal(fl_connmgr_register(mgr, "echo", "10.0.0.1:80", NULL), FL_EUSAGE);
    fl_connmgr_close(mgr, NULL, NULL);
    fl_mbed_stop(&bed);
}

int main(void) {
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_target),
        cmocka_unit_test(test_own_target_waits_for_the_address),
        cmocka_unit_test(test_own_target_failures),
        cmocka_unit_test(test_every_allocation_of_self_may_fail),
        cmocka_unit_test(test_is_self_node),
        cmocka_unit_test(test_gateway_of_a_user),
        cmocka_unit_test(test_keys_are_listed_and_watched),
        cmocka_unit_test(test_registering_is_nothing_on_kubernetes),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
