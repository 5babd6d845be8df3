/* message.h - heads of requests and responses, as every HTTP version carries them. Borrowed values.
 */
#ifndef FL_HTTP_MESSAGE_H
#define FL_HTTP_MESSAGE_H

#include "base/str.h"

struct fl_http_header {
    struct fl_str name; /* lower case */
    struct fl_str value;
};

struct fl_http_headers {
    const struct fl_http_header *list;
    size_t count;
};
#define FL_HTTP_HEADERS_NONE ((struct fl_http_headers){NULL, 0})

struct fl_http_request {
    struct fl_str method, scheme, authority, path; /* path with its query */
    struct fl_http_headers headers;                /* without pseudo, host and connection headers */
    size_t literals; /* so many of the first headers are literals of the program */
    size_t secrets;  /* so many of the last headers are nobody's to remember (RFC 7541, 7.1.3) */
};

struct fl_http_response {
    int status;
    struct fl_http_headers headers;
};

/* The value of the first header of that (lower-case) name; empty with p == NULL if there is none.
 */
struct fl_str fl_http_header_get(struct fl_http_headers headers, struct fl_str name);

#endif
