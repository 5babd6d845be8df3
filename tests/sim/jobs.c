/* jobs.c - see jobs.h. */
#include "jobs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TELL_S         0.5 /* between two words of a job */
#define PROGRESS_S     1.0
#define PROGRESS_S_LOG 60.0 /* where nobody looks */
#define WORLD_S_MAX    120 /* of real time: a world that stands still at one moment is a bug, too */

/* What a job writes: small enough for a pipe to keep it whole. */
struct record {
    struct jobs_totals totals; /* since its last word */
    struct jobs_failure failure;
    bool failed;
};

struct job {
    const struct jobs_options *options;
    unsigned number;
    int pipe;
    uint64_t *seed; /* shared: what it is at */
    struct record record;
    double told;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- in a job --- */

static void tell(struct job *job) {
    ssize_t n = write(job->pipe, &job->record, sizeof job->record);
    if (n != (ssize_t)sizeof job->record) _exit(2); /* nobody listens any more */
    memset(&job->record, 0, sizeof job->record);
    job->told = now_s();
}

static void count(struct job *job, const struct plan *plan, const struct world_result *r) {
    struct jobs_totals *t = &job->record.totals;
    t->worlds++;
    t->whole += plan->kind == PLAN_WHOLE;
    t->virtual_ms += r->virtual_ms;
    t->sets += r->sets;
    t->changes += r->changes;
    t->requests += r->requests;
    t->calls += r->calls;
    t->succeeded += r->succeeded;
    t->failed += r->failed;
    t->cancelled += r->cancelled;
    t->picks += r->picks;
    t->unjudged += r->unjudged;
    t->idles += r->idles;
    t->given += r->given;
    t->refused += r->refused;
    if (r->converged_ms <= t->converged_ms_max) return;
    t->converged_ms_max = r->converged_ms;
    t->converged_seed = plan->seed;
}

static enum breach run_one(struct job *job, uint64_t seed, bool replay) {
    const struct world_watcher watcher = {.plant = job->options->plant};
    struct plan plan;
    struct world_result first, second;
    plan_make(&plan, seed, job->options->choice);
    world_run(&plan, &watcher, &first);
    count(job, &plan, &first);
    if (first.breach || !replay) return first.breach;
    job->record.totals.replays++;
    world_run(&plan, &watcher, &second);
    return second.trace == first.trace ? BREACH_NONE : BREACH_REPLAY;
}

static void run_job(struct job *job) {
    const struct jobs_options *o = job->options;
    for (uint64_t i = job->number; i < o->runs; i += o->jobs) {
        *job->seed = o->from + i;
        alarm(WORLD_S_MAX); /* its end is told by the parent */
        enum breach breach =
            run_one(job, o->from + i, o->replay_each && i / o->jobs % o->replay_each == 0);
        if (breach) {
            job->record.failed = true;
            job->record.failure = (struct jobs_failure){.seed = o->from + i, .breach = breach};
            job->record.totals.failures = 1;
            tell(job);
            if (!o->go_on) break;
        }
        if (now_s() - job->told >= TELL_S) tell(job);
    }
    tell(job);
}

/* --- in the parent --- */

static void add(struct jobs_totals *t, const struct jobs_totals *more) {
    t->worlds += more->worlds;
    t->whole += more->whole;
    t->replays += more->replays;
    t->failures += more->failures;
    t->virtual_ms += more->virtual_ms;
    t->sets += more->sets;
    t->changes += more->changes;
    t->requests += more->requests;
    t->calls += more->calls;
    t->succeeded += more->succeeded;
    t->failed += more->failed;
    t->cancelled += more->cancelled;
    t->picks += more->picks;
    t->unjudged += more->unjudged;
    t->idles += more->idles;
    t->given += more->given;
    t->refused += more->refused;
    if (more->converged_ms_max <= t->converged_ms_max) return;
    t->converged_ms_max = more->converged_ms_max;
    t->converged_seed = more->converged_seed;
}

static void add_failure(struct jobs_result *out, const struct jobs_failure *failure) {
    if (out->failure_count < JOBS_FAILURES_MAX) out->failures[out->failure_count++] = *failure;
}

static void print_progress(const struct jobs_options *o, const struct jobs_result *out,
                           double gone) {
    double rate = (double)(out->totals.worlds + out->totals.replays) / gone;
    double left = (double)(o->runs - FL_MIN(o->runs, out->totals.worlds)) /
                  ((double)out->totals.worlds / gone);
    bool looked_at = isatty(STDERR_FILENO);
    fprintf(
        stderr,
        "%s%" PRIu64 " of %" PRIu64 " worlds, %.0f/s, %" PRIu64 " failed, %.0f:%02.0f min left%s",
        looked_at ? "\r" : "", out->totals.worlds, o->runs, rate, out->totals.failures,
        (double)(long)(left / 60), left - 60 * (double)(long)(left / 60), looked_at ? "  " : "\n");
}

static void end_jobs(const pid_t *pids, unsigned n) {
    for (unsigned i = 0; i < n; i++) kill(pids[i], SIGKILL);
}

static void listen_to(const struct jobs_options *o, int pipe, const pid_t *pids,
                      struct jobs_result *out) {
    struct record record;
    double started = now_s(), told = started;
    double each = isatty(STDERR_FILENO) ? PROGRESS_S : PROGRESS_S_LOG;
    while (read(pipe, &record, sizeof record) == (ssize_t)sizeof record) {
        double now = now_s();
        add(&out->totals, &record.totals);
        if (record.failed) add_failure(out, &record.failure);
        if (record.failed && !o->go_on) end_jobs(pids, o->jobs);
        if (now - told < each) continue;
        told = now;
        print_progress(o, out, now - started);
    }
    out->seconds = now_s() - started;
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

static double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A job that did not end by itself died in the world that it was at. */
static void bury(pid_t pid, uint64_t seed, bool killed, struct jobs_result *out) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return;
    if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return;
    const struct jobs_failure failure = {.seed = seed, .breach = BREACH_LIFE, .died = true};
    out->totals.failures++;
    add_failure(out, &failure);
}

static pid_t start_job(const struct jobs_options *o, unsigned number, const int ends[2],
                       uint64_t *seed) {
    struct job job = {.options = o, .number = number, .pipe = ends[1], .seed = seed};
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0) return pid;
    close(ends[0]);
    signal(SIGALRM, SIG_DFL);
    run_job(&job);
    exit(0);
}

void jobs_run(const struct jobs_options *o, struct jobs_result *out) {
    pid_t pids[JOBS_MAX];
    int ends[2];
    uint64_t *seeds = mmap(NULL, sizeof(uint64_t[JOBS_MAX]), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(out, 0, sizeof *out);
    FL_ASSERT(seeds != MAP_FAILED && pipe(ends) == 0 && o->jobs > 0 && o->jobs <= JOBS_MAX);
    for (unsigned i = 0; i < o->jobs; i++) {
        pids[i] = start_job(o, i, ends, &seeds[i]);
        FL_ASSERT(pids[i] > 0);
    }
    close(ends[1]);
    listen_to(o, ends[0], pids, out);
    bool killed = out->failure_count > 0 && !o->go_on;
    for (unsigned i = 0; i < o->jobs; i++) bury(pids[i], seeds[i], killed, out);
    out->cpu_seconds = cpu_s();
    close(ends[0]);
    munmap(seeds, sizeof(uint64_t[JOBS_MAX]));
}
