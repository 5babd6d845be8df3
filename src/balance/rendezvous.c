/* rendezvous.c - the policy that gives equal hashes to the same endpoint, by the highest score
 * (rendezvous hashing, Thaler and Ravishankar 1998).
 *
 * Hashes are cut into slots, and each slot belongs to the endpoint that has the highest score
 * there. When an endpoint leaves, nothing moves but its own slots, and they go to all the others
 * evenly; when one comes it takes its share and nothing else moves. Scores are weighted so that the
 * share is as the weight (weighted rendezvous hashing, Schindelhauer and Schomaker 2005).
 *
 * Scores are compared when somebody comes or leaves, once for each slot, not at picks: a pick looks
 * into a table. Only where the owner has no room the others' scores for that slot are compared,
 * O(n). With n endpoints an endpoint's share differs from the average by sqrt(n / SLOTS), which is
 * 8 % for 100. */
#include "balance/round.h"
#include "base/alloc.h"
#include "base/error.h"

#define SLOT_BITS 14
#define SLOTS     ((size_t)1 << SLOT_BITS)
#define FRACTION  24 /* bits of a logarithm behind the point */

static uint64_t draw(const struct fl_pick *pick, size_t slot) {
    struct fl_random own = {pick->key ^ ((uint64_t)slot << (64 - SLOT_BITS))};
    return fl_random_u64(&own);
}

/* -log2 of a number drawn from (0, 1], which is `drawn` / 2^64: digit by digit, by squaring. */
static uint64_t minus_log2(uint64_t drawn) {
    unsigned leading = (unsigned)__builtin_clzll(drawn | 1);
    uint64_t mantissa = (drawn | 1) << leading >> 32; /* [2^31, 2^32) */
    uint64_t digits = 63 - leading;
    for (int i = 0; i < FRACTION; i++) {
        mantissa = mantissa * mantissa >> 31;
        uint64_t digit = mantissa >> 32;
        mantissa >>= digit;
        digits = digits << 1 | digit;
    }
    return ((uint64_t)64 << FRACTION) - digits;
}

static bool beats(const struct fl_pick *a, const struct fl_pick *b, size_t slot) {
    uint64_t of_a = draw(a, slot), of_b = draw(b, slot);
    if (a->weight == b->weight) return of_a > of_b;
    /* The lowest -log2 / weight is the best. */
    return minus_log2(of_a) * b->weight < minus_log2(of_b) * a->weight;
}

static int reserve(struct fl_round *round, size_t cap) {
    FL_UNUSED(cap);
    if (round->as.slots.owners) return 0;
    round->as.slots.owners = fl_calloc(SLOTS, sizeof(struct fl_pick *));
    return round->as.slots.owners ? 0 : FL_ENOMEM;
}

static void deinit(struct fl_round *round) { fl_free(round->as.slots.owners); }

static void added(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(at);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        struct fl_pick **owner = &round->as.slots.owners[slot];
        if (!*owner || beats(pick, *owner, slot)) *owner = pick;
    }
}

/* The best one of those that `may`; NULL `may`: of all. */
static struct fl_pick *best(const struct fl_round *round, size_t slot, fl_pick_may *may) {
    struct fl_pick *found = NULL;
    for (size_t i = 0; i < round->count; i++) {
        struct fl_pick *pick = round->picks[i];
        if ((!found || beats(pick, found, slot)) && (!may || may(pick))) found = pick;
    }
    return found;
}

static void removed(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(at);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        struct fl_pick **owner = &round->as.slots.owners[slot];
        if (*owner == pick) *owner = best(round, slot, NULL);
    }
}

/* What it has may be too much now, and what it has not too little. */
static void weighed(struct fl_round *round, struct fl_pick *pick, uint32_t before) {
    FL_UNUSED(before);
    removed(round, pick, 0);
    added(round, pick, 0);
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    if (round->count == 0) return NULL;
    uint64_t hash = context->hashed ? context->hash : fl_random_u64(round->random);
    size_t slot = (size_t)(hash >> (64 - SLOT_BITS));
    struct fl_pick *owner = round->as.slots.owners[slot];
    return may(owner) ? owner : best(round, slot, may);
}

const struct fl_policy fl_policy_rendezvous = {
    .reserve = reserve,
    .deinit = deinit,
    .added = added,
    .removed = removed,
    .weighed = weighed,
    .next = next,
};
