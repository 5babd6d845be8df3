/* request_metrics.c - see request_metrics.h. Most requests of a channel come to the same: its
 * series is looked up again only when another outcome comes between. */
#include "channel/request_metrics.h"

#include <fairlead/error.h>
#include <stdio.h>

#define LABELS_MAX 512

/* "If the HTTP request method is not known to instrumentation, it MUST set the attribute to
 * _OTHER." */
static const char *known_method(struct fl_str method) {
    static const char *const known[] = {"GET",    "HEAD",    "POST",  "PUT",
                                        "DELETE", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < FL_COUNT(known); i++) {
        if (fl_str_eq(method, fl_str_of(known[i]))) return known[i];
    }
    return "_OTHER";
}

static struct fl_metric *series_of(struct fl_metrics *metrics, const char *target,
                                   const char *method, int outcome) {
    char labels[LABELS_MAX], status[64] = "", error[64] = "";
    if (outcome > 0) snprintf(status, sizeof(status), ",http_response_status_code=%d", outcome);
    if (outcome >= 400)
        snprintf(error, sizeof(error), ",error_type=%d", outcome);
    else if (outcome <= 0)
        snprintf(error, sizeof(error), ",error_type=%s", fl_error_name(outcome));
    snprintf(labels, sizeof(labels), "http_request_method=%s,server_address=%s%s%s", method, target,
             status, error);
    return fl_metrics_get(metrics, FL_METRIC_HISTOGRAM, "http_client_request_duration_seconds",
                          "Time from the start of a request to the end of its response.", labels);
}

void fl_request_measure(struct fl_request_metrics *m, struct fl_metrics *metrics,
                        const char *target, struct fl_str method, int outcome, double seconds) {
    const char *known = known_method(method);
    if (m->method != known || m->outcome != outcome)
        *m =
            (struct fl_request_metrics){series_of(metrics, target, known, outcome), known, outcome};
    fl_metric_observe(m->series, seconds);
}
