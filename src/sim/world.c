/* world.c - virtual time: the clock, the queue of what is pending, tasks and the trace.
 *
 * One thread. What is pending lies in a heap of intrusive timers whose key is the virtual
 * microsecond with a tie-break from the seed below it; the loop's own timers (milliseconds) stay in
 * io.timers, and a coin decides between the two when both are due. A step runs one of them, then
 * what was deferred, then moves each sock's queued bytes: the turn of the loop that io.h describes.
 *
 * Whatever happens goes into the trace: a running hash over the kind, the time, who, and the
 * bytes. Nothing else may: no pointer, no wall clock, nothing whose order a hash map gave. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "sim/net.h"

#define START_US      ((uint64_t)1000 * 1000) /* not 0, which elsewhere means "no time" */
#define WALL_START_MS INT64_C(1795219200000)  /* 2026-11-21T00:00:00Z */
#define POST_US_MAX   50
#define SERIES_MAX    4096

static struct fl_world *world_of(struct fl_io *io) { return FL_CONTAINER(io, struct fl_world, io); }

/* --- trace --- */

static const char *const entry_names[NET_ENTRIES] = {
    "timers", "posted", "dial",  "accept", "open", "refused", "data",  "eof",
    "reset",  "close",  "fault", "cut",    "note", "write",   "spawn", "exit",
};

static const char *const fault_names[] = {
    [FL_WORLD_OK] = "ok",
    [FL_WORLD_REFUSE] = "refuse",
    [FL_WORLD_BLACKHOLE] = "blackhole",
};

static void tell(struct fl_world *world, enum net_entry entry, uint64_t who, struct fl_str bytes) {
    char text[320];
    size_t n = (size_t)snprintf(text, sizeof text, "%" PRIu64 ".%06u %s", world->now_us / 1000000,
                                (unsigned)(world->now_us % 1000000), entry_names[entry]);
    if (entry >= NET_DIAL && entry <= NET_CLOSE)
        n += (size_t)snprintf(text + n, sizeof text - n, " #%" PRIu64 "%c", who / 2,
                              who % 2 ? 's' : 'c');
    if (entry == NET_FAULT)
        n += (size_t)snprintf(text + n, sizeof text - n, " %s", fault_names[who]);
    if (entry == NET_DATA)
        snprintf(text + n, sizeof text - n, " %zu bytes", bytes.n);
    else if (bytes.n)
        snprintf(text + n, sizeof text - n, " %.*s", (int)FL_MIN(bytes.n, 240), bytes.p);
    world->line(world->line_arg, text);
}

void net_trace(struct fl_world *world, enum net_entry entry, uint64_t who, struct fl_str bytes) {
    uint64_t head[4] = {(uint64_t)entry, world->now_us, who, bytes.n};
    world->trace = fl_hash(fl_str_n(head, sizeof head), world->trace);
    if (bytes.n) world->trace = fl_hash(bytes, world->trace);
    if (world->line) tell(world, entry, who, bytes);
}

uint64_t fl_world_trace(const struct fl_world *world) { return world->trace; }

void fl_world_note(struct fl_world *world, struct fl_str text) {
    net_trace(world, NET_NOTE, 0, text);
}

void fl_world_observe(struct fl_world *world, void (*line)(void *arg, const char *text),
                      void *arg) {
    world->line = line;
    world->line_arg = arg;
}

/* --- clock and queue --- */

void net_schedule(struct fl_world *world, struct fl_timer *timer, uint64_t at_us) {
    uint64_t tie = fl_random_below(&world->random, UINT64_C(1) << NET_TIE_BITS);
    at_us = FL_MIN(at_us, UINT64_MAX >> NET_TIE_BITS); /* 203 days: for ever */
    fl_timer_set(&world->events, timer, at_us << NET_TIE_BITS | tie);
}

uint64_t net_latency_us(struct fl_world *world) {
    const struct fl_world_options *o = &world->options;
    return o->latency_us_min +
           fl_random_below(&world->random, o->latency_us_max - o->latency_us_min + 1);
}

struct next {
    uint64_t at_us, key;
    bool timers; /* the loop's timers, else the event of `key` */
};

static bool peek_next(struct fl_world *world, struct next *next) {
    uint64_t timer_ms = 0, key = 0;
    bool timers = fl_timers_next(&world->io.timers, &timer_ms);
    bool events = fl_timers_next(&world->events, &key);
    if (!timers && !events) return false;
    uint64_t timer_us = timers ? FL_MAX(timer_ms, world->now_us / 1000) * 1000 : UINT64_MAX;
    uint64_t event_us = events ? key >> NET_TIE_BITS : UINT64_MAX;
    next->key = key;
    next->timers = timer_us < event_us || (timer_us == event_us && (key & 1));
    next->at_us = FL_MAX(FL_MIN(timer_us, event_us), world->now_us);
    return true;
}

/* The end of a turn; true if there was anything to do. */
static bool settle(struct fl_world *world) {
    bool busy = world->io.deferred.first || !fl_list_empty(&world->dirty);
    fl_io_run_deferred(&world->io);
    net_flush(world);
    return busy;
}

static void run_next(struct fl_world *world, const struct next *next) {
    world->now_us = next->at_us;
    if (next->timers) {
        net_trace(world, NET_TIMERS, 0, FL_STR_NONE);
        fl_timers_run(&world->io.timers, world->now_us / 1000);
    } else {
        fl_timers_run(&world->events, next->key);
    }
    settle(world);
}

