/* world.h - fl_io on virtual time: one thread, one clock, one network, all decided by a seed.
 *
 * A world is a discrete-event simulation. Every step takes the earliest pending thing (a timer,
 * bytes that arrive, a connection that opens, a posted task), sets the clock to it and runs it;
 * latency, the size of pieces that bytes arrive in and the order of what is due at the same time
 * come from the seed. The same seed and the same program give the same trace, bit for bit. There is
 * no TLS in it. */
#ifndef FL_SIM_WORLD_H
#define FL_SIM_WORLD_H

#include "base/io.h"

struct fl_world;

struct fl_world_options {
    uint64_t seed;
    uint32_t latency_us_min, latency_us_max; /* one way; 0, 0: 50 to 500 */
    bool chop;    /* bytes arrive in random pieces, sometimes one by one */
    bool reorder; /* different connections overtake one another freely (never within one) */
};

FL_MUST int fl_world_new(const struct fl_world_options *options, struct fl_world **out);
/* Everything opened in it must have been closed. */
void fl_world_free(struct fl_world *world);
struct fl_io *fl_world_io(struct fl_world *world);

/* Runs the next thing; false when nothing is pending. */
bool fl_world_step(struct fl_world *world);
/* Runs what is due while virtual time passes by so much; the clock stands at the end of it then. */
void fl_world_run_ms(struct fl_world *world, uint64_t ms);
/* Runs until done() is true; false: virtual time passed `limit_ms` first, or nothing is pending. */
FL_MUST bool fl_world_run_until(struct fl_world *world, bool (*done)(void *arg), void *arg,
                                uint64_t limit_ms);

/* Faults, by "host" or "host:port" of the listening side. */
enum fl_world_fault {
    FL_WORLD_OK,
    FL_WORLD_REFUSE,    /* dials are refused; established connections go on */
    FL_WORLD_BLACKHOLE, /* nothing arrives any more, in either direction; dials hang */
};
void fl_world_fault(struct fl_world *world, struct fl_str where, enum fl_world_fault fault);
/* Every established connection to it is reset. */
void fl_world_cut(struct fl_world *world, struct fl_str where);

/* A file and an environment variable that the world's programs see. FL_ENOMEM. */
FL_MUST int fl_world_file(struct fl_world *world, const char *path, struct fl_str text);
FL_MUST int fl_world_env(struct fl_world *world, const char *name, const char *value);

/* What is in a file now, borrowed until it changes; false: there is none. */
bool fl_world_peek_file(const struct fl_world *world, const char *path, struct fl_str *out);

/* What becomes of writes of a file from now on; nothing changes unless it is FL_WORLD_FILE_OK. */
enum fl_world_file_fault {
    FL_WORLD_FILE_OK,
    FL_WORLD_FILE_UNWRITABLE, /* refused */
    FL_WORLD_FILE_TORN,       /* interrupted before the new file took the old one's place */
};
FL_MUST int fl_world_file_fault(struct fl_world *world, const char *path,
                                enum fl_world_file_fault fault); /* FL_ENOMEM */

/* What the program `name` (argv[0] of fl_io_spawn) does when it is run from now on; copied. Others
 * cannot be started. FL_ENOMEM. */
struct fl_world_program {
    int exit_code;
    struct fl_str out, err;
    uint32_t delay_ms; /* until it ends */
    bool hangs;        /* it never does */
};
FL_MUST int fl_world_program(struct fl_world *world, const char *name,
                             const struct fl_world_program *does);

/* How often a program was run, and how the last time; borrowed until the next. */
struct fl_world_run {
    size_t times;
    const char *const *argv, *const *env; /* NULL-terminated; NULL before the first */
};
struct fl_world_run fl_world_peek_run(const struct fl_world *world, const char *name);

/* Everything that happens from now on, a line at a time and without its line break: for a person
 * who replays a seed. NULL: nobody. */
void fl_world_observe(struct fl_world *world, void (*line)(void *arg, const char *text), void *arg);
/* Hash over everything that happened so far: what ran when, and every byte that was delivered. */
uint64_t fl_world_trace(const struct fl_world *world);
/* A test's own entry in the trace. */
void fl_world_note(struct fl_world *world, struct fl_str text);
size_t fl_world_open_socks(const struct fl_world *world); /* for leak checks */

#endif
