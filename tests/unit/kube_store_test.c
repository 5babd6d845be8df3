/* kube_store_test.c - versions, mark and sweep, doubts of kube/store.h. */
#include "support/alloc.h"

#include <stdio.h>

#include "base/area.h"
#include "kube/store.h"

#define SEED 7

struct seen {
    char text[1024]; /* "+ns/a@3 ~ns/a@4 -ns/a@4 " */
    bool refuse;
};

static int tap(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct seen *seen = arg;
    const struct fl_kube_entry *entry = now ? now : old;
    size_t used = strlen(seen->text);
    if (seen->refuse && now) return FL_ENOMEM;
    snprintf(seen->text + used, sizeof(seen->text) - used, "%c%.*s@%llu ",
             !old  ? '+'
             : now ? '~'
                   : '-',
             FL_STR_ARG(fl_kube_entry_key(entry)), (unsigned long long)entry->version);
    return FL_OK;
}

static struct fl_k8s_object object(const char *name, const char *version) {
    return (struct fl_k8s_object){
        .kind = FL_K8S_ENDPOINTSLICE,
        .ns = FL_STR("ns"),
        .name = fl_str_of(name),
        .service = FL_STR("echo"),
        .resource_version = fl_str_of(version),
    };
}

static int apply(struct fl_kube_store *store, enum fl_k8s_event event, const char *name,
                 const char *version) {
    struct fl_k8s_object o = object(name, version);
    return fl_kube_store_apply(store, event, &o);
}

static int item(struct fl_kube_store *store, const char *name, const char *version) {
    struct fl_k8s_object o = object(name, version);
    return fl_kube_store_list_item(store, &o);
}

static void expect(struct seen *seen, const char *text) {
    assert_string_equal(seen->text, text);
    seen->text[0] = '\0';
}

static struct fl_kube_store *make(struct seen *seen) {
    struct fl_kube_store *store;
    assert_int_equal(fl_kube_store_new(SEED, tap, seen, &store), FL_OK);
    return store;
}

/* A store complete at version 10 with a@5 and b@10. */
static struct fl_kube_store *make_two(struct seen *seen) {
    struct fl_kube_store *store = make(seen);
    fl_kube_store_list_begin(store, 0);
    assert_int_equal(item(store, "a", "5"), FL_OK);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    assert_int_equal(fl_kube_store_list_end(store, 10, FL_KUBE_ADVANCE), FL_OK);
    expect(seen, "+ns/a@5 +ns/b@10 ");
    return store;
}

static void test_watch_events_change_the_store(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make(&seen);
    FL_UNUSED(state);
    assert_int_equal(apply(store, FL_K8S_ADDED, "a", "3"), FL_OK);
    assert_int_equal(apply(store, FL_K8S_MODIFIED, "a", "4"), FL_OK);
    assert_int_equal(fl_kube_store_count(store), 1);
    assert_int_equal(apply(store, FL_K8S_DELETED, "a", "6"), FL_OK);
    assert_int_equal(apply(store, FL_K8S_DELETED, "a", "6"), FL_OK);
    expect(&seen, "+ns/a@3 ~ns/a@4 -ns/a@4 ");
    assert_int_equal(fl_kube_store_count(store), 0);
    fl_kube_store_free(store);
}

static void test_a_key_never_goes_backwards(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    assert_int_equal(apply(store, FL_K8S_MODIFIED, "b", "9"), FL_OK);
    assert_int_equal(apply(store, FL_K8S_DELETED, "b", "9"), FL_OK);
    expect(&seen, "");
    assert_int_equal(apply(store, FL_K8S_MODIFIED, "b", "opaque"), FL_OK);
    assert_int_equal(apply(store, FL_K8S_MODIFIED, "b", "2"), FL_OK);
    expect(&seen, "~ns/b@0 ~ns/b@2 ");
    fl_kube_store_free(store);
}

/* W1: what vanished between two lists is told as removed, once, with its last known state. */
static void test_W1_relist_deletes_what_vanished(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    assert_int_equal(item(store, "c", "12"), FL_OK);
    expect(&seen, "+ns/c@12 ");
    assert_int_equal(fl_kube_store_list_end(store, 12, FL_KUBE_ADVANCE), FL_OK);
    expect(&seen, "-ns/a@5 ");
    fl_kube_store_free(store);
}

