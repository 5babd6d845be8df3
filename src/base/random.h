/* random.h - a small seeded generator (splitmix64), for jitter and simulation, never for keys. */
#ifndef FL_BASE_RANDOM_H
#define FL_BASE_RANDOM_H

#include "base/def.h"

struct fl_random {
    uint64_t state;
};

static inline uint64_t fl_random_u64(struct fl_random *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
/* Uniform in [0, bound); 0 for bound 0. */
static inline uint64_t fl_random_below(struct fl_random *r, uint64_t bound) {
    return bound ? fl_random_u64(r) % bound : 0;
}

#endif
