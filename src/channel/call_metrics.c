/* call_metrics.c - see call_metrics.h.
 *
 * The clock is read as rarely as can be: a unary call that is sent at once and answered reads it
 * when it begins and when its stream ends. */
#include "channel/call_metrics.h"

#include <stdio.h>

#include "base/alloc.h"
#include "channel/call.h"
#include "channel/service_config.h"
#include "channel/state.h"

#define STATUSES   (FL_STATUS_UNAUTHENTICATED + 1)
#define LABELS_MAX 512
#define METHOD_MAX ((size_t)200) /* longer ones are "other" */
#define TARGET_MAX ((size_t)200) /* longer ones are cut */

/* What is observed by status. */
enum { CALL_SECONDS, ATTEMPT_SECONDS, SENT_BYTES, RECEIVED_BYTES, OBSERVED };

static const struct {
    const char *name, *help;
} observed[OBSERVED] = {
    [CALL_SECONDS] = {"grpc_client_call_duration_seconds",
                      "Time from the start of a call to its end."},
    [ATTEMPT_SECONDS] = {"grpc_client_attempt_duration_seconds",
                         "Time from an attempt's start to its end."},
    [SENT_BYTES] = {"grpc_client_attempt_sent_total_compressed_message_size_bytes",
                    "Bytes of the messages that an attempt sent, as they were on the wire."},
    [RECEIVED_BYTES] = {"grpc_client_attempt_rcvd_total_compressed_message_size_bytes",
                        "Bytes of the messages that an attempt received, as they were."},
};

struct fl_method_metrics {
    struct fl_metrics *metrics;
    struct fl_metric *started;
    struct fl_metric *series[STATUSES][OBSERVED]; /* NULL: not needed yet */
    struct fl_str method;                         /* in labels */
    char labels[];                                /* "grpc_method=…,grpc_target=…" */
};

/* --- methods --- */

static struct fl_method_metrics *method_new(const struct fl_call_metrics *all,
                                            struct fl_str method) {
    static const char key[] = "grpc_method=";
    size_t size = sizeof(key) + method.n + strlen(",grpc_target=") + strlen(all->target);
    struct fl_method_metrics *m = fl_calloc(1, sizeof(*m) + size);
    if (!m) return NULL;
    m->metrics = all->metrics;
    snprintf(m->labels, size, "%s%.*s,grpc_target=%s", key, FL_STR_ARG(method), all->target);
    m->method = fl_str_n(m->labels + sizeof(key) - 1, method.n);
    for (size_t i = 0; i < method.n; i++) { /* a comma would end the label */
        if (m->method.p[i] == ',') m->labels[sizeof(key) - 1 + i] = ';';
    }
    m->started =
        fl_metrics_get(all->metrics, FL_METRIC_COUNTER, "grpc_client_attempt_started_total",
                       "Attempts started.", m->labels);
    return m;
}

static struct fl_method_metrics *find(struct fl_call_metrics *all, struct fl_str method) {
    struct fl_method_metrics *m = fl_map_get(&all->methods, method);
    if (m) return m;
    bool full = fl_map_count(&all->methods) >= FL_CALL_METRICS_METHODS_MAX;
    if ((full || method.n > METHOD_MAX) && !fl_str_eq(method, FL_STR("other")))
        return find(all, FL_STR("other"));
    m = method_new(all, method);
    if (!m || fl_map_set(&all->methods, method, m, NULL) == 0) return m;
    fl_free(m);
    return NULL;
}

struct fl_method_metrics *fl_call_metrics_get(struct fl_call_metrics *all, struct fl_str method) {
    if (!all->last || !fl_str_eq(all->last->method, method)) all->last = find(all, method);
    return all->last;
}

int fl_call_metrics_init(struct fl_call_metrics *all, struct fl_metrics *metrics,
                         const char *target) {
    all->metrics = metrics;
    all->last = NULL;
    fl_map_init(&all->methods, (uint64_t)(uintptr_t)all);
    all->target = fl_str_dup(fl_str_n(target, FL_MIN(strlen(target), TARGET_MAX)));
    if (!all->target) return FL_ENOMEM;
    for (char *c = all->target; (c = strchr(c, ','));) *c = ';';
    return 0;
}

void fl_call_metrics_deinit(struct fl_call_metrics *all) {
    struct fl_str key;
    void *method;
    for (size_t cursor = 0; fl_map_next(&all->methods, &cursor, &key, &method);) fl_free(method);
    fl_map_deinit(&all->methods);
    fl_free(all->target);
}

