/* protocol.c - gRPC's own of what protocol.h asks for; plain HTTP's is in request.c. */
#include "channel/protocol.h"

static bool repeats(const struct fl_call *call, int code) {
    FL_UNUSED(call);
    return fl_protocol_unprocessed(code);
}

const struct fl_protocol fl_protocol_grpc = {
    .grpc = true,
    .fill_head = fl_head_fill_grpc,
    .take_head = fl_reply_head,
    .take_data = fl_reply_data,
    .take_trailers = fl_reply_trailers,
    .result = fl_reply_result,
    .repeats = repeats,
};
