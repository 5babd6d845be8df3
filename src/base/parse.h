/* parse.h - a bounded reader over borrowed bytes; every parse of a peer's bytes goes through one.
 *
 * Reading beyond the end returns false (or zero) and sets `bad`, which stays: a caller may read a
 * whole structure and ask once. */
#ifndef FL_BASE_PARSE_H
#define FL_BASE_PARSE_H

#include "base/str.h"

struct fl_parse {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct fl_parse fl_parse_of(struct fl_str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    return (struct fl_parse){p, s.n ? p + s.n : p, false}; /* p may be NULL then */
}
static inline size_t fl_parse_left(const struct fl_parse *r) { return (size_t)(r->end - r->p); }

bool fl_parse_u8(struct fl_parse *r, uint8_t *out);
bool fl_parse_le32(struct fl_parse *r, uint32_t *out);
bool fl_parse_le64(struct fl_parse *r, uint64_t *out);
bool fl_parse_bytes(struct fl_parse *r, size_t n, struct fl_str *out);
bool fl_parse_skip(struct fl_parse *r, size_t n);

/* Base-128 varint of protobuf, at most ten bytes. Inline: the hot path of every object. */
static inline bool fl_parse_varint(struct fl_parse *r, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    r->bad = true;
    *out = 0;
    return false;
}

#endif
