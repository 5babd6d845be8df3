/* block_layout.h - how a block lies in memory; only for the files block*.c.
 *
 * struct fl_block, then arrays in the order of their alignment, each of `count` items:
 *
 *     hash u64 | hints or none | ports | suffix or none u16 or u32 (count + 1) | uid or none |
 *     address | flags | node, zone or none | text
 *
 * What all endpoints of a block have in common is kept once, as in nearly every slice:
 *
 * uid      16 bytes, or what is random of it (block_uid.h)
 * suffix   all of one length follow one another, as numbers if Kubernetes made them up
 *          (block_suffix.h); else an array says where each begins
 * address  the bytes all begin with (`address_shared`) come first, then the rest of each; a block
 *          of one family, or 16 bytes each; a host name is a place in the text
 * flags    three bits each if the endpoints are of one kind, else six, and two of a random uid
 * node     its id, in as many bits as the greatest of the block has
 * zone     is that of the node (fl_intern_zone), or there is none; else more ids
 *
 * The text is the prefix that all pod names share, their suffixes (item i of `suffix` is where the
 * i-th begins), the ports' texts, and host names, each with its length in one byte before it. The
 * block holds a reference to the node of each endpoint and to the zone if it has an array of them,
 * and to the names of its hints:
 *
 *     counts | lists | place of its list plus one, or 0, u32, for each endpoint | names u32
 */
#ifndef FL_BASE_BLOCK_LAYOUT_H
#define FL_BASE_BLOCK_LAYOUT_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/block_suffix.h"
#include "base/block_uid.h"
#include "base/bytes.h"
#include "base/intern.h"

enum { /* bits of an endpoint's flags besides those of fl_block_endpoint.flags: its kind */
       BLOCK_PUBLIC_FLAGS = FL_ENDPOINT_READY | FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING,
       BLOCK_V6 = 1 << 3,
       BLOCK_NAME = 1 << 4, /* the address is a place in the text */
       BLOCK_POD = 1 << 5,  /* there is a pod name, the prefix counts */
       BLOCK_KIND = BLOCK_V6 | BLOCK_NAME | BLOCK_POD,
       BLOCK_FLAGS = BLOCK_KIND | BLOCK_PUBLIC_FLAGS,
       BLOCK_FLAG_BITS = 6,
       BLOCK_PUBLIC_FLAG_BITS = 3,
};

enum block_zones {
    BLOCK_ZONES_NONE,     /* no endpoint has one */
    BLOCK_ZONES_OF_NODES, /* each is that of the node, which has one; none where there is no node */
    BLOCK_ZONES_KEPT,
};

struct block_port {
    uint32_t text_at; /* name, protocol, application protocol, each terminated */
    uint16_t port, name_len, protocol_len, app_protocol_len;
};
static inline size_t block_port_bytes(const struct block_port *port) {
    return (size_t)port->name_len + port->protocol_len + port->app_protocol_len + 3;
}

struct block_hint { /* one list of names */
    uint32_t first;
    uint16_t zone_count, node_count; /* zones first */
};
struct block_hints {
    uint32_t count, id_count, endpoints;
    struct block_hint lists[];
};

struct fl_block {
    atomic_uint refs;
    uint32_t bytes; /* of the whole block; what ends in _at counts bytes from its beginning */
    uint32_t count, hint_at, port_at, address_at, uid_at, suffix_at, flags_at, ids_at, text_at;
    uint16_t port_count, prefix_len;
    uint16_t suffix_len;                  /* of each, if there is no array of suffixes */
    uint8_t address_shared, address_size; /* bytes kept once, and of each */
    uint8_t kind;                         /* of all endpoints, unless flags are wide */
    uint8_t flag_bits, id_bits;           /* of each */
    uint8_t zones : 2;                    /* enum block_zones */
    bool wide_flags : 1;                  /* each endpoint's has its kind */
    bool random_uids : 1;                 /* all (block_uid.h) */
    bool random_suffixes : 1;             /* all of one length, as numbers (block_suffix.h) */
    bool wide : 1;                        /* suffixes are u32 */
    uint64_t hashes[];
};

