/* secret.h - memory that held a token, a key or a password is wiped before it is given back.
 * Private to kube/. */
#ifndef FL_KUBE_SECRET_H
#define FL_KUBE_SECRET_H

#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/buf.h"

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

/* Wipes every text of the tree, then gives up this reference, which must be the only one. NULL is
 * allowed. */
void fl_secret_json_free(json_t *root);

#endif
