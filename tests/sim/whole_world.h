/* whole_world.h - one demo-like world: a deployment, discovery and channels that call it all the
 * time, faults and orders that the seed chooses, then quiescence and the oracle's judgement. */
#ifndef FL_TEST_WHOLE_WORLD_H
#define FL_TEST_WHOLE_WORLD_H

#include "worlds.h"

void whole_world_run(const struct plan *plan, const struct world_watcher *watcher,
                     struct world_result *out);

#endif
