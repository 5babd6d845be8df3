/* signals.h - the process's signals, told on a loop. The loop's thread. */
#ifndef FL_LOOP_SIGNALS_H
#define FL_LOOP_SIGNALS_H

#include <uv.h>

#include "base/error.h"

#define FL_SIGNALS_MAX 8

struct fl_signal {
    uv_signal_t handle;
    void (*cb)(void *arg, int signal);
    void *arg;
};

struct fl_signals {
    struct fl_signal all[FL_SIGNALS_MAX];
    size_t count;
};

struct fl_loop;

void fl_signals_close(struct fl_loop *loop); /* their handles; those of `loop->signals` */

#endif
