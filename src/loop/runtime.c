/* runtime.c - the public runtime and its three ways of being turned, and the loop that our own
 * programs turn themselves.
 *
 * A thread of ours has every signal blocked that a handler of the program may want, and ends when
 * `stop` is set; then the freeing thread, alone with the loop, closes it. */
#include <fairlead/runtime.h>

#include <pthread.h>
#include <signal.h>

#include "base/alloc.h"
#include "loop/inside.h"
#include "loop/loop.h"

static struct fl_loop *loop_of(struct fl_runtime *runtime) { return fl_loop_of(runtime->io); }

void fl_loop_run(struct fl_runtime *runtime) {
    struct fl_loop *loop = loop_of(runtime);
    fl_loop_come_home(loop);
    while (!atomic_exchange(&loop->stop, false)) uv_run(loop->uv, UV_RUN_ONCE);
}

void fl_loop_stop(struct fl_runtime *runtime) {
    struct fl_loop *loop = loop_of(runtime);
    atomic_store(&loop->stop, true);
    fl_postbox_wake(&loop->postbox);
}

static void run_thread(void *arg) { fl_loop_run(arg); }

/* The new thread inherits the mask; signals that tell of its own faults stay open. */
static int start_thread(struct fl_loop *loop, struct fl_error *err) {
    sigset_t mask, before;
    sigfillset(&mask);
    sigdelset(&mask, SIGSEGV);
    sigdelset(&mask, SIGBUS);
    sigdelset(&mask, SIGFPE);
    sigdelset(&mask, SIGILL);
    sigdelset(&mask, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    int rc = uv_thread_create(&loop->thread, run_thread, &loop->runtime);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : fl_fail(err, FL_ESYS, "no thread: %s", uv_strerror(rc));
}

static int new_runtime(enum fl_runtime_mode mode, uv_loop_t *uv, struct fl_runtime **out,
                       struct fl_error *err) {
    struct fl_loop *loop = FL_NEW(struct fl_loop);
    if (!loop) return fl_fail_nomem(err);
    int rc = fl_loop_init(loop, mode, uv, err);
    if (rc < 0) goto fail;
    if (mode == FL_RUNTIME_THREAD) {
        rc = start_thread(loop, err);
        if (rc < 0) goto fail_loop;
    }
    *out = &loop->runtime;
    return 0;
fail_loop:
    fl_loop_deinit(loop);
fail:
    fl_free(loop);
    return rc;
}

int fl_runtime_new(const struct fl_runtime_options *options, struct fl_runtime **out,
                   struct fl_error *err) {
    static const struct fl_runtime_options defaults;
    if (!options) options = &defaults;
    if (options->mode > FL_RUNTIME_POLL) {
        return fl_fail(err, FL_EUSAGE, "fl_runtime_options.mode is %d", (int)options->mode);
    }
    if ((options->mode == FL_RUNTIME_UV_LOOP) != (options->uv_loop != NULL)) {
        return fl_fail(err, FL_EUSAGE, "fl_runtime_options.uv_loop goes with FL_RUNTIME_UV_LOOP");
    }
    return new_runtime(options->mode, options->uv_loop, out, err);
}

int fl_loop_new(struct fl_runtime **out, struct fl_error *err) {
    return new_runtime(FL_RUNTIME_UV_LOOP, NULL, out, err);
}

int fl_runtime_fd(struct fl_runtime *runtime) { return uv_backend_fd(loop_of(runtime)->uv); }

/* Ours first: the caller may have used objects of the loop since it was last turned. */
int fl_runtime_deadline_ms(struct fl_runtime *runtime) {
    struct fl_loop *loop = loop_of(runtime);
    int ours = fl_loop_deadline_ms(loop);
    uv_update_time(loop->uv);
    int uvs = uv_backend_timeout(loop->uv);
    if (ours < 0 || uvs < 0) return FL_MAX(ours, uvs);
    return FL_MIN(ours, uvs);
}

void fl_runtime_turn(struct fl_runtime *runtime) {
    struct fl_loop *loop = loop_of(runtime);
    fl_loop_come_home(loop);
    uv_run(loop->uv, UV_RUN_NOWAIT);
    fl_loop_end_turn(loop); /* of what this one brought; the prepare callback ended the last */
}

void fl_runtime_free(struct fl_runtime *runtime) {
    if (!runtime) return;
    struct fl_loop *loop = loop_of(runtime);
    if (loop->mode == FL_RUNTIME_THREAD) {
        fl_loop_stop(runtime);
        uv_thread_join(&loop->thread);
    }
    fl_loop_deinit(loop);
    fl_free(loop);
}
