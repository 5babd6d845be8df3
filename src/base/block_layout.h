/* block_layout.h - how a block lies in memory; only for block.c and block_builder.c.
 *
 * struct fl_block, then arrays in the order of their alignment, each of `count` items:
 *
 *     hash u64 | node, zone u16 or u32 | hints or none | ports | address 4 or 16 | uid 16 or none |
 *     suffix u16 or u32 (count + 1) | flags u8 | text
 *
 * The text is the prefix that all pod names share, their suffixes (item i of `suffix` is where the
 * i-th begins), the ports' texts, and host names, each with its length in one byte before it. The
 * block holds a reference to the node and to the zone of each endpoint, and to the names of its
 * hints:
 *
 *     counts | lists | place of its list plus one, or 0, u32, for each endpoint | names u32
 */
#ifndef FL_BASE_BLOCK_LAYOUT_H
#define FL_BASE_BLOCK_LAYOUT_H

#include <stdatomic.h>

#include "base/block.h"

enum { /* bits of the flags array besides those of fl_block_endpoint.flags */
       BLOCK_PUBLIC_FLAGS = FL_ENDPOINT_READY | FL_ENDPOINT_SERVING | FL_ENDPOINT_TERMINATING,
       BLOCK_V6 = 1 << 3,
       BLOCK_NAME = 1 << 4, /* the address is a place in the text */
       BLOCK_POD = 1 << 5,  /* there is a pod name, the prefix counts */
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
    uint32_t count, node_at, hint_at, port_at, address_at, uid_at, suffix_at, flags_at, text_at;
    uint32_t prefix_len;
    uint16_t port_count;
    uint8_t address_size;
    bool wide;     /* suffixes are u32 */
    bool wide_ids; /* ids of nodes and zones are u32: one is too great for 16 bits */
    uint64_t hashes[];
};

/* The array at `offset`. Written to only while the block is built. */
static inline void *block_at(const struct fl_block *block, uint32_t offset) {
    return (char *)(uintptr_t)block + offset;
}

static inline unsigned block_flags(const struct fl_block *block, size_t i) {
    return ((const uint8_t *)block_at(block, block->flags_at))[i];
}
static inline const uint8_t *block_address(const struct fl_block *block, size_t i) {
    return (const uint8_t *)block_at(block, block->address_at) + i * block->address_size;
}
/* The host name that an address with BLOCK_NAME stands for. */
static inline struct fl_str block_host_name(const struct fl_block *block, const uint8_t *address) {
    uint32_t place;
    memcpy(&place, address, sizeof(place));
    const uint8_t *text = (const uint8_t *)block_at(block, block->text_at) + place;
    return fl_str_n(text + 1, text[0]);
}
static inline const uint8_t *block_uid(const struct fl_block *block, size_t i) { /* NULL: zeros */
    return block->uid_at ? (const uint8_t *)block_at(block, block->uid_at) + 16 * i : NULL;
}
/* Ids of names that endpoints refer to: those of the nodes, and behind them as many of zones. */
static inline uint32_t block_id(const struct fl_block *block, size_t place) {
    const void *ids = block_at(block, block->node_at);
    return block->wide_ids ? ((const uint32_t *)ids)[place] : ((const uint16_t *)ids)[place];
}
static inline uint32_t block_node(const struct fl_block *block, size_t i) {
    return block_id(block, i);
}
static inline uint32_t block_zone(const struct fl_block *block, size_t i) {
    return block_id(block, block->count + i);
}
static inline bool block_id_is_wide(uint32_t id) { return id > UINT16_MAX; }
static inline void block_set_node_zone(struct fl_block *block, size_t i, uint32_t node,
                                       uint32_t zone) {
    uint32_t *wide = block_at(block, block->node_at);
    uint16_t *narrow = block_at(block, block->node_at);
    if (block->wide_ids) {
        wide[i] = node;
        wide[block->count + i] = zone;
    } else {
        narrow[i] = (uint16_t)node;
        narrow[block->count + i] = (uint16_t)zone;
    }
}
/* A reference, one more or one less, to each of them. */
void fl_block_ref_ids(const struct fl_block *block);
void fl_block_unref_ids(const struct fl_block *block);
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
static inline struct fl_str block_pod_suffix(const struct fl_block *block, size_t i) {
    const void *at = block_at(block, block->suffix_at);
    const uint32_t *wide = at;
    const uint16_t *narrow = at;
    size_t start = block->wide ? wide[i] : narrow[i];
    size_t end = block->wide ? wide[i + 1] : narrow[i + 1];
    return fl_str_n((const char *)block_at(block, block->text_at) + start, end - start);
}

#endif
