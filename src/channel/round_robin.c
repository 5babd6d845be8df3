/* round_robin.c - an array ordered by age and a place in it that survives insertion and removal. */
#include "channel/round_robin.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

void fl_round_robin_init(struct fl_round_robin *round) {
    *round = (struct fl_round_robin){.picks = NULL};
}

void fl_round_robin_deinit(struct fl_round_robin *round) {
    fl_free(round->picks);
    fl_round_robin_init(round);
}

int fl_round_robin_reserve(struct fl_round_robin *round, size_t count) {
    if (count <= round->cap) return 0;
    size_t cap = FL_MAX(count, round->cap + round->cap / 2);
    struct fl_pick **picks = fl_realloc(round->picks, cap * sizeof(struct fl_pick *));
    if (!picks) return FL_ENOMEM;
    round->picks = picks;
    round->cap = cap;
    return 0;
}

/* The first index whose order is not below `order`. */
static size_t find(const struct fl_round_robin *round, uint64_t order) {
    size_t low = 0, high = round->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (round->picks[middle]->order < order)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fl_round_robin_add(struct fl_round_robin *round, struct fl_pick *pick) {
    if (pick->in) return;
    FL_ASSERT(round->count < round->cap);
    size_t at = find(round, pick->order);
    memmove(round->picks + at + 1, round->picks + at,
            (round->count - at) * sizeof(struct fl_pick *));
    round->picks[at] = pick;
    round->count++;
    pick->in = true;
    if (at < round->next) round->next++; /* the turn stays with whom it was */
}

void fl_round_robin_remove(struct fl_round_robin *round, struct fl_pick *pick) {
    if (!pick->in) return;
    size_t at = find(round, pick->order);
    FL_ASSERT(round->picks[at] == pick);
    round->count--;
    memmove(round->picks + at, round->picks + at + 1,
            (round->count - at) * sizeof(struct fl_pick *));
    pick->in = false;
    if (at < round->next) round->next--;
    if (round->next >= round->count) round->next = 0;
}

struct fl_pick *fl_round_robin_next(struct fl_round_robin *round,
                                    bool (*may)(const struct fl_pick *pick)) {
    if (!round->started && round->count > 0) {
        round->started = true;
        round->next = (size_t)(round->start % round->count);
    }
    for (size_t tried = 0; tried < round->count; tried++) {
        struct fl_pick *pick = round->picks[round->next];
        if (++round->next == round->count) round->next = 0;
        if (may(pick)) return pick;
    }
    return NULL;
}
