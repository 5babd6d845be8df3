/* echo.h - the echo service of our own test server, with health and reflection beside it.
 *
 * grpc.examples.echo.Echo: UnaryEcho answers the request's bytes, after delay_ms;
 * ServerStreamingEcho answers them ten times, ClientStreamingEcho the last message's,
 * BidirectionalStreamingEcho each message's. helloworld.Greeter greets. grpc.health.v1.Health says
 * SERVING, and NOT_SERVING while draining. */
#ifndef FL_SERVER_ECHO_H
#define FL_SERVER_ECHO_H

#include "server/server.h"

struct fl_echo;

struct fl_echo_options {
    struct fl_str host;
    uint16_t port;
    struct fl_tls *tls; /* NULL: cleartext */
    uint32_t delay_ms;  /* each UnaryEcho takes so long; 0: at once */
    struct fl_grpc_server_limits limits;
};

/* One loop's thread, as a fl_grpc_server. Errors as fl_grpc_server_new. The caller ends *out with
 * _drain or _kill, as a server's: it is gone at `done`. */
FL_MUST int fl_echo_new(struct fl_io *io, const struct fl_echo_options *options,
                        struct fl_echo **out, struct fl_error *err);
uint16_t fl_echo_port(const struct fl_echo *echo);  /* where it listens */
uint64_t fl_echo_calls(const struct fl_echo *echo); /* echoes answered */
void fl_echo_drain(struct fl_echo *echo, uint64_t deadline_ms, void (*done)(void *arg), void *arg);
void fl_echo_kill(struct fl_echo *echo, void (*done)(void *arg), void *arg);

#endif
