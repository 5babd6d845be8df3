/* alloc.c - the test allocator. Any thread; the failing allocation is counted over all of them.
 *
 * Every block carries its size in front, so that what is outstanding is known in bytes. New memory
 * and memory given back are filled with patterns, so that a test notices the use of either. The
 * cmocka test is wrapped: its setup notes what is outstanding, its teardown compares. */
#include "support/alloc.h"

#include <fairlead/alloc.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_NEW  0xa5
#define PATTERN_FREE 0x5a

union header {
    size_t size;
    max_align_t align;
};

static atomic_size_t bytes, blocks, count, peak;
static atomic_size_t fail_in; /* 1: the next allocation fails; 0: none will */
static atomic_bool did_fail;

/* Counts an allocation; true if it is the one that fails. */
static bool must_fail(void) {
    atomic_fetch_add(&count, 1);
    size_t left = atomic_load(&fail_in);
    while (left > 0 && !atomic_compare_exchange_weak(&fail_in, &left, left - 1)) {
    }
    if (left == 1) atomic_store(&did_fail, true);
    return left == 1;
}

static void note_peak(size_t now) {
    size_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
}

static void *counted_alloc(void *arg, size_t size) {
    (void)arg;
    if (must_fail()) return NULL;
    union header *header = malloc(sizeof(*header) + size);
    if (!header) return NULL;
    header->size = size;
    memset(header + 1, PATTERN_NEW, size);
    note_peak(atomic_fetch_add(&bytes, size) + size);
    atomic_fetch_add(&blocks, 1);
    return header + 1;
}

static void counted_free(void *arg, void *memory) {
    (void)arg;
    if (!memory) return;
    union header *header = (union header *)memory - 1;
    atomic_fetch_sub(&bytes, header->size);
    atomic_fetch_sub(&blocks, 1);
    memset(header + 1, PATTERN_FREE, header->size);
    free(header);
}

/* Always moves, so that a pointer kept across a growth is found. */
static void *counted_realloc(void *arg, void *old, size_t size) {
    void *moved = counted_alloc(arg, size);
    if (!moved || !old) return moved;
    size_t old_size = ((union header *)old - 1)->size;
    memcpy(moved, old, FL_MIN(old_size, size));
    counted_free(arg, old);
    return moved;
}

void fl_test_alloc_fail_at(size_t n) {
    atomic_store(&did_fail, false);
    atomic_store(&fail_in, n);
}

bool fl_test_alloc_did_fail(void) { return atomic_load(&did_fail); }

size_t fl_test_alloc_outstanding(void) { return atomic_load(&bytes); }

size_t fl_test_alloc_peak(void) { return atomic_exchange(&peak, atomic_load(&bytes)); }

size_t fl_test_alloc_count(void) { return atomic_load(&count); }

bool fl_test_alloc_next_failure(size_t *n) {
    bool more = *n == 0 || fl_test_alloc_did_fail();
    fl_test_alloc_fail_at(more ? ++*n : 0);
    return more;
}

/* The test that runs now: cmocka runs one after the other. */
static const struct CMUnitTest *running;
static size_t bytes_before, blocks_before;

static int wrapped_setup(void **state) {
    running = *state;
    *state = running->initial_state;
    fl_test_alloc_fail_at(0);
    bytes_before = atomic_load(&bytes);
    blocks_before = atomic_load(&blocks);
    return running->setup_func ? running->setup_func(state) : 0;
}

static int wrapped_teardown(void **state) {
    fl_test_alloc_fail_at(0);
    int rc = running->teardown_func ? running->teardown_func(state) : 0;
    size_t left = atomic_load(&blocks) - blocks_before;
    if (left == 0) return rc;
    print_error("%s: leaked %zu blocks of %zu bytes together\n", running->name, left,
                atomic_load(&bytes) - bytes_before);
    return -1;
}

int fl_test_run_named(const char *name, const struct CMUnitTest *tests, size_t test_count) {
    static const struct fl_allocator allocator = {counted_alloc, counted_realloc, counted_free,
                                                  NULL};
    fl_alloc_configure(&allocator);
    struct CMUnitTest *wrapped = calloc(test_count, sizeof(*wrapped));
    if (!wrapped) return 1;
    for (size_t i = 0; i < test_count; i++) {
        wrapped[i] = (struct CMUnitTest){.name = tests[i].name,
                                         .test_func = tests[i].test_func,
                                         .setup_func = wrapped_setup,
                                         .teardown_func = wrapped_teardown,
                                         .initial_state = (void *)(uintptr_t)&tests[i]};
    }
    int failed = _cmocka_run_group_tests(name, wrapped, test_count, NULL, NULL);
    free(wrapped);
    return failed ? 1 : 0;
}
