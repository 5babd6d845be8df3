/* postbox.h - tasks that other threads give to a loop. */
#ifndef FL_LOOP_POSTBOX_H
#define FL_LOOP_POSTBOX_H

#include <uv.h>

#include "base/task.h"

struct fl_postbox {
    struct {
        struct fl_tasks tasks;
        uv_mutex_t lock;
    } shared;
    uv_async_t async; /* its callback is the loop's, which calls fl_postbox_run */
};

FL_MUST int fl_postbox_init(struct fl_postbox *box); /* FL_ENOMEM; `async` is the loop's to make */
void fl_postbox_deinit(struct fl_postbox *box);

/* Any thread. */
void fl_postbox_push(struct fl_postbox *box, struct fl_task *task);
void fl_postbox_wake(struct fl_postbox *box);
/* Waits until no other thread is inside of push or wake any more. */
void fl_postbox_quiesce(struct fl_postbox *box);

/* The loop's thread: runs what was pushed before the call, in that order. */
void fl_postbox_run(struct fl_postbox *box);

#endif
