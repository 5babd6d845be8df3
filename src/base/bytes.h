/* bytes.h - comparing and copying short runs of bytes, inline: names of pods, nodes and zones, of
 * which an update has hundreds, and for which calling the C library costs more than the work. */
#ifndef FL_BASE_BYTES_H
#define FL_BASE_BYTES_H

#include <string.h>

#include "base/def.h"

static inline uint64_t fl_bytes_u64(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}
static inline uint32_t fl_bytes_u32(const char *p) {
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Whole words, then the last one, which may overlap the one before. */
static inline bool fl_bytes_eq(const char *a, const char *b, size_t n) {
    if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8)
            if (fl_bytes_u64(a + i) != fl_bytes_u64(b + i)) return false;
        return fl_bytes_u64(a + n - 8) == fl_bytes_u64(b + n - 8);
    }
    if (n >= 4)
        return fl_bytes_u32(a) == fl_bytes_u32(b) &&
               fl_bytes_u32(a + n - 4) == fl_bytes_u32(b + n - 4);
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* The two do not overlap. */
static inline void fl_bytes_copy(char *to, const char *from, size_t n) {
    if (n > 64) {
        memcpy(to, from, n);
    } else if (n >= 8) {
        for (size_t i = 0; i < n - 8; i += 8) memcpy(to + i, from + i, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++) to[i] = from[i];
    }
}

#endif
