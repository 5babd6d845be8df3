/* worlds.h - what is run, and what comes of it. */
#ifndef FL_TEST_WORLDS_H
#define FL_TEST_WORLDS_H

#include "plan.h"
#include "plant.h"
#include "story.h"
#include "verdict.h"

struct world_watcher { /* zero-initialised: nobody looks, nothing is planted */
    story_line *story; /* in words; may be NULL */
    story_line *raw;   /* everything that happens in the simulated world; may be NULL */
    void *arg;
    enum plant plant;
};

struct world_result {
    enum breach breach;
    char text[VERDICT_TEXT_MAX]; /* of the breach */
    uint64_t trace;              /* hash of all that happened */
    uint64_t sets, changes, requests, dials;
    uint64_t calls, succeeded, failed, cancelled, picks, unjudged, idles;
    uint64_t given, refused;           /* handles; calls by those that were gone */
    uint64_t virtual_ms, converged_ms; /* the latter from the last fault to the truth */
};

/* Runs a plan's world. */
void world_run(const struct plan *plan, const struct world_watcher *watcher,
               struct world_result *out);

#endif
