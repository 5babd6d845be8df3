/* registry_hold_test.c - endpoints that move between slices, in any order of the two updates. */
#include "support/alloc.h"

#include <stdio.h>

#include "registry/kubernetes_hold.h"
#include "support/sets.h"

struct bed {
    struct fl_service_index index;
    struct fl_kube_store *slices, *services;
    struct fl_indexed_service *service;
    uint64_t now_ms, version;
};

static int on_service(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    return fl_service_index_record(&((struct bed *)arg)->index, old, now);
}

static int on_slice(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct bed *bed = arg;
    int rc = fl_service_index_slice(&bed->index, old, now);
    if (rc == FL_OK) fl_hold_slice(&bed->index, old, now, bed->now_ms);
    return rc;
}

static void apply_as(struct bed *bed, const char *slice, const char *service, const char *ports,
                     const char *endpoints) {
    char version[24];
    snprintf(version, sizeof(version), "%llu", (unsigned long long)++bed->version);
    struct fl_k8s_object object = {.kind = FL_K8S_ENDPOINTSLICE,
                                   .ns = FL_STR("ns"),
                                   .name = fl_str_of(slice),
                                   .service = fl_str_of(service),
                                   .resource_version = fl_str_of(version)};
    object.block = fl_test_block(ports, endpoints ? endpoints : "");
    int rc =
        fl_kube_store_apply(bed->slices, endpoints ? FL_K8S_MODIFIED : FL_K8S_DELETED, &object);
    assert_int_equal(rc, FL_OK);
    fl_block_unref(object.block);
}

static void apply(struct bed *bed, const char *slice, const char *endpoints) {
    apply_as(bed, slice, "echo", "http:8080", endpoints);
}

static void setup(struct bed *bed) {
    struct fl_k8s_object service = {.kind = FL_K8S_SERVICE,
                                    .ns = FL_STR("ns"),
                                    .name = FL_STR("echo"),
                                    .resource_version = FL_STR("1")};
    *bed = (struct bed){.now_ms = 5000, .version = 1};
    fl_service_index_init(&bed->index, 7);
    assert_int_equal(fl_kube_store_new(1, on_slice, bed, &bed->slices), FL_OK);
    assert_int_equal(fl_kube_store_new(2, on_service, bed, &bed->services), FL_OK);
    assert_int_equal(fl_kube_store_apply(bed->services, FL_K8S_ADDED, &service), FL_OK);
    bed->service = fl_service_index_need(&bed->index, FL_STR("ns/echo"));
}

static void setup_two(struct bed *bed) {
    setup(bed);
    apply(bed, "a", "10.0.0.1 rs pod=p1, 10.0.0.2 rs pod=p2 node=n for-zone=z");
    apply(bed, "b", "10.0.0.3 rs pod=p3");
    assert_null(bed->service->held);
}

static void teardown(struct bed *bed) {
    fl_service_index_deinit(&bed->index);
    fl_kube_store_free(bed->slices);
    fl_kube_store_free(bed->services);
}

/* What a set shows that is published now. */
static void assert_shown(struct bed *bed, const char *text) {
    struct fl_block *blocks[8] = {NULL};
    size_t count = 0;
    for (; count < bed->service->slice_count; count++)
        blocks[count] =
            fl_block_ref(fl_kube_entry_block(fl_indexed_service_slices(bed->service)[count]));
    for (const struct fl_held *held = bed->service->held; held; held = held->next)
        blocks[count++] = fl_block_ref(held->block);
    struct fl_set *set = fl_test_set_of("", blocks, count, 1);
    assert_string_equal(fl_test_text(set), text);
    fl_set_unref(set);
    for (size_t i = 0; i < count; i++) fl_block_unref(blocks[i]);
}

#define ALL                                                                                        \
    "10.0.0.1:8080 http rs pod=p1; 10.0.0.2:8080 http rs pod=p2 node=n for-zone=z; "               \
    "10.0.0.3:8080 http rs pod=p3"

