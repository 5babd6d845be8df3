/* shrink.h - makes a plan that breaks a promise small.
 *
 * Parts are left out, half of them at first, then fewer, down to single ones, as long as the same
 * promise breaks; what remains is a plan of which no part can be left out alone. */
#ifndef FL_TEST_SHRINK_H
#define FL_TEST_SHRINK_H

#include "worlds.h"

#define SHRINK_RUNS_MAX 3000
#define SHRINK_S_MAX    120

/* Tells of a failure: the smallest plan in words, its story, and how to see it again. A breach of
 * NONE: its process dies, or it does not end; each world then runs in a process of its own. */
void shrink_and_tell(struct plan *plan, enum plant plant, const struct world_result *result);

/* "1,4,7": only these parts. False: not a list of parts of this plan. */
bool shrink_keep(struct plan *plan, const char *list);

#endif
