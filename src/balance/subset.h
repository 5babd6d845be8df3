/* subset.h - a few endpoints of many. Pure. */
#ifndef FL_BALANCE_SUBSET_H
#define FL_BALANCE_SUBSET_H

#include "balance/candidate.h"

/* Sets `chosen` for `max` endpoints that did not fail, and for those that did; none is added beyond
 * twice `max`. Of the near ones at most as many as their part of the calls, `near_share` of
 * FL_SHARE_ALL, unless there are too few far ones. Reorders `list`. */
void fl_subset_choose(struct fl_candidate *list, size_t count, size_t max, uint32_t near_share);

#endif
