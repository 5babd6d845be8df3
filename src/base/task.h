/* task.h - work for a loop, as intrusive entries.
 *
 * `fl_io_defer` runs a task on the same thread at the end of the turn; `fl_io_post` gives one to a
 * loop from any thread. A task is queued at most once: asking again while queued changes nothing,
 * so a task is also how wake-ups coalesce. */
#ifndef FL_BASE_TASK_H
#define FL_BASE_TASK_H

#include <stdatomic.h>

#include "base/def.h"

struct fl_task {
    struct fl_task *next;
    void (*run)(struct fl_task *task);
    atomic_bool queued;
};

static inline void fl_task_init(struct fl_task *task, void (*run)(struct fl_task *task)) {
    task->next = NULL;
    task->run = run;
    atomic_init(&task->queued, false);
}

/* A first-in, first-out queue; no lock of its own. */
struct fl_tasks {
    struct fl_task *first, *last;
};
void fl_tasks_push(struct fl_tasks *tasks, struct fl_task *task); /* task->queued is the caller's */
struct fl_task *fl_tasks_pop(struct fl_tasks *tasks);             /* NULL: empty */

#endif
