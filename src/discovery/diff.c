/* diff.c - what turns one set into another. Any thread.
 *
 * Sets share the blocks that did not change, and what stands only in shared blocks is the same on
 * both sides. So both sets are walked in order (walk.c) with the shared blocks left out, and the
 * two walks are merged: what only the first gives was removed, what only the second gives was
 * added, what both give is compared.
 *
 * One thing keeps a shared block from being left out whole: an address of a changed block may stand
 * in it too, and then which of the two counts depends on both. The addresses of the changed blocks
 * are therefore noted as bits by their hash, and an endpoint of a shared block takes part when the
 * bit of its address is set. A bit that is set by accident lets the same endpoint take part on both
 * sides and makes no difference. What this costs: unpacking for changed blocks, and one look at
 * each address of the others.
 *
 * Which of two entries counts may depend on the order of their blocks. Blocks are therefore taken
 * as shared only along a sequence that is increasing in both sets: the common beginning, the common
 * end, and between them each block of `set` whose place in `previous` is behind that of the one
 * before. */
#include "base/alloc.h"
#include "discovery/set_layout.h"
#include "discovery/walk.h"

struct diff {
    const struct fl_set *previous, *set;
    void (*each)(void *arg, const struct fl_change *change);
    void *arg;
    /* Scratch, one allocation: */
    uint64_t *wanted; /* FL_WALK_WANTED_BITS */
    uint32_t *places; /* of the blocks of `previous`, plus one, by their pointer's hash */
    size_t places_mask;
    bool *shared_previous, *shared; /* per block */
};

/* ---- which blocks are shared ---- */

static bool same_view(const struct fl_set *a, const struct fl_set *b) {
    return a->shows == b->shows && a->port_number == b->port_number &&
           fl_str_eq(set_port_name(a), set_port_name(b));
}

static size_t slot_of(const struct diff *diff, const struct fl_block *block) {
    return (size_t)((uintptr_t)block * 0x9e3779b97f4a7c15u >> 32) & diff->places_mask;
}

static void note_place(struct diff *diff, size_t place) {
    size_t slot = slot_of(diff, set_blocks(diff->previous)[place]);
    while (diff->places[slot]) slot = (slot + 1) & diff->places_mask;
    diff->places[slot] = (uint32_t)place + 1;
}

/* False: it is not between the common ends of `previous`. */
static bool find_place(const struct diff *diff, const struct fl_block *block, size_t *place) {
    for (size_t slot = slot_of(diff, block); diff->places[slot];
         slot = (slot + 1) & diff->places_mask) {
        *place = diff->places[slot] - 1;
        if (set_blocks(diff->previous)[*place] == block) return true;
    }
    return false;
}

/* [start, end) of each side is what lies between the common ends. */
static void mark_between(struct diff *diff, size_t start, size_t end_previous, size_t end) {
    size_t place, next = start;
    for (size_t i = start; i < end_previous; i++) note_place(diff, i);
    for (size_t i = start; i < end; i++) {
        if (!find_place(diff, set_blocks(diff->set)[i], &place) || place < next) continue;
        diff->shared[i] = diff->shared_previous[place] = true;
        next = place + 1;
    }
}

static void mark_shared(struct diff *diff) {
    struct fl_block *const *a = set_blocks(diff->previous), *const *b = set_blocks(diff->set);
    size_t start = 0, end_a = set_block_count(diff->previous), end_b = set_block_count(diff->set);
    if (!same_view(diff->previous, diff->set)) return;
    for (; start < end_a && start < end_b && a[start] == b[start]; start++) {
        diff->shared_previous[start] = diff->shared[start] = true;
    }
    for (; end_a > start && end_b > start && a[end_a - 1] == b[end_b - 1]; end_a--, end_b--) {
        diff->shared_previous[end_a - 1] = diff->shared[end_b - 1] = true;
    }
    mark_between(diff, start, end_a, end_b);
}

static void note_addresses(struct diff *diff, const struct fl_set *set, const bool *shared) {
    struct fl_address address;
    for (size_t b = 0; b < set_block_count(set); b++) {
        size_t count = shared[b] ? 0 : fl_block_count(set_blocks(set)[b]);
        for (size_t i = 0; i < count; i++) {
            fl_block_address_at(set_blocks(set)[b], i, &address);
            size_t bit = fl_walk_wanted_bit(fl_walk_address_hash(&address));
            diff->wanted[bit / 64] |= UINT64_C(1) << (bit % 64);
        }
    }
}

/* ---- comparing and telling ---- */

static bool same_names(const char *const *a, size_t a_count, const char *const *b, size_t b_count) {
    if (a_count != b_count) return false;
    for (size_t i = 0; i < a_count; i++) {
        if (strcmp(a[i], b[i]) != 0) return false;
    }
    return true;
}

static bool same_hints(const struct fl_endpoint *a, const struct fl_endpoint *b) {
    return same_names(a->for_zones, a->for_zone_count, b->for_zones, b->for_zone_count) &&
           same_names(a->for_nodes, a->for_node_count, b->for_nodes, b->for_node_count);
}

