/* subset.c - subsetting for large services (gRFC A68's random subsetting).
 *
 * Each channel has a random order of its own over all endpoints, in which an endpoint's place
 * depends on nothing but the endpoint: the subset is the first ones. So an endpoint that comes or
 * goes changes at most one place of the subset, and over many channels every endpoint is chosen
 * about equally often. An endpoint that cannot be reached stays, to be tried by its own backoff,
 * and the next one is taken as well, so that no channel is cut off by where its subset happens to
 * be. */
#include "balance/subset.h"

#include <stdlib.h>

static int near_then_score(const void *a, const void *b) {
    const struct fl_candidate *left = a, *right = b;
    if (left->far != right->far) return left->far ? 1 : -1;
    return (left->score > right->score) - (left->score < right->score);
}

/* Takes from `list` until `max` can be used; how many can. Those that failed stay, so that their
 * backoff is not forgotten. */
static size_t take(struct fl_candidate *list, size_t count, size_t max) {
    size_t usable = 0, taken = 0;
    for (size_t i = 0; i < count; i++) {
        list[i].chosen = list[i].failed || (usable < max && taken < 2 * max);
        taken += list[i].chosen;
        usable += list[i].chosen && !list[i].failed;
    }
    return usable;
}

void fl_subset_choose(struct fl_candidate *list, size_t count, size_t max, uint32_t near_share) {
    size_t near = 0;
    qsort(list, count, sizeof(*list), near_then_score);
    while (near < count && !list[near].far) near++;
    size_t far_max = max - (size_t)((uint64_t)max * near_share / FL_SHARE_ALL);
    if (near_share > 0 && far_max == max) far_max--; /* some of each, if each can be used */
    size_t near_max = max - FL_MIN(far_max, count - near);
    size_t taken = take(list, near, near_max);
    take(list + near, count - near, near_share < FL_SHARE_ALL ? max - FL_MIN(taken, max) : 0);
}
