/* listwatch_metrics.c - see listwatch_metrics.h. */
#include "kube/listwatch_metrics.h"

#include <stdio.h>

#define SHORT_MS   1000
#define LABELS_MAX 768

/* One registry and one resource, to make series of. */
struct maker {
    struct fl_metrics *metrics;
    const char *resource;
};

static struct fl_metric *make(const struct maker *maker, enum fl_metric_kind kind, const char *name,
                              const char *help) {
    char labels[64];
    snprintf(labels, sizeof(labels), "name=%s", maker->resource);
    return fl_metrics_get(maker->metrics, kind, name, help, labels);
}

static struct fl_metric *make_counter(const struct maker *maker, const char *name, const char *help,
                                      const char *key, const char *value) {
    char labels[128];
    snprintf(labels, sizeof(labels), "resource=%s%s%s%s%s", maker->resource, key ? "," : "",
             key ? key : "", key ? "=" : "", key ? value : "");
    return fl_metrics_get(maker->metrics, FL_METRIC_COUNTER, name, help, labels);
}

static void make_client_go(struct fl_listwatch_metrics *m, const struct maker *maker) {
    m->lists = make(maker, FL_METRIC_COUNTER, "reflector_lists_total",
                    "Total number of API lists done by the reflectors");
    m->list_seconds = make(maker, FL_METRIC_HISTOGRAM, "reflector_list_duration_seconds",
                           "How long an API list takes to return and decode for the reflectors");
    m->list_items = make(maker, FL_METRIC_HISTOGRAM, "reflector_items_per_list",
                         "How many items an API list returns to the reflectors");
    m->watches = make(maker, FL_METRIC_COUNTER, "reflector_watches_total",
                      "Total number of API watches done by the reflectors");
    m->short_watches = make(maker, FL_METRIC_COUNTER, "reflector_short_watches_total",
                            "Total number of short API watches done by the reflectors");
    m->watch_seconds = make(maker, FL_METRIC_HISTOGRAM, "reflector_watch_duration_seconds",
                            "How long an API watch takes to return and decode for the reflectors");
    m->watch_items = make(maker, FL_METRIC_HISTOGRAM, "reflector_items_per_watch",
                          "How many items an API watch returns to the reflectors");
}

static void make_gauges(struct fl_listwatch_metrics *m, const struct maker *maker,
                        const struct fl_resource_scope *scope) {
    char labels[LABELS_MAX];
    struct fl_str selector =
        scope->label_selector.n ? scope->label_selector : scope->field_selector;
    snprintf(labels, sizeof(labels), "name=%s,namespace=%.*s,selector=%.*s", maker->resource,
             FL_STR_ARG(scope->ns), FL_STR_ARG(selector));
    m->version = fl_metrics_get(maker->metrics, FL_METRIC_GAUGE, "reflector_last_resource_version",
                                "Last resource version seen for the reflectors", labels);
    m->stale_ms = fl_metrics_get(maker->metrics, FL_METRIC_GAUGE, "fairlead_reflector_stale_ms",
                                 "Time without proof that what is known is current", labels);
}

static bool is_relist(enum fl_reflector_note what) {
    return fl_str_starts(fl_str_of(fl_reflector_note_name(what)), FL_STR("relist_"));
}

static void make_notes(struct fl_listwatch_metrics *m, const struct maker *maker) {
    for (int i = 0; i < FL_REFLECTOR_NOTES; i++) {
        enum fl_reflector_note what = (enum fl_reflector_note)i;
        const char *name = fl_reflector_note_name(what);
        m->notes[i] = is_relist(what)
                          ? make_counter(maker, "fairlead_reflector_relists_total",
                                         "Lists because of what was found or answered, by cause",
                                         "cause", name + strlen("relist_"))
                          : make_counter(maker, "fairlead_reflector_notes_total",
                                         "Other decisions of the reflectors", "what", name);
    }
}

static void make_audit(struct fl_listwatch_metrics *m, const struct maker *maker) {
    static const char *const kinds[] = {
#define FL_X(name, label) label,
        FL_KUBE_DIFFERENCE_MAP(FL_X)
#undef FL_X
    };
    for (int i = 0; i < FL_AUDIT_OUTCOMES; i++)
        m->audits[i] = make_counter(maker, "fairlead_audits_total", "Audits, by how they ended",
                                    "outcome", fl_audit_outcome_name((enum fl_audit_outcome)i));
    for (int i = 0; i < FL_KUBE_DIFFERENCES; i++)
        m->repairs[i] = make_counter(maker, "fairlead_audit_repairs_total",
                                     "Objects that an audit found to differ", "kind", kinds[i]);
}

void fl_listwatch_metrics_init(struct fl_listwatch_metrics *m, struct fl_metrics *metrics,
                               const struct fl_resource_scope *scope) {
    const struct maker maker = {metrics, fl_resource_name(scope->kind)};
    make_client_go(m, &maker);
    make_gauges(m, &maker, scope);
    make_notes(m, &maker);
    make_audit(m, &maker);
    m->events = make_counter(&maker, "fairlead_kube_events_total",
                             "Objects and events read from lists and watches", NULL, NULL);
    m->bytes = make_counter(&maker, "fairlead_kube_read_bytes",
                            "Bytes of lists, watches and audits read", NULL, NULL);
    m->full =
        make_counter(&maker, "fairlead_kube_full_total",
                     "Requests refused and answers given up at a bound of this side", NULL, NULL);
}

void fl_listwatch_metrics_request(struct fl_listwatch_metrics *m,
                                  const struct fl_reflector_request *request) {
    if (request->begins_list) fl_metric_add(m->lists, 1);
    if (request->begins_watch) fl_metric_add(m->watches, 1);
}

void fl_listwatch_metrics_round(struct fl_listwatch_metrics *m,
                                const struct fl_reflector_round *round) {
    if (!round->complete) return;
    double seconds = (double)round->ms / 1000;
    fl_metric_observe(round->watch ? m->watch_seconds : m->list_seconds, seconds);
    fl_metric_observe(round->watch ? m->watch_items : m->list_items, (double)round->items);
    if (round->watch && round->ms < SHORT_MS && round->items == 0)
        fl_metric_add(m->short_watches, 1);
}

void fl_listwatch_metrics_audit(struct fl_listwatch_metrics *m,
                                const struct fl_audit_result *result) {
    fl_metric_add(m->audits[result->outcome], 1);
    for (int i = 0; i < FL_KUBE_DIFFERENCES; i++)
        fl_metric_add(m->repairs[i], (int64_t)result->differences[i]);
}