/* The array at `offset`. Written to only while the block is built. */
static inline void *block_at(const struct fl_block *block, uint32_t offset) {
    return (char *)(uintptr_t)block + offset;
}

/* The bits of an item of flags that tell the rest of a random identity are its highest. */
static inline unsigned block_uid_shift(const struct fl_block *block) {
    return block->wide_flags ? BLOCK_FLAG_BITS : BLOCK_PUBLIC_FLAG_BITS;
}
static inline unsigned block_flags(const struct fl_block *block, size_t i) {
    unsigned item = fl_bits_get(block_at(block, block->flags_at), block->flag_bits, i);
    return block->wide_flags ? item & BLOCK_FLAGS : block->kind | (item & BLOCK_PUBLIC_FLAGS);
}
/* What of the i-th address is its own; what all begin with is at address_at. */
static inline uint8_t *block_address(const struct fl_block *block, size_t i) {
    return (uint8_t *)block_at(block, block->address_at) + block->address_shared +
           i * block->address_size;
}
/* The address of one that is no host name. */
static inline void block_ip(const struct fl_block *block, size_t i, uint8_t out[16]) {
    memcpy(out, block_at(block, block->address_at), block->address_shared);
    memcpy(out + block->address_shared, block_address(block, i), block->address_size);
}
static inline bool block_shares_ip(const struct fl_block *block, const uint8_t ip[16]) {
    return fl_bytes_eq(block_at(block, block->address_at), (const char *)ip, block->address_shared);
}
/* The host name that an address with BLOCK_NAME stands for. */
static inline struct fl_str block_host_name(const struct fl_block *block, size_t i) {
    uint32_t place;
    memcpy(&place, block_address(block, i), sizeof(place));
    const uint8_t *text = (const uint8_t *)block_at(block, block->text_at) + place;
    return fl_str_n(text + 1, text[0]);
}
static inline void block_uid(const struct fl_block *block, size_t i, uint8_t out[16]) {
    const uint8_t *uids = block_at(block, block->uid_at);
    if (!block->uid_at) {
        memset(out, 0, 16);
    } else if (block->random_uids) {
        unsigned item = fl_bits_get(block_at(block, block->flags_at), block->flag_bits, i);
        block_uid_unpack(uids + BLOCK_UID_BYTES * i, item >> block_uid_shift(block), out);
    } else {
        memcpy(out, uids + 16 * i, 16);
    }
}
/* Whether the block can hold such an identity. */
static inline bool block_fits_uid(const struct fl_block *block, const uint8_t uid[16]) {
    static const uint8_t none[16];
    if (!block->uid_at) return memcmp(uid, none, sizeof(none)) == 0;
    return !block->random_uids || block_uid_is_random(uid);
}
/* Puts the identity in its place; gives the item of flags, with what of it does not fit there. */
static inline unsigned block_put_uid(struct fl_block *block, size_t i, unsigned flags,
                                     const uint8_t uid[16]) {
    uint8_t *uids = block_at(block, block->uid_at);
    unsigned item = block->wide_flags ? flags : flags & BLOCK_PUBLIC_FLAGS;
    if (block->uid_at && block->random_uids)
        item |= block_uid_pack(uid, uids + BLOCK_UID_BYTES * i) << block_uid_shift(block);
    else if (block->uid_at)
        memcpy(uids + 16 * i, uid, 16);
    return item;
}
/* An endpoint stays what it is of kind. */
static inline void block_set_flags_uid(struct fl_block *block, size_t i, unsigned flags,
                                       const uint8_t uid[16]) {
    unsigned item = block_put_uid(block, i, flags, uid);
    fl_bits_set(block_at(block, block->flags_at), block->flag_bits, i, item);
}
/* Ids of names that endpoints refer to: those of the nodes, and behind them, if kept, as many of
 * zones. */
