/* grpc_frame.h - one message as it goes on the wire: a prefix, then the bytes, compressed where
 * that makes them smaller. Any thread. */
#ifndef FL_WIRE_GRPC_FRAME_H
#define FL_WIRE_GRPC_FRAME_H

#include "wire/grpc.h"
#include "wire/grpc_compression.h"

struct fl_frame {
    uint8_t prefix[FL_GRPC_PREFIX];
    struct fl_str body;   /* the caller's bytes, or `packed` */
    struct fl_buf packed; /* memory of its own */
};

/* `message` is borrowed, at most 4 GiB. FL_ENOMEM. */
FL_MUST int fl_frame_init(struct fl_frame *frame, enum fl_compression compression,
                          struct fl_str message);
void fl_frame_deinit(struct fl_frame *frame);
static inline size_t fl_frame_len(const struct fl_frame *frame) {
    return FL_GRPC_PREFIX + frame->body.n;
}

#endif
