/* jobs.h - many seeds, in several processes, with constant memory.
 *
 * Each process runs every N-th seed and writes what it did into one pipe; a world that does not end
 * and one that kills its process are failures of its seed, too. */
#ifndef FL_TEST_JOBS_H
#define FL_TEST_JOBS_H

#include "worlds.h"

#define JOBS_MAX          64
#define JOBS_FAILURES_MAX 1000 /* that are remembered */

struct jobs_options {
    uint64_t from, runs;
    uint64_t replay_each; /* every so many worlds are run twice; 0: none */
    unsigned jobs;
    enum plan_choice choice;
    enum plant plant;
    bool go_on; /* after a failure */
};

struct jobs_failure {
    uint64_t seed;
    enum breach breach; /* LIFE: also one that did not end, or died */
    bool died;
};

struct jobs_totals {
    uint64_t worlds, whole, replays, failures, virtual_ms;
    uint64_t sets, changes, requests, calls, succeeded, failed, cancelled, picks, unjudged, idles;
    uint64_t given, refused;
    uint64_t converged_ms_max, converged_seed;
};

struct jobs_result {
    struct jobs_totals totals;
    struct jobs_failure failures[JOBS_FAILURES_MAX];
    size_t failure_count;
    double seconds, cpu_seconds; /* of the clock; of all processes */
};

void jobs_run(const struct jobs_options *options, struct jobs_result *out);

#endif
