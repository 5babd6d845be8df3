/* connection_metrics.h - what is measured of a channel's endpoints and their connections: gRPC's
 * grpc.subchannel.* (gRFC A94) by target, and this library's own. The channel's loop. */
#ifndef FL_CHANNEL_CONNECTION_METRICS_H
#define FL_CHANNEL_CONNECTION_METRICS_H

#include <fairlead/channel.h>

#include "base/metrics.h"

struct fl_transport;

struct fl_connection_metrics {
    struct fl_metrics *metrics;
    const char *target;                            /* borrowed; as a label */
    struct fl_metric *states[FL_CHANNEL_SHUTDOWN]; /* endpoints by state */
    struct fl_metric *open, *open_of_target;       /* connections */
    struct fl_metric *draining;                    /* of them */
    struct fl_metric *succeeded, *failed;          /* attempts to connect */
    struct fl_metric *applied_us, *first_call_us;  /* since the event */
};

void fl_connection_metrics_init(struct fl_connection_metrics *m, struct fl_metrics *metrics,
                                const char *target, bool secure);
/* An endpoint's state; SHUTDOWN is counted as nothing. */
void fl_connection_metrics_state(const struct fl_connection_metrics *m, int from, int to);
void fl_connection_metrics_ready(const struct fl_transport *transport);
/* It takes no more calls and those that it has go on; twice is allowed. */
void fl_connection_metrics_draining(struct fl_transport *transport);
/* It is gone, or was never ready, by `cause`; `code`: what the connection said. */
void fl_connection_metrics_gone(const struct fl_transport *transport, const char *cause, int code);

#endif
