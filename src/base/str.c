/* str.c - borrowed runs of bytes. Pure functions; any thread. */
#include "base/str.h"

#include "base/alloc.h"

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool fl_str_eq_nocase(struct fl_str a, struct fl_str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    }
    return true;
}

int fl_str_cmp(struct fl_str a, struct fl_str b) {
    size_t common = FL_MIN(a.n, b.n);
    int order = common ? memcmp(a.p, b.p, common) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool fl_str_ends(struct fl_str s, struct fl_str suffix) {
    return s.n >= suffix.n && fl_str_eq(fl_str_from(s, s.n - suffix.n), suffix);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct fl_str fl_str_trim(struct fl_str s) {
    while (s.n && is_blank(s.p[0])) s = fl_str_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

struct fl_str fl_str_from(struct fl_str s, size_t start) {
    return start < s.n ? fl_str_n(s.p + start, s.n - start) : FL_STR_NONE;
}

bool fl_str_split(struct fl_str s, char separator, struct fl_str *head, struct fl_str *tail) {
    const char *at = s.n ? memchr(s.p, separator, s.n) : NULL;
    if (!at) {
        *head = s;
        *tail = FL_STR_NONE;
        return false;
    }
    size_t before = (size_t)(at - s.p);
    *head = fl_str_n(s.p, before);
    *tail = fl_str_n(at + 1, s.n - before - 1);
    return true;
}

bool fl_str_u64(struct fl_str s, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value)) return false;
    }
    *out = value;
    return s.n > 0;
}

char *fl_str_dup(struct fl_str s) {
    char *copy = fl_alloc(s.n + 1);
    if (!copy) return NULL;
    if (s.n) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

bool fl_str_copy(char *out, size_t size, struct fl_str s) {
    FL_ASSERT(size > 0);
    size_t n = FL_MIN(s.n, size - 1);
    if (n) memcpy(out, s.p, n);
    out[n] = '\0';
    return n == s.n;
}
