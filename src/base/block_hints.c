/* block_hints.c - hints of a block's endpoints: gathering their lists, and reading them. Gathering
 * on one thread at a time, reading on any. See block_hints.h.
 *
 * A new list is compared with the last few only: endpoints of one zone share theirs, and who writes
 * endpoints of ever other hints gets more lists, not quadratic time. */
#include "base/block_hints.h"

#include "base/alloc.h"
#include "base/intern.h"

#define LOOK_BACK ((size_t)16)

void fl_hint_lists_deinit(struct fl_hint_lists *lists) {
    fl_free(lists->lists);
    fl_free(lists->ids);
    *lists = (struct fl_hint_lists){0};
}

static bool is_list(const struct fl_hint_lists *lists, size_t i, const uint32_t *ids,
                    size_t zone_count, size_t node_count) {
    const struct block_hint *list = &lists->lists[i];
    return list->zone_count == zone_count && list->node_count == node_count &&
           memcmp(lists->ids + list->first, ids, (zone_count + node_count) * sizeof(*ids)) == 0;
}

/* Room for one more list of the most ids. */
static int make_room(struct fl_hint_lists *lists) {
    if (lists->count == lists->cap) {
        size_t cap = FL_MAX(2 * lists->cap, (size_t)8);
        void *moved = fl_realloc(lists->lists, cap * sizeof(*lists->lists));
        if (!moved) return FL_ENOMEM;
        lists->lists = moved;
        lists->cap = cap;
    }
    if (lists->id_cap - lists->id_count < BLOCK_HINT_IDS_MAX) {
        size_t cap = 2 * lists->id_cap + BLOCK_HINT_IDS_MAX;
        void *moved = fl_realloc(lists->ids, cap * sizeof(*lists->ids));
        if (!moved) return FL_ENOMEM;
        lists->ids = moved;
        lists->id_cap = cap;
    }
    return 0;
}

int fl_hint_lists_add(struct fl_hint_lists *lists, const uint32_t *ids, size_t zone_count,
                      size_t node_count, uint32_t *place) {
    size_t oldest = lists->count - FL_MIN(lists->count, LOOK_BACK), n = zone_count + node_count;
    *place = 0;
    if (n == 0) return 0;
    for (size_t i = lists->count; i > oldest && *place == 0; i--)
        if (is_list(lists, i - 1, ids, zone_count, node_count)) *place = (uint32_t)i;
    if (*place) return 0;
    if (make_room(lists) < 0) return FL_ENOMEM;
    lists->lists[lists->count++] =
        (struct block_hint){(uint32_t)lists->id_count, (uint16_t)zone_count, (uint16_t)node_count};
    memcpy(lists->ids + lists->id_count, ids, n * sizeof(*ids));
    lists->id_count += n;
    *place = (uint32_t)lists->count;
    return 0;
}

size_t fl_hint_lists_bytes(const struct fl_hint_lists *lists, size_t endpoints) {
    if (lists->count == 0) return 0;
    return sizeof(struct block_hints) + lists->count * sizeof(struct block_hint) +
           (endpoints + lists->id_count) * sizeof(uint32_t);
}

void fl_hint_lists_fill(const struct fl_hint_lists *lists, struct fl_block *block) {
    if (lists->count == 0) return;
    struct block_hints *hints = block_at(block, block->hint_at);
    hints->count = (uint32_t)lists->count;
    hints->id_count = (uint32_t)lists->id_count;
    hints->endpoints = block->count;
    memcpy(hints->lists, lists->lists, lists->count * sizeof(struct block_hint));
    memcpy(block_hint_ids(hints), lists->ids, lists->id_count * sizeof(uint32_t));
    fl_intern_ref_ids(block_hint_ids(hints), lists->id_count);
}

/* ---- reading ---- */

static void read_names(const uint32_t *ids, size_t count, struct fl_str *out) {
    for (size_t i = 0; i < count; i++) out[i] = fl_intern_str(ids[i]);
}

void fl_block_hints_at(const struct fl_block *block, size_t i, struct fl_block_hints *out) {
    FL_ASSERT(i < block->count);
    out->zone_count = out->node_count = 0;
    const struct block_hints *hints = block_hints(block);
    uint32_t place = hints ? block_hint_places(hints)[i] : 0;
    if (place == 0) return;
    const struct block_hint *list = &hints->lists[place - 1];
    const uint32_t *ids = block_hint_ids(hints) + list->first;
    out->zone_count = (uint8_t)list->zone_count;
    out->node_count = (uint8_t)list->node_count;
    read_names(ids, list->zone_count, out->zones);
    read_names(ids + list->zone_count, list->node_count, out->nodes);
}
