/* echo_message.c - the messages of grpc.examples.echo.Echo. */
#include "cli/echo_message.h"

#include "wire/pb.h"

#define FIELD_MESSAGE 1

int fl_echo_message_encode(struct fl_buf *out, struct fl_str message) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_text(&w, FIELD_MESSAGE, message);
    return fl_pb_finish(&w);
}
