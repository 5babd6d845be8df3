/* server.h - the gRPC server side that simulator, demo, tests and benches use.
 *
 * A server has services, a service has methods. A call is a stream of events to its method: it
 * starts, messages come, the client's side ends, the call is closed; in between the method sends
 * its headers and messages and finishes with a status. A unary method can leave all of that to the
 * server: it is given the request and replies once.
 *
 * Leaves as a good server does: stops listening, GOAWAY in two steps, finishes what it accepted,
 * ends. One loop's thread; no event comes from within a function of this header. Sources:
 * grpc/doc/PROTOCOL-HTTP2.md, statuscodes.md, compression.md, gRFC A8 and A9. */
#ifndef FL_SERVER_SERVER_H
#define FL_SERVER_SERVER_H

#include <fairlead/call.h>

#include "base/io.h"
#include "http/message.h"

struct fl_grpc_server;
struct fl_grpc_call; /* one call in the server */

/* How a call begins; borrowed for on_start. */
struct fl_grpc_call_head {
    struct fl_str path; /* "/package.Service/Method" */
    /* As on the wire: HTTP's and gRPC's own fields are among them, and a value whose name ends in
     * "-bin" is base64. */
    struct fl_http_headers metadata;
};

/* What a call tells its method. Unwanted ones may be NULL. `arg` is the service's until
 * fl_grpc_call_attach gives the call one of its own. */
struct fl_grpc_call_events {
    void (*on_start)(void *arg, struct fl_grpc_call *call, const struct fl_grpc_call_head *head);
    /* A whole message, borrowed. Of a method without client_streams: the one, once the client's
     * side is complete. */
    void (*on_message)(void *arg, struct fl_grpc_call *call, struct fl_str message);
    /* The client's side is complete: no message follows. */
    void (*on_end)(void *arg, struct fl_grpc_call *call);
    /* After FL_EFULL: there is room again. May come without. */
    void (*on_writable)(void *arg, struct fl_grpc_call *call);
    /* Last, exactly once; the call is gone after it. `why` has code FL_OK when the client got its
     * status; else it or its connection went away first (FL_ESTREAM_RESET, FL_EDEADLINE, …). */
    void (*on_close)(void *arg, struct fl_grpc_call *call, const struct fl_error *why);
};

/* Gets the one request of a unary call (borrowed) and must fl_grpc_call_reply once, now or later,
 * even after the server is gone. `arg` is the service's. */
typedef void fl_grpc_unary(void *arg, struct fl_grpc_call *call, struct fl_str request);

struct fl_grpc_method {
    const char *name;                         /* "UnaryEcho" */
    fl_grpc_unary *unary;                     /* either this */
    const struct fl_grpc_call_events *events; /* or these */
    bool client_streams; /* any number of messages; else other than one is refused */
};

struct fl_grpc_service {
    const char *name; /* "package.Service" */
    const struct fl_grpc_method *methods;
    size_t method_count;
    void *arg;
};

/* What a server bears of its clients. Zero-initialised: the defaults in brackets. */
struct fl_grpc_server_limits {
    uint32_t receive_bytes_max; /* [4 MiB] of a message; beyond: RESOURCE_EXHAUSTED */
    uint32_t streams_max;       /* [1000] per connection */
    uint32_t calls_max;         /* [100000] in all; beyond: REFUSED_STREAM, which is retried */
    uint32_t connections_max;   /* [10000] beyond: closed at once */
    uint32_t idle_ms_max;       /* [0: none] a connection without calls drains */
    uint32_t age_ms_max;        /* [0: none] +-10 %: a connection drains, gRFC A9 */
    uint32_t age_grace_ms;      /* [60000] then it is cut */
    uint32_t ping_ms_min;       /* [300000] a client's keepalive may not be faster, gRFC A8 */
    uint32_t ping_idle_ms_min;  /* [7200000] the same while it has no call */
};

/* Zero-initialised: the defaults in brackets. */
struct fl_grpc_server_options {
    struct fl_str host; /* address to listen on */
    uint16_t port;      /* 0: any */
    struct fl_tls *tls; /* NULL: cleartext */
    struct fl_grpc_server_limits limits;
    /* The array is copied; names and tables of methods are kept by address. */
    const struct fl_grpc_service *services;
    size_t service_count;
};

/* Listens from now on. The caller ends *out with _drain or _kill. FL_ENOMEM, FL_EUSAGE (no address;
 * TLS that is a client's), FL_ESYS (cannot listen there, and why). */
FL_MUST int fl_grpc_server_new(struct fl_io *io, const struct fl_grpc_server_options *options,
                               struct fl_grpc_server **out, struct fl_error *err);
uint16_t fl_grpc_server_port(const struct fl_grpc_server *server);      /* where it listens */
size_t fl_grpc_server_connections(const struct fl_grpc_server *server); /* open ones */
/* Graceful stop: `done` once when the last connection has ended or, at `deadline_ms`, been cut; the
 * server is gone then. */
void fl_grpc_server_drain(struct fl_grpc_server *server, uint64_t deadline_ms,
                          void (*done)(void *arg), void *arg);
/* The process was killed: every connection is cut at once; `done` follows. Allowed while draining.
 */
void fl_grpc_server_kill(struct fl_grpc_server *server, void (*done)(void *arg), void *arg);

/* Names of the services of the call's server; NULL behind the last. Before on_close. */
const char *fl_grpc_call_service(const struct fl_grpc_call *call, size_t index);
/* Who gets the call's events from now on. */
void fl_grpc_call_attach(struct fl_grpc_call *call, void *arg);
/* Sends the initial metadata (as on the wire), once, before any message; without it the first
 * message or the status goes with none. FL_ENOMEM, FL_ESHUTDOWN (the call has ended); FL_EUSAGE: a
 * second time. */
FL_MUST int fl_grpc_call_headers(struct fl_grpc_call *call, struct fl_http_headers metadata);
/* Queues a copy of a message. FL_EFULL: nothing was taken, on_writable follows; FL_ETOO_LARGE: it
 * never will be; FL_ENOMEM, FL_ESHUTDOWN. */
FL_MUST int fl_grpc_call_send(struct fl_grpc_call *call, struct fl_str message);
/* Ends the call behind what is queued. Nothing if it has ended already. */
void fl_grpc_call_finish(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                         struct fl_http_headers trailers);
/* How the messages that follow are compressed, if the client can read it; else, and where that does
 * not make them smaller, they are not. Without a word they are as the client's are. Behind the
 * headers it is what they said or nothing. */
void fl_grpc_call_compress(struct fl_grpc_call *call, enum fl_compression compression);
/* Did the message of this on_message come compressed? */
bool fl_grpc_call_compressed(const struct fl_grpc_call *call);
/* No on_message and no on_end while paused; the client is held back by its window. */
void fl_grpc_call_pause(struct fl_grpc_call *call, bool paused);

/* Ends a unary call. The client may have gone meanwhile: then nothing is sent. The call is gone. */
void fl_grpc_call_reply(struct fl_grpc_call *call, enum fl_status status, struct fl_str message,
                        struct fl_str response);

#endif
