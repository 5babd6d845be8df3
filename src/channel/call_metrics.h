/* call_metrics.h - what is measured of calls and attempts, by gRPC's names (gRFC A66, A96), written
 * as OpenTelemetry's Prometheus exporter writes them. The channel's loop.
 *
 * Series are by method and target, most by status too; a method's are made when it first needs
 * them. Beyond FL_CALL_METRICS_METHODS_MAX methods of a channel all others are "other", as are
 * overlong ones. Commas are written as semicolons. */
#ifndef FL_CHANNEL_CALL_METRICS_H
#define FL_CHANNEL_CALL_METRICS_H

#include <fairlead/call.h>

#include "base/map.h"
#include "base/metrics.h"

#define FL_CALL_METRICS_METHODS_MAX 100

struct fl_attempt;
struct fl_call;
struct fl_method_metrics;

struct fl_call_metrics {
    struct fl_metrics *metrics;
    char *target;
    struct fl_map methods;          /* path -> struct fl_method_metrics */
    struct fl_method_metrics *last; /* found; NULL: none yet */
};

/* FL_ENOMEM. */
FL_MUST int fl_call_metrics_init(struct fl_call_metrics *all, struct fl_metrics *metrics,
                                 const char *target);
void fl_call_metrics_deinit(struct fl_call_metrics *all);
/* NULL without memory: that call is not measured. */
struct fl_method_metrics *fl_call_metrics_get(struct fl_call_metrics *all, struct fl_str method);

/* It has a stream. */
void fl_attempt_measure_start(struct fl_attempt *attempt);
/* Its stream ended with *why and h2_code. */
void fl_attempt_measure_end(struct fl_attempt *attempt, const struct fl_error *why,
                            uint32_t h2_code);
/* Its owner is about to hear the result. Gives the time. */
uint64_t fl_call_measure_end(struct fl_call *call, enum fl_status status);

#endif
