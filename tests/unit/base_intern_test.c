/* base_intern_test.c - names that are kept once. */
#include "support/alloc.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/intern.h"
#include "base/random.h"

static void test_same_text_same_id(void **state) {
    FL_UNUSED(state);
    uint32_t a, again, b;
    assert_int_equal(fl_intern_ref(FL_STR("node-a"), &a), 0);
    assert_int_equal(fl_intern_ref(FL_STR("node-a"), &again), 0);
    assert_int_equal(fl_intern_ref(FL_STR("node-b"), &b), 0);
    assert_int_equal(a, again);
    assert_int_not_equal(a, b);
    assert_string_equal(fl_intern_str(a).p, "node-a");
    assert_true(fl_str_eq(fl_intern_str(b), FL_STR("node-b")));
    fl_intern_unref(a);
    assert_string_equal(fl_intern_str(a).p, "node-a"); /* held once more */
    fl_intern_unref(again);
    fl_intern_unref(b);
}

static void test_empty_is_id_0(void **state) {
    FL_UNUSED(state);
    uint32_t id = 7;
    assert_int_equal(fl_intern_ref(FL_STR_NONE, &id), 0);
    assert_int_equal(id, 0);
    assert_string_equal(fl_intern_str(0).p, "");
    fl_intern_ref_ids(&id, 1);
    fl_intern_unref(0);
}

static void test_references_are_counted(void **state) {
    FL_UNUSED(state);
    uint32_t keep, id;
    assert_int_equal(fl_intern_ref(FL_STR("keep"), &keep), 0);
    assert_int_equal(fl_intern_ref(FL_STR("zone"), &id), 0);
    size_t held = fl_test_alloc_outstanding();
    fl_intern_ref_ids(&id, 1);
    fl_intern_unref(id);
    assert_int_equal(fl_test_alloc_outstanding(), held);
    fl_intern_unref(id);
    assert_true(fl_test_alloc_outstanding() < held);
    fl_intern_unref(keep);
}

static void test_many_are_counted_at_once(void **state) {
    FL_UNUSED(state);
    uint32_t ids[4] = {0};
    assert_int_equal(fl_intern_ref(FL_STR("a"), &ids[0]), 0);
    assert_int_equal(fl_intern_ref(FL_STR("b"), &ids[3]), 0);
    ids[1] = ids[0]; /* twice in the list, and 0 */
    fl_intern_ref_ids(ids, 4);
    fl_intern_unref(ids[0]);
    fl_intern_unref(ids[3]);
    assert_string_equal(fl_intern_str(ids[0]).p, "a");
    assert_string_equal(fl_intern_str(ids[3]).p, "b");
    fl_intern_unref_ids(ids, 4);
}

static void test_ids_are_used_again(void **state) {
    FL_UNUSED(state);
    uint32_t keep, last;
    assert_int_equal(fl_intern_ref(FL_STR("keep"), &keep), 0);
    for (int i = 0; i < 5000; i++) {
        char text[16];
        struct fl_str s = fl_str_n(text, (size_t)snprintf(text, sizeof(text), "n%d", i));
        assert_int_equal(fl_intern_ref(s, &last), 0);
        fl_intern_unref(last);
    }
    assert_int_equal(last, keep + 1);
    fl_intern_unref(keep);
}

static void test_no_memory_leaves_nothing_behind(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        uint32_t ids[600];
        for (int i = 0; i < 600; i++) { /* the buckets grow twice */
            char text[16];
            struct fl_str s = fl_str_n(text, (size_t)snprintf(text, sizeof(text), "n%d", i));
            int rc = fl_intern_ref(s, &ids[i]);
            assert_true(rc == 0 || (rc == FL_ENOMEM && ids[i] == 0));
            if (rc == 0) assert_string_equal(fl_intern_str(ids[i]).p, text);
        }
        for (int i = 0; i < 600; i++) fl_intern_unref(ids[i]);
        if (n > 700) break; /* every kind of allocation has failed by now */
    }
}

static void test_the_table_is_bounded(void **state) {
    FL_UNUSED(state);
    enum { MAX = 1 << 20 };
    static uint32_t ids[MAX];
    int rc = 0;
    uint32_t count = 0;
    while (count < MAX && rc == 0) {
        rc = fl_intern_ref(fl_str_n(&count, sizeof(count)), &ids[count]);
        count += rc == 0;
    }
    assert_int_equal(rc, FL_EFULL);
    assert_int_equal(count, MAX - 1); /* and the empty one */
    uint32_t again;
    assert_int_equal(fl_intern_ref(fl_str_n("\0\0\0\0", 4), &again), 0); /* known ones still work */
    assert_int_equal(again, ids[0]);
    fl_intern_unref(again);
    fl_intern_unref(ids[--count]);
    assert_int_equal(fl_intern_ref(FL_STR("room again"), &ids[count++]), 0);
    while (count) fl_intern_unref(ids[--count]);
}