/* --- what happens --- */

static void observe(struct fl_method_metrics *m, enum fl_status status, int what, double value) {
    struct fl_metric **series = &m->series[status][what];
    if (!*series) {
        char labels[LABELS_MAX];
        snprintf(labels, sizeof(labels), "%s,grpc_status=%s", m->labels, fl_status_name(status));
        *series = fl_metrics_get(m->metrics, FL_METRIC_HISTOGRAM, observed[what].name,
                                 observed[what].help, labels);
    }
    fl_metric_observe(*series, value);
}

/* Rare, and only when there is something to tell (gRFC A96). */
static void observe_rare(const struct fl_method_metrics *m, const char *name, const char *help,
                         double value) {
    if (value > 0)
        fl_metric_observe(fl_metrics_get(m->metrics, FL_METRIC_HISTOGRAM, name, help, m->labels),
                          value);
}

static double seconds(uint64_t from_us, uint64_t to_us) { return (double)(to_us - from_us) / 1e6; }

void fl_attempt_measure_start(struct fl_attempt *attempt) {
    const struct fl_method_metrics *m = attempt->call->metrics;
    if (m) fl_metric_add(m->started, 1);
}

static enum fl_status status_of(struct fl_attempt *attempt, const struct fl_error *why,
                                uint32_t h2_code) {
    struct fl_call_result result;
    struct fl_error cause;
    if (attempt->call->decided) return attempt->call->status;
    if (why->code == FL_OK && attempt->reply.grpc_status == FL_STATUS_OK) return FL_STATUS_OK;
    fl_reply_result(&attempt->reply, why, h2_code, &cause, &result);
    return result.status;
}

/* Without the prefixes of its messages. */
static uint64_t sent_bytes(const struct fl_attempt *attempt) {
    uint64_t framed = attempt->sent + attempt->straight;
    uint64_t prefixes = (uint64_t)attempt->call->messages * FL_GRPC_PREFIX;
    return framed > prefixes ? framed - prefixes : 0;
}

static void measure_first_call(const struct fl_attempt *attempt) {
    struct fl_subchannel *sub = attempt->sub;
    if (!sub->event_us || !fl_reply_heard(&attempt->reply)) return;
    fl_metric_observe(sub->connector->metrics.first_call_us,
                      (double)(attempt->call->ended_us - sub->event_us));
    sub->event_us = 0;
}

void fl_attempt_measure_end(struct fl_attempt *attempt, const struct fl_error *why,
                            uint32_t h2_code) {
    struct fl_call *call = attempt->call;
    call->ended_us = fl_io_now_us(call->channel->io);
    measure_first_call(attempt);
    if (!call->metrics) return;
    enum fl_status status = status_of(attempt, why, h2_code);
    observe(call->metrics, status, ATTEMPT_SECONDS, seconds(attempt->began_us, call->ended_us));
    observe(call->metrics, status, SENT_BYTES, (double)sent_bytes(attempt));
    observe(call->metrics, status, RECEIVED_BYTES, (double)attempt->reply.message_bytes);
}

static void measure_retries(const struct fl_call *call) {
    const struct fl_method_metrics *m = call->metrics;
    unsigned further = call->tries > 1 ? call->tries - 1 : 0;
    bool hedged = call->config && call->config->hedging.attempts_max > 0;
    observe_rare(m, "grpc_client_call_transparent_retries",
                 "Attempts of a call that no server processed.", call->retries);
    observe_rare(m, "grpc_client_call_hedges", "Hedges of a call.", hedged ? further : 0);
    observe_rare(m, "grpc_client_call_retries", "Retries of a call by its policy.",
                 hedged ? 0 : further);
    observe_rare(m, "grpc_client_call_retry_delay_seconds",
                 "Time between a call's attempts, while none was under way.",
                 (double)call->between_us / 1e6);
}

uint64_t fl_call_measure_end(struct fl_call *call, enum fl_status status) {
    bool fresh = !call->streaming && !call->decided; /* its stream ended just now */
    uint64_t now_us = fresh ? call->ended_us : fl_io_now_us(call->channel->io);
    call->ended_us = now_us;
    if (!call->metrics) return now_us;
    observe(call->metrics, status, CALL_SECONDS, seconds(call->began_us, now_us));
    if (call->retries > 0 || call->tries > 1) measure_retries(call);
    return now_us;
}
