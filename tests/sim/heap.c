/* heap.c - see heap.h. Only counts: worlds are many, and must stay quick. */
#include "heap.h"

#include <fairlead/alloc.h>
#include <stdlib.h>

#include "base/def.h"

static size_t blocks;

static void *counted_alloc(void *arg, size_t size) {
    FL_UNUSED(arg);
    void *memory = malloc(size);
    blocks += memory != NULL;
    return memory;
}

static void *counted_realloc(void *arg, void *old, size_t size) {
    FL_UNUSED(arg);
    void *memory = realloc(old, size);
    blocks += !old && memory;
    return memory;
}

static void counted_free(void *arg, void *memory) {
    FL_UNUSED(arg);
    blocks--;
    free(memory);
}

void heap_watch(void) {
    static const struct fl_allocator counted = {counted_alloc, counted_realloc, counted_free, NULL};
    fl_alloc_configure(&counted);
}

size_t heap_blocks(void) { return blocks; }
