/* alloc.h - the only way to memory. Thread-safe. Every result may be NULL. */
#ifndef FL_BASE_ALLOC_H
#define FL_BASE_ALLOC_H

#include "base/def.h"

FL_MUST void *fl_alloc(size_t size);
FL_MUST void *fl_calloc(size_t count, size_t size); /* zeroed; NULL on overflow too */
FL_MUST void *fl_realloc(void *old, size_t size);
void fl_free(void *memory);
FL_MUST char *fl_strdup(const char *text);

/* Pages that the system has back at once when they are given back: for what is large and short of
 * life beside blocks that stay. Zeroed; takes memory as far as it is touched. NULL, which is no
 * failure, also where the process has an allocator of its own or looks for misused blocks. */
FL_MUST void *fl_pages_alloc(size_t size);
void fl_pages_free(void *pages, size_t size);

#define FL_NEW(type) ((type *)fl_calloc(1, sizeof(type)))

#endif
