/* block_builder.c - building packed blocks. One thread at a time.
 *
 * Endpoints are gathered as rows and their texts in one piece of scratch memory (block_draft.h);
 * block_pack.c makes the block of them. Scratch memory is kept for the next block, so that nothing
 * but the block is allocated once the builder has seen its largest.
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
#include "base/block_draft.h"
#include "base/block_edit.h"
#include "base/block_names.h"

#define TEXT_MAX  FL_BLOCK_TEXT_MAX
#define PORTS_MAX 20000 /* as the API server validates */

struct fl_block_builder {
    size_t endpoints_max;
    struct fl_block_draft draft;
    struct fl_block_names names;

    const struct fl_block *previous;
    struct fl_block_edit edit; /* of previous; the rows are those of its endpoints that moved */
    size_t expected;           /* where in `previous` the next hit is likely */
    uint32_t *index;           /* of previous: place + 1 by hash, 0 empty */
    size_t index_cap;          /* of the memory */
    size_t index_mask;         /* 0: not made for this block */
};

int fl_block_builder_new(size_t endpoints_max, struct fl_block_builder **out) {
    *out = FL_NEW(struct fl_block_builder);
    if (!*out) return FL_ENOMEM;
    (*out)->endpoints_max = FL_MIN(endpoints_max, UINT32_MAX / sizeof(struct fl_block_row));
    fl_buf_init(&(*out)->draft.text, UINT32_MAX / 2);
    return 0;
}

void fl_block_builder_free(struct fl_block_builder *b) {
    if (!b) return;
    fl_block_names_deinit(&b->names);
    fl_free(b->draft.rows);
    fl_free(b->draft.ports);
    fl_free(b->index);
    fl_hint_lists_deinit(&b->draft.hints);
    fl_buf_deinit(&b->draft.text);
    fl_free(b);
}

/* Keeps the memory. */
static void clear_draft(struct fl_block_draft *draft) {
    draft->count = draft->port_count = 0;
    fl_hint_lists_clear(&draft->hints);
    fl_buf_truncate(&draft->text, 0);
    draft->pods = draft->pod_bytes = draft->port_bytes = draft->name_bytes = 0;
    draft->prefix_at = draft->prefix_len = 0;
    draft->kinds_differ = draft->pod_lens_differ = 0;
    draft->ips_differ[0] = draft->ips_differ[1] = 0;
    draft->ids = draft->zones = 0;
    draft->zones_differ = draft->any_uid = draft->any_set_uid = false;
}

void fl_block_builder_start(struct fl_block_builder *b, const struct fl_block *previous) {
    fl_block_names_bound(&b->names);
    clear_draft(&b->draft);
    b->previous = previous;
    fl_block_edit_start(&b->edit, previous);
    b->expected = b->index_mask = 0;
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
    if (n <= b->draft.text.cap - b->draft.text.len) return 0;
    if (n > b->draft.text.max - b->draft.text.len) return FL_ETOO_LARGE;
    return fl_buf_reserve(&b->draft.text, n) ? 0 : FL_ENOMEM;
}

static inline void put_text(struct fl_block_builder *b, struct fl_str text) {
    fl_bytes_copy(b->draft.text.data + b->draft.text.len, text.p, text.n);
    b->draft.text.len += text.n;
}

int fl_block_builder_port(struct fl_block_builder *b, const struct fl_block_port *port) {
    const struct fl_str texts[] = {port->name, port->protocol, port->app_protocol};
    void *ports = b->draft.ports;
    int rc = grow_array(&ports, &b->draft.port_cap, b->draft.port_count, sizeof(*b->draft.ports),
                        PORTS_MAX);
    b->draft.ports = ports;
    if (rc == 0) rc = text_room(b, FL_COUNT(texts) * (TEXT_MAX + 1));
    if (rc < 0) return rc;
    struct block_port *out = &b->draft.ports[b->draft.port_count];
    *out = (struct block_port){.text_at = (uint32_t)b->draft.text.len, .port = port->port};
    for (size_t i = 0; i < FL_COUNT(texts); i++) {
        if (texts[i].n > TEXT_MAX) return FL_ETOO_LARGE;
        put_text(b, texts[i]);
        put_text(b, fl_str_n("", 1)); /* readers are given it terminated */
    }
    out->name_len = (uint16_t)port->name.n;
    out->protocol_len = (uint16_t)port->protocol.n;
    out->app_protocol_len = (uint16_t)port->app_protocol.n;
    b->draft.port_bytes += block_port_bytes(out);
    b->draft.port_count++;
    return 0;
}

