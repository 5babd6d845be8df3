/* listwatch.c - see listwatch.h.
 *
 * A thin shell: two machines in two lanes, the reflector and beside it the audit, which hears where
 * the watch is and may want a relist. */
#include "kube/listwatch.h"

#include <fairlead/discovery.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kube/audit.h"
#include "kube/lane.h"
#include "kube/listwatch_metrics.h"
#include "kube/resource.h"

#define STALE_MS 5000 /* how often the gauge of staleness grows */

struct fl_listwatch {
    struct fl_io *io;
    struct fl_kube_server *server;
    const struct fl_listwatch_events *events;
    void *arg;
    enum fl_k8s_kind kind;
    char *ns, *service; /* for log lines */
    struct fl_kube_store *store;
    struct fl_reflector *reflector;
    struct fl_audit *audit;
    struct fl_lane sync_lane, audit_lane;
    struct fl_outage_waiter waiter;
    struct fl_timer stale_timer;
    struct fl_task task; /* the first step, or the end */
    struct fl_listwatch_metrics metrics;
    uint64_t counted_events, began_ms;
    int trouble_code;
    bool joined, closing;
    unsigned busy_lanes; /* while closing */
    void (*done)(void *arg);
    void *done_arg;
};

/* --- logging --- */

/* What every line says of it. */
#define ABOUT(lw)                                                                                  \
    FL_LOG_TEXT_OF("service", (lw)->service), FL_LOG_TEXT_OF("namespace", (lw)->ns),               \
        FL_LOG_TEXT_OF("resource", fl_resource_name((lw)->kind))

static enum fl_log_level level_of(enum fl_reflector_note what) {
    switch (what) {
    case FL_REFLECTOR_RESTORED:
    case FL_REFLECTOR_RELIST_OLDER:
    case FL_REFLECTOR_RELIST_DOUBTED:
    case FL_REFLECTOR_RELIST_AUDIT:
    case FL_REFLECTOR_RELIST_SILENT:
    case FL_REFLECTOR_STREAM_UNENDED:
    case FL_REFLECTOR_WATCH_STALLED:
        return FL_LOG_WARN;
    case FL_REFLECTOR_WATCH_RESUME:
    case FL_REFLECTOR_RETRY:
        return FL_LOG_DEBUG; /* a retry's trouble has its own line */
    default:
        return FL_LOG_INFO;
    }
}

static void log_trouble(struct fl_listwatch *lw, const struct fl_error *why) {
    enum fl_log_level level = why->code == lw->trouble_code ? FL_LOG_DEBUG : FL_LOG_WARN;
    if (why->code == FL_OK)
        FL_LOG(lw->io, FL_LOG_INFO, "kubernetes API server answers again", ABOUT(lw));
    else
        FL_LOG(lw->io, level, "kubernetes request failed and is made again", ABOUT(lw),
               FL_LOG_ERROR_OF(why));
    lw->trouble_code = why->code;
}

/* An audit that agrees or fails is nothing that anybody waits for. */
static void log_audit(struct fl_listwatch *lw, const struct fl_audit_result *result) {
    const size_t *differences = result->differences;
    enum fl_log_level level =
        result->outcome == FL_AUDIT_REPAIRED || result->outcome == FL_AUDIT_DIVERGED ? FL_LOG_WARN
                                                                                     : FL_LOG_DEBUG;
    FL_LOG(lw->io, level, "kubernetes audit", ABOUT(lw),
           FL_LOG_TEXT_OF("outcome", fl_audit_outcome_name(result->outcome)),
           FL_LOG_INT("missing", differences[FL_KUBE_MISSING]),
           FL_LOG_INT("extra", differences[FL_KUBE_EXTRA]),
           FL_LOG_INT("older", differences[FL_KUBE_OLDER]),
           FL_LOG_INT("newer", differences[FL_KUBE_NEWER]), FL_LOG_ERROR_OF(&result->why));
}

/* --- the reflector's events --- */

static void on_synced(void *arg) {
    struct fl_listwatch *lw = arg;
    FL_LOG(lw->io, FL_LOG_INFO, "kubernetes list complete", ABOUT(lw),
           FL_LOG_INT("objects", fl_kube_store_count(lw->store)),
           FL_LOG_TEXT_OF("version", fl_reflector_position(lw->reflector)));
    if (!lw->closing) lw->events->on_synced(lw->arg);
}

