/* main.c - fairlead-worlds: runs seeded worlds and judges them.
 *
 *     fairlead-worlds [--runs N] [--from N] [--jobs N] [--replay EACH] [--kind K] [--go-on]
 *     fairlead-worlds --seed N [--keep PARTS] [--kind K] [--trace|--raw] [--plant BUG]
 *     fairlead-worlds --plant BUG [--runs N]
 *     fairlead-worlds --swarm CLIENTS
 *     fairlead-worlds --soak [--hours N | --minutes N] [--rate EVENTS]
 *
 * Exit codes: 0 everything held (with --plant: the bug was found), 1 it did not, 2 usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fairlead/log.h>

#include "heap.h"
#include "jobs.h"
#include "shrink.h"
#include "soak.h"
#include "swarm.h"

struct options {
    struct jobs_options jobs;
    uint64_t swarm;                /* clients; 0: no swarm */
    uint64_t hours, minutes, rate; /* of the soak */
    bool soak, one, trace, raw, no_shrink;
    const char *keep;
};

static const struct {
    const char *name, *text;
    enum breach breach;
} plants[] = {
#define PLANT_X(name, label, breach, text) {label, text, BREACH_##breach},
    PLANT_MAP(PLANT_X)
#undef PLANT_X
};

/* --- one world --- */

static void print_line(void *arg, const char *text) {
    FL_UNUSED(arg);
    puts(text);
}

static bool is_replayed(const struct plan *plan, enum plant plant, uint64_t trace) {
    const struct world_watcher watcher = {.plant = plant};
    struct world_result again;
    world_run(plan, &watcher, &again);
    return again.trace == trace;
}

static int run_one(const struct options *o) {
    const struct world_watcher watcher = {.story = o->trace ? print_line : NULL,
                                          .raw = o->raw ? print_line : NULL,
                                          .plant = o->jobs.plant};
    struct plan plan;
    struct world_result result;
    plan_make(&plan, o->jobs.from, o->jobs.choice);
    if (o->keep && !shrink_keep(&plan, o->keep)) {
        fprintf(stderr, "fairlead-worlds: --keep: parts of this plan are 1 to %zu\n",
                plan_parts(&plan));
        return 2;
    }
    world_run(&plan, &watcher, &result);
    if (!result.breach && !is_replayed(&plan, o->jobs.plant, result.trace)) {
        result.breach = BREACH_REPLAY;
        snprintf(result.text, sizeof result.text, "a second run went another way");
    }
    printf("seed %" PRIu64 "  trace %016" PRIx64 "  %s\n", plan.seed, result.trace,
           result.breach ? result.text : "everything held");
    if (!result.breach) return 0;
    if (!o->no_shrink && !o->keep) shrink_and_tell(&plan, o->jobs.plant, &result);
    return 1;
}

/* --- many --- */

static void print_summary(const struct jobs_result *r) {
    const struct jobs_totals *t = &r->totals;
    double runs = (double)(t->worlds + t->replays);
    printf("worlds %" PRIu64 " (whole %" PRIu64 ", replayed %" PRIu64 ")  failed %" PRIu64
           "  virtual time %.1f h\n",
           t->worlds, t->whole, t->replays, t->failures, (double)t->virtual_ms / 3.6e6);
    printf("changes %" PRIu64 "  requests %" PRIu64 "  sets %" PRIu64 "  calls %" PRIu64
           " (ok %" PRIu64 ", excused %" PRIu64 ", cancelled %" PRIu64 ")  picks %" PRIu64
           " (unjudged %" PRIu64 ")  idle %" PRIu64 "  handles %" PRIu64
           " (refused when gone: %" PRIu64 ")\n",
           t->changes, t->requests, t->sets, t->calls, t->succeeded, t->failed, t->cancelled,
           t->picks, t->unjudged, t->idles, t->given, t->refused);
    printf("slowest to the truth %.1f s (seed %" PRIu64
           ")  %.1f s  %.0f worlds/s, %.0f a second of one core\n",
           (double)t->converged_ms_max / 1000, t->converged_seed, r->seconds, runs / r->seconds,
           runs / r->cpu_seconds);
}

static void tell_failure(const struct options *o, const struct jobs_failure *failure) {
    const struct world_watcher watcher = {.plant = o->jobs.plant};
    struct plan plan;
    struct world_result result;
    plan_make(&plan, failure->seed, o->jobs.choice);
    memset(&result, 0, sizeof result);
    if (!failure->died) world_run(&plan, &watcher, &result);
    if (failure->died && o->no_shrink)
        printf("FAILED seed %" PRIu64 ": its process died, or it does not end\n", failure->seed);
    else if (failure->breach == BREACH_REPLAY)
        printf("FAILED seed %" PRIu64 " (replay): a second run went another way\n", failure->seed);
    else if (o->no_shrink)
        printf("FAILED seed %" PRIu64 " (%s): %s\n", failure->seed, breach_name(result.breach),
               result.text);
    else
        shrink_and_tell(&plan, o->jobs.plant, &result);
}

static int run_many(const struct options *o) {
    static struct jobs_result result;
    jobs_run(&o->jobs, &result);
    for (size_t i = 0; i < result.failure_count; i++) tell_failure(o, &result.failures[i]);
    print_summary(&result);
    return result.totals.failures ? 1 : 0;
}