static int set_address(struct fl_block_builder *b, const struct fl_address *address,
                       struct fl_block_row *row) {
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
    row->address.name.at = (uint32_t)b->draft.text.len;
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
    struct fl_str prefix = fl_str_n(b->draft.text.data + b->draft.prefix_at, b->draft.prefix_len);
    struct fl_str begin = first.n ? first : rest;
    if (begin.n >= prefix.n && fl_bytes_eq(begin.p, prefix.p, prefix.n))
        return; /* the usual case */
    size_t n = common(prefix, first);
    if (n == first.n) n += common(fl_str_from(prefix, n), rest);
    b->draft.prefix_len = (uint32_t)n;
}

/* The pod's name comes in two parts, of which the first may be empty. */
static inline int set_pod(struct fl_block_builder *b, struct fl_str first, struct fl_str rest,
                          struct fl_block_row *row) {
    size_t len = first.n + rest.n;
    if (len == 0) return 0;
    if (len > TEXT_MAX) return FL_ETOO_LARGE;
    int rc = text_room(b, len);
    if (rc < 0) return rc;
    row->flags |= BLOCK_POD;
    row->pod_at = (uint32_t)b->draft.text.len;
    row->pod_len = (uint16_t)len;
    put_text(b, first);
    put_text(b, rest);
    if (b->draft.pods == 0) {
        b->draft.prefix_at = row->pod_at;
        b->draft.prefix_len = (uint32_t)len;
    } else {
        narrow_prefix(b, first, rest);
    }
    return 0;
}

/* The row behind the last one, empty; it stays a draft until it is counted. */
static inline int draft_row(struct fl_block_builder *b, struct fl_block_row **row) {
    if (b->draft.count == b->draft.cap) {
        void *rows = b->draft.rows;
        int rc = grow_array(&rows, &b->draft.cap, b->draft.count, sizeof(*b->draft.rows),
                            b->endpoints_max);
        if (rc < 0) return rc;
        b->draft.rows = rows;
    }
    *row = &b->draft.rows[b->draft.count];
    **row = (struct fl_block_row){0};
    return 0;
}

/* Two words that hold the 16 bytes. */
static inline void words_of(const uint8_t bytes[16], uint64_t words[2]) {
    memcpy(words, bytes, 2 * sizeof(*words));
}

/* The draft is a row: what the packing will ask about all of them. */
static inline void count_row(struct fl_block_draft *draft, const struct fl_block_row *row,
                             bool zone_of_node) {
    const struct fl_block_row *first = draft->rows;
    uint64_t uid[2], ip[2], first_ip[2];
    words_of(row->uid, uid);
    words_of(row->address.ip, ip);
    words_of(first->address.ip, first_ip);
    draft->any_uid |= (uid[0] | uid[1]) != 0;
    draft->any_set_uid |= !block_uid_is_random(row->uid);
    draft->ips_differ[0] |= ip[0] ^ first_ip[0];
    draft->ips_differ[1] |= ip[1] ^ first_ip[1];
    draft->kinds_differ |= (row->flags ^ first->flags) & BLOCK_KIND;
    draft->pod_lens_differ |= row->pod_len ^ first->pod_len;
    draft->ids |= row->node | row->zone;
    draft->zones |= row->zone;
    draft->zones_differ |= !zone_of_node;
    draft->pods += (row->flags & BLOCK_POD) != 0;
    draft->pod_bytes += row->pod_len;
    if (row->flags & BLOCK_NAME) draft->name_bytes += 1 + row->address.name.len;
    draft->count++;
}

static int intern_names(struct fl_block_builder *b, const struct fl_str *names, size_t count,
                        uint32_t *ids) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = fl_block_names_node(&b->names, names[i], &ids[i]);
    return rc;
}