static void on_trouble(void *arg, const struct fl_error *why) {
    struct fl_listwatch *lw = arg;
    if (lw->closing) return;
    if (why->code == FL_EFULL || why->code == FL_ETOO_LARGE) fl_metric_add(lw->metrics.full, 1);
    log_trouble(lw, why);
    lw->events->on_trouble(lw->arg, why);
}

static void on_note(void *arg, enum fl_reflector_note what) {
    struct fl_listwatch *lw = arg;
    fl_metric_add(lw->metrics.notes[what], 1);
    FL_LOG(lw->io, level_of(what), "kubernetes reflector", ABOUT(lw),
           FL_LOG_TEXT_OF("what", fl_reflector_note_name(what)),
           FL_LOG_TEXT_OF("version", fl_reflector_position(lw->reflector)));
    if (lw->events->on_note && !lw->closing) lw->events->on_note(lw->arg, what);
}

static void on_round(void *arg, const struct fl_reflector_round *round) {
    struct fl_listwatch *lw = arg;
    fl_listwatch_metrics_round(&lw->metrics, round);
}

static const struct fl_reflector_events reflector_events = {
    .on_synced = on_synced,
    .on_trouble = on_trouble,
    .on_note = on_note,
    .on_round = on_round,
};

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct fl_listwatch *lw = arg;
    return lw->closing ? FL_OK : lw->events->on_change(lw->arg, old, now);
}

/* --- lanes --- */

static void count_events(struct fl_listwatch *lw) {
    uint64_t count = fl_reflector_event_count(lw->reflector);
    fl_metric_add(lw->metrics.events, (int64_t)(count - lw->counted_events));
    lw->counted_events = count;
    fl_metric_set(lw->metrics.version, (int64_t)fl_listwatch_version(lw));
}

static enum fl_reflector_action sync_next(void *arg, uint64_t now_ms,
                                          struct fl_reflector_request *out) {
    struct fl_listwatch *lw = arg;
    enum fl_reflector_action action = fl_reflector_next(lw->reflector, now_ms, out);
    if (action == FL_REFLECTOR_SEND) fl_listwatch_metrics_request(&lw->metrics, out);
    return action;
}

static uint64_t sync_deadline_ms(void *arg) {
    return fl_reflector_deadline_ms(((struct fl_listwatch *)arg)->reflector);
}

static void sync_response(void *arg, uint64_t now_ms, const struct fl_http_response *head) {
    struct fl_listwatch *lw = arg;
    fl_reflector_response(lw->reflector, now_ms, head->status,
                          fl_http_header_get(head->headers, FL_STR("content-type")),
                          fl_http_header_get(head->headers, FL_STR("retry-after")));
}

static void sync_data(void *arg, uint64_t now_ms, struct fl_str bytes) {
    struct fl_listwatch *lw = arg;
    fl_metric_add(lw->metrics.bytes, (int64_t)bytes.n);
    fl_reflector_data(lw->reflector, now_ms, bytes);
    count_events(lw);
}

static void sync_closed(void *arg, uint64_t now_ms, const struct fl_error *why) {
    struct fl_listwatch *lw = arg;
    fl_reflector_closed(lw->reflector, now_ms, why);
    count_events(lw);
}

static enum fl_reflector_action audit_next(void *arg, uint64_t now_ms,
                                           struct fl_reflector_request *out) {
    struct fl_listwatch *lw = arg;
    const struct fl_audit_view view = {
        .watching = fl_reflector_watching(lw->reflector),
        .position = fl_str_of(fl_reflector_position(lw->reflector)),
    };
    return fl_audit_next(lw->audit, now_ms, &view, out);
}

static uint64_t audit_deadline_ms(void *arg) {
    return fl_audit_deadline_ms(((struct fl_listwatch *)arg)->audit);
}

static void audit_response(void *arg, uint64_t now_ms, const struct fl_http_response *head) {
    struct fl_listwatch *lw = arg;
    fl_audit_response(lw->audit, now_ms, head->status,
                      fl_http_header_get(head->headers, FL_STR("content-type")));
}

