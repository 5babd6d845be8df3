/* block_pack.c - makes a block of what was gathered for it. Any thread.
 *
 * The draft knows of all rows what they have in common and the sizes of the rest, so the block is
 * laid out first, allocated at once, and filled array by array (see block_layout.h). */
#include "base/alloc.h"
#include "base/area.h"
#include "base/block_draft.h"

/* How many bytes of their addresses all endpoints begin with. One is left to each: addresses of no
 * bytes would be a case of their own. */
static size_t shared_bytes(const struct fl_block_draft *draft, size_t size) {
    const uint8_t *differ = (const uint8_t *)draft->ips_differ;
    size_t n = 0;
    while (n < size - 1 && differ[n] == 0) n++;
    return n;
}

/* What the endpoints have in common: how an item of each array is written. */
static void choose_forms(const struct fl_block_draft *draft, struct fl_block *block) {
    unsigned kind = draft->count ? draft->rows[0].flags & BLOCK_KIND : 0;
    block->wide_flags = draft->kinds_differ != 0;
    block->kind = (uint8_t)kind;
    block->random_uids = !draft->any_set_uid;
    block->flag_bits = (block->wide_flags ? BLOCK_FLAG_BITS : BLOCK_PUBLIC_FLAG_BITS) +
                       (block->random_uids ? BLOCK_UID_BITS : 0);
    block->id_bits = draft->ids ? (uint8_t)(32 - __builtin_clz(draft->ids)) : 0;
    FL_ASSERT(block->id_bits <= FL_BITS_MAX); /* as the table of names bounds them */
    block->zones = draft->zones == 0     ? BLOCK_ZONES_NONE
                   : draft->zones_differ ? BLOCK_ZONES_KEPT
                                         : BLOCK_ZONES_OF_NODES;
    block->address_size = (kind | draft->kinds_differ) & BLOCK_V6 ? 16 : 4;
    if (!((kind | draft->kinds_differ) & BLOCK_NAME) && !(draft->kinds_differ & BLOCK_V6) &&
        draft->count)
        block->address_shared = (uint8_t)shared_bytes(draft, block->address_size);
    block->address_size -= block->address_shared;
}

/* What of the pod's name is its own. */
static inline struct fl_str suffix_of(const struct fl_block_draft *draft,
                                      const struct fl_block_row *row) {
    if (!(row->flags & BLOCK_POD)) return FL_STR_NONE;
    return fl_str_n(draft->text.data + row->pod_at + draft->prefix_len,
                    row->pod_len - draft->prefix_len);
}

/* Whether all suffixes are numbers: then the rows have them. */
static bool find_numbers(struct fl_block_draft *draft) {
    bool all = draft->count > 0;
    for (size_t i = 0; i < draft->count && all; i++) {
        struct fl_block_row *row = &draft->rows[i];
        all = fl_block_suffix_number(suffix_of(draft, row), &row->suffix);
    }
    return all;
}

static bool suffixes_are_even(const struct fl_block_draft *draft) {
    return !draft->pod_lens_differ && !(draft->kinds_differ & BLOCK_POD);
}

/* Sets how suffixes are kept; gives the bytes of their text. */
static size_t choose_suffixes(struct fl_block_draft *draft, struct fl_block *block) {
    size_t bytes = draft->pod_bytes - draft->pods * draft->prefix_len;
    if (!suffixes_are_even(draft)) return bytes;
    block->suffix_len = draft->count ? (uint16_t)suffix_of(draft, &draft->rows[0]).n : 0;
    block->random_suffixes = find_numbers(draft);
    return block->random_suffixes ? draft->count * block_suffix_bytes(block->suffix_len) : bytes;
}

/* Where the arrays of the block lie, in its header; its size. */
static size_t lay_out(struct fl_block_draft *draft, struct fl_block *block) {
    size_t n = draft->count, at = sizeof(struct fl_block) + n * sizeof(uint64_t);
    size_t text_bytes =
        draft->prefix_len + choose_suffixes(draft, block) + draft->port_bytes + draft->name_bytes;
    block->count = (uint32_t)n;
    block->port_count = (uint16_t)draft->port_count;
    block->prefix_len = (uint16_t)draft->prefix_len;
    block->wide = text_bytes > UINT16_MAX;
    choose_forms(draft, block);
    size_t hint_bytes = fl_hint_lists_bytes(&draft->hints, n);
    block->hint_at = hint_bytes ? (uint32_t)at : 0;
    at += hint_bytes;
    block->port_at = (uint32_t)at;
    at += draft->port_count * sizeof(struct block_port);
    if (!suffixes_are_even(draft)) {
        block->suffix_at = (uint32_t)at;
        at += (n + 1) * (block->wide ? sizeof(uint32_t) : sizeof(uint16_t));
    }
    block->uid_at = draft->any_uid ? (uint32_t)at : 0;
    at += draft->any_uid ? n * (block->random_uids ? BLOCK_UID_BYTES : 16) : 0;
    block->address_at = (uint32_t)at;
    at += block->address_shared + n * block->address_size;
    block->flags_at = (uint32_t)at;
    at += fl_bits_bytes(n, block->flag_bits);
    block->ids_at = (uint32_t)at;
    at += fl_bits_bytes(block_id_count(block), block->id_bits);
    block->text_at = (uint32_t)at;
    return at + text_bytes;
}

/* Where the filling of a block's text has come to. */
struct cursor {
    char *text;
    uint32_t at;
};

