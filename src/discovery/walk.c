/* walk.c - the endpoints that a set shows, in order, each once. Any thread.
 *
 * A set keeps no flattened copy, so order is made when it is asked for: a window collects the
 * smallest endpoints above the last one given, is sorted and given out; when it could not hold all,
 * the set is gone through again from there. The window grows with the set up to WINDOW_MAX; where
 * it cannot grow, for that bound or for want of memory, it is a heap that keeps the smallest. So a
 * walk cannot fail and its memory is bounded; what it costs is a pass per window, one for nearly
 * every set.
 *
 * Duplicates (one endpoint may stand in two slices while it moves, W6) are neighbours in that
 * order, the one to be preferred first: one that does not terminate, then one that is ready, then
 * the later block's. The others equal the last one given and are passed over. */
#include "discovery/walk.h"

#include "base/alloc.h"
#include "discovery/set_layout.h"

#define WINDOW_MAX ((size_t)262144) /* slots: 6 MiB */

static struct fl_str protocol_of(const struct fl_walk_item *item) {
    struct fl_block_port port = {.protocol = FL_STR_NONE};
    if (item->port_index != FL_WALK_PORTLESS) {
        fl_block_port_at(item->block, item->port_index, &port);
    }
    return set_protocol(port.protocol);
}

/* The kind, then seven bytes of the address; for IPv4, which has four, the port as well. */
static uint64_t key_of(const struct fl_address *address, uint16_t port) {
    bool v4 = address->kind == FL_ADDRESS_V4, name = address->kind == FL_ADDRESS_NAME;
    struct fl_str bytes = name ? address->name : fl_str_n(address->ip, v4 ? 4 : 16);
    uint64_t key = (uint64_t)address->kind;
    for (size_t i = 0; i < 7; i++) key = key << 8 | (i < bytes.n ? (uint8_t)bytes.p[i] : 0);
    return v4 ? key | port : key;
}

int fl_walk_cmp(const struct fl_walk_item *a, const struct fl_walk_item *b) {
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    int order = fl_address_cmp(&a->address, &b->address);
    if (order) return order;
    if (a->port != b->port) return a->port < b->port ? -1 : 1;
    if (a->block == b->block && a->port_index == b->port_index) return 0;
    return fl_str_cmp(protocol_of(a), protocol_of(b));
}

/* 0 is best. */
static int disfavour(const struct fl_walk_item *item) {
    return (item->flags & FL_ENDPOINT_TERMINATING ? 2 : 0) +
           (item->flags & FL_ENDPOINT_READY ? 0 : 1);
}

static struct fl_walk_item item_of(const struct fl_walk *walk, const struct fl_walk_slot *slot) {
    struct fl_walk_item item = {.key = slot->key,
                                .block = set_blocks(walk->set)[slot->place],
                                .place = slot->place,
                                .endpoint = slot->endpoint,
                                .port = slot->port,
                                .port_index = slot->port_index,
                                .flags = slot->flags};
    fl_block_address_at(item.block, item.endpoint, &item.address);
    return item;
}

/* Of slots whose keys are the same. */
static bool before_by_all(const struct fl_walk *walk, const struct fl_walk_slot *slot_a,
                          const struct fl_walk_slot *slot_b) {
    const struct fl_walk_item a = item_of(walk, slot_a), b = item_of(walk, slot_b);
    int order = fl_walk_cmp(&a, &b);
    if (order) return order < 0;
    if (disfavour(&a) != disfavour(&b)) return disfavour(&a) < disfavour(&b);
    if (a.place != b.place) return a.place > b.place;
    if (a.endpoint != b.endpoint) return a.endpoint < b.endpoint;
    return a.port_index < b.port_index;
}

/* The order of the window: the same endpoint's preferred entry comes first. Total. */
static inline bool before(const struct fl_walk *walk, const struct fl_walk_slot *a,
                          const struct fl_walk_slot *b) {
    return a->key != b->key ? a->key < b->key : before_by_all(walk, a, b);
}

/* ---- the window as a heap with its last item on top ---- */

