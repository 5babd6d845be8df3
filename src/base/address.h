/* address.h - an IPv4 or IPv6 address or a host name, without port. A value. */
#ifndef FL_BASE_ADDRESS_H
#define FL_BASE_ADDRESS_H

#include "base/str.h"

enum fl_address_kind { FL_ADDRESS_V4 = 4, FL_ADDRESS_V6 = 6, FL_ADDRESS_NAME = 1 };

#define FL_ADDRESS_TEXT_MAX 256 /* a DNS name of 253 bytes and its end */

struct fl_address {
    enum fl_address_kind kind;
    uint8_t ip[16];     /* V4: the first four, network order */
    struct fl_str name; /* NAME: borrowed */
};

/* Fast, strict: dotted quad, RFC 4291 text (no zone), else a host name of letters, digits, '-', '_'
 * and '.'. False: neither. A NAME borrows from `text`. */
FL_MUST bool fl_address_parse(struct fl_str text, struct fl_address *out);
/* Canonical text (RFC 5952), terminated. */
void fl_address_format(const struct fl_address *a, char out[FL_ADDRESS_TEXT_MAX]);
int fl_address_cmp(const struct fl_address *a,
                   const struct fl_address *b); /* names, v4, v6; bytes */

/* "host:port", "1.2.3.4:80", "[::1]:80". Errors: FL_EUSAGE with what is wrong. */
struct fl_error;
FL_MUST int fl_host_port_parse(struct fl_str text, struct fl_str *host, uint16_t *port,
                               struct fl_error *err);

#endif
