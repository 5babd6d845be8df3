/* grpc.h - gRPC over HTTP/2 as bytes: message frames, status, timeouts, percent-encoding.
 *
 * Source: grpc/doc/PROTOCOL-HTTP2.md. */
#ifndef FL_WIRE_GRPC_H
#define FL_WIRE_GRPC_H

#include "base/buf.h"

/* Takes a stream of length-prefixed messages apart, whatever the chunking. */
struct fl_grpc_reader {
    struct fl_buf partial;
    size_t message_max;
};

void fl_grpc_reader_init(struct fl_grpc_reader *reader, size_t message_max);
void fl_grpc_reader_deinit(struct fl_grpc_reader *reader);
/* Calls `each` per whole message (borrowed). FL_ETOO_LARGE, FL_EPROTO (compressed without
 * agreement), FL_ENOMEM, or what `each` returned. */
FL_MUST int fl_grpc_reader_feed(struct fl_grpc_reader *reader, struct fl_str bytes,
                                int (*each)(void *arg, struct fl_str message), void *arg,
                                struct fl_error *err);
bool fl_grpc_reader_partial(const struct fl_grpc_reader *reader); /* in the middle of a message */

#define FL_GRPC_PREFIX 5
void fl_grpc_prefix(uint32_t message_len, uint8_t out[FL_GRPC_PREFIX]);

/* "grpc-timeout": at most 8 digits and a unit. */
#define FL_GRPC_TIMEOUT_MAX 16
void fl_grpc_timeout_format(uint64_t ms, char out[FL_GRPC_TIMEOUT_MAX]);
FL_MUST bool fl_grpc_timeout_parse(struct fl_str text, uint64_t *ms);

/* grpc-message, percent-encoded; decoding keeps what is malformed as it is. */
FL_MUST int fl_grpc_message_encode(struct fl_buf *out, struct fl_str text);
FL_MUST int fl_grpc_message_decode(struct fl_buf *out, struct fl_str text);

int fl_grpc_status_of_http(int http_status); /* without grpc-status; an enum fl_status */
int fl_grpc_status_of_h2(uint32_t h2_code);  /* RST_STREAM */

#endif
