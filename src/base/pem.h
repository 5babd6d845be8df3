/* pem.h - certificates and keys that lie in files. */
#ifndef FL_BASE_PEM_H
#define FL_BASE_PEM_H

#include "base/io.h"

#define FL_PEM_MAX ((size_t)1024 * 1024)

/* Appends the file, which must have something in it. `what` names it in errors: FL_ECONFIG,
 * FL_ENOMEM. */
FL_MUST int fl_pem_read(struct fl_io *io, const char *what, const char *path, struct fl_buf *out,
                        struct fl_error *err);

#endif
