/* memory.c - see memory.h. Each block has its size in front: nghttp2 gives blocks back without it.
 */
#include "http/memory.h"

#include <string.h>

#include "base/area.h"

union header {
    size_t size; /* of the whole, this included */
    max_align_t align;
};

static void *count(union header *header, size_t size) {
    if (!header) return NULL;
    header->size = size;
    fl_area_add(FL_AREA_HTTP, (ptrdiff_t)size);
    return header + 1;
}

static bool whole_size(size_t count, size_t size, size_t *out) {
    if (size && count > (SIZE_MAX - sizeof(union header)) / size) return false;
    *out = count * size + sizeof(union header);
    return true;
}

void *fl_http_calloc(size_t n, size_t size) {
    size_t whole;
    return whole_size(n, size, &whole) ? count(fl_calloc(1, whole), whole) : NULL;
}

void *fl_http_realloc(void *old, size_t size) {
    size_t whole, before = 0;
    union header *header = old ? (union header *)old - 1 : NULL;
    if (!whole_size(1, size, &whole)) return NULL;
    if (header) before = header->size;
    header = fl_realloc(header, whole);
    if (!header) return NULL;
    fl_area_add(FL_AREA_HTTP, -(ptrdiff_t)before);
    return count(header, whole);
}

void fl_http_free(void *memory) {
    if (!memory) return;
    union header *header = (union header *)memory - 1;
    fl_area_add(FL_AREA_HTTP, -(ptrdiff_t)header->size);
    fl_free(header);
}
