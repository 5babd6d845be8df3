/* select.c - the ports of a service, and a set seen through one of them. Any thread.
 *
 * Clients name a port of the service, by name or number; the pods' own number is what the blocks
 * carry under the same name (it may differ from slice to slice, where the service's targetPort is a
 * name). So a number is turned into a name through the service's ports, and the view shows of each
 * block the ports of that name; a service's only port may have the empty name. A service without
 * ports of its own, which only a headless one can be, is asked by what its blocks carry. */
#include "base/alloc.h"
#include "base/area.h"
#include "discovery/set_layout.h"

#define LIST_MAX 160 /* bytes of the list of ports in an error */

/* What a view is to show. */
struct selection {
    enum set_shows shows;
    struct fl_str name; /* borrowed from the set */
    uint16_t number;
};

static bool is_tcp(struct fl_str protocol) {
    return fl_str_eq(set_protocol(protocol), FL_STR("TCP"));
}

struct fl_set *fl_set_whole(struct fl_set *set) {
    return &set_whole(set)->set;
}

/* Field by field: the reference count may be changing. */
static int new_view(struct fl_set *set, const struct selection *selection, struct fl_set **out) {
    struct set_view *view = fl_alloc(sizeof(*view));
    struct fl_set *whole = fl_set_whole(set);
    *out = view ? &view->set : NULL;
    if (!view) return FL_ENOMEM;
    fl_area_add(FL_AREA_SETS, (ptrdiff_t)sizeof(*view));
    view->set = (struct fl_set){
        .bytes = sizeof(*view),
        .port_name_len = (uint16_t)selection->name.n,
        .port_number = selection->number,
        .state = whole->state,
        .shows = (uint8_t)selection->shows,
        .is_view = true,
        .has_external = whole->has_external,
        .truncated = whole->truncated,
        .snapshot = whole->snapshot,
    };
    view->whole = set_whole(fl_set_ref(whole));
    view->port_name = selection->name.p;
    atomic_init(&view->set.refs, 1);
    return 0;
}

/* A number may stand for several ports (53/UDP and 53/TCP): the TCP one is meant. */
static bool find_port(const struct fl_set *set, struct fl_str text, uint64_t number,
                      struct fl_set_port *found) {
    bool any = false;
    for (size_t i = 0; i < set_port_count(set); i++) {
        struct fl_set_port port = set_port_at(set, i);
        if (number ? port.number != number : !fl_str_eq(port.name, text)) continue;
        if (!any || (!is_tcp(found->protocol) && is_tcp(port.protocol))) *found = port;
        any = true;
    }
    return any;
}

static bool find_block_port(const struct fl_set *set, struct fl_str text, uint64_t number,
                            struct fl_str *name) {
    for (size_t b = 0; b < set_block_count(set); b++) {
        size_t count = fl_block_port_count(set_blocks(set)[b]);
        for (size_t i = 0; i < count; i++) {
            struct fl_block_port port;
            fl_block_port_at(set_blocks(set)[b], i, &port);
            *name = port.name;
            if (number ? port.port == number : fl_str_eq(port.name, text)) return true;
        }
    }
    return false;
}

static bool find_selection(const struct fl_set *set, struct fl_str text, struct selection *out) {
    uint64_t number = 0;
    if (fl_str_u64(text, &number) && (number == 0 || number > UINT16_MAX)) return false;
    if (set_port_count(set)) {
        struct fl_set_port port = {.number = 0};
        if (!find_port(set, text, number, &port)) return false;
        *out = (struct selection){SHOWS_NAME, port.name, 0};
        return true;
    }
    *out = (struct selection){number ? SHOWS_NUMBER : SHOWS_NAME, text, (uint16_t)number};
    return find_block_port(set, text, number, &out->name);
}

/* ---- listing ---- */

/* Appends "http (80)" or "dns (53/UDP)" whole, or nothing when it does not fit. */
static void list_port(struct fl_buf *names, size_t listed, struct fl_str name, uint16_t number,
                      struct fl_str protocol) {
    bool tcp = is_tcp(protocol);
    int rc = fl_buf_printf(names, "%s%.*s%s%u%s%.*s%s", listed ? ", " : "", FL_STR_ARG(name),
                           name.n ? " (" : "", (unsigned)number, tcp ? "" : "/",
                           tcp ? 0 : (int)protocol.n, tcp ? "" : protocol.p, name.n ? ")" : "");
    FL_UNUSED(rc);
}

static size_t list_service_ports(const struct fl_set *set, struct fl_buf *names) {
    size_t listed = 0;
    for (size_t i = 0; i < set_port_count(set); i++) {
        struct fl_set_port port = set_port_at(set, i);
        if (set->shows != SHOWS_ALL && !fl_str_eq(set_port_name(set), port.name)) continue;
        if (names) list_port(names, listed, port.name, port.number, port.protocol);
        listed++;
    }
    return listed;
}

/* Does a port of this name stand before place (b, i)? */
static bool seen_before(const struct fl_set *set, size_t b, size_t i, struct fl_str name) {
    struct fl_block_port port;
    for (size_t other = 0; other <= b; other++) {
        size_t end = other == b ? i : fl_block_port_count(set_blocks(set)[other]);
        for (size_t k = 0; k < end; k++) {
            fl_block_port_at(set_blocks(set)[other], k, &port);
            if (set_shows_port(set, &port) && fl_str_eq(port.name, name)) return true;
        }
    }
    return false;
}