static inline size_t block_id_count(const struct fl_block *block) {
    return (block->zones == BLOCK_ZONES_KEPT ? 2 : 1) * (size_t)block->count;
}
static inline uint32_t block_id(const struct fl_block *block, size_t place) {
    return fl_bits_get(block_at(block, block->ids_at), block->id_bits, place);
}
static inline uint32_t block_node(const struct fl_block *block, size_t i) {
    return block_id(block, i);
}
static inline uint32_t block_zone(const struct fl_block *block, size_t i) {
    if (block->zones == BLOCK_ZONES_OF_NODES) return fl_intern_zone(block_node(block, i));
    return block->zones == BLOCK_ZONES_KEPT ? block_id(block, block->count + i) : 0;
}
/* Whether the zone of an endpoint may be left out for its node's. That a node has none yet does not
 * stay so. */
static inline bool block_zone_is_of_node(uint32_t node, uint32_t zone) {
    return zone ? fl_intern_zone(node) == zone : node == 0;
}
/* Whether the block has room for an endpoint of such a node and zone. */
static inline bool block_fits_ids(const struct fl_block *block, uint32_t node, uint32_t zone) {
    if ((node | zone) >> block->id_bits) return false;
    if (block->zones == BLOCK_ZONES_OF_NODES) return block_zone_is_of_node(node, zone);
    return block->zones == BLOCK_ZONES_KEPT || zone == 0;
}
static inline void block_set_node_zone(struct fl_block *block, size_t i, uint32_t node,
                                       uint32_t zone) {
    uint8_t *ids = block_at(block, block->ids_at);
    fl_bits_set(ids, block->id_bits, i, node);
    if (block->zones == BLOCK_ZONES_KEPT) fl_bits_set(ids, block->id_bits, block->count + i, zone);
}
/* A reference, one more or one less, to each of them. */
void fl_block_ref_ids(const struct fl_block *block);
void fl_block_unref_ids(const struct fl_block *block);
/* Whether these are its ports, in this order; their texts lie from `text` on. */
bool fl_block_ports_are(const struct fl_block *block, const struct block_port *ports, size_t count,
                        const char *text);
/* NULL: no endpoint has any. */
static inline struct block_hints *block_hints(const struct fl_block *block) {
    return block->hint_at ? block_at(block, block->hint_at) : NULL;
}
static inline uint32_t *block_hint_places(const struct block_hints *hints) {
    return (uint32_t *)(uintptr_t)(hints->lists + hints->count);
}
static inline uint32_t *block_hint_ids(const struct block_hints *hints) {
    return block_hint_places(hints) + hints->endpoints;
}
static inline struct fl_str block_pod_prefix(const struct fl_block *block, unsigned flags) {
    return fl_str_n(block_at(block, block->text_at), flags & BLOCK_POD ? block->prefix_len : 0);
}
/* It may lie in the buffer. */
static inline struct fl_str block_pod_suffix(const struct fl_block *block, size_t i,
                                             char buffer[FL_BLOCK_SUFFIX_MAX]) {
    const char *text = block_at(block, block->text_at);
    if (block->random_suffixes) {
        const char *at = text + block->prefix_len + i * block_suffix_bytes(block->suffix_len);
        fl_block_suffix_read((const uint8_t *)at, block->suffix_len, buffer);
        return fl_str_n(buffer, block->suffix_len);
    }
    if (!block->suffix_at)
        return fl_str_n(text + block->prefix_len + i * block->suffix_len, block->suffix_len);
    const void *at = block_at(block, block->suffix_at);
    const uint32_t *wide = at;
    const uint16_t *narrow = at;
    size_t start = block->wide ? wide[i] : narrow[i];
    size_t end = block->wide ? wide[i + 1] : narrow[i + 1];
    return fl_str_n(text + start, end - start);
}

#endif
