/* sim_cluster_test.c - the model of the cluster: versions, slices, history, encoding. */
#include "support/alloc.h"

#include <stdio.h>

#include "sim/cluster.h"
#include "sim/store.h"

static const struct fl_k8s_service_port grpc_port = {{"grpc", 4}, {"TCP", 3}, {NULL, 0},
                                                     {NULL, 0},   80,         50051};

static struct fl_cluster *cluster_of(uint64_t seed, size_t history_max) {
    struct fl_cluster *c;
    assert_int_equal(fl_cluster_new(seed, history_max, &c), 0);
    return c;
}

static void put_echo(struct fl_cluster *c) {
    assert_int_equal(fl_cluster_service(c, FL_STR("default"), FL_STR("echo"), &grpc_port, 1), 0);
}

static struct fl_str add_pod(struct fl_cluster *c, enum fl_pod_phase phase) {
    static unsigned n;
    char address[32];
    struct fl_str name;
    snprintf(address, sizeof address, "10.0.%u.%u", n / 250, n % 250);
    n++;
    assert_int_equal(
        fl_cluster_pod_add(c, FL_STR("default"), FL_STR("echo"), fl_str_of(address), &name), 0);
    if (phase != FL_POD_PENDING)
        assert_int_equal(fl_cluster_pod_phase(c, FL_STR("default"), name, phase), 0);
    return name;
}

static const struct fl_object_list *list_of(struct fl_cluster *c, enum fl_k8s_kind kind) {
    return &fl_cluster_store(c)->kinds[kind];
}

static size_t endpoints_of(struct fl_cluster *c) {
    const struct fl_object_list *slices = list_of(c, FL_K8S_ENDPOINTSLICE);
    size_t n = 0;
    for (size_t i = 0; i < slices->count; i++) n += slices->items[i]->entry_count;
    return n;
}

static unsigned flags_of(struct fl_cluster *c, struct fl_str pod) {
    const struct fl_object_list *slices = list_of(c, FL_K8S_ENDPOINTSLICE);
    for (size_t i = 0; i < slices->count; i++)
        for (size_t j = 0; j < slices->items[i]->entry_count; j++)
            if (fl_str_eq(slices->items[i]->entries[j].pod->name, pod))
                return slices->items[i]->entries[j].flags;
    return 0xff;
}

static void test_a_pods_life(void **state) {
    struct fl_cluster *c = cluster_of(1, 1000);
    FL_UNUSED(state);
    put_echo(c);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTSLICE)->count,
                     1); /* as the controller: never none */
    struct fl_str pod = add_pod(c, FL_POD_PENDING);
    assert_true(fl_str_starts(pod, FL_STR("echo-")));
    assert_int_equal(flags_of(c, pod), 0xff); /* no address: in no slice */
    struct fl_str ns = FL_STR("default");
    assert_int_equal(fl_cluster_pod_phase(c, ns, pod, FL_POD_RUNNING), 0);
    assert_int_equal(flags_of(c, pod), 0);
    assert_int_equal(fl_cluster_pod_phase(c, ns, pod, FL_POD_READY), 0);
    assert_int_equal(flags_of(c, pod), FL_ENDPOINT_READY | FL_ENDPOINT_SERVING);
    assert_int_equal(fl_cluster_pod_phase(c, ns, pod, FL_POD_TERMINATING), 0);
    assert_int_equal(flags_of(c, pod), FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING);
    char name[64];
    fl_str_copy(name, sizeof name, pod);
    assert_int_equal(fl_cluster_pod_delete(c, ns, pod), 0);
    assert_int_equal(endpoints_of(c), 0);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTSLICE)->count, 1);
    assert_int_equal(fl_cluster_pod_delete(c, ns, fl_str_of(name)), FL_ENOT_FOUND);
    fl_cluster_free(c);
}

