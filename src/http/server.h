/* server.h - a listener and the connections that came through it.
 *
 * For servers that answer requests and need not know on which connection they came. One loop's
 * thread. */
#ifndef FL_HTTP_SERVER_H
#define FL_HTTP_SERVER_H

#include "http/conn.h"

struct fl_http_server;

struct fl_http_server_options {
    struct fl_str host; /* an address */
    uint16_t port;      /* 0: any free one, see fl_http_server_port */
    struct fl_tls *tls; /* NULL: cleartext */
    struct fl_http_options http;
    size_t conns_max; /* 0: 1000; beyond, connections are reset and counted */
};

/* A request's head arrived: attach to the stream, or reset it, before this returns. */
typedef void fl_http_server_request(void *arg, struct fl_http_stream *stream,
                                    const struct fl_http_request *head);

/* FL_ENOMEM, FL_EUSAGE (not an address), FL_ESYS (cannot listen there, and why). */
FL_MUST int fl_http_server_new(struct fl_io *io, const struct fl_http_server_options *options,
                               fl_http_server_request *on_request, void *arg,
                               struct fl_http_server **out, struct fl_error *err);
uint16_t fl_http_server_port(const struct fl_http_server *server);
size_t fl_http_server_conns(const struct fl_http_server *server); /* open ones */
/* Every connection is reset; listening goes on. */
void fl_http_server_cut(struct fl_http_server *server);
/* Every connection gets GOAWAY, or closes after its exchange; listening goes on. */
void fl_http_server_drain(struct fl_http_server *server);
/* Stops at once: listener and connections; `done` once, later, when its memory is gone. */
void fl_http_server_close(struct fl_http_server *server, void (*done)(void *arg), void *arg);

#endif
