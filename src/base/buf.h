/* buf.h - a bounded byte queue: appended at the end, consumed at the front.
 *
 * Memory is taken when first needed and given back by fl_buf_release when empty. Appending beyond
 * `max` fails with FL_EFULL and changes nothing. */
#ifndef FL_BASE_BUF_H
#define FL_BASE_BUF_H

#include "base/error.h"
#include "base/str.h"

struct fl_buf {
    char *data; /* `len` bytes at data + start */
    size_t start, len, cap, max;
};

void fl_buf_init(struct fl_buf *b, size_t max);
void fl_buf_deinit(struct fl_buf *b);

static inline struct fl_str
fl_buf_str(const struct fl_buf *b) { /* borrowed until the next change */
    return (struct fl_str){b->len ? b->data + b->start : NULL, b->len};
}
/* Makes room for `n` more bytes and returns where they go, NULL on FL_EFULL and FL_ENOMEM alike
 * (see fl_buf_append for the code); fl_buf_commit says how many were written. */
FL_MUST char *fl_buf_reserve(struct fl_buf *b, size_t n);
void fl_buf_commit(struct fl_buf *b, size_t n);

FL_MUST int fl_buf_append(struct fl_buf *b, struct fl_str bytes); /* FL_EFULL, FL_ENOMEM */
FL_MUST int fl_buf_byte(struct fl_buf *b, char byte);
FL_MUST int fl_buf_printf(struct fl_buf *b, const char *format, ...) FL_PRINTF(2, 3);
void fl_buf_consume(struct fl_buf *b, size_t n);  /* drops n <= len bytes from the front */
void fl_buf_truncate(struct fl_buf *b, size_t n); /* keeps the first n <= len bytes */
void fl_buf_release(struct fl_buf *b);            /* an empty buffer gives its memory back */

/* Gives the bytes away as a terminated heap string (fl_free) and leaves the buffer empty; NULL on
 * no memory. */
FL_MUST char *fl_buf_steal_text(struct fl_buf *b);

#endif
