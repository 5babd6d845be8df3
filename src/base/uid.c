/* uid.c - the text form of a uid. Pure; any thread. */
#include "base/block.h"

#define BAD 0xf0 /* more than a hex digit's value */

static const uint8_t hex_values[256] = {
    [0 ... 255] = BAD, ['0'] = 0,  ['1'] = 1,  ['2'] = 2,  ['3'] = 3,  ['4'] = 4,
    ['5'] = 5,         ['6'] = 6,  ['7'] = 7,  ['8'] = 8,  ['9'] = 9,  ['a'] = 10,
    ['b'] = 11,        ['c'] = 12, ['d'] = 13, ['e'] = 14, ['f'] = 15, ['A'] = 10,
    ['B'] = 11,        ['C'] = 12, ['D'] = 13, ['E'] = 14, ['F'] = 15,
};

bool fl_uid_parse(struct fl_str text, uint8_t out[16]) {
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    const uint8_t *p = (const uint8_t *)text.p;
    unsigned bad = text.n != 36 ? BAD : 0;
    if (!bad && (p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-')) bad = BAD;
    for (int i = 0; i < 16 && !(bad & BAD); i++) {
        unsigned high = hex_values[p[places[i]]], low = hex_values[p[places[i] + 1]];
        bad = high | low;
        out[i] = (uint8_t)(high << 4 | low);
    }
    if (bad & BAD) memset(out, 0, 16);
    return !(bad & BAD);
}