static int set_hints(struct fl_block_builder *b, const struct fl_block_hints *hints,
                     struct fl_block_row *row) {
    uint32_t ids[BLOCK_HINT_IDS_MAX];
    FL_ASSERT(hints->zone_count <= FL_BLOCK_HINTS_MAX && hints->node_count <= FL_BLOCK_HINTS_MAX);
    int rc = intern_names(b, hints->zones, hints->zone_count, ids);
    if (rc == 0) rc = intern_names(b, hints->nodes, hints->node_count, ids + hints->zone_count);
    if (rc < 0) return rc;
    return fl_hint_lists_add(&b->draft.hints, ids, hints->zone_count, hints->node_count,
                             &row->hints);
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

static int copy_hints(struct fl_block_builder *b, size_t i, struct fl_block_row *row) {
    const struct block_hints *hints = block_hints(b->previous);
    uint32_t place = hints ? block_hint_places(hints)[i] : 0;
    if (place == 0) return 0;
    const struct block_hint *list = &hints->lists[place - 1];
    return fl_hint_lists_add(&b->draft.hints, block_hint_ids(hints) + list->first, list->zone_count,
                             list->node_count, &row->hints);
}

/* Takes over the i-th endpoint of `previous`, its node, zone and hints as ids. */
static int copy_row(struct fl_block_builder *b, size_t i, struct fl_block_row *row) {
    const struct fl_block *from = b->previous;
    unsigned flags = block_flags(from, i);
    char suffix[FL_BLOCK_SUFFIX_MAX];
    row->hash = from->hashes[i];
    row->flags = flags & (BLOCK_PUBLIC_FLAGS | BLOCK_V6);
    row->node = block_node(from, i);
    row->zone = block_zone(from, i);
    block_uid(from, i, row->uid);
    int rc = set_pod(b, block_pod_prefix(from, flags), block_pod_suffix(from, i, suffix), row);
    if (rc == 0) rc = copy_hints(b, i, row);
    if (rc < 0) return rc;
    if (flags & BLOCK_NAME) {
        struct fl_address name = {.kind = FL_ADDRESS_NAME, .name = block_host_name(from, i)};
        return set_address(b, &name, row);
    }
    block_ip(from, i, row->address.ip);
    return 0;
}

/* Takes the endpoints so far over as rows. When memory fails it goes on where it stopped. */
static int stop_edit(struct fl_block_builder *b) {
    const struct fl_block_edit *edit = &b->edit;
    if (!edit->from) return 0;
    for (size_t i = b->draft.count; i < edit->count; i = b->draft.count) {
        const struct fl_block_change *change = fl_block_edit_at(edit, i);
        struct fl_block_row *row;
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
        count_row(&b->draft, row, block_zone_is_of_node(row->node, row->zone));
    }
    b->expected = edit->count;
    b->edit.from = NULL;
    return 0;
}

/* 1: the endpoint is a change of the edit; 0: it is for a row. */
static int edit_add(struct fl_block_builder *b, const struct fl_block_endpoint *endpoint) {
    struct fl_block_place place;
    if (!fl_block_edit_fits(&b->edit, endpoint)) return stop_edit(b);
    int rc = fl_block_names_place(&b->names, endpoint->node, endpoint->zone, &place);
    if (rc < 0) return rc;
    if (!block_fits_ids(b->edit.from, place.node, place.zone)) return stop_edit(b);
    fl_block_edit_change(&b->edit, endpoint, place.node, place.zone);
    return 1;
}

int fl_block_builder_add(struct fl_block_builder *b, const struct fl_block_endpoint *endpoint) {
    struct fl_block_row *row;
    struct fl_block_place place;
    FL_ASSERT((endpoint->flags & ~(unsigned)BLOCK_PUBLIC_FLAGS) == 0);
    int rc = b->edit.from ? edit_add(b, endpoint) : 0;
    if (rc != 0) return rc < 0 ? rc : 0;
    if ((rc = draft_row(b, &row)) < 0) return rc;
    row->hash = endpoint->hash;
    row->flags = (uint8_t)endpoint->flags;
    memcpy(row->uid, endpoint->uid, sizeof(row->uid));
    if ((rc = set_address(b, &endpoint->address, row)) < 0) return rc;
    if ((rc = set_pod(b, endpoint->pod_prefix, endpoint->pod_suffix, row)) < 0) return rc;
    if ((rc = fl_block_names_place(&b->names, endpoint->node, endpoint->zone, &place)) < 0)
        return rc;
    row->node = place.node;
    row->zone = place.zone;
    if (endpoint->hints && (rc = set_hints(b, endpoint->hints, row)) < 0) return rc;
    count_row(&b->draft, row, place.zone_of_node);
    return 0;
}

bool fl_block_builder_reuse(struct fl_block_builder *b, uint64_t hash) {
    struct fl_block_row *row;
    size_t i;
    if (hash == 0) return false; /* endpoints that came from no bytes */
    if (b->edit.from) {
        if (fl_block_edit_keep(&b->edit, hash)) return true;
        if (!fl_block_edit_has(&b->edit, hash) || stop_edit(b) < 0) return false;
    }
    if (!find_previous(b, hash, &i)) return false;
    if (draft_row(b, &row) < 0 || copy_row(b, i, row) < 0) return false;
    count_row(&b->draft, row, block_zone_is_of_node(row->node, row->zone));
    b->expected = i + 1;
    return true;
}

int fl_block_builder_finish(struct fl_block_builder *b, struct fl_block **out) {
    *out = NULL;
    if (b->edit.from &&
        fl_block_edit_is_whole(&b->edit, b->draft.ports, b->draft.port_count, b->draft.text.data)) {
        *out = fl_block_edit_finish(&b->edit);
        return *out ? 0 : FL_ENOMEM;
    }
    int rc = stop_edit(b);
    return rc < 0 ? rc : fl_block_pack(&b->draft, out);
}
