/* freshness.c - when a source last proved that it is alive.
 *
 * One object per watch, shared by all its sets. The watch's loop writes, anybody reads: two relaxed
 * numbers are enough, since staleness is a measure and orders nothing. Readers need no clock: the
 * owner's tick moves `now` on. */
#include "base/alloc.h"
#include "discovery/set.h"

struct fl_freshness {
    atomic_uint refs;
    _Atomic uint64_t proof_ms, now_ms;
};

int fl_freshness_new(uint64_t now_ms, struct fl_freshness **out) {
    struct fl_freshness *freshness = FL_NEW(struct fl_freshness);
    *out = freshness;
    if (!freshness) return FL_ENOMEM;
    atomic_init(&freshness->refs, 1);
    atomic_init(&freshness->proof_ms, now_ms);
    atomic_init(&freshness->now_ms, now_ms);
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

void fl_freshness_proof(struct fl_freshness *freshness, uint64_t now_ms) {
    atomic_store_explicit(&freshness->proof_ms, now_ms, memory_order_relaxed);
}

void fl_freshness_tick(struct fl_freshness *freshness, uint64_t now_ms) {
    atomic_store_explicit(&freshness->now_ms, now_ms, memory_order_relaxed);
}

uint64_t fl_freshness_stale_ms(const struct fl_freshness *freshness) {
    uint64_t now_ms = atomic_load_explicit(&freshness->now_ms, memory_order_relaxed);
    uint64_t fresh_until =
        atomic_load_explicit(&freshness->proof_ms, memory_order_relaxed) + FL_FRESH_MS;
    return now_ms > fresh_until ? now_ms - fresh_until : 0;
}
