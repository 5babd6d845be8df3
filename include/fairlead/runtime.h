/* runtime.h - the event loop that Fairlead's objects live on.
 *
 * A runtime is one loop. It runs on a thread of its own, or on a uv_loop_t of the caller, or is
 * driven from the caller's poll loop through one descriptor and a deadline. Every callback of an
 * object that was made on a runtime is called on that runtime's thread, never from within the
 * starting call, never under a lock. Where the starting call is made on another thread, a callback
 * may run while it is still returning. */
#ifndef FAIRLEAD_RUNTIME_H
#define FAIRLEAD_RUNTIME_H

#include <fairlead/error.h>

FL_C_BEGIN

struct fl_runtime;

/* How the loop is run. */
enum fl_runtime_mode {
    FL_RUNTIME_THREAD,  /* the library runs it on a thread of its own */
    FL_RUNTIME_UV_LOOP, /* the caller runs `uv_loop` */
    FL_RUNTIME_POLL,    /* the caller calls fl_runtime_turn when the descriptor is readable or the
                           deadline is over */
};

/* Zero-initialised: a thread of the library's own. */
struct fl_runtime_options {
    enum fl_runtime_mode mode;
    void *uv_loop; /* FL_RUNTIME_UV_LOOP: a `uv_loop_t *`, which must outlive the runtime */
};

/* Makes a runtime; `options` may be NULL. The caller owns *out and frees it with fl_runtime_free.
 * Any thread; with FL_RUNTIME_UV_LOOP the thread that runs the loop.
 * Errors: FL_ENOMEM, FL_EUSAGE (mode and uv_loop do not fit), FL_ESYS. */
FL_API FL_MUST int fl_runtime_new(const struct fl_runtime_options *options, struct fl_runtime **out,
                                  struct fl_error *err);

/* FL_RUNTIME_POLL: the descriptor to poll for reading. Owned by the runtime. Loop's thread. */
FL_API int fl_runtime_fd(struct fl_runtime *runtime);

/* FL_RUNTIME_POLL: milliseconds until fl_runtime_turn must be called even if the descriptor is not
 * readable; 0 now, -1 no limit. Loop's thread. */
FL_API int fl_runtime_deadline_ms(struct fl_runtime *runtime);

/* FL_RUNTIME_POLL: does what is due and calls the callbacks; does not wait. Loop's thread. */
FL_API void fl_runtime_turn(struct fl_runtime *runtime);

/* Ends the loop and frees the runtime; NULL is allowed. Objects made on it must have been closed
 * and their close callbacks called. FL_RUNTIME_THREAD: any other thread, waits for the thread's
 * end. FL_RUNTIME_UV_LOOP: the loop's thread, outside of callbacks of the runtime; turns the loop
 * until the runtime's own handles are closed. FL_RUNTIME_POLL: the loop's thread. */
FL_API void fl_runtime_free(struct fl_runtime *runtime);

FL_C_END

#endif
