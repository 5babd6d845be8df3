/* greeter.h - helloworld.Greeter, the service of every gRPC tutorial, for the echo server.
 *
 * SayHello answers "Hello NAME". */
#ifndef FL_SERVER_GREETER_H
#define FL_SERVER_GREETER_H

#include "server/server.h"

extern const struct fl_grpc_service fl_greeter_service;

#endif
