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
    *name = (struct fl_block_name){.id = id, .hash = hash, .len = (uint32_t)text.n};
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

int fl_block_names_node(struct fl_block_names *names, struct fl_str text, uint32_t *id) {
    *id = 0;
    if (text.n == 0) return 0;
    if (text.n > FL_BLOCK_TEXT_MAX) return FL_ETOO_LARGE;
    uint32_t hash = (uint32_t)fl_hash(text, (uint64_t)(uintptr_t)names);
    if (names->cap) *id = find(names, text, hash)->id;
    return *id ? 0 : add(names, text, hash, id);
}

int fl_block_names_zone(struct fl_block_names *names, struct fl_str text, uint32_t *id) {
    for (size_t i = 0; i < FL_BLOCK_ZONES_LAST; i++) {
        *id = names->zones[i].id;
        if (*id && is_name(&names->zones[i], text)) return 0;
    }
    int rc = fl_block_names_node(names, text, id);
    if (rc < 0 || *id == 0) return rc;
    names->zone_written = (names->zone_written + 1) % FL_BLOCK_ZONES_LAST;
    set(&names->zones[names->zone_written], text, 0, *id);
    return 0;
}