static unsigned compare(const struct fl_endpoint *a, const struct fl_endpoint *b) {
    unsigned what = 0;
    if (a->ready != b->ready) what |= FL_CHANGED_READY;
    if (a->serving != b->serving) what |= FL_CHANGED_SERVING;
    if (a->terminating != b->terminating) what |= FL_CHANGED_TERMINATING;
    if (memcmp(a->uid, b->uid, sizeof(a->uid)) != 0 || strcmp(a->pod, b->pod) != 0) {
        what |= FL_CHANGED_IDENTITY;
    }
    if (strcmp(a->node, b->node) != 0 || strcmp(a->zone, b->zone) != 0) what |= FL_CHANGED_PLACE;
    if (strcmp(a->port_name, b->port_name) != 0 || strcmp(a->app_protocol, b->app_protocol) != 0) {
        what |= FL_CHANGED_PORT;
    }
    if (!same_hints(a, b)) what |= FL_CHANGED_HINTS;
    return what;
}

static void tell(const struct diff *diff, const struct fl_walk_item *item,
                 struct fl_change *change) {
    fl_address_format(&item->address, change->endpoint.address);
    diff->each(diff->arg, change);
}

static void tell_one_sided(const struct diff *diff, const struct fl_walk_item *item,
                           enum fl_change_kind kind) {
    struct fl_change change = {.kind = kind};
    fl_walk_unpack(item, &change.endpoint);
    tell(diff, item, &change);
}

static void tell_if_changed(const struct diff *diff, const struct fl_walk_item *was,
                            const struct fl_walk_item *is) {
    if (was->block == is->block && was->endpoint == is->endpoint &&
        was->port_index == is->port_index) {
        return;
    }
    struct fl_change change = {.kind = FL_CHANGE_CHANGED};
    struct fl_endpoint before;
    fl_walk_unpack(was, &before);
    fl_walk_unpack(is, &change.endpoint);
    change.what = compare(&before, &change.endpoint);
    if (change.what) tell(diff, is, &change);
}

static void merge(const struct diff *diff) {
    const struct fl_walk_filter before = {diff->shared_previous, diff->wanted},
                                after = {diff->shared, diff->wanted};
    struct fl_walk walk_before, walk_after;
    fl_walk_init(&walk_before, diff->previous, &before);
    fl_walk_init(&walk_after, diff->set, &after);
    const struct fl_walk_item *was = fl_walk_next(&walk_before), *is = fl_walk_next(&walk_after);
    while (was || is) {
        int order = !was ? 1 : !is ? -1 : fl_walk_cmp(was, is);
        if (order < 0) tell_one_sided(diff, was, FL_CHANGE_REMOVED);
        if (order > 0) tell_one_sided(diff, is, FL_CHANGE_ADDED);
        if (order == 0) tell_if_changed(diff, was, is);
        if (order <= 0) was = fl_walk_next(&walk_before);
        if (order >= 0) is = fl_walk_next(&walk_after);
    }
    fl_walk_deinit(&walk_before);
    fl_walk_deinit(&walk_after);
}

static void tell_all(const struct diff *diff) {
    struct fl_walk walk;
    const struct fl_walk_item *item;
    fl_walk_init(&walk, diff->set, NULL);
    while ((item = fl_walk_next(&walk))) tell_one_sided(diff, item, FL_CHANGE_ADDED);
    fl_walk_deinit(&walk);
}

/* Lays the scratch out; its beginning, or NULL. */
static void *new_scratch(struct diff *diff) {
    size_t slots = 16;
    while (slots < 2 * set_block_count(diff->previous)) slots *= 2;
    size_t blocks = set_block_count(diff->previous) + set_block_count(diff->set);
    size_t wanted_bytes = FL_WALK_WANTED_BITS / 8;
    char *scratch = fl_calloc(1, wanted_bytes + slots * sizeof(uint32_t) + blocks * sizeof(bool));
    if (!scratch) return NULL;
    diff->wanted = (uint64_t *)(void *)scratch;
    diff->places = (uint32_t *)(void *)(scratch + wanted_bytes);
    diff->places_mask = slots - 1;
    diff->shared_previous = (bool *)(diff->places + slots);
    diff->shared = diff->shared_previous + set_block_count(diff->previous);
    return scratch;
}

int fl_set_diff(const struct fl_set *previous, const struct fl_set *set,
                void (*each)(void *arg, const struct fl_change *change), void *arg) {
    struct diff diff = {.previous = previous, .set = set, .each = each, .arg = arg};
    if (previous == set) return 0;
    if (!previous) {
        tell_all(&diff);
        return 0;
    }
    void *scratch = new_scratch(&diff);
    if (!scratch) return FL_ENOMEM;
    mark_shared(&diff);
    note_addresses(&diff, previous, diff.shared_previous);
    note_addresses(&diff, set, diff.shared);
    merge(&diff);
    fl_free(scratch);
    return 0;
}
