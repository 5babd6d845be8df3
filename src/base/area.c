/* area.c - see area.h. */
#include "base/area.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>

static const char *const labels[] = {
#define FL_X(name, label) label,
    FL_AREA_MAP(FL_X)
#undef FL_X
};

static atomic_ptrdiff_t held[FL_AREAS];

void fl_area_add(enum fl_area area, ptrdiff_t bytes) {
    atomic_fetch_add_explicit(&held[area], bytes, memory_order_relaxed);
}

size_t fl_area_bytes(enum fl_area area) {
    ptrdiff_t bytes = atomic_load_explicit(&held[area], memory_order_relaxed);
    return bytes > 0 ? (size_t)bytes : 0;
}

static void publish(struct fl_metrics *metrics, const char *label, size_t bytes) {
    char labels_text[32];
    snprintf(labels_text, sizeof labels_text, "area=%s", label);
    fl_metric_set(fl_metrics_get(metrics, FL_METRIC_GAUGE, "fairlead_heap_bytes",
                                 "Bytes of the heap that are in use, by area.", labels_text),
                  (int64_t)bytes);
}

void fl_area_publish(struct fl_metrics *metrics) {
    struct mallinfo2 heap = mallinfo2();
    size_t all = heap.uordblks + heap.hblkhd + fl_area_bytes(FL_AREA_PAGES), known = 0;
    for (size_t i = 0; i < FL_AREAS; i++) {
        publish(metrics, labels[i], fl_area_bytes((enum fl_area)i));
        known += fl_area_bytes((enum fl_area)i);
    }
    publish(metrics, "other", all > known ? all - known : 0);
}
