/* process.h - programs that this one runs. The loop's thread. */
#ifndef FL_LOOP_PROCESS_H
#define FL_LOOP_PROCESS_H

#include "base/io.h"

/* The ops of struct fl_io. */
FL_MUST int fl_process_new(struct fl_io *io, const struct fl_spawn *spawn, fl_spawn_cb *done,
                           void *arg, struct fl_process **out, struct fl_error *err);
void fl_process_end(struct fl_process *process);

#endif
