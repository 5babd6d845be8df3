/* diff.c - what turns one set into another. Any thread.
 *
 * Sets share the blocks that did not change, and in a block that did most endpoints are as they
 * were: the hashes of what they came from say so, without unpacking. What stands only in what is
 * shared is the same on both sides. So both sets are walked in order (walk.c) with that left out,
 * and the two walks are merged: what only the first gives was removed, what only the second gives
 * was added, what both give is compared.
 *
 * One thing keeps a shared endpoint from being left out: its address may also be that of one that
 * is not shared, and then which of the two counts depends on both. So what takes part is told by
 * addresses: those of all endpoints that are not shared are noted as bits by a short hash, and
 * whatever has such an address takes part. A bit that is set for another address lets the same
 * endpoints take part on both sides and makes no difference. What this costs: unpacking for what
 * changed, a look at each hash of changed blocks, and one at the short hash of each address.
 *
 * Which of two entries counts may depend on their order. So blocks, and endpoints within them, are
 * taken as shared only along a sequence that is increasing in both sets: the common beginning, the
 * common end, and between them each block of `set` whose place in `previous` is behind that of the
 * one before. Of the blocks that are left, those are compared endpoint by endpoint that have as
 * many such before them since the last shared one: the new state of a slice stands where the old
 * one did. */
#include "base/alloc.h"
#include "discovery/set_layout.h"
#include "discovery/walk.h"

#define LOOK_AHEAD ((size_t)16) /* endpoints that came or went together in a block */

struct diff {
    const struct fl_set *previous, *set;
    void (*each)(void *arg, const struct fl_change *change);
    void *arg;
    /* What lies between the common beginning and the common end. */
    size_t start, end_previous, end;
    /* Scratch, one allocation: */
    uint64_t *wanted; /* FL_BLOCK_SHORT_HASHES bits; NULL: everything takes part */
    uint32_t *places; /* of the blocks of `previous`, plus one, by their pointer's hash */
    size_t places_mask;
    bool *shared_previous, *shared; /* by place, in between */
};

/* ---- which blocks are shared ---- */

static bool same_view(const struct fl_set *a, const struct fl_set *b) {
    return a->shows == b->shows && a->port_number == b->port_number &&
           fl_str_eq(set_port_name(a), set_port_name(b));
}

static void find_between(struct diff *diff) {
    struct fl_block *const *a = set_blocks(diff->previous), *const *b = set_blocks(diff->set);
    size_t start = 0, end_a = set_block_count(diff->previous), end_b = set_block_count(diff->set);
    while (start < end_a && start < end_b && a[start] == b[start]) start++;
    while (end_a > start && end_b > start && a[end_a - 1] == b[end_b - 1]) end_a--, end_b--;
    diff->start = start;
    diff->end_previous = end_a;
    diff->end = end_b;
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

static void mark_between(struct diff *diff) {
    size_t place, next = diff->start;
    for (size_t i = diff->start; i < diff->end_previous; i++) note_place(diff, i);
    for (size_t i = diff->start; i < diff->end; i++) {
        if (!find_place(diff, set_blocks(diff->set)[i], &place) || place < next) continue;
        diff->shared[i] = diff->shared_previous[place] = true;
        next = place + 1;
    }
}

/* ---- which addresses take part ---- */

static void note_address(struct diff *diff, const struct fl_block *block, size_t i) {
    unsigned bit = fl_block_short_hash_at(block, i);
    diff->wanted[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void note_addresses(struct diff *diff, const struct fl_block *block, size_t start,
                           size_t end) {
    for (size_t i = start; i < end; i++) note_address(diff, block, i);
}

/* How far behind `from` the hash is; 0: not within sight. */
static size_t find_ahead(const uint64_t *hashes, size_t from, size_t count, uint64_t hash) {
    size_t end = FL_MIN(count - from, LOOK_AHEAD + 1);
    for (size_t n = 1; n < end; n++) {
        if (hashes[from + n] == hash) return n;
    }
    return 0;
}

/* Notes what is not shared by the two. Where one's next is further on in the other, what lies
 * before it there went or came; else one came in place of the other. */
static void note_unlike(struct diff *diff, const struct fl_block *before,
                        const struct fl_block *after) {
    const uint64_t *was = fl_block_hashes(before), *is = fl_block_hashes(after);
    size_t was_count = fl_block_count(before), is_count = fl_block_count(after), i = 0, k = 0;
    while (i < was_count && k < is_count) {
        if (was[i] == is[k] && was[i] != 0) {
            i++, k++;
            continue;
        }
        size_t went = find_ahead(was, i, was_count, is[k]);
        size_t came = went ? 0 : find_ahead(is, k, is_count, was[i]);
        if (!went && !came) went = came = 1;
        note_addresses(diff, before, i, i + went);
        note_addresses(diff, after, k, k + came);
        i += went;
        k += came;
    }
    note_addresses(diff, before, i, was_count);
    note_addresses(diff, after, k, is_count);
}

static void note_pair(struct diff *diff, const struct fl_block *before,
                      const struct fl_block *after) {
    if (before && after && fl_block_has_ports_of(before, after)) {
        note_unlike(diff, before, after);
        return;
    }
    if (before) note_addresses(diff, before, 0, fl_block_count(before));
    if (after) note_addresses(diff, after, 0, fl_block_count(after));
}

/* Goes on to the next block that is not shared; NULL: none before the next one that is. */
static const struct fl_block *take(struct fl_block *const *blocks, const bool *shared, size_t end,
                                   size_t *at) {
    return *at < end && !shared[*at] ? blocks[(*at)++] : NULL;
}

static void note_between(struct diff *diff) {
    struct fl_block *const *a = set_blocks(diff->previous), *const *b = set_blocks(diff->set);
    for (size_t i = diff->start, k = i; i < diff->end_previous || k < diff->end;) {
        const struct fl_block *before = take(a, diff->shared_previous, diff->end_previous, &i);
        const struct fl_block *after = take(b, diff->shared, diff->end, &k);
        if (before || after)
            note_pair(diff, before, after);
        else
            i++, k++; /* the same block, shared */
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
    struct fl_walk walk_before, walk_after;
    fl_walk_init(&walk_before, diff->previous, diff->wanted);
    fl_walk_init(&walk_after, diff->set, diff->wanted);
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
    size_t slots = 16, wanted_bytes = FL_BLOCK_SHORT_HASHES / 8;
    while (slots < 2 * (diff->end_previous - diff->start)) slots *= 2;
    char *scratch = fl_calloc(1, wanted_bytes + slots * sizeof(*diff->places) +
                                     (diff->end_previous + diff->end) * sizeof(*diff->shared));
    if (!scratch) return NULL;
    diff->wanted = (uint64_t *)(void *)scratch;
    diff->places = (uint32_t *)(void *)(scratch + wanted_bytes);
    diff->places_mask = slots - 1;
    diff->shared_previous = (bool *)(diff->places + slots);
    diff->shared = diff->shared_previous + diff->end_previous;
    return scratch;
}

int fl_set_diff(const struct fl_set *previous, const struct fl_set *set,
                void (*each)(void *arg, const struct fl_change *change), void *arg) {
    struct diff diff = {.previous = previous, .set = set, .each = each, .arg = arg};
    void *scratch = NULL;
    if (previous == set) return 0;
    if (!previous) {
        tell_all(&diff);
        return 0;
    }
    if (same_view(previous, set)) {
        find_between(&diff);
        scratch = new_scratch(&diff);
        if (!scratch) return FL_ENOMEM;
        mark_between(&diff);
        note_between(&diff);
    }
    merge(&diff);
    fl_free(scratch);
    return 0;
}