static inline void pack_text(struct cursor *c, const char *p, size_t n) {
    fl_bytes_copy(c->text + c->at, p, n);
    c->at += (uint32_t)n;
}

static void set_suffix(struct fl_block *block, size_t i, uint32_t offset) {
    void *at = block_at(block, block->suffix_at);
    if (block->wide) {
        ((uint32_t *)at)[i] = offset;
    } else {
        ((uint16_t *)at)[i] = (uint16_t)offset;
    }
}

/* Suffixes that are numbers, the lowest byte first. */
static void fill_numbers(const struct fl_block_draft *draft, const struct fl_block *block,
                         struct cursor *c) {
    size_t bytes = block_suffix_bytes(block->suffix_len);
    for (size_t i = 0; i < draft->count; i++) {
        uint32_t number = draft->rows[i].suffix;
        for (size_t k = 0; k < bytes; k++, number >>= 8) c->text[c->at++] = (char)number;
    }
}

/* The prefix, then the suffixes, with their places if they need them. */
static void fill_pods(const struct fl_block_draft *draft, struct fl_block *block,
                      struct cursor *c) {
    if (draft->prefix_len) pack_text(c, draft->text.data + draft->prefix_at, draft->prefix_len);
    if (block->random_suffixes) {
        fill_numbers(draft, block, c);
        return;
    }
    for (size_t i = 0; i < draft->count; i++) {
        struct fl_str suffix = suffix_of(draft, &draft->rows[i]);
        if (block->suffix_at) set_suffix(block, i, c->at);
        if (suffix.n) pack_text(c, suffix.p, suffix.n);
    }
    if (block->suffix_at) set_suffix(block, draft->count, c->at);
}

static void fill_ports(const struct fl_block_draft *draft, struct fl_block *block,
                       struct cursor *c) {
    struct block_port *ports = block_at(block, block->port_at);
    for (size_t i = 0; i < draft->port_count; i++) {
        ports[i] = draft->ports[i];
        ports[i].text_at = c->at;
        pack_text(c, draft->text.data + draft->ports[i].text_at, block_port_bytes(&ports[i]));
    }
}

static void fill_addresses(const struct fl_block_draft *draft, struct fl_block *block,
                           struct cursor *c) {
    size_t shared = block->address_shared, size = block->address_size;
    uint8_t *out = block_at(block, block->address_at);
    if (shared) memcpy(out, draft->rows[0].address.ip, shared);
    out += shared;
    for (size_t i = 0; i < draft->count; i++, out += size) {
        const struct fl_block_row *row = &draft->rows[i];
        if (!(row->flags & BLOCK_NAME)) {
            fl_bytes_copy((char *)out, (const char *)row->address.ip + shared, size);
            continue;
        }
        char len = (char)row->address.name.len;
        memcpy(out, &c->at, sizeof(c->at));
        pack_text(c, &len, 1);
        pack_text(c, draft->text.data + row->address.name.at, row->address.name.len);
    }
}

static void fill_hints(const struct fl_block_draft *draft, struct fl_block *block) {
    struct block_hints *hints = block_hints(block);
    fl_hint_lists_fill(&draft->hints, block);
    if (!hints) return;
    uint32_t *places = block_hint_places(hints);
    for (size_t i = 0; i < draft->count; i++) places[i] = draft->rows[i].hints;
}

static void fill_hashes(const struct fl_block_draft *draft, struct fl_block *block) {
    for (size_t i = 0; i < draft->count; i++) block->hashes[i] = draft->rows[i].hash;
}

static void fill_flags_uids(const struct fl_block_draft *draft, struct fl_block *block) {
    struct fl_bits_writer flags =
        fl_bits_writer(block_at(block, block->flags_at), block->flag_bits);
    for (size_t i = 0; i < draft->count; i++) {
        const struct fl_block_row *row = &draft->rows[i];
        fl_bits_put(&flags, block_put_uid(block, i, row->flags, row->uid));
    }
    fl_bits_finish(&flags, block_at(block, block->ids_at));
}

static void fill_ids(const struct fl_block_draft *draft, struct fl_block *block) {
    struct fl_bits_writer ids = fl_bits_writer(block_at(block, block->ids_at), block->id_bits);
    for (size_t i = 0; i < draft->count; i++) fl_bits_put(&ids, draft->rows[i].node);
    if (block->zones == BLOCK_ZONES_KEPT)
        for (size_t i = 0; i < draft->count; i++) fl_bits_put(&ids, draft->rows[i].zone);
    fl_bits_finish(&ids, block_at(block, block->text_at));
}

int fl_block_pack(struct fl_block_draft *draft, struct fl_block **out) {
    struct fl_block header = {0};
    size_t bytes = lay_out(draft, &header);
    if (bytes > UINT32_MAX) return FL_ETOO_LARGE;
    struct fl_block *block = fl_alloc(bytes);
    if (!block) return FL_ENOMEM;
    fl_area_add(FL_AREA_BLOCKS, (ptrdiff_t)bytes);
    memcpy(block, &header, sizeof(header));
    atomic_init(&block->refs, 1);
    block->bytes = (uint32_t)bytes;
    struct cursor c = {block_at(block, block->text_at), 0};
    fill_hashes(draft, block);
    fill_flags_uids(draft, block);
    fill_ids(draft, block);
    fill_hints(draft, block);
    fill_pods(draft, block, &c);
    fill_ports(draft, block, &c);
    fill_addresses(draft, block, &c);
    FL_ASSERT(block->text_at + c.at == block->bytes);
    fl_block_ref_ids(block);
    *out = block;
    return 0;
}
