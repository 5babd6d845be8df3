/* uid.c - the text form of a uid. Pure; any thread. */
#include "base/block.h"

#define DIGIT 0x10 /* set with the value of a hex digit; every other byte gives 0 */

static const uint8_t hex_values[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1a, ['b'] = 0x1b,
    ['c'] = 0x1c, ['d'] = 0x1d, ['e'] = 0x1e, ['f'] = 0x1f, ['A'] = 0x1a, ['B'] = 0x1b,
    ['C'] = 0x1c, ['D'] = 0x1d, ['E'] = 0x1e, ['F'] = 0x1f,
};

bool fl_uid_parse(struct fl_str text, uint8_t out[16]) {
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    const uint8_t *p = (const uint8_t *)text.p;
    bool dashes = text.n == 36 && p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-';
    unsigned digits = dashes ? DIGIT : 0;
    for (int i = 0; i < 16 && digits; i++) {
        unsigned high = hex_values[p[places[i]]], low = hex_values[p[places[i] + 1]];
        digits &= high & low;
        out[i] = (uint8_t)(high << 4 | (low & 0x0f));
    }
    if (!digits) memset(out, 0, 16);
    return digits != 0;
}
