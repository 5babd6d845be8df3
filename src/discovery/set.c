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

static size_t texts_size(const struct fl_set_spec *spec) {
    size_t n = spec->service.n + 1 + spec->external_name.n + 1;
    for (size_t i = 0; i < spec->port_count; i++) {
        n += spec->ports[i].name.n + spec->ports[i].protocol.n;
    }
    return n;
}

/* Copies `s` to *at and moves on behind it. */
static struct fl_str put(char **at, struct fl_str s) {
    struct fl_str copy = fl_str_n(*at, s.n);
    if (s.n) memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static const char *put_text(char **at, struct fl_str s) {
    const char *text = put(at, s).p;
    *(*at)++ = '\0';
    return text;
}

static void copy_spec(struct fl_set *set, const struct fl_set_spec *spec) {
    set->blocks = (struct fl_block **)(void *)(set + 1);
    set->ports = (struct fl_set_port *)(void *)(set->blocks + spec->block_count);
    char *text = (char *)(set->ports + spec->port_count);
    set->service = put_text(&text, spec->service);
    const char *external_name = put_text(&text, spec->external_name);
    if (*external_name) set->external_name = external_name;
    for (; set->block_count < spec->block_count; set->block_count++) {
        set->blocks[set->block_count] = fl_block_ref(spec->blocks[set->block_count]);
    }
    for (; set->port_count < spec->port_count; set->port_count++) {
        const struct fl_set_port *port = &spec->ports[set->port_count];
        set->ports[set->port_count] =
            (struct fl_set_port){put(&text, port->name), port->number, put(&text, port->protocol)};
    }
}

int fl_set_new(const struct fl_set_spec *spec, uint64_t version, struct fl_set **out) {
    *out = NULL;
    size_t size = sizeof(struct fl_set) + spec->block_count * sizeof(struct fl_block *) +
                  spec->port_count * sizeof(struct fl_set_port) + texts_size(spec);
    struct fl_set *set = size <= UINT32_MAX ? fl_alloc(size) : NULL;
    if (!set) return FL_ENOMEM;
    fl_area_add(FL_AREA_SETS, (ptrdiff_t)size);
    *set = (struct fl_set){.bytes = (uint32_t)size,
                           .state = spec->state,
                           .truncated = spec->truncated,
                           .snapshot = spec->snapshot,
                           .version = version};
    atomic_init(&set->refs, 1);
    copy_spec(set, spec);
    if (spec->freshness) set->freshness = fl_freshness_ref(spec->freshness);
    if (set->state != FL_SET_UNKNOWN && set->state != FL_SET_ABSENT) fl_set_judge(set);
    *out = set;
    return 0;
}

struct fl_set *fl_set_ref(struct fl_set *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

struct fl_set *fl_set_unref(struct fl_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1) return NULL;
    if (set->whole) {
        fl_set_unref(set->whole);
    } else {
        for (size_t i = 0; i < set->block_count; i++) fl_block_unref(set->blocks[i]);
        fl_freshness_unref(set->freshness);
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
    for (size_t b = 0; b < set->block_count; b++) {
        const struct fl_block *block = set->blocks[b];
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
    } else if (set->external_name) {
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

/* "SOME" in a spec only says that the service exists. */
static bool same_state(enum fl_set_state set, enum fl_set_state spec) {
    bool exists = spec == FL_SET_SOME || spec == FL_SET_EMPTY;
    return exists ? set == FL_SET_SOME || set == FL_SET_EMPTY : set == spec;
}

bool fl_set_is(const struct fl_set *set, const struct fl_set_spec *spec) {
    if (!same_state(set->state, spec->state) || set->freshness != spec->freshness ||
        set->truncated != spec->truncated || set->snapshot != spec->snapshot ||
        set->block_count != spec->block_count || set->port_count != spec->port_count ||
        !fl_str_eq(fl_str_of(set->service), spec->service) ||
        !fl_str_eq(fl_str_of(set->external_name), spec->external_name)) {
        return false;
    }
    for (size_t i = 0; i < set->block_count; i++) {
        if (set->blocks[i] != spec->blocks[i]) return false;
    }
    for (size_t i = 0; i < set->port_count; i++) {
        const struct fl_set_port *a = &set->ports[i], *b = &spec->ports[i];
        if (a->number != b->number || !fl_str_eq(a->name, b->name) ||
            !fl_str_eq(a->protocol, b->protocol)) {
            return false;
        }
    }
    return true;
}

enum fl_set_state fl_set_state(const struct fl_set *set) { return set->state; }
const char *fl_set_service(const struct fl_set *set) { return set->service; }
uint64_t fl_set_version(const struct fl_set *set) { return set->version; }
const char *fl_set_external_name(const struct fl_set *set) { return set->external_name; }

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
    return set->freshness ? fl_freshness_proof_wall_ms(set->freshness) : now_wall_ms;
}

uint64_t fl_set_stale_ms(const struct fl_set *set) {
    return set->freshness ? fl_freshness_stale_ms(set->freshness) : 0;
}
