/* alloc.h - the only way to memory. Thread-safe. Every result may be NULL. */
#ifndef FL_BASE_ALLOC_H
#define FL_BASE_ALLOC_H

#include "base/def.h"

FL_MUST void *fl_alloc(size_t size);
FL_MUST void *fl_calloc(size_t count, size_t size); /* zeroed; NULL on overflow too */
FL_MUST void *fl_realloc(void *old, size_t size);
void fl_free(void *memory);
FL_MUST char *fl_strdup(const char *text);

#define FL_NEW(type) ((type *)fl_calloc(1, sizeof(type)))

#endif
