/* base_map_test.c - the hash map. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/random.h"

static struct fl_str key_of(char out[16], unsigned i) {
    return fl_str_n(out, (size_t)snprintf(out, 16, "key-%u", i));
}

static void test_set_get_remove(void **state) {
    FL_UNUSED(state);
    struct fl_map m;
    int a, b;
    void *old = &a;
    fl_map_init(&m, 7);
    assert_null(fl_map_get(&m, FL_STR("x")));
    assert_null(fl_map_remove(&m, FL_STR("x")));
    assert_int_equal(fl_map_set(&m, FL_STR("x"), &a, &old), 0);
    assert_null(old);
    assert_ptr_equal(fl_map_get(&m, FL_STR("x")), &a);
    assert_int_equal(fl_map_set(&m, FL_STR("x"), &b, &old), 0);
    assert_ptr_equal(old, &a);
    assert_int_equal(fl_map_count(&m), 1);
    assert_ptr_equal(fl_map_remove(&m, FL_STR("x")), &b);
    assert_null(fl_map_get(&m, FL_STR("x")));
    assert_int_equal(fl_map_count(&m), 0);
    fl_map_deinit(&m);
}

static void test_keys_are_copied_and_may_be_any_bytes(void **state) {
    FL_UNUSED(state);
    struct fl_map m;
    char key[] = "a\0b";
    int value;
    fl_map_init(&m, 7);
    assert_int_equal(fl_map_set(&m, fl_str_n(key, 3), &value, NULL), 0);
    assert_int_equal(fl_map_set(&m, FL_STR_NONE, &m, NULL), 0);
    key[0] = 'z';
    assert_ptr_equal(fl_map_get(&m, fl_str_n("a\0b", 3)), &value);
    assert_null(fl_map_get(&m, FL_STR("a")));
    assert_ptr_equal(fl_map_get(&m, FL_STR("")), &m);
    fl_map_deinit(&m);
}

struct named {
    char name[16];
    struct fl_str key;
};

static struct fl_str name_of(const void *value) { return ((const struct named *)value)->key; }

static void named_init(struct named *named, unsigned i) { named->key = key_of(named->name, i); }

/* Nothing but the table is allocated, a value that replaces another brings its key along, and
 * values may be gone before the map. */
static void test_values_that_hold_their_keys(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 100 };
    struct named *values = fl_calloc(COUNT, sizeof(*values)), *again = fl_calloc(1, sizeof(*again));
    struct fl_map m;
    struct fl_str key;
    size_t cursor = 0, seen = 0;
    void *value, *old;
    assert_non_null(values);
    assert_non_null(again);
    fl_map_init_keyed(&m, 7, name_of);
    for (unsigned i = 0; i < COUNT; i++) {
        named_init(&values[i], i);
        assert_int_equal(fl_map_set(&m, values[i].key, &values[i], NULL), 0);
    }
    named_init(again, 5);
    assert_int_equal(fl_map_set(&m, again->key, again, &old), 0);
    assert_ptr_equal(old, &values[5]);
    memset(&values[5], 0xff, sizeof(values[5]));
    assert_ptr_equal(fl_map_get(&m, FL_STR("key-5")), again);
    assert_ptr_equal(fl_map_remove(&m, FL_STR("key-9")), &values[9]);
    assert_null(fl_map_get(&m, FL_STR("key-9")));
    for (; fl_map_next(&m, &cursor, &key, &value); seen++)
        assert_ptr_equal(key.p, ((struct named *)value)->name);
    assert_int_equal(seen, COUNT - 1);
    fl_free(values);
    fl_free(again);
    fl_map_deinit(&m);
}

/* Against an array of what should be there; few keys, so that homes collide and wrap. */
static void test_random_use_agrees_with_an_array(void **state) {
    FL_UNUSED(state);
    enum { KEYS = 200 };
    static int values[KEYS];
    bool there[KEYS] = {false};
    size_t count = 0;
    struct fl_random random = {2};
    struct fl_map m;
    fl_map_init(&m, 7);
    for (int step = 0; step < 50000; step++) {
        char text[16];
        unsigned i = (unsigned)fl_random_below(&random, KEYS);
        struct fl_str key = key_of(text, i);
        assert_ptr_equal(fl_map_get(&m, key), there[i] ? &values[i] : NULL);
        /* Long phases of growth and of shrinking. */
        if (fl_random_below(&random, 100) < (step / 5000 % 2 ? 30u : 70u)) {
            void *old;
            assert_int_equal(fl_map_set(&m, key, &values[i], &old), 0);
            assert_ptr_equal(old, there[i] ? &values[i] : NULL);
            count += !there[i];
            there[i] = true;
        } else {
            assert_ptr_equal(fl_map_remove(&m, key), there[i] ? &values[i] : NULL);
            count -= there[i];
            there[i] = false;
        }
        assert_int_equal(fl_map_count(&m), count);
    }
    fl_map_deinit(&m);
}