static void test_an_unfinished_list_deletes_nothing(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "b", "11"), FL_OK);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "a", "5"), FL_OK);
    assert_int_equal(item(store, "b", "11"), FL_OK);
    assert_int_equal(fl_kube_store_list_end(store, 11, FL_KUBE_ADVANCE), FL_OK);
    expect(&seen, "~ns/b@11 ");
    fl_kube_store_free(store);
}

/* A list that was cut off had shown c@14; a server that is behind it says nothing of c. */
static void test_what_is_newer_than_the_list_stays(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "c", "14"), FL_OK);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "a", "5"), FL_OK);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    assert_int_equal(fl_kube_store_list_end(store, 12, FL_KUBE_ADVANCE), FL_OK);
    expect(&seen, "+ns/c@14 ");
    fl_kube_store_free(store);
}

/* W4: an older list neither brings back what was deleted nor takes away what is newer. */
static void test_W4_doubts_of_a_refused_list_leave_no_trace(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "deleted", "4"), FL_OK);
    assert_int_equal(item(store, "b", "7"), FL_OK);
    assert_true(fl_kube_store_list_contradicts(store, 12));
    assert_int_equal(fl_kube_store_list_end(store, 8, FL_KUBE_REFUSE), FL_OK);
    expect(&seen, "");
    assert_int_equal(fl_kube_store_count(store), 2);
    fl_kube_store_free(store);
}

/* An event that the server lost: the newer list shows what we should have had. */
static void test_doubts_of_a_newer_list_are_added(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "lost", "8"), FL_OK);
    assert_int_equal(item(store, "a", "5"), FL_OK);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    expect(&seen, "");
    assert_int_equal(fl_kube_store_list_end(store, 11, FL_KUBE_ADVANCE), FL_OK);
    expect(&seen, "+ns/lost@8 ");
    fl_kube_store_free(store);
}

static void test_W4_another_history_replaces_everything(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "b", "3"), FL_OK);
    assert_int_equal(fl_kube_store_list_end(store, 4, FL_KUBE_REPLACE), FL_OK);
    expect(&seen, "~ns/b@3 -ns/a@5 ");
    fl_kube_store_free(store);
}

/* A list that goes on while it is read: what it deletes itself is gone, in doubt or held. */
static void test_W1_a_deletion_within_a_list(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "doubt", "8"), FL_OK);
    assert_int_equal(item(store, "a", "5"), FL_OK);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    assert_int_equal(item(store, "b", "10"), FL_OK);
    assert_int_equal(fl_kube_store_list_seen(store), 3);
    struct fl_k8s_object gone = object("doubt", "11"), a = object("a", "12"), b = object("b", "9");
    assert_int_equal(fl_kube_store_list_delete(store, &gone), FL_OK);
    assert_int_equal(fl_kube_store_list_delete(store, &a), FL_OK);
    expect(&seen, "-ns/a@5 ");
    assert_int_equal(fl_kube_store_list_delete(store, &b), FL_OK); /* older than what is held */
    expect(&seen, "");
    assert_int_equal(fl_kube_store_list_end(store, 13, FL_KUBE_ADVANCE), FL_OK);
    expect(&seen, "-ns/b@10 "); /* and the list, which is newer, does not show it */
    fl_kube_store_free(store);
}

static void test_heap_bytes_are_accounted_for(void **state) {
    struct seen seen = {0};
    FL_UNUSED(state);
    size_t before = fl_area_bytes(FL_AREA_STORES);
    struct fl_kube_store *store = make_two(&seen);
    size_t two = fl_area_bytes(FL_AREA_STORES);
    assert_true(two > before + 2 * sizeof(struct fl_kube_entry));
    fl_kube_store_list_begin(store, 10);
    assert_int_equal(item(store, "doubt", "8"), FL_OK);
    assert_true(fl_area_bytes(FL_AREA_STORES) > two);
    assert_int_equal(fl_kube_store_list_end(store, 9, FL_KUBE_REFUSE), FL_OK);
    assert_int_equal(fl_area_bytes(FL_AREA_STORES), two);
    fl_kube_store_free(store);
    assert_int_equal(fl_area_bytes(FL_AREA_STORES), before);
}

