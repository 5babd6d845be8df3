/* block_builder.c - building packed blocks. One thread at a time.
 *
 * Endpoints are gathered as rows and their texts in one piece of scratch memory; finish knows all
 * sizes and lays them out in one allocation (see block_layout.h). Scratch memory is kept for the
 * next block, so that nothing but the block is allocated once the builder has seen its largest.
 *
 * Nodes and zones become interned ids (block_names.c). Rows borrow them from there or from
 * `previous`; the references of the block are taken at its finish, all at once.
 *
 * As long as the block is `previous` with a few endpoints changed at their places, nothing of that
 * happens: block_edit.c. When that ends the endpoints so far are taken over as rows.
 *
 * fl_block_builder_reuse looks at the place in `previous` behind the last hit and the one after it
 * (for an endpoint that was replaced or removed); when both fail it makes an index of all hashes,
 * once per block, so that no order costs more than linear time. */
#include "base/alloc.h"
#include "base/area.h"
#include "base/block_edit.h"
#include "base/block_hints.h"
#include "base/block_layout.h"
#include "base/block_names.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/intern.h"

#define TEXT_MAX  FL_BLOCK_TEXT_MAX
#define PORTS_MAX 20000 /* as the API server validates */

struct row {
    uint64_t hash;
    uint8_t uid[16];
    union {
        uint8_t ip[16];
        struct {
            uint32_t at, len; /* in the scratch text */
        } name;
    } address;
    uint32_t node, zone;
    uint32_t hints;  /* place of its list plus one; 0: none */
    uint32_t pod_at; /* in the scratch text */
    uint16_t pod_len;
    uint8_t flags;
};

struct fl_block_builder {
    size_t endpoints_max;
    struct row *rows;
    size_t count, cap;
    struct block_port *ports;
    size_t port_count, port_cap;
    struct fl_buf text; /* whole pod names, ports' texts, host names */
    struct fl_block_names names;
    struct fl_hint_lists hints;

    const struct fl_block *previous;
    struct fl_block_edit edit; /* of previous; the rows are those of its endpoints that moved */
    size_t expected;           /* where in `previous` the next hit is likely */
    uint32_t *index;           /* of previous: place + 1 by hash, 0 empty */
    size_t index_cap;          /* of the memory */
    size_t index_mask;         /* 0: not made for this block */
    size_t pods, pod_bytes;    /* endpoints with a pod name, and their bytes */
    size_t port_bytes;         /* of the ports' texts */
    size_t name_bytes;         /* of host names, with their length bytes */
    uint32_t prefix_at;        /* the first pod name */
    uint32_t prefix_len;       /* that all names so far share */
    bool any_uid, any_v6;
};

int fl_block_builder_new(size_t endpoints_max, struct fl_block_builder **out) {
    *out = FL_NEW(struct fl_block_builder);
    if (!*out) return FL_ENOMEM;
    (*out)->endpoints_max = FL_MIN(endpoints_max, UINT32_MAX / sizeof(struct row));
    fl_buf_init(&(*out)->text, UINT32_MAX / 2);
    return 0;
}

void fl_block_builder_free(struct fl_block_builder *b) {
    if (!b) return;
    fl_block_names_deinit(&b->names);
    fl_free(b->rows);
    fl_free(b->ports);
    fl_free(b->index);
    fl_hint_lists_deinit(&b->hints);
    fl_buf_deinit(&b->text);
    fl_free(b);
}

void fl_block_builder_start(struct fl_block_builder *b, const struct fl_block *previous) {
    fl_block_names_bound(&b->names);
    b->count = 0;
    fl_hint_lists_clear(&b->hints);
    fl_buf_truncate(&b->text, 0);
    b->previous = previous;
    fl_block_edit_start(&b->edit, previous);
    b->expected = b->index_mask = 0;
    b->port_count = b->port_bytes = b->name_bytes = 0;
    b->pods = b->pod_bytes = 0;
    b->prefix_at = b->prefix_len = 0;
    b->any_uid = b->any_v6 = false;
}

