/* json_scan.h - finding the end of runs in JSON text, eight bytes at a time. Private to json.c.
 *
 * A word is loaded so that its first byte is the lowest; the classic "has a zero byte" test may
 * report bytes above a true hit wrongly, never below, so the lowest hit is exact. */
#ifndef FL_WIRE_JSON_SCAN_H
#define FL_WIRE_JSON_SCAN_H

#include "base/str.h"

#define FL_JSON_ONES  UINT64_C(0x0101010101010101)
#define FL_JSON_HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t fl_json_load(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The high bit of each byte of `word` that is below `limit` (at most 128). */
static inline uint64_t fl_json_below(uint64_t word, uint8_t limit) {
    return (word - FL_JSON_ONES * limit) & ~word & FL_JSON_HIGHS;
}
static inline uint64_t fl_json_equal(uint64_t word, uint8_t byte) {
    return fl_json_below(word ^ FL_JSON_ONES * byte, 1);
}

/* The first quote, backslash or control byte; *seen gathers the high bits of the bytes before. */
static inline const char *fl_json_scan_string(const char *p, const char *end, uint64_t *seen) {
    for (; end - p >= 8; p += 8) {
        uint64_t word = fl_json_load(p);
        uint64_t stop =
            fl_json_equal(word, '"') | fl_json_equal(word, '\\') | fl_json_below(word, 0x20);
        if (stop) {
            int bits = __builtin_ctzll(stop) & ~7;
            *seen |= word & ((UINT64_C(1) << bits) - 1);
            return p + bits / 8;
        }
        *seen |= word;
    }
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20) break;
        *seen |= c;
    }
    return p;
}

/* The first quote or backslash. */
static inline const char *fl_json_scan_quote(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t word = fl_json_load(p);
        uint64_t stop = fl_json_equal(word, '"') | fl_json_equal(word, '\\');
        if (stop) return p + __builtin_ctzll(stop) / 8;
    }
    while (p < end && *p != '"' && *p != '\\') p++;
    return p;
}

#endif