/* A pod that was never ready does not serve when it ends. */
static void test_terminating_without_having_been_ready(void **state) {
    struct fl_cluster *c = cluster_of(1, 1000);
    FL_UNUSED(state);
    put_echo(c);
    struct fl_str pod = add_pod(c, FL_POD_RUNNING);
    assert_int_equal(fl_cluster_pod_phase(c, FL_STR("default"), pod, FL_POD_TERMINATING), 0);
    assert_int_equal(flags_of(c, pod), FL_ENDPOINT_TERMINATING);
    fl_cluster_free(c);
}

static void test_W6_slices_hold_a_hundred_and_are_not_reshuffled(void **state) {
    struct fl_cluster *c = cluster_of(2, 4000);
    struct fl_str pods[250];
    FL_UNUSED(state);
    put_echo(c);
    for (int i = 0; i < 250; i++) pods[i] = add_pod(c, FL_POD_READY);
    const struct fl_object_list *slices = list_of(c, FL_K8S_ENDPOINTSLICE);
    assert_int_equal(slices->count, 3);
    assert_int_equal(endpoints_of(c), 250);
    for (size_t i = 0; i < 3; i++) assert_true(slices->items[i]->entry_count <= 100);
    /* A removal changes one slice and leaves a hole that the next pod fills. */
    uint64_t before[3];
    for (size_t i = 0; i < 3; i++) before[i] = slices->items[i]->version;
    assert_int_equal(fl_cluster_pod_delete(c, FL_STR("default"), pods[10]), 0);
    add_pod(c, FL_POD_READY);
    int changed = 0;
    for (size_t i = 0; i < 3; i++) changed += slices->items[i]->version != before[i];
    assert_int_equal(changed, 1);
    assert_int_equal(endpoints_of(c), 250);
    /* Empty slices go, but for the last. */
    for (int i = 0; i < 250; i++)
        if (i != 10) assert_int_equal(fl_cluster_pod_delete(c, FL_STR("default"), pods[i]), 0);
    assert_int_equal(slices->count, 1);
    assert_int_equal(endpoints_of(c), 1);
    fl_cluster_free(c);
}

static void test_smaller_slices(void **state) {
    struct fl_cluster *c = cluster_of(2, 1000);
    FL_UNUSED(state);
    fl_cluster_slice_max(c, 2);
    put_echo(c);
    for (int i = 0; i < 5; i++) add_pod(c, FL_POD_READY);
    const struct fl_object_list *slices = list_of(c, FL_K8S_ENDPOINTSLICE);
    assert_int_equal(slices->count, 3);
    for (size_t i = 0; i < 3; i++) assert_true(slices->items[i]->entry_count <= 2);
    fl_cluster_free(c);
}

/* As by a selector: a service that comes back finds its pods. */
static void test_a_service_finds_its_pods(void **state) {
    struct fl_cluster *c = cluster_of(4, 1000);
    struct fl_str ns = FL_STR("default"), echo = FL_STR("echo");
    FL_UNUSED(state);
    put_echo(c);
    struct fl_str ready = add_pod(c, FL_POD_READY), pending = add_pod(c, FL_POD_PENDING);
    assert_int_equal(fl_cluster_service_delete(c, ns, echo), 0);
    struct fl_str leaving = ready;
    assert_int_equal(fl_cluster_pod_phase(c, ns, leaving, FL_POD_TERMINATING), 0);
    put_echo(c);
    assert_int_equal(flags_of(c, leaving), FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING);
    assert_int_equal(endpoints_of(c), 1);
    assert_int_equal(fl_cluster_pod_phase(c, ns, pending, FL_POD_READY), 0);
    assert_int_equal(endpoints_of(c), 2);
    fl_cluster_free(c);
}

/* A pod that leaves before it ran has no address to be listed by. */
static void test_pending_pods_are_never_listed(void **state) {
    struct fl_cluster *c = cluster_of(4, 1000);
    FL_UNUSED(state);
    put_echo(c);
    struct fl_str pod = add_pod(c, FL_POD_PENDING);
    assert_int_equal(fl_cluster_pod_phase(c, FL_STR("default"), pod, FL_POD_TERMINATING), 0);
    assert_int_equal(endpoints_of(c), 0);
    fl_cluster_free(c);
}

