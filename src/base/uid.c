/* uid.c - the text form of a uid. Pure; any thread.
 *
 * Eight hex digits are decoded at a time in one 64-bit word, a byte each. Bytes below 0x80 are
 * compared with a range by adding what carries its ends into the byte's top bit. */
#include "base/block.h"

#include <endian.h>

#define EACH_BYTE(value) (0x0101010101010101u * (value))
#define TOP_BITS         EACH_BYTE(0x80u)

/* The top bit of each byte of x, all below 0x80, that is between `low` and `high`. */
static inline uint64_t within(uint64_t x, unsigned low, unsigned high) {
    return (x + EACH_BYTE(0x80 - low)) & ~(x + EACH_BYTE(0x7f - high)) & TOP_BITS;
}

/* Top bits where x has hex digits. */
static inline uint64_t digits_of(uint64_t x, uint64_t *letters) {
    uint64_t low_bits = x & ~TOP_BITS;
    *letters = within(low_bits | EACH_BYTE(0x20), 'a', 'f');
    return (within(low_bits, '0', '9') | *letters) & ~x;
}

/* Four bytes from eight hex digits, in the order of the text; *good loses bits where there are
 * none. */
static inline uint32_t decode(const char *first, const char *second, uint64_t *good) {
    uint32_t halves[2];
    memcpy(&halves[0], first, 4);
    memcpy(&halves[1], second, 4);
    uint64_t x = le32toh(halves[0]) | (uint64_t)le32toh(halves[1]) << 32, letters;
    *good &= digits_of(x, &letters);
    x = (x & EACH_BYTE(0x0f)) + (letters >> 7) * 9;
    x = (x << 4 | x >> 8) & 0x00ff00ff00ff00ffu;
    x = (x | x >> 8) & 0x0000ffff0000ffffu;
    return htole32((uint32_t)(x | x >> 16));
}

bool fl_uid_parse(struct fl_str text, uint8_t out[16]) {
    const char *p = text.p;
    uint64_t good = TOP_BITS;
    memset(out, 0, 16);
    if (text.n != 36 || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-') return false;
    uint32_t words[4] = {decode(p, p + 4, &good), decode(p + 9, p + 14, &good),
                         decode(p + 19, p + 24, &good), decode(p + 28, p + 32, &good)};
    if (good != TOP_BITS) return false;
    memcpy(out, words, 16);
    return true;
}