static void audit_data(void *arg, uint64_t now_ms, struct fl_str bytes) {
    struct fl_listwatch *lw = arg;
    fl_metric_add(lw->metrics.bytes, (int64_t)bytes.n);
    fl_audit_data(lw->audit, now_ms, bytes);
}

static void audit_closed(void *arg, uint64_t now_ms, const struct fl_error *why) {
    fl_audit_closed(((struct fl_listwatch *)arg)->audit, now_ms, why);
}

static void on_audit(void *arg, const struct fl_audit_result *result) {
    struct fl_listwatch *lw = arg;
    fl_listwatch_metrics_audit(&lw->metrics, result);
    log_audit(lw, result);
    if (result->outcome != FL_AUDIT_DIVERGED) return;
    fl_reflector_relist(lw->reflector, fl_io_now_ms(lw->io));
    fl_lane_step(&lw->sync_lane);
}

static void idle(void *arg) {
    struct fl_listwatch *lw = arg;
    if (--lw->busy_lanes == 0) fl_io_defer(lw->io, &lw->task);
}

static const struct fl_lane_machine sync_machine = {
    .next = sync_next,
    .deadline_ms = sync_deadline_ms,
    .response = sync_response,
    .data = sync_data,
    .closed = sync_closed,
    .idle = idle,
};

static const struct fl_lane_machine audit_machine = {
    .next = audit_next,
    .deadline_ms = audit_deadline_ms,
    .response = audit_response,
    .data = audit_data,
    .closed = audit_closed,
    .idle = idle,
};

static void on_outage_over(struct fl_outage_waiter *waiter, uint64_t at_ms) {
    struct fl_listwatch *lw = FL_CONTAINER(waiter, struct fl_listwatch, waiter);
    fl_reflector_wake(lw->reflector, at_ms);
    fl_lane_rearm(&lw->sync_lane);
}

/* --- staleness --- */

/* A connection that answers PINGs with the watch open on it would have delivered what changed. */
uint64_t fl_listwatch_proof_ms(const struct fl_listwatch *lw) {
    uint64_t proof_ms = fl_reflector_proof_ms(lw->reflector);
    if (!fl_reflector_watching(lw->reflector)) return proof_ms;
    return FL_MAX(proof_ms, fl_lane_last_read_ms(&lw->sync_lane));
}

uint64_t fl_listwatch_fresh_until_ms(const struct fl_listwatch *lw) {
    return FL_MAX(fl_listwatch_proof_ms(lw), lw->began_ms) + FL_FRESH_MS;
}

uint64_t fl_listwatch_stale_ms(const struct fl_listwatch *lw) {
    uint64_t now_ms = fl_io_now_ms(lw->io), until_ms = fl_listwatch_fresh_until_ms(lw);
    return now_ms > until_ms ? now_ms - until_ms : 0;
}

static void on_stale_timer(struct fl_timer *timer) {
    struct fl_listwatch *lw = FL_CONTAINER(timer, struct fl_listwatch, stale_timer);
    uint64_t stale_ms = fl_listwatch_stale_ms(lw);
    fl_metric_set(lw->metrics.stale_ms, (int64_t)stale_ms);
    fl_io_timer_set(lw->io, timer,
                    FL_MAX(fl_listwatch_fresh_until_ms(lw) + 1, fl_io_now_ms(lw->io) + STALE_MS));
}

/* --- life --- */

static void lw_free(struct fl_listwatch *lw) {
    if (!lw) return;
    if (lw->joined) fl_outage_leave(&lw->server->outage, &lw->waiter);
    fl_io_timer_deinit(lw->io, &lw->stale_timer);
    fl_lane_deinit(&lw->sync_lane);
    fl_lane_deinit(&lw->audit_lane);
    fl_audit_free(lw->audit);
    fl_reflector_free(lw->reflector);
    fl_kube_store_free(lw->store);
    fl_free(lw->ns);
    fl_free(lw->service);
    fl_free(lw);
}

static void on_task(struct fl_task *task) {
    struct fl_listwatch *lw = FL_CONTAINER(task, struct fl_listwatch, task);
    if (!lw->closing) {
        fl_lane_step(&lw->sync_lane);
        fl_lane_step(&lw->audit_lane);
    } else if (lw->busy_lanes == 0) {
        void (*done)(void *) = lw->done;
        void *arg = lw->done_arg;
        lw_free(lw);
        done(arg);
    }
}