static void test_versions_rise_by_one_per_object(void **state) {
    struct fl_cluster *c = cluster_of(3, 1000);
    FL_UNUSED(state);
    uint64_t v = fl_cluster_version(c);
    put_echo(c); /* service, slice, endpoints */
    assert_int_equal(fl_cluster_version(c), v + 3);
    add_pod(c, FL_POD_PENDING);
    assert_int_equal(fl_cluster_version(c), v + 4);
    add_pod(c, FL_POD_READY); /* pod; pod, slice, endpoints */
    assert_int_equal(fl_cluster_version(c), v + 8);
    fl_cluster_free(c);
}

static void test_services_come_change_and_go(void **state) {
    struct fl_cluster *c = cluster_of(4, 1000);
    struct fl_str ns = FL_STR("default"), echo = FL_STR("echo"), name;
    FL_UNUSED(state);
    assert_int_equal(fl_cluster_service(c, ns, FL_STR(""), &grpc_port, 1), FL_EUSAGE);
    assert_int_equal(fl_cluster_pod_add(c, ns, echo, FL_STR("10.0.0.1"), &name), FL_ENOT_FOUND);
    put_echo(c);
    add_pod(c, FL_POD_READY);
    add_pod(c, FL_POD_READY);
    struct fl_k8s_service_port other = grpc_port;
    other.target_port = 9999;
    assert_int_equal(fl_cluster_service(c, ns, echo, &other, 1), 0);
    assert_int_equal(endpoints_of(c), 2);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0]->facts->ports[0].target_port, 9999);
    assert_int_equal(fl_cluster_external(c, ns, echo, FL_STR("example.org")), 0);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTSLICE)->count, 0);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTS)->count, 0);
    put_echo(c);
    assert_int_equal(endpoints_of(c), 2);
    assert_int_equal(fl_cluster_service_delete(c, ns, echo), 0);
    assert_int_equal(fl_cluster_service_delete(c, ns, echo), FL_ENOT_FOUND);
    assert_int_equal(list_of(c, FL_K8S_SERVICE)->count, 0);
    assert_int_equal(list_of(c, FL_K8S_ENDPOINTSLICE)->count, 0);
    assert_int_equal(list_of(c, FL_K8S_POD)->count, 2);
    fl_cluster_free(c);
}

/* --- history --- */

static void test_states_of_the_past(void **state) {
    struct fl_cluster *c = cluster_of(5, 1000);
    struct fl_store *store = fl_cluster_store(c);
    struct fl_object_list list;
    FL_UNUSED(state);
    put_echo(c);
    uint64_t empty = fl_cluster_version(c);
    struct fl_str first = add_pod(c, FL_POD_READY);
    uint64_t one = fl_cluster_version(c);
    add_pod(c, FL_POD_READY);
    assert_int_equal(fl_cluster_pod_delete(c, FL_STR("default"), first), 0);
    assert_int_equal(fl_store_state_at(store, FL_K8S_POD, empty, &list), 0);
    assert_int_equal(list.count, 0);
    fl_object_list_deinit(&list);
    assert_int_equal(fl_store_state_at(store, FL_K8S_POD, one, &list), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->phase, FL_OBJECT_READY);
    fl_object_list_deinit(&list);
    assert_int_equal(fl_store_state_at(store, FL_K8S_ENDPOINTSLICE, one, &list), 0);
    assert_int_equal(list.items[0]->entry_count, 1);
    fl_object_list_deinit(&list);
    fl_cluster_free(c);
}

static void test_history_is_bounded_and_compacted(void **state) {
    struct fl_cluster *c = cluster_of(6, 10);
    struct fl_store *store = fl_cluster_store(c);
    FL_UNUSED(state);
    put_echo(c);
    for (int i = 0; i < 20; i++) add_pod(c, FL_POD_READY);
    assert_int_equal(store->version - store->oldest, 10);
    assert_int_equal(fl_store_event_at(store, store->oldest + 1)->object->version,
                     store->oldest + 1);
    fl_cluster_compact(c);
    assert_int_equal(store->version, store->oldest);
    fl_cluster_free(c);
}

