/* str.h - borrowed runs of bytes. A struct fl_str owns nothing and need not be terminated. */
#ifndef FL_BASE_STR_H
#define FL_BASE_STR_H

#include <string.h>

#include "base/def.h"

struct fl_str {
    const char *p;
    size_t n;
};

#define FL_STR(literal) ((struct fl_str){(literal), sizeof(literal) - 1})
#define FL_STR_NONE     ((struct fl_str){NULL, 0})
/* For printf: "%.*s", FL_STR_ARG(s). */
#define FL_STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline struct fl_str fl_str_of(const char *text) { /* NULL gives the empty run */
    return (struct fl_str){text, text ? strlen(text) : 0};
}
static inline struct fl_str fl_str_n(const void *p, size_t n) {
    return (struct fl_str){(const char *)p, n};
}
static inline bool fl_str_eq(struct fl_str a, struct fl_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool fl_str_eq_nocase(struct fl_str a, struct fl_str b); /* ASCII */
int fl_str_cmp(struct fl_str a, struct fl_str b);        /* bytewise; a prefix comes first */
static inline bool fl_str_starts(struct fl_str s, struct fl_str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
bool fl_str_ends(struct fl_str s, struct fl_str suffix);
struct fl_str fl_str_trim(struct fl_str s);               /* spaces, tabs, CR, LF at both ends */
struct fl_str fl_str_from(struct fl_str s, size_t start); /* the rest from `start`, empty beyond */

/* Splits at the first `separator`: *head before it, *tail after it; false, *head = s and an empty
 * *tail if there is none. */
bool fl_str_split(struct fl_str s, char separator, struct fl_str *head, struct fl_str *tail);

/* Whole-string decimal without sign or leading blanks; false on anything else or overflow. */
FL_MUST bool fl_str_u64(struct fl_str s, uint64_t *out);

/* Terminated copy; caller frees with fl_free; NULL if there is no memory. */
FL_MUST char *fl_str_dup(struct fl_str s);

/* Copies into out[size], cut to fit and always terminated; false if it was cut. */
bool fl_str_copy(char *out, size_t size, struct fl_str s);

#endif
