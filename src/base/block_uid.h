/* block_uid.h - identities as Kubernetes makes them up; only for the files block*.c.
 *
 * They are random but for six bits, which say that they are (RFC 9562, section 5.4: the version in
 * byte 6, the variant in byte 8). Without these they are 15 bytes and two bits. */
#ifndef FL_BASE_BLOCK_UID_H
#define FL_BASE_BLOCK_UID_H

#include "base/def.h"

enum {
    BLOCK_UID_BYTES = 15, /* without byte 6, two bits of which lie where the variant was */
    BLOCK_UID_BITS = 2,   /* the other two of its four */
};

static inline bool block_uid_is_random(const uint8_t uid[16]) {
    return (uid[6] & 0xf0) == 0x40 && (uid[8] & 0xc0) == 0x80;
}
/* Gives the bits that do not fit. */
static inline unsigned block_uid_pack(const uint8_t uid[16], uint8_t out[BLOCK_UID_BYTES]) {
    memcpy(out, uid, 6);
    memcpy(out + 6, uid + 7, 9);
    out[7] = (uint8_t)(uid[6] << 6 | (uid[8] & 0x3f));
    return uid[6] >> 2 & 3;
}
static inline void block_uid_unpack(const uint8_t packed[BLOCK_UID_BYTES], unsigned bits,
                                    uint8_t out[16]) {
    memcpy(out, packed, 6);
    memcpy(out + 7, packed + 6, 9);
    out[6] = (uint8_t)(0x40 | bits << 2 | packed[7] >> 6);
    out[8] = (uint8_t)(0x80 | (packed[7] & 0x3f));
}

#endif
