/* bits.h - arrays of numbers of a few bits each, with nothing between them, the lowest bit first.
 */
#ifndef FL_BASE_BITS_H
#define FL_BASE_BITS_H

#include "base/def.h"

#define FL_BITS_MAX 25u /* of a number: with what is before it in its first byte, a word */

/* What such an array takes: each of its numbers is read as a word. */
static inline size_t fl_bits_bytes(size_t count, unsigned bits) {
    return bits ? (count * bits + 7) / 8 + 3 : 0;
}

/* The compiler makes one load of it, and of the next one store. */
static inline uint32_t fl_bits_word(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline void fl_bits_set_word(uint8_t *at, uint32_t word) {
    at[0] = (uint8_t)word;
    at[1] = (uint8_t)(word >> 8);
    at[2] = (uint8_t)(word >> 16);
    at[3] = (uint8_t)(word >> 24);
}

/* The i-th number of so many bits; 0 of an array of none. */
static inline uint32_t fl_bits_get(const uint8_t *array, unsigned bits, size_t i) {
    if (bits == 0) return 0;
    return fl_bits_word(array + i * bits / 8) >> (i * bits % 8) & ((1u << bits) - 1);
}
static inline void fl_bits_set(uint8_t *array, unsigned bits, size_t i, uint32_t number) {
    if (bits == 0) return;
    uint8_t *at = array + i * bits / 8;
    unsigned shift = i * bits % 8;
    uint32_t others = fl_bits_word(at) & ~(((1u << bits) - 1) << shift);
    fl_bits_set_word(at, others | number << shift);
}

/* Fills an array from its beginning. Only ever stores: a load of what was just stored in part would
 * wait for it. */
struct fl_bits_writer {
    uint8_t *at;
    uint64_t word; /* the bits that are not stored yet, the first one lowest */
    unsigned bits, used;
};
static inline struct fl_bits_writer fl_bits_writer(uint8_t *array, unsigned bits) {
    return (struct fl_bits_writer){.at = array, .bits = bits};
}
static inline void fl_bits_put(struct fl_bits_writer *writer, uint32_t number) {
    writer->word |= (uint64_t)number << writer->used;
    writer->used += writer->bits;
    if (writer->used < 32) return;
    fl_bits_set_word(writer->at, (uint32_t)writer->word);
    writer->at += 4;
    writer->word >>= 32;
    writer->used -= 32;
}
/* Fills what is left up to the array's end. */
static inline void fl_bits_finish(struct fl_bits_writer *writer, const uint8_t *end) {
    for (; writer->at < end; writer->word >>= 8) *writer->at++ = (uint8_t)writer->word;
}

#endif
