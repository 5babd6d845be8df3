/* metrics.c - counters, gauges and histograms, and their Prometheus text.
 *
 * A registry is a map from name and labels to series and one from name to what HELP and TYPE say,
 * both behind a lock that making a series and writing them all take. Series never move and live as
 * long as the registry; changing one takes no lock.
 *
 * Histograms count in buckets of 1, 2, 5 in each decade from 1 to 5,000,000, the same for all: up
 * to 83 minutes in _ms and _seconds, up to 5 s in _us, up to 5 MB in _bytes. The count that is
 * written is the sum of the buckets as read, so a written histogram is consistent while others
 * observe. */
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/escape.h"
#include "base/map.h"

static const uint32_t bounds[] = {1,     2,      5,      10,     20,      50,      100,
                                  200,   500,    1000,   2000,   5000,    10000,   20000,
                                  50000, 100000, 200000, 500000, 1000000, 2000000, 5000000};
#define BUCKETS (FL_COUNT(bounds) + 1) /* the last is without bound */

struct histogram {
    atomic_uint_fast64_t buckets[BUCKETS]; /* each on its own, not cumulated */
    atomic_int_fast64_t sum_milli;         /* thousandths */
};

/* What all series of a name have in common. */
struct family {
    enum fl_metric_kind kind;
    bool seconds; /* a histogram counts in milliseconds what is observed and written in seconds */
    char *name, *help;
};

struct fl_metric {
    const struct family *family;
    char *labels;                /* as they are written: a="b",c="d" */
    atomic_int_fast64_t value;   /* counter, gauge */
    struct histogram *histogram; /* NULL: none */
};

struct fl_metrics {
    pthread_mutex_t lock; /* of what follows */
    struct fl_map families, series;
    size_t series_max;
    struct fl_metric *overflow; /* takes every kind of change; is not written */
    struct fl_metric *overflow_total;
};

static void metric_free(struct fl_metric *metric) {
    if (!metric) return;
    fl_free(metric->labels);
    fl_free(metric->histogram);
    fl_free(metric);
}

static void family_free(struct family *family) {
    if (!family) return;
    fl_free(family->name);
    fl_free(family->help);
    fl_free(family);
}

/* Labels as they are written, from "key=value,key=value". */
static int render_labels(struct fl_buf *out, struct fl_str labels) {
    int rc = 0;
    while (labels.n && rc == 0) {
        struct fl_str pair, key, value;
        fl_str_split(labels, ',', &pair, &labels);
        fl_str_split(pair, '=', &key, &value);
        rc = fl_buf_printf(out, "%s%.*s=\"", out->len ? "," : "", FL_STR_ARG(key));
        while (value.n && rc == 0) {
            char piece[FL_ESCAPED_MAX];
            size_t n = fl_escape_next(&value, FL_ESCAPE_METRIC, piece);
            rc = fl_buf_append(out, fl_str_n(piece, n));
        }
        if (rc == 0) rc = fl_buf_byte(out, '"');
    }
    return rc;
}

static struct fl_metric *metric_new(const struct family *family, const char *labels,
                                    bool histogram) {
    struct fl_buf text;
    fl_buf_init(&text, SIZE_MAX);
    struct fl_metric *metric = FL_NEW(struct fl_metric);
    if (!metric || render_labels(&text, fl_str_of(labels)) < 0) goto fail;
    metric->family = family;
    metric->labels = fl_buf_steal_text(&text);
    if (histogram) metric->histogram = FL_NEW(struct histogram);
    if (!metric->labels || (histogram && !metric->histogram)) goto fail;
    fl_buf_deinit(&text);
    return metric;
fail:
    fl_buf_deinit(&text);
    metric_free(metric);
    return NULL;
}

