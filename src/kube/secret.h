/* secret.h - memory that held a token or a key is wiped before it is given back. Private to kube/.
 */
#ifndef FL_KUBE_SECRET_H
#define FL_KUBE_SECRET_H

#include <string.h>

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

#endif
