/* set.c - endpoint sets: making one, and what it says about itself. Any thread.
 *
 * Whether a set is SOME or EMPTY is decided here, once: SOME if an endpoint may take calls, that is
 * if one is ready, or if none is and one is serving while it terminates (KEP-1669). Flags alone
 * answer that nearly always, most often the first endpoint's: one that is ready and does not
 * terminate loses to no duplicate of its address that is not ready too. Only where no such endpoint
 * exists and terminating ones might do, the endpoints are walked with duplicates merged. */
#include "base/alloc.h"
#include "base/area.h"
#include "discovery/set_layout.h"
#include "discovery/walk.h"

/* TCP is kept as nothing. */
static struct fl_str kept_protocol(struct fl_str protocol) {
    return fl_str_eq(protocol, FL_STR("TCP")) ? FL_STR_NONE : protocol;
}

/* 0: more than a set can hold. */
static size_t size_of(const struct fl_set_spec *spec) {
    if (spec->port_count > UINT16_MAX) return 0;
    size_t size = offsetof(struct set_whole, blocks) +
                  spec->block_count * sizeof(struct fl_block *) +
                  spec->port_count * sizeof(struct set_port) + spec->service.n + 1;
    if (spec->external_name.n) size += spec->external_name.n + 1;
    for (size_t i = 0; i < spec->port_count; i++) {
        struct fl_str name = spec->ports[i].name, protocol = kept_protocol(spec->ports[i].protocol);
        if (name.n > UINT8_MAX || protocol.n > UINT8_MAX) return 0;
        size += name.n + protocol.n;
    }
    return size <= UINT32_MAX ? size : 0;
}

