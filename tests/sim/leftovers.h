/* leftovers.h - what a world must not leave behind when all that was opened in it was closed:
 * descriptors, timers, channels. (Memory is counted by worlds.c, when the world is gone too.) */
#ifndef FL_TEST_LEFTOVERS_H
#define FL_TEST_LEFTOVERS_H

#include "plant.h"
#include "sim/world.h"

/* `timers`: of the world itself, before anything was opened in it. */
void leftovers_judge(struct fl_world *world, size_t timers, enum plant plant,
                     struct verdict *verdict);

#endif
