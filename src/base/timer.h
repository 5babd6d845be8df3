/* timer.h - deadlines of one loop: an intrusive binary heap ordered by time, then by age.
 *
 * Knows no clock: whoever owns the heap asks fl_timers_next and calls fl_timers_run. One thread. */
#ifndef FL_BASE_TIMER_H
#define FL_BASE_TIMER_H

#include "base/def.h"

struct fl_timer {
    uint64_t at_ms;
    uint64_t age; /* breaks ties: earlier set, earlier run */
    size_t index; /* place in the heap + 1; 0: not set */
    void (*run)(struct fl_timer *timer);
};

struct fl_timers {
    struct fl_timer **heap;
    size_t count, reserved, cap; /* set, registered, places */
    uint64_t age;                /* of the next timer that is set */
    uint64_t floor_ms;           /* during a run: its time, else 0 */
};

void fl_timers_init(struct fl_timers *timers);
void fl_timers_deinit(struct fl_timers *timers); /* no timer may be set */

/* Registers a timer with the heap so that setting it can never fail: reserves its place. */
FL_MUST int fl_timer_init(struct fl_timers *timers, struct fl_timer *timer,
                          void (*run)(struct fl_timer *timer)); /* FL_ENOMEM */
void fl_timer_deinit(struct fl_timers *timers,
                     struct fl_timer *timer); /* clears it, frees its place;
                        a timer never initialised (zeroed) is allowed */
void fl_timer_set(struct fl_timers *timers, struct fl_timer *timer,
                  uint64_t at_ms); /* or moves it */
void fl_timer_clear(struct fl_timers *timers, struct fl_timer *timer);
static inline bool fl_timer_is_set(const struct fl_timer *timer) { return timer->index != 0; }

bool fl_timers_next(const struct fl_timers *timers, uint64_t *at_ms); /* false: none is set */
/* Runs every timer due at now_ms that was set before the call; a timer is clear when its run
 * begins. What is set meanwhile runs at the next call at the earliest. Not from within a run. */
void fl_timers_run(struct fl_timers *timers, uint64_t now_ms);

#endif
