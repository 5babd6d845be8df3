/* escape.h - making bytes that a peer sent safe to show. Any thread. */
#ifndef FL_BASE_ESCAPE_H
#define FL_BASE_ESCAPE_H

#include "base/str.h"

/* What is escaped besides what is not printable UTF-8, and how. */
enum fl_escape_style {
    FL_ESCAPE_LINE,   /* nothing else; \n, \t, \r, \xNN */
    FL_ESCAPE_QUOTED, /* '"' and '\' as well */
    FL_ESCAPE_JSON,   /* the inside of a JSON string; zero and what is no UTF-8 read as \xNN */
    FL_ESCAPE_METRIC, /* the inside of a label value of the Prometheus text format */
};

#define FL_ESCAPED_MAX 6 /* bytes that one character may become */

/* Length of the printable UTF-8 character that `s` begins with, 0 if it begins with none. Control
 * characters, line separators and marks that change the direction of text are not printable. */
size_t fl_utf8_printable(struct fl_str s);

/* Takes one character, or one byte that is none, from the front of *s (not empty) and writes its
 * escaped form; returns the length of that. */
size_t fl_escape_next(struct fl_str *s, enum fl_escape_style style, char out[FL_ESCAPED_MAX]);

/* Escapes `s` into out[size] (size > 0), cut between characters and always terminated; returns the
 * length. */
size_t fl_escape(char *out, size_t size, struct fl_str s, enum fl_escape_style style);

#endif
