/* json_scan.h - finding bytes in JSON text many at a time. Private to wire/.
 *
 * Everything is written over a few operations on FL_JSON_LANES bytes at once, each giving a mask
 * with one bit a byte, the first byte lowest: with SSE2, which every x86-64 has, or else in one
 * 64-bit word. */
#ifndef FL_WIRE_JSON_SCAN_H
#define FL_WIRE_JSON_SCAN_H

#include "base/str.h"

#ifdef __SSE2__

#include <emmintrin.h>

#define FL_JSON_LANES 16

typedef __m128i fl_json_lanes;

static inline fl_json_lanes fl_json_load(const char *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static inline fl_json_lanes fl_json_or(fl_json_lanes lanes, char byte) {
    return _mm_or_si128(lanes, _mm_set1_epi8(byte));
}
static inline unsigned fl_json_equal(fl_json_lanes lanes, char byte) {
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(lanes, _mm_set1_epi8(byte)));
}
/* Which bytes are either. */
static inline unsigned fl_json_either(fl_json_lanes lanes, char a, char b) {
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(lanes, _mm_set1_epi8(a)),
                                                    _mm_cmpeq_epi8(lanes, _mm_set1_epi8(b))));
}
/* Which bytes are at most `limit`. */
static inline unsigned fl_json_upto(fl_json_lanes lanes, char limit) {
    __m128i limits = _mm_set1_epi8(limit);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(lanes, limits), limits));
}
/* Which bytes are no ASCII. */
static inline unsigned fl_json_high(fl_json_lanes lanes) {
    return (unsigned)_mm_movemask_epi8(lanes);
}

#else

#include <endian.h>

#define FL_JSON_LANES      8
#define FL_JSON_EACH(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

typedef uint64_t fl_json_lanes;

static inline fl_json_lanes fl_json_load(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return le64toh(word);
}
static inline fl_json_lanes fl_json_or(fl_json_lanes lanes, char byte) {
    return lanes | FL_JSON_EACH(byte);
}
/* The top bits of the bytes, side by side. */
static inline unsigned fl_json_high(fl_json_lanes lanes) {
    return (unsigned)((lanes & FL_JSON_EACH(0x80)) * UINT64_C(0x0002040810204081) >> 56);
}
/* A byte's lower seven bits plus 0x7f carry into the top bit unless they are zero. */
static inline unsigned fl_json_equal(fl_json_lanes lanes, char byte) {
    uint64_t x = lanes ^ FL_JSON_EACH(byte);
    return fl_json_high(~(((x & FL_JSON_EACH(0x7f)) + FL_JSON_EACH(0x7f)) | x));
}
static inline unsigned fl_json_either(fl_json_lanes lanes, char a, char b) {
    return fl_json_equal(lanes, a) | fl_json_equal(lanes, b);
}
static inline unsigned fl_json_upto(fl_json_lanes lanes, char limit) {
    uint64_t above = (lanes & FL_JSON_EACH(0x7f)) + FL_JSON_EACH(0x7f - limit);
    return fl_json_high(~(above | lanes));
}

#endif

static inline bool fl_json_is_high(char c) { return ((unsigned char)c & 0x80) != 0; }

/* The first quote, backslash or control byte; *high is set if any byte before is no ASCII. */
static inline const char *fl_json_scan_string(const char *p, const char *end, bool *high) {
    for (; end - p >= FL_JSON_LANES; p += FL_JSON_LANES) {
        fl_json_lanes lanes = fl_json_load(p);
        unsigned stop =
            fl_json_equal(lanes, '"') | fl_json_equal(lanes, '\\') | fl_json_upto(lanes, 0x1f);
        unsigned highs = fl_json_high(lanes);
        if (stop) {
            if (highs & (stop - 1) & ~stop) *high = true;
            return p + __builtin_ctz(stop);
        }
        if (highs) *high = true;
    }
    for (; p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20; p++)
        if (fl_json_is_high(*p)) *high = true;
    return p;
}

/* The first quote or backslash. */
static inline const char *fl_json_scan_quote(const char *p, const char *end) {
    for (; end - p >= FL_JSON_LANES; p += FL_JSON_LANES) {
        fl_json_lanes lanes = fl_json_load(p);
        unsigned stop = fl_json_either(lanes, '"', '\\');
        if (stop) return p + __builtin_ctz(stop);
    }
    while (p < end && *p != '"' && *p != '\\') p++;
    return p;
}

#define FL_JSON_BLOCK 64

/* Where in FL_JSON_BLOCK bytes the marks of structure are. */
struct fl_json_marks {
    uint64_t quotes, brackets; /* brackets: []{} */
    unsigned backslashes;      /* not 0: there are some */
};

static inline struct fl_json_marks fl_json_scan_block(const char *p) {
    struct fl_json_marks marks = {0};
    for (unsigned i = 0; i < FL_JSON_BLOCK; i += FL_JSON_LANES) {
        fl_json_lanes lanes = fl_json_load(p + i), folded = fl_json_or(lanes, 0x20);
        marks.quotes |= (uint64_t)fl_json_equal(lanes, '"') << i;
        marks.backslashes |= fl_json_equal(lanes, '\\');
        marks.brackets |= (uint64_t)fl_json_either(folded, '{', '}') << i;
    }
    return marks;
}

/* Bits between quotes: each bit xor all below it, the opening quote inside, the closing outside. */
static inline uint64_t fl_json_between(uint64_t quotes) {
    for (unsigned shift = 1; shift < 64; shift *= 2) quotes ^= quotes << shift;
    return quotes;
}

#endif
