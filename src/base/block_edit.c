/* block_edit.c - see block_edit.h. One thread at a time. */
#include "base/block_edit.h"

#include "base/alloc.h"
#include "base/area.h"
#include "base/intern.h"

/* To the end in any case: such a loop is done four or eight at a time. */
bool fl_block_edit_has(const struct fl_block_edit *edit, uint64_t hash) {
    uint64_t found = 0;
    for (size_t i = 0; i < edit->from->count; i++) found |= edit->from->hashes[i] == hash;
    return found;
}

static bool same_pod(const struct fl_block *from, size_t i,
                     const struct fl_block_endpoint *endpoint) {
    unsigned flags = block_flags(from, i);
    char text[FL_BLOCK_SUFFIX_MAX];
    struct fl_str prefix = block_pod_prefix(from, flags), suffix = block_pod_suffix(from, i, text);
    struct fl_str first = endpoint->pod_prefix, rest = endpoint->pod_suffix;
    if (first.n) return fl_str_eq(first, prefix) && fl_str_eq(rest, suffix);
    return rest.n == prefix.n + suffix.n && fl_str_starts(rest, prefix) &&
           fl_str_eq(fl_str_from(rest, prefix.n), suffix);
}

bool fl_block_edit_fits(const struct fl_block_edit *edit,
                        const struct fl_block_endpoint *endpoint) {
    const struct fl_block *from = edit->from;
    size_t i = edit->count;
    if (i >= from->count || edit->change_count == FL_BLOCK_EDIT_CHANGES) return false;
    if (from->hint_at || endpoint->hints) return false;
    if (!block_fits_uid(from, endpoint->uid)) return false;
    unsigned kind = block_flags(from, i) & (BLOCK_V6 | BLOCK_NAME);
    bool same_kind = kind == BLOCK_V6 ? endpoint->address.kind == FL_ADDRESS_V6
                                      : kind == 0 && endpoint->address.kind == FL_ADDRESS_V4;
    return same_kind && block_shares_ip(from, endpoint->address.ip) && same_pod(from, i, endpoint);
}

void fl_block_edit_change(struct fl_block_edit *edit, const struct fl_block_endpoint *endpoint,
                          uint32_t node, uint32_t zone) {
    struct fl_block_change *change = &edit->changes[edit->change_count++];
    unsigned kept = block_flags(edit->from, edit->count) & ~(unsigned)BLOCK_PUBLIC_FLAGS;
    *change = (struct fl_block_change){.hash = endpoint->hash,
                                       .place = edit->count++,
                                       .node = node,
                                       .zone = zone,
                                       .flags = (uint8_t)(kept | endpoint->flags)};
    memcpy(change->uid, endpoint->uid, sizeof(change->uid));
    memcpy(change->ip, endpoint->address.ip, endpoint->address.kind == FL_ADDRESS_V6 ? 16 : 4);
}

const struct fl_block_change *fl_block_edit_at(const struct fl_block_edit *edit, size_t place) {
    for (size_t i = 0; i < edit->change_count; i++)
        if (edit->changes[i].place == place) return &edit->changes[i];
    return NULL;
}

bool fl_block_edit_is_whole(const struct fl_block_edit *edit, const struct block_port *ports,
                            size_t port_count, const char *text) {
    return edit->count == edit->from->count &&
           fl_block_ports_are(edit->from, ports, port_count, text);
}

static void write_change(struct fl_block *block, const struct fl_block_change *change) {
    size_t i = change->place;
    block->hashes[i] = change->hash;
    block_set_node_zone(block, i, change->node, change->zone);
    block_set_flags_uid(block, i, change->flags, change->uid);
    memcpy(block_address(block, i), change->ip + block->address_shared, block->address_size);
}

struct fl_block *fl_block_edit_finish(const struct fl_block_edit *edit) {
    struct fl_block *block = fl_alloc(edit->from->bytes);
    if (!block) return NULL;
    fl_area_add(FL_AREA_BLOCKS, (ptrdiff_t)edit->from->bytes);
    memcpy((char *)block + offsetof(struct fl_block, bytes),
           (const char *)edit->from + offsetof(struct fl_block, bytes),
           edit->from->bytes - offsetof(struct fl_block, bytes));
    atomic_init(&block->refs, 1);
    for (size_t i = 0; i < edit->change_count; i++) write_change(block, &edit->changes[i]);
    fl_block_ref_ids(block);
    const struct block_hints *hints = block_hints(block);
    if (hints) fl_intern_ref_ids(block_hint_ids(hints), hints->id_count);
    return block;
}
