/* block_edit.h - the next state of a block of which little has changed; only for block_builder.c.
 *
 * Nearly every update of a slice leaves all endpoints at their places and changes one or two. As
 * long as that holds nothing is gathered: an endpoint that is the same is only counted, one that
 * changed but keeps its pod and the kind of its address is kept aside, and the finish copies the
 * whole block at once and writes the changes into the copy. Where it does not hold, the builder
 * goes on as for a new block. */
#ifndef FL_BASE_BLOCK_EDIT_H
#define FL_BASE_BLOCK_EDIT_H

#include "base/block_layout.h"

#define FL_BLOCK_EDIT_CHANGES 8

struct fl_block_change {
    uint64_t hash;
    size_t place;
    uint32_t node, zone; /* ids, borrowed */
    uint8_t flags;       /* as in a block */
    uint8_t uid[16], ip[16];
};

struct fl_block_edit {
    const struct fl_block *from; /* NULL: no edit */
    size_t count;                /* endpoints so far, all at their places */
    struct fl_block_change changes[FL_BLOCK_EDIT_CHANGES];
    size_t change_count;
};

static inline void fl_block_edit_start(struct fl_block_edit *edit, const struct fl_block *from) {
    edit->from = from;
    edit->count = edit->change_count = 0;
}

/* True: the next endpoint is that of this hash, as it was. */
static inline bool fl_block_edit_keep(struct fl_block_edit *edit, uint64_t hash) {
    if (edit->count >= edit->from->count || edit->from->hashes[edit->count] != hash) return false;
    edit->count++;
    return true;
}

/* Whether any endpoint of the block has this hash. */
bool fl_block_edit_has(const struct fl_block_edit *edit, uint64_t hash);
/* True: the next endpoint may become this one. Its node and zone are given as ids. */
bool fl_block_edit_fits(const struct fl_block_edit *edit, const struct fl_block_endpoint *endpoint);
void fl_block_edit_change(struct fl_block_edit *edit, const struct fl_block_endpoint *endpoint,
                          uint32_t node, uint32_t zone);
/* What became of the endpoint at `place`; NULL: it is the same. */
const struct fl_block_change *fl_block_edit_at(const struct fl_block_edit *edit, size_t place);

/* True: the edit is the whole block, which has these ports, their texts lying in `text`. */
bool fl_block_edit_is_whole(const struct fl_block_edit *edit, const struct block_port *ports,
                            size_t port_count, const char *text);
/* The block with the changes, one reference; NULL: no memory. */
struct fl_block *fl_block_edit_finish(const struct fl_block_edit *edit);

#endif
