/* listwatch.c - see listwatch.h.
 *
 * A thin shell: bytes and ends of the request go into the reflector; after each input, and when its
 * deadline passes, it is asked what to do. A cancelled request is let go at once (its events are
 * not heard any more) and counted until it has closed. */
#include "kube/listwatch.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kube/reflector.h"
#include "kube/resource.h"

#define FRESH_MS 45000 /* a PING after 30 s of silence, and 15 s for its answer */

struct counters {
    struct fl_metric *events, *bytes, *full, *notes[FL_REFLECTOR_NOTES];
};

struct fl_listwatch {
    struct fl_io *io;
    struct fl_kube_client *client;
    const struct fl_listwatch_events *events;
    void *arg;
    enum fl_k8s_kind kind;
    struct fl_kube_store *store;
    struct fl_reflector *reflector;
    struct request *request; /* under way, NULL if none */
    size_t requests_open;    /* that one and those let go */
    struct fl_timer timer;
    struct fl_task task; /* the first step, or the end */
    struct counters counters;
    uint64_t counted_events;
    uint64_t began_ms;
    int trouble_code;
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

/* One request of the client's; outlives its place in the listwatch when let go. */
struct request {
    struct fl_listwatch *lw;
    struct fl_kube_request *kube;
};

static void step(struct fl_listwatch *lw);

/* --- counting and logging --- */

static void counters_init(struct fl_listwatch *lw) {
    struct fl_metrics *metrics = lw->io->metrics;
    const char *resource = fl_resource_name(lw->kind);
    char labels[96];
    snprintf(labels, sizeof(labels), "resource=%s", resource);
    lw->counters.events = fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_kube_events_total",
                                         "Objects and events read from lists and watches", labels);
    lw->counters.bytes = fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_kube_read_bytes",
                                        "Bytes of lists and watches read", labels);
    lw->counters.full =
        fl_metrics_get(metrics, FL_METRIC_COUNTER, "fairlead_kube_full_total",
                       "Requests refused and answers given up at a bound of this side", labels);
    for (int i = 0; i < FL_REFLECTOR_NOTES; i++) {
        snprintf(labels, sizeof(labels), "resource=%s,what=%s", resource,
                 fl_reflector_note_name((enum fl_reflector_note)i));
        lw->counters.notes[i] = fl_metrics_get(
            metrics, FL_METRIC_COUNTER, "fairlead_kube_reflector_total",
            "Lists by cause, watches resumed, requests made again, restored etcds", labels);
    }
}

static void count_events(struct fl_listwatch *lw) {
    uint64_t count = fl_reflector_event_count(lw->reflector);
    fl_metric_add(lw->counters.events, (int64_t)(count - lw->counted_events));
    lw->counted_events = count;
}

static enum fl_log_level level_of(enum fl_reflector_note what) {
    switch (what) {
    case FL_REFLECTOR_RESTORED:
    case FL_REFLECTOR_RELIST_OLDER:
    case FL_REFLECTOR_RELIST_DOUBTED:
        return FL_LOG_WARN;
    case FL_REFLECTOR_WATCH_RESUME:
    case FL_REFLECTOR_RETRY:
        return FL_LOG_DEBUG; /* a retry's trouble has its own line */
    default:
        return FL_LOG_INFO;
    }
}

/* --- the reflector's events --- */

static void on_synced(void *arg) {
    struct fl_listwatch *lw = arg;
    FL_LOG(lw->io, FL_LOG_INFO, "kubernetes list complete",
           FL_LOG_TEXT_OF("resource", fl_resource_name(lw->kind)),
           FL_LOG_INT("objects", fl_kube_store_count(lw->store)),
           FL_LOG_TEXT_OF("version", fl_reflector_position(lw->reflector)));
    if (!lw->closing) lw->events->on_synced(lw->arg);
}

static void log_trouble(struct fl_listwatch *lw, const struct fl_error *why) {
    enum fl_log_level level = why->code == lw->trouble_code ? FL_LOG_DEBUG : FL_LOG_WARN;
    if (why->code == FL_OK)
        FL_LOG(lw->io, FL_LOG_INFO, "kubernetes API server answers again",
               FL_LOG_TEXT_OF("resource", fl_resource_name(lw->kind)));
    else
        FL_LOG(lw->io, level, "kubernetes request failed and is made again",
               FL_LOG_TEXT_OF("resource", fl_resource_name(lw->kind)), FL_LOG_ERROR_OF(why));
    lw->trouble_code = why->code;
}

