/* freshness.c - how long ago a source proved that it is alive.
 *
 * The source's loop writes, anybody reads: relaxed numbers are enough, since staleness is a measure
 * and orders nothing. */
#include "base/alloc.h"
#include "discovery/set.h"

struct fl_freshness {
    atomic_uint refs;
    _Atomic uint64_t stale_ms;
    _Atomic int64_t proof_wall_ms;
};

int fl_freshness_new(struct fl_freshness **out) {
    struct fl_freshness *freshness = FL_NEW(struct fl_freshness);
    *out = freshness;
    if (!freshness) return FL_ENOMEM;
    atomic_init(&freshness->refs, 1);
    atomic_init(&freshness->stale_ms, 0);
    atomic_init(&freshness->proof_wall_ms, 0);
    return 0;
}

struct fl_freshness *fl_freshness_ref(struct fl_freshness *freshness) {
    atomic_fetch_add_explicit(&freshness->refs, 1, memory_order_relaxed);
    return freshness;
}

struct fl_freshness *fl_freshness_unref(struct fl_freshness *freshness) {
    if (freshness && atomic_fetch_sub_explicit(&freshness->refs, 1, memory_order_acq_rel) == 1) {
        fl_free(freshness);
    }
    return NULL;
}

void fl_freshness_tell(struct fl_freshness *freshness, uint64_t stale_ms, int64_t proof_wall_ms) {
    atomic_store_explicit(&freshness->stale_ms, stale_ms, memory_order_relaxed);
    atomic_store_explicit(&freshness->proof_wall_ms, proof_wall_ms, memory_order_relaxed);
}

uint64_t fl_freshness_stale_ms(const struct fl_freshness *freshness) {
    return atomic_load_explicit(&freshness->stale_ms, memory_order_relaxed);
}

int64_t fl_freshness_proof_wall_ms(const struct fl_freshness *freshness) {
    return atomic_load_explicit(&freshness->proof_wall_ms, memory_order_relaxed);
}

bool fl_freshness_is_shared(const struct fl_freshness *freshness) {
    return atomic_load_explicit(&freshness->refs, memory_order_relaxed) > 1;
}
