/* message.c - see message.h. */
#include "http/message.h"

struct fl_str fl_http_header_get(struct fl_http_headers headers, struct fl_str name) {
    for (size_t i = 0; i < headers.count; i++)
        if (fl_str_eq(headers.list[i].name, name)) return headers.list[i].value;
    return FL_STR_NONE;
}