/* Is a planted bug found, for what it is, and made small? */
static int run_planted(const struct options *o) {
    static struct jobs_result result;
    struct plan plan;
    struct world_result found;
    const struct world_watcher watcher = {.plant = o->jobs.plant};
    enum breach wanted = plants[o->jobs.plant].breach;
    jobs_run(&o->jobs, &result);
    if (!result.failure_count) {
        printf("the planted bug \"%s\" was not found in %" PRIu64 " worlds\n",
               plants[o->jobs.plant].text, o->jobs.runs);
        return 1;
    }
    plan_make(&plan, result.failures[0].seed, o->jobs.choice);
    world_run(&plan, &watcher, &found);
    if (found.breach)
        shrink_and_tell(&plan, o->jobs.plant, &found);
    else
        found.breach = result.failures[0].breach; /* seen in its second run only */
    printf("planted: %s; found as \"%s\" in world %" PRIu64 "\n", plants[o->jobs.plant].text,
           breach_name(found.breach), result.totals.worlds);
    return found.breach == wanted ? 0 : 1;
}

/* --- options --- */

static int usage(const char *name, const char *value) {
    fprintf(stderr, "fairlead-worlds: what is \"%s%s%s\"?\n", name, value ? " " : "",
            value ? value : "");
    fputs("usage: fairlead-worlds [--runs N] [--from N] [--jobs N] [--replay EACH] [--go-on]\n"
          "                       [--kind whole|discovery] [--no-shrink]\n"
          "       fairlead-worlds --seed N [--keep PARTS] [--kind K] [--trace] [--raw]\n"
          "       fairlead-worlds --plant BUG [--runs N]\n"
          "       fairlead-worlds --swarm CLIENTS\n"
          "       fairlead-worlds --soak [--hours N | --minutes N] [--rate EVENTS]\n",
          stderr);
    fputs("bugs to plant:", stderr);
    for (int i = 0; i < PLANTS; i++) fprintf(stderr, " %s", plants[i].name);
    fputs("\n", stderr);
    return 2;
}

static bool number(const char *text, uint64_t *out) {
    return text && fl_str_u64(fl_str_of(text), out);
}

static bool flag(struct options *o, const char *name) {
    if (!strcmp(name, "-v") || !strcmp(name, "--trace"))
        o->trace = true;
    else if (!strcmp(name, "--raw"))
        o->raw = true;
    else if (!strcmp(name, "--go-on"))
        o->jobs.go_on = true;
    else if (!strcmp(name, "--soak"))
        o->soak = true;
    else if (!strcmp(name, "--no-shrink"))
        o->no_shrink = true;
    else
        return false;
    return true;
}

static bool parse_kind(const char *value, enum plan_choice *out) {
    *out = !strcmp(value, "whole") ? PLAN_ONLY_WHOLE : PLAN_ONLY_DISCOVERY;
    return *out == PLAN_ONLY_WHOLE || !strcmp(value, "discovery");
}

static bool parse_plant(const char *value, enum plant *out) {
    for (int i = 0; i < PLANTS; i++) {
        if (strcmp(plants[i].name, value) != 0) continue;
        *out = (enum plant)i;
        return true;
    }
    return false;
}

static bool setting(struct options *o, const char *name, const char *value) {
    uint64_t jobs = 0;
    if (!value) return false;
    if (!strcmp(name, "--seed")) {
        o->one = true;
        return number(value, &o->jobs.from);
    }
    if (!strcmp(name, "--runs")) return number(value, &o->jobs.runs);
    if (!strcmp(name, "--from")) return number(value, &o->jobs.from);
    if (!strcmp(name, "--replay")) return number(value, &o->jobs.replay_each);
    if (!strcmp(name, "--kind")) return parse_kind(value, &o->jobs.choice);
    if (!strcmp(name, "--plant")) return parse_plant(value, &o->jobs.plant);
    if (!strcmp(name, "--swarm")) return number(value, &o->swarm) && o->swarm > 0;
    if (!strcmp(name, "--hours")) return number(value, &o->hours);
    if (!strcmp(name, "--minutes")) return number(value, &o->minutes);
    if (!strcmp(name, "--rate")) return number(value, &o->rate) && o->rate > 0;
    if (!strcmp(name, "--keep")) {
        o->keep = value;
        return true;
    }
    bool good = !strcmp(name, "--jobs") && number(value, &jobs) && jobs > 0 && jobs <= JOBS_MAX;
    o->jobs.jobs = (unsigned)jobs;
    return good;
}

int main(int argc, char **argv) {
    struct options o = {
        .jobs = {.from = 1, .runs = 100, .replay_each = 10, .jobs = 1}, .hours = 24, .rate = 1000};
    const struct fl_log_options quiet = {.level = FL_LOG_OFF};
    for (int i = 1; i < argc; i++) {
        if (flag(&o, argv[i])) continue;
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!setting(&o, argv[i], value)) return usage(argv[i], value);
        i++;
    }
    heap_watch();
    fl_log_configure(&quiet);
    const struct soak_options soak = {o.jobs.from, o.minutes ? o.minutes : 60 * o.hours, o.rate};
    if (o.soak) return soak_run(&soak);
    if (o.swarm) return swarm_run(o.swarm, o.jobs.from);
    if (o.one) return run_one(&o);
    return o.jobs.plant ? run_planted(&o) : run_many(&o);
}
