/* lock.h - a mutual exclusion, a gate at which one thread waits for another, and a monitor in which
 * threads wait for what others change.
 *
 * For what threads without a loop read or wait for. A lock is held for a few instructions, never
 * over a callback, and by nobody who holds another one. */
#ifndef FL_BASE_LOCK_H
#define FL_BASE_LOCK_H

#include <pthread.h>

#include "base/def.h"

struct fl_lock {
    pthread_mutex_t mutex;
};

static inline void fl_lock_init(struct fl_lock *lock) { pthread_mutex_init(&lock->mutex, NULL); }
static inline void fl_lock_deinit(struct fl_lock *lock) { pthread_mutex_destroy(&lock->mutex); }
static inline void fl_lock_enter(struct fl_lock *lock) { pthread_mutex_lock(&lock->mutex); }
static inline void fl_lock_leave(struct fl_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

/* Opened once. */
struct fl_gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
};

static inline void fl_gate_init(struct fl_gate *gate) {
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->opened, NULL);
    gate->open = false;
}

static inline void fl_gate_deinit(struct fl_gate *gate) {
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->mutex);
}

/* What was written before is visible to who waited. The gate may be gone when this returns. */
static inline void fl_gate_open(struct fl_gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_signal(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
}

/* Returns once it is open; never on the thread of a loop. */
static inline void fl_gate_wait(struct fl_gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open) pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

/* One thread at a time is inside; who waits is outside meanwhile. */
struct fl_monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

static inline void fl_monitor_init(struct fl_monitor *monitor) {
    pthread_mutex_init(&monitor->mutex, NULL);
    pthread_cond_init(&monitor->changed, NULL);
}

static inline void fl_monitor_deinit(struct fl_monitor *monitor) {
    pthread_cond_destroy(&monitor->changed);
    pthread_mutex_destroy(&monitor->mutex);
}

static inline void fl_monitor_enter(struct fl_monitor *monitor) {
    pthread_mutex_lock(&monitor->mutex);
}

static inline void fl_monitor_leave(struct fl_monitor *monitor) {
    pthread_mutex_unlock(&monitor->mutex);
}

/* Inside: returns, inside again, after somebody said fl_monitor_changed; or for no reason. */
static inline void fl_monitor_wait(struct fl_monitor *monitor) {
    pthread_cond_wait(&monitor->changed, &monitor->mutex);
}

/* Inside: all who wait look again. */
static inline void fl_monitor_changed(struct fl_monitor *monitor) {
    pthread_cond_broadcast(&monitor->changed);
}

#endif
