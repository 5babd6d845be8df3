/* ring_hash.c - the policy that gives equal hashes to the same endpoint, by a ring (gRFC A42).
 *
 * Every endpoint stands at several places of a ring of 64-bit hashes, the heavy ones at more; a
 * call goes to the first one at or after its own hash that has room. The ring has ring_min to
 * ring_max places. The number of places for the usual weight is a power of two, so that one
 * endpoint more or less hardly ever changes it: then nothing moves but what the one had, or gets.
 *
 * A pick costs a binary search. The ring is made anew at the first pick after a change; that costs
 * sorting it. Unlike A42's, which lets a call wait while its endpoint connects, the ring has only
 * those that are connected: a call goes to the next one rather than to wait. */
#include <stdlib.h>

#include "balance/round.h"
#include "base/alloc.h"
#include "base/error.h"

struct fl_ring_entry {
    uint64_t hash;
    struct fl_pick *pick;
};

static int reserve(struct fl_round *round, size_t cap) {
    size_t size = (round->options->ring_max + cap) * sizeof(struct fl_ring_entry);
    struct fl_ring_entry *entries = fl_realloc(round->as.ring.entries, size);
    if (!entries) return FL_ENOMEM;
    round->as.ring.entries = entries;
    return 0;
}

static void deinit(struct fl_round *round) { fl_free(round->as.ring.entries); }

static void changed(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(pick);
    FL_UNUSED(at);
    round->as.ring.stale = true;
}

static void weighed(struct fl_round *round, struct fl_pick *pick, uint32_t before) {
    FL_UNUSED(pick);
    FL_UNUSED(before);
    round->as.ring.stale = true;
}

/* Places for `weight`, of endpoints that weigh `total` together. */
static size_t places(const struct fl_balance_options *options, uint64_t total, uint32_t weight) {
    uint64_t usual = 1;
    while (usual * total < (uint64_t)options->ring_min * FL_WEIGHT_USUAL) usual *= 2;
    uint64_t count = usual * weight / FL_WEIGHT_USUAL;
    if (usual * total > (uint64_t)options->ring_max * FL_WEIGHT_USUAL)
        count = weight * (uint64_t)options->ring_max / total;
    return (size_t)FL_MAX(count, 1);
}

static int by_hash(const void *a, const void *b) {
    const struct fl_ring_entry *left = a, *right = b;
    if (left->hash != right->hash) return left->hash < right->hash ? -1 : 1;
    return left->pick->key < right->pick->key ? -1 : left->pick->key > right->pick->key;
}

static void make(struct fl_round *round) {
    uint64_t total = 0;
    size_t count = 0;
    for (size_t i = 0; i < round->count; i++) total += round->picks[i]->weight;
    for (size_t i = 0; i < round->count; i++) {
        struct fl_pick *pick = round->picks[i];
        struct fl_random own = {pick->key}; /* the same places for all clients and at all times */
        for (size_t n = places(round->options, total, pick->weight); n > 0; n--)
            round->as.ring.entries[count++] = (struct fl_ring_entry){fl_random_u64(&own), pick};
    }
    FL_ASSERT(count <= round->options->ring_max + round->cap);
    qsort(round->as.ring.entries, count, sizeof(struct fl_ring_entry), by_hash);
    round->as.ring.count = count;
    round->as.ring.stale = false;
}

/* The first place at or after `hash`; the ring's length: none. */
static size_t find(const struct fl_round *round, uint64_t hash) {
    size_t low = 0, high = round->as.ring.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (round->as.ring.entries[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    if (round->as.ring.stale) make(round);
    uint64_t hash = context->hashed ? context->hash : fl_random_u64(round->random);
    size_t start = find(round, hash);
    for (size_t tried = 0; tried < round->as.ring.count; tried++) {
        struct fl_pick *pick = round->as.ring.entries[(start + tried) % round->as.ring.count].pick;
        if (may(pick)) return pick;
    }
    return NULL;
}

const struct fl_policy fl_policy_ring_hash = {
    .reserve = reserve,
    .deinit = deinit,
    .added = changed,
    .removed = changed,
    .weighed = weighed,
    .next = next,
};
