/* memory.c - see memory.h. Each block has its size in front: nghttp2 gives blocks back without it.
 *
 * Pages are given out from their beginning on. A block that comes back waits for the next one that
 * wants it: a small one in a list of its size, which is how streams come and go; the few large
 * ones, tables and long header lists, in one from which the first that is large enough is taken. */
#include "http/memory.h"

#include <stdalign.h>
#include <string.h>

#include "base/area.h"

struct header {
    alignas(max_align_t) size_t size; /* of the whole, this included */
};

#define GRAIN     sizeof(struct header) /* all sizes in pages are multiples of it */
#define SMALL_MAX ((size_t)1024)

struct spare {
    struct header header;
    struct spare *next;
};

struct fl_http_memory {
    alignas(max_align_t) char *unused;           /* from here on */
    struct spare *spares[SMALL_MAX / GRAIN + 1]; /* by size; [0]: the large ones */
};

struct fl_http_memory *fl_http_memory_new(void) {
    struct fl_http_memory *memory = fl_pages_alloc(FL_HTTP_MEMORY_BYTES);
    if (!memory) return NULL;
    memory->unused = (char *)(memory + 1);
    fl_area_add(FL_AREA_PAGES, sizeof(*memory));
    return memory;
}

void fl_http_memory_free(struct fl_http_memory *memory) {
    if (!memory) return;
    fl_area_add(FL_AREA_PAGES, -(memory->unused - (char *)memory));
    fl_pages_free(memory, FL_HTTP_MEMORY_BYTES);
}

static bool is_within(const struct fl_http_memory *memory, const struct header *block) {
    return memory && (uintptr_t)block - (uintptr_t)memory < FL_HTTP_MEMORY_BYTES;
}

static size_t rounded(size_t whole) {
    return FL_MAX((whole + GRAIN - 1) / GRAIN * GRAIN, sizeof(struct spare));
}

/* --- pages: NULL if there is no place --- */

static struct spare **spares_of(struct fl_http_memory *memory, size_t whole) {
    return &memory->spares[whole > SMALL_MAX ? 0 : whole / GRAIN];
}

static struct header *take_spare(struct fl_http_memory *memory, size_t whole) {
    struct spare **at = spares_of(memory, whole), *spare;
    while (*at && (*at)->header.size < whole) at = &(*at)->next;
    if (!(spare = *at)) return NULL;
    *at = spare->next;
    return &spare->header;
}

static struct header *take_unused(struct fl_http_memory *memory, size_t whole) {
    struct header *block = (struct header *)memory->unused;
    if (whole > FL_HTTP_MEMORY_BYTES - (size_t)(memory->unused - (char *)memory)) return NULL;
    memory->unused += whole;
    block->size = whole;
    fl_area_add(FL_AREA_PAGES, (ptrdiff_t)whole);
    return block;
}

static void give(struct fl_http_memory *memory, struct header *block) {
    struct spare *spare = (struct spare *)block, **list = spares_of(memory, block->size);
    spare->next = *list;
    *list = spare;
}

/* --- the common heap --- */

static struct header *count(struct header *block, size_t whole) {
    if (!block) return NULL;
    block->size = whole;
    fl_area_add(FL_AREA_HTTP, (ptrdiff_t)whole);
    return block;
}

static struct header *resize(struct header *block, size_t whole) {
    size_t before = block->size;
    block = fl_realloc(block, whole);
    if (block) fl_area_add(FL_AREA_HTTP, -(ptrdiff_t)before);
    return count(block, whole);
}

/* --- either --- */

/* Overflows are found before anything is added to a size. */
static bool whole_size(size_t n, size_t size, size_t *out) {
    if (size && n > (SIZE_MAX / 2) / size) return false;
    *out = rounded(n * size + sizeof(struct header));
    return true;
}

static struct header *take(struct fl_http_memory *memory, size_t whole) {
    struct header *block = memory ? take_spare(memory, whole) : NULL;
    if (!block && memory) block = take_unused(memory, whole);
    return block ? block : count(fl_alloc(whole), whole);
}

static void *bytes_of(struct header *block) { return block ? block + 1 : NULL; }

void *fl_http_calloc(struct fl_http_memory *memory, size_t n, size_t size) {
    size_t whole;
    if (!whole_size(n, size, &whole)) return NULL;
    struct header *block = memory ? take_spare(memory, whole) : NULL;
    if (!block && memory && (block = take_unused(memory, whole))) return bytes_of(block);
    if (!block) block = count(fl_alloc(whole), whole);
    if (block) memset(bytes_of(block), 0, whole - sizeof(*block));
    return bytes_of(block);
}

void *fl_http_realloc(struct fl_http_memory *memory, void *old, size_t size) {
    struct header *before = old ? (struct header *)old - 1 : NULL, *block;
    size_t whole;
    if (!whole_size(1, size, &whole)) return NULL;
    if (!before) return bytes_of(take(memory, whole));
    if (!is_within(memory, before)) return bytes_of(resize(before, whole));
    if (whole <= before->size) return old;
    block = take(memory, whole);
    if (!block) return NULL;
    memcpy(bytes_of(block), old, before->size - sizeof(*before));
    give(memory, before);
    return bytes_of(block);
}

void fl_http_free(struct fl_http_memory *memory, void *bytes) {
    if (!bytes) return;
    struct header *block = (struct header *)bytes - 1;
    if (is_within(memory, block)) {
        give(memory, block);
        return;
    }
    fl_area_add(FL_AREA_HTTP, -(ptrdiff_t)block->size);
    fl_free(block);
}