static void test_names_are_required_and_bounded(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make(&seen);
    char name[300];
    FL_UNUSED(state);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(apply(store, FL_K8S_ADDED, "", "3"), FL_EPROTO);
    assert_int_equal(apply(store, FL_K8S_ADDED, name, "3"), FL_EPROTO);
    assert_int_equal(item(store, name, "3"), FL_EPROTO);
    fl_kube_store_free(store);
}

static void test_a_service_keeps_ports_and_external_name(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make(&seen);
    const struct fl_k8s_service_port ports[] = {
        {.name = FL_STR("grpc"), .protocol = FL_STR("TCP"), .port = 80, .target_port = 8080},
        {.protocol = FL_STR("UDP"), .port = 443}};
    struct fl_kube_port kept[FL_COUNT(ports)];
    struct fl_k8s_object o = object("echo", "3");
    FL_UNUSED(state);
    o.kind = FL_K8S_SERVICE;
    o.type = FL_STR("ExternalName");
    o.external_name = FL_STR("example.org");
    o.ports = ports;
    o.port_count = 2;
    assert_int_equal(fl_kube_store_apply(store, FL_K8S_ADDED, &o), FL_OK);
    const struct fl_kube_entry *entry = fl_kube_store_peek(store, FL_STR("ns"), FL_STR("echo"));
    assert_non_null(entry);
    assert_true(fl_str_eq(fl_kube_entry_external_name(entry), FL_STR("example.org")));
    assert_int_equal(entry->port_count, FL_COUNT(kept));
    fl_kube_entry_ports(entry, kept);
    assert_true(fl_str_eq(kept[0].name, FL_STR("grpc")));
    assert_int_equal(kept[0].protocol.n, 0);
    assert_int_equal(kept[0].number, 80);
    assert_int_equal(kept[1].name.n, 0);
    assert_true(fl_str_eq(kept[1].protocol, FL_STR("UDP")));
    assert_int_equal(kept[1].number, 443);
    fl_kube_store_free(store);
}

static void test_a_refused_change_is_not_made(void **state) {
    struct seen seen = {0};
    struct fl_kube_store *store = make_two(&seen);
    FL_UNUSED(state);
    seen.refuse = true;
    assert_int_equal(apply(store, FL_K8S_MODIFIED, "b", "11"), FL_ENOMEM);
    assert_int_equal(apply(store, FL_K8S_ADDED, "c", "12"), FL_ENOMEM);
    assert_int_equal(fl_kube_store_count(store), 2);
    assert_int_equal(fl_kube_store_peek(store, FL_STR("ns"), FL_STR("b"))->version, 10);
    fl_kube_store_free(store);
}

static void test_each_failed_allocation_changes_nothing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct seen seen = {0};
        struct fl_kube_store *store;
        if (fl_kube_store_new(SEED, tap, &seen, &store) == FL_OK) {
            int rc = apply(store, FL_K8S_ADDED, "a", "3");
            assert_int_equal(fl_kube_store_count(store), rc == FL_OK ? 1 : 0);
            fl_kube_store_list_begin(store, 5);
            if (item(store, "b", "4") == FL_OK)
                (void)!fl_kube_store_list_end(store, 6, FL_KUBE_ADVANCE);
        }
        fl_kube_store_free(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_events_change_the_store),
        cmocka_unit_test(test_a_key_never_goes_backwards),
        cmocka_unit_test(test_W1_relist_deletes_what_vanished),
        cmocka_unit_test(test_an_unfinished_list_deletes_nothing),
        cmocka_unit_test(test_what_is_newer_than_the_list_stays),
        cmocka_unit_test(test_W4_doubts_of_a_refused_list_leave_no_trace),
        cmocka_unit_test(test_doubts_of_a_newer_list_are_added),
        cmocka_unit_test(test_W4_another_history_replaces_everything),
        cmocka_unit_test(test_W1_a_deletion_within_a_list),
        cmocka_unit_test(test_heap_bytes_are_accounted_for),
        cmocka_unit_test(test_names_are_required_and_bounded),
        cmocka_unit_test(test_a_service_keeps_ports_and_external_name),
        cmocka_unit_test(test_a_refused_change_is_not_made),
        cmocka_unit_test(test_each_failed_allocation_changes_nothing),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