static int make_reflector(struct fl_listwatch *lw, const struct fl_listwatch_options *options) {
    const struct fl_reflector_options reflector = {
        .kind = options->kind,
        .ns = options->ns,
        .label_selector = options->label_selector,
        .field_selector = options->field_selector,
        .store = lw->store,
        .server = lw->server,
        .seed = fl_random_u64(&lw->io->jitter),
    };
    return fl_reflector_new(&reflector, &reflector_events, lw, &lw->reflector);
}

static int make_audit(struct fl_listwatch *lw, const struct fl_listwatch_options *options) {
    const struct fl_audit_options audit = {
        .kind = options->kind,
        .ns = options->ns,
        .label_selector = options->label_selector,
        .field_selector = options->field_selector,
        .store = lw->store,
        .server = lw->server,
        .interval_ms = options->audit_ms,
        .now_ms = lw->began_ms,
        .seed = fl_random_u64(&lw->io->jitter),
    };
    return fl_audit_new(&audit, on_audit, lw, &lw->audit);
}

static int make_parts(struct fl_listwatch *lw, const struct fl_listwatch_options *options) {
    int rc = fl_kube_store_new(fl_random_u64(&lw->io->jitter), on_change, lw, &lw->store);
    if (rc < 0 || (rc = make_reflector(lw, options)) < 0 || (rc = make_audit(lw, options)) < 0 ||
        (rc = fl_io_timer_init(lw->io, &lw->stale_timer, on_stale_timer)) < 0 ||
        (rc = fl_lane_init(&lw->sync_lane, lw->io, options->client, &sync_machine, lw)) < 0)
        return rc;
    return fl_lane_init(&lw->audit_lane, lw->io, options->client, &audit_machine, lw);
}

int fl_listwatch_new(struct fl_io *io, const struct fl_listwatch_options *options,
                     const struct fl_listwatch_events *events, void *arg, struct fl_listwatch **out,
                     struct fl_error *err) {
    struct fl_listwatch *lw = FL_NEW(struct fl_listwatch);
    *out = NULL;
    if (!lw) return fl_fail_nomem(err);
    lw->io = io;
    lw->server = fl_kube_client_server(options->client);
    lw->events = events;
    lw->arg = arg;
    lw->kind = options->kind;
    lw->began_ms = fl_io_now_ms(io);
    fl_task_init(&lw->task, on_task);
    lw->ns = fl_str_dup(options->ns.n ? options->ns : FL_STR("*"));
    lw->service = fl_str_dup(options->service);
    if (!lw->ns || !lw->service || make_parts(lw, options) < 0) goto fail;
    const struct fl_resource_scope scope = {options->kind, options->ns, options->label_selector,
                                            options->field_selector};
    fl_listwatch_metrics_init(&lw->metrics, io->metrics, &scope);
    fl_outage_join(&lw->server->outage, &lw->waiter, on_outage_over);
    lw->joined = true;
    fl_io_timer_set(io, &lw->stale_timer, lw->began_ms + FL_FRESH_MS + 1);
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
    fl_io_timer_clear(lw->io, &lw->stale_timer);
    fl_metric_set(lw->metrics.stale_ms, 0);
    lw->busy_lanes = !fl_lane_close(&lw->sync_lane) + !fl_lane_close(&lw->audit_lane);
    if (lw->busy_lanes == 0) fl_io_defer(lw->io, &lw->task);
}

void fl_listwatch_hurry(struct fl_listwatch *lw) {
    fl_reflector_hurry(lw->reflector, fl_io_now_ms(lw->io));
    fl_lane_rearm(&lw->sync_lane);
}

const struct fl_kube_store *fl_listwatch_store(const struct fl_listwatch *lw) { return lw->store; }

bool fl_listwatch_synced(const struct fl_listwatch *lw) {
    return fl_reflector_synced(lw->reflector);
}

uint64_t fl_listwatch_version(const struct fl_listwatch *lw) {
    return fl_kube_store_version(fl_str_of(fl_reflector_position(lw->reflector)));
}
