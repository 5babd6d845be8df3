/* area.h - how many bytes of the heap each area holds.
 *
 * Owners of large or many allocations tell what they take and give back; the rest of the heap is
 * "other". Relaxed atomics: any thread. */
#ifndef FL_BASE_AREA_H
#define FL_BASE_AREA_H

#include <stddef.h>

#include "base/metrics.h"

#define FL_AREA_MAP(X)                                                                             \
    X(BLOCKS, "blocks") /* packed slices */                                                        \
    X(STORES, "stores") /* what reflectors know beside them */                                     \
    X(SETS, "sets")     /* endpoint sets, without their blocks */                                  \
    X(NAMES, "names")   /* interned names */                                                       \
    X(HTTP, "http")     /* connections and streams */                                              \
    X(PAGES, "pages")   /* connections' own, beside the heap */                                    \
    X(SOCKS, "socks")   /* sockets and their queues */                                             \
    X(TLS, "tls")       /* the TLS library's */

enum fl_area {
#define FL_X(name, label) FL_AREA_##name,
    FL_AREA_MAP(FL_X)
#undef FL_X
        FL_AREAS
};

void fl_area_add(enum fl_area area, ptrdiff_t bytes);
size_t fl_area_bytes(enum fl_area area);
/* Sets the gauges fairlead_heap_bytes{area=…} to what is held now, "other" included. */
void fl_area_publish(struct fl_metrics *metrics);

#endif
