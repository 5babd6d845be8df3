/* poll.h - a descriptor whose readiness the loop watches. The loop's thread. */
#ifndef FL_LOOP_POLL_H
#define FL_LOOP_POLL_H

#include <uv.h>

#include "base/def.h"

struct fl_loop;

struct fl_poll {
    uv_poll_t handle;
    struct fl_loop *loop; /* NULL: not initialised, or closed */
    int fd;
    int wanted; /* UV_READABLE, UV_WRITABLE */
    void (*ready)(struct fl_poll *poll, int events);
    void (*closed)(struct fl_poll *poll);
};

/* Takes the descriptor on success only; else a negated errno value. */
FL_MUST int fl_poll_init(struct fl_poll *poll, struct fl_loop *loop, int fd,
                         void (*ready)(struct fl_poll *poll, int events));
/* Which events to tell of; an error of the descriptor is told as all of them. */
void fl_poll_want(struct fl_poll *poll, int events);
/* Ends it and closes the descriptor; `closed` follows in a later phase of the loop, and with it the
 * memory is the caller's again. */
void fl_poll_close(struct fl_poll *poll, void (*closed)(struct fl_poll *poll));
/* As fl_poll_close, but the descriptor lives on and is the caller's. */
FL_MUST int fl_poll_steal_fd(struct fl_poll *poll, void (*closed)(struct fl_poll *poll));

#endif
