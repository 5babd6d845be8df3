/* round_robin.c - the policy that takes each in its turn.
 *
 * The first turn is drawn, so that many clients do not begin with the same endpoint (C7); from then
 * on the turn stays with whom it was, however others come and go, and who comes is reached within
 * one round (C6). A pick takes one step, and one more for each that has no room. */
#include "balance/round.h"

static void added(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(pick);
    if (at <= round->as.turn.next && round->count > 1) round->as.turn.next++;
}

static void removed(struct fl_round *round, struct fl_pick *pick, size_t at) {
    FL_UNUSED(pick);
    if (at < round->as.turn.next) round->as.turn.next--;
    if (round->as.turn.next >= round->count) round->as.turn.next = 0;
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    FL_UNUSED(context);
    if (!round->as.turn.started && round->count > 0) {
        round->as.turn.started = true;
        round->as.turn.next = (size_t)fl_random_below(round->random, round->count);
    }
    for (size_t tried = 0; tried < round->count; tried++) {
        struct fl_pick *pick = round->picks[round->as.turn.next];
        if (++round->as.turn.next == round->count) round->as.turn.next = 0;
        if (may(pick)) return pick;
    }
    return NULL;
}

const struct fl_policy fl_policy_round_robin = {
    .added = added,
    .removed = removed,
    .next = next,
};
