/* server.h - the gRPC server side that simulator, demo, tests and benches use: unary calls.
 *
 * Leaves as a good server does: stops listening, GOAWAY in two steps, finishes what it accepted,
 * ends. One loop's thread. */
#ifndef FL_CHANNEL_SERVER_H
#define FL_CHANNEL_SERVER_H

#include <fairlead/call.h>

#include "base/io.h"

struct fl_grpc_server;
struct fl_grpc_call; /* one call in the server */

/* Gets one whole request (borrowed) and must fl_grpc_call_reply once, now or later. `method` is
 * "/package.Service/Method". */
typedef void fl_grpc_handler(void *arg, struct fl_grpc_call *call, struct fl_str method,
                             struct fl_str request);

/* Zero-initialised: the defaults in brackets. */
struct fl_grpc_server_options {
    struct fl_str host;         /* address to listen on */
    uint16_t port;              /* 0: any */
    struct fl_tls *tls;         /* NULL: cleartext */
    uint32_t streams_max;       /* [1000] per connection */
    uint32_t receive_bytes_max; /* [4 MiB] */
    uint32_t connections_max;   /* [10000] beyond: closed at once */
    fl_grpc_handler *handler;
    void *arg;
};

FL_MUST int fl_grpc_server_new(struct fl_io *io, const struct fl_grpc_server_options *options,
                               struct fl_grpc_server **out, struct fl_error *err);
uint16_t fl_grpc_server_port(const struct fl_grpc_server *server);
size_t fl_grpc_server_connections(const struct fl_grpc_server *server);
/* Graceful stop: `done` once when the last connection has ended or, at `deadline_ms`, been cut; the
 * server is gone then. */
void fl_grpc_server_drain(struct fl_grpc_server *server, uint64_t deadline_ms,
                          void (*done)(void *arg), void *arg);
/* The process was killed: every connection is cut at once; `done` follows. Allowed while draining.
 */
void fl_grpc_server_kill(struct fl_grpc_server *server, void (*done)(void *arg), void *arg);

/* Ends a call. The call may have been cancelled meanwhile: then nothing is sent. The call is gone.
 */
void fl_grpc_call_reply(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                        struct fl_str response);

#endif
