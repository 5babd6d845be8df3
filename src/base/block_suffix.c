/* block_suffix.c - see block_suffix.h. Pure; any thread. */
#include "base/block_suffix.h"

#define BASE 27

static const char alphabet[BASE + 1] = "bcdfghjklmnpqrstvwxz2456789";

/* The place of each letter in the alphabet, plus one; 0: it is none. */
static const uint8_t digits[256] = {
    ['b'] = 1,  ['c'] = 2,  ['d'] = 3,  ['f'] = 4,  ['g'] = 5,  ['h'] = 6,  ['j'] = 7,
    ['k'] = 8,  ['l'] = 9,  ['m'] = 10, ['n'] = 11, ['p'] = 12, ['q'] = 13, ['r'] = 14,
    ['s'] = 15, ['t'] = 16, ['v'] = 17, ['w'] = 18, ['x'] = 19, ['z'] = 20, ['2'] = 21,
    ['4'] = 22, ['5'] = 23, ['6'] = 24, ['7'] = 25, ['8'] = 26, ['9'] = 27,
};

bool fl_block_suffix_number(struct fl_str suffix, uint32_t *number) {
    uint32_t sum = 0;
    if (suffix.n < BLOCK_SUFFIX_MIN || suffix.n > FL_BLOCK_SUFFIX_MAX) return false;
    for (size_t i = suffix.n; i-- > 0;) {
        uint32_t digit = digits[(uint8_t)suffix.p[i]];
        if (digit == 0) return false;
        sum = sum * BASE + digit - 1;
    }
    *number = sum;
    return true;
}

void fl_block_suffix_read(const uint8_t *at, size_t len, char out[FL_BLOCK_SUFFIX_MAX]) {
    uint32_t number = 0;
    for (size_t i = block_suffix_bytes(len); i-- > 0;) number = number << 8 | at[i];
    for (size_t i = 0; i < len; i++, number /= BASE) out[i] = alphabet[number % BASE];
}