static void test_W6_a_move_that_removes_first_shows_no_gap(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    assert_shown(&bed, ALL);
    apply(&bed, "b", "10.0.0.2 rs pod=p2 node=n for-zone=z, 10.0.0.3 rs pod=p3");
    assert_null(bed.service->held);
    assert_shown(&bed, ALL);
    teardown(&bed);
}

static void test_W6_a_move_that_adds_first_shows_no_gap(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "b", "10.0.0.2 rs pod=p2 node=n for-zone=z, 10.0.0.3 rs pod=p3");
    assert_shown(&bed, ALL);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    assert_null(bed.service->held);
    assert_shown(&bed, ALL);
    teardown(&bed);
}

/* A slice that goes away whole, into one that was there and one that is new. */
static void test_W6_a_slice_that_is_dissolved_shows_no_gap(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", NULL);
    assert_shown(&bed, ALL);
    apply(&bed, "b", "10.0.0.1 rs pod=p1, 10.0.0.3 rs pod=p3");
    assert_shown(&bed, ALL);
    apply(&bed, "c", "10.0.0.2 rs pod=p2 node=n for-zone=z");
    assert_null(bed.service->held);
    assert_shown(&bed, ALL);
    teardown(&bed);
}

/* What the new slice says of it counts at once, however well the old one spoke of it. */
static void test_what_appears_elsewhere_is_not_held(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    apply(&bed, "b", "10.0.0.2 st pod=p2, 10.0.0.3 rs pod=p3");
    assert_null(bed.service->held);
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.2:8080 http st pod=p2; "
                       "10.0.0.3:8080 http rs pod=p3");
    teardown(&bed);
}

static void test_what_does_not_come_back_is_let_go(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    while (fl_service_index_pop(&bed.index)) continue;
    fl_hold_tick(&bed.index, bed.now_ms + FL_HOLD_MS - 1);
    assert_non_null(bed.service->held);
    fl_hold_tick(&bed.index, bed.now_ms + FL_HOLD_MS);
    assert_null(bed.service->held);
    assert_ptr_equal(fl_service_index_pop(&bed.index), bed.service); /* to be published */
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.3:8080 http rs pod=p3");
    teardown(&bed);
}

/* However much goes on around it. */
static void test_nothing_is_held_longer_for_what_vanishes_later(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    bed.now_ms += FL_HOLD_MS - 1;
    apply(&bed, "b", "10.0.0.4 rs pod=p4");
    assert_shown(&bed, ALL "; 10.0.0.4:8080 http rs pod=p4");
    fl_hold_tick(&bed.index, bed.now_ms + 1);
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.3:8080 http rs pod=p3; "
                       "10.0.0.4:8080 http rs pod=p4");
    fl_hold_tick(&bed.index, bed.now_ms + FL_HOLD_MS);
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.4:8080 http rs pod=p4");
    teardown(&bed);
}

/* Pods of two versions may have another number behind one name of a port. */
static void test_what_is_held_keeps_its_ports(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1, 10.0.0.2 rs pod=p2");
    apply_as(&bed, "b", "echo", "http:9090", "10.0.0.3 rs pod=p3, 10.0.0.4 rs pod=p4");
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    apply_as(&bed, "b", "echo", "http:9090", "10.0.0.3 rs pod=p3");
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.2:8080 http rs pod=p2; "
                       "10.0.0.3:9090 http rs pod=p3; 10.0.0.4:9090 http rs pod=p4");
    apply(&bed, "a", "10.0.0.1 rs pod=p1, 10.0.0.4 rs pod=p4");
    assert_shown(&bed, "10.0.0.1:8080 http rs pod=p1; 10.0.0.2:8080 http rs pod=p2; "
                       "10.0.0.3:9090 http rs pod=p3; 10.0.0.4:8080 http rs pod=p4");
    teardown(&bed);
}

static void test_what_was_of_another_service_is_not_held(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply_as(&bed, "c", "other", "http:8080", "10.0.0.9 rs pod=p9");
    apply(&bed, "c", "10.0.0.5 rs pod=p5");
    assert_null(bed.service->held);
    teardown(&bed);
}