struct counter {
    struct fl_store_observer observer;
    int added, modified, deleted;
    uint64_t last;
};

static void on_event(struct fl_store_observer *observer, const struct fl_store_event *event) {
    struct counter *n = FL_CONTAINER(observer, struct counter, observer);
    assert_true(event->object->version > n->last);
    n->last = event->object->version;
    n->added += event->event == FL_K8S_ADDED;
    n->modified += event->event == FL_K8S_MODIFIED;
    n->deleted += event->event == FL_K8S_DELETED;
    assert_int_equal(event->previous == NULL, event->event == FL_K8S_ADDED);
}

static void test_observers_hear_everything(void **state) {
    struct fl_cluster *c = cluster_of(7, 100);
    struct counter n = {.observer.on_event = on_event};
    FL_UNUSED(state);
    fl_list_push(&fl_cluster_store(c)->observers, &n.observer.link);
    put_echo(c);
    struct fl_str pod = add_pod(c, FL_POD_READY);
    assert_int_equal(fl_cluster_pod_delete(c, FL_STR("default"), pod), 0);
    assert_int_equal(n.added, 4);
    assert_int_equal(n.modified, 5);
    assert_int_equal(n.deleted, 1);
    fl_list_remove(&n.observer.link);
    fl_cluster_free(c);
}

/* --- bytes --- */

static void assert_json_has(struct fl_object *object, const char *part) {
    struct fl_buf out;
    fl_buf_init(&out, FL_K8S_FRAME_MAX);
    assert_int_equal(fl_object_encode(object, FL_K8S_JSON, &out), 0);
    char *text = fl_buf_steal_text(&out);
    if (!strstr(text, part)) print_error("%s\nhas no %s\n", text, part);
    assert_non_null(strstr(text, part));
    fl_free(text);
    fl_buf_deinit(&out);
}

static void test_objects_as_bytes(void **state) {
    struct fl_cluster *c = cluster_of(8, 100);
    FL_UNUSED(state);
    fl_cluster_time(c, 1795219200);
    put_echo(c);
    struct fl_str pod = add_pod(c, FL_POD_READY);
    assert_json_has(list_of(c, FL_K8S_POD)->items[0], "\"status\":\"True\"");
    assert_json_has(list_of(c, FL_K8S_POD)->items[0], "2026-11-21T00:00:00Z");
    assert_json_has(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0],
                    "\"kubernetes.io/service-name\":\"echo\"");
    assert_json_has(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0], "\"port\":50051");
    assert_json_has(list_of(c, FL_K8S_SERVICE)->items[0], "\"port\":80");
    assert_json_has(list_of(c, FL_K8S_ENDPOINTS)->items[0], "\"ip\":\"10.0.");
    assert_int_equal(fl_cluster_pod_phase(c, FL_STR("default"), pod, FL_POD_TERMINATING), 0);
    assert_json_has(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0],
                    "\"ready\":false,\"serving\":true,\"terminating\":true");
    assert_json_has(list_of(c, FL_K8S_ENDPOINTS)->items[0], "\"addresses\":[],");
    fl_cluster_free(c);
}

/* A superseded version still reads as it was. */
static void test_bytes_belong_to_a_version(void **state) {
    struct fl_cluster *c = cluster_of(9, 100);
    FL_UNUSED(state);
    put_echo(c);
    struct fl_object *old = fl_object_ref(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0]);
    assert_json_has(old, "\"endpoints\":[]");
    add_pod(c, FL_POD_READY);
    assert_json_has(old, "\"endpoints\":[]");
    assert_json_has(list_of(c, FL_K8S_ENDPOINTSLICE)->items[0], "\"ready\":true");
    fl_object_unref(old);
    fl_cluster_free(c);
}

