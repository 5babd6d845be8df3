/* shrink.c - see shrink.h. */
#include "shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STORY_LINES_MAX 400 /* the last ones before the promise broke */
#define LINE_MAX_LEN    360
#define DEATH_S         20 /* of real time: then it does not end */

/* --- making it small --- */

struct search {
    struct plan *plan;
    enum plant plant;
    enum breach breach;
    unsigned runs;
    time_t until;
    size_t parts[PLAN_PARTS_MAX]; /* that are still there */
    size_t count;
};

/* What it says on its way out was said before. */
static bool dies(const struct plan *plan, const struct world_watcher *watcher) {
    struct world_result result;
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        alarm(DEATH_S);
        world_run(plan, watcher, &result);
        fflush(stdout);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

static bool breaks(struct search *s) {
    const struct world_watcher watcher = {.plant = s->plant};
    struct world_result result;
    s->runs++;
    if (!s->breach) return dies(s->plan, &watcher);
    world_run(s->plan, &watcher, &result);
    return result.breach == s->breach;
}

static bool is_over(const struct search *s) {
    return s->runs >= SHRINK_RUNS_MAX || time(NULL) >= s->until;
}

static void set_all(struct search *s, size_t from, size_t n, bool kept) {
    for (size_t i = from; i < from + n; i++) plan_set(s->plan, s->parts[i], kept);
}

/* Without parts [from, from + n)? If it still breaks they stay out. */
static bool try_without(struct search *s, size_t from, size_t n) {
    set_all(s, from, n, false);
    if (!breaks(s)) {
        set_all(s, from, n, true);
        return false;
    }
    for (size_t i = from; i + n < s->count; i++) s->parts[i] = s->parts[i + n];
    s->count -= n;
    return true;
}

static bool try_pieces(struct search *s, size_t size) {
    bool any = false;
    for (size_t end = s->count; end > 0 && !is_over(s);) { /* what came last matters least */
        size_t n = FL_MIN(size, end);
        any |= try_without(s, end - n, n);
        end -= n;
    }
    return any;
}

static unsigned shrink(struct plan *plan, enum plant plant, enum breach breach) {
    struct search s = {
        .plan = plan, .plant = plant, .breach = breach, .until = time(NULL) + SHRINK_S_MAX};
    for (size_t part = 1; part <= plan_parts(plan); part++)
        if (plan_has(plan, part)) s.parts[s.count++] = part;
    for (size_t size = (s.count + 1) / 2; size > 0 && !is_over(&s); size /= 2) {
        bool any = try_pieces(&s, size);
        if (any && size == 1) size = 2; /* one that is gone may free another */
    }
    return s.runs;
}

/* --- telling --- */

struct tail {
    char lines[STORY_LINES_MAX][LINE_MAX_LEN];
    size_t count;
    bool over;
};

static void keep_line(void *arg, const char *text) {
    struct tail *tail = arg;
    if (tail->over) return;
    tail->over = strstr(text, "BROKEN (") != NULL;
    snprintf(tail->lines[tail->count++ % STORY_LINES_MAX], LINE_MAX_LEN, "%s", text);
}

static void tell_parts(const struct plan *plan) {
    char words[160];
    printf("the plan, %s:\n", plan->kind == PLAN_WHOLE ? "a whole world" : "a world of discovery");
    for (size_t part = 1; part <= plan_parts(plan); part++) {
        if (!plan_has(plan, part)) continue;
        plan_say(plan, part, words, sizeof words);
        printf("  %3zu  %s\n", part, words);
    }
}

static void tell_command(const struct plan *plan) {
    const char *comma = "";
    printf("again: fairlead-worlds --seed %" PRIu64 " --kind %s --trace --keep ", plan->seed,
           plan->kind == PLAN_WHOLE ? "whole" : "discovery");
    for (size_t part = 1; part <= plan_parts(plan); part++) {
        if (!plan_has(plan, part)) continue;
        printf("%s%zu", comma, part);
        comma = ",";
    }
    printf("%s\n", comma[0] ? "" : "none");
}

static void print_line(void *arg, const char *text) {
    FL_UNUSED(arg);
    printf("  %s\n", text);
    fflush(stdout);
}

static void tell_story(const struct plan *plan, enum plant plant) {
    static struct tail tail;
    struct world_result result;
    const struct world_watcher watcher = {.story = keep_line, .arg = &tail, .plant = plant};
    tail.count = 0;
    tail.over = false;
    world_run(plan, &watcher, &result);
    printf("its story (%s):\n", result.text);
    size_t skipped = tail.count > STORY_LINES_MAX ? tail.count - STORY_LINES_MAX : 0;
    if (skipped) printf("  ... %zu lines before\n", skipped);
    for (size_t i = skipped; i < tail.count; i++) printf("  %s\n", tail.lines[i % STORY_LINES_MAX]);
}

void shrink_and_tell(struct plan *plan, enum plant plant, const struct world_result *result) {
    const struct world_watcher loud = {.story = print_line, .plant = plant};
    if (result->breach)
        printf("FAILED seed %" PRIu64 " (%s): %s\npromise: %s\n", plan->seed,
               breach_name(result->breach), result->text, breach_promise(result->breach));
    else
        printf("FAILED seed %" PRIu64 ": its process died, or it does not end\n", plan->seed);
    fflush(stdout);
    unsigned runs = shrink(plan, plant, result->breach);
    printf("shrunk in %u worlds\n", runs);
    tell_parts(plan);
    if (result->breach)
        tell_story(plan, plant);
    else
        (void)dies(plan, &loud);
    tell_command(plan);
    fflush(stdout);
}

bool shrink_keep(struct plan *plan, const char *list) {
    struct fl_str rest = fl_str_of(list), number;
    bool wanted[PLAN_PARTS_MAX + 1] = {false};
    if (strcmp(list, "none") == 0) rest = FL_STR_NONE;
    while (rest.n) {
        uint64_t part;
        fl_str_split(rest, ',', &number, &rest);
        if (!fl_str_u64(number, &part) || part < 1 || part > plan_parts(plan)) return false;
        wanted[part] = true;
    }
    for (size_t part = 1; part <= plan_parts(plan); part++)
        plan_set(plan, part, wanted[part] && plan_has(plan, part));
    return true;
}
