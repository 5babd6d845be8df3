/* alloc.h - the allocator hook.
 *
 * All memory of Fairlead and of the libraries under it that allow it comes through these functions.
 */
#ifndef FAIRLEAD_ALLOC_H
#define FAIRLEAD_ALLOC_H

#include <fairlead/def.h>

FL_C_BEGIN

/* Same contracts as malloc, realloc and free of C11; all three must be thread-safe. */
struct fl_allocator {
    void *(*alloc)(void *arg, size_t size);
    void *(*realloc)(void *arg, void *old, size_t size);
    void (*free)(void *arg, void *memory);
    void *arg;
};

/* Sets the process's allocator; before any other function of the library, from one thread. */
FL_API void fl_alloc_configure(const struct fl_allocator *allocator);

FL_C_END

#endif