/* Names come and go in all threads; each reads, without a lock, the text of what it holds. */
static void *churn(void *arg) {
    struct fl_random random = {(uintptr_t)arg};
    uint32_t held[16] = {0};
    unsigned names[16] = {0};
    char text[16];
    uintptr_t wrong = 0;
    for (int step = 0; step < 20000; step++) {
        size_t slot = fl_random_below(&random, 16);
        if (held[slot]) {
            snprintf(text, sizeof(text), "n%u", names[slot]);
            wrong += strcmp(fl_intern_str(held[slot]).p, text) != 0;
            if (fl_random_below(&random, 4) == 0) {
                fl_intern_ref_ids(&held[slot], 1);
                fl_intern_unref(held[slot]);
            }
        }
        fl_intern_unref(held[slot]);
        names[slot] = (unsigned)fl_random_below(&random, 40);
        snprintf(text, sizeof(text), "n%u", names[slot]);
        wrong += fl_intern_ref(fl_str_of(text), &held[slot]) < 0;
    }
    for (size_t i = 0; i < 16; i++) fl_intern_unref(held[i]);
    return (void *)wrong;
}

static void test_threads_agree(void **state) {
    FL_UNUSED(state);
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void test_zone_of_a_node(void **state) {
    FL_UNUSED(state);
    size_t held = fl_test_alloc_outstanding();
    uint32_t node, other, zone, next;
    assert_int_equal(fl_intern_ref(FL_STR("node"), &node), 0);
    assert_int_equal(fl_intern_ref(FL_STR("other"), &other), 0);
    assert_int_equal(fl_intern_ref(FL_STR("zone"), &zone), 0);
    assert_int_equal(fl_intern_ref(FL_STR("next"), &next), 0);
    assert_int_equal(fl_intern_zone(node), 0);
    assert_int_equal(fl_intern_zone(0), 0);
    fl_intern_set_zone(node, zone);
    fl_intern_set_zone(node, next); /* the first one stays */
    assert_int_equal(fl_intern_zone(node), zone);
    fl_intern_unref(zone);
    assert_string_equal(fl_intern_str(zone).p, "zone"); /* its node holds it */
    fl_intern_unref(node);
    assert_int_equal(fl_intern_ref(FL_STR("node"), &node), 0); /* knows nothing of its last life */
    assert_int_equal(fl_intern_zone(node), 0);
    fl_intern_set_zone(node, next);
    assert_int_equal(fl_intern_zone(node), next);
    fl_intern_unref(next);
    fl_intern_unref(other);
    fl_intern_unref(node); /* and its zone after it: the last of all */
    assert_int_equal(fl_test_alloc_outstanding(), held);
}

/* Names that are nodes and zones of each other would hold one another for ever. */
static void test_zones_make_no_circle(void **state) {
    FL_UNUSED(state);
    size_t held = fl_test_alloc_outstanding();
    uint32_t a, b, c;
    assert_int_equal(fl_intern_ref(FL_STR("a"), &a), 0);
    assert_int_equal(fl_intern_ref(FL_STR("b"), &b), 0);
    assert_int_equal(fl_intern_ref(FL_STR("c"), &c), 0);
    fl_intern_set_zone(a, a);
    assert_int_equal(fl_intern_zone(a), 0);
    fl_intern_set_zone(a, b);
    fl_intern_set_zone(b, a);
    fl_intern_set_zone(b, c);
    fl_intern_set_zone(c, a);
    assert_int_equal(fl_intern_zone(a), b);
    assert_int_equal(fl_intern_zone(b), 0);
    assert_int_equal(fl_intern_zone(c), 0);
    fl_intern_unref(a);
    fl_intern_unref(b);
    fl_intern_unref(c);
    assert_int_equal(fl_test_alloc_outstanding(), held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_text_same_id),
        cmocka_unit_test(test_empty_is_id_0),
        cmocka_unit_test(test_references_are_counted),
        cmocka_unit_test(test_many_are_counted_at_once),
        cmocka_unit_test(test_ids_are_used_again),
        cmocka_unit_test(test_no_memory_leaves_nothing_behind),
        cmocka_unit_test(test_the_table_is_bounded),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_zone_of_a_node),
        cmocka_unit_test(test_zones_make_no_circle),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
