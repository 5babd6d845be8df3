/* scenario.h - one demo-like world: a deployment, discovery and channels that call it all the time,
 * faults and orders that the seed chooses, then quiescence and the oracle's judgement. */
#ifndef FL_TEST_SCENARIO_H
#define FL_TEST_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#define SCENARIO_TEXT_MAX 512

struct scenario_result {
    char violation[SCENARIO_TEXT_MAX]; /* "": everything held */
    uint64_t trace;                    /* hash of all that happened */
    uint64_t calls, succeeded, failed, cancelled;
    uint64_t picks, unjudged, sets;
    uint64_t virtual_ms, converged_ms; /* the latter from the last fault to the truth */
};

/* Runs the world of a seed. `line` (may be NULL) is told everything that happens. */
void scenario_run(uint64_t seed, void (*line)(void *arg, const char *text), void *arg,
                  struct scenario_result *out);

#endif
