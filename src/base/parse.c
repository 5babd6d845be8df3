/* parse.c - a bounded reader over borrowed bytes. Pure; any thread. */
#include "base/parse.h"

/* The next `n` bytes, or NULL and `bad`. */
static const uint8_t *take(struct fl_parse *r, size_t n) {
    if (r->bad || n > fl_parse_left(r)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    if (n) r->p += n; /* an empty reader's p may be NULL */
    return p;
}

bool fl_parse_u8(struct fl_parse *r, uint8_t *out) {
    const uint8_t *p = take(r, 1);
    *out = p ? p[0] : 0;
    return p != NULL;
}

bool fl_parse_le32(struct fl_parse *r, uint32_t *out) {
    const uint8_t *p = take(r, 4);
    *out = p ? (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0] : 0;
    return p != NULL;
}

bool fl_parse_le64(struct fl_parse *r, uint64_t *out) {
    const uint8_t *p = take(r, 8);
    uint64_t value = 0;
    for (int i = 7; p && i >= 0; i--) value = value << 8 | p[i];
    *out = value;
    return p != NULL;
}

bool fl_parse_bytes(struct fl_parse *r, size_t n, struct fl_str *out) {
    const uint8_t *p = take(r, n);
    *out = p ? fl_str_n(p, n) : FL_STR_NONE;
    return !r->bad;
}

bool fl_parse_skip(struct fl_parse *r, size_t n) {
    take(r, n);
    return !r->bad;
}