static char *put(char *at, struct fl_str s) {
    if (s.n) memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_text(char *at, struct fl_str s) {
    at = put(at, s);
    *at++ = '\0';
    return at;
}

static void copy_texts(struct set_whole *whole, const struct fl_set_spec *spec) {
    char *at = put_text(set_texts(whole), spec->service);
    if (spec->external_name.n) at = put_text(at, spec->external_name);
    for (size_t i = 0; i < spec->port_count; i++) {
        const struct fl_set_port *port = &spec->ports[i];
        struct fl_str protocol = kept_protocol(port->protocol);
        set_ports(whole)[i] = (struct set_port){.number = port->number,
                                                .name_len = (uint8_t)port->name.n,
                                                .protocol_len = (uint8_t)protocol.n};
        at = put(put(at, port->name), protocol);
    }
}

int fl_set_new(const struct fl_set_spec *spec, uint64_t version, struct fl_set **out) {
    *out = NULL;
    size_t size = size_of(spec);
    struct set_whole *whole = size ? fl_alloc(size) : NULL;
    if (!whole) return FL_ENOMEM;
    fl_area_add(FL_AREA_SETS, (ptrdiff_t)size);
    *whole = (struct set_whole){.set = {.bytes = (uint32_t)size,
                                        .state = (uint8_t)spec->state,
                                        .has_external = spec->external_name.n > 0,
                                        .truncated = spec->truncated,
                                        .snapshot = spec->snapshot},
                                .version = version,
                                .event_us = spec->event_us,
                                .block_count = (uint32_t)spec->block_count,
                                .port_count = (uint16_t)spec->port_count};
    atomic_init(&whole->set.refs, 1);
    for (size_t i = 0; i < spec->block_count; i++) whole->blocks[i] = fl_block_ref(spec->blocks[i]);
    copy_texts(whole, spec);
    if (spec->freshness) whole->freshness = fl_freshness_ref(spec->freshness);
    *out = &whole->set;
    if (spec->state != FL_SET_UNKNOWN && spec->state != FL_SET_ABSENT) fl_set_judge(*out);
    return 0;
}

struct fl_set *fl_set_ref(struct fl_set *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

struct fl_set *fl_set_unref(struct fl_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1) return NULL;
    if (set->is_view) {
        fl_set_unref(&set_whole(set)->set);
    } else {
        for (size_t i = 0; i < set_block_count(set); i++) fl_block_unref(set_blocks(set)[i]);
        fl_freshness_unref(set_whole(set)->freshness);
    }
    fl_area_add(FL_AREA_SETS, -(ptrdiff_t)set->bytes);
    fl_free(set);
    return NULL;
}

static bool shows_block(const struct fl_set *set, const struct fl_block *block) {
    struct fl_block_port port;
    size_t count = fl_block_port_count(block);
    for (size_t i = 0; i < count; i++) {
        fl_block_port_at(block, i, &port);
        if (set_shows_port(set, &port)) return true;
    }
    return set_shows_portless(set, block);
}

static bool is_leaving(unsigned flags) {
    return (flags & FL_ENDPOINT_SERVING) && (flags & FL_ENDPOINT_TERMINATING);
}

/* What the flags alone say. True: an endpoint is surely ready. False: *maybe says whether any may
 * take calls at all. */
static bool surely_ready(const struct fl_set *set, bool *maybe) {
    *maybe = false;
    for (size_t b = 0; b < set_block_count(set); b++) {
        const struct fl_block *block = set_blocks(set)[b];
        size_t count = fl_block_count(block);
        if (count == 0 || !shows_block(set, block)) continue;
        for (size_t i = 0; i < count; i++) {
            unsigned flags = fl_block_flags_at(block, i);
            bool ready = (flags & FL_ENDPOINT_READY) != 0;
            if (ready && !(flags & FL_ENDPOINT_TERMINATING)) return true;
            *maybe |= ready || is_leaving(flags);
        }
    }
    return false;
}

static void judge_merged(struct fl_set *set) {
    struct fl_walk walk;
    const struct fl_walk_item *item;
    bool leaving = false;
    fl_walk_init(&walk, set, NULL);
    while ((item = fl_walk_next(&walk))) {
        set->any_ready |= (item->flags & FL_ENDPOINT_READY) != 0;
        leaving |= is_leaving(item->flags);
    }
    fl_walk_deinit(&walk);
    set->state = set->any_ready || leaving ? FL_SET_SOME : FL_SET_EMPTY;
}

void fl_set_judge(struct fl_set *set) {
    bool maybe;
    set->any_ready = false;
    if (surely_ready(set, &maybe)) {
        set->any_ready = true;
        set->state = FL_SET_SOME;
    } else if (set->has_external) {
        set->state = FL_SET_SOME;
    } else if (maybe) {
        judge_merged(set);
    } else {
        set->state = FL_SET_EMPTY;
    }
}

bool fl_set_usable(const struct fl_set *set, const struct fl_endpoint *endpoint) {
    return endpoint->ready || (!set->any_ready && endpoint->serving && endpoint->terminating);
}

bool fl_set_any_ready(const struct fl_set *set) { return set->any_ready; }

/* "SOME" in a spec only says that the service exists. */
static bool same_state(enum fl_set_state set, enum fl_set_state spec) {
    bool exists = spec == FL_SET_SOME || spec == FL_SET_EMPTY;
    return exists ? set == FL_SET_SOME || set == FL_SET_EMPTY : set == spec;
}

static bool same_port(const struct fl_set_port *a, const struct fl_set_port *b) {
    return a->number == b->number && fl_str_eq(a->name, b->name) &&
           fl_str_eq(set_protocol(a->protocol), set_protocol(b->protocol));
}

bool fl_set_is(const struct fl_set *set, const struct fl_set_spec *spec) {
    if (!same_state(fl_set_state(set), spec->state) ||
        set_whole(set)->freshness != spec->freshness || set->truncated != spec->truncated ||
        set->snapshot != spec->snapshot || set_block_count(set) != spec->block_count ||
        set_port_count(set) != spec->port_count ||
        !fl_str_eq(fl_str_of(fl_set_service(set)), spec->service) ||
        !fl_str_eq(fl_str_of(fl_set_external_name(set)), spec->external_name)) {
        return false;
    }
    for (size_t i = 0; i < spec->block_count; i++) {
        if (set_blocks(set)[i] != spec->blocks[i]) return false;
    }
    for (size_t i = 0; i < spec->port_count; i++) {
        struct fl_set_port port = set_port_at(set, i);
        if (!same_port(&port, &spec->ports[i])) return false;
    }
    return true;
}

enum fl_set_state fl_set_state(const struct fl_set *set) { return (enum fl_set_state)set->state; }
const char *fl_set_service(const struct fl_set *set) { return set_texts(set_whole(set)); }
uint64_t fl_set_event_us(const struct fl_set *set) { return set_whole(set)->event_us; }
uint64_t fl_set_version(const struct fl_set *set) { return set_whole(set)->version; }

const char *fl_set_external_name(const struct fl_set *set) {
    const char *service = fl_set_service(set);
    return set->has_external ? service + strlen(service) + 1 : NULL;
}

bool fl_set_is_truncated(const struct fl_set *set) { return set->truncated; }
bool fl_set_is_snapshot(const struct fl_set *set) { return set->snapshot; }

const char *fl_set_state_name(enum fl_set_state state) {
    static const char *const names[] = {
        [FL_SET_UNKNOWN] = "unknown",
        [FL_SET_ABSENT] = "absent",
        [FL_SET_EMPTY] = "empty",
        [FL_SET_SOME] = "some",
    };
    return (unsigned)state < FL_COUNT(names) ? names[state] : "?";
}

int64_t fl_set_proof_wall_ms(const struct fl_set *set, int64_t now_wall_ms) {
    const struct fl_freshness *freshness = set_whole(set)->freshness;
    return freshness ? fl_freshness_proof_wall_ms(freshness) : now_wall_ms;
}

uint64_t fl_set_stale_ms(const struct fl_set *set) {
    const struct fl_freshness *freshness = set_whole(set)->freshness;
    return freshness ? fl_freshness_stale_ms(freshness) : 0;
}