/* Makes room for one more item in *items; `max` of them at most. */
static int grow_array(void **items, size_t *cap, size_t count, size_t item_size, size_t max) {
    if (count < *cap) return 0;
    if (count >= max) return FL_ETOO_LARGE;
    size_t bigger = FL_MIN(FL_MAX(2 * *cap, 16), max);
    void *moved = fl_realloc(*items, bigger * item_size);
    if (!moved) return FL_ENOMEM;
    *items = moved;
    *cap = bigger;
    return 0;
}

/* Room for `n` more bytes of scratch text, so that put_text may follow. */
static inline int text_room(struct fl_block_builder *b, size_t n) {
    if (n <= b->text.cap - b->text.len) return 0;
    if (n > b->text.max - b->text.len) return FL_ETOO_LARGE;
    return fl_buf_reserve(&b->text, n) ? 0 : FL_ENOMEM;
}

static inline void put_text(struct fl_block_builder *b, struct fl_str text) {
    fl_bytes_copy(b->text.data + b->text.len, text.p, text.n);
    b->text.len += text.n;
}

int fl_block_builder_port(struct fl_block_builder *b, const struct fl_block_port *port) {
    const struct fl_str texts[] = {port->name, port->protocol, port->app_protocol};
    void *ports = b->ports;
    int rc = grow_array(&ports, &b->port_cap, b->port_count, sizeof(*b->ports), PORTS_MAX);
    b->ports = ports;
    if (rc == 0) rc = text_room(b, FL_COUNT(texts) * (TEXT_MAX + 1));
    if (rc < 0) return rc;
    struct block_port *out = &b->ports[b->port_count];
    *out = (struct block_port){.text_at = (uint32_t)b->text.len, .port = port->port};
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        if (texts[i].n > TEXT_MAX) return FL_ETOO_LARGE;
        put_text(b, texts[i]);
        put_text(b, fl_str_n("", 1)); /* readers are given it terminated */
    }
    out->name_len = (uint16_t)port->name.n;
    out->protocol_len = (uint16_t)port->protocol.n;
    out->app_protocol_len = (uint16_t)port->app_protocol.n;
    b->port_bytes += block_port_bytes(out);
    b->port_count++;
    return 0;
}

static int set_address(struct fl_block_builder *b, const struct fl_address *address,
                       struct row *row) {
    switch (address->kind) {
    case FL_ADDRESS_V4:
        memcpy(row->address.ip, address->ip, 4);
        return 0;
    case FL_ADDRESS_V6:
        row->flags |= BLOCK_V6;
        memcpy(row->address.ip, address->ip, 16);
        return 0;
    case FL_ADDRESS_NAME:
        break;
    }
    if (address->name.n > UINT8_MAX) return FL_ETOO_LARGE; /* its length is one byte */
    int rc = text_room(b, address->name.n);
    if (rc < 0) return rc;
    row->flags |= BLOCK_NAME;
    row->address.name.at = (uint32_t)b->text.len;
    row->address.name.len = (uint32_t)address->name.n;
    put_text(b, address->name);
    return 0;
}

/* How many bytes two runs have in common at their beginning. */
static size_t common(struct fl_str a, struct fl_str b) {
    size_t limit = FL_MIN(a.n, b.n), n = 0;
    while (n < limit && a.p[n] == b.p[n]) n++;
    return n;
}

/* Shortens the prefix to what the pod name shares with it. Compares the caller's bytes: their copy
 * was only just written. */
static inline void narrow_prefix(struct fl_block_builder *b, struct fl_str first,
                                 struct fl_str rest) {
    struct fl_str prefix = fl_str_n(b->text.data + b->prefix_at, b->prefix_len);
    struct fl_str begin = first.n ? first : rest;
    if (begin.n >= prefix.n && fl_bytes_eq(begin.p, prefix.p, prefix.n))
        return; /* the usual case */
    size_t n = common(prefix, first);
    if (n == first.n) n += common(fl_str_from(prefix, n), rest);
    b->prefix_len = (uint32_t)n;
}