static void on_trouble(void *arg, const struct fl_error *why) {
    struct fl_listwatch *lw = arg;
    if (lw->closing) return;
    if (why->code == FL_EFULL || why->code == FL_ETOO_LARGE) fl_metric_add(lw->counters.full, 1);
    log_trouble(lw, why);
    lw->events->on_trouble(lw->arg, why);
}

static void on_note(void *arg, enum fl_reflector_note what) {
    struct fl_listwatch *lw = arg;
    fl_metric_add(lw->counters.notes[what], 1);
    FL_LOG(lw->io, level_of(what), "kubernetes reflector",
           FL_LOG_TEXT_OF("resource", fl_resource_name(lw->kind)),
           FL_LOG_TEXT_OF("what", fl_reflector_note_name(what)),
           FL_LOG_TEXT_OF("version", fl_reflector_position(lw->reflector)));
    if (lw->events->on_note && !lw->closing) lw->events->on_note(lw->arg, what);
}

static const struct fl_reflector_events reflector_events = {
    .on_synced = on_synced,
    .on_trouble = on_trouble,
    .on_note = on_note,
};

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fl_listwatch *lw = arg;
    return lw->closing ? FL_OK : lw->events->on_change(lw->arg, old, now);
}

/* --- the request's events --- */

static bool current(const struct request *request) {
    return request->lw->request == request && !request->lw->closing;
}

static void on_response(void *arg, const struct fl_http_response *head) {
    struct request *request = arg;
    struct fl_listwatch *lw = request->lw;
    if (!current(request)) return;
    fl_reflector_response(lw->reflector, fl_io_now_ms(lw->io), head->status,
                          fl_http_header_get(head->headers, FL_STR("content-type")),
                          fl_http_header_get(head->headers, FL_STR("retry-after")));
    step(lw);
}

static void on_data(void *arg, struct fl_str bytes) {
    struct request *request = arg;
    struct fl_listwatch *lw = request->lw;
    if (!current(request)) return;
    fl_metric_add(lw->counters.bytes, (int64_t)bytes.n);
    fl_reflector_data(lw->reflector, fl_io_now_ms(lw->io), bytes);
    count_events(lw);
    step(lw);
}

static void on_close(void *arg, const struct fl_error *why) {
    struct request *request = arg;
    struct fl_listwatch *lw = request->lw;
    bool heard = current(request);
    if (lw->request == request) lw->request = NULL;
    fl_free(request);
    lw->requests_open--;
    if (heard) {
        fl_reflector_closed(lw->reflector, fl_io_now_ms(lw->io), why);
        step(lw);
    } else if (lw->closing && lw->requests_open == 0) {
        fl_io_defer(lw->io, &lw->task);
    }
}

static const struct fl_kube_request_events request_events = {
    .on_response = on_response,
    .on_data = on_data,
    .on_close = on_close,
};

/* --- driving --- */

static void let_go(struct fl_listwatch *lw) {
    if (lw->request) fl_kube_request_cancel(lw->request->kube);
    lw->request = NULL;
}

static int request_start(struct fl_listwatch *lw, const struct fl_reflector_request *what,
                         struct fl_error *err) {
    struct request *request = FL_NEW(struct request);
    if (!request) return fl_fail_nomem(err);
    request->lw = lw;
    int rc = fl_kube_client_get(lw->client, what->path, what->accept, &request_events, request,
                                &request->kube, err);
    if (rc < 0) {
        fl_free(request);
        return rc;
    }
    lw->request = request;
    lw->requests_open++;
    return FL_OK;
}

static void step(struct fl_listwatch *lw) {
    struct fl_reflector_request what;
    enum fl_reflector_action action;
    struct fl_error err;
    uint64_t now_ms = fl_io_now_ms(lw->io);
    while (!lw->closing &&
           (action = fl_reflector_next(lw->reflector, now_ms, &what)) != FL_REFLECTOR_WAIT) {
        if (action == FL_REFLECTOR_CANCEL)
            let_go(lw);
        else if (request_start(lw, &what, &err) < 0)
            fl_reflector_closed(lw->reflector, now_ms, &err);
    }
    if (!lw->closing) fl_io_timer_set(lw->io, &lw->timer, fl_reflector_deadline_ms(lw->reflector));
}

