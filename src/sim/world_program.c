/* world_program.c - the programs that a world's programs run.
 *
 * What a run will come to is decided when it begins, and told at the virtual time of it: its end,
 * or its deadline. The arguments of the last run of each are kept for the test to look at. */
#include <stdio.h>

#include "base/alloc.h"
#include "sim/net.h"

#define START_US_MAX 2000 /* to start and to end takes a program at most, beside its delay */

struct net_program {
    struct fl_list link;
    char *name;
    struct fl_world_program does; /* with `out` and `err` in the buffers */
    struct fl_buf out, err;
    struct fl_world_run run; /* the last; its strings are owned */
};

struct fl_process {
    struct fl_list link;
    struct fl_world *world;
    struct fl_timer timer;
    struct fl_buf out, err;
    int exit_code;
    struct fl_error why;
    fl_spawn_cb *done;
    void *arg;
};

static struct fl_world *world_of(struct fl_io *io) { return FL_CONTAINER(io, struct fl_world, io); }

/* --- programs --- */

static void free_strings(const char *const *strings) {
    for (const char *const *s = strings; s && *s; s++) fl_free((char *)*s);
    fl_free((void *)strings);
}

static const char *const *copy_strings(const char *const *strings) {
    size_t n = 0;
    while (strings && strings[n]) n++;
    const char **copies = fl_calloc(n + 1, sizeof *copies);
    for (size_t i = 0; copies && i < n; i++) {
        copies[i] = fl_strdup(strings[i]);
        if (copies[i]) continue;
        free_strings(copies);
        return NULL;
    }
    return copies;
}

static void program_free(struct net_program *program) {
    fl_buf_deinit(&program->out);
    fl_buf_deinit(&program->err);
    free_strings(program->run.argv);
    free_strings(program->run.env);
    fl_free(program->name);
    fl_free(program);
}

static struct net_program *program_find(const struct fl_world *world, const char *name) {
    FL_LIST_EACH (&world->programs, item, next) {
        struct net_program *program = FL_CONTAINER(item, struct net_program, link);
        if (strcmp(program->name, name) == 0) return program;
    }
    return NULL;
}

static struct net_program *program_place(struct fl_world *world, const char *name) {
    struct net_program *program = program_find(world, name);
    if (program) return program;
    program = FL_NEW(struct net_program);
    if (!program) return NULL;
    fl_buf_init(&program->out, SIZE_MAX);
    fl_buf_init(&program->err, SIZE_MAX);
    program->name = fl_strdup(name);
    if (!program->name) {
        fl_free(program);
        return NULL;
    }
    fl_list_push(&world->programs, &program->link);
    return program;
}

int fl_world_program(struct fl_world *world, const char *name,
                     const struct fl_world_program *does) {
    struct net_program *program = program_place(world, name);
    if (!program) return FL_ENOMEM;
    program->does = *does;
    fl_buf_truncate(&program->out, 0);
    fl_buf_truncate(&program->err, 0);
    if (fl_buf_append(&program->out, does->out) < 0) return FL_ENOMEM;
    return fl_buf_append(&program->err, does->err);
}

struct fl_world_run fl_world_peek_run(const struct fl_world *world, const char *name) {
    const struct net_program *program = program_find(world, name);
    return program ? program->run : (struct fl_world_run){0};
}

static int record(struct net_program *program, const struct fl_spawn *spawn) {
    const char *const *argv = copy_strings(spawn->argv), *const *env = copy_strings(spawn->env);
    if (!argv || !env) {
        free_strings(argv);
        free_strings(env);
        return FL_ENOMEM;
    }
    free_strings(program->run.argv);
    free_strings(program->run.env);
    program->run = (struct fl_world_run){program->run.times + 1, argv, env};
    return 0;
}

/* --- runs --- */

static void process_free(struct fl_process *p) {
    if (!p) return;
    fl_timer_deinit(&p->world->events, &p->timer);
    fl_list_remove(&p->link);
    fl_buf_deinit(&p->out);
    fl_buf_deinit(&p->err);
    fl_free(p);
}

