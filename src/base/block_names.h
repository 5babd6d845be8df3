/* block_names.h - the nodes and zones that a builder has met; only for block_builder.c.
 *
 * The same names come again and again. So each builder keeps a table of those it has met, with
 * their ids and a reference to each, and asks the process's table, behind its lock, for new ones
 * only. When it has grown beyond a bound it starts anew with the next block. Of a node the table
 * knows the hash and the zone; of zones there are few, and the last ones are compared directly. */
#ifndef FL_BASE_BLOCK_NAMES_H
#define FL_BASE_BLOCK_NAMES_H

#include "base/str.h"

#define FL_BLOCK_TEXT_MAX   512 /* bytes of one name: Kubernetes allows 316 at most */
#define FL_BLOCK_NAME_HEAD  50
#define FL_BLOCK_ZONES_LAST 4 /* a region has three, or a few more */

/* 64 bytes: a hit needs one line of the processor's cache. */
struct fl_block_name {
    uint32_t id; /* 0: empty */
    uint32_t hash;
    uint32_t zone; /* of a node: fl_intern_zone, 0 if that was 0 when last asked */
    uint16_t len;
    char head[FL_BLOCK_NAME_HEAD]; /* as much of the text as there is room for */
};

struct fl_block_names { /* all zeros: empty */
    struct fl_block_name *slots;
    size_t count, cap; /* a power of two, or 0 */
    struct fl_block_name zones[FL_BLOCK_ZONES_LAST];
    size_t zone_written;
};

void fl_block_names_deinit(struct fl_block_names *names);
/* Forgets all if there are too many; no block is being built. */
void fl_block_names_bound(struct fl_block_names *names);
/* The id, borrowed; 0 for the empty name. FL_ETOO_LARGE, FL_EFULL, FL_ENOMEM. */
FL_MUST int fl_block_names_node(struct fl_block_names *names, struct fl_str text, uint32_t *id);

/* Where an endpoint is: ids as above. */
struct fl_block_place {
    uint32_t node, zone;
    bool zone_of_node; /* it stays fl_intern_zone of the node, or there is neither */
};
/* The first one who gives a zone with a node makes it the node's. */
FL_MUST int fl_block_names_place(struct fl_block_names *names, struct fl_str node,
                                 struct fl_str zone, struct fl_block_place *out);

#endif
