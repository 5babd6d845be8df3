/* limits.h - the bounds of this folder that were reached, as metrics. The loop's thread. */
#ifndef FL_HTTP_LIMITS_H
#define FL_HTTP_LIMITS_H

#include "base/io.h"

enum fl_http_limit {
    FL_HTTP_LIMIT_STREAMS,      /* server: a stream beyond streams_max was refused */
    FL_HTTP_LIMIT_ROOM,         /* client: a request while the peer's limit was reached */
    FL_HTTP_LIMIT_HEADER_LIST,  /* a header list beyond header_bytes_max was refused */
    FL_HTTP_LIMIT_BODY_QUEUE,   /* an owner has to wait for on_writable */
    FL_HTTP_LIMIT_POOL_QUEUE,   /* a pool had too many waiting exchanges to take one more */
    FL_HTTP_LIMIT_SERVER_CONNS, /* a connection beyond a server's conns_max was reset */
    FL_HTTP_LIMIT_COUNT,
};

/* The counter fairlead_http_limited_total{limit=…}; look it up once and keep it. */
struct fl_metric *fl_http_limit_metric(struct fl_io *io, enum fl_http_limit limit);

#endif
