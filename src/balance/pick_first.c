/* pick_first.c - the policy that uses one endpoint until it is lost (gRFC A62).
 *
 * They are tried one at a time, in order; those that failed go on trying by their own backoff while
 * the next ones are tried, so that at the end of the first pass all are tried for ever. The first
 * that is connected is the only one from then on. Unlike gRPC's, which becomes idle, it is
 * connected anew at once when its connection is lost, and the others follow when that fails. */
#include "balance/pick_first.h"

#include "balance/round.h"

/* The one in use; else one that somebody else connected, or that could not take calls before. */
static struct fl_candidate *find_connected(struct fl_candidate *list, size_t count) {
    struct fl_candidate *other = NULL;
    for (size_t i = 0; i < count; i++) {
        if (list[i].ready && list[i].wanted) return &list[i];
        if (list[i].ready && !other) other = &list[i];
    }
    return other;
}

static bool is_trying(const struct fl_candidate *one) { return one->wanted && !one->failed; }

void fl_pick_first_choose(struct fl_candidate *list, size_t count) {
    struct fl_candidate *connected = find_connected(list, count), *trying = NULL, *fresh = NULL;
    for (size_t i = 0; i < count; i++) {
        list[i].chosen = !connected && list[i].wanted && list[i].failed;
        if (!trying && is_trying(&list[i])) trying = &list[i];
        if (!fresh && !list[i].wanted) fresh = &list[i];
    }
    struct fl_candidate *only = connected ? connected : trying ? trying : fresh;
    if (only) only->chosen = true;
}

static struct fl_pick *next(struct fl_round *round, const struct fl_pick_context *context,
                            fl_pick_may *may) {
    FL_UNUSED(context);
    return round->count > 0 && may(round->picks[0]) ? round->picks[0] : NULL;
}

const struct fl_policy fl_policy_pick_first = {.next = next};
