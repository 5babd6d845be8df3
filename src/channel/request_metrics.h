/* request_metrics.h - how long plain HTTP requests take, by OpenTelemetry's name and labels
 * (semantic conventions, HTTP client), as its Prometheus exporter writes them. The channel's loop.
 *
 * By method and outcome, not by path: what paths are templates of, only the caller knows. */
#ifndef FL_CHANNEL_REQUEST_METRICS_H
#define FL_CHANNEL_REQUEST_METRICS_H

#include "base/metrics.h"
#include "base/str.h"

/* The series that was needed last; zeroed: none. */
struct fl_request_metrics {
    struct fl_metric *series;
    const char *method;
    int outcome;
};

/* `outcome`: the status, or the negative code of why there is none. */
void fl_request_measure(struct fl_request_metrics *m, struct fl_metrics *metrics,
                        const char *target, struct fl_str method, int outcome, double seconds);

#endif
