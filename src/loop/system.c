/* system.c - clock, randomness and environment of the real system. Any thread. */
#include "loop/system.h"

#include <stdlib.h>
#include <time.h>
#include <uv.h>

uint64_t fl_system_now_us(struct fl_io *io) {
    FL_UNUSED(io);
    return uv_hrtime() / 1000;
}

int64_t fl_system_wall_ms(struct fl_io *io) {
    FL_UNUSED(io);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A system without randomness cannot make keys: nothing useful can go on. */
void fl_system_random(struct fl_io *io, void *out, size_t n) {
    FL_UNUSED(io);
    int rc = uv_random(NULL, NULL, out, n, 0, NULL);
    FL_ASSERT(rc == 0);
}

const char *fl_system_env(struct fl_io *io, const char *name) {
    FL_UNUSED(io);
    return getenv(name);
}
