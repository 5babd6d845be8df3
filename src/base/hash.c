/* hash.c - keyed 64-bit hash: XXH3 from the header of xxHash. Pure; any thread. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fl_hash(struct fl_str bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.p, bytes.n, seed);
}
