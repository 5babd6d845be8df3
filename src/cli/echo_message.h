/* echo_message.h - the messages of grpc.examples.echo.Echo: one string field. */
#ifndef FL_CLI_ECHO_MESSAGE_H
#define FL_CLI_ECHO_MESSAGE_H

#include "base/buf.h"

#define FL_ECHO_METHOD "/grpc.examples.echo.Echo/UnaryEcho"

/* EchoRequest and EchoResponse {string message = 1}. FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_echo_message_encode(struct fl_buf *out, struct fl_str message);

#endif
