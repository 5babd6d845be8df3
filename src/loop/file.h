/* file.h - small local files: read at once, replaced off the loop. */
#ifndef FL_LOOP_FILE_H
#define FL_LOOP_FILE_H

#include "base/io.h"

/* The ops of struct fl_io. */
FL_MUST int fl_file_read(struct fl_io *io, const char *path, struct fl_buf *out,
                         struct fl_error *err);
FL_MUST int fl_file_write(struct fl_io *io, const char *path, struct fl_buf *bytes,
                          void (*done)(void *arg, const struct fl_error *why), void *arg,
                          struct fl_error *err);

#endif
