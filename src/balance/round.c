/* round.c - an array ordered by age. */
#include "balance/round.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

void fl_round_init(struct fl_round *round, const struct fl_policy *policy,
                   const struct fl_balance_options *options, struct fl_random *random) {
    *round = (struct fl_round){.policy = policy, .options = options, .random = random};
}

void fl_round_deinit(struct fl_round *round) {
    if (round->policy && round->policy->deinit) round->policy->deinit(round);
    fl_free(round->picks);
    round->picks = NULL;
    round->count = round->cap = 0;
}

int fl_round_reserve(struct fl_round *round, size_t count) {
    if (count <= round->cap) return 0;
    size_t cap = FL_MAX(count, round->cap + round->cap / 2);
    struct fl_pick **picks = fl_realloc(round->picks, cap * sizeof(struct fl_pick *));
    if (!picks) return FL_ENOMEM;
    round->picks = picks;
    int rc = round->policy->reserve ? round->policy->reserve(round, cap) : 0;
    if (rc == 0) round->cap = cap;
    return rc;
}

/* The first index whose order is not below `order`. */
static size_t find(const struct fl_round *round, uint64_t order) {
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

void fl_round_add(struct fl_round *round, struct fl_pick *pick) {
    if (pick->in) return;
    FL_ASSERT(round->count < round->cap);
    size_t at = find(round, pick->order);
    memmove(round->picks + at + 1, round->picks + at,
            (round->count - at) * sizeof(struct fl_pick *));
    round->picks[at] = pick;
    round->count++;
    pick->in = true;
    if (round->policy->added) round->policy->added(round, pick, at);
}

void fl_round_remove(struct fl_round *round, struct fl_pick *pick) {
    if (!pick->in) return;
    size_t at = find(round, pick->order);
    FL_ASSERT(at < round->count && round->picks[at] == pick);
    round->count--;
    memmove(round->picks + at, round->picks + at + 1,
            (round->count - at) * sizeof(struct fl_pick *));
    pick->in = false;
    if (round->policy->removed) round->policy->removed(round, pick, at);
}

void fl_round_weigh(struct fl_round *round, struct fl_pick *pick, uint32_t weight) {
    FL_ASSERT(weight > 0 && weight <= FL_WEIGHT_MAX);
    uint32_t before = pick->weight;
    pick->weight = weight;
    if (pick->in && before != weight && round->policy->weighed)
        round->policy->weighed(round, pick, before);
}
