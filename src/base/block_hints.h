/* block_hints.h - the lists of hints of a block in the making; only for block_builder.c.
 *
 * Most endpoints have no hints, and those that have share a few lists ("zone a"). So a block keeps
 * each list once, and only where an endpoint has one, the place of its list for each endpoint. */
#ifndef FL_BASE_BLOCK_HINTS_H
#define FL_BASE_BLOCK_HINTS_H

#include "base/block_layout.h"

#define BLOCK_HINT_IDS_MAX ((size_t)2 * FL_BLOCK_HINTS_MAX)

struct fl_hint_lists {
    struct block_hint *lists;
    uint32_t *ids; /* interned names, borrowed as those of the rows */
    size_t count, cap, id_count, id_cap;
};

/* Forgets the lists, keeps the memory; gives the memory back. */
static inline void fl_hint_lists_clear(struct fl_hint_lists *lists) {
    lists->count = lists->id_count = 0;
}
void fl_hint_lists_deinit(struct fl_hint_lists *lists);
/* *place: one more than the list's place, so that 0 stands for no hints. FL_ENOMEM. */
FL_MUST int fl_hint_lists_add(struct fl_hint_lists *lists, const uint32_t *ids, size_t zone_count,
                              size_t node_count, uint32_t *place);
/* What a block of so many endpoints needs for them; 0 without lists. */
size_t fl_hint_lists_bytes(const struct fl_hint_lists *lists, size_t endpoints);
/* Writes all but the endpoints' places into the block, and takes its references. */
void fl_hint_lists_fill(const struct fl_hint_lists *lists, struct fl_block *block);

#endif
