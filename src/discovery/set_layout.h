/* set_layout.h - how a set lies in memory; only for set.c, select.c, walk.c and diff.c.
 *
 * A whole set is one allocation: the struct, the references to its blocks, the service's ports and
 * the texts. A view of it (select.c) is the struct alone: it holds a reference to the whole set and
 * points into it, so that what it costs does not depend on the number of blocks. */
#ifndef FL_DISCOVERY_SET_LAYOUT_H
#define FL_DISCOVERY_SET_LAYOUT_H

#include "discovery/set.h"

/* Which ports of its blocks a set shows. */
enum set_shows { SHOWS_ALL, SHOWS_NAME, SHOWS_NUMBER, SHOWS_NOTHING };

struct fl_set {
    atomic_uint refs;
    uint32_t bytes; /* of this allocation */
    enum fl_set_state state;
    bool any_ready; /* an endpoint that it shows is ready */
    bool truncated, snapshot;
    enum set_shows shows;
    struct fl_str port_name; /* SHOWS_NAME */
    uint16_t port_number;    /* SHOWS_NUMBER: the pods' */
    uint64_t version;
    struct fl_set *whole; /* of a view: the set it looks at; owns all that follows */
    struct fl_freshness *freshness;
    const char *service, *external_name; /* the latter NULL without */
    struct fl_block **blocks;
    size_t block_count;
    struct fl_set_port *ports;
    size_t port_count;
};

static inline bool set_shows_port(const struct fl_set *set, const struct fl_block_port *port) {
    switch (set->shows) {
    case SHOWS_ALL:
        return true;
    case SHOWS_NAME:
        return fl_str_eq(set->port_name, port->name);
    case SHOWS_NUMBER:
        return set->port_number == port->port;
    case SHOWS_NOTHING:
        break;
    }
    return false;
}

/* An endpoint of a service without ports has none either; it is shown with port 0. */
static inline bool set_shows_portless(const struct fl_set *set, const struct fl_block *block) {
    return set->shows == SHOWS_ALL && fl_block_port_count(block) == 0;
}

static inline struct fl_str set_protocol(struct fl_str protocol) {
    return protocol.n ? protocol : FL_STR("TCP");
}

/* Finds out `state` and `any_ready` of a set that is neither UNKNOWN nor ABSENT. */
void fl_set_judge(struct fl_set *set);

#endif
