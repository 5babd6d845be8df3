/* metrics.h - counters, gauges and histograms, and their Prometheus text.
 *
 * A series is one struct fl_metric, made once by name and labels and then changed without a lock
 * (relaxed atomics), from any thread; making the same one again gives the same series. A registry
 * holds a bounded number of series: beyond it everybody gets one shared overflow series, counted
 * under fairlead_metrics_overflow_total. Names end in their unit (_total, _ms, _bytes). */
#ifndef FL_BASE_METRICS_H
#define FL_BASE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"

struct fl_metrics;
struct fl_metric;

enum fl_metric_kind { FL_METRIC_COUNTER, FL_METRIC_GAUGE, FL_METRIC_HISTOGRAM };

FL_MUST int fl_metrics_new(size_t series_max, struct fl_metrics **out);
void fl_metrics_free(struct fl_metrics *metrics); /* NULL is allowed */

/* The series `name{labels}`; labels as "key=value,key=value" or "". Never NULL: without memory or
 * at the bound the overflow series. A name has one kind and one help text. Histograms use fixed
 * bounds in the unit given by the name: 1, 2, 5, 10, 20, 50 … 5,000,000, and of a name that ends in
 * _seconds 0.001, 0.002, 0.005 … 5,000. Not for hot paths. */
struct fl_metric *fl_metrics_get(struct fl_metrics *metrics, enum fl_metric_kind kind,
                                 const char *name, const char *help, const char *labels);
void fl_metric_add(struct fl_metric *metric, int64_t n);        /* counter: n >= 0; gauge: any */
void fl_metric_set(struct fl_metric *metric, int64_t value);    /* gauge */
void fl_metric_observe(struct fl_metric *metric, double value); /* histogram */
int64_t fl_metric_value(const struct fl_metric *metric); /* counter, gauge; histogram: count */

/* Appends the exposition format, sorted by name and labels. FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_metrics_write(struct fl_metrics *metrics, struct fl_buf *out);

#endif