static void on_timer(struct fl_timer *timer) {
    step(FL_CONTAINER(timer, struct fl_listwatch, timer));
}

/* --- life --- */

static void lw_free(struct fl_listwatch *lw) {
    if (!lw) return;
    fl_io_timer_deinit(lw->io, &lw->timer);
    fl_reflector_free(lw->reflector);
    fl_kube_store_free(lw->store);
    fl_free(lw);
}

static void on_task(struct fl_task *task) {
    struct fl_listwatch *lw = FL_CONTAINER(task, struct fl_listwatch, task);
    if (!lw->closing) {
        step(lw);
    } else if (lw->requests_open == 0) {
        void (*done)(void *) = lw->done;
        void *arg = lw->done_arg;
        lw_free(lw);
        done(arg);
    }
}

static int make_parts(struct fl_listwatch *lw, const struct fl_listwatch_options *options) {
    uint64_t seed = fl_random_u64(&lw->io->jitter);
    int rc = fl_kube_store_new(seed, on_change, lw, &lw->store);
    if (rc < 0) return rc;
    const struct fl_reflector_options reflector = {
        .kind = options->kind,
        .ns = options->ns,
        .label_selector = options->label_selector,
        .field_selector = options->field_selector,
        .store = lw->store,
        .seed = fl_random_u64(&lw->io->jitter),
    };
    return fl_reflector_new(&reflector, &reflector_events, lw, &lw->reflector);
}

int fl_listwatch_new(struct fl_io *io, const struct fl_listwatch_options *options,
                     const struct fl_listwatch_events *events, void *arg, struct fl_listwatch **out,
                     struct fl_error *err) {
    struct fl_listwatch *lw = FL_NEW(struct fl_listwatch);
    *out = NULL;
    if (!lw) return fl_fail_nomem(err);
    lw->io = io;
    lw->client = options->client;
    lw->events = events;
    lw->arg = arg;
    lw->kind = options->kind;
    lw->began_ms = fl_io_now_ms(io);
    fl_task_init(&lw->task, on_task);
    if (fl_io_timer_init(io, &lw->timer, on_timer) < 0 || make_parts(lw, options) < 0) goto fail;
    counters_init(lw);
    fl_io_defer(io, &lw->task);
    *out = lw;
    return FL_OK;
fail:
    lw_free(lw);
    return fl_fail_nomem(err);
}

void fl_listwatch_close(struct fl_listwatch *lw, void (*done)(void *arg), void *arg) {
    FL_ASSERT(!lw->closing);
    lw->closing = true;
    lw->done = done;
    lw->done_arg = arg;
    fl_io_timer_clear(lw->io, &lw->timer);
    let_go(lw);
    if (lw->requests_open == 0) fl_io_defer(lw->io, &lw->task);
}

const struct fl_kube_store *fl_listwatch_store(const struct fl_listwatch *lw) { return lw->store; }

bool fl_listwatch_synced(const struct fl_listwatch *lw) {
    return fl_reflector_synced(lw->reflector);
}

uint64_t fl_listwatch_version(const struct fl_listwatch *lw) {
    return fl_kube_store_version(fl_str_of(fl_reflector_position(lw->reflector)));
}

/* A connection that answers PINGs with the watch open on it would have delivered what changed. */
uint64_t fl_listwatch_proof_ms(const struct fl_listwatch *lw) {
    uint64_t proof_ms = fl_reflector_proof_ms(lw->reflector);
    if (!lw->request || !fl_reflector_watching(lw->reflector)) return proof_ms;
    return FL_MAX(proof_ms, fl_kube_request_last_read_ms(lw->request->kube));
}

uint64_t fl_listwatch_stale_ms(const struct fl_listwatch *lw) {
    uint64_t now_ms = fl_io_now_ms(lw->io), proof_ms = fl_listwatch_proof_ms(lw);
    uint64_t fresh_until_ms = FL_MAX(proof_ms, lw->began_ms) + FRESH_MS;
    return now_ms > fresh_until_ms ? now_ms - fresh_until_ms : 0;
}
