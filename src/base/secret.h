/* secret.h - memory that held a token, a key or a password is wiped before it is given back. Any
 * thread. */
#ifndef FL_BASE_SECRET_H
#define FL_BASE_SECRET_H

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

/* NULL is allowed. */
static inline void fl_secret_free(char *text) {
    if (text) explicit_bzero(text, strlen(text));
    fl_free(text);
}

static inline void fl_secret_buf_deinit(struct fl_buf *buf) {
    if (buf->data) explicit_bzero(buf->data, buf->cap);
    fl_buf_deinit(buf);
}

/* Takes room for `max` bytes at once: a buffer that grows leaves copies of its bytes behind.
 * FL_ENOMEM. */
FL_MUST static inline int fl_secret_buf_init(struct fl_buf *buf, size_t max) {
    fl_buf_init(buf, max);
    return fl_buf_reserve(buf, max) ? 0 : FL_ENOMEM;
}

#endif
