/* alloc.c - memory, through the one allocator of the process.
 *
 * The allocator is set before anything else runs (fl_alloc_configure) and only read after that, so
 * there is no lock. A size of 0 is asked for as 1: NULL always means that there was no memory. */
#include "base/alloc.h"

#include <fairlead/alloc.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *system_alloc(void *arg, size_t size) {
    FL_UNUSED(arg);
    return malloc(size);
}

static void *system_realloc(void *arg, void *old, size_t size) {
    FL_UNUSED(arg);
    return realloc(old, size);
}

static void system_free(void *arg, void *memory) {
    FL_UNUSED(arg);
    free(memory);
}

static struct fl_allocator current = {system_alloc, system_realloc, system_free, NULL};

void fl_alloc_configure(const struct fl_allocator *allocator) { current = *allocator; }

void *fl_alloc(size_t size) { return current.alloc(current.arg, FL_MAX(size, 1)); }

void *fl_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *memory = fl_alloc(bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void *fl_realloc(void *old, size_t size) {
    return current.realloc(current.arg, old, FL_MAX(size, 1));
}

void fl_free(void *memory) {
    if (memory) current.free(current.arg, memory);
}

char *fl_strdup(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = fl_alloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

#if defined(__SANITIZE_ADDRESS__)
#define OWN_PAGES false
#else
#define OWN_PAGES true
#endif

void *fl_pages_alloc(size_t size) {
    if (!OWN_PAGES || current.alloc != system_alloc) return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    /* Neighbours become one mapping, in which a huge page would hold memory that nobody uses. */
    madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void fl_pages_free(void *pages, size_t size) {
    /* Refused where the process has too many mappings to split one: then it is only emptied. */
    if (munmap(pages, size) != 0) madvise(pages, size, MADV_DONTNEED);
}
