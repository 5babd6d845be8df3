/* echo_message.c - the messages of grpc.examples.echo.Echo. */
#include "cli/echo_message.h"

#include "wire/pb.h"

#define FIELD_MESSAGE 1

int fl_echo_message_encode(struct fl_buf *out, struct fl_str message) {
    struct fl_pb_writer w = fl_pb_writer_of(out);
    fl_pb_put_text(&w, FIELD_MESSAGE, message);
    return fl_pb_finish(&w);
}

int fl_echo_message_decode(struct fl_str bytes, struct fl_str *message, struct fl_error *err) {
    struct fl_parse r = fl_parse_of(bytes);
    struct fl_pb_field field = {0};
    *message = FL_STR("");
    while (fl_pb_next(&r, &field))
        if (field.tag == FL_PB_LEN(FIELD_MESSAGE)) *message = field.bytes;
    if (r.bad) return fl_fail(err, FL_EPROTO, "the response is no EchoResponse");
    return FL_OK;
}
