/* postbox.c - tasks that other threads give to a loop: many producers, one consumer.
 *
 * A queue behind a lock that is held for a few instructions; no task runs under it. Only the push
 * into an empty queue wakes the loop. The wake-up is sent under the lock, so that once the loop has
 * taken a task out nobody is still about to touch `async` for it: libuv's uv_async_send must not
 * meet the closing of the loop.
 *
 * A task that is queued already is not queued again, and its poster takes no lock. What that poster
 * wrote must still be seen by the run: both sides change task->queued by an atomic exchange, so the
 * consumer's reads the value that the poster's wrote, or a later one of the same release sequence,
 * and synchronises with it. A plain store in the consumer would not. */
#include "loop/postbox.h"

#include "base/error.h"

int fl_postbox_init(struct fl_postbox *box) {
    box->shared.tasks = (struct fl_tasks){0};
    return uv_mutex_init(&box->shared.lock) == 0 ? 0 : FL_ENOMEM;
}

void fl_postbox_deinit(struct fl_postbox *box) { uv_mutex_destroy(&box->shared.lock); }

void fl_postbox_push(struct fl_postbox *box, struct fl_task *task) {
    if (atomic_exchange_explicit(&task->queued, true, memory_order_acq_rel)) return;
    uv_mutex_lock(&box->shared.lock);
    bool first = box->shared.tasks.first == NULL;
    fl_tasks_push(&box->shared.tasks, task);
    if (first) uv_async_send(&box->async);
    uv_mutex_unlock(&box->shared.lock);
}

void fl_postbox_wake(struct fl_postbox *box) {
    uv_mutex_lock(&box->shared.lock);
    uv_async_send(&box->async);
    uv_mutex_unlock(&box->shared.lock);
}

void fl_postbox_quiesce(struct fl_postbox *box) {
    uv_mutex_lock(&box->shared.lock);
    uv_mutex_unlock(&box->shared.lock);
}

void fl_postbox_run(struct fl_postbox *box) {
    uv_mutex_lock(&box->shared.lock);
    struct fl_tasks batch = box->shared.tasks;
    box->shared.tasks = (struct fl_tasks){0};
    uv_mutex_unlock(&box->shared.lock);
    struct fl_task *task;
    while ((task = fl_tasks_pop(&batch))) {
        /* Before the run, which may free the task or see it posted again. */
        atomic_exchange_explicit(&task->queued, false, memory_order_acq_rel);
        task->run(task);
    }
}
