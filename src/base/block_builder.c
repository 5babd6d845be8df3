/* block_builder.c - building packed blocks. One thread at a time.
 *
 * Endpoints are gathered as rows and their texts in one piece of scratch memory; finish knows all
 * sizes and lays them out in one allocation (see block_layout.h). Scratch memory is kept for the
 * next block, so that nothing but the block is allocated once the builder has seen its largest.
 *
 * Node and zone become interned ids. Neighbours often share them, and the same names come again and
 * again: the neighbour's are compared first, then a small cache by hash, which holds a reference to
 * each of its ids; only then the process's table is asked, behind its lock.
 *
 * fl_block_builder_reuse looks at the place in `previous` behind the last hit and the one after it
 * (for an endpoint that was replaced or removed); when both fail it makes an index of all hashes,
 * once per block, so that no order costs more than linear time. */
#include "base/alloc.h"
#include "base/block_layout.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/intern.h"

#define TEXT_MAX  512   /* bytes of one name: Kubernetes allows 316 at most */
#define PORTS_MAX 20000 /* as the API server validates */
#define CACHED    256   /* a power of two */

struct row {
    uint64_t hash;
    uint8_t uid[16];
    union {
        uint8_t ip[16];
        struct {
            uint32_t at, len; /* in the scratch text */
        } name;
    } address;
    uint32_t node, zone; /* a reference is held as in a block */
    uint32_t pod_at;     /* in the scratch text */
    uint16_t pod_len;
    uint8_t flags;
};

struct cached {
    uint64_t hash;
    uint32_t id; /* 0: empty */
};

struct fl_block_builder {
    size_t endpoints_max;
    struct row *rows;
    size_t count, cap;
    struct block_port *ports;
    size_t port_count, port_cap;
    struct fl_buf text; /* whole pod names, ports' texts, host names */
    struct cached cache[CACHED];

    const struct fl_block *previous;
    size_t expected;        /* where in `previous` the next hit is likely */
    uint32_t *index;        /* of previous: place + 1 by hash, 0 empty */
    size_t index_cap;       /* of the memory */
    size_t index_mask;      /* 0: not made for this block */
    size_t pods, pod_bytes; /* endpoints with a pod name, and their bytes */
    size_t port_bytes;      /* of the ports' texts */
    size_t name_bytes;      /* of host names, with their length bytes */
    uint32_t prefix_at;     /* the first pod name */
    uint32_t prefix_len;    /* that all names so far share */
    bool any_uid, any_v6;
};

int fl_block_builder_new(size_t endpoints_max, struct fl_block_builder **out) {
    *out = FL_NEW(struct fl_block_builder);
    if (!*out) return FL_ENOMEM;
    (*out)->endpoints_max = FL_MIN(endpoints_max, UINT32_MAX / sizeof(struct row));
    fl_buf_init(&(*out)->text, UINT32_MAX / 2);
    return 0;
}

/* Gives up the references that rows hold which did not become a block. */
static void drop_rows(struct fl_block_builder *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (i == 0 || b->rows[i].node != b->rows[i - 1].node) fl_intern_unref(b->rows[i].node);
        if (i == 0 || b->rows[i].zone != b->rows[i - 1].zone) fl_intern_unref(b->rows[i].zone);
    }
    b->count = 0;
}

void fl_block_builder_free(struct fl_block_builder *b) {
    if (!b) return;
    drop_rows(b);
    for (size_t i = 0; i < CACHED; i++) fl_intern_unref(b->cache[i].id);
    fl_free(b->rows);
    fl_free(b->ports);
    fl_free(b->index);
    fl_buf_deinit(&b->text);
    fl_free(b);
}

