/* block_names.h - the nodes and zones that a builder has met; only for block_builder.c.
 *
 * The same names come again and again. So each builder keeps a table of those it has met, with
 * their ids and a reference to each, and asks the process's table, behind its lock, for new ones
 * only. When it has grown beyond a bound it starts anew with the next block. Of a node the table
 * knows the hash; of zones there are few, and the last ones are compared directly. */
#ifndef FL_BASE_BLOCK_NAMES_H
#define FL_BASE_BLOCK_NAMES_H

#include "base/str.h"

#define FL_BLOCK_TEXT_MAX   512 /* bytes of one name: Kubernetes allows 316 at most */
#define FL_BLOCK_NAME_HEAD  52
#define FL_BLOCK_ZONES_LAST 4 /* a region has three, or a few more */

/* 64 bytes: a hit needs one line of the processor's cache. */
struct fl_block_name {
    uint32_t id; /* 0: empty */
    uint32_t hash;
    uint32_t len;
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
FL_MUST int fl_block_names_zone(struct fl_block_names *names, struct fl_str text, uint32_t *id);

#endif