static void run_end(struct fl_timer *timer) {
    struct fl_process *p = FL_CONTAINER(timer, struct fl_process, timer);
    struct fl_spawned what = {p->exit_code, fl_buf_str(&p->out), fl_buf_str(&p->err)};
    net_trace(p->world, NET_EXIT, (uint64_t)-p->why.code, FL_STR_NONE);
    p->done(p->arg, &p->why, &what);
    process_free(p);
}

/* What it comes to, and when. FL_ENOMEM. */
static int decide(struct fl_process *p, const struct net_program *program,
                  const struct fl_spawn *spawn, uint64_t *at_us) {
    uint64_t now_us = p->world->now_us;
    uint64_t deadline_us = FL_MIN(spawn->deadline_ms, UINT64_MAX / 1000) * 1000;
    *at_us = now_us + fl_random_below(&p->world->random, START_US_MAX + 1);
    p->exit_code = -1;
    if (!program) {
        fl_fail(&p->why, FL_ESYS, "%s: no such file or directory", spawn->argv[0]);
        return 0;
    }
    *at_us += (uint64_t)program->does.delay_ms * 1000;
    if (program->does.hangs || *at_us > deadline_us) {
        *at_us = FL_MAX(deadline_us, now_us);
        fl_fail(&p->why, FL_ETIMEOUT, "%s: did not end in time and was killed", spawn->argv[0]);
        return 0;
    }
    int rc = fl_buf_append(&p->out, fl_buf_str(&program->out));
    if (rc == FL_EFULL) {
        fl_fail(&p->why, FL_ETOO_LARGE, "%s: more than %zu bytes of output", spawn->argv[0],
                spawn->out_max);
        return 0;
    }
    p->exit_code = program->does.exit_code;
    struct fl_str err = fl_buf_str(&program->err);
    err.n = FL_MIN(err.n, p->err.max);
    return rc < 0 ? rc : fl_buf_append(&p->err, err);
}

static int process_new(struct fl_world *world, const struct fl_spawn *spawn,
                       struct fl_process **out) {
    struct fl_process *p = FL_NEW(struct fl_process);
    if (!p) return FL_ENOMEM;
    p->world = world;
    fl_list_init(&p->link);
    fl_buf_init(&p->out, spawn->out_max);
    fl_buf_init(&p->err, 4096);
    if (fl_timer_init(&world->events, &p->timer, run_end) < 0) {
        process_free(p);
        return FL_ENOMEM;
    }
    *out = p;
    return 0;
}

int net_spawn(struct fl_io *io, const struct fl_spawn *spawn, fl_spawn_cb *done, void *arg,
              struct fl_process **out, struct fl_error *err) {
    struct fl_world *world = world_of(io);
    struct fl_process *p = NULL;
    uint64_t at_us;
    if (!spawn->argv || !spawn->argv[0] || !spawn->argv[0][0] || !spawn->deadline_ms)
        return fl_fail(err, FL_EUSAGE, "a program to run needs a name and a deadline");
    struct net_program *program = program_find(world, spawn->argv[0]);
    if (process_new(world, spawn, &p) < 0 || decide(p, program, spawn, &at_us) < 0) goto fail;
    if (program && record(program, spawn) < 0) goto fail;
    p->done = done;
    p->arg = arg;
    fl_list_push(&world->processes, &p->link);
    net_trace(world, NET_SPAWN, 0, fl_str_of(spawn->argv[0]));
    net_schedule(world, &p->timer, at_us);
    *out = p;
    return 0;
fail:
    process_free(p);
    return fl_fail_nomem(err);
}

void net_process_kill(struct fl_process *p) {
    fl_fail(&p->why, FL_ECANCELLED, "killed by the caller");
    p->exit_code = -1;
    net_schedule(p->world, &p->timer, p->world->now_us);
}

/* --- life --- */

void net_programs_init(struct fl_world *world) {
    fl_list_init(&world->programs);
    fl_list_init(&world->processes);
}

void net_programs_free(struct fl_world *world) {
    FL_ASSERT(fl_list_empty(&world->processes));
    FL_LIST_EACH (&world->programs, item, next) {
        program_free(FL_CONTAINER(item, struct net_program, link));
    }
}
