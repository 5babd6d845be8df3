/* pool.h - connections to one origin, opened as exchanges need them.
 *
 * HTTP/2: one connection, another when its stream limit is reached; HTTP/1.1: one per exchange, up
 * to `conns_max`, idle ones kept. An exchange waits in a bounded queue while connections are made;
 * a request that never reached a peer is given to another connection. One loop's thread. */
#ifndef FL_HTTP_POOL_H
#define FL_HTTP_POOL_H

#include "http/conn.h"

struct fl_http_pool;
struct fl_http_exchange; /* a request of the pool's, from queueing to close */

struct fl_http_pool_options {
    struct fl_str host; /* of the origin; copied */
    uint16_t port;
    struct fl_tls *tls; /* NULL: cleartext; the caller keeps it alive until it has given another,
                           or until the pool's close callback */
    struct fl_str server_name;    /* with TLS: what the certificate must name; empty: host */
    const struct fl_proxy *proxy; /* on the way to the origin; copied but for its tls, which is as
                                     `tls`; NULL: none */
    struct fl_http_options http;
    size_t conns_max;     /* 0: 8 */
    size_t exchanges_max; /* waiting ones; 0: 1000 */
};

FL_MUST int fl_http_pool_new(struct fl_io *io, const struct fl_http_pool_options *options,
                             struct fl_http_pool **out, struct fl_error *err); /* FL_ENOMEM */
/* All exchanges end with FL_ESHUTDOWN; `done` once when nothing is left. */
void fl_http_pool_close(struct fl_http_pool *pool, void (*done)(void *arg), void *arg);

/* Connections that are made from now on use these (`proxy`: to the proxy, if that has one). Both
 * are as in the options. */
void fl_http_pool_use_tls(struct fl_http_pool *pool, struct fl_tls *tls, struct fl_tls *proxy);
/* The connections there are take no new exchanges; each closes with its last one, and those that
 * have not by FL_HTTP_POOL_RENEW_MS later are cut: their exchanges end with FL_EGOAWAY or, as far
 * as nothing has come yet, are made again. */
#define FL_HTTP_POOL_RENEW_MS 30000
void fl_http_pool_renew(struct fl_http_pool *pool);

/* Starts an exchange without a request body. Head copied. `events` as of a stream, with
 * `stream` = the exchange's current stream (NULL in on_close if it never had one). deadline_ms
 * covers all of it, waiting included; 0: none. Errors (then no callback): FL_EFULL, FL_ENOMEM,
 * FL_ESHUTDOWN. */
FL_MUST int fl_http_pool_request(struct fl_http_pool *pool, const struct fl_http_request *head,
                                 uint64_t deadline_ms, const struct fl_http_stream_events *events,
                                 void *arg, struct fl_http_exchange **out, struct fl_error *err);
/* Ends it; on_close follows with FL_ECANCELLED. */
void fl_http_exchange_cancel(struct fl_http_exchange *exchange);
/* When the last byte came on its connection, a PING's answer included; 0: it is on none. */
uint64_t fl_http_exchange_last_read_ms(const struct fl_http_exchange *exchange);

#endif
