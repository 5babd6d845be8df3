/* json_write.h - writes JSON text into a buffer.
 *
 * Commas are the writer's business; the nesting is the caller's. The first failure stays, so that
 * a whole object is written and asked about once. Strings are expected to be UTF-8. */
#ifndef FL_WIRE_JSON_WRITE_H
#define FL_WIRE_JSON_WRITE_H

#include "base/buf.h"

struct fl_json_writer {
    struct fl_buf *out;
    size_t start; /* length of *out before us, to go back to */
    int rc;
    bool comma; /* a value stands before the next one */
};

static inline struct fl_json_writer fl_json_writer_of(struct fl_buf *out) {
    return (struct fl_json_writer){out, out->len, 0, false};
}
/* 0, or FL_EFULL, FL_ENOMEM: then nothing was appended. */
FL_MUST int fl_json_finish(struct fl_json_writer *w);

void fl_json_put_begin(struct fl_json_writer *w, char bracket); /* '{' or '[' */
void fl_json_put_end(struct fl_json_writer *w, char bracket);   /* '}' or ']' */
void fl_json_put_key(struct fl_json_writer *w, struct fl_str key);
void fl_json_put_string(struct fl_json_writer *w, struct fl_str text);
void fl_json_put_int(struct fl_json_writer *w, int64_t value);
void fl_json_put_bool(struct fl_json_writer *w, bool value);
void fl_json_put_raw(struct fl_json_writer *w, struct fl_str value); /* a value, as it is */

#endif
