/* block_draft.h - what was gathered for a block; only for block_builder.c and block_pack.c.
 *
 * A row for each endpoint, their texts in one piece of scratch memory, and what is to be known of
 * all rows together, so that the packing finds out by no second walk how the block will lie. */
#ifndef FL_BASE_BLOCK_DRAFT_H
#define FL_BASE_BLOCK_DRAFT_H

#include "base/block_hints.h"
#include "base/buf.h"

struct fl_block_row {
    uint64_t hash;
    uint8_t uid[16];
    union {
        uint8_t ip[16];
        struct {
            uint32_t at, len; /* in the scratch text */
        } name;
    } address;
    uint32_t node, zone;
    uint32_t hints;  /* place of its list plus one; 0: none */
    uint32_t pod_at; /* in the scratch text */
    uint16_t pod_len;
    uint8_t flags;   /* kind and all */
    uint32_t suffix; /* the end of the pod's name as a number, if all are numbers; by the packing */
};

struct fl_block_draft {
    struct fl_block_row *rows;
    size_t count, cap;
    struct block_port *ports;
    size_t port_count, port_cap;
    struct fl_buf text; /* whole pod names, ports' texts, host names */
    struct fl_hint_lists hints;

    size_t pods, pod_bytes; /* endpoints with a pod name, and their bytes */
    size_t port_bytes;      /* of the ports' texts */
    size_t name_bytes;      /* of host names, with their length bytes */
    uint32_t prefix_at;     /* the first pod name */
    uint32_t prefix_len;    /* that all names so far share */
    /* In how far rows differ from the first one: bits. */
    unsigned kinds_differ;
    uint32_t pod_lens_differ;
    uint64_t ips_differ[2];
    uint32_t ids, zones;       /* all ids, and those of zones: bits */
    bool zones_differ;         /* one is not that of its node */
    bool any_uid, any_set_uid; /* the latter: one that is not random, or none */
};

/* The block, with one reference. FL_ENOMEM, FL_ETOO_LARGE (4 GiB). */
FL_MUST int fl_block_pack(struct fl_block_draft *draft, struct fl_block **out);

#endif
