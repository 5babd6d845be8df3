/* limits.c - see limits.h. */
#include "http/limits.h"

struct fl_metric *fl_http_limit_metric(struct fl_io *io, enum fl_http_limit limit) {
    static const char *const labels[FL_HTTP_LIMIT_COUNT] = {
        [FL_HTTP_LIMIT_STREAMS] = "limit=streams",
        [FL_HTTP_LIMIT_ROOM] = "limit=room",
        [FL_HTTP_LIMIT_HEADER_LIST] = "limit=header_list",
        [FL_HTTP_LIMIT_BODY_QUEUE] = "limit=body_queue",
        [FL_HTTP_LIMIT_POOL_QUEUE] = "limit=pool_queue",
        [FL_HTTP_LIMIT_SERVER_CONNS] = "limit=server_conns",
    };
    return fl_metrics_get(io->metrics, FL_METRIC_COUNTER, "fairlead_http_limited_total",
                          "streams, heads, writes, requests and connections that met a bound",
                          labels[limit]);
}
