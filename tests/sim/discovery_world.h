/* discovery_world.h - a world of clients of discovery and an API server, without calls.
 *
 * While its orders run, clients, the mirrors of two collections and the oracle look on. After the
 * last one everything works again; then every subscriber must come to know the truth in time, stay
 * fresh, and all must end. */
#ifndef FL_TEST_DISCOVERY_WORLD_H
#define FL_TEST_DISCOVERY_WORLD_H

#include "worlds.h"

void discovery_world_run(const struct plan *plan, const struct world_watcher *watcher,
                         struct world_result *out);

#endif
