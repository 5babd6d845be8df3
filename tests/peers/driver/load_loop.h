/* load_loop.h - the loop of a driver, turned by its only thread (FL_RUNTIME_POLL). */
#ifndef FL_TEST_LOAD_LOOP_H
#define FL_TEST_LOAD_LOOP_H

#include <fairlead/fairlead.h>

int64_t load_now_ms(void); /* CLOCK_MONOTONIC */
/* Waits a millisecond at most, does what is due. */
void load_turn(struct fl_runtime *runtime);
/* Fits close callbacks; arg: a bool that becomes true. */
void load_on_closed(void *arg);

#endif
