/* worlds.c - see worlds.h. */
#include "worlds.h"

#include "discovery_world.h"
#include "whole_world.h"

void world_run(const struct plan *plan, const struct world_watcher *watcher,
               struct world_result *out) {
    if (plan->kind == PLAN_WHOLE)
        whole_world_run(plan, watcher, out);
    else
        discovery_world_run(plan, watcher, out);
}
