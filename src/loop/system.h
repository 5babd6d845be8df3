/* system.h - clock, randomness and environment of the real system: the ops of struct fl_io
 * that need no loop. */
#ifndef FL_LOOP_SYSTEM_H
#define FL_LOOP_SYSTEM_H

#include "base/io.h"

uint64_t fl_system_now_us(struct fl_io *io);
int64_t fl_system_wall_ms(struct fl_io *io);
void fl_system_random(struct fl_io *io, void *out, size_t n);
const char *fl_system_env(struct fl_io *io, const char *name);

#endif