static void test_endpoints_are_cut_at_a_thousand(void **state) {
    struct fl_cluster *c = cluster_of(10, 100);
    FL_UNUSED(state);
    put_echo(c);
    for (int i = 0; i < 1001; i++) add_pod(c, FL_POD_READY);
    assert_json_has(list_of(c, FL_K8S_ENDPOINTS)->items[0],
                    "\"endpoints.kubernetes.io/over-capacity\":\"truncated\"");
    fl_cluster_free(c);
}

static void test_same_seed_same_names(void **state) {
    struct fl_cluster *a = cluster_of(11, 100), *b = cluster_of(11, 100), *d = cluster_of(12, 100);
    FL_UNUSED(state);
    put_echo(a);
    put_echo(b);
    put_echo(d);
    struct fl_str name = add_pod(a, FL_POD_READY);
    assert_true(fl_str_eq(name, add_pod(b, FL_POD_READY)));
    assert_false(fl_str_eq(name, add_pod(d, FL_POD_READY)));
    fl_cluster_free(a);
    fl_cluster_free(b);
    fl_cluster_free(d);
}

/* Whatever fails for want of memory has changed nothing, and works the next time. */
static void test_every_allocation_fails(void **state) {
    struct fl_str ns = FL_STR("default"), echo = FL_STR("echo");
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_cluster *c = NULL;
        struct fl_str name = FL_STR_NONE;
        if (fl_cluster_new(n, 50, &c)) continue;
        uint64_t v = fl_cluster_version(c);
        if (fl_cluster_service(c, ns, echo, &grpc_port, 1)) {
            assert_int_equal(fl_cluster_version(c), v);
            assert_int_equal(fl_cluster_service(c, ns, echo, &grpc_port, 1), 0);
        }
        v = fl_cluster_version(c);
        if (fl_cluster_pod_add(c, ns, echo, FL_STR("10.0.0.1"), &name)) {
            assert_int_equal(fl_cluster_version(c), v);
            assert_int_equal(fl_cluster_pod_add(c, ns, echo, FL_STR("10.0.0.1"), &name), 0);
        }
        v = fl_cluster_version(c);
        if (fl_cluster_pod_phase(c, ns, name, FL_POD_READY)) {
            assert_int_equal(fl_cluster_version(c), v);
            assert_int_equal(fl_cluster_pod_phase(c, ns, name, FL_POD_READY), 0);
        }
        assert_int_equal(endpoints_of(c), 1);
        if (fl_cluster_service(c, ns, echo, &grpc_port, 1))
            assert_int_equal(fl_cluster_service(c, ns, echo, &grpc_port, 1), 0);
        if (fl_cluster_pod_delete(c, ns, name))
            assert_int_equal(fl_cluster_pod_delete(c, ns, name), 0);
        if (fl_cluster_service_delete(c, ns, echo))
            assert_int_equal(fl_cluster_service_delete(c, ns, echo), 0);
        assert_int_equal(endpoints_of(c), 0);
        fl_cluster_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pods_life),
        cmocka_unit_test(test_terminating_without_having_been_ready),
        cmocka_unit_test(test_W6_slices_hold_a_hundred_and_are_not_reshuffled),
        cmocka_unit_test(test_smaller_slices),
        cmocka_unit_test(test_a_service_finds_its_pods),
        cmocka_unit_test(test_pending_pods_are_never_listed),
        cmocka_unit_test(test_versions_rise_by_one_per_object),
        cmocka_unit_test(test_services_come_change_and_go),
        cmocka_unit_test(test_states_of_the_past),
        cmocka_unit_test(test_history_is_bounded_and_compacted),
        cmocka_unit_test(test_observers_hear_everything),
        cmocka_unit_test(test_objects_as_bytes),
        cmocka_unit_test(test_bytes_belong_to_a_version),
        cmocka_unit_test(test_endpoints_are_cut_at_a_thousand),
        cmocka_unit_test(test_same_seed_same_names),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
