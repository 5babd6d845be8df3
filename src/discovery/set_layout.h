/* set_layout.h - how a set lies in memory; only for set.c, select.c, walk.c and diff.c.
 *
 * A whole set is one allocation: the struct, the references to its blocks, the service's ports and
 * the texts. A view of it (select.c) is a struct alone: it holds a reference to the whole set and
 * points into it, so that what it costs does not depend on the number of blocks. */
#ifndef FL_DISCOVERY_SET_LAYOUT_H
#define FL_DISCOVERY_SET_LAYOUT_H

#include "discovery/set.h"

/* Which ports of its blocks a set shows. */
enum set_shows { SHOWS_ALL, SHOWS_NAME, SHOWS_NUMBER, SHOWS_NOTHING };

/* A set, or a view of one. */
struct fl_set {
    atomic_uint refs;
    uint32_t bytes;         /* of this allocation */
    uint16_t port_name_len; /* of a view, SHOWS_NAME */
    uint16_t port_number;   /* of a view, SHOWS_NUMBER: the pods' */
    uint8_t state, shows;   /* enum fl_set_state, enum set_shows */
    bool is_view : 1;
    bool any_ready : 1;    /* an endpoint that it shows is ready */
    bool has_external : 1; /* these three as the whole set has them */
    bool truncated : 1;
    bool snapshot : 1;
};

struct set_view {
    struct fl_set set;
    struct set_whole *whole; /* that it looks at */
    const char *port_name;   /* SHOWS_NAME: the whole set's */
};

/* A port of the service. */
struct set_port {
    uint16_t number;
    uint8_t name_len, protocol_len; /* the latter 0 for TCP */
};

/* A whole set. Behind its blocks lie its ports, the service's name, the external name if it has
 * one, both terminated, and of each port the name and the protocol. */
struct set_whole {
    struct fl_set set;
    uint64_t version, event_us;
    struct fl_freshness *freshness; /* NULL: always fresh */
    uint32_t block_count;
    uint16_t port_count;
    struct fl_block *blocks[];
};

static inline const struct set_view *set_view(const struct fl_set *set) { /* it is one */
    return FL_CONTAINER(set, const struct set_view, set);
}

static inline struct set_whole *set_whole(const struct fl_set *set) {
    return set->is_view ? set_view(set)->whole : FL_CONTAINER(set, struct set_whole, set);
}

static inline size_t set_block_count(const struct fl_set *set) {
    return set_whole(set)->block_count;
}

static inline struct fl_block *const *set_blocks(const struct fl_set *set) {
    return set_whole(set)->blocks;
}

static inline size_t set_port_count(const struct fl_set *set) { return set_whole(set)->port_count; }

static inline struct set_port *set_ports(const struct set_whole *whole) {
    return (struct set_port *)(void *)(whole->blocks + whole->block_count);
}

static inline char *set_texts(const struct set_whole *whole) {
    return (char *)(set_ports(whole) + whole->port_count);
}

/* Borrowed from the whole set. */
static inline struct fl_set_port set_port_at(const struct fl_set *set, size_t i) {
    const struct set_whole *whole = set_whole(set);
    const struct set_port *ports = set_ports(whole);
    const char *name = (const char *)whole + whole->set.bytes; /* the last ones end there */
    for (size_t k = whole->port_count; k-- > i;) name -= ports[k].name_len + ports[k].protocol_len;
    return (struct fl_set_port){fl_str_n(name, ports[i].name_len), ports[i].number,
                                fl_str_n(name + ports[i].name_len, ports[i].protocol_len)};
}

static inline struct fl_str set_port_name(const struct fl_set *set) {
    return set->is_view ? fl_str_n(set_view(set)->port_name, set->port_name_len) : FL_STR_NONE;
}

static inline bool set_shows_port(const struct fl_set *set, const struct fl_block_port *port) {
    switch ((enum set_shows)set->shows) {
    case SHOWS_ALL:
        return true;
    case SHOWS_NAME:
        return fl_str_eq(set_port_name(set), port->name);
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
