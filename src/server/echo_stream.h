/* echo_stream.h - the streaming methods of the echo service. Private to echo.c. */
#ifndef FL_SERVER_ECHO_STREAM_H
#define FL_SERVER_ECHO_STREAM_H

#include "server/server.h"

/* ServerStreamingEcho answers its request ten times, ClientStreamingEcho its last message,
 * BidirectionalStreamingEcho each. The service's arg is a uint64_t that counts the calls which
 * ended OK. */
extern const struct fl_grpc_call_events fl_echo_server_streaming, fl_echo_client_streaming,
    fl_echo_bidirectional;

#endif
