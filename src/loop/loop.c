/* loop.c - struct fl_io on the real system: the turn of a libuv loop.
 *
 * A turn goes from one prepare callback of libuv to the next, which comes right before the loop may
 * wait: the poll phase (socket events and posted tasks), close callbacks, libuv's own timers. The
 * prepare callback ends it by fl_loop_end_turn: due timers of io.timers, deferred tasks, one write
 * for each sock with queued bytes. So whatever queued work - our callbacks, or a caller's own
 * handle on the same libuv loop - it is done before the loop next waits. What the end of a turn
 * itself causes (on_writable, say) is the next turn's, which the one uv_timer makes come at once.
 *
 * Memory: libuv, OpenSSL and c-ares keep the allocator they have. Their hooks are process-wide and
 * must be set before the first use of the library, and the program that links this one may use all
 * three by itself. Our own program counts what OpenSSL takes (tls_memory.c). */
#include "loop/inside.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/area.h"
#include "loop/file.h"
#include "loop/process.h"
#include "loop/sock.h"
#include "loop/system.h"
#include "loop/tls.h"

#define SERIES_MAX 10000

static _Thread_local char home; /* its address names a thread */

void fl_loop_come_home(struct fl_loop *loop) {
    atomic_store_explicit(&loop->home, (uintptr_t)&home, memory_order_relaxed);
}

/* Relaxed is enough: only the thread that stored its own name can read it back. */
static bool on_thread(struct fl_io *io) {
    struct fl_loop *loop = fl_loop_of(io);
    return atomic_load_explicit(&loop->home, memory_order_relaxed) == (uintptr_t)&home;
}

static void post(struct fl_io *io, struct fl_task *task) {
    fl_postbox_push(&fl_loop_of(io)->postbox, task);
}

static const struct fl_io_ops ops = {
    .now_us = fl_system_now_us,
    .wall_ms = fl_system_wall_ms,
    .random = fl_system_random,
    .dial = fl_tcp_dial,
    .listen = fl_tcp_listen,
    .listener_port = fl_tcp_listener_port,
    .listener_close = fl_tcp_listener_close,
    .sock_attach = fl_tcp_attach,
    .sock_write = fl_tcp_write,
    .sock_write_parts = fl_tcp_write_parts,
    .sock_queued = fl_tcp_queued,
    .sock_pause = fl_tcp_pause,
    .sock_close = fl_tcp_close,
    .sock_abort = fl_tcp_abort,
    .sock_peer = fl_tcp_peer,
    .tls_new = fl_tls_context_new,
    .tls_unref = fl_tls_context_unref,
    .file_read = fl_file_read,
    .file_write = fl_file_write,
    .spawn = fl_process_new,
    .process_kill = fl_process_end,
    .env = fl_system_env,
    .post = post,
    .on_thread = on_thread,
};

int fl_loop_deadline_ms(struct fl_loop *loop) {
    uint64_t at_ms, now_ms = fl_io_now_ms(&loop->io);
    if (loop->io.deferred.first || !fl_list_empty(&loop->service)) return 0;
    if (!fl_timers_next(&loop->io.timers, &at_ms)) return -1;
    return at_ms <= now_ms ? 0 : (int)FL_MIN(at_ms - now_ms, (uint64_t)INT_MAX);
}

/* libuv only has to wake up; the prepare handle, which comes next, does what is due. */
static void on_timer(uv_timer_t *timer) { FL_UNUSED(timer); }

static void set_timer(struct fl_loop *loop) {
    int delay_ms = fl_loop_deadline_ms(loop);
    if (delay_ms < 0) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t at_ms = fl_io_now_ms(&loop->io) + (uint64_t)delay_ms;
    if (uv_is_active((uv_handle_t *)&loop->timer) && loop->timer_ms == at_ms) return;
    loop->timer_ms = at_ms;
    uv_update_time(loop->uv); /* delays count from it, and it may be old */
    uv_timer_start(&loop->timer, on_timer, (uint64_t)delay_ms, 0);
}

/* Each sock once: what comes on the list meanwhile is the next turn's. */
static void serve_socks(struct fl_loop *loop) {
    struct fl_list batch;
    if (fl_list_empty(&loop->service)) return;
    batch = loop->service;
    batch.next->prev = batch.prev->next = &batch;
    fl_list_init(&loop->service);
    while (!fl_list_empty(&batch)) {
        struct fl_list *item = batch.next;
        fl_list_remove(item);
        fl_tcp_serve(FL_CONTAINER(item, struct fl_sock, service));
    }
}

void fl_loop_end_turn(struct fl_loop *loop) {
    fl_timers_run(&loop->io.timers, fl_io_now_ms(&loop->io));
    fl_io_run_deferred(&loop->io);
    serve_socks(loop);
    set_timer(loop);
}

static void on_prepare(uv_prepare_t *prepare) {
    struct fl_loop *loop = FL_CONTAINER(prepare, struct fl_loop, prepare);
    fl_loop_come_home(loop); /* a caller may run his loop on another thread than before */
    fl_loop_end_turn(loop);
}