static void sift_down(struct fl_walk *walk, size_t count, size_t at) {
    struct fl_walk_slot *heap = walk->window, slot = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(walk, &heap[child], &heap[child + 1])) child++;
        if (!before(walk, &slot, &heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = slot;
}

static void heapify(struct fl_walk *walk) {
    for (size_t i = walk->count / 2; i-- > 0;) sift_down(walk, walk->count, i);
}

static void sort_heap(struct fl_walk *walk) {
    for (size_t n = walk->count; n-- > 1;) {
        struct fl_walk_slot last = walk->window[0];
        walk->window[0] = walk->window[n];
        walk->window[n] = last;
        sift_down(walk, n, 0);
    }
}

static bool grow(struct fl_walk *walk) {
    if (walk->cap >= WINDOW_MAX) return false;
    size_t cap = FL_MIN(4 * walk->cap, WINDOW_MAX);
    bool small = walk->window == walk->small;
    struct fl_walk_slot *window = fl_realloc(small ? NULL : walk->window, cap * sizeof(*window));
    if (!window) return false;
    if (small) memcpy(window, walk->small, walk->count * sizeof(*window));
    walk->window = window;
    walk->cap = cap;
    return true;
}

static void offer(struct fl_walk *walk, const struct fl_walk_item *item) {
    if (walk->started && fl_walk_cmp(item, &walk->last) <= 0) return;
    const struct fl_walk_slot slot = {.key = item->key,
                                      .place = item->place,
                                      .endpoint = item->endpoint,
                                      .port = item->port,
                                      .port_index = item->port_index,
                                      .flags = item->flags};
    if (walk->count < walk->cap || (!walk->overflowed && grow(walk))) {
        walk->window[walk->count++] = slot;
        return;
    }
    if (!walk->overflowed) heapify(walk);
    walk->overflowed = true;
    if (!before(walk, &slot, &walk->window[0])) return;
    walk->window[0] = slot;
    sift_down(walk, walk->count, 0);
}

/* ---- going through the set ---- */

static size_t find(const struct fl_walk *walk, const struct fl_block *block, size_t from) {
    return walk->wanted ? fl_block_find(block, from, walk->wanted) : from;
}

/* Offers the endpoints of one block on one of its ports; item says which. */
static void scan_port(struct fl_walk *walk, struct fl_walk_item *item) {
    size_t count = fl_block_count(item->block);
    for (size_t i = find(walk, item->block, 0); i < count; i = find(walk, item->block, i + 1)) {
        fl_block_address_at(item->block, i, &item->address);
        item->key = key_of(&item->address, item->port);
        item->endpoint = (uint32_t)i;
        item->flags = (uint8_t)fl_block_flags_at(item->block, i);
        offer(walk, item);
    }
}

static void scan_block(struct fl_walk *walk, size_t place) {
    struct fl_walk_item item = {.block = set_blocks(walk->set)[place], .place = (uint32_t)place};
    size_t ports = fl_block_port_count(item.block);
    for (size_t i = 0; i < ports; i++) {
        struct fl_block_port port;
        fl_block_port_at(item.block, i, &port);
        if (!set_shows_port(walk->set, &port)) continue;
        item.port = port.port;
        item.port_index = (uint16_t)i;
        scan_port(walk, &item);
    }
    if (set_shows_portless(walk->set, item.block)) {
        item.port_index = FL_WALK_PORTLESS;
        scan_port(walk, &item);
    }
}

static void fill(struct fl_walk *walk) {
    walk->count = walk->next = 0;
    walk->overflowed = false;
    for (size_t i = 0; i < set_block_count(walk->set); i++) scan_block(walk, i);
    if (!walk->overflowed) heapify(walk);
    sort_heap(walk);
}

void fl_walk_init(struct fl_walk *walk, const struct fl_set *set, const uint64_t *wanted) {
    walk->set = set;
    walk->wanted = wanted;
    walk->window = walk->small;
    walk->cap = FL_WALK_SMALL;
    walk->started = false;
    fill(walk);
}

void fl_walk_deinit(struct fl_walk *walk) {
    if (walk->window != walk->small) fl_free(walk->window);
    walk->window = NULL;
}

const struct fl_walk_item *fl_walk_next(struct fl_walk *walk) {
    for (;;) {
        if (walk->next == walk->count) {
            if (!walk->overflowed) return NULL;
            fill(walk);
            continue;
        }
        const struct fl_walk_item item = item_of(walk, &walk->window[walk->next++]);
        if (walk->started && fl_walk_cmp(&item, &walk->last) == 0) continue;
        walk->started = true;
        walk->last = item;
        return &walk->last;
    }
}

/* ---- unpacking ---- */

static void unpack_port(const struct fl_walk_item *item, struct fl_endpoint *out) {
    struct fl_block_port port = {FL_STR(""), FL_STR(""), FL_STR(""), 0};
    if (item->port_index != FL_WALK_PORTLESS) {
        fl_block_port_at(item->block, item->port_index, &port);
    }
    out->port = port.port;
    out->port_name = port.name.p;
    out->protocol = set_protocol(port.protocol).p;
    out->app_protocol = port.app_protocol.p;
}

static uint8_t unpack_names(const struct fl_str *names, size_t count, const char **out) {
    for (size_t i = 0; i < count; i++) out[i] = names[i].p;
    return (uint8_t)count;
}

static void unpack_hints(const struct fl_walk_item *item, struct fl_endpoint *out) {
    struct fl_block_hints hints;
    _Static_assert(FL_HINTS_MAX == FL_BLOCK_HINTS_MAX, "as many as a block holds");
    fl_block_hints_at(item->block, item->endpoint, &hints);
    out->for_zone_count = unpack_names(hints.zones, hints.zone_count, out->for_zones);
    out->for_node_count = unpack_names(hints.nodes, hints.node_count, out->for_nodes);
}

void fl_walk_unpack(const struct fl_walk_item *item, struct fl_endpoint *out) {
    struct fl_block_endpoint e;
    fl_block_endpoint_at(item->block, item->endpoint, &e);
    out->address[0] = '\0';
    unpack_port(item, out);
    out->ready = (e.flags & FL_ENDPOINT_READY) != 0;
    out->serving = (e.flags & FL_ENDPOINT_SERVING) != 0;
    out->terminating = (e.flags & FL_ENDPOINT_TERMINATING) != 0;
    out->node = e.node.p;
    out->zone = e.zone.p;
    fl_str_copy(out->pod, sizeof(out->pod), e.pod_prefix);
    size_t prefix = FL_MIN(e.pod_prefix.n, sizeof(out->pod) - 1);
    fl_str_copy(out->pod + prefix, sizeof(out->pod) - prefix, e.pod_suffix);
    memcpy(out->uid, e.uid, sizeof(out->uid));
    unpack_hints(item, out);
}

void fl_set_each(const struct fl_set *set,
                 void (*each)(void *arg, const struct fl_endpoint *endpoint), void *arg) {
    struct fl_walk walk;
    struct fl_endpoint endpoint;
    const struct fl_walk_item *item;
    fl_walk_init(&walk, set, NULL);
    while ((item = fl_walk_next(&walk))) {
        fl_walk_unpack(item, &endpoint);
        fl_address_format(&item->address, endpoint.address);
        each(arg, &endpoint);
    }
    fl_walk_deinit(&walk);
}
