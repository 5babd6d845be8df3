/* block_names.c - see block_names.h. One thread at a time.
 *
 * Linear probing, at most three quarters full, nothing is removed alone. */
#include "base/block_names.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/intern.h"

#define NAMES_MAX 16384 /* nodes of the largest clusters, and their zones */
#define CAP_FIRST 64

void fl_block_names_deinit(struct fl_block_names *names) {
    for (size_t i = 0; i < names->cap; i++) fl_intern_unref(names->slots[i].id);
    fl_free(names->slots);
    *names = (struct fl_block_names){0};
}

void fl_block_names_bound(struct fl_block_names *names) {
    if (names->count > NAMES_MAX) fl_block_names_deinit(names);
}

static inline bool is_name(const struct fl_block_name *name, struct fl_str text) {
    if (name->len != text.n) return false;
    if (text.n <= FL_BLOCK_NAME_HEAD) return fl_bytes_eq(name->head, text.p, text.n);
    return fl_str_eq(fl_intern_str(name->id), text);
}

static void set(struct fl_block_name *name, struct fl_str text, uint32_t hash, uint32_t id) {
    *name = (struct fl_block_name){.id = id, .hash = hash, .len = (uint16_t)text.n};
    fl_bytes_copy(name->head, text.p, FL_MIN(text.n, (size_t)FL_BLOCK_NAME_HEAD));
}

/* The slot of a name, or the empty one where it belongs. */
static inline struct fl_block_name *find(const struct fl_block_names *names, struct fl_str text,
                                         uint32_t hash) {
    for (size_t i = hash;; i++) {
        struct fl_block_name *name = &names->slots[i & (names->cap - 1)];
        if (!name->id || (name->hash == hash && is_name(name, text))) return name;
    }
}

static int grow(struct fl_block_names *names) {
    size_t old_cap = names->cap, cap = old_cap ? 2 * old_cap : CAP_FIRST;
    struct fl_block_name *old = names->slots, *slots = fl_calloc(cap, sizeof(*slots));
    if (!slots) return FL_ENOMEM;
    for (size_t i = 0; i < old_cap; i++) {
        size_t at = old[i].hash;
        if (!old[i].id) continue;
        while (slots[at & (cap - 1)].id) at++;
        slots[at & (cap - 1)] = old[i];
    }
    fl_free(old);
    names->slots = slots;
    names->cap = cap;
    return 0;
}

/* A name that is met for the first time. */
static int add(struct fl_block_names *names, struct fl_str text, uint32_t hash, uint32_t *id) {
    int rc = names->count >= names->cap / 4 * 3 ? grow(names) : 0;
    if (rc == 0) rc = fl_intern_ref(text, id);
    if (rc < 0) return rc;
    set(find(names, text, hash), text, hash, *id);
    names->count++;
    return 0;
}

/* The node's slot, and the hash of its name; NULL: it is not known yet. */
static inline struct fl_block_name *find_known(const struct fl_block_names *names,
                                               struct fl_str text, uint32_t *hash) {
    *hash = (uint32_t)fl_hash(text, (uint64_t)(uintptr_t)names);
    struct fl_block_name *name = names->cap ? find(names, text, *hash) : NULL;
    return name && name->id ? name : NULL;
}

int fl_block_names_node(struct fl_block_names *names, struct fl_str text, uint32_t *id) {
    uint32_t hash;
    *id = 0;
    if (text.n == 0) return 0;
    if (text.n > FL_BLOCK_TEXT_MAX) return FL_ETOO_LARGE;
    const struct fl_block_name *known = find_known(names, text, &hash);
    if (!known) return add(names, text, hash, id);
    *id = known->id;
    return 0;
}

/* The zone that was met lately and has this name and, unless that is 0, this id; or 0. */
static inline uint32_t find_zone(const struct fl_block_names *names, struct fl_str text,
                                 uint32_t id) {
    for (size_t i = 0; i < FL_BLOCK_ZONES_LAST; i++) {
        const struct fl_block_name *zone = &names->zones[i];
        if (zone->id && (id == 0 || zone->id == id) && is_name(zone, text)) return zone->id;
    }
    return 0;
}

static int zone_id(struct fl_block_names *names, struct fl_str text, uint32_t *id) {
    *id = find_zone(names, text, 0);
    if (*id) return 0;
    int rc = fl_block_names_node(names, text, id);
    if (rc < 0 || *id == 0) return rc;
    names->zone_written = (names->zone_written + 1) % FL_BLOCK_ZONES_LAST;
    set(&names->zones[names->zone_written], text, 0, *id);
    return 0;
}

/* The node's zone, if it is none yet the one it now comes with. */
static uint32_t learn_zone(struct fl_block_names *names, struct fl_str node,
                           const struct fl_block_place *place) {
    uint32_t hash, known = fl_intern_zone(place->node);
    if (known == 0 && place->zone) fl_intern_set_zone(place->node, place->zone);
    struct fl_block_name *name = find_known(names, node, &hash);
    name->zone = fl_intern_zone(place->node);
    return name->zone;
}

int fl_block_names_place(struct fl_block_names *names, struct fl_str node, struct fl_str zone,
                         struct fl_block_place *out) {
    uint32_t hash, of_node = 0;
    *out = (struct fl_block_place){0};
    if (node.n - 1 < FL_BLOCK_TEXT_MAX) { /* not empty, nor too long */
        const struct fl_block_name *known = find_known(names, node, &hash);
        if (known && known->zone && find_zone(names, zone, known->zone)) {
            *out = (struct fl_block_place){known->id, known->zone, true};
            return 0;
        }
    }
    int rc = fl_block_names_node(names, node, &out->node);
    if (rc == 0) rc = zone_id(names, zone, &out->zone);
    if (rc < 0) return rc;
    if (out->node) of_node = learn_zone(names, node, out);
    out->zone_of_node = out->zone ? of_node == out->zone : out->node == 0;
    return 0;
}
