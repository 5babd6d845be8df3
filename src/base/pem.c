/* pem.c - see pem.h. */
#include "base/pem.h"

int fl_pem_read(struct fl_io *io, const char *what, const char *path, struct fl_buf *out,
                struct fl_error *err) {
    struct fl_error why;
    int rc = fl_io_file_read(io, path, out, &why);
    if (rc == FL_OK && out->len) return FL_OK;
    if (rc == FL_OK) return fl_fail(err, FL_ECONFIG, "%s %s is empty", what, path);
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    why.code = FL_ECONFIG;
    fl_error_prefix(&why, "%s", what);
    return fl_error_copy(err, &why);
}
