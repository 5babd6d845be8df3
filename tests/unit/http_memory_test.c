/* http_memory_test.c - pages of a connection's own. They are to be had only with the process's own
 * allocator, so this test does not have that of the others. */
#include "http/memory.h"

#include "base/area.h"
#include "support/http_bed.h"

static struct fl_http_memory *new_or_skip(void) {
    struct fl_http_memory *memory = fl_http_memory_new();
    if (!memory) skip(); /* a sanitizer wants to see each block */
    return memory;
}

static void assert_all(const unsigned char *bytes, unsigned char value, size_t n) {
    for (size_t i = 0; i < n; i++) assert_int_equal(bytes[i], value);
}

static void test_blocks_are_aligned_and_apart(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 100 };
    struct fl_http_memory *memory = new_or_skip();
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = fl_http_realloc(memory, NULL, i);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < COUNT; i++) assert_all(blocks[i], (unsigned char)i, i);
    for (size_t i = 0; i < COUNT; i++) fl_http_free(memory, blocks[i]);
    fl_http_free(memory, NULL);
    fl_http_memory_free(memory);
}

static void test_a_block_given_back_is_taken_again(void **state) {
    FL_UNUSED(state);
    struct fl_http_memory *memory = new_or_skip();
    unsigned char *first = fl_http_calloc(memory, 1, 100);
    size_t held = fl_area_bytes(FL_AREA_PAGES);
    for (int i = 0; i < 10000; i++) {
        memset(first, 'x', 100);
        fl_http_free(memory, first);
        unsigned char *again = fl_http_calloc(memory, 5, 20);
        assert_ptr_equal(again, first);
        assert_all(again, 0, 100);
    }
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), held);
    fl_http_memory_free(memory);
}

/* Of the large ones any that is large enough. */
static void test_a_large_block_given_back_is_taken_again(void **state) {
    FL_UNUSED(state);
    struct fl_http_memory *memory = new_or_skip();
    void *large = fl_http_calloc(memory, 1, 8000), *larger = fl_http_calloc(memory, 1, 16000);
    size_t held = fl_area_bytes(FL_AREA_PAGES);
    for (int i = 0; i < 100; i++) {
        fl_http_free(memory, larger);
        fl_http_free(memory, large);
        assert_ptr_equal(fl_http_realloc(memory, NULL, 9000), larger);
        unsigned char *again = fl_http_calloc(memory, 1, 2000);
        assert_ptr_equal(again, large);
        assert_all(again, 0, 2000);
        memset(again, 'x', 2000);
    }
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), held);
    fl_http_memory_free(memory);
}

static void test_a_block_grows_and_keeps_its_bytes(void **state) {
    FL_UNUSED(state);
    struct fl_http_memory *memory = new_or_skip();
    size_t heap = fl_area_bytes(FL_AREA_HTTP), n = 10;
    unsigned char *block = fl_http_realloc(memory, NULL, n);
    memset(block, 'x', n);
    for (; n < 4 * FL_HTTP_MEMORY_BYTES; n *= 2) { /* out of the pages, too */
        block = fl_http_realloc(memory, block, 2 * n);
        assert_all(block, 'x', n);
        memset(block + n, 'x', n);
    }
    assert_true(fl_area_bytes(FL_AREA_HTTP) > heap);
    block = fl_http_realloc(memory, block, 10);
    assert_all(block, 'x', 10);
    fl_http_free(memory, block);
    assert_int_equal(fl_area_bytes(FL_AREA_HTTP), heap);
    fl_http_memory_free(memory);
}

static void test_what_finds_no_place_comes_from_the_heap(void **state) {
    FL_UNUSED(state);
    enum { COUNT = 200 };
    struct fl_http_memory *memory = new_or_skip();
    size_t pages = fl_area_bytes(FL_AREA_PAGES), heap = fl_area_bytes(FL_AREA_HTTP);
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = fl_http_calloc(memory, 1, 1000);
        assert_non_null(blocks[i]);
        assert_all(blocks[i], 0, 1000);
        memset(blocks[i], (int)i, 1000);
    }
    assert_in_range(fl_area_bytes(FL_AREA_PAGES), pages + 40000, FL_HTTP_MEMORY_BYTES);
    assert_in_range(fl_area_bytes(FL_AREA_HTTP), heap + 150000, heap + 170000);
    for (size_t i = 0; i < COUNT; i++) assert_all(blocks[i], (unsigned char)i, 1000);
    for (size_t i = 0; i < COUNT; i++) fl_http_free(memory, blocks[i]);
    assert_int_equal(fl_area_bytes(FL_AREA_HTTP), heap);
    fl_http_memory_free(memory);
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), 0);
}

static void test_without_pages_all_comes_from_the_heap(void **state) {
    FL_UNUSED(state);
    size_t pages = fl_area_bytes(FL_AREA_PAGES), heap = fl_area_bytes(FL_AREA_HTTP);
    unsigned char *block = fl_http_calloc(NULL, 3, 1000);
    assert_all(block, 0, 3000);
    block = fl_http_realloc(NULL, block, 5000);
    assert_all(block, 0, 3000);
    assert_in_range(fl_area_bytes(FL_AREA_HTTP), heap + 5000, heap + 5100);
    fl_http_free(NULL, block);
    assert_int_equal(fl_area_bytes(FL_AREA_HTTP), heap);
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), pages);
    fl_http_memory_free(NULL);
}

static void test_sizes_that_overflow_are_refused(void **state) {
    FL_UNUSED(state);
    struct fl_http_memory *memory = fl_http_memory_new();
    assert_null(fl_http_calloc(memory, SIZE_MAX / 2, 3));
    assert_null(fl_http_calloc(memory, 1, SIZE_MAX));
    assert_null(fl_http_realloc(memory, NULL, SIZE_MAX));
    fl_http_memory_free(memory);
}

/* What it needs at rest lies in its pages, and they go with it. */
static void test_a_connection_leaves_no_pages_behind(void **state) {
    FL_UNUSED(state);
    fl_http_memory_free(new_or_skip());
    struct bed b;
    bed_open_h2(&b, &bed_plain);
    b.echo = true;
    bed_connect(&b);
    for (int i = 0; i < 10; i++) bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    assert_in_range(fl_area_bytes(FL_AREA_PAGES), 40000, 2 * FL_HTTP_MEMORY_BYTES);
    size_t held = fl_area_bytes(FL_AREA_PAGES);
    for (int i = 0; i < 100; i++) bed_run_closed(&b, bed_ask(&b, "GET", "/"));
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), held); /* streams take what streams gave */
    bed_deinit(&b);
    assert_int_equal(fl_area_bytes(FL_AREA_PAGES), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_apart),
        cmocka_unit_test(test_a_block_given_back_is_taken_again),
        cmocka_unit_test(test_a_large_block_given_back_is_taken_again),
        cmocka_unit_test(test_a_block_grows_and_keeps_its_bytes),
        cmocka_unit_test(test_what_finds_no_place_comes_from_the_heap),
        cmocka_unit_test(test_without_pages_all_comes_from_the_heap),
        cmocka_unit_test(test_sizes_that_overflow_are_refused),
        cmocka_unit_test(test_a_connection_leaves_no_pages_behind),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