/* The pod's name comes in two parts, of which the first may be empty. */
static inline int set_pod(struct fl_block_builder *b, struct fl_str first, struct fl_str rest,
                          struct row *row) {
    size_t len = first.n + rest.n;
    if (len == 0) return 0;
    if (len > TEXT_MAX) return FL_ETOO_LARGE;
    int rc = text_room(b, len);
    if (rc < 0) return rc;
    row->flags |= BLOCK_POD;
    row->pod_at = (uint32_t)b->text.len;
    row->pod_len = (uint16_t)len;
    put_text(b, first);
    put_text(b, rest);
    if (b->pods == 0) {
        b->prefix_at = row->pod_at;
        b->prefix_len = (uint32_t)len;
    } else {
        narrow_prefix(b, first, rest);
    }
    return 0;
}

/* The row behind the last one, empty; it stays a draft until it is counted. */
static inline int draft_row(struct fl_block_builder *b, struct row **row) {
    if (b->count == b->cap) {
        void *rows = b->rows;
        int rc = grow_array(&rows, &b->cap, b->count, sizeof(*b->rows), b->endpoints_max);
        if (rc < 0) return rc;
        b->rows = rows;
    }
    *row = &b->rows[b->count];
    **row = (struct row){0};
    return 0;
}

static inline bool has_uid(const struct row *row) {
    uint64_t halves[2];
    memcpy(halves, row->uid, sizeof(halves));
    return (halves[0] | halves[1]) != 0;
}

static inline void count_row(struct fl_block_builder *b, const struct row *row) {
    b->pods += (row->flags & BLOCK_POD) != 0;
    b->pod_bytes += row->pod_len;
    if (row->flags & BLOCK_NAME) b->name_bytes += 1 + row->address.name.len;
    b->any_v6 = b->any_v6 || (row->flags & BLOCK_V6);
    b->any_uid = b->any_uid || has_uid(row);
    b->count++;
}

static int intern_names(struct fl_block_builder *b, const struct fl_str *names, size_t count,
                        uint32_t *ids) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = fl_block_names_node(&b->names, names[i], &ids[i]);
    return rc;
}

static int set_hints(struct fl_block_builder *b, const struct fl_block_hints *hints,
                     struct row *row) {
    uint32_t ids[BLOCK_HINT_IDS_MAX];
    FL_ASSERT(hints->zone_count <= FL_BLOCK_HINTS_MAX && hints->node_count <= FL_BLOCK_HINTS_MAX);
    int rc = intern_names(b, hints->zones, hints->zone_count, ids);
    if (rc == 0) rc = intern_names(b, hints->nodes, hints->node_count, ids + hints->zone_count);
    if (rc < 0) return rc;
    return fl_hint_lists_add(&b->hints, ids, hints->zone_count, hints->node_count, &row->hints);
}

/* Makes the index of `previous`, at most half full; false without memory. */
static bool make_index(struct fl_block_builder *b) {
    size_t cap = 16, count = fl_block_count(b->previous);
    const uint64_t *hashes = b->previous->hashes;
    while (cap < 2 * count) cap *= 2;
    if (cap > b->index_cap) {
        uint32_t *index = fl_realloc(b->index, cap * sizeof(*index));
        if (!index) return false;
        b->index = index;
        b->index_cap = cap;
    }
    memset(b->index, 0, cap * sizeof(*b->index));
    b->index_mask = cap - 1;
    for (size_t i = 0; i < count; i++) {
        size_t at = hashes[i] & b->index_mask;
        while (b->index[at]) at = (at + 1) & b->index_mask;
        b->index[at] = (uint32_t)i + 1;
    }
    return true;
}

