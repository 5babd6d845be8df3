/* grpc_frame.c - see grpc_frame.h. */
#include "wire/grpc_frame.h"

#define COMPRESSED_FLAG 1

int fl_frame_init(struct fl_frame *frame, enum fl_compression compression, struct fl_str message) {
    frame->body = message;
    fl_buf_init(&frame->packed, message.n);
    fl_grpc_prefix((uint32_t)message.n, frame->prefix);
    if (compression == FL_COMPRESSION_IDENTITY || message.n == 0) return 0;
    int rc = fl_compress(compression, message, &frame->packed);
    if (rc == FL_ENOMEM) fl_buf_deinit(&frame->packed);
    if (rc != 0) return rc == FL_EFULL ? 0 : rc; /* it would not be smaller */
    frame->body = fl_buf_str(&frame->packed);
    fl_grpc_prefix((uint32_t)frame->body.n, frame->prefix);
    frame->prefix[0] = COMPRESSED_FLAG;
    return 0;
}

void fl_frame_deinit(struct fl_frame *frame) { fl_buf_deinit(&frame->packed); }
