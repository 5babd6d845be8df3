/* json_text.c - checks of JSON's numbers and of UTF-8. Pure; any thread. */
#include "wire/json_text.h"

static const char *skip_digits(const char *p, const char *end) {
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

/* number = [ minus ] int [ frac ] [ exp ] */
bool fl_json_is_number(struct fl_str text) {
    const char *p = text.p, *end = text.p + text.n;
    if (p < end && *p == '-') p++;
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1)) return false;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits) return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits) return false;
    }
    return p == end;
}

/* Bytes of the character that `first` begins, and the bounds of its second byte; 0: none does. */
static size_t sequence_of(uint8_t first, uint8_t *low, uint8_t *high) {
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if (first >= 0xe0 && first <= 0xef) return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

bool fl_json_is_utf8(struct fl_str text) {
    const uint8_t *p = (const uint8_t *)text.p, *end = p + text.n;
    while (p < end) {
        uint8_t low, high;
        size_t n = sequence_of(*p, &low, &high);
        if (n == 0 || (size_t)(end - p) < n) return false;
        if (n > 1 && (p[1] < low || p[1] > high)) return false;
        for (size_t i = 2; i < n; i++)
            if ((p[i] & 0xc0) != 0x80) return false;
        p += n;
    }
    return true;
}

size_t fl_json_utf8(uint32_t code_point, char out[4]) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = n; --i > 0; code_point >>= 6) out[i] = (char)(0x80 | (code_point & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | code_point);
    return n;
}
