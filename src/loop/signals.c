/* signals.c - the process's signals, told on a loop. */
#include "loop/signals.h"

#include "loop/inside.h"
#include "loop/loop.h"

static void on_signal(uv_signal_t *handle, int number) {
    struct fl_signal *signal = FL_CONTAINER(handle, struct fl_signal, handle);
    signal->cb(signal->arg, number);
}

int fl_loop_on_signal(struct fl_runtime *runtime, int signal, void (*cb)(void *arg, int signal),
                      void *arg) {
    struct fl_loop *loop = fl_loop_of(runtime->io);
    struct fl_signals *signals = &loop->signals;
    if (signals->count == FL_SIGNALS_MAX) return FL_EFULL;
    struct fl_signal *entry = &signals->all[signals->count];
    int rc = uv_signal_init(loop->uv, &entry->handle);
    if (rc < 0) return rc == UV_ENOMEM ? FL_ENOMEM : FL_ESYS;
    loop->handles++;
    signals->count++;
    entry->cb = cb;
    entry->arg = arg;
    uv_unref((uv_handle_t *)&entry->handle);
    return uv_signal_start(&entry->handle, on_signal, signal) == 0 ? 0 : FL_ESYS;
}

static void on_closed(uv_handle_t *handle) {
    struct fl_loop *loop = handle->data;
    loop->handles--;
}

void fl_signals_close(struct fl_loop *loop) {
    for (size_t i = 0; i < loop->signals.count; i++) {
        uv_handle_t *handle = (uv_handle_t *)&loop->signals.all[i].handle;
        handle->data = loop;
        uv_close(handle, on_closed);
    }
    loop->signals.count = 0;
}