static size_t list_block_ports(const struct fl_set *set, struct fl_buf *names) {
    size_t listed = 0;
    for (size_t b = 0; b < set_block_count(set); b++) {
        size_t count = fl_block_port_count(set_blocks(set)[b]);
        for (size_t i = 0; i < count; i++) {
            struct fl_block_port port;
            fl_block_port_at(set_blocks(set)[b], i, &port);
            if (!set_shows_port(set, &port) || seen_before(set, b, i, port.name)) continue;
            if (names) list_port(names, listed, port.name, port.port, port.protocol);
            listed++;
        }
    }
    return listed;
}

size_t fl_set_ports(const struct fl_set *set, struct fl_buf *names) {
    if (set->shows == SHOWS_NOTHING) return 0;
    return set_port_count(set) ? list_service_ports(set, names) : list_block_ports(set, names);
}

static int fail_port(const struct fl_set *set, struct fl_str port, struct fl_error *err) {
    struct fl_buf names;
    fl_buf_init(&names, LIST_MAX);
    size_t count = fl_set_ports(set, &names);
    struct fl_str list = fl_buf_str(&names);
    int rc =
        fl_fail(err, FL_EPORT, "service \"%s\" has no port \"%.*s\"; it has %.*s",
                fl_set_service(set), FL_STR_ARG(port), FL_STR_ARG(count ? list : FL_STR("none")));
    fl_buf_deinit(&names);
    return rc;
}

/* There is nothing in it that a port could be chosen from. */
static bool is_blank(const struct fl_set *set) {
    return set->state == FL_SET_UNKNOWN || set->state == FL_SET_ABSENT || set->has_external;
}

int fl_set_select(struct fl_set *set, struct fl_str port, struct fl_set **out,
                  struct fl_error *err) {
    struct selection selection;
    *out = NULL;
    if (port.n == 0 || is_blank(set)) {
        *out = fl_set_ref(set);
        return 0;
    }
    if (!find_selection(fl_set_whole(set), port, &selection)) {
        return fail_port(fl_set_whole(set), port, err);
    }
    if (new_view(set, &selection, out) < 0) return fl_fail_nomem(err);
    fl_set_judge(*out);
    return 0;
}

/* The port that `previous` showed, if blocks carry it still. */
static bool find_same_port(const struct fl_set *set, const struct fl_set *previous,
                           struct fl_str *name) {
    return previous && previous->shows == SHOWS_NAME &&
           find_block_port(set, set_port_name(previous), 0, name);
}

static bool find_first_port(const struct fl_set *set, uint16_t excluded, struct fl_str *name) {
    for (size_t i = 0; i < set_port_count(set); i++) {
        struct fl_set_port port = set_port_at(set, i);
        *name = port.name;
        if (port.number != excluded && is_tcp(port.protocol)) return true;
    }
    return false;
}

static int fail_excluded(const struct fl_set *set, uint16_t excluded, struct fl_error *err) {
    struct fl_buf names;
    fl_buf_init(&names, LIST_MAX);
    fl_set_ports(set, &names);
    struct fl_str list = fl_buf_str(&names);
    int rc =
        fl_fail(err, FL_EPORTS_EXCLUDED, "service \"%s\" has no RPC port (all ports are %u): %.*s",
                fl_set_service(set), (unsigned)excluded, FL_STR_ARG(list));
    fl_buf_deinit(&names);
    return rc;
}

int fl_set_select_first(struct fl_set *set, uint16_t excluded, const struct fl_set *previous,
                        struct fl_set **out, struct fl_error *err) {
    bool of_service = set_port_count(set) > 0;
    struct selection selection = {.shows = SHOWS_NAME};
    *out = NULL;
    /* Several places may share the one port of addresses that were written down. */
    if (set->shows != SHOWS_ALL || is_blank(set) ||
        (!of_service && (set->state == FL_SET_EMPTY || fl_set_ports(set, NULL) == 1))) {
        *out = fl_set_ref(set);
        return 0;
    }
    if (fl_set_ports(set, NULL) == 0)
        return fl_fail(err, FL_ENO_PORTS, "service \"%s\" has no ports defined",
                       fl_set_service(set));
    if (of_service && !find_first_port(set, excluded, &selection.name))
        return fail_excluded(set, excluded, err);
    if (!of_service && !find_same_port(set, previous, &selection.name))
        return fl_fail(err, FL_EUNKNOWN,
                       "which port of \"%s\" is meant is not known: there are endpoints and no "
                       "Service",
                       fl_set_service(set));
    if (new_view(set, &selection, out) < 0) return fl_fail_nomem(err);
    fl_set_judge(*out);
    return 0;
}

uint16_t fl_set_port_number(const struct fl_set *set) {
    uint16_t number = 0;
    for (size_t i = 0; i < set_port_count(set); i++) {
        struct fl_set_port port = set_port_at(set, i);
        if (set->shows != SHOWS_ALL && !fl_str_eq(set_port_name(set), port.name)) continue;
        if (number != 0 && number != port.number) return 0;
        number = port.number;
    }
    return number;
}

int fl_set_hide(struct fl_set *set, enum fl_set_state state, struct fl_set **out) {
    static const struct selection nothing = {.shows = SHOWS_NOTHING};
    if (new_view(set, &nothing, out) < 0) return FL_ENOMEM;
    (*out)->state = (uint8_t)state;
    return 0;
}