/* Writes the order of iteration, comma after comma. */
static void walk(const struct fl_map *m, char *out, size_t size) {
    struct fl_str key;
    void *value;
    size_t n = 0;
    out[0] = '\0';
    for (size_t cursor = 0; fl_map_next(m, &cursor, &key, &value);) {
        n += (size_t)snprintf(out + n, size - n, "%.*s,", FL_STR_ARG(key));
    }
}

static void test_order_depends_on_keys_and_seed_only(void **state) {
    FL_UNUSED(state);
    char text[16], up[1024], down[1024], other[1024];
    struct fl_map a, b, c;
    fl_map_init(&a, 7);
    fl_map_init(&b, 7);
    fl_map_init(&c, 8);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(fl_map_set(&a, key_of(text, i), &a, NULL), 0);
        assert_int_equal(fl_map_set(&c, key_of(text, i), &c, NULL), 0);
    }
    for (unsigned i = 1000; i > 0; i--) { /* another history and a larger table */
        assert_int_equal(fl_map_set(&b, key_of(text, i - 1), &b, NULL), 0);
    }
    for (unsigned i = 60; i < 1000; i++) assert_non_null(fl_map_remove(&b, key_of(text, i)));
    walk(&a, up, sizeof(up));
    walk(&b, down, sizeof(down));
    walk(&c, other, sizeof(other));
    assert_string_equal(up, down);
    assert_string_not_equal(up, other);
    fl_map_deinit(&a);
    fl_map_deinit(&b);
    fl_map_deinit(&c);
}

static void test_iteration_finds_each_once(void **state) {
    FL_UNUSED(state);
    struct fl_map m;
    int seen[100] = {0};
    struct fl_str key;
    void *value;
    char text[16];
    fl_map_init(&m, 7);
    size_t cursor = 0;
    assert_false(fl_map_next(&m, &cursor, &key, &value));
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(fl_map_set(&m, key_of(text, i), &seen[i], NULL), 0);
    }
    for (cursor = 0; fl_map_next(&m, &cursor, &key, &value);) ++*(int *)value;
    for (unsigned i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    fl_map_deinit(&m);
}

/* Every third is removed on the way, which the walk does not notice. */
static void test_a_walk_by_keys_bears_removals(void **state) {
    FL_UNUSED(state);
    for (unsigned n = 0; n < 300; n++) {
        struct named named[300], *order[300];
        struct fl_map m;
        size_t cursor = 0, seen = 0;
        struct fl_str key;
        void *value;
        fl_map_init_keyed(&m, n, name_of);
        for (unsigned i = 0; i < n; i++) {
            named_init(&named[i], i);
            assert_int_equal(fl_map_set(&m, named[i].key, &named[i], NULL), 0);
        }
        while (fl_map_next(&m, &cursor, &key, &value)) order[seen++] = value;
        seen = 0;
        for (struct named *at = fl_map_first(&m), *next; at; at = next) {
            assert_ptr_equal(at, order[seen]);
            next = fl_map_after(&m, at->key);
            if (seen++ % 3 == 0) assert_ptr_equal(fl_map_remove(&m, at->key), at);
        }
        assert_int_equal(seen, n);
        assert_int_equal(fl_map_count(&m), n - (n + 2) / 3);
        fl_map_deinit(&m);
    }
}

static void test_no_memory_leaves_the_map_as_it_was(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_map m;
        char text[16];
        size_t set = 0;
        fl_map_init(&m, 7);
        for (unsigned i = 0; i < 20; i++) {
            int rc = fl_map_set(&m, key_of(text, i), &m, NULL);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            set += rc == 0;
            assert_ptr_equal(fl_map_get(&m, key_of(text, i)), rc == 0 ? &m : NULL);
        }
        assert_int_equal(fl_map_count(&m), set);
        fl_map_deinit(&m);
    }
}

static void test_hash_depends_on_bytes_and_seed(void **state) {
    FL_UNUSED(state);
    assert_true(fl_hash(FL_STR("abc"), 1) == fl_hash(FL_STR("abc"), 1));
    assert_true(fl_hash(FL_STR("abc"), 1) != fl_hash(FL_STR("abc"), 2));
    assert_true(fl_hash(FL_STR("abc"), 1) != fl_hash(FL_STR("abd"), 1));
    assert_true(fl_hash(FL_STR_NONE, 1) == fl_hash(FL_STR(""), 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get_remove),
        cmocka_unit_test(test_keys_are_copied_and_may_be_any_bytes),
        cmocka_unit_test(test_values_that_hold_their_keys),
        cmocka_unit_test(test_random_use_agrees_with_an_array),
        cmocka_unit_test(test_order_depends_on_keys_and_seed_only),
        cmocka_unit_test(test_a_walk_by_keys_bears_removals),
        cmocka_unit_test(test_iteration_finds_each_once),
        cmocka_unit_test(test_no_memory_leaves_the_map_as_it_was),
        cmocka_unit_test(test_hash_depends_on_bytes_and_seed),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
