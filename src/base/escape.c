/* escape.c - making bytes that a peer sent safe to show.
 *
 * UTF-8 is read strictly (RFC 3629: shortest form, no surrogates, at most U+10FFFF). What is not a
 * printable character is written as an escape of its bytes, so that no peer can forge a line or
 * send control sequences to a terminal. */
#include "base/escape.h"

/* Decodes the character at the front of `s`; its length, 0 if there is none. */
static size_t decode(struct fl_str s, uint32_t *out) {
    const uint8_t *p = (const uint8_t *)s.p;
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    static const uint8_t lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (len > s.n || (len > 1 && (p[0] < 0xc2 || p[0] > 0xf4))) return 0;
    uint32_t c = p[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff) return 0;
    *out = c;
    return len;
}

static bool is_printable(uint32_t c) {
    if (c < 0xa0) return c >= 0x20 && c < 0x7f;
    if (c >= 0x2028 && c <= 0x202e) return false; /* line separators, direction marks */
    return !(c >= 0x2066 && c <= 0x2069) && c != 0x200e && c != 0x200f && c != 0xfeff;
}

size_t fl_utf8_printable(struct fl_str s) {
    uint32_t c;
    size_t len = s.n ? decode(s, &c) : 0;
    return len && is_printable(c) ? len : 0;
}

/* The letter after the backslash in the short escape of `c`, 0 if it has none in this style. */
static char short_escape(char c, enum fl_escape_style style) {
    switch (c) {
    case '\n':
        return 'n';
    case '\t':
        return style == FL_ESCAPE_METRIC ? 0 : 't';
    case '\r':
        return style == FL_ESCAPE_METRIC ? 0 : 'r';
    case '"':
    case '\\':
        return style == FL_ESCAPE_LINE ? 0 : c;
    default:
        return 0;
    }
}

static size_t escape_byte(uint8_t byte, enum fl_escape_style style, char *out) {
    static const char hex[] = "0123456789abcdef";
    static const char *const lead[] = {"\\x", "\\x", "\\\\x", "\\\\x"};
    /* JSON readers in C refuse the zero character. */
    const char *start = style == FL_ESCAPE_JSON && byte && byte < 0x80 ? "\\u00" : lead[style];
    size_t n = strlen(start);
    memcpy(out, start, n);
    out[n] = hex[byte >> 4];
    out[n + 1] = hex[byte & 15];
    return n + 2;
}

size_t fl_escape_next(struct fl_str *s, enum fl_escape_style style, char out[FL_ESCAPED_MAX]) {
    size_t len = fl_utf8_printable(*s);
    char first = s->p[0], letter = len > 1 ? 0 : short_escape(first, style);
    if (letter) {
        out[0] = '\\';
        out[1] = letter;
        *s = fl_str_from(*s, 1);
        return 2;
    }
    if (len) memcpy(out, s->p, len);
    *s = fl_str_from(*s, len ? len : 1);
    return len ? len : escape_byte((uint8_t)first, style, out);
}

size_t fl_escape(char *out, size_t size, struct fl_str s, enum fl_escape_style style) {
    size_t used = 0;
    while (s.n) {
        char piece[FL_ESCAPED_MAX];
        size_t n = fl_escape_next(&s, style, piece);
        if (n >= size - used) break;
        memcpy(out + used, piece, n);
        used += n;
    }
    out[used] = '\0';
    return used;
}