static bool find_by_index(struct fl_block_builder *b, uint64_t hash, size_t *out) {
    if (!b->index_mask && !make_index(b)) return false;
    const uint64_t *hashes = b->previous->hashes;
    for (size_t at = hash & b->index_mask; b->index[at]; at = (at + 1) & b->index_mask) {
        *out = b->index[at] - 1;
        if (hashes[*out] == hash) return true;
    }
    return false;
}

static bool find_previous(struct fl_block_builder *b, uint64_t hash, size_t *out) {
    if (!b->previous) return false;
    const uint64_t *hashes = b->previous->hashes;
    size_t end = FL_MIN(b->expected + 2, fl_block_count(b->previous));
    for (*out = b->expected; *out < end; ++*out) {
        if (hashes[*out] == hash) return true;
    }
    return find_by_index(b, hash, out);
}

static int copy_hints(struct fl_block_builder *b, size_t i, struct row *row) {
    const struct block_hints *hints = block_hints(b->previous);
    uint32_t place = hints ? block_hint_places(hints)[i] : 0;
    if (place == 0) return 0;
    const struct block_hint *list = &hints->lists[place - 1];
    return fl_hint_lists_add(&b->hints, block_hint_ids(hints) + list->first, list->zone_count,
                             list->node_count, &row->hints);
}

/* Takes over the i-th endpoint of `previous`, its node, zone and hints as ids. */
static int copy_row(struct fl_block_builder *b, size_t i, struct row *row) {
    const struct fl_block *from = b->previous;
    const uint8_t *address = block_address(from, i), *uid = block_uid(from, i);
    unsigned flags = block_flags(from, i);
    row->hash = from->hashes[i];
    row->flags = flags & (BLOCK_PUBLIC_FLAGS | BLOCK_V6);
    row->node = block_node(from, i);
    row->zone = block_zone(from, i);
    if (uid) memcpy(row->uid, uid, sizeof(row->uid));
    int rc = set_pod(b, block_pod_prefix(from, flags), block_pod_suffix(from, i), row);
    if (rc == 0) rc = copy_hints(b, i, row);
    if (rc < 0) return rc;
    if (flags & BLOCK_NAME) {
        struct fl_address name = {.kind = FL_ADDRESS_NAME, .name = block_host_name(from, address)};
        return set_address(b, &name, row);
    }
    memcpy(row->address.ip, address, flags & BLOCK_V6 ? 16 : 4);
    return 0;
}

/* Takes the endpoints so far over as rows. When memory fails it goes on where it stopped. */
static int stop_edit(struct fl_block_builder *b) {
    const struct fl_block_edit *edit = &b->edit;
    if (!edit->from) return 0;
    for (size_t i = b->count; i < edit->count; i = b->count) {
        const struct fl_block_change *change = fl_block_edit_at(edit, i);
        struct row *row;
        int rc = draft_row(b, &row);
        if (rc == 0) rc = copy_row(b, i, row);
        if (rc < 0) return rc;
        if (change) {
            row->hash = change->hash;
            row->flags = change->flags;
            row->node = change->node;
            row->zone = change->zone;
            memcpy(row->uid, change->uid, sizeof(row->uid));
            memcpy(row->address.ip, change->ip, sizeof(row->address.ip));
        }
        count_row(b, row);
    }
    b->expected = edit->count;
    b->edit.from = NULL;
    return 0;
}

/* 1: the endpoint is a change of the edit; 0: it is for a row. */
static int edit_add(struct fl_block_builder *b, const struct fl_block_endpoint *endpoint) {
    uint32_t node = 0, zone = 0;
    if (!fl_block_edit_fits(&b->edit, endpoint)) return stop_edit(b);
    int rc = fl_block_names_node(&b->names, endpoint->node, &node);
    if (rc == 0) rc = fl_block_names_zone(&b->names, endpoint->zone, &zone);
    if (rc < 0) return rc;
    if (!b->edit.from->wide_ids && block_id_is_wide(node | zone)) return stop_edit(b);
    fl_block_edit_change(&b->edit, endpoint, node, zone);
    return 1;
}

