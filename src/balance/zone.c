/* zone.c - zone preference and spill-over.
 *
 * Near are, by the first rule that fits, as kube-proxy has it for hints (KEP-2433, KEP-3015):
 *   1. those whose hints name this client's node, if all endpoints have node hints;
 *   2. those whose hints name this client's zone, if all endpoints have zone hints;
 *   3. those in this client's zone;
 *   4. all.
 * A rule that leaves nobody does not fit. Hints are the control plane's own division of the load,
 * so with them the near ones are expected to be all that it named; without them, as many as the
 * zone's fair share: all endpoints divided by the number of zones.
 *
 * When fewer than FULL_PERCENT of the expected ones can be used, because they cannot be reached,
 * are ejected or never were that many, the near ones take calls in proportion and the rest spills
 * over: nobody gets more than twice what was expected for it, and no more than that goes far. */
#include "balance/zone.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define FULL_PERCENT 50
#define ZONES_MAX    64 /* that are told apart */

static int fill_in(const char **name, struct fl_io *io, const char *variable) {
    const char *value = *name ? NULL : fl_io_env(io, variable);
    if (!value || !value[0]) return 0;
    *name = fl_strdup(value);
    return *name ? 0 : FL_ENOMEM;
}

int fl_zone_locate(struct fl_balance_options *options, struct fl_io *io, struct fl_error *err) {
    if (!options->zone_preference) return 0;
    if (fill_in(&options->zone, io, "FL_ZONE") != 0 || fill_in(&options->node, io, "FL_NODE") != 0)
        return fl_fail_nomem(err);
    return 0;
}

static bool is_among(const char *name, const char *const *list, size_t count) {
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(name, list[i]) == 0) return true;
    }
    return false;
}

struct fl_place fl_zone_place(const struct fl_endpoint *endpoint, const char *zone,
                              const char *node) {
    return (struct fl_place){
        .zone = endpoint->zone[0] ? fl_hash(fl_str_of(endpoint->zone), 0) : 0,
        .same_zone = is_among(zone, &endpoint->zone, 1),
        .has_node_hints = endpoint->for_node_count > 0,
        .for_node = is_among(node, endpoint->for_nodes, endpoint->for_node_count),
        .has_zone_hints = endpoint->for_zone_count > 0,
        .for_zone = is_among(zone, endpoint->for_zones, endpoint->for_zone_count),
    };
}

struct view {
    size_t node_hints, for_node, zone_hints, for_zone, same_zone;
};

static struct view look(const struct fl_candidate *list, size_t count) {
    struct view view = {0};
    for (size_t i = 0; i < count; i++) {
        const struct fl_place *place = &list[i].place;
        view.node_hints += place->has_node_hints;
        view.for_node += place->for_node;
        view.zone_hints += place->has_zone_hints;
        view.for_zone += place->for_zone;
        view.same_zone += place->same_zone;
    }
    return view;
}

static size_t count_zones(const struct fl_candidate *list, size_t count) {
    uint64_t zones[ZONES_MAX];
    size_t known = 0;
    for (size_t i = 0; i < count && known < ZONES_MAX; i++) {
        size_t at = 0;
        while (at < known && zones[at] != list[i].place.zone) at++;
        if (at == known) zones[known++] = list[i].place.zone;
    }
    return known;
}

enum rule { BY_NODE, BY_ZONE_HINT, BY_ZONE, ALL };

static enum rule rule_for(const struct view *view, size_t count) {
    if (view->node_hints == count && view->for_node > 0) return BY_NODE;
    if (view->zone_hints == count && view->for_zone > 0) return BY_ZONE_HINT;
    return view->same_zone > 0 ? BY_ZONE : ALL;
}

static bool is_near(const struct fl_place *place, enum rule rule) {
    switch (rule) {
    case BY_NODE:
        return place->for_node;
    case BY_ZONE_HINT:
        return place->for_zone;
    case BY_ZONE:
        return place->same_zone;
    case ALL:
        break;
    }
    return true;
}

/* The part of the calls for `usable` of the near ones, `parts` of which would be all endpoints. */
static uint32_t share(size_t usable, size_t expected, size_t parts) {
    uint64_t full = (uint64_t)expected * FULL_PERCENT;
    uint64_t have = (uint64_t)usable * parts * 100;
    return have >= full ? FL_SHARE_ALL : (uint32_t)(have * FL_SHARE_ALL / full);
}

uint32_t fl_zone_judge(struct fl_candidate *list, size_t count) {
    struct view view = look(list, count);
    enum rule rule = rule_for(&view, count);
    size_t near = 0, usable = 0;
    for (size_t i = 0; i < count; i++) {
        list[i].far = !is_near(&list[i].place, rule);
        if (list[i].far) continue;
        near++;
        usable += !list[i].failed && !list[i].ejected;
    }
    if (rule == ALL) return FL_SHARE_ALL;
    return rule == BY_ZONE ? share(usable, count, count_zones(list, count))
                           : share(usable, near, 1);
}
