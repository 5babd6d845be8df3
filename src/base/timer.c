/* timer.c - deadlines of one loop: an intrusive binary heap. One thread.
 *
 * Every registered timer has a place reserved in `heap`, so setting one cannot fail. While
 * fl_timers_run runs, a deadline in the past counts as `floor_ms` (the time of the run): with its
 * younger age it then sorts behind all that was due when the run began, and the run can stop at the
 * first timer that is not due or younger than itself. */
#include "base/timer.h"

#include "base/alloc.h"
#include "base/error.h"

void fl_timers_init(struct fl_timers *timers) { *timers = (struct fl_timers){0}; }

void fl_timers_deinit(struct fl_timers *timers) {
    FL_ASSERT(timers->count == 0);
    fl_free(timers->heap);
    fl_timers_init(timers);
}

static bool is_before(const struct fl_timer *a, const struct fl_timer *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->age < b->age;
}

static void put(struct fl_timers *timers, size_t i, struct fl_timer *timer) {
    timers->heap[i] = timer;
    timer->index = i + 1;
}

/* Moves `timer`, which belongs at `i` or above, up to its place. */
static void sift_up(struct fl_timers *timers, size_t i, struct fl_timer *timer) {
    while (i > 0 && is_before(timer, timers->heap[(i - 1) / 2])) {
        put(timers, i, timers->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(timers, i, timer);
}

/* Moves `timer`, which belongs at `i` or below, down to its place. */
static void sift_down(struct fl_timers *timers, size_t i, struct fl_timer *timer) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= timers->count) break;
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], timer)) break;
        put(timers, i, timers->heap[child]);
        i = child;
    }
    put(timers, i, timer);
}

static void place(struct fl_timers *timers, size_t i, struct fl_timer *timer) {
    if (i > 0 && is_before(timer, timers->heap[(i - 1) / 2])) {
        sift_up(timers, i, timer);
    } else {
        sift_down(timers, i, timer);
    }
}

int fl_timer_init(struct fl_timers *timers, struct fl_timer *timer,
                  void (*run)(struct fl_timer *timer)) {
    if (timers->reserved == timers->cap) {
        size_t cap = timers->cap ? 2 * timers->cap : 8;
        struct fl_timer **heap = fl_realloc(timers->heap, cap * sizeof(struct fl_timer *));
        if (!heap) return FL_ENOMEM;
        timers->heap = heap;
        timers->cap = cap;
    }
    timers->reserved++;
    *timer = (struct fl_timer){.run = run};
    return 0;
}

void fl_timer_deinit(struct fl_timers *timers, struct fl_timer *timer) {
    if (!timer->run) return;
    fl_timer_clear(timers, timer);
    timer->run = NULL;
    timers->reserved--;
}

void fl_timer_set(struct fl_timers *timers, struct fl_timer *timer, uint64_t at_ms) {
    FL_ASSERT(timer->run);
    timer->at_ms = FL_MAX(at_ms, timers->floor_ms);
    timer->age = timers->age++;
    if (fl_timer_is_set(timer)) {
        place(timers, timer->index - 1, timer);
    } else {
        sift_up(timers, timers->count++, timer);
    }
}

void fl_timer_clear(struct fl_timers *timers, struct fl_timer *timer) {
    if (!fl_timer_is_set(timer)) return;
    size_t i = timer->index - 1;
    struct fl_timer *last = timers->heap[--timers->count];
    if (last != timer) place(timers, i, last);
    timer->index = 0;
}

bool fl_timers_next(const struct fl_timers *timers, uint64_t *at_ms) {
    if (timers->count == 0) return false;
    *at_ms = timers->heap[0]->at_ms;
    return true;
}

void fl_timers_run(struct fl_timers *timers, uint64_t now_ms) {
    uint64_t age_end = timers->age;
    timers->floor_ms = now_ms;
    while (timers->count) {
        struct fl_timer *timer = timers->heap[0];
        if (timer->at_ms > now_ms || timer->age >= age_end) break;
        fl_timer_clear(timers, timer);
        timer->run(timer);
    }
    timers->floor_ms = 0;
}
