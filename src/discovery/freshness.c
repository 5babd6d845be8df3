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
    /* Its owner's. */
    struct fl_list orphan;
    uint64_t fresh_until_ms; /* of an orphan */
};

int fl_freshness_new(struct fl_freshness **out) {
    struct fl_freshness *freshness = FL_NEW(struct fl_freshness);
    *out = freshness;
    if (!freshness) return FL_ENOMEM;
    atomic_init(&freshness->refs, 1);
    atomic_init(&freshness->stale_ms, 0);
    atomic_init(&freshness->proof_wall_ms, 0);
    fl_list_init(&freshness->orphan);
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

void fl_freshness_take_orphan(struct fl_list *orphans, struct fl_freshness *freshness,
                              uint64_t fresh_until_ms) {
    freshness->fresh_until_ms = fresh_until_ms;
    fl_list_push(orphans, &freshness->orphan);
}

static void forget(struct fl_freshness *freshness) {
    fl_list_remove(&freshness->orphan);
    fl_freshness_unref(freshness);
}

void fl_freshness_tell_orphans(struct fl_list *orphans, uint64_t now_ms) {
    FL_LIST_EACH (orphans, link, next) {
        struct fl_freshness *orphan = FL_CONTAINER(link, struct fl_freshness, orphan);
        uint64_t until_ms = orphan->fresh_until_ms;
        if (fl_freshness_is_shared(orphan))
            fl_freshness_tell(orphan, now_ms > until_ms ? now_ms - until_ms : 0,
                              fl_freshness_proof_wall_ms(orphan));
        else
            forget(orphan);
    }
}

void fl_freshness_forget_orphans(struct fl_list *orphans) {
    FL_LIST_EACH (orphans, link, next) forget(FL_CONTAINER(link, struct fl_freshness, orphan));
}
