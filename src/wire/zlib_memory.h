/* zlib_memory.h - zlib's memory is ours: bounded, counted and made to fail as all other. Private to
 * the files that include zlib. */
#ifndef FL_WIRE_ZLIB_MEMORY_H
#define FL_WIRE_ZLIB_MEMORY_H

#include <zlib.h>

#include "base/alloc.h"

static inline voidpf fl_zlib_alloc(voidpf opaque, uInt count, uInt size) {
    FL_UNUSED(opaque);
    return fl_calloc(count, size);
}

static inline void fl_zlib_free(voidpf opaque, voidpf memory) {
    FL_UNUSED(opaque);
    fl_free(memory);
}

/* What a stream is before zlib's own init. */
#define FL_ZLIB_STREAM ((z_stream){.zalloc = fl_zlib_alloc, .zfree = fl_zlib_free})

#endif
