/* inside.h - what the files of the gRPC server know of one another.
 *
 * server.c owns the listener, the routes and the end; server_conn.c the connections; server_call.c
 * what a call receives; server_reply.c what it sends; server_compression.c how both are packed. */
#ifndef FL_SERVER_INSIDE_H
#define FL_SERVER_INSIDE_H

#include "base/list.h"
#include "http/conn.h"
#include "server/server.h"
#include "wire/grpc.h"
#include "wire/grpc_compression.h"

/* A method under its path. */
struct fl_grpc_route {
    struct fl_str path;
    const struct fl_grpc_method *method;
    void *arg; /* the service's */
};

struct fl_grpc_server {
    struct fl_io *io;
    struct fl_grpc_server_limits limits; /* defaults filled in */
    struct fl_grpc_service *services;
    size_t service_count;
    struct fl_grpc_route *routes;
    size_t route_count;
    struct fl_listener *listener; /* NULL once it stops */
    uint16_t port;
    struct fl_list connections;
    size_t connection_count, call_count;
    bool ending;
    struct fl_timer deadline; /* of the drain */
    struct fl_task last;      /* tells `done` */
    void (*done)(void *arg);
    void *done_arg;
};

struct fl_grpc_call {
    struct fl_grpc_server *server; /* valid while there is a stream */
    struct fl_http_stream *stream; /* NULL: closed */
    const struct fl_grpc_method *method;
    void *arg;
    struct fl_grpc_reader reader;
    struct fl_buf request;        /* without client_streams */
    struct fl_buf waiting;        /* bytes that wait for the end of a pause */
    size_t unconsumed;            /* that came in a pause */
    enum fl_compression received; /* the client's grpc-encoding */
    enum fl_compression agreed;   /* our own */
    enum fl_compression sends;    /* of the next message: that or identity */
    unsigned accepted;            /* bits of what the client can read */
    bool compressed;              /* the last message that came was */
    unsigned messages;            /* that came */
    bool paused;
    bool half_closed; /* the client's side is complete */
    bool given;       /* the one message, to its method */
    bool end_told;
    bool head_sent;
    bool finished; /* nothing more is sent, nothing more is heard */
    bool owed;     /* a unary handler has it */
    bool resuming; /* `resume` is deferred */
    struct fl_task resume;
};

/* The route of a path; NULL. */
const struct fl_grpc_route *fl_grpc_server_route(const struct fl_grpc_server *server,
                                                 struct fl_str path);
/* A connection is gone. */
void fl_grpc_server_less(struct fl_grpc_server *server);

/* server_conn.c */
void fl_grpc_conn_take_accepted(struct fl_grpc_server *server, struct fl_sock *sock);
void fl_grpc_conns_drain(struct fl_grpc_server *server);
void fl_grpc_conns_cut(struct fl_grpc_server *server);

/* server_call.c: a call begins; its answer may be a refusal. FL_ENOMEM, FL_EFULL (too many calls):
 * the stream is the caller's still. */
FL_MUST int fl_grpc_call_begin(struct fl_grpc_server *server, struct fl_http_stream *stream,
                               const struct fl_http_request *head);
void fl_grpc_call_free_if_over(struct fl_grpc_call *call);

/* server_compression.c: false: the client's messages are in a form that nobody here can read. */
FL_MUST bool fl_grpc_call_negotiate(struct fl_grpc_call *call, struct fl_http_headers headers);

/* server_reply.c: ends a call with a status and our own words. */
void fl_grpc_call_refuse(struct fl_grpc_call *call, enum fl_status status, const char *message);
/* Ends a stream without a word of gRPC: RST_STREAM with `h2_code`. */
void fl_grpc_stream_break(struct fl_http_stream *stream, uint32_t h2_code, int code);
#define FL_H2_REFUSED_STREAM 7u
#define FL_H2_CANCEL         8u

#endif