void fl_block_builder_start(struct fl_block_builder *b, const struct fl_block *previous) {
    drop_rows(b);
    fl_buf_truncate(&b->text, 0);
    b->previous = previous;
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

static int add_text(struct fl_block_builder *b, struct fl_str text, uint32_t *at) {
    *at = (uint32_t)b->text.len;
    int rc = fl_buf_append(&b->text, text);
    return rc == FL_EFULL ? FL_ETOO_LARGE : rc;
}

/* One of a port's texts, with its end: readers are given it terminated. */
static int add_port_text(struct fl_block_builder *b, struct fl_str text, uint32_t *at) {
    int rc = add_text(b, text, at);
    uint32_t ignored;
    return rc < 0 ? rc : add_text(b, fl_str_n("", 1), &ignored);
}

int fl_block_builder_port(struct fl_block_builder *b, const struct fl_block_port *port) {
    void *ports = b->ports;
    uint32_t at, ignored;
    if (port->name.n > TEXT_MAX || port->protocol.n > TEXT_MAX || port->app_protocol.n > TEXT_MAX) {
        return FL_ETOO_LARGE;
    }
    int rc = grow_array(&ports, &b->port_cap, b->port_count, sizeof(*b->ports), PORTS_MAX);
    if (rc < 0) return rc;
    b->ports = ports;
    if ((rc = add_port_text(b, port->name, &at)) < 0) return rc;
    if ((rc = add_port_text(b, port->protocol, &ignored)) < 0) return rc;
    if ((rc = add_port_text(b, port->app_protocol, &ignored)) < 0) return rc;
    b->ports[b->port_count++] =
        (struct block_port){at, port->port, (uint16_t)port->name.n, (uint16_t)port->protocol.n,
                            (uint16_t)port->app_protocol.n};
    b->port_bytes += b->text.len - at;
    return 0;
}

static int cached_ref(struct fl_block_builder *b, struct fl_str text, uint32_t *id) {
    uint64_t hash = fl_hash(text, (uint64_t)(uintptr_t)b);
    struct cached *slot = &b->cache[hash & (CACHED - 1)];
    if (slot->id && slot->hash == hash && fl_str_eq(fl_intern_str(slot->id), text)) {
        fl_intern_ref_id(slot->id);
        *id = slot->id;
        return 0;
    }
    int rc = fl_intern_ref(text, id);
    if (rc < 0) return rc;
    fl_intern_unref(slot->id);
    fl_intern_ref_id(*id);
    *slot = (struct cached){hash, *id};
    return 0;
}

/* The id of `text`, with a reference only where it is not the neighbour's. */
static int intern_beside(struct fl_block_builder *b, struct fl_str text, uint32_t neighbour,
                         uint32_t *id) {
    *id = neighbour;
    if (fl_str_eq(fl_intern_str(neighbour), text)) return 0;
    *id = 0;
    if (text.n == 0) return 0;
    return text.n <= TEXT_MAX ? cached_ref(b, text, id) : FL_ETOO_LARGE;
}

/* Takes over an id that `previous` holds. */
static uint32_t ref_beside(uint32_t id, uint32_t neighbour) {
    if (id != neighbour) fl_intern_ref_id(id);
    return id;
}

static int set_address(struct fl_block_builder *b, const struct fl_address *address,
                       struct row *row) {
    switch (address->kind) {
    case FL_ADDRESS_V4:
        memcpy(row->address.ip, address->ip, 4);
        return 0;
    case FL_ADDRESS_V6:
        memcpy(row->address.ip, address->ip, 16);
        row->flags |= BLOCK_V6;
        return 0;
    case FL_ADDRESS_NAME:
        break;
    }
    if (address->name.n > UINT8_MAX) return FL_ETOO_LARGE; /* its length is one byte */
    row->flags |= BLOCK_NAME;
    row->address.name.len = (uint32_t)address->name.n;
    return add_text(b, address->name, &row->address.name.at);
}

static int set_pod(struct fl_block_builder *b, struct fl_str prefix, struct fl_str suffix,
                   struct row *row) {
    uint32_t ignored;
    row->pod_len = 0;
    row->pod_at = (uint32_t)b->text.len;
    size_t len = prefix.n + suffix.n;
    if (len == 0) return 0;
    if (len > TEXT_MAX) return FL_ETOO_LARGE;
    row->pod_len = (uint16_t)len;
    row->flags |= BLOCK_POD;
    int rc = prefix.n ? add_text(b, prefix, &ignored) : 0;
    return rc < 0 ? rc : add_text(b, suffix, &ignored);
}

/* Shortens the prefix to what the new pod name shares with it. */
static void narrow_prefix(struct fl_block_builder *b, const struct row *row) {
    const char *prefix = b->text.data + b->prefix_at, *name = b->text.data + row->pod_at;
    if (b->pods == 0) {
        b->prefix_at = row->pod_at;
        b->prefix_len = row->pod_len;
        return;
    }
    uint32_t limit = FL_MIN(b->prefix_len, row->pod_len), n = 0;
    if (limit == b->prefix_len && memcmp(prefix, name, limit) == 0) return; /* the usual case */
    while (n < limit && prefix[n] == name[n]) n++;
    b->prefix_len = n;
}

/* The row behind the last one, which stays a draft until it is counted. */
static int draft_row(struct fl_block_builder *b, struct row **row, uint32_t *node, uint32_t *zone) {
    void *rows = b->rows;
    int rc = grow_array(&rows, &b->cap, b->count, sizeof(*b->rows), b->endpoints_max);
    if (rc < 0) return rc;
    b->rows = rows;
    *row = &b->rows[b->count];
    *node = b->count ? (*row)[-1].node : 0;
    *zone = b->count ? (*row)[-1].zone : 0;
    return 0;
}

static void count_row(struct fl_block_builder *b, const struct row *row) {
    static const uint8_t no_uid[16];
    if (row->flags & BLOCK_POD) {
        narrow_prefix(b, row);
        b->pods++;
        b->pod_bytes += row->pod_len;
    }
    if (row->flags & BLOCK_NAME) b->name_bytes += 1 + row->address.name.len;
    if (row->flags & BLOCK_V6) b->any_v6 = true;
    if (!b->any_uid) b->any_uid = memcmp(row->uid, no_uid, sizeof(no_uid)) != 0;
    b->count++;
}

int fl_block_builder_add(struct fl_block_builder *b, const struct fl_block_endpoint *endpoint) {
    struct row *row;
    uint32_t node, zone;
    FL_ASSERT((endpoint->flags & ~(unsigned)BLOCK_PUBLIC_FLAGS) == 0);
    int rc = draft_row(b, &row, &node, &zone);
    if (rc < 0) return rc;
    row->hash = endpoint->hash;
    row->flags = (uint8_t)endpoint->flags;
    memcpy(row->uid, endpoint->uid, sizeof(row->uid));
    if ((rc = set_address(b, &endpoint->address, row)) < 0) return rc;
    if ((rc = set_pod(b, endpoint->pod_prefix, endpoint->pod_suffix, row)) < 0) return rc;
    if ((rc = intern_beside(b, endpoint->node, node, &row->node)) < 0) return rc;
    if ((rc = intern_beside(b, endpoint->zone, zone, &row->zone)) < 0) {
        if (row->node != node) fl_intern_unref(row->node);
        return rc;
    }
    count_row(b, row);
    return 0;
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
    if (!b->previous || hash == 0) return false; /* 0: endpoints that came from no bytes */
    const uint64_t *hashes = b->previous->hashes;
    size_t end = FL_MIN(b->expected + 2, fl_block_count(b->previous));
    for (*out = b->expected; *out < end; ++*out) {
        if (hashes[*out] == hash) return true;
    }
    return find_by_index(b, hash, out);
}

bool fl_block_builder_reuse(struct fl_block_builder *b, uint64_t hash) {
    struct fl_block_endpoint endpoint;
    struct row *row;
    uint32_t node, zone;
    size_t i;
    if (!find_previous(b, hash, &i) || draft_row(b, &row, &node, &zone) < 0) return false;
    const uint32_t *nodes = block_at(b->previous, b->previous->node_at);
    const uint32_t *zones = block_at(b->previous, b->previous->zone_at);
    fl_block_endpoint_at(b->previous, i, &endpoint);
    row->hash = hash;
    row->flags = (uint8_t)endpoint.flags;
    memcpy(row->uid, endpoint.uid, sizeof(row->uid));
    if (set_address(b, &endpoint.address, row) < 0) return false;
    if (set_pod(b, endpoint.pod_prefix, endpoint.pod_suffix, row) < 0) return false;
    row->node = ref_beside(nodes[i], node);
    row->zone = ref_beside(zones[i], zone);
    count_row(b, row);
    b->expected = i + 1;
    return true;
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
    at += n * sizeof(uint32_t);
    block->zone_at = (uint32_t)at;
    at += n * sizeof(uint32_t);
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

static void put_text(struct cursor *c, const char *p, size_t n) {
    if (n) memcpy(c->text + c->at, p, n);
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
    if (prefix) put_text(c, text + b->prefix_at, prefix);
    for (size_t i = 0; i < b->count; i++) {
        const struct row *row = &b->rows[i];
        set_suffix(block, i, c->at);
        if (row->flags & BLOCK_POD) put_text(c, text + row->pod_at + prefix, row->pod_len - prefix);
    }
    set_suffix(block, b->count, c->at);
}

static void fill_ports(const struct fl_block_builder *b, struct fl_block *block, struct cursor *c) {
    struct block_port *ports = block_at(block, block->port_at);
    for (size_t i = 0; i < b->port_count; i++) {
        ports[i] = b->ports[i];
        ports[i].text_at = c->at;
        put_text(c, b->text.data + b->ports[i].text_at, block_port_bytes(&ports[i]));
    }
}

static void fill_addresses(const struct fl_block_builder *b, struct fl_block *block,
                           struct cursor *c) {
    uint8_t *out = block_at(block, block->address_at);
    for (size_t i = 0; i < b->count; i++, out += block->address_size) {
        const struct row *row = &b->rows[i];
        if (!(row->flags & BLOCK_NAME)) {
            memcpy(out, row->address.ip, block->address_size);
            continue;
        }
        char len = (char)row->address.name.len;
        memcpy(out, &c->at, sizeof(c->at));
        put_text(c, &len, 1);
        put_text(c, b->text.data + row->address.name.at, row->address.name.len);
    }
}

static void fill_arrays(const struct fl_block_builder *b, struct fl_block *block) {
    uint32_t *nodes = block_at(block, block->node_at), *zones = block_at(block, block->zone_at);
    uint8_t *flags = block_at(block, block->flags_at);
    uint8_t *uids = block->uid_at ? block_at(block, block->uid_at) : NULL;
    for (size_t i = 0; i < b->count; i++) {
        const struct row *row = &b->rows[i];
        block->hashes[i] = row->hash;
        nodes[i] = row->node;
        zones[i] = row->zone;
        flags[i] = row->flags;
        if (uids) memcpy(uids + 16 * i, row->uid, 16);
    }
}

int fl_block_builder_finish(struct fl_block_builder *b, struct fl_block **out) {
    struct fl_block header = {0};
    size_t bytes = lay_out(b, &header);
    *out = NULL;
    if (bytes > UINT32_MAX) return FL_ETOO_LARGE;
    struct fl_block *block = fl_alloc(bytes);
    if (!block) return FL_ENOMEM;
    memcpy(block, &header, sizeof(header));
    atomic_init(&block->refs, 1);
    block->bytes = (uint32_t)bytes;
    struct cursor c = {block_at(block, block->text_at), 0};
    fill_arrays(b, block);
    fill_pods(b, block, &c);
    fill_ports(b, block, &c);
    fill_addresses(b, block, &c);
    FL_ASSERT(block->text_at + c.at == block->bytes);
    b->count = 0; /* the references are the block's now */
    *out = block;
    return 0;
}