int fl_block_builder_add(struct fl_block_builder *b, const struct fl_block_endpoint *endpoint) {
    struct row *row;
    FL_ASSERT((endpoint->flags & ~(unsigned)BLOCK_PUBLIC_FLAGS) == 0);
    int rc = b->edit.from ? edit_add(b, endpoint) : 0;
    if (rc != 0) return rc < 0 ? rc : 0;
    if ((rc = draft_row(b, &row)) < 0) return rc;
    row->hash = endpoint->hash;
    row->flags = (uint8_t)endpoint->flags;
    memcpy(row->uid, endpoint->uid, sizeof(row->uid));
    if ((rc = set_address(b, &endpoint->address, row)) < 0) return rc;
    if ((rc = set_pod(b, endpoint->pod_prefix, endpoint->pod_suffix, row)) < 0) return rc;
    if ((rc = fl_block_names_node(&b->names, endpoint->node, &row->node)) < 0) return rc;
    if ((rc = fl_block_names_zone(&b->names, endpoint->zone, &row->zone)) < 0) return rc;
    if (endpoint->hints && (rc = set_hints(b, endpoint->hints, row)) < 0) return rc;
    count_row(b, row);
    return 0;
}

bool fl_block_builder_reuse(struct fl_block_builder *b, uint64_t hash) {
    struct row *row;
    size_t i;
    if (hash == 0) return false; /* endpoints that came from no bytes */
    if (b->edit.from) {
        if (fl_block_edit_keep(&b->edit, hash)) return true;
        if (!fl_block_edit_has(&b->edit, hash) || stop_edit(b) < 0) return false;
    }
    if (!find_previous(b, hash, &i)) return false;
    if (draft_row(b, &row) < 0 || copy_row(b, i, row) < 0) return false;
    count_row(b, row);
    b->expected = i + 1;
    return true;
}

static bool any_wide_id(const struct fl_block_builder *b) {
    uint32_t ids = 0;
    for (size_t i = 0; i < b->count; i++) ids |= b->rows[i].node | b->rows[i].zone;
    return block_id_is_wide(ids);
}

/* Where the arrays of the block lie, in its header; its size. */
static size_t lay_out(const struct fl_block_builder *b, struct fl_block *block) {
    size_t text_bytes =
        b->prefix_len + (b->pod_bytes - b->pods * b->prefix_len) + b->port_bytes + b->name_bytes;
    size_t n = b->count, at = sizeof(struct fl_block) + n * sizeof(uint64_t);
    block->count = (uint32_t)n;
    block->port_count = (uint16_t)b->port_count;
    block->prefix_len = b->prefix_len;
    block->address_size = b->any_v6 ? 16 : 4;
    block->wide = text_bytes > UINT16_MAX;
    block->node_at = (uint32_t)at;
    block->wide_ids = any_wide_id(b);
    at += 2 * n * (block->wide_ids ? sizeof(uint32_t) : sizeof(uint16_t));
    size_t hint_bytes = fl_hint_lists_bytes(&b->hints, n);
    block->hint_at = hint_bytes ? (uint32_t)at : 0;
    at += hint_bytes;
    block->port_at = (uint32_t)at;
    at += b->port_count * sizeof(struct block_port);
    block->address_at = (uint32_t)at;
    at += n * block->address_size;
    block->uid_at = b->any_uid ? (uint32_t)at : 0;
    at += b->any_uid ? n * 16 : 0;
    block->suffix_at = (uint32_t)at;
    at += (n + 1) * (block->wide ? sizeof(uint32_t) : sizeof(uint16_t));
    block->flags_at = (uint32_t)at;
    at += n;
    block->text_at = (uint32_t)at;
    return at + text_bytes;
}

/* Where the filling of a block's text has come to. */
struct cursor {
    char *text;
    uint32_t at;
};