static void on_async(uv_async_t *async) {
    struct fl_loop *loop = FL_CONTAINER(async, struct fl_loop, postbox.async);
    fl_postbox_run(&loop->postbox);
}

/* Only the async handle keeps the caller's uv_run running: as long as there is a runtime. */
static int open_handles(struct fl_loop *loop) {
    int rc = uv_async_init(loop->uv, &loop->postbox.async, on_async);
    if (rc < 0) return rc;
    uv_timer_init(loop->uv, &loop->timer);
    uv_prepare_init(loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref((uv_handle_t *)&loop->timer);
    uv_unref((uv_handle_t *)&loop->prepare);
    loop->has_handles = true;
    loop->handles += 3;
    return 0;
}

static int init_uv(struct fl_loop *loop, uv_loop_t *uv, struct fl_error *err) {
    int rc = 0;
    if (!uv) {
        rc = uv_loop_init(&loop->own);
        uv = &loop->own;
    }
    if (rc == 0) {
        loop->uv = uv;
        rc = open_handles(loop);
    }
    if (rc == UV_ENOMEM) return fl_fail_nomem(err);
    return rc == 0 ? 0 : fl_fail(err, FL_ESYS, "no event loop: %s", uv_strerror(rc));
}

static void init_io(struct fl_loop *loop) {
    loop->runtime.io = &loop->io;
    loop->io.ops = &ops;
    fl_timers_init(&loop->io.timers);
    fl_io_random(&loop->io, &loop->io.jitter.state, sizeof(loop->io.jitter.state));
    fl_list_init(&loop->service);
}

static int init_memory(struct fl_loop *loop) {
    int rc = fl_metrics_new(SERIES_MAX, &loop->io.metrics);
    if (rc < 0) return rc;
    loop->socks_open = fl_metrics_get(loop->io.metrics, FL_METRIC_GAUGE, "fairlead_socks_open",
                                      "connections, also those still being made", "");
    loop->accepts_dropped =
        fl_metrics_get(loop->io.metrics, FL_METRIC_COUNTER, "fairlead_accepts_dropped_total",
                       "accepted connections that were closed before TLS was agreed", "");
    loop->writes_refused = fl_metrics_get(
        loop->io.metrics, FL_METRIC_COUNTER, "fairlead_sock_limited_total",
        "writes that met a bound, upon which the connection was closed", "limit=write_queue");
    loop->input = fl_alloc(FL_LOOP_BUFFER);
    if (!loop->input) return FL_ENOMEM;
    fl_area_add(FL_AREA_SOCKS, FL_LOOP_BUFFER);
    rc = fl_postbox_init(&loop->postbox);
    if (rc < 0) return rc;
    loop->has_postbox = true;
    return fl_resolver_init(loop);
}

int fl_loop_init(struct fl_loop *loop, enum fl_runtime_mode mode, uv_loop_t *uv,
                 struct fl_error *err) {
    *loop = (struct fl_loop){.mode = mode};
    init_io(loop);
    if (mode != FL_RUNTIME_THREAD) fl_loop_come_home(loop);
    int rc = init_memory(loop);
    if (rc < 0) {
        fl_fail_nomem(err);
        goto fail;
    }
    rc = init_uv(loop, uv, err);
    if (rc < 0) goto fail;
    return 0;
fail:
    fl_loop_deinit(loop);
    return rc;
}

static void on_closed(uv_handle_t *handle) {
    struct fl_loop *loop = handle->data;
    loop->handles--;
}

static void close_handles(struct fl_loop *loop) {
    uv_handle_t *all[] = {(uv_handle_t *)&loop->postbox.async, (uv_handle_t *)&loop->timer,
                          (uv_handle_t *)&loop->prepare};
    fl_postbox_quiesce(&loop->postbox);
    for (size_t i = 0; i < FL_COUNT(all); i++) {
        all[i]->data = loop;
        uv_close(all[i], on_closed);
    }
    fl_signals_close(loop);
    while (loop->handles) uv_run(loop->uv, UV_RUN_NOWAIT);
}

void fl_loop_deinit(struct fl_loop *loop) {
    if (loop->has_handles) {
        fl_loop_come_home(loop);
        fl_postbox_run(&loop->postbox);
        fl_loop_end_turn(loop);
        while (loop->writes)
            uv_run(loop->uv, UV_RUN_ONCE); /* what was begun is brought to its end */
        FL_ASSERT(loop->live == 0);        /* everything on it must have been closed */
    }
    fl_resolver_deinit(loop);
    if (loop->has_handles) close_handles(loop);
    if (loop->uv == &loop->own) {
        int rc = uv_loop_close(&loop->own);
        FL_ASSERT(rc == 0);
    }
    if (loop->has_postbox) fl_postbox_deinit(&loop->postbox);
    fl_timers_deinit(&loop->io.timers);
    fl_metrics_free(loop->io.metrics);
    fl_tcp_free_spares(loop);
    if (loop->input) fl_area_add(FL_AREA_SOCKS, -(ptrdiff_t)FL_LOOP_BUFFER);
    fl_free(loop->input);
    fl_free(loop->plain);
    fl_free(loop->carried);
}
