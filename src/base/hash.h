/* hash.h - keyed 64-bit hash (XXH3 with a seed): not for secrets, good against accidents. */
#ifndef FL_BASE_HASH_H
#define FL_BASE_HASH_H

#include "base/str.h"

uint64_t fl_hash(struct fl_str bytes, uint64_t seed);

#endif
