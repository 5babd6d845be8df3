/* load_loop.c - see load_loop.h. */
#include "peers/driver/load_loop.h"

#include <poll.h>
#include <time.h>

#define TURN_MS 1 /* calls that are due, and streams, are looked at so often */

int64_t load_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void load_turn(struct fl_runtime *runtime) {
    struct pollfd readable = {.fd = fl_runtime_fd(runtime), .events = POLLIN};
    int wait_ms = fl_runtime_deadline_ms(runtime);
    poll(&readable, 1, wait_ms < 0 || wait_ms > TURN_MS ? TURN_MS : wait_ms);
    fl_runtime_turn(runtime);
}

void load_on_closed(void *arg) { *(bool *)arg = true; }
