/* metadata.h - custom metadata between the caller's form and HTTP headers (PROTOCOL-HTTP2.md,
 * Custom-Metadata). Values of names that end in "-bin" are any bytes, base64 on the wire; not so
 * with `plain` headers, which are what they are. Any thread. */
#ifndef FL_CHANNEL_METADATA_H
#define FL_CHANNEL_METADATA_H

#include <fairlead/call.h>

#include "http/message.h"

/* All of one call's, names and values. Servers accept less: 8 KiB is what gRPC's own allow. */
#define FL_METADATA_BYTES_MAX ((size_t)64 * 1024)

/* May this be sent? FL_EUSAGE: a name or a value that is not metadata, or is gRPC's own;
 * FL_ETOO_LARGE. */
FL_MUST int fl_metadata_check(const struct fl_metadata_list *metadata, struct fl_error *err);
/* The bytes that names and values take on the wire, after a check. */
size_t fl_metadata_wire_bytes(const struct fl_metadata_list *metadata, bool plain);
/* Writes names and values to `bytes` (as many as above) and one header for each entry. */
void fl_metadata_encode(const struct fl_metadata_list *metadata, bool plain,
                        struct fl_http_header *headers, char *bytes);

/* What a peer sent: without pseudo headers and, unless `plain`, without what is gRPC's own and
 * values that are not base64 where they should be; terminated. One allocation, none for an empty
 * list; ended by fl_metadata_free. FL_ENOMEM. */
FL_MUST int fl_metadata_decode(struct fl_http_headers headers, bool plain,
                               struct fl_metadata_list *out);
void fl_metadata_free(struct fl_metadata_list *metadata);

#endif
