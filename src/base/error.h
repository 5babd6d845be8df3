/* error.h - filling in struct fl_error.
 *
 * Functions that can fail return 0 or a negative FL_E… and put the one line for people into their
 * trailing `struct fl_error *err`, which may be NULL:  return fl_fail(err, FL_EPROTO, "frame of
 * %u", n); */
#ifndef FL_BASE_ERROR_H
#define FL_BASE_ERROR_H

#include <fairlead/error.h>
#include <stdarg.h>

#include "base/def.h"

/* Sets *err and returns `code`. The text is made one printable line: bytes that are not printable
 * UTF-8 are escaped, the rest is cut at FL_ERROR_DETAIL_MAX. An empty text: the list's text. */
int fl_fail(struct fl_error *err, int code, const char *format, ...) FL_PRINTF(3, 4);
int fl_fail_args(struct fl_error *err, int code, const char *format, va_list args) FL_PRINTF(3, 0);

/* fl_fail for FL_ENOMEM, which must not allocate. */
int fl_fail_nomem(struct fl_error *err);

/* Puts "context: " before the detail of an error, which is not NULL; returns err->code. */
int fl_error_prefix(struct fl_error *err, const char *format, ...) FL_PRINTF(2, 3);

/* *err = *from where err is not NULL; returns from->code. */
int fl_error_copy(struct fl_error *err, const struct fl_error *from);

/* The last error of something that seldom has one: no text is kept while there is none.
 * Zero-initialised. */
struct fl_kept_error {
    int code;
    struct fl_error *own; /* NULL: the code says all */
};

/* In the place of the one before; NULL or code FL_OK: none any more. Without memory the text is
 * that of the list. */
void fl_kept_error_set(struct fl_kept_error *kept, const struct fl_error *err);
/* Never NULL; code FL_OK: none. */
const struct fl_error *fl_kept_error_peek(const struct fl_kept_error *kept);
void fl_kept_error_deinit(struct fl_kept_error *kept);

#endif
