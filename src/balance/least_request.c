/* least_request.c - the policy that takes the least busy of a few drawn at random (gRFC A48).
 *
 * With weights, an
 * endpoint is as busy as its calls divided by its weight. Drawing a few and not looking at all
 * keeps many clients from all running to the one that is idle at this moment. The draw is with
 * repetition, as A48 has it. When none of those drawn has room, one that has is looked for from a
 * random place on, so that no call waits while there is room; only then a pick takes more than
 * `choices` steps. */
#include "balance/round.h"

static struct fl_pick *any(struct fl_round *round, fl_pick_may *may) {
    size_t start = (size_t)fl_random_below(round->random, round->count);
    for (size_t tried = 0; tried < round->count; tried++) {
        struct fl_pick *pick = round->picks[(start + tried) % round->count];
        if (may(pick)) return pick;
    }
    return NULL;
}

/* With one call more. */
static bool is_less_busy(const struct fl_pick *a, const struct fl_pick *b) {
    return ((uint64_t)a->active + 1) * b->weight < ((uint64_t)b->active + 1) * a->weight;
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    FL_UNUSED(context);
    if (round->count == 0) return NULL;
    struct fl_pick *best = NULL;
    for (uint32_t drawn = 0; drawn < round->options->choices; drawn++) {
        struct fl_pick *pick = round->picks[fl_random_below(round->random, round->count)];
        if ((!best || is_less_busy(pick, best)) && may(pick)) best = pick;
    }
    return best ? best : any(round, may);
}

const struct fl_policy fl_policy_least_request = {.next = next};
