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
    size_t proven; /* the most that one message made it hold */
    bool given;    /* `partial` holds the message that was given last */
};

struct fl_grpc_message {
    struct fl_str bytes;
    bool compressed; /* by the stream's grpc-encoding */
};

void fl_grpc_reader_init(struct fl_grpc_reader *reader, size_t message_max);
void fl_grpc_reader_deinit(struct fl_grpc_reader *reader);
/* 1: the next whole message, borrowed from *bytes or from the reader until the next call, and
 * *bytes moved behind it; 0: *bytes are used up. FL_ETOO_LARGE, FL_EPROTO, FL_ENOMEM. */
FL_MUST int fl_grpc_reader_next(struct fl_grpc_reader *reader, struct fl_str *bytes,
                                struct fl_grpc_message *out, struct fl_error *err);
bool fl_grpc_reader_partial(const struct fl_grpc_reader *reader); /* in the middle of a message */

#define FL_GRPC_PREFIX 5
void fl_grpc_prefix(uint32_t message_len, uint8_t out[FL_GRPC_PREFIX]); /* not compressed */

/* The value of metadata whose name ends in "-bin": base64 (RFC 4648 section 4), sent without
 * padding, taken with or without. `out` has room for the bound; gives how many were written. */
static inline size_t fl_grpc_bin_encoded_len(size_t n) { return n / 3 * 4 + (n % 3 * 4 + 2) / 3; }
static inline size_t fl_grpc_bin_decoded_max(size_t n) { return n / 4 * 3 + 3; }
size_t fl_grpc_bin_encode(struct fl_str bytes, char *out);
FL_MUST bool fl_grpc_bin_decode(struct fl_str text, char *out, size_t *len);

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
