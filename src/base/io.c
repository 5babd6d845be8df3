/* io.c - the part of struct fl_io that is the same on every loop: tasks for the end of the turn.
 * The loop's own thread only. */
#include "base/io.h"

void fl_io_defer(struct fl_io *io, struct fl_task *task) {
    if (atomic_exchange_explicit(&task->queued, true, memory_order_acq_rel)) return;
    fl_tasks_push(&io->deferred, task);
}

void fl_io_run_deferred(struct fl_io *io) {
    struct fl_task *task;
    while ((task = fl_tasks_pop(&io->deferred))) {
        /* Before the run, which may queue the task again or free it. An exchange, not a store: a
         * fl_io_post that found the task queued must have its writes seen by the run. */
        atomic_exchange_explicit(&task->queued, false, memory_order_acq_rel);
        task->run(task);
    }
}
