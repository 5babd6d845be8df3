/* weighted_round_robin.c - the policy that takes each in its turn, the heavy ones more often.
 *
 * Earliest deadline first: each is due a stride after its last turn, and a stride is the shorter
 * the heavier it is. With equal weights that is round robin. Who comes is due at a drawn moment of
 * its first stride: within one round (C6), and not for all clients at once (C7). Who gets another
 * weight keeps the share of its stride that it has waited. A pick costs O(log n), and as much for
 * each that has no room. */
#include "balance/round.h"
#include "base/alloc.h"
#include "base/error.h"

#define STRIDE ((uint64_t)1 << 31) /* of weight 1 */

static uint64_t stride(uint32_t weight) { return STRIDE / weight; }

static bool is_before(const struct fl_pick *a, const struct fl_pick *b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void put(struct fl_round *round, size_t place, struct fl_pick *pick) {
    round->as.wait.heap[place] = pick;
    pick->place = (uint32_t)place;
}

static void sift_up(struct fl_round *round, struct fl_pick *pick) {
    size_t place = pick->place;
    while (place > 0) {
        struct fl_pick *parent = round->as.wait.heap[(place - 1) / 2];
        if (!is_before(pick, parent)) break;
        put(round, place, parent);
        place = (place - 1) / 2;
    }
    put(round, place, pick);
}

static void sift_down(struct fl_round *round, struct fl_pick *pick) {
    struct fl_pick **heap = round->as.wait.heap;
    size_t place = pick->place;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= round->count) break;
        if (child + 1 < round->count && is_before(heap[child + 1], heap[child])) child++;
        if (!is_before(heap[child], pick)) break;
        put(round, place, heap[child]);
        place = child;
    }
    put(round, place, pick);
}

static int reserve(struct fl_round *round, size_t cap) {
    struct fl_pick **heap = fl_realloc(round->as.wait.heap, cap * sizeof(struct fl_pick *));
    if (!heap) return FL_ENOMEM;
    round->as.wait.heap = heap;
    return 0;
}

static void deinit(struct fl_round *round) { fl_free(round->as.wait.heap); }

static void added(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(at);
    pick->due = round->as.wait.now + fl_random_below(round->random, stride(pick->weight));
    put(round, round->count - 1, pick);
    sift_up(round, pick);
}

static void removed(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(at);
    struct fl_pick *last = round->as.wait.heap[round->count];
    if (last == pick) return;
    put(round, pick->place, last);
    sift_down(round, last);
    sift_up(round, last);
}

static void weighed(struct fl_round *round, struct fl_pick *pick, uint32_t before) {
    uint64_t left = pick->due - round->as.wait.now; /* at most a stride: the product fits */
    pick->due = round->as.wait.now + left * stride(pick->weight) / stride(before);
    sift_down(round, pick);
    sift_up(round, pick);
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    FL_UNUSED(context);
    for (size_t tried = 0; tried < round->count; tried++) {
        struct fl_pick *pick = round->as.wait.heap[0];
        round->as.wait.now = pick->due;
        pick->due += stride(pick->weight);
        sift_down(round, pick);
        if (may(pick)) return pick;
    }
    /* A heavy one without room may have hidden a light one that has. */
    for (size_t i = 0; i < round->count; i++) {
        if (may(round->picks[i])) return round->picks[i];
    }
    return NULL;
}

const struct fl_policy fl_policy_weighted_round_robin = {
    .reserve = reserve,
    .deinit = deinit,
    .added = added,
    .removed = removed,
    .weighed = weighed,
    .next = next,
};
