/* worlds.c - see worlds.h. */
#include "worlds.h"

#include "discovery_world.h"
#include "heap.h"
#include "house.h"
#include "whole_world.h"

#include <stdio.h>

void world_run(const struct plan *plan, const struct world_watcher *watcher,
               struct world_result *out) {
    static uint64_t runs;
    size_t before = heap_blocks();
    if (plan->kind == PLAN_WHOLE)
        whole_world_run(plan, watcher, out);
    else
        discovery_world_run(plan, watcher, out);
    if (!out->breach && heap_blocks() != before) {
        out->breach = BREACH_LIFE;
        snprintf(out->text, sizeof out->text, "%zu blocks of memory were left behind",
                 heap_blocks() - before);
    }
    house_find_lost();
    if (watcher->plant == PLANT_LUCK) out->trace ^= ++runs;
}
