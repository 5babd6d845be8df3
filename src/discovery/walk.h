/* walk.h - the endpoints that a set shows, in order, each once. See walk.c. */
#ifndef FL_DISCOVERY_WALK_H
#define FL_DISCOVERY_WALK_H

#include "discovery/set.h"

/* One endpoint on one port, where it lies. Borrowed from the set. */
struct fl_walk_item {
    uint64_t key; /* items of different keys are in the order of their keys */
    struct fl_address address;
    const struct fl_block *block;
    uint32_t place;    /* of the block in its set */
    uint32_t endpoint; /* in the block */
    uint16_t port;
    uint16_t port_index; /* in the block; FL_WALK_PORTLESS */
    uint8_t flags;       /* FL_ENDPOINT_* */
};
#define FL_WALK_PORTLESS UINT16_MAX

/* What a walk keeps of an endpoint that it has yet to give. */
struct fl_walk_slot {
    uint64_t key;
    uint32_t place, endpoint;
    uint16_t port, port_index;
    uint8_t flags;
};

#define FL_WALK_SMALL 32
struct fl_walk {
    const struct fl_set *set;
    const uint64_t *wanted;      /* by the addresses' short hashes; NULL: everything */
    struct fl_walk_slot *window; /* `small`, or on the heap */
    size_t cap, count, next;
    bool overflowed; /* endpoints beyond the window are still to come */
    bool started;    /* `last` was given */
    struct fl_walk_item last;
    struct fl_walk_slot small[FL_WALK_SMALL];
};

/* `wanted` (may be NULL): leaves out addresses for whose short hash (block.h) the bit is not set.
 */
void fl_walk_init(struct fl_walk *walk, const struct fl_set *set, const uint64_t *wanted);
void fl_walk_deinit(struct fl_walk *walk);
/* The next item, valid until the next call; NULL: there is none left. */
const struct fl_walk_item *fl_walk_next(struct fl_walk *walk);

/* By address, port and protocol; 0: the same endpoint. */
int fl_walk_cmp(const struct fl_walk_item *a, const struct fl_walk_item *b);

/* Unpacks all but the address (an empty text), which costs most. */
void fl_walk_unpack(const struct fl_walk_item *item, struct fl_endpoint *out);

#endif
