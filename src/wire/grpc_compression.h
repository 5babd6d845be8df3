/* grpc_compression.h - one message compressed or not: gzip and deflate (gRPC's compression.md). Any
 * thread. */
#ifndef FL_WIRE_GRPC_COMPRESSION_H
#define FL_WIRE_GRPC_COMPRESSION_H

#include <fairlead/call.h>

#include "base/buf.h"

/* What this side can read, for "grpc-accept-encoding". */
#define FL_COMPRESSION_ACCEPTED FL_STR("identity,deflate,gzip")

/* "identity", "gzip", "deflate". Not of FL_COMPRESSION_DEFAULT. */
struct fl_str fl_compression_name(enum fl_compression compression);
FL_MUST bool fl_compression_of(struct fl_str name, enum fl_compression *out);

/* Appends the compressed bytes. FL_ENOMEM; FL_EFULL: not smaller than out->max. */
FL_MUST int fl_compress(enum fl_compression compression, struct fl_str bytes, struct fl_buf *out);
/* Appends what the bytes are, at most out->max, whatever they say: FL_ETOO_LARGE. FL_EPROTO: not of
 * that form, or not whole; FL_ENOMEM. */
FL_MUST int fl_decompress(enum fl_compression compression, struct fl_str bytes, struct fl_buf *out,
                          struct fl_error *err);

#endif
