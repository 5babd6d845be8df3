/* block.c - packed blocks: how one lies in memory, and reading it. Any thread. See block.h. */
#include "base/block.h"

#include "base/alloc.h"
#include "base/block_layout.h"
#include "base/intern.h"

struct fl_block *fl_block_ref(struct fl_block *block) {
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

struct fl_block *fl_block_unref(struct fl_block *block) {
    if (!block || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) > 1) return NULL;
    const uint32_t *nodes = block_at(block, block->node_at);
    const uint32_t *zones = block_at(block, block->zone_at);
    for (size_t i = 0; i < block->count; i++) {
        if (i == 0 || nodes[i] != nodes[i - 1]) fl_intern_unref(nodes[i]);
        if (i == 0 || zones[i] != zones[i - 1]) fl_intern_unref(zones[i]);
    }
    fl_free(block);
    return NULL;
}

size_t fl_block_count(const struct fl_block *block) { return block->count; }
size_t fl_block_port_count(const struct fl_block *block) { return block->port_count; }
size_t fl_block_bytes(const struct fl_block *block) { return block->bytes; }

void fl_block_port_at(const struct fl_block *block, size_t i, struct fl_block_port *out) {
    FL_ASSERT(i < block->port_count);
    const struct block_port *ports = block_at(block, block->port_at), *port = &ports[i];
    const char *text = block_at(block, block->text_at);
    text += port->text_at;
    out->name = fl_str_n(text, port->name_len);
    text += port->name_len + 1;
    out->protocol = fl_str_n(text, port->protocol_len);
    text += port->protocol_len + 1;
    out->app_protocol = fl_str_n(text, port->app_protocol_len);
    out->port = port->port;
}

static size_t suffix_offset(const struct fl_block *block, size_t i) {
    const void *at = block_at(block, block->suffix_at);
    return block->wide ? ((const uint32_t *)at)[i] : ((const uint16_t *)at)[i];
}

static void read_address(const struct fl_block *block, size_t i, unsigned flags,
                         struct fl_address *out) {
    const uint8_t *addresses = block_at(block, block->address_at);
    const uint8_t *at = addresses + i * block->address_size;
    *out = (struct fl_address){.kind = FL_ADDRESS_V4};
    if (flags & BLOCK_NAME) {
        uint32_t place;
        memcpy(&place, at, sizeof(place));
        const uint8_t *text = block_at(block, block->text_at);
        out->kind = FL_ADDRESS_NAME;
        out->name = fl_str_n(text + place + 1, text[place]);
        return;
    }
    if (flags & BLOCK_V6) out->kind = FL_ADDRESS_V6;
    memcpy(out->ip, at, flags & BLOCK_V6 ? 16 : 4);
}

void fl_block_address_at(const struct fl_block *block, size_t i, struct fl_address *out) {
    FL_ASSERT(i < block->count);
    read_address(block, i, ((const uint8_t *)block_at(block, block->flags_at))[i], out);
}

void fl_block_endpoint_at(const struct fl_block *block, size_t i, struct fl_block_endpoint *out) {
    FL_ASSERT(i < block->count);
    const char *text = block_at(block, block->text_at);
    const uint8_t *all_flags = block_at(block, block->flags_at);
    const uint8_t *uids = block->uid_at ? block_at(block, block->uid_at) : NULL;
    const uint32_t *nodes = block_at(block, block->node_at);
    const uint32_t *zones = block_at(block, block->zone_at);
    unsigned flags = all_flags[i];
    size_t start = suffix_offset(block, i), end = suffix_offset(block, i + 1);
    read_address(block, i, flags, &out->address);
    memset(out->uid, 0, 16);
    if (uids) memcpy(out->uid, uids + 16 * i, 16);
    out->node = fl_intern_str(nodes[i]);
    out->zone = fl_intern_str(zones[i]);
    out->pod_prefix = fl_str_n(text, flags & BLOCK_POD ? block->prefix_len : 0);
    out->pod_suffix = fl_str_n(text + start, end - start);
    out->flags = flags & BLOCK_PUBLIC_FLAGS;
    out->hash = block->hashes[i];
}

unsigned fl_block_flags_at(const struct fl_block *block, size_t i) {
    FL_ASSERT(i < block->count);
    const uint8_t *flags = block_at(block, block->flags_at);
    return flags[i] & BLOCK_PUBLIC_FLAGS;
}
