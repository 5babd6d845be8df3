/* block.c - packed blocks: how one lies in memory, and reading it. Any thread. See block.h. */
#include "base/block.h"

#include "base/alloc.h"
#include "base/area.h"
#include "base/block_layout.h"
#include "base/hash.h"
#include "base/intern.h"

struct fl_block *fl_block_ref(struct fl_block *block) {
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

/* Some ids at a time. */
static void each_ids(const struct fl_block *block, void (*each)(const uint32_t *, size_t)) {
    uint32_t ids[256];
    size_t count = block_id_count(block);
    for (size_t from = 0, n; from < count; from += n) {
        n = FL_MIN(count - from, FL_COUNT(ids));
        for (size_t i = 0; i < n; i++) ids[i] = block_id(block, from + i);
        each(ids, n);
    }
}

void fl_block_ref_ids(const struct fl_block *block) { each_ids(block, fl_intern_ref_ids); }
void fl_block_unref_ids(const struct fl_block *block) { each_ids(block, fl_intern_unref_ids); }

struct fl_block *fl_block_unref(struct fl_block *block) {
    if (!block || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) > 1) return NULL;
    fl_block_unref_ids(block);
    const struct block_hints *hints = block_hints(block);
    if (hints) fl_intern_unref_ids(block_hint_ids(hints), hints->id_count);
    fl_area_add(FL_AREA_BLOCKS, -(ptrdiff_t)block->bytes);
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

static void read_address(const struct fl_block *block, size_t i, struct fl_address *out) {
    unsigned flags = block_flags(block, i);
    *out = (struct fl_address){.kind = flags & BLOCK_V6 ? FL_ADDRESS_V6 : FL_ADDRESS_V4};
    if (flags & BLOCK_NAME) {
        out->kind = FL_ADDRESS_NAME;
        out->name = block_host_name(block, i);
    } else {
        block_ip(block, i, out->ip);
    }
}

void fl_block_address_at(const struct fl_block *block, size_t i, struct fl_address *out) {
    FL_ASSERT(i < block->count);
    read_address(block, i, out);
}

/* Where the byte stands that is the `at`-th of the address, and how far behind it is that of the
 * next endpoint: nowhere, if it is kept once. */
struct column {
    const uint8_t *first;
    size_t step;
};

static struct column column_of(const struct fl_block *block, size_t at) {
    if (at < block->address_shared)
        return (struct column){(const uint8_t *)block_at(block, block->address_at) + at, 0};
    return (struct column){block_address(block, 0) + at - block->address_shared,
                           block->address_size};
}

/* The last bytes, which differ where addresses lie close together; of a name, of its hash. */
struct short_hasher {
    struct column last, before;
};

static struct short_hasher short_hasher_of(const struct fl_block *block, unsigned kind) {
    size_t end = kind & BLOCK_V6 ? 16 : 4;
    return (struct short_hasher){column_of(block, end - 1), column_of(block, end - 2)};
}

static inline unsigned short_hash(const struct short_hasher *hasher, size_t i) {
    unsigned last = hasher->last.first[i * hasher->last.step];
    unsigned before = hasher->before.first[i * hasher->before.step];
    return (before << 8 | last) % FL_BLOCK_SHORT_HASHES;
}

unsigned fl_block_short_hash_at(const struct fl_block *block, size_t i) {
    FL_ASSERT(i < block->count);
    unsigned flags = block_flags(block, i);
    if (flags & BLOCK_NAME)
        return (unsigned)(fl_hash(block_host_name(block, i), 0) % FL_BLOCK_SHORT_HASHES);
    const struct short_hasher hasher = short_hasher_of(block, flags);
    return short_hash(&hasher, i);
}

static inline bool has_bit(const uint64_t *bits, unsigned bit) {
    return bits[bit / 64] >> (bit % 64) & 1;
}

size_t fl_block_find(const struct fl_block *block, size_t from,
                     const uint64_t bits[FL_BLOCK_SHORT_HASHES / 64]) {
    size_t i = from;
    if (block->wide_flags || block->kind & BLOCK_NAME) {
        while (i < block->count && !has_bit(bits, fl_block_short_hash_at(block, i))) i++;
    } else {
        const struct short_hasher hasher = short_hasher_of(block, block->kind);
        while (i < block->count && !has_bit(bits, short_hash(&hasher, i))) i++;
    }
    return i;
}

const uint64_t *fl_block_hashes(const struct fl_block *block) { return block->hashes; }

bool fl_block_ports_are(const struct fl_block *block, const struct block_port *ports, size_t count,
                        const char *text) {
    const struct block_port *had = block_at(block, block->port_at);
    const char *had_text = block_at(block, block->text_at);
    if (count != block->port_count) return false;
    for (size_t i = 0; i < count; i++) {
        const struct block_port *a = &had[i], *b = &ports[i];
        if (a->port != b->port || a->name_len != b->name_len ||
            a->protocol_len != b->protocol_len || a->app_protocol_len != b->app_protocol_len ||
            memcmp(had_text + a->text_at, text + b->text_at, block_port_bytes(a)) != 0)
            return false;
    }
    return true;
}

bool fl_block_has_ports_of(const struct fl_block *block, const struct fl_block *other) {
    const struct block_port *ports = block_at(block, block->port_at);
    return fl_block_ports_are(other, ports, block->port_count, block_at(block, block->text_at));
}

void fl_block_endpoint_at(const struct fl_block *block, size_t i, struct fl_block_endpoint *out) {
    FL_ASSERT(i < block->count);
    unsigned flags = block_flags(block, i);
    read_address(block, i, &out->address);
    block_uid(block, i, out->uid);
    out->node = fl_intern_str(block_node(block, i));
    out->zone = fl_intern_str(block_zone(block, i));
    out->pod_prefix = block_pod_prefix(block, flags);
    out->pod_suffix = block_pod_suffix(block, i, out->suffix_text);
    out->flags = flags & BLOCK_PUBLIC_FLAGS;
    out->hash = block->hashes[i];
    out->hints = NULL;
}

unsigned fl_block_flags_at(const struct fl_block *block, size_t i) {
    FL_ASSERT(i < block->count);
    return block_flags(block, i) & BLOCK_PUBLIC_FLAGS;
}