bool fl_world_step(struct fl_world *world) {
    bool busy = settle(world); /* what the caller began outside of a turn */
    struct next next;
    if (!peek_next(world, &next)) return busy;
    run_next(world, &next);
    return true;
}

void fl_world_run_ms(struct fl_world *world, uint64_t ms) {
    uint64_t end_us = world->now_us + ms * 1000;
    struct next next;
    settle(world);
    while (peek_next(world, &next) && next.at_us <= end_us) run_next(world, &next);
    world->now_us = end_us;
}

bool fl_world_run_until(struct fl_world *world, bool (*done)(void *arg), void *arg,
                        uint64_t limit_ms) {
    uint64_t end_us = world->now_us + limit_ms * 1000;
    struct next next;
    settle(world);
    while (!done(arg)) {
        if (!peek_next(world, &next)) return false;
        if (next.at_us > end_us) {
            world->now_us = end_us;
            return false;
        }
        run_next(world, &next);
    }
    return true;
}

/* --- fl_io --- */

static uint64_t now_us(struct fl_io *io) { return world_of(io)->now_us; }

static int64_t wall_ms(struct fl_io *io) {
    return WALL_START_MS + (int64_t)((world_of(io)->now_us - START_US) / 1000);
}

static void random_bytes(struct fl_io *io, void *out, size_t n) {
    uint8_t *p = out;
    while (n) {
        uint64_t bits = fl_random_u64(&world_of(io)->entropy);
        size_t k = FL_MIN(n, sizeof bits);
        memcpy(p, &bits, k);
        p += k;
        n -= k;
    }
}

static int tls_new(struct fl_io *io, const struct fl_tls_config *config, struct fl_tls **out,
                   struct fl_error *err) {
    FL_UNUSED(io);
    FL_UNUSED(config);
    *out = NULL;
    return fl_fail(err, FL_EUSAGE, "there is no TLS in a simulated world");
}

static void tls_unref(struct fl_tls *tls) { FL_ASSERT(!tls); }

static void run_posted(struct fl_timer *timer) {
    struct fl_world *world = FL_CONTAINER(timer, struct fl_world, posting);
    net_trace(world, NET_POSTED, 0, FL_STR_NONE);
    struct fl_tasks batch = world->posted; /* what these post runs in another turn */
    world->posted = (struct fl_tasks){NULL, NULL};
    for (struct fl_task *task; (task = fl_tasks_pop(&batch));) {
        atomic_store(&task->queued, false);
        task->run(task);
    }
}

static void post(struct fl_io *io, struct fl_task *task) {
    struct fl_world *world = world_of(io);
    if (atomic_exchange(&task->queued, true)) return;
    fl_tasks_push(&world->posted, task);
    if (fl_timer_is_set(&world->posting)) return;
    net_schedule(world, &world->posting,
                 world->now_us + fl_random_below(&world->random, POST_US_MAX + 1));
}

static bool on_thread(struct fl_io *io) {
    FL_UNUSED(io);
    return true;
}

/* --- life --- */

static const struct fl_io_ops world_ops = {
    .now_us = now_us,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .dial = net_dial,
    .listen = net_listen,
    .listener_port = net_listener_port,
    .listener_close = net_listener_close,
    .sock_attach = net_sock_attach,
    .sock_write = net_sock_write,
    .sock_queued = net_sock_queued,
    .sock_pause = net_sock_pause,
    .sock_close = net_sock_close,
    .sock_abort = net_sock_abort,
    .sock_peer = net_sock_peer,
    .tls_new = tls_new,
    .tls_unref = tls_unref,
    .file_read = net_file_read,
    .file_write = net_file_write,
    .spawn = net_spawn,
    .process_kill = net_process_kill,
    .env = net_env,
    .post = post,
    .on_thread = on_thread,
};

int fl_world_new(const struct fl_world_options *options, struct fl_world **out) {
    struct fl_world *world = FL_NEW(struct fl_world);
    *out = NULL;
    if (!world) return FL_ENOMEM;
    world->options = *options;
    if (!world->options.latency_us_max) {
        world->options.latency_us_min = 50;
        world->options.latency_us_max = 500;
    }
    FL_ASSERT(world->options.latency_us_min <= world->options.latency_us_max);
    world->random.state = options->seed;
    world->entropy.state = fl_random_u64(&world->random);
    world->io.jitter.state = fl_random_u64(&world->random);
    world->io.ops = &world_ops;
    world->io.in_memory = true;
    world->now_us = START_US;
    world->free_port = 40000;
    fl_list_init(&world->conns);
    fl_list_init(&world->listeners);
    fl_list_init(&world->dirty);
    net_files_init(world);
    net_programs_init(world);
    fl_timers_init(&world->io.timers);
    fl_timers_init(&world->events);
    if (fl_timer_init(&world->events, &world->posting, run_posted)) goto fail;
    if (fl_metrics_new(SERIES_MAX, &world->io.metrics)) goto fail;
    *out = world;
    return 0;
fail:
    fl_world_free(world);
    return FL_ENOMEM;
}

void fl_world_free(struct fl_world *world) {
    if (!world) return;
    FL_ASSERT(!world->posted.first && !world->io.deferred.first);
    net_free(world);
    net_files_free(world);
    net_programs_free(world);
    fl_timer_deinit(&world->events, &world->posting);
    fl_timers_deinit(&world->events);
    fl_timers_deinit(&world->io.timers);
    fl_metrics_free(world->io.metrics);
    fl_free(world);
}

struct fl_io *fl_world_io(struct fl_world *world) {
    return &world->io;
}

size_t fl_world_open_socks(const struct fl_world *world) { return world->open_socks; }