static bool ends_in(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

/* The family of `name`, made if it is new; NULL without memory. A name has one kind: a bug of ours
 * otherwise. */
static struct family *family_get(struct fl_metrics *metrics, enum fl_metric_kind kind,
                                 const char *name, const char *help) {
    struct family *family = fl_map_get(&metrics->families, fl_str_of(name));
    if (family) {
        FL_ASSERT(family->kind == kind);
        return family;
    }
    family = FL_NEW(struct family);
    if (!family) return NULL;
    family->kind = kind;
    family->seconds = ends_in(name, "_seconds");
    family->name = fl_strdup(name);
    family->help = fl_strdup(help);
    if (family->name && family->help &&
        fl_map_set(&metrics->families, fl_str_of(name), family, NULL) == 0) {
        return family;
    }
    family_free(family);
    return NULL;
}

static struct fl_metric *series_make(struct fl_metrics *metrics, enum fl_metric_kind kind,
                                     const char *name, const char *help, const char *labels,
                                     struct fl_str key) {
    if (fl_map_count(&metrics->series) >= metrics->series_max) return NULL;
    const struct family *family = family_get(metrics, kind, name, help);
    struct fl_metric *metric =
        family ? metric_new(family, labels, kind == FL_METRIC_HISTOGRAM) : NULL;
    if (metric && fl_map_set(&metrics->series, key, metric, NULL) < 0) {
        metric_free(metric);
        return NULL;
    }
    return metric;
}

struct fl_metric *fl_metrics_get(struct fl_metrics *metrics, enum fl_metric_kind kind,
                                 const char *name, const char *help, const char *labels) {
    struct fl_buf key;
    fl_buf_init(&key, SIZE_MAX);
    struct fl_metric *metric = NULL;
    pthread_mutex_lock(&metrics->lock);
    if (fl_buf_printf(&key, "%s{%s", name, labels) == 0) {
        metric = fl_map_get(&metrics->series, fl_buf_str(&key));
        if (!metric) metric = series_make(metrics, kind, name, help, labels, fl_buf_str(&key));
    }
    pthread_mutex_unlock(&metrics->lock);
    fl_buf_deinit(&key);
    if (metric) {
        FL_ASSERT(metric->family->kind == kind);
        return metric;
    }
    fl_metric_add(metrics->overflow_total, 1);
    return metrics->overflow;
}

static void series_free_all(struct fl_metrics *metrics) {
    struct fl_str key;
    void *value;
    for (size_t cursor = 0; fl_map_next(&metrics->series, &cursor, &key, &value);) {
        metric_free(value);
    }
    fl_map_deinit(&metrics->series);
    for (size_t cursor = 0; fl_map_next(&metrics->families, &cursor, &key, &value);) {
        family_free(value);
    }
    fl_map_deinit(&metrics->families);
}

int fl_metrics_new(size_t series_max, struct fl_metrics **out) {
    static const struct family overflow_family = {.kind = FL_METRIC_GAUGE};
    *out = NULL;
    struct fl_metrics *metrics = FL_NEW(struct fl_metrics);
    if (!metrics) return FL_ENOMEM;
    pthread_mutex_init(&metrics->lock, NULL);
    fl_map_init(&metrics->families, (uint64_t)(uintptr_t)metrics);
    fl_map_init(&metrics->series, (uint64_t)(uintptr_t)metrics);
    metrics->series_max = 1; /* the one that is made here is not counted against the bound */
    metrics->overflow = metric_new(&overflow_family, "", true);
    if (!metrics->overflow) goto fail;
    const char *name = "fairlead_metrics_overflow_total";
    metrics->overflow_total =
        series_make(metrics, FL_METRIC_COUNTER, name,
                    "Series that were asked for and not made for want of room or memory.", "",
                    FL_STR("fairlead_metrics_overflow_total{"));
    if (!metrics->overflow_total) goto fail;
    metrics->series_max = series_max + 1;
    *out = metrics;
    return 0;
fail:
    fl_metrics_free(metrics);
    return FL_ENOMEM;
}

void fl_metrics_free(struct fl_metrics *metrics) {
    if (!metrics) return;
    series_free_all(metrics);
    metric_free(metrics->overflow);
    pthread_mutex_destroy(&metrics->lock);
    fl_free(metrics);
}

void fl_metric_add(struct fl_metric *metric, int64_t n) {
    FL_ASSERT(n >= 0 || metric->family->kind == FL_METRIC_GAUGE);
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void fl_metric_set(struct fl_metric *metric, int64_t value) {
    FL_ASSERT(metric->family->kind == FL_METRIC_GAUGE);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

/* The first bucket whose bound is not below `value`. */
static size_t bucket_of(double value) {
    size_t low = 0, high = FL_COUNT(bounds);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value <= bounds[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void fl_metric_observe(struct fl_metric *metric, double value) {
    struct histogram *histogram = metric->histogram;
    FL_ASSERT(histogram);
    if (!(value >= 0)) value = 0; /* no number counts as nothing */
    if (metric->family->seconds) value *= 1000;
    int64_t milli = (int64_t)(FL_MIN(value, 1e12) * 1000 + 0.5);
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_milli, milli, memory_order_relaxed);
}

int64_t fl_metric_value(const struct fl_metric *metric) {
    if (metric->family->kind != FL_METRIC_HISTOGRAM) {
        return atomic_load_explicit(&metric->value, memory_order_relaxed);
    }
    uint64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        count += atomic_load_explicit(&metric->histogram->buckets[i], memory_order_relaxed);
    }
    return (int64_t)count;
}

static int compare_series(const void *a, const void *b) {
    const struct fl_metric *left = *(const struct fl_metric *const *)a;
    const struct fl_metric *right = *(const struct fl_metric *const *)b;
    int order = strcmp(left->family->name, right->family->name);
    return order ? order : strcmp(left->labels, right->labels);
}

/* All series, sorted; *count of them. NULL without memory. */
static struct fl_metric **sorted_series(struct fl_metrics *metrics, size_t *count) {
    pthread_mutex_lock(&metrics->lock);
    size_t n = 0;
    struct fl_metric **all = fl_alloc(fl_map_count(&metrics->series) * sizeof(struct fl_metric *));
    struct fl_str key;
    void *value;
    for (size_t cursor = 0; all && fl_map_next(&metrics->series, &cursor, &key, &value);) {
        all[n++] = value;
    }
    pthread_mutex_unlock(&metrics->lock);
    if (all) qsort(all, n, sizeof(struct fl_metric *), compare_series);
    *count = n;
    return all;
}

static int write_head(const struct family *family, struct fl_buf *out) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    return fl_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                         family->name, kinds[family->kind]);
}

static int write_value(const struct fl_metric *metric, struct fl_buf *out) {
    const char *labels = metric->labels;
    return fl_buf_printf(out, "%s%s%s%s %lld\n", metric->family->name, *labels ? "{" : "", labels,
                         *labels ? "}" : "", (long long)fl_metric_value(metric));
}

static void write_bound(char *out, size_t size, uint32_t bound, bool seconds) {
    if (seconds && bound < 1000)
        snprintf(out, size, "0.%03u", (unsigned)bound);
    else
        snprintf(out, size, "%u", (unsigned)(seconds ? bound / 1000 : bound));
}

/* The sum is written by hand: printf's decimal point depends on the locale. */
static int write_histogram(const struct fl_metric *metric, struct fl_buf *out) {
    const char *name = metric->family->name, *labels = metric->labels;
    const char *comma = *labels ? "," : "", *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    const struct histogram *histogram = metric->histogram;
    bool seconds = metric->family->seconds;
    unsigned long long count = 0;
    int rc = 0;
    for (size_t i = 0; i < BUCKETS && rc == 0; i++) {
        char bound[16] = "+Inf";
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (i < FL_COUNT(bounds)) write_bound(bound, sizeof(bound), bounds[i], seconds);
        rc = fl_buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, comma, bound,
                           count);
    }
    long long milli = atomic_load_explicit(&histogram->sum_milli, memory_order_relaxed);
    if (rc < 0) return rc;
    long long one = seconds ? 1000000 : 1000;
    return fl_buf_printf(out, "%s_sum%s%s%s %lld.%0*lld\n%s_count%s%s%s %llu\n", name, open, labels,
                         close, milli / one, seconds ? 6 : 3, milli % one, name, open, labels,
                         close, count);
}

int fl_metrics_write(struct fl_metrics *metrics, struct fl_buf *out) {
    size_t count, before = out->len;
    struct fl_metric **all = sorted_series(metrics, &count);
    int rc = all ? 0 : FL_ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        bool first = i == 0 || all[i]->family != all[i - 1]->family;
        if (first) rc = write_head(all[i]->family, out);
        if (rc < 0) break;
        rc = all[i]->histogram ? write_histogram(all[i], out) : write_value(all[i], out);
    }
    if (rc < 0) fl_buf_truncate(out, before);
    fl_free(all);
    return rc;
}
