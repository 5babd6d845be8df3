/* tls_memory.c - counts what OpenSSL allocates. Any thread.
 *
 * The hooks are the process's, not the library's: only a program that knows it is the first to use
 * OpenSSL sets them. They are malloc, realloc and free, which know the size of a block. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/area.h"
#include "loop/loop.h"

static void count(void *block, int sign) {
    fl_area_add(FL_AREA_TLS, sign * (ptrdiff_t)malloc_usable_size(block));
}

static void *counted_malloc(size_t size, const char *file, int line) {
    FL_UNUSED(file);
    FL_UNUSED(line);
    void *block = malloc(size);
    count(block, 1);
    return block;
}

static void *counted_realloc(void *old, size_t size, const char *file, int line) {
    FL_UNUSED(file);
    FL_UNUSED(line);
    ptrdiff_t before = (ptrdiff_t)malloc_usable_size(old);
    void *block = realloc(old, size);
    if (!block) return NULL;
    fl_area_add(FL_AREA_TLS, -before);
    count(block, 1);
    return block;
}

static void counted_free(void *block, const char *file, int line) {
    FL_UNUSED(file);
    FL_UNUSED(line);
    count(block, -1);
    free(block);
}

bool fl_loop_count_tls_memory(void) {
    return CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) == 1;
}
