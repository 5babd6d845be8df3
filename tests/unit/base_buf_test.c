/* base_buf_test.c - the bounded byte queue. */
#include "support/alloc.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"

static void assert_holds(const struct fl_buf *b, const char *expected) {
    assert_true(fl_str_eq(fl_buf_str(b), fl_str_of(expected)));
}

static void test_appends_and_consumes_in_order(void **state) {
    FL_UNUSED(state);
    struct fl_buf b;
    fl_buf_init(&b, 100);
    assert_holds(&b, "");
    assert_int_equal(fl_buf_append(&b, FL_STR("hello ")), 0);
    assert_int_equal(fl_buf_append(&b, FL_STR_NONE), 0);
    assert_int_equal(fl_buf_printf(&b, "%s %d", "world", 7), 0);
    assert_int_equal(fl_buf_byte(&b, '!'), 0);
    fl_buf_consume(&b, 6);
    assert_holds(&b, "world 7!");
    fl_buf_truncate(&b, 5);
    assert_holds(&b, "world");
    fl_buf_deinit(&b);
}

static void test_bound_holds_and_changes_nothing(void **state) {
    FL_UNUSED(state);
    struct fl_buf b;
    fl_buf_init(&b, 8);
    assert_int_equal(fl_buf_append(&b, FL_STR("12345")), 0);
    assert_int_equal(fl_buf_append(&b, FL_STR("6789")), FL_EFULL);
    assert_int_equal(fl_buf_printf(&b, "%s", "6789"), FL_EFULL);
    assert_null(fl_buf_reserve(&b, 4));
    assert_null(fl_buf_reserve(&b, SIZE_MAX));
    assert_holds(&b, "12345");
    assert_int_equal(fl_buf_printf(&b, "%s", "678"), 0); /* exactly full, its end beyond */
    assert_holds(&b, "12345678");
    assert_int_equal(fl_buf_byte(&b, '9'), FL_EFULL);
    fl_buf_consume(&b, 1);
    assert_int_equal(fl_buf_byte(&b, '9'), 0);
    assert_holds(&b, "23456789");
    fl_buf_deinit(&b);
}

static void test_reserve_and_commit(void **state) {
    FL_UNUSED(state);
    struct fl_buf b;
    fl_buf_init(&b, 1000);
    for (int i = 0; i < 10; i++) {
        char *room = fl_buf_reserve(&b, 100);
        assert_non_null(room);
        memset(room, 'a' + i, 100);
        fl_buf_commit(&b, 50);
    }
    struct fl_str s = fl_buf_str(&b);
    assert_int_equal(s.n, 500);
    for (size_t i = 0; i < s.n; i++) assert_int_equal(s.p[i], 'a' + (int)(i / 50));
    fl_buf_deinit(&b);
}

static void test_no_memory_changes_nothing(void **state) {
    FL_UNUSED(state);
    FL_TEST_EACH_FAILURE(n) {
        struct fl_buf b;
        char *text = NULL;
        fl_buf_init(&b, 10000);
        int rc = fl_buf_append(&b, FL_STR("ab"));
        if (rc == 0) {
            fl_buf_consume(&b, 1);
            rc = fl_buf_printf(&b, "%3000d", 1);
            assert_int_equal(fl_buf_str(&b).n, rc == 0 ? 3001 : 1);
        }
        if (rc == 0) {
            text = fl_buf_steal_text(&b);
            assert_int_equal(fl_buf_str(&b).n, text ? 0 : 3001);
        }
        if (rc < 0) assert_int_equal(rc, FL_ENOMEM);
        fl_free(text);
        fl_buf_deinit(&b);
    }
}

static void test_release_gives_memory_back_only_when_empty(void **state) {
    FL_UNUSED(state);
    struct fl_buf b;
    fl_buf_init(&b, 100);
    assert_int_equal(fl_buf_append(&b, FL_STR("ab")), 0);
    fl_buf_release(&b);
    assert_holds(&b, "ab");
    fl_buf_consume(&b, 2);
    size_t before = fl_test_alloc_outstanding();
    fl_buf_release(&b);
    assert_true(fl_test_alloc_outstanding() < before);
    assert_int_equal(fl_buf_append(&b, FL_STR("again")), 0);
    assert_holds(&b, "again");
    fl_buf_deinit(&b);
}

static void test_steal_text_terminates(void **state) {
    FL_UNUSED(state);
    struct fl_buf b;
    fl_buf_init(&b, 8);
    char *text = fl_buf_steal_text(&b);
    assert_string_equal(text, "");
    fl_free(text);
    assert_int_equal(fl_buf_append(&b, FL_STR("12345678")), 0);
    fl_buf_consume(&b, 2);
    text = fl_buf_steal_text(&b);
    assert_string_equal(text, "345678");
    assert_int_equal(fl_buf_str(&b).n, 0);
    fl_free(text);
    fl_buf_deinit(&b);
}

/* Against a flat array as the oracle; memory stays below twice the bound. */
static void test_random_use_agrees_with_an_array(void **state) {
    FL_UNUSED(state);
    enum { MAX = 3000 };
    struct fl_random random = {1};
    struct fl_buf b;
    char oracle[MAX];
    size_t len = 0;
    unsigned char next = 0;
    fl_buf_init(&b, MAX);
    for (int step = 0; step < 20000; step++) {
        char piece[400];
        size_t n = fl_random_below(&random, sizeof(piece));
        if (fl_random_below(&random, 2)) {
            for (size_t i = 0; i < n; i++) piece[i] = (char)next++;
            int rc = fl_buf_append(&b, fl_str_n(piece, n));
            assert_int_equal(rc, len + n > MAX ? FL_EFULL : 0);
            if (rc == 0) memcpy(oracle + len, piece, n);
            len += rc == 0 ? n : 0;
        } else {
            n = FL_MIN(n, len);
            fl_buf_consume(&b, n);
            memmove(oracle, oracle + n, len - n);
            len -= n;
        }
        assert_int_equal(b.len, len);
        if (len) assert_memory_equal(fl_buf_str(&b).p, oracle, len);
        assert_true(b.cap <= 2 * MAX);
    }
    fl_buf_deinit(&b);
}

/* A queue that is always nearly full and loses and gains a byte at a time: were all bytes moved for
 * each, this would move 64 GB. Growth is counted, and the timeout of the suite sees the rest. */
static void test_W17_small_steps_at_the_bound_are_linear(void **state) {
    FL_UNUSED(state);
    enum { MAX = 64 * 1024 };
    static char fill[MAX];
    struct fl_buf b;
    fl_buf_init(&b, MAX);
    assert_int_equal(fl_buf_append(&b, fl_str_n(fill, sizeof(fill))), 0);
    size_t before = fl_test_alloc_count(), moves = 0;
    for (int i = 0; i < 1000000; i++) {
        size_t start = b.start;
        fl_buf_consume(&b, 1);
        assert_int_equal(fl_buf_byte(&b, 'x'), 0);
        if (b.start < start) moves++;
    }
    assert_true(fl_test_alloc_count() - before <= 1);
    assert_true(moves <= 2 * 1000000 / MAX);
    fl_buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_and_consumes_in_order),
        cmocka_unit_test(test_bound_holds_and_changes_nothing),
        cmocka_unit_test(test_reserve_and_commit),
        cmocka_unit_test(test_no_memory_changes_nothing),
        cmocka_unit_test(test_release_gives_memory_back_only_when_empty),
        cmocka_unit_test(test_steal_text_terminates),
        cmocka_unit_test(test_random_use_agrees_with_an_array),
        cmocka_unit_test(test_W17_small_steps_at_the_bound_are_linear),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
