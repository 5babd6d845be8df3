/* loop.h - the real event loop, for our own programs: a runtime that the calling thread runs
 * itself. */
#ifndef FL_LOOP_LOOP_H
#define FL_LOOP_LOOP_H

#include "base/io.h"

/* A runtime (FL_RUNTIME_UV_LOOP on a loop of its own) for fl_loop_run; freed by fl_runtime_free.
 * FL_ENOMEM, FL_ESYS. */
FL_MUST int fl_loop_new(struct fl_runtime **out, struct fl_error *err);
/* Runs until fl_loop_stop. */
void fl_loop_run(struct fl_runtime *runtime);
/* Any thread: fl_loop_run returns after its present turn. */
void fl_loop_stop(struct fl_runtime *runtime);
/* Calls `cb` on the loop at each of that signal until the runtime is freed. FL_ENOMEM, FL_ESYS,
 * FL_EFULL (eight at most). */
FL_MUST int fl_loop_on_signal(struct fl_runtime *runtime, int signal,
                              void (*cb)(void *arg, int signal), void *arg);

/* Counts OpenSSL's memory as FL_AREA_TLS from now on; for a program of ours, before anything uses
 * OpenSSL. False: something has, and nothing is counted. */
bool fl_loop_count_tls_memory(void);

#endif
