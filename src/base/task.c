/* task.c - a first-in, first-out queue of intrusive tasks. No lock of its own. */
#include "base/task.h"

void fl_tasks_push(struct fl_tasks *tasks, struct fl_task *task) {
    task->next = NULL;
    if (tasks->last) {
        tasks->last->next = task;
    } else {
        tasks->first = task;
    }
    tasks->last = task;
}

struct fl_task *fl_tasks_pop(struct fl_tasks *tasks) {
    struct fl_task *task = tasks->first;
    if (!task) return NULL;
    tasks->first = task->next;
    if (!tasks->first) tasks->last = NULL;
    task->next = NULL;
    return task;
}
