/* fields.h - one header list, received or kept, in one run of bytes: no allocation per header.
 *
 * Filled piece by piece, as parsers deliver it, then finished once, which gives borrowed views that
 * hold until the next clear. Pseudo headers (names that begin with ':') and `host` are kept with
 * the rest and taken out at the end. The size is counted as RFC 9113 section 6.5.2 does: bytes of
 * name and value and 32 for each. */
#ifndef FL_HTTP_FIELDS_H
#define FL_HTTP_FIELDS_H

#include "http/memory.h"
#include "http/message.h"

struct fl_fields {
    struct fl_http_memory *memory; /* of the bytes and the list */
    char *bytes;                   /* name, value, name, value, … */
    size_t bytes_len, bytes_cap;
    struct fl_http_header *list; /* lengths only, until finished */
    size_t count, cap;
    size_t size, size_max;
    size_t hosts; /* `host` headers that finishing found */
};

void fl_fields_init(struct fl_fields *f, struct fl_http_memory *memory, size_t size_max);
void fl_fields_deinit(struct fl_fields *f);
void fl_fields_clear(struct fl_fields *f);
/* Room for `n` more bytes of names and values in one place. FL_ENOMEM. */
FL_MUST int fl_fields_reserve(struct fl_fields *f, size_t n);

/* A whole header, lower-case name. All: FL_ETOO_LARGE, FL_ENOMEM. */
FL_MUST int fl_fields_add(struct fl_fields *f, struct fl_str name, struct fl_str value);
/* A header in pieces: begin, pieces of the name (made lower case), pieces of the value. */
FL_MUST int fl_fields_begin(struct fl_fields *f);
FL_MUST int fl_fields_name(struct fl_fields *f, struct fl_str piece);
FL_MUST int fl_fields_value(struct fl_fields *f, struct fl_str piece);
FL_MUST int fl_fields_copy(struct fl_fields *f, struct fl_http_headers headers);

/* Finishing, one of these, once. */
struct fl_http_headers fl_fields_list(struct fl_fields *f);
void fl_fields_request(struct fl_fields *f, struct fl_http_request *out);
void fl_fields_response(struct fl_fields *f, struct fl_http_response *out); /* status 0: absent */

/* Is this lower-case name about the connection alone (RFC 9110 section 7.6.1)? */
bool fl_fields_hop_by_hop(struct fl_str name);

#endif
