/* pick_first.h - which endpoints a channel that uses only one should be connected to. Pure. */
#ifndef FL_BALANCE_PICK_FIRST_H
#define FL_BALANCE_PICK_FIRST_H

#include "balance/candidate.h"

/* Sets `chosen`. `list` is in the order in which they are to be tried. */
void fl_pick_first_choose(struct fl_candidate *list, size_t count);

#endif
