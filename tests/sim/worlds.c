/* worlds.c - fairlead-worlds: runs seeded worlds and judges them.
 *
 *     fairlead-worlds [--seed N] [--runs N] [--from N] [--replay EACH] [-v|--trace]
 *
 * Exit codes: 0 everything held, 1 something did not, 2 usage. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fairlead/log.h>

#include "scenario.h"

#define TAIL_LINES   60
#define LINE_MAX_LEN 320
#define FAILURES_MAX 5   /* then it is enough */
#define WORLD_S_MAX  120 /* of real time: a world that stands still at one moment is a bug, too */

struct options {
    uint64_t from, runs;
    uint64_t replay_each; /* 0: none */
    bool trace;
};

struct totals {
    uint64_t worlds, failures, replays;
    uint64_t calls, succeeded, failed, cancelled, picks, unjudged, sets;
    uint64_t converged_ms_max, converged_seed;
    uint64_t last_trace;
    double seconds;
};

/* The last lines of a trace before what went wrong. */
struct tail {
    char lines[TAIL_LINES][LINE_MAX_LEN];
    size_t count;
    bool over;
};

/* What is said of a world that does not end: made before it starts, since a signal's handler may
 * not format. */
static struct {
    char text[80];
    size_t len;
} stuck;

static void on_alarm(int signal) {
    (void)signal;
    _exit(write(STDOUT_FILENO, stuck.text, stuck.len) < 0 ? 2 : 1);
}

static void guard(uint64_t seed) {
    int n =
        snprintf(stuck.text, sizeof stuck.text, "FAILED seed %" PRIu64 ": it does not end\n", seed);
    stuck.len = (size_t)n;
    alarm(WORLD_S_MAX);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_line(void *arg, const char *text) {
    (void)arg;
    puts(text);
}

static void keep_line(void *arg, const char *text) {
    struct tail *tail = arg;
    if (tail->over) return;
    tail->over = strstr(text, "note VIOLATION") != NULL;
    snprintf(tail->lines[tail->count++ % TAIL_LINES], LINE_MAX_LEN, "%s", text);
}

static void print_failure(uint64_t seed, const char *violation) {
    static struct tail tail;
    struct scenario_result again;
    printf("FAILED seed %" PRIu64 ": %s\n", seed, violation);
    tail.count = 0;
    tail.over = false;
    scenario_run(seed, keep_line, &tail, &again);
    printf("last lines of its trace (all of them: fairlead-worlds --seed %" PRIu64 " --trace):\n",
           seed);
    for (size_t i = tail.count > TAIL_LINES ? tail.count - TAIL_LINES : 0; i < tail.count; i++)
        printf("  %s\n", tail.lines[i % TAIL_LINES]);
    fflush(stdout);
}

static void add(struct totals *t, uint64_t seed, const struct scenario_result *r) {
    t->worlds++;
    t->calls += r->calls;
    t->succeeded += r->succeeded;
    t->failed += r->failed;
    t->cancelled += r->cancelled;
    t->picks += r->picks;
    t->unjudged += r->unjudged;
    t->sets += r->sets;
    t->last_trace = r->trace;
    if (r->converged_ms <= t->converged_ms_max) return;
    t->converged_ms_max = r->converged_ms;
    t->converged_seed = seed;
}

/* One world, perhaps twice; false: something did not hold. */
static bool run_one(const struct options *o, uint64_t seed, bool replay, struct totals *totals) {
    struct scenario_result first, second;
    guard(seed);
    scenario_run(seed, o->trace ? print_line : NULL, NULL, &first);
    add(totals, seed, &first);
    if (first.violation[0]) {
        print_failure(seed, first.violation);
        return false;
    }
    if (!replay) return true;
    totals->replays++;
    scenario_run(seed, NULL, NULL, &second);
    if (second.trace == first.trace) return true;
    print_failure(seed, "a replay of the seed gave another trace");
    return false;
}

static void print_progress(const struct totals *t, const struct options *o, double started) {
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%" PRIu64 "/%" PRIu64 " worlds, %.0f/s ", t->worlds, o->runs,
            (double)t->worlds / (now_s() - started));
}

static void print_summary(const struct totals *t) {
    printf("worlds %" PRIu64 "  failed %" PRIu64 "  replayed %" PRIu64 "  sets %" PRIu64
           "  calls %" PRIu64 " (ok %" PRIu64 ", excused %" PRIu64 ", cancelled %" PRIu64
           ")  picks %" PRIu64 " (unjudged %" PRIu64 ")  slowest to the truth %.1f s (seed %" PRIu64
           ")  %.0f worlds/s\n",
           t->worlds, t->failures, t->replays, t->sets, t->calls, t->succeeded, t->failed,
           t->cancelled, t->picks, t->unjudged, (double)t->converged_ms_max / 1000,
           t->converged_seed, (double)(t->worlds + t->replays) / t->seconds);
}

static int run(const struct options *o) {
    struct totals totals = {0};
    double started = now_s(), told = started;
    for (uint64_t i = 0; i < o->runs && totals.failures < FAILURES_MAX; i++) {
        bool replay = o->replay_each && i % o->replay_each == 0;
        if (!run_one(o, o->from + i, replay, &totals)) totals.failures++;
        if (now_s() - told < 0.5) continue;
        told = now_s();
        print_progress(&totals, o, started);
    }
    totals.seconds = now_s() - started;
    if (isatty(STDERR_FILENO)) fputc('\r', stderr);
    if (o->runs == 1)
        printf("seed %" PRIu64 "  trace %016" PRIx64 "\n", o->from, totals.last_trace);
    print_summary(&totals);
    return totals.failures ? 1 : 0;
}

static int usage(void) {
    fputs("usage: fairlead-worlds [--seed N | --runs N [--from N] [--replay EACH]] [-v|--trace]\n",
          stderr);
    return 2;
}

static bool number(const char *text, uint64_t *out) {
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

int main(int argc, char **argv) {
    struct options o = {.from = 1, .runs = 100, .replay_each = 10};
    const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "-v") || !strcmp(argv[i], "--trace")) {
            o.trace = true;
            continue;
        }
        bool good = false;
        if (!strcmp(argv[i], "--seed")) {
            good = number(value, &o.from);
            o.runs = 1;
            o.replay_each = 1;
        } else if (!strcmp(argv[i], "--runs")) {
            good = number(value, &o.runs);
        } else if (!strcmp(argv[i], "--from")) {
            good = number(value, &o.from);
        } else if (!strcmp(argv[i], "--replay")) {
            good = number(value, &o.replay_each);
        }
        if (!good) return usage();
        i++;
    }
    fl_log_configure(&quiet);
    signal(SIGALRM, on_alarm);
    return run(&o);
}
