/* inside.h - struct fl_loop, as the files of this room see it. */
#ifndef FL_LOOP_INSIDE_H
#define FL_LOOP_INSIDE_H

#include <fairlead/runtime.h>
#include <uv.h>

#include "base/io.h"
#include "base/list.h"
#include "loop/postbox.h"
#include "loop/resolver.h"
#include "loop/signals.h"

#define FL_LOOP_BUFFER     ((size_t)256 * 1024)
#define FL_LOOP_SPARES_MAX 8

/* One real event loop. What is not marked belongs to the loop's thread. */
struct fl_loop {
    struct fl_runtime runtime; /* first: a struct fl_runtime * is one of these */
    struct fl_io io;
    enum fl_runtime_mode mode;     /* constant */
    uv_loop_t own, *uv;            /* `uv` is `own` or the caller's; constant */
    uv_thread_t thread;            /* FL_RUNTIME_THREAD; the creator's */
    _Atomic(uintptr_t) home;       /* any thread: names the thread that turns the loop */
    atomic_bool stop;              /* any thread: fl_loop_run is to return */
    struct fl_postbox postbox;     /* any thread */
    bool has_postbox, has_handles; /* how far the constructor came */
    uv_timer_t timer;              /* for the first deadline of io.timers */
    uint64_t timer_ms;             /* what it is set for */
    uv_prepare_t prepare;
    size_t handles;         /* of libuv, not yet closed */
    size_t live;            /* socks, listeners and processes */
    size_t writes;          /* of files, under way */
    struct fl_list service; /* socks with something to do at the end of the turn */
    /* Memory that queues of socks had and may have again; sock.c. */
    struct fl_buf spares[FL_LOOP_SPARES_MAX];
    size_t spare_count;
    struct fl_resolver resolver;
    struct fl_signals signals;
    struct fl_metric *socks_open, *accepts_dropped, *writes_refused;
    char *input; /* FL_LOOP_BUFFER bytes: what a socket is read into */
    /* One TLS record each, decrypted; NULL until first needed. */
    char *plain;
    char *carried; /* of TLS that carries other TLS through a proxy */
};

static inline struct fl_loop *fl_loop_of(struct fl_io *io) {
    return FL_CONTAINER(io, struct fl_loop, io);
}

/* loop.c. FL_ENOMEM, FL_ESYS. `uv` NULL: a libuv loop of its own. */
FL_MUST int fl_loop_init(struct fl_loop *loop, enum fl_runtime_mode mode, uv_loop_t *uv,
                         struct fl_error *err);
/* Closes the handles, turning the loop until they are; a half-built loop is allowed. */
void fl_loop_deinit(struct fl_loop *loop);
/* This thread turns the loop from now on. */
void fl_loop_come_home(struct fl_loop *loop);
/* What ends a turn: due timers, deferred tasks, one write for each sock with queued bytes. */
void fl_loop_end_turn(struct fl_loop *loop);
/* Milliseconds to the next thing that is due by itself: 0 now, -1 nothing is. */
int fl_loop_deadline_ms(struct fl_loop *loop);

#endif