/* Another watch takes over in the middle of a move: it may have seen all of it, or the gap only. */
static void test_W6_a_hand_over_in_the_middle_shows_no_gap(void **state) {
    struct bed bed, gap, all;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    setup(&gap);
    apply(&gap, "a", "10.0.0.1 rs pod=p1");
    apply(&gap, "b", "10.0.0.3 rs pod=p3");
    fl_hold_copy(&gap.index, gap.service, bed.service);
    assert_shown(&gap, ALL);
    fl_hold_tick(&gap.index, bed.now_ms + FL_HOLD_MS);
    assert_null(gap.service->held);
    setup(&all);
    apply(&all, "b",
          "10.0.0.1 rs pod=p1, 10.0.0.2 rs pod=p2 node=n for-zone=z, 10.0.0.3 rs pod=p3");
    fl_hold_copy(&all.index, all.service, bed.service);
    assert_null(all.service->held);
    teardown(&all);
    teardown(&gap);
    teardown(&bed);
}

/* A watch that was refused for a while sees at its return that they are gone, and holds them. Who
 * looked on by another one has seen them go long ago (seed 1220 of the worlds of discovery). */
static void test_what_was_seen_to_go_does_not_come_back_by_a_hand_over(void **state) {
    struct bed bed, back;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "b", NULL);
    fl_hold_tick(&bed.index, bed.now_ms + FL_HOLD_MS);
    assert_null(bed.service->held);
    setup_two(&back);
    apply(&back, "a", "10.0.0.1 rs pod=p1");
    apply(&back, "b", NULL);
    assert_shown(&back, ALL); /* p2 vanished for it alone: the other still shows it */
    fl_hold_copy(&back.index, back.service, bed.service);
    assert_shown(&back, "10.0.0.1:8080 http rs pod=p1; "
                        "10.0.0.2:8080 http rs pod=p2 node=n for-zone=z");
    teardown(&back);
    teardown(&bed);
}

static void test_pods_that_end_are_not_held(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup_two(&bed);
    apply(&bed, "a", "10.0.0.1 rs pod=p1, 10.0.0.2 st pod=p2");
    apply(&bed, "a", "10.0.0.1 rs pod=p1");
    assert_null(bed.service->held);
    apply(&bed, "b", NULL); /* the other slice: its endpoint could stand in "a" next */
    assert_non_null(bed.service->held);
    apply(&bed, "a", NULL); /* and now there is none to move to */
    assert_null(bed.service->held);
    teardown(&bed);
}

static void test_a_single_slice_holds_nothing(void **state) {
    struct bed bed;
    FL_UNUSED(state);
    setup(&bed);
    apply(&bed, "a", "10.0.0.1 rs, 10.0.0.2 rs");
    apply(&bed, "a", "10.0.0.1 rs");
    assert_null(bed.service->held);
    teardown(&bed);
}

static void test_without_memory_nothing_is_held(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct bed bed;
        fl_test_alloc_fail_at(0);
        setup_two(&bed);
        const struct fl_kube_entry *old = fl_indexed_service_slices(bed.service)[0];
        struct fl_kube_entry *none = NULL;
        fl_test_alloc_fail_at(n);
        fl_hold_slice(&bed.index, old, none, bed.now_ms);
        teardown(&bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_W6_a_move_that_removes_first_shows_no_gap),
        cmocka_unit_test(test_W6_a_move_that_adds_first_shows_no_gap),
        cmocka_unit_test(test_W6_a_slice_that_is_dissolved_shows_no_gap),
        cmocka_unit_test(test_what_appears_elsewhere_is_not_held),
        cmocka_unit_test(test_what_does_not_come_back_is_let_go),
        cmocka_unit_test(test_nothing_is_held_longer_for_what_vanishes_later),
        cmocka_unit_test(test_what_is_held_keeps_its_ports),
        cmocka_unit_test(test_what_was_of_another_service_is_not_held),
        cmocka_unit_test(test_W6_a_hand_over_in_the_middle_shows_no_gap),
        cmocka_unit_test(test_what_was_seen_to_go_does_not_come_back_by_a_hand_over),
        cmocka_unit_test(test_pods_that_end_are_not_held),
        cmocka_unit_test(test_a_single_slice_holds_nothing),
        cmocka_unit_test(test_without_memory_nothing_is_held),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
