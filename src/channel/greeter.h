/* greeter.h - helloworld.Greeter, the service of every gRPC tutorial, for the echo server.
 *
 * SayHello answers "Hello NAME". */
#ifndef FL_CHANNEL_GREETER_H
#define FL_CHANNEL_GREETER_H

#include "channel/server.h"

extern const struct fl_grpc_service fl_greeter_service;

#endif
