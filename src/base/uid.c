/* uid.c - the text form of a uid. Pure; any thread.
 *
 * The 32 hex digits are decoded in two vectors of 16, which compilers turn into the vector unit's
 * instructions or, where there is none, into plain ones. */
#include "base/block.h"

typedef uint8_t lanes __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));

/* Four bytes in the order of the text, whatever the machine's. */
static inline uint32_t four(const char *p) {
    uint32_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Replaces 16 hex digits by what they stand for; *good loses bits where there are none. By address:
 * how vectors are passed as values depends on the vector unit. */
static inline void decode(lanes *text, lanes *good) {
    lanes digit = *text - '0', letter = (*text | 0x20) - 'a';
    lanes is_digit = (lanes)(digit <= 9), is_letter = (lanes)(letter <= 5);
    *good &= is_digit | is_letter;
    *text = (digit & is_digit) | ((letter + 10) & is_letter);
}

static inline bool is_all_ones(const lanes *x) {
    uint64_t halves[2];
    memcpy(halves, x, sizeof(halves));
    return (halves[0] & halves[1]) == UINT64_MAX;
}

bool fl_uid_parse(struct fl_str text, uint8_t out[16]) {
    const char *p = text.p;
    memset(out, 0, 16);
    if (text.n != 36 || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-') return false;
    words first = {four(p), four(p + 4), four(p + 9), four(p + 14)};
    words second = {four(p + 19), four(p + 24), four(p + 28), four(p + 32)};
    lanes good = (lanes){0} - 1;
    lanes a = (lanes)first, b = (lanes)second;
    decode(&a, &good);
    decode(&b, &good);
    if (!is_all_ones(&good)) return false;
    lanes high =
        __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    lanes low =
        __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    high = high << 4 | low;
    memcpy(out, &high, 16);
    return true;
}