static void pack_text(struct cursor *c, const char *p, size_t n) {
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

/* The prefix, then the suffixes with their places. */
static void fill_pods(const struct fl_block_builder *b, struct fl_block *block, struct cursor *c) {
    const char *text = b->text.data;
    size_t prefix = b->prefix_len;
    if (prefix) pack_text(c, text + b->prefix_at, prefix);
    for (size_t i = 0; i < b->count; i++) {
        const struct row *row = &b->rows[i];
        set_suffix(block, i, c->at);
        if (row->flags & BLOCK_POD)
            pack_text(c, text + row->pod_at + prefix, row->pod_len - prefix);
    }
    set_suffix(block, b->count, c->at);
}

static void fill_ports(const struct fl_block_builder *b, struct fl_block *block, struct cursor *c) {
    struct block_port *ports = block_at(block, block->port_at);
    for (size_t i = 0; i < b->port_count; i++) {
        ports[i] = b->ports[i];
        ports[i].text_at = c->at;
        pack_text(c, b->text.data + b->ports[i].text_at, block_port_bytes(&ports[i]));
    }
}

static void fill_addresses(const struct fl_block_builder *b, struct fl_block *block,
                           struct cursor *c) {
    uint8_t *out = block_at(block, block->address_at);
    for (size_t i = 0; i < b->count; i++, out += block->address_size) {
        const struct row *row = &b->rows[i];
        if (!(row->flags & BLOCK_NAME)) {
            memcpy(out, row->address.ip, block->address_size == 4 ? 4 : 16);
            continue;
        }
        char len = (char)row->address.name.len;
        memcpy(out, &c->at, sizeof(c->at));
        pack_text(c, &len, 1);
        pack_text(c, b->text.data + row->address.name.at, row->address.name.len);
    }
}

static void fill_hints(const struct fl_block_builder *b, struct fl_block *block) {
    struct block_hints *hints = block_hints(block);
    fl_hint_lists_fill(&b->hints, block);
    if (!hints) return;
    uint32_t *places = block_hint_places(hints);
    for (size_t i = 0; i < b->count; i++) places[i] = b->rows[i].hints;
}

static void fill_arrays(const struct fl_block_builder *b, struct fl_block *block) {
    uint8_t *flags = block_at(block, block->flags_at);
    uint8_t *uids = block->uid_at ? block_at(block, block->uid_at) : NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct row *row = &b->rows[i];
        block->hashes[i] = row->hash;
        block_set_node_zone(block, i, row->node, row->zone);
        flags[i] = row->flags;
        if (uids) memcpy(uids + 16 * i, row->uid, 16);
    }
}

int fl_block_builder_finish(struct fl_block_builder *b, struct fl_block **out) {
    struct fl_block header = {0};
    *out = NULL;
    if (b->edit.from && fl_block_edit_is_whole(&b->edit, b->ports, b->port_count, b->text.data)) {
        *out = fl_block_edit_finish(&b->edit);
        return *out ? 0 : FL_ENOMEM;
    }
    int rc = stop_edit(b);
    if (rc < 0) return rc;
    size_t bytes = lay_out(b, &header);
    if (bytes > UINT32_MAX) return FL_ETOO_LARGE;
    struct fl_block *block = fl_alloc(bytes);
    if (!block) return FL_ENOMEM;
    fl_area_add(FL_AREA_BLOCKS, (ptrdiff_t)bytes);
    memcpy(block, &header, sizeof(header));
    atomic_init(&block->refs, 1);
    block->bytes = (uint32_t)bytes;
    struct cursor c = {block_at(block, block->text_at), 0};
    fill_arrays(b, block);
    fill_hints(b, block);
    fill_pods(b, block, &c);
    fill_ports(b, block, &c);
    fill_addresses(b, block, &c);
    FL_ASSERT(block->text_at + c.at == block->bytes);
    fl_block_ref_ids(block);
    *out = block;
    return 0;
}
